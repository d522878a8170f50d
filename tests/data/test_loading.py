"""Loaders: hard negatives follow the reranker, and the number of processes changes no group."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch

from radio.corpus import DiskCorpus
from radio.data.loading import CandidatePassages, Groups, ahead
from radio.losses import ListNet
from radio.rerankers import CrossEncoder
from radio.samplers import HardNegatives, MultiPositive
from radio.schema import Candidate, Example, Passage, Question
from radio.trainer import RadioTrainer
from tests import forked
from tests.conftest import PATIENCE, World, make_world, read_jsonl
from tests.data.test_module import module

MARGIN = 0.01


class Watch(L.Callback):
    """Notes the groups of each epoch, and at its end how the reranker scores all candidates, one by
    one."""

    def __init__(self) -> None:
        self.groups: dict[int, dict[str, list[str]]] = {}
        self.scores: dict[int, dict[str, dict[str, float]]] = {}

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: Any, batch: Any, batch_idx: int
    ) -> None:
        assert all(part.training for part in pl_module.modules())
        groups = self.groups.setdefault(trainer.current_epoch, {})
        groups.update(zip(batch.question_ids, batch.passage_ids, strict=True))

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        everything = Groups(data.examples["train"], data.corpus, None, 0)
        scores = self.scores.setdefault(trainer.current_epoch, {})
        pl_module.eval()
        for i in range(len(everything)):
            batch = pl_module.collate(everything[0, i])
            with torch.no_grad():
                row = pl_module(batch)[0].tolist()
            scores[batch.question_ids[0]] = dict(zip(batch.passage_ids[0], row, strict=True))
        pl_module.train()


@pytest.mark.parametrize("workers", [0, 1])
def test_hard_negatives_follow_the_scores_after_the_epoch_before(
    world: World, tiny_bert: str, workers: int
) -> None:
    L.seed_everything(0)
    watch = Watch()
    reranker = CrossEncoder(
        tiny_bert, loss=ListNet(teacher_temperature=0.1), lr=3e-3, max_length=48, dropout=0.1
    )
    data = module(world, sampler=HardNegatives(2, margin=MARGIN), batch_size=2, num_workers=workers)
    trainer = RadioTrainer(
        accelerator="cpu",
        # in bf16 the order of near ties depends on what else is in the batch
        precision="32-true",
        max_epochs=3,
        callbacks=[watch],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(reranker, datamodule=data)
    teacher = {e.question.id: dict(e.teacher or {}) for e in data.examples["train"]}
    assert set(watch.groups[0]) == set(teacher)
    for epoch in (1, 2):
        for question, group in watch.groups[epoch].items():
            target, student = teacher[question], watch.scores[epoch - 1][question]
            outside = [p for p, score in target.items() if max(target.values()) - score > MARGIN]
            assert target[group[0]] == max(target.values())
            assert group[1:] == sorted(outside, key=lambda p: -student[p])[:2]
    assert watch.groups[0] != watch.groups[1] != watch.groups[2]


def test_a_group_begins_with_the_positives_and_keeps_a_negative(world: World) -> None:
    data = module(world)
    data.prepare_data()
    data.setup("fit")
    examples = data.examples["train"]
    targets = sorted((examples[0].teacher or {}).values(), reverse=True)
    (group,) = Groups(examples, data.corpus, MultiPositive(2, 3), 0)[0, 0]
    assert list(group.teacher_scores[:2]) == targets[:2]
    assert len(group.passages) == 5
    (group,) = Groups(examples, data.corpus, MultiPositive(99, 3), 0)[0, 0]
    assert list(group.teacher_scores) == targets
    (group,) = Groups(examples, data.corpus, None, 0)[0, 0]
    ids = [passage.id for passage in group.passages]
    assert ids == [candidate.passage_id for candidate in examples[0].candidates]


DIARY = '''
import json
import lightning as L

class Diary(L.Callback):
    """Each process writes the groups that it trains on."""

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        with open(f"{trainer.default_root_dir}-{trainer.global_rank}.jsonl", "a") as file:
            for question, passages in zip(batch.question_ids, batch.passage_ids):
                file.write(json.dumps([trainer.current_epoch, question, passages]) + "\\n")
'''


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["TopVsRandom", "HardNegatives"])
def test_one_or_two_processes_draw_the_same_groups(
    tiny_run: list[str], tmp_path: Path, sampler: str
) -> None:
    make_world(tmp_path / "world", topics=13)
    (tmp_path / "diary.py").write_text(DIARY)
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(tmp_path)}
    found = []
    for processes in (1, 2):
        arguments = [
            *(
                "--name",
                str(processes),
                "--data.init_args.batch_size",
                "2",
                "--trainer.max_epochs",
                "2",
            ),
            *(
                "--data.init_args.sampler",
                sampler,
                "--data.init_args.sampler.init_args.negatives",
                "2",
            ),
            # the weights stay as they are: those of two processes would see other batches
            *(
                "--model.init_args.lr",
                "0",
                "--trainer.callbacks+",
                "diary.Diary",
                "--test_after_fit",
                "false",
            ),
            *(
                "--trainer.devices",
                str(processes),
                "--trainer.strategy",
                "ddp" if processes > 1 else "auto",
            ),
        ]
        command = [sys.executable, "-m", "radio", "fit", *tiny_run, *arguments]
        done = forked.run(command, cwd=tmp_path, env=environment, timeout=PATIENCE)
        assert done.returncode == 0, done.stdout + done.stderr
        files = [tmp_path / f"runs/{processes}-{rank}.jsonl" for rank in range(processes)]
        found.append({json.dumps(row) for file in files for row in read_jsonl(file)})
    questions = {row["id"] for row in read_jsonl(tmp_path / "world/train.jsonl")}
    assert len(found[0]) == 2 * len(questions)
    assert found[0] == found[1]


def test_the_next_batch_is_made_while_one_is_trained_on() -> None:
    made: list[tuple[int, bool]] = []
    second = threading.Event()

    def batches() -> Iterator[int]:
        for n in range(4):
            made.append((n, threading.current_thread() is threading.main_thread()))
            if n == 1:
                second.set()
            yield n

    found = []
    for batch in ahead(batches()):
        assert second.wait(PATIENCE), "the second batch is there before the first step has ended"
        found.append(batch)
    assert found == [0, 1, 2, 3]
    assert made == [(n, False) for n in range(4)]


def test_an_error_in_making_a_batch_reaches_the_loop() -> None:
    def batches() -> Iterator[int]:
        yield 1
        raise ValueError("no such passage")

    found = []
    with pytest.raises(ValueError, match="no such passage"):
        found.extend(ahead(batches()))
    assert found == [] or found == [1]


def test_texts_of_candidates_are_read_when_they_are_asked_for() -> None:
    read: list[str] = []

    class Corpus(dict[str, Passage]):
        def __getitem__(self, identifier: str) -> Passage:
            read.append(identifier)
            return super().__getitem__(identifier)

    corpus = Corpus({name: Passage(name, f"text {name}") for name in "abcd"})
    examples = []
    for number, names in enumerate(("ab", "bc", "")):
        candidates = tuple(Candidate(name, rank, 0.0) for rank, name in enumerate(names))
        examples.append(Example(Question(f"q{number}", "?"), candidates))
    shown = CandidatePassages(examples, corpus)
    assert list(shown) == ["a", "b", "c"]
    assert len(shown) == 3
    assert read == []
    assert shown["b"] == Passage("b", "text b")
    assert read == ["b"]
    # in the corpus, but of another split
    with pytest.raises(KeyError, match="d"):
        shown["d"]
    assert dict(shown) == {name: corpus[name] for name in "abc"}


def test_a_loader_reads_no_text_for_a_reranker_that_keeps_none(
    world: World, tiny_bert: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = module(world)
    data.prepare_data()
    data.setup("validate")
    trainer = RadioTrainer(accelerator="cpu", logger=False, enable_progress_bar=False)
    trainer.strategy.connect(CrossEncoder(tiny_bert, loss=ListNet()))
    data.trainer = trainer
    monkeypatch.setattr(DiskCorpus, "__getitem__", lambda *_: pytest.fail("a text was read"))
    assert len(data.val_dataloader()) == 1
