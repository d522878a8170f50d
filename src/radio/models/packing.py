"""Padding-free passes through Hugging Face encoders: sequences end to end, each by itself.

All that works on single tokens (projections, norms, feed-forward) sees one long row without
padding, cut into chunks that fit the processor's cache; attention sees each sequence alone. It goes
through the extension point that transformers has for attention, so the model's own code and weights
are used, and the results are those of the padded pass up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from itertools import accumulate, chain
from math import ceil
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, scaled_dot_product_attention
from torch.nn.utils.rnn import pad_sequence

from radio.models import kernels
from radio.models.dropout import Dropout, fast_dropout
from radio.models.limits import padded_length
from radio.models.pieces import is_undivided
from radio.models.threads import side_by_side, threads_for

NAME = "radio_packed"
"""Under which the attention is registered with transformers."""

CPU_TOKENS = 1500
"""Tokens in a chunk on a CPU, where activations that stay in the cache are worth more than large
products."""

Row = dict[str, Any]
"""N sequences end to end, longest first: flat int tensors ``[T]`` such as ``input_ids``;
``lengths``, a list of N ints that sum to T; and ``where``, int ``[N]``: ``results[where]`` puts
results of the sequences into the order in which they were given."""


def pack(tokens: Mapping[str, Sequence[Sequence[int]]]) -> Row:
    """Tokenised sequences end to end, longest first."""
    lengths = [len(ids) for ids in tokens["input_ids"]]
    order = sorted(range(len(lengths)), key=lambda number: -lengths[number])
    row: Row = {}
    for name, sequences in tokens.items():
        # nothing is padded, so it would be all ones
        if name == "attention_mask":
            continue
        flat = chain.from_iterable(sequences[number] for number in order)
        row[name] = torch.tensor(list(flat), dtype=torch.long)
    row["lengths"] = [lengths[number] for number in order]
    row["where"] = torch.tensor(order, dtype=torch.long).argsort()
    return row


def unpad(features: Mapping[str, Tensor]) -> Row:
    """The same, of what a tokenizer has padded."""
    mask = features["attention_mask"].bool()
    lengths = mask.sum(dim=1)
    order = lengths.argsort(descending=True, stable=True)
    row: Row = {}
    for name in ("input_ids", "token_type_ids"):
        if name in features:
            row[name] = features[name][order][mask[order]]
    row["lengths"] = lengths[order].tolist()
    row["where"] = order.argsort()
    return row


def chunks(row: Row, at_a_time: int = 1) -> Iterator[tuple[dict[str, Tensor], list[int]]]:
    """Tokens of a few whole sequences at a time, and their lengths.

    On a CPU as many as :data:`CPU_TOKENS` has room for, at least one; on a GPU all of them.

    Args:
        row: all sequences.
        at_a_time: how many chunks are computed together; they come in multiples of it, about.
    """
    tokens = {name: flat for name, flat in row.items() if name not in ("lengths", "where")}
    room = None
    if tokens["input_ids"].device.type == "cpu" and not is_undivided():
        total = sum(row["lengths"])
        rounds = max(1, ceil(total / (CPU_TOKENS * at_a_time)))
        room = CPU_TOKENS if at_a_time == 1 else ceil(total / (rounds * at_a_time))
    start = 0
    for lengths in _shares(row["lengths"], room):
        end = start + sum(lengths)
        yield {name: flat[start:end] for name, flat in tokens.items()}, lengths
        start = end


def _shares(lengths: Sequence[int], room: int | None) -> Iterator[list[int]]:
    """The lengths in runs that sum to ``room`` at most, or of a single one that is longer."""
    share: list[int] = []
    for length in lengths:
        if share and room is not None and sum(share) + length > room:
            yield share
            share = []
        share.append(length)
    if share:
        yield share


def enable(model: Any, *, first_token_only: bool) -> bool:
    """Let a BERT-like model take packed batches; False if it is of another architecture.

    These are BERT, RoBERTa, XLM-RoBERTa, ELECTRA and CamemBERT.

    Padded calls go on working.

    Args:
        model: a transformers model, with or without a head.
        first_token_only: the head reads the first token, so the last layer computes that one alone,
            exactly.
    """
    layers = getattr(getattr(getattr(model, "base_model", None), "encoder", None), "layer", None)
    if layers is None or not all(hasattr(layer, "feed_forward_chunk") for layer in layers):
        return False
    if not hasattr(getattr(layers[-1].attention, "self", None), "query"):
        return False
    _register()
    model.set_attn_implementation(NAME)
    for layer in layers:
        at_end = first_token_only and layer is layers[-1]
        layer.forward = partial(_layer, layer, first_token_only=at_end)
    for module in model.modules():
        if type(module) is nn.Dropout:
            module.__class__ = Dropout
    return True


def run(network: Any, row: Row) -> Iterator[tuple[Any, list[int]]]:
    """The network's output for each chunk of a packed batch, and its sequences' lengths."""
    # all tokens at once: the gradient of the embedding matrix is as large as the matrix, whatever
    # the chunk
    words = network.get_input_embeddings()(row["input_ids"])[None]
    first = getattr(network.base_model.embeddings.position_embeddings, "padding_idx", None)
    # RoBERTa counts positions from its padding index on
    offset = 0 if first is None else first + 1

    def compute(part: tuple[int, dict[str, Tensor], list[int]]) -> Any:
        start, tokens, lengths = part
        # token types, where the architecture has them
        others = {name: flat[None] for name, flat in tokens.items() if name != "input_ids"}
        positions = torch.cat([torch.arange(length) for length in lengths]) + offset
        return network(
            inputs_embeds=words[:, start : start + sum(lengths)],
            position_ids=positions[None].to(words.device, non_blocking=True),
            packed_lengths=lengths,
            **others,
        )

    kernels.forget_changed(network.base_model.encoder.layer)
    threads = threads_for(words.device)
    parts = []
    start = 0
    for tokens, lengths in chunks(row, threads):
        parts.append((start, tokens, lengths))
        start += sum(lengths)
    outputs: Iterator[Any] = map(compute, parts)
    if min(threads, len(parts)) > 1:
        outputs = side_by_side(compute, parts, threads)
    for (_, _, lengths), output in zip(parts, outputs, strict=True):
        yield output, lengths


def sentence_embeddings(network: Any, row: Row) -> tuple[Tensor, list[Tensor]]:
    """Embeddings of a packed batch by a sentence-transformers model whose encoder is enabled.

    Returns:
        Those of the texts, ``[N, dim]``, and for each text those of its tokens, ``[T, hidden]``.
    """
    embeddings = []
    tokens_of: list[Tensor] = []
    for output, lengths in run(network[0].auto_model, row):
        flat = output.last_hidden_state[0]
        padded, mask = _spread(flat, lengths)
        features = {"token_embeddings": padded, "attention_mask": mask.long()}
        # pooling, and what may follow it, as the model's folder says
        for module in list(network)[1:]:
            features = module(features)
        embeddings.append(features["sentence_embedding"])
        tokens_of += torch.split(flat, lengths)
    return torch.cat(embeddings), tokens_of


def run_padded(
    network: Callable[..., Any], row: Row, padding: int, limit: int
) -> Iterator[tuple[Any, list[int]]]:
    """As :func:`run`, for any other architecture: each chunk padded to its longest sequence, on a
    GPU a little more (:func:`radio.models.limits.padded_length`), but to ``limit`` at most."""
    for tokens, lengths in chunks(row):
        tokens["attention_mask"] = torch.ones_like(tokens["input_ids"])
        more = padded_length(lengths[0], limit, tokens["input_ids"].device) - lengths[0]
        columns = {}
        for name, flat in tokens.items():
            sequences = list(torch.split(flat, lengths))
            filling = padding if name == "input_ids" else 0
            rows = pad_sequence(sequences, batch_first=True, padding_value=filling)
            columns[name] = pad(rows, (0, more), value=filling)
        yield network(**columns), lengths


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    lengths: Sequence[int],
    *,
    dropout: float = 0.0,
    scale: float,
) -> Tensor:
    """Attention of each sequence to itself.

    Args:
        query: ``[1, heads, T, d]``, or ``[1, heads, N, d]``: one query for each of the N sequences.
        key: ``[1, heads, T, d]``.
        value: ``[1, heads, T, d]``.
        lengths: of the N sequences, sum T.
        dropout: probability.
        scale: factor of the products.

    Returns:
        ``[1, T or N, heads, d]``.
    """
    single = query.shape[2] != key.shape[2]
    if query.is_cuda:
        way = _varlen if query.dtype in (torch.float16, torch.bfloat16) else _padded
        return way(query, key, value, lengths, single, dropout, scale)
    sizes = list(lengths)
    parts = zip(
        torch.split(query, [1] * len(sizes) if single else sizes, dim=2),
        torch.split(key, sizes, dim=2),
        torch.split(value, sizes, dim=2),
        strict=True,
    )
    return torch.cat([_one(q, k, v, dropout, scale) for q, k, v in parts], dim=2).transpose(1, 2)


def _one(query: Tensor, key: Tensor, value: Tensor, dropout: float, scale: float) -> Tensor:
    # torch has no fused attention with dropout for CPUs, and the gradient of the one without is
    # slow in bf16
    if not dropout and not (query.requires_grad and query.dtype == torch.bfloat16):
        return scaled_dot_product_attention(query, key, value, scale=scale)
    weights = ((query * scale) @ key.transpose(-1, -2)).softmax(dim=-1)
    return (fast_dropout(weights, dropout) if dropout else weights) @ value


def _padded(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    lengths: Sequence[int],
    single: bool,
    dropout: float,
    scale: float,
) -> Tensor:
    """One call for all sequences, padded to the longest: on GPUs in fp32."""
    queries = query[0].transpose(0, 1)
    wide = queries[:, None] if single else _spread(queries, lengths)[0]
    keys, mask = _spread(key[0].transpose(0, 1), lengths)
    values, _ = _spread(value[0].transpose(0, 1), lengths)
    out = scaled_dot_product_attention(
        wide.transpose(1, 2),
        keys.transpose(1, 2),
        values.transpose(1, 2),
        attn_mask=mask[:, None, None, :],
        dropout_p=dropout,
        scale=scale,
    ).transpose(1, 2)
    if single:
        return out[:, 0][None]
    return out.flatten(0, 1)[_places(tuple(lengths), out.device)][None]


@lru_cache(maxsize=8)
def _places(lengths: tuple[int, ...], device: torch.device) -> Tensor:
    """Where tokens of sequences stand in padded rows, one row after the other, int64 ``[T]``."""
    longest = max(lengths)
    places = [torch.arange(length) + n * longest for n, length in enumerate(lengths)]
    # kept for later passes, and gradients of some may need it
    with torch.inference_mode(False):
        return torch.cat(places).to(device)


@lru_cache(maxsize=8)
def _ends(lengths: tuple[int, ...], device: torch.device) -> Tensor:
    """Where each of these sequences begins, and the last one ends, int32 ``[N + 1]``."""
    with torch.inference_mode(False):
        return torch.tensor([0, *accumulate(lengths)], dtype=torch.int32).to(device)


def _spread(flat: Tensor, lengths: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Sequences end to end, ``[T, ...]``, padded to the longest, ``[N, longest, ...]``; and bool
    ``[N, longest]``, which of it is theirs."""
    count, longest = len(lengths), max(lengths)
    places = _places(tuple(lengths), flat.device)
    rows = flat.new_zeros(count * longest, *flat.shape[1:]).index_copy(0, places, flat)
    mask = torch.zeros(count * longest, dtype=torch.bool, device=flat.device)
    mask = mask.index_fill(0, places, value=True)
    return rows.view(count, longest, *flat.shape[1:]), mask.view(count, longest)


def _varlen(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    lengths: Sequence[int],
    single: bool,
    dropout: float,
    scale: float,
) -> Tensor:
    """Flash attention over sequences without padding: CUDA, 16 bits."""
    from torch.nn.attention.varlen import varlen_attn

    key_ends = _ends(tuple(lengths), key.device)
    query_ends = _ends((1,) * len(lengths), key.device) if single else key_ends
    longest = max(lengths)
    sizes = 1 if single else longest, longest
    q, k, v = (x[0].transpose(0, 1).contiguous() for x in (query, key, value))
    if dropout:
        # what varlen_attn calls, which has no dropout
        flash = torch.ops.aten._flash_attention_forward
        out: Any = flash(q, k, v, query_ends, key_ends, *sizes, dropout, False, False, scale=scale)[
            0
        ]
    else:
        out = varlen_attn(q, k, v, query_ends, key_ends, *sizes, scale=scale)
    return out[None]  # type: ignore[no-any-return]


def _attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    packed_lengths: Sequence[int] | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """What transformers calls in each layer."""
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    if packed_lengths is None:
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout, scale, **kwargs
        )
    return attend(query, key, value, packed_lengths, dropout=dropout, scale=scale), None


def _register() -> None:
    from transformers import AttentionInterface
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, AttentionMaskInterface

    AttentionInterface.register(NAME, _attention)
    AttentionMaskInterface.register(NAME, ALL_MASK_ATTENTION_FUNCTIONS["sdpa"])


def _layer(
    layer: Any,
    hidden: Tensor,
    *args: Any,
    packed_lengths: Sequence[int] | None = None,
    first_token_only: bool = False,
    **kwargs: Any,
) -> Tensor:
    """A layer of an enabled model: ``[1, T, H]`` -> the same, or ``[N, 1, H]`` of what heads read,
    each first token."""
    whole: Callable[..., Tensor] = type(layer).forward
    if packed_lengths is None:
        return whole(layer, hidden, *args, **kwargs)
    if kernels.can_compute(layer, hidden):
        return kernels.compute(layer, hidden, packed_lengths, first_token_only=first_token_only)
    if first_token_only:
        return _first_tokens(layer, hidden, packed_lengths)
    return whole(layer, hidden, *args, packed_lengths=packed_lengths, **kwargs)


def _first_tokens(layer: Any, hidden: Tensor, packed_lengths: Sequence[int]) -> Tensor:
    """The layer for each first token: ``[1, T, H]`` -> ``[N, 1, H]``."""
    attention = layer.attention.self
    first = hidden[:, _ends(tuple(packed_lengths), hidden.device)[:-1]]

    def heads(x: Tensor) -> Tensor:
        return x.view(*x.shape[:-1], -1, attention.attention_head_size).transpose(1, 2)

    context = attend(
        heads(attention.query(first)),
        heads(attention.key(hidden)),
        heads(attention.value(hidden)),
        packed_lengths,
        dropout=attention.dropout.p if attention.training else 0.0,
        scale=attention.scaling,
    )
    out: Tensor = layer.feed_forward_chunk(layer.attention.output(context.flatten(2), first))
    return out.transpose(0, 1)
