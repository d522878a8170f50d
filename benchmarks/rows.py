"""The rows of the table: this project, its peers, and the settings in which the peers are fastest.

Each has a name. Several share an environment (``requirements/<environment>.txt``) and a worker.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

RADIO = "radio"
ONNX, OPENVINO = "sentence_transformers_onnx", "sentence_transformers_openvino"
SIZES = (8, 16, 32, 64)
"""Batch sizes of which the warm-up finds the fastest."""

Case = tuple[str, str, str]
"""Task, dtype, dropout."""


@dataclass(frozen=True)
class Row:
    """A library in one of its settings.

    Args:
        environment: with its own requirements.
        workers: task to the script that does it; without an entry the library cannot do it.
        dtypes: in which it ranks.
        file: of the exported model.
        sort: the worker sorts by length, as the library does not.
        mini_batch: pairs of a training step that it takes at once; -1 takes all.
        batches: whether its ranking has a batch size.
        exported_by: environment whose export it loads.
    """

    environment: str
    workers: Mapping[str, str]
    dtypes: Sequence[str] = ("fp32", "bf16")
    file: str = ""
    sort: bool = False
    mini_batch: int = -1
    batches: bool = True
    exported_by: str = ""

    def offers(self, case: Case) -> bool:
        """Whether it can do this; all that train do so in fp32 and in bf16."""
        task, dtype, _ = case
        return task in self.workers and dtype in (
            self.dtypes if task == "rank" else ("fp32", "bf16")
        )

    def options(self, case: Case, sizes: Sequence[int]) -> list[str]:
        """Of the worker's command line."""
        options = ["--file", self.file] if self.file else []
        if case[0] == "rank" and self.batches:
            options += ["--batch-sizes", *map(str, sizes)]
        if case[0] == "train":
            options += ["--mini-batch", str(self.mini_batch)]
        return [*options, "--sort"] if self.sort else options


def _both(worker: str) -> dict[str, str]:
    return {"train": worker, "rank": worker}


RANKS = {"rank": "sentence_transformers_ranking"}
FASTEMBED = {"rank": "fastembed"}
FLASHRANK = {"rank": "flashrank"}

PEERS: dict[str, Row] = {
    "sentence_transformers": Row(
        "sentence_transformers", {"train": "sentence_transformers", **RANKS}
    ),
    # a question's pairs at a time: less padding and less memory
    "sentence_transformers_by_question": Row(
        "sentence_transformers", {"train": "sentence_transformers"}, mini_batch=7
    ),
    "flag_embedding": Row("flag_embedding", _both("flag_embedding")),
    "lightning_ir": Row("lightning_ir", _both("lightning_ir"), batches=False),
    "rerankers": Row("rerankers", {"rank": "rerankers"}),
    "rerankers_sorted": Row("rerankers", {"rank": "rerankers"}, sort=True),
    ONNX: Row(ONNX, RANKS, ["fp32"], "onnx/model.onnx", exported_by=ONNX),
    f"{ONNX}_o3": Row(ONNX, RANKS, ["fp32"], "onnx/model_O3.onnx", exported_by=ONNX),
    f"{ONNX}_int8": Row(ONNX, RANKS, ["int8"], "onnx/model_int8.onnx", exported_by=ONNX),
    OPENVINO: Row(OPENVINO, RANKS, file="openvino/openvino_model.xml", exported_by=OPENVINO),
    f"{OPENVINO}_int8": Row(
        OPENVINO, RANKS, ["int8"], "openvino/openvino_model_int8.xml", exported_by=OPENVINO
    ),
    "fastembed": Row("fastembed", FASTEMBED, ["fp32"], "onnx/model.onnx", exported_by=ONNX),
    "fastembed_sorted": Row(
        "fastembed", FASTEMBED, ["fp32"], "onnx/model_O3.onnx", sort=True, exported_by=ONNX
    ),
    "fastembed_sorted_int8": Row(
        "fastembed", FASTEMBED, ["int8"], "onnx/model_int8.onnx", sort=True, exported_by=ONNX
    ),
    "flashrank": Row(
        "flashrank", FLASHRANK, ["fp32"], "onnx/model.onnx", batches=False, exported_by=ONNX
    ),
    "flashrank_int8": Row(
        "flashrank", FLASHRANK, ["int8"], "onnx/model_int8.onnx", batches=False, exported_by=ONNX
    ),
}

EXPORTERS = {ONNX: "export_onnx", OPENVINO: "export_openvino"}
"""Environment to the script that exports the weights in it."""


def radio(settings: Mapping[str, Mapping[str, Any]]) -> Row:
    """This project's row: fp32, bf16, and whatever else there are settings for."""
    return Row(
        RADIO, _both("radio"), list(dict.fromkeys(["fp32", "bf16", *settings])), batches=False
    )
