"""Whether attention without padding gives what padded attention in fp32 gives; and the peak."""

from __future__ import annotations

from unittest.mock import patch

import torch
from torch import Tensor

from benchmarks.gpu.measure import Row, Work
from benchmarks.gpu.shapes import groups, model_folder
from radio.models.packing import attend
from radio.rerankers import CrossEncoder

TOLERANCE = 2e-2
"""Of bf16, whose steps are 0.8 %, for outputs and gradients whose size is about 1."""


def peak(work: Work) -> list[Row]:
    """FLOP/s of the fastest product of two square matrices, in the type of the training rows."""
    dtype = torch.bfloat16 if work.on_gpu else torch.float32
    for size in (128,) if work.tiny else (2048, 4096, 8192, 16384):
        a, b = (torch.randn(size, size, device=work.device, dtype=dtype) for _ in range(2))
        for _ in range(3):
            torch.mm(a, b)
        work.finish()
        # the fastest of several rounds: a GPU that just woke up is slow
        for _ in range(5):
            start = work.now()
            for _ in range(10):
                torch.mm(a, b)
            work.finish()
            seconds = max(work.now() - start, 1e-9)
            work.peak = max(work.peak, 10 * 2 * size**3 / seconds)
        if work.left_of_part <= 0:
            break
    row = Row(f"matrix product, {str(dtype).removeprefix('torch.')}", "TFLOP/s")
    row.ours = f"{work.peak / 1e12:.1f}"
    row.notes.append("what `torch.mm` reaches: the peak of the rows below")
    return [row]


def padded_fp32(tensors: list[Tensor], lengths: list[int], single: bool, scale: float) -> Tensor:
    """Attention of padded sequences with a mask, written out, in fp32.

    Returns:
        ``[1, T or N, heads, d]``.
    """
    query, key, value = (tensor[0].transpose(0, 1).float() for tensor in tensors)
    longest, count = max(lengths), len(lengths)
    places = torch.arange(longest, device=key.device)
    mask = places < torch.tensor(lengths, device=key.device)[:, None]

    def padded(flat: Tensor) -> Tensor:
        rows = flat.new_zeros(count, longest, *flat.shape[1:])
        # rather than written in place, so that gradients come back
        return rows.masked_scatter(mask[:, :, None, None], flat).transpose(1, 2)

    queries = query[:, :, None] if single else padded(query)
    products = queries @ padded(key).mT * scale
    weights = products.masked_fill(~mask[:, None, None], float("-inf")).softmax(dim=-1)
    out = (weights @ padded(value)).transpose(1, 2)
    return (out[:, 0] if single else out[mask])[None]


def attention(work: Work) -> list[Row]:
    """The path without padding, forward and backward, against padded fp32 of the same numbers."""
    return [_attention(work, single) for single in (False, True)] + [_whole_model(work)]


def _attention(work: Work, single: bool) -> Row:
    torch.manual_seed(0)
    lengths = [20, 7, 7, 1] if work.tiny else [512, 511, 300, 129, 128, 64, 33, 3, 1, 1]
    heads, width, dtype = 12, 64, torch.bfloat16 if work.on_gpu else torch.float32
    counts = [len(lengths) if single else sum(lengths), sum(lengths), sum(lengths)]
    tensors = [
        torch.randn(1, heads, n, width, device=work.device, dtype=dtype, requires_grad=True)
        for n in counts
    ]
    exact = [tensor.detach().float().requires_grad_() for tensor in tensors]
    found, calls = _counted(tensors, lengths, width**-0.5)
    expected = padded_fp32(exact, lengths, single, width**-0.5)
    towards = torch.randn_like(expected)
    gaps = [float((found.detach().float() - expected.detach()).abs().max())]
    gradients = zip(
        torch.autograd.grad((found.float() * towards).sum(), tensors),
        torch.autograd.grad((expected * towards).sum(), exact),
        strict=True,
    )
    gaps += [float((x.float() - y).abs().max() / y.abs().max()) for x, y in gradients]
    what = "first tokens alone" if single else "all tokens"
    row = Row(f"attention without padding, {what}", "largest difference to padded fp32")
    row.ours = ", ".join(
        f"{name} {gap:.1e}" for name, gap in zip(("output", "dq", "dk", "dv"), gaps, strict=True)
    )
    row.value, row.aim = f"{max(gaps):.1e}", f"<= {TOLERANCE:g}"
    row.met = max(gaps) <= TOLERANCE
    if not work.on_gpu:
        row.notes.append("the processor's path: variable-length flash attention needs CUDA")
    elif not calls:
        row.met = False
        row.notes.append("variable-length flash attention was not called")
    return row


def _counted(tensors: list[Tensor], lengths: list[int], scale: float) -> tuple[Tensor, int]:
    """Attention as a reranker calls it, and how often flash attention was called."""
    if tensors[0].device.type != "cuda":
        return attend(*tensors, lengths, scale=scale), 0
    from torch.nn.attention import varlen

    with patch.object(varlen, "varlen_attn", wraps=varlen.varlen_attn) as called:
        return attend(*tensors, lengths, scale=scale), called.call_count


def _whole_model(work: Work) -> Row:
    """Scores of a whole cross-encoder, without padding in bf16, against transformers' padded fp32,
    beside what padded bf16 gives."""
    from transformers import AutoModelForSequenceClassification

    folder = model_folder(work, "MiniLM-L6", "score")
    given = groups(work, 2 if work.tiny else 8, 7)
    reranker = CrossEncoder(str(folder))
    reranker.configure_model()
    reranker.to(work.device).eval()
    plain = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32)
    plain.to(work.device).eval()
    pairs = [(group.question.query, one.contents) for group in given for one in group.passages]
    tokens = reranker.tokenizer(
        *map(list, zip(*pairs, strict=True)), truncation=True, max_length=512, padding=True
    )
    inputs = {name: torch.tensor(rows, device=work.device) for name, rows in tokens.items()}
    batch = reranker.transfer_batch_to_device(reranker.collate(given), reranker.device, 0)
    with torch.no_grad():
        exact = plain(**inputs).logits[:, 0]
        with work.autocast():
            ours = reranker(batch)[batch.mask]
            padded = plain(**inputs).logits[:, 0].float()
    spread = float(exact.max() - exact.min())
    gap = float((ours - exact).abs().max()) / spread
    theirs = float((padded - exact).abs().max()) / spread
    # both sides round alike: twice as far off would be a mistake
    most = max(2 * theirs, TOLERANCE if work.on_gpu else 1e-3)
    row = Row("scores of a MiniLM-L6 cross-encoder", "largest difference to padded fp32, of spread")
    row.ours, row.peer = f"{gap:.1e}", f"{theirs:.1e} (transformers, padded, same precision)"
    row.value, row.aim, row.met = row.ours, f"<= {most:.1e}", gap <= most
    return row
