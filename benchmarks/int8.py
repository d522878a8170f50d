"""Ranking in int8: how near to fp32, and how fast. A study; nothing of it is shipped.

``python -m benchmarks.int8 --model FOLDER --questions 16`` with a fine-tuned BERT-like reranker and
``../shared/data``. For each choice of products in int8 it prints pairs for each second of processor
time, on one thread, and the agreement with fp32: Kendall's tau-b of a question's scores.

Products of a layer are computed in int8 by oneDNN (``torch.ops.onednn``), the rest in bf16 as in
:mod:`radio.models.kernels`. Weights have a scale per output. Inputs have one scale that the
weights alone decide, by a pass over random token ids, so that a score does not depend on what else
is in the batch; the few channels that are ten times as large as all others are split over several
columns, as integers that sum to the value exactly.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from math import ceil
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, linear

from benchmarks.agreement import agreement
from benchmarks.groups import write_groups
from radio.models import kernels, packing
from radio.rerankers import CrossEncoder
from radio.schema import Group, Passage, Question

OUTLIERS = 8
"""Channels of an input that may be split over several columns."""

HEADROOM = 1.25
"""Inputs that leave their range by more than this are cut off."""

TEXTS, TOKENS = 16, 128
"""Random texts by which ranges are found, and tokens of each."""


class Range(NamedTuple):
    """Lowest and highest input ``[in]`` of a product, by channel."""

    lowest: Tensor
    highest: Tensor


Ranges = dict[str, Range]
"""Of a layer's products, by name: ``attend``, ``widen``, ``narrow``."""


class Steps:
    """How the inputs of a product become unsigned bytes: ``value = scale * (byte - zero)``.

    Args:
        inputs: their range.
        evenness: how far channels are divided by numbers of their own, to be alike.
    """

    def __init__(self, inputs: Range, evenness: float = 0.0) -> None:
        low, high = HEADROOM * inputs.lowest.double(), HEADROOM * inputs.highest.double()
        largest = torch.maximum(high, -low).clamp_min(1e-6)
        divisors = (largest / largest.median()) ** evenness
        low, high, largest = low / divisors, high / divisors, largest / divisors
        self.wide = largest.topk(min(OUTLIERS, len(largest) - 1)).indices
        ordinary = torch.ones(len(largest), dtype=torch.bool)
        ordinary[self.wide] = False
        floor = min(low[ordinary].min().item(), 0.0)
        ceiling = max(high[ordinary].max().item(), 0.0)
        self.scale = max((ceiling - floor) / 255, 1e-8)
        self.zero = round(-floor / self.scale)
        self._divisors = divisors.float()
        self._factors = (1 / (divisors * self.scale)).float()
        # which wide channel each further column has a part of, which part, of how many
        columns: list[int] = []
        parts: list[int] = []
        counts: list[int] = []
        for number, channel in enumerate(self.wide.tolist()):
            count = self._columns_for(low[channel].item(), high[channel].item())
            columns += [number] * count
            parts += range(count)
            counts += [count] * count
        self._columns = torch.tensor(columns)
        self._parts = torch.tensor(parts, dtype=torch.float32)
        self._counts = torch.tensor(counts, dtype=torch.float32)

    def _columns_for(self, low: float, high: float) -> int:
        """As many as a channel's range takes."""
        above, below = 255 - self.zero, self.zero
        needed = [high / (self.scale * max(above, 1)), -low / (self.scale * max(below, 1)), 1.0]
        return ceil(max(needed))

    def of(self, inputs: Tensor) -> Tensor:
        """Bytes of all channels: fp32 ``[T, in]`` -> ``[T, in]``."""
        steps = inputs.mul(self._factors).add_(self.zero).round_().clamp_(0, 255)
        return steps.to(torch.uint8)

    def of_wide(self, values: Tensor) -> Tensor:
        """Bytes of the further columns: fp32 ``[T, wide channels]`` -> ``[T, columns]``."""
        steps = values.mul(self._factors[self.wide]).round_()[:, self._columns]
        # floor((n + k) / count) for k from 0 to count - 1 sum to n (Hermite)
        steps.add_(self._parts).div_(self._counts).floor_().add_(self.zero).clamp_(0, 255)
        return steps.to(torch.uint8)

    def columns_of(self, weight: Tensor) -> Tensor:
        """Weights ``[out, in]`` -> ``[out, in + columns]``: the wide channels count in the further
        columns alone."""
        even = weight.float() * self._divisors
        plain = even.clone()
        plain[:, self.wide] = 0
        return torch.cat([plain, even[:, self.wide[self._columns]]], dim=1)


class Int8Product:
    """A linear layer in int8.

    Args:
        weight: ``[out, in]``.
        bias: ``[out]``.
        steps: how its inputs become bytes.
    """

    def __init__(self, weight: Tensor, bias: Tensor, steps: Steps) -> None:
        columns = steps.columns_of(weight)
        self.steps = steps
        self._scales = columns.abs().amax(dim=1).clamp_min(1e-12) / 127
        lay_out: Any = torch.ops.onednn.qlinear_prepack
        whole = (columns / self._scales[:, None]).round().to(torch.int8)
        self._weight: Tensor = lay_out(whole, None)
        self._zeros = torch.zeros(len(weight), dtype=torch.int32)
        self._bias = bias.float()

    def __call__(
        self,
        inputs: Tensor,
        wide: Tensor,
        result: torch.dtype | Steps = torch.float32,
        then: str = "none",
    ) -> Tensor:
        """``[T, out]`` from bytes.

        Args:
            inputs: of all channels ``[T, in]``.
            wide: of the further columns.
            result: type of the output, or the steps of its bytes.
            then: an activation in oneDNN's words.
        """
        in_bytes = isinstance(result, Steps)
        product: Any = torch.ops.onednn.qlinear_pointwise
        made: Tensor = product(
            torch.cat([inputs, wide], dim=1),
            self.steps.scale,
            self.steps.zero,
            self._weight,
            self._scales,
            self._zeros,
            self._bias,
            result.scale if isinstance(result, Steps) else 1.0,
            result.zero if isinstance(result, Steps) else 0,
            torch.uint8 if in_bytes else result,
            then,
            [],
            "none" if then == "gelu" else "",
        )
        return made


class Attend:
    """The projections of attention, in the place of a :class:`radio.models.kernels.Product`."""

    def __init__(self, layers: Sequence[nn.Linear], inputs: Range) -> None:
        weight = torch.cat([layer.weight for layer in layers])
        bias = torch.cat([layer.bias for layer in layers])
        self._product = Int8Product(weight, bias, Steps(inputs))

    def __call__(self, inputs: Tensor) -> Tensor:
        steps = self._product.steps
        wide = steps.of_wide(inputs[:, steps.wide])
        return self._product(steps.of(inputs), wide, torch.bfloat16)


class Widen:
    """The first product of the feed-forward part; its result is bytes where the second is in int8,
    and the wide channels of it are computed again, exactly."""

    def __init__(self, layer: nn.Linear, inputs: Range, result: Steps | None) -> None:
        self._product = Int8Product(layer.weight, layer.bias, Steps(inputs))
        self._result = result
        if result is not None:
            self._exact = (layer.weight[result.wide], layer.bias[result.wide])

    def __call__(self, inputs: Tensor, then: str) -> Any:
        steps = self._product.steps
        wide = steps.of_wide(inputs[:, steps.wide])
        if self._result is None:
            return self._product(steps.of(inputs), wide, torch.bfloat16, then)
        between = self._product(steps.of(inputs), wide, self._result, then)
        return between, self._result.of_wide(gelu(linear(inputs, *self._exact)))


class Narrow:
    """The second product of the feed-forward part."""

    def __init__(self, layer: nn.Linear, steps: Steps) -> None:
        self._product = Int8Product(layer.weight, layer.bias, steps)

    def plus(self, inputs: tuple[Tensor, Tensor], residual: Tensor) -> Tensor:
        return residual + self._product(*inputs)


class InBf16(NamedTuple):
    """A product of kernels.py that is given fp32."""

    product: kernels.Product

    def __call__(self, inputs: Tensor, then: str = "none") -> Tensor:
        return self.product(inputs.to(torch.bfloat16), then)

    def plus(self, inputs: Tensor, residual: Tensor) -> Tensor:
        return self.product.plus(inputs, residual)


def find_ranges(network: Any, layers: Sequence[Any]) -> list[Ranges]:
    """Ranges of the inputs of each layer's products, by a pass over random token ids.

    Args:
        network: a transformers model that takes packed batches (:mod:`radio.models.packing`).
        layers: of the network.
    """
    generator = torch.Generator().manual_seed(0)
    size = network.get_input_embeddings().num_embeddings
    longest = min(TOKENS, network.config.max_position_embeddings - 8)
    texts = torch.randint(size, (TEXTS, longest), generator=generator).tolist()
    found: list[Ranges] = [{} for _ in layers]
    handles = []
    for layer, known in zip(layers, found, strict=True):
        # the key sees all tokens in every layer, the query of the last one the first token alone
        watched = {
            "attend": layer.attention.self.key,
            "widen": layer.intermediate.dense,
            "narrow": layer.output.dense,
        }
        for name, module in watched.items():
            handles.append(module.register_forward_pre_hook(partial(_widen, known, name)))
    exact = torch.autocast("cpu", enabled=False)
    try:
        with torch.inference_mode(False), torch.no_grad(), exact:
            for _ in packing.run(network, packing.pack({"input_ids": texts})):
                pass
    finally:
        for handle in handles:
            handle.remove()
    return found


def _widen(known: Ranges, name: str, module: nn.Module, inputs: tuple[Tensor]) -> None:
    """Note the range of a product's inputs ``[1, T, in]``."""
    rows = inputs[0][0].float()
    lowest, highest = rows.amin(dim=0), rows.amax(dim=0)
    before = known.get(name, Range(lowest, highest))
    lowest = torch.minimum(lowest, before.lowest)
    known[name] = Range(lowest, torch.maximum(highest, before.highest))


PARTS = ("attend", "widen", "narrow")
"""Of a layer; the output projection of attention is small, and always in bf16."""


def prepare(layer: Any, ranges: Ranges, parts: Sequence[str], made_of: Any) -> kernels.Prepared:
    """A layer's products, some of them in int8."""
    bf16 = torch.bfloat16
    heads = layer.attention.self
    three = [heads.query, heads.key, heads.value]
    wide, narrow = layer.intermediate.dense, layer.output.dense
    between = Steps(ranges["narrow"]) if "narrow" in parts else None
    attend: Any = InBf16(kernels._product(three, bf16))
    widen: Any = InBf16(kernels._product([wide], bf16))
    last: Any = InBf16(kernels._product([narrow], bf16))
    if "attend" in parts:
        attend = Attend(three, ranges["attend"])
    if "widen" in parts:
        widen = Widen(wide, ranges["widen"], between)
    if between is not None:
        last = Narrow(narrow, between)
    project: Any = InBf16(kernels._product([layer.attention.output.dense], bf16))
    return kernels.Prepared(made_of, attend, project, widen, last)


def read_groups(data: Path, count: int) -> list[Group]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "groups.jsonl"
        write_groups(data, path, count)
        text = path.read_text(encoding="utf-8")
    rows = [json.loads(line) for line in text.strip("\n").split("\n")]
    groups = []
    for number, row in enumerate(rows[:count]):
        texts = row["all_passages"]
        passages = tuple(Passage(f"{number}/{rank}", text) for rank, text in enumerate(texts))
        unknown = (math.nan,) * len(passages)
        groups.append(Group(Question(str(number), row["question"]), passages, unknown))
    return groups


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.int8")
    parser.add_argument("--model", type=Path, required=True, help="folder of a fine-tuned reranker")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--questions", type=int, default=16)
    args = parser.parse_args()
    torch.set_num_threads(1)
    reranker = CrossEncoder(str(args.model))
    reranker.configure_model()
    reranker.eval()
    groups = read_groups(args.data, args.questions)
    batches = [reranker.collate(groups[i : i + 16]) for i in range(0, len(groups), 16)]
    sizes = [len(group.passages) for group in groups]

    def scores() -> list[float]:
        with torch.inference_mode():
            return torch.cat([reranker(batch)[batch.mask] for batch in batches]).tolist()

    reference = scores()
    layers = reranker.network.base_model.encoder.layer
    found = dict(zip(layers, find_ranges(reranker.network, layers), strict=True))
    choices: list[tuple[str, ...]] = [()]
    choices += [("attend",), ("widen",), ("attend", "widen"), ("widen", "narrow"), PARTS]
    for parts in choices:
        kernels.prepared.clear()
        kernels._prepare = lambda layer, dtype, made_of, parts=parts: prepare(  # type: ignore[misc]
            layer, found[layer], parts, made_of
        )
        with torch.no_grad():
            scores()
        begin = time.process_time()
        given = scores()
        speed = len(given) / (time.process_time() - begin)
        tau, gap = agreement(reference, given, sizes)
        first = 0
        for size, start in zip(sizes, itertools.accumulate([0, *sizes[:-1]]), strict=True):
            ours, exact = given[start : start + size], reference[start : start + size]
            first += ours.index(max(ours)) == exact.index(max(exact))
        name = " + ".join(parts) or "all in bf16"
        print(
            f"{name}: {speed:.1f} pairs per CPU s, tau-b {tau:.4f}, largest difference {gap:.3f}, "
            f"same first passage in {first} of {len(sizes)}",
            flush=True,
        )


if __name__ == "__main__":
    main()
