"""Data modules: cached steps, splits, groups that are the same wherever they are drawn."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
import pytest

import data_modules
from data_modules import JsonlDataModule, MMLUDataModule, RationaleDataModule
from radio.data.loading import Groups
from radio.data.sharing import EpochSampler
from radio.rationales import Recorded
from radio.rerankers import CrossEncoder
from radio.retrievers import BM25
from radio.samplers import FullList, Iteration, Shift
from radio.schema import InputError, Passage, Question, Rationale, RetrievedPassage
from radio.teachers import Teacher
from tests.conftest import ROOT, World, read_jsonl


class WordOverlap(Teacher):
    """A teacher without a model: share of the rationale's words in the passage. Counts its
    calls."""

    def __init__(self) -> None:
        self._calls = 0

    def score(
        self, question: Question, rationale: Rationale | None, passages: Sequence[RetrievedPassage]
    ) -> list[float]:
        self._calls += 1
        words = set((rationale.text if rationale else "").split())
        return [len(words & set(p.contents.split())) / max(1, len(words)) for p in passages]


def module(world: World, **changes: Any) -> JsonlDataModule:
    files = {
        name: str(world.folder / f"{name}.jsonl")
        for name in ("train", "validation", "test", "corpus")
    }
    settings = {
        "retriever": BM25(),
        "rationales": Recorded(str(world.folder / "rationales.jsonl")),
        "teacher": WordOverlap(),
        "cache_dir": str(world.folder / "cache"),
        "train_candidates": 10,
    }
    return JsonlDataModule(**{**files, **settings, **changes})


def test_setup_reads_what_prepare_data_stored(world: World) -> None:
    first = module(world)
    first.prepare_data()
    assert first.teacher._calls > 0  # type: ignore[attr-defined]
    second = module(world)
    second.setup("fit")
    assert second.teacher._calls == 0  # type: ignore[attr-defined]
    assert {e.question.id for e in second.examples["train"]} == {
        r["id"] for r in read_jsonl(world.folder / "train.jsonl")
    }
    for example in second.examples["train"]:
        assert example.teacher is not None
        assert list(example.teacher) == [c.passage_id for c in example.candidates]
    third = module(world)
    third.prepare_data()
    assert third.teacher._calls == 0  # type: ignore[attr-defined]


def test_setup_without_prepare_names_the_command(world: World) -> None:
    with pytest.raises(InputError, match=r"candidates missing for .*\n.*radio prepare"):
        module(world).setup("fit")


def test_fitting_without_training_questions_says_so(world: World, tiny_bert: str) -> None:
    data = module(world, train=None)
    trainer = L.Trainer(accelerator="cpu", max_epochs=1, logger=False, enable_checkpointing=False)
    with pytest.raises(InputError, match="JsonlDataModule: there are no training questions"):
        trainer.fit(CrossEncoder(tiny_bert), datamodule=data)


@pytest.mark.parametrize(
    "sampler", [Shift(), Iteration(per_epoch=2), FullList(4)], ids=lambda s: type(s).__name__
)
def test_groups_depend_on_seed_epoch_and_question_only(world: World, sampler: Any) -> None:
    data = module(world, sampler=sampler)
    data.prepare_data()
    data.setup("fit")

    def drawn(seed: int, epoch: int, examples: list[Any]) -> dict[str, Any]:
        groups = Groups(examples, data.corpus, sampler, seed)
        return {e.question.id: groups[epoch, i] for i, e in enumerate(examples)}

    examples = data.examples["train"]
    assert drawn(0, 0, examples) == drawn(0, 0, examples[::-1])
    for group in (g for groups in drawn(0, 3, examples).values() for g in groups):
        teacher = dict(
            next(e.teacher for e in examples if e.question.id == group.question.id) or {}
        )
        assert list(group.teacher_scores) == [teacher[p.id] for p in group.passages]
        assert group.teacher_scores[0] == max(group.teacher_scores)
    if not isinstance(sampler, Shift):
        assert drawn(0, 0, examples) != drawn(0, 1, examples)
        assert drawn(0, 0, examples) != drawn(1, 0, examples)


def test_epoch_sampler_gives_every_rank_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    def ranks(size: int, count: int) -> list[list[tuple[int, int]]]:
        samplers = []
        for rank in range(count):
            sampler = EpochSampler(size, seed=5, shuffle=True)
            sampler.ranks, sampler.rank = count, rank
            sampler.set_epoch(2)
            samplers.append(list(sampler))
        return samplers

    (alone,) = ranks(7, 1)
    assert sorted(alone) == [(2, i) for i in range(7)]
    shares = ranks(7, 2)
    assert [len(share) for share in shares] == [4, 4]
    assert {item for share in shares for item in share} == set(alone)
    assert ranks(1, 3) == [[(2, 0)]] * 3


def test_a_dataset_is_two_methods(tmp_path: Path) -> None:
    class Mine(RationaleDataModule):
        def questions(self, split: str) -> list[Question]:
            return [Question(f"{split}-q", f"what about {split}?", ("alpha",))]

        def passages(self) -> list[Passage]:
            return [Passage(str(i), f"alpha {i} what about it") for i in range(6)]

    class Fixed(Teacher):
        needs_rationale = False

        def score(self, question: Any, rationale: Any, passages: Any) -> list[float]:
            return [1 / (1 + int(p.id)) for p in passages]

    data = Mine(retriever=BM25(), teacher=Fixed(), cache_dir=str(tmp_path))
    data.prepare_data()
    data.setup("fit")
    assert {split: len(examples) for split, examples in data.examples.items()} == {
        "train": 1,
        "validation": 1,
        "test": 1,
    }


def test_only_the_command_line_imports_data_modules() -> None:
    for path in (ROOT / "src/radio").rglob("*.py"):
        names = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names.add(node.module or "")
        imported = any(name.split(".")[0] == "data_modules" for name in names)
        assert imported == (path.name in ("cli.py", "diagnose.py")), path


def test_a_data_module_says_its_task(world: World, tmp_path: Path) -> None:
    assert module(world).task == "open_qa"
    assert module(world, task="multi_hop").task == "multi_hop"
    mine = MMLUDataModule(str(tmp_path), cache_dir=str(tmp_path), retriever=BM25())
    assert mine.task == "multiple_choice"
    with pytest.raises(InputError, match="task: found 'choice', expected one of open_qa, "):
        module(world, task="choice")


def test_tasks_of_the_shipped_data_modules() -> None:
    kinds = [getattr(data_modules, name) for name in data_modules.__all__]
    found = {kind.dataset: kind.task for kind in kinds if getattr(kind, "dataset", "")}
    others = {name: task for name, task in found.items() if task != "open_qa"}
    assert others == {
        "mmlu": "multiple_choice",
        "fever": "fact_verification",
        "musique": "multi_hop",
        "hotpotqa": "multi_hop",
        "2wikimultihopqa": "multi_hop",
    }
