"""Exported rerankers as ONNX files, and their scores by ONNX Runtime."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from radio.encoders import load_encoder
from radio.models.loading import load_model
from radio.rerankers.base import Reranker
from radio.rerankers.bi_encoder import BiEncoder
from radio.rerankers.cross_encoder import CrossEncoder
from radio.schema import Group, InputError

FP32, INT8 = "model.onnx", "model_int8.onnx"
"""Names of the files."""

BATCH = 32
"""Texts or pairs, of like length, that ONNX Runtime is given together."""

LARGE = 1 << 30
"""Bytes of a model from which on its weights are in a file of their own: one of ONNX holds 2 GB."""


@dataclass(frozen=True)
class Describes:
    """What one must know to rank with the files.

    Args:
        kind: class of the reranker.
        inputs: names of the inputs, int64 ``[N, T]``, as the tokenizer gives them.
        output: name of the output: ``logits [N, 1]``, or ``sentence_embedding [N, dim]``.
        max_length: tokens after which a pair, or a text, is cut.
        query_prefix: of a bi-encoder, put before a question.
        passage_prefix: put before a passage.
        scale: what the dot product of two embeddings is multiplied by.
    """

    kind: str
    inputs: Sequence[str]
    output: str
    max_length: int
    query_prefix: str = ""
    passage_prefix: str = ""
    scale: float = 1.0


def check_installed() -> None:
    """Refuse to begin without the packages.

    Raises:
        InputError: names the one that lacks.
    """
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401 -- torch's exporter is built on it
    except ImportError as error:
        raise InputError(
            f"ONNX: found no {error.name}, expected it to be installed: pip install "
            "'radio-rag[onnx]'"
        ) from None


def describe(reranker: Reranker) -> Describes:
    """How a reranker ranks with the files.

    Raises:
        InputError: its class, or a setting of it, is none that ONNX files are made of.
    """
    kind, name = type(reranker), type(reranker).__name__
    found = ""
    if kind not in (CrossEncoder, BiEncoder):
        found = name
    elif isinstance(reranker, BiEncoder) and reranker.train_side == "question":
        found = f"{name} with train_side question, which is two models"
    elif isinstance(reranker, BiEncoder) and reranker.multi_vector:
        found = f"{name} with multi_vector, which compares tokens"
    if found:
        raise InputError(
            f"ONNX: model {reranker.model!r}: found {found}, expected a CrossEncoder, or a "
            "BiEncoder of one model that compares whole texts"
        )
    inputs = list(reranker.tokenizer("a", "b"))
    if isinstance(reranker, BiEncoder):
        query, passage = reranker.prefixes
        output, length = "sentence_embedding", reranker.max_length
        return Describes(name, inputs, output, length, query, passage, reranker.scale)
    return Describes(name, inputs, "logits", reranker.max_length)


# -- the files ------------------------------------------------------------------------------------


def write_fp32(reranker: Reranker, about: Describes, folder: Path) -> Path:
    """Write :data:`FP32`, with the tokenizer and the configuration that it needs.

    Args:
        reranker: an export; its own network is left alone.
        about: see :func:`describe`.
        folder: there already.

    Raises:
        InputError: the architecture is none that torch exports.
    """
    graph = _graph(reranker, about).eval()
    reranker.tokenizer.save_pretrained(folder)
    graph.config.save_pretrained(folder)
    example = reranker.tokenizer(
        ["Who lit it?", "Which lamp?"], ["The keeper", "That of the tower"], padding=True
    )
    tokens = tuple(torch.tensor(example[name]) for name in about.inputs)
    texts, length = torch.export.Dim("texts"), torch.export.Dim("tokens")
    shapes = tuple({0: texts, 1: length} for _ in tokens)
    path = folder / FP32
    try:
        with _quiet(), torch.no_grad():
            program: Any = torch.onnx.export(
                graph,
                tokens,
                input_names=list(about.inputs),
                output_names=[about.output],
                dynamic_shapes=(shapes,),
                dynamo=True,
                verbose=False,
            )
            program.save(path)
    except Exception as error:
        kind = graph.config.model_type
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"ONNX: model {reranker.model!r}: torch cannot export its architecture ({kind}): "
            f"{first[:300]}"
        ) from error
    import onnx

    onnx.checker.check_model(str(path))
    return path


def write_int8(fp32: Path) -> Path:
    """Write :data:`INT8` beside it: weights as 8 bits for each output, inputs of each product
    rounded to 8 bits as they come (dynamic quantisation)."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    path = fp32.with_name(INT8)
    large = sum(file.stat().st_size for file in fp32.parent.glob(f"{FP32}*")) > LARGE
    with _quiet():
        quantize_dynamic(
            fp32,
            path,
            weight_type=QuantType.QInt8,
            per_channel=True,
            # of 8 bits, processors without VNNI cut sums off that grow too large, unseen
            reduce_range=True,
            use_external_data_format=large,
        )
    return path


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the words of the exporters about themselves."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir", None)]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


class Graph(nn.Module):
    """A plain network, as it is in the folder, as a function of the tokenizer's tensors.

    Args:
        network: as its library loads it.
        config: of transformers.
        names: of the tensors.
    """

    def __init__(self, network: nn.Module, config: Any, names: Sequence[str]) -> None:
        super().__init__()
        self.network = network
        self.config = config
        self.names = list(names)

    def named(self, tokens: Sequence[Tensor]) -> dict[str, Tensor]:
        """The tensors by name."""
        return dict(zip(self.names, tokens, strict=True))


class Logits(Graph):
    """``logits [N, 1]`` of pairs."""

    def forward(self, *tokens: Tensor) -> Tensor:
        logits: Tensor = self.network(**self.named(tokens)).logits
        return logits


class Embeddings(Graph):
    """Embeddings ``[N, dim]`` of texts, of unit length where they are compared by cosine."""

    def __init__(self, network: Any, config: Any, names: Sequence[str], unit: bool) -> None:
        super().__init__(network, config, names)
        self.dim = network.truncate_dim
        self.unit = unit

    def forward(self, *tokens: Tensor) -> Tensor:
        vectors: Tensor = self.network(self.named(tokens))["sentence_embedding"][:, : self.dim]
        return nn.functional.normalize(vectors, dim=1) if self.unit else vectors


def _graph(reranker: Reranker, about: Describes) -> Graph:
    # not the reranker's own network, which computes without padding
    if isinstance(reranker, BiEncoder):
        encoder: Any = load_encoder(reranker.model, device="cpu").float()
        config = encoder[0].auto_model.config
        return Embeddings(encoder, config, about.inputs, reranker.similarity == "cosine")
    kind = "AutoModelForSequenceClassification"
    network, _ = load_model(kind, reranker.model, dtype=torch.float32)
    return Logits(network, network.config, about.inputs)


# -- scores ---------------------------------------------------------------------------------------


class OnnxScorer:
    """Scores by ONNX Runtime on the CPU.

    Args:
        file: one of the files.
        about: how to rank with it.
        tokenizer: of the reranker.
        threads: that one product is shared by.
    """

    def __init__(self, file: Path, about: Describes, tokenizer: Any, threads: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self._session = onnxruntime.InferenceSession(
            str(file), options, providers=["CPUExecutionProvider"]
        )
        self._about = about
        self._tokenizer = tokenizer

    def __call__(self, groups: Sequence[Group]) -> list[list[float]]:
        """Scores of the passages of each group."""
        pairs = [(group.question.query, one.contents) for group in groups for one in group.passages]
        if not pairs:
            return [[] for _ in groups]
        scores = iter(self._of_pairs(pairs).tolist())
        return [[next(scores) for _ in group.passages] for group in groups]

    def _of_pairs(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        about = self._about
        if about.output == "logits":
            asked, read = zip(*pairs, strict=True)
            return self._run(list(asked), list(read))[:, 0]
        questions = self._embedded(about.query_prefix, (question for question, _ in pairs))
        passages = self._embedded(about.passage_prefix, (passage for _, passage in pairs))
        dots = [float(questions[question] @ passages[passage]) for question, passage in pairs]
        return about.scale * np.array(dots, dtype=np.float32)

    def _embedded(self, prefix: str, texts: Iterable[str]) -> dict[str, NDArray[np.float32]]:
        """Each distinct text's embedding."""
        distinct = list(dict.fromkeys(texts))
        vectors = self._run([prefix + text for text in distinct])
        return dict(zip(distinct, vectors, strict=True))

    def _run(self, *texts: list[str]) -> NDArray[np.float32]:
        """Outputs ``[N, ...]`` of texts, or of pairs of them; longest first, a batch at a time."""
        tokens = self._tokenizer(*texts, truncation=True, max_length=self._about.max_length)
        lengths = [len(ids) for ids in tokens["input_ids"]]
        order = sorted(range(len(lengths)), key=lambda number: -lengths[number])
        found: list[Any] = [None] * len(order)
        for start in range(0, len(order), BATCH):
            some = order[start : start + BATCH]
            rows = {name: [tokens[name][number] for number in some] for name in self._about.inputs}
            padded = self._tokenizer.pad(rows, return_tensors="np")
            given = {name: padded[name].astype(np.int64) for name in self._about.inputs}
            (outputs,) = self._session.run([self._about.output], given)
            for number, output in zip(some, outputs, strict=True):
                found[number] = output
        return np.stack(found)


def as_json(about: Describes) -> dict[str, Any]:
    """What is written down beside the files."""
    settings = asdict(about)
    if about.output == "logits":
        settings = {name: settings[name] for name in ("kind", "inputs", "output", "max_length")}
    loaded: dict[str, Any] = json.loads(json.dumps(settings))
    return {"class": loaded.pop("kind"), **loaded}
