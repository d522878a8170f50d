"""Every reranker on two processes: they train what one process trains on the same batches."""

from __future__ import annotations

import json
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

import radio.rerankers
from radio.losses import BinaryCrossEntropy
from radio.rerankers import BiEncoder, CrossEncoder, LateInteraction, LoRA, Reranker, YesNoLM
from radio.samplers import FullList
from radio.trainer import RadioTrainer
from tests import forked
from tests.conftest import PATIENCE, ROOT, World, make_world
from tests.data.test_module import module
from tests.rerankers.test_yes_no import make_decoder
from tests.several import environment

STEPS = 2
RATE = 3e-3


@dataclass(frozen=True)
class Case:
    """A reranker as it is trained."""

    reranker: Callable[..., Reranker]
    model: str = "bert"
    """Which of the tiny ones."""
    arguments: dict[str, Any] = field(default_factory=dict)


CASES = {
    "cross-encoder": Case(CrossEncoder),
    "cross-encoder with adapters": Case(CrossEncoder, arguments={"lora": LoRA(r=2)}),
    "cross-encoder, partly frozen": Case(CrossEncoder, arguments={"freeze": ["embeddings"]}),
    "bi-encoder": Case(BiEncoder),
    "bi-encoder of dot products": Case(BiEncoder, arguments={"similarity": "dot", "scale": 1.0}),
    "question side": Case(BiEncoder, arguments={"train_side": "question", "multi_vector": 0.5}),
    "late interaction": Case(LateInteraction, arguments={"query_tokens": 24, "dim": 8}),
    "yes or no": Case(YesNoLM, "qwen3", {"max_length": 320}),
    "yes or no with adapters": Case(
        YesNoLM,
        "gemma",
        {
            "max_length": 320,
            "prompt": "gemma",
            "gradient_checkpointing": True,
            "lora": LoRA(r=4),
        },
    ),
}


def train(folder: Path, models: dict[str, str], processes: int) -> None:
    """Train all rerankers one after another, as one of so many processes; the first one writes
    their weights into ``FOLDER/PROCESSES``."""
    torch.set_num_threads(1)
    for name, case in CASES.items():
        L.seed_everything(3)
        arguments: dict[str, Any] = {"max_length": 48, **case.arguments}
        reranker = case.reranker(
            models[case.model],
            # one that sees where scores lie: else the gradient of a head's bias is but rounding
            loss=BinaryCrossEntropy(),
            lr=RATE,
            dropout=0.0,
            **arguments,
        )
        data = module(
            World(folder / "world"),
            sampler=FullList(3),
            batch_size=4 // processes,
            num_workers=0,
        )
        trainer = RadioTrainer(
            accelerator="cpu",
            precision="32-true",
            strategy="ddp" if processes > 1 else "auto",
            devices=processes,
            max_steps=STEPS,
            limit_val_batches=0,
            callbacks=[FirstGradients(folder / f"{processes}/{name}, gradients")],
            default_root_dir=folder,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(reranker, datamodule=data)
        assert trainer.world_size == processes
        assert trainer.global_step == STEPS
        if trainer.is_global_zero:
            keep(dict(reranker.named_parameters()), folder / f"{processes}/{name}, weights")


class FirstGradients(L.Callback):
    """Keeps the gradients of the first step: Adam's step does not tell how large they are."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_before_optimizer_step(
        self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        if trainer.is_global_zero and trainer.global_step == 0:
            named = pl_module.named_parameters()
            keep(
                {name: weight.grad for name, weight in named if weight.grad is not None}, self.path
            )


def keep(tensors: dict[str, Tensor], path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    save_file({name: tensor.detach().clone() for name, tensor in tensors.items()}, path)


def test_all_rerankers_are_in_the_table() -> None:
    shipped = {
        value
        for value in vars(radio.rerankers).values()
        if isinstance(value, type) and issubclass(value, Reranker) and value is not Reranker
    }
    assert {case.reranker for case in CASES.values()} == shipped


@pytest.mark.slow
def test_every_reranker_is_trained_by_two_processes_as_by_one(
    tiny_bert: str, tmp_path: Path
) -> None:
    make_world(tmp_path / "world", topics=6)
    models = {kind: make_decoder(tmp_path / kind, kind) for kind in ("qwen3", "gemma")}
    models["bert"] = tiny_bert
    train(tmp_path, models, 1)
    run_both(tmp_path, models)
    for name in CASES:
        # of a step of Adam, which is as large as the rate however small the gradient is
        assert difference(tmp_path, f"{name}, weights") < RATE / 4, name
        assert difference(tmp_path, f"{name}, gradients") < 1e-4, name


def difference(folder: Path, name: str) -> float:
    """The largest one between one process and two."""
    one, two = (load_file(folder / f"{processes}/{name}") for processes in (1, 2))
    assert two.keys() == one.keys()
    assert max(tensor.abs().max() for tensor in one.values()) > 1e-3, name
    return max((two[part] - one[part]).abs().max().item() for part in one)


def run_both(folder: Path, models: dict[str, str]) -> None:
    """:func:`train` in two processes, told of each other as torchrun does it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code = "\n".join(
        [
            "from pathlib import Path",
            f"from {__name__} import train",
            f"train(Path({str(folder)!r}), {json.dumps(models)}, 2)",
        ]
    )
    processes, paths = [], []
    for rank in ("0", "1"):
        place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
        place |= {"RANK": rank, "LOCAL_RANK": rank, "GROUP_RANK": "0", "LOCAL_WORLD_SIZE": "2"}
        place |= {"TORCHELASTIC_RUN_ID": "rerankers"}
        paths.append(folder / f"output{rank}")
        with paths[-1].open("wb") as output:
            processes.append(
                forked.Forked(
                    [sys.executable, "-c", code],
                    cwd=ROOT,
                    env=environment(ROOT, **place),
                    stdout=output.fileno(),
                    stderr=output.fileno(),
                )
            )
    try:
        statuses = [process.wait(PATIENCE) for process in processes]
    finally:
        for process in processes:
            process.send_signal(signal.SIGKILL)
    assert statuses == [0, 0], "\n".join(path.read_text() for path in paths)
