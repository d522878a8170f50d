"""Data modules: cached steps, splits, groups that are the same wherever they are drawn."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import lightning as L
import pytest

from data_modules import JsonlDataModule, RationaleDataModule
from radio.cache import Cache
from radio.data.loading import EpochSampler, Groups
from radio.encoders import Encoder
from radio.rationales import Failure, RationaleWriter, Recorded, Request
from radio.rerankers import CrossEncoder
from radio.retrievers import BM25, Precomputed
from radio.samplers import FullList, Iteration, Shift
from radio.schema import InputError, Passage, Question, Rationale, RetrievedPassage
from radio.teachers import RationaleSimilarity, Teacher
from tests.conftest import ROOT, World, entries, read_jsonl, write_jsonl


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


def test_a_changed_passage_rationale_or_teacher_is_not_taken_from_the_cache(world: World) -> None:
    module(world).prepare_data()
    rows = read_jsonl(world.folder / "rationales.jsonl")
    write_jsonl(
        world.folder / "rationales.jsonl", [{**rows[0], "rationale": "captain0 again"}, *rows[1:]]
    )
    changed = module(world)
    changed.prepare_data()
    assert changed.teacher._calls == 1  # type: ignore[attr-defined]
    passages = read_jsonl(world.folder / "corpus.jsonl")
    write_jsonl(
        world.folder / "corpus.jsonl", [{**passages[0], "contents": "new text"}, *passages[1:]]
    )
    with pytest.raises(InputError, match="candidates missing"):
        module(world).setup("fit")


def test_questions_without_a_rationale_are_an_error_or_left_out_by_choice(world: World) -> None:
    rows = read_jsonl(world.folder / "rationales.jsonl")
    write_jsonl(world.folder / "rationales.jsonl", rows[1:])
    with pytest.raises(InputError, match=f"rationale missing for 1 of .*{rows[0]['id']}"):
        module(world).prepare_data()
    dropped = module(world, missing_rationales="drop")
    dropped.prepare_data()
    dropped.setup("fit")
    assert rows[0]["id"] not in {e.question.id for e in dropped.examples["train"]}
    write_jsonl(world.folder / "rationales.jsonl", [])
    with pytest.raises(InputError, match="rationale missing for"):
        module(world, missing_rationales="drop").prepare_data()


def test_questions_of_which_the_teacher_prefers_nothing_are_kept_or_left_out_by_choice(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    train = read_jsonl(world.folder / "train.jsonl")
    rows = read_jsonl(world.folder / "rationales.jsonl")

    def trained(indifferent: Sequence[str], **changes: Any) -> set[str]:
        kept = [
            {**r, "rationale": "zzz" if r["id"] in indifferent else r["rationale"]} for r in rows
        ]
        write_jsonl(world.folder / "rationales.jsonl", kept)
        data = module(world, rationale_filters=(), **changes)
        data.prepare_data()
        data.setup("fit")
        return {e.question.id for e in data.examples["train"]}

    ids = {r["id"] for r in train}
    assert trained([train[0]["id"]]) == ids
    assert trained([train[0]["id"]], tied_questions="drop") == ids - {train[0]["id"]}
    assert f"train: 1 of {len(ids)} questions have all candidates tied" in caplog.text
    with pytest.raises(InputError, match="scores all candidates of every question alike"):
        trained(sorted(ids), tied_questions="drop")


def test_evaluation_questions_need_no_rationale(world: World) -> None:
    train = {r["id"] for r in read_jsonl(world.folder / "train.jsonl")}
    rows = [r for r in read_jsonl(world.folder / "rationales.jsonl") if r["id"] in train]
    write_jsonl(world.folder / "rationales.jsonl", rows)
    data = module(world)
    data.prepare_data()
    data.setup("fit")
    assert all(e.teacher is None for e in data.examples["test"])
    groups = Groups(data.examples["test"], data.corpus, None, 0)[0, 0]
    assert all(math.isnan(score) for score in groups[0].teacher_scores)


def test_max_questions_takes_the_first_ones(world: World) -> None:
    data = module(world, max_questions={"train": 3})
    data.prepare_data()
    data.setup("fit")
    assert [e.question.id for e in data.examples["train"]] == [
        r["id"] for r in read_jsonl(world.folder / "train.jsonl")[:3]
    ]
    with pytest.raises(InputError, match="max_questions"):
        module(world, max_questions={"dev": 3})


def test_an_id_names_one_question_of_all_splits(world: World) -> None:
    rows = read_jsonl(world.folder / "test.jsonl")
    known = read_jsonl(world.folder / "train.jsonl")[0]["id"]
    write_jsonl(world.folder / "test.jsonl", [{**rows[0], "id": known}, *rows[1:]])
    with pytest.raises(
        InputError, match=f"question id '{known}' stands twice, in train and in test"
    ):
        module(world).prepare_data()


def test_what_two_splits_share_is_an_error_or_left_out_of_the_earlier_one(world: World) -> None:
    train, test = (read_jsonl(world.folder / f"{name}.jsonl") for name in ("train", "test"))
    shared = [
        {**row, "id": f"copy-{row['id']}", "question": row["question"].upper() + "?"}
        for row in train[:2]
    ]
    # the same words, but other choices to choose from
    other = {**train[2], "id": "other", "choices": ["a", "b"]}
    write_jsonl(world.folder / "test.jsonl", [*test, *shared, other])
    with pytest.raises(
        InputError, match=r"the same question is in two splits: '.*' in train and 'copy-.*' in test"
    ):
        module(world).prepare_data()
    data = module(world, overlapping_questions="drop")
    assert [q.id for q in data.split_questions("train")] == [row["id"] for row in train[2:]]
    assert len(data.split_questions("test")) == len(test) + 3


def test_fitting_without_training_questions_says_so(world: World, tiny_bert: str) -> None:
    data = module(world, train=None)
    trainer = L.Trainer(accelerator="cpu", max_epochs=1, logger=False, enable_checkpointing=False)
    with pytest.raises(InputError, match="JsonlDataModule: there are no training questions"):
        trainer.fit(CrossEncoder(tiny_bert), datamodule=data)


def test_a_teacher_outside_its_range_is_named(world: World) -> None:
    class Wrong(WordOverlap):
        def score(self, question: Any, rationale: Any, passages: Any) -> list[float]:
            return [2.0] * len(passages)

    with pytest.raises(
        InputError, match=r"Wrong\.score: found 2\.0, expected .* in \[0, 1\] .*'q-0-0'"
    ):
        module(world, teacher=Wrong()).prepare_data()


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


def test_distinct_passages_are_embedded_once(world: World, tiny_bert: str) -> None:
    teacher = RationaleSimilarity(Encoder(tiny_bert, max_length=48))
    data = module(world, teacher=teacher)
    data.prepare_data()
    distinct = {
        c.passage_id
        for split in ("train", "validation", "test")
        for e in _examples(data, split)
        for c in e
    }
    rationales = len(read_jsonl(world.folder / "rationales.jsonl"))
    assert entries(data.cache)["embedding"] == len(distinct) + rationales


def _examples(data: RationaleDataModule, split: str) -> Iterable[Any]:
    data.setup("fit")
    return [e.candidates for e in data.examples[split]]


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
        assert imported == (path.name in {"cli.py", "mistakes.py"}), path


class Rows(RationaleWriter):
    """Writes what it is told, and remembers the questions that it was asked and the passages that
    it was shown."""

    def __init__(self, outcomes: dict[str, str] | None = None, shown: int = 0) -> None:
        self._outcomes = outcomes or {}
        self._asked: list[str] = []
        self._shown: list[int] = []
        self.passages_shown = shown

    def write(self, requests: Sequence[Request], cache: Cache) -> Iterator[Rationale | Failure]:
        for request in requests:
            question = request.question.id
            self._asked.append(question)
            self._shown.append(len(request.passages))
            outcome = self._outcomes.get(question, "written")
            if outcome == "failed":
                yield Failure(question, "the line was cut")
            else:
                text = f"In fog {request.question.golden_answers[0]} has lit the lamp, so ships came home."
                yield Rationale(question, "" if outcome == "refused" else text, outcome=outcome)


def ids(world: World, split: str) -> list[str]:
    return [row["id"] for row in read_jsonl(world.folder / f"{split}.jsonl")]


def test_only_the_chosen_splits_are_written(world: World) -> None:
    writer = Rows()
    module(world, rationales=writer, rationale_splits=["train"]).prepare_data()
    assert sorted(writer._asked) == sorted(ids(world, "train"))
    module(world, rationales=writer).prepare_data()
    assert sorted(writer._asked) == sorted(
        ids(world, "train") + ids(world, "validation") + ids(world, "test")
    )
    with pytest.raises(
        InputError, match="rationale_splits: found dev, expected some of train, validation, test"
    ):
        module(world, rationale_splits=["dev"])


def test_candidates_are_shown_to_a_writer_that_wants_them(world: World) -> None:
    writer = Rows(shown=2)
    data = module(world, rationales=writer)
    data.prepare_data()
    assert set(writer._shown) == {2}
    data.setup("fit")
    assert all(e.teacher for e in data.examples["train"])


def test_what_failed_is_listed_and_asked_for_again(world: World) -> None:
    first = ids(world, "train")[0]
    data = module(world, rationales=Rows({first: "failed"}))
    with pytest.raises(InputError, match=f"rationale missing for 1 of .*{first}"):
        data.prepare_data()
    failures = data.cache.path.parent / "failures.jsonl"
    assert read_jsonl(failures) == [{"id": first, "error": "the line was cut"}]
    writer = Rows()
    module(world, rationales=writer).prepare_data()
    assert writer._asked == [first]
    assert not failures.exists()


@pytest.mark.parametrize(("outcome", "check"), [("refused", "refusal"), ("truncated", "truncated")])
def test_rationales_that_fail_a_check_do_not_teach(outcome: str, check: str, world: World) -> None:
    first = ids(world, "train")[0]
    writer = Rows({first: outcome})
    with pytest.raises(InputError, match="rationale missing for 1 of"):
        module(world, rationales=writer).prepare_data()
    data = module(world, rationales=writer, missing_rationales="drop")
    data.prepare_data()
    data.setup("fit")
    assert writer._asked.count(first) == 1, "it has been answered"
    assert first not in {e.question.id for e in data.examples["train"]}
    # what was refused has no text, and so names no answer either
    others = [name for name in ("truncated", "refusal") if name != check]
    kept = module(world, rationales=writer, rationale_filters=others)
    kept.prepare_data()
    kept.setup("fit")
    assert first in {e.question.id for e in kept.examples["train"]}
    with pytest.raises(
        InputError, match="rationale_filters: found lies, expected some of empty, refusal"
    ):
        module(world, rationale_filters=["lies"])


@pytest.mark.parametrize(
    ("injected", "kept"), [("never", ()), ("train", ("train",)), ("always", ("train", "test"))]
)
def test_candidates_put_in_by_hand_are_kept_where_asked(
    world: World, injected: Literal["never", "train", "always"], kept: tuple[str, ...]
) -> None:
    rows = [
        row
        for split in ("train", "validation", "test")
        for row in read_jsonl(world.folder / f"{split}.jsonl")
    ]
    ids = [row["id"] for row in read_jsonl(world.folder / "corpus.jsonl")][:4]
    entries = [
        {"id": i, "score": -n, "from": ["gold"] if n == 1 else ["bm25"]} for n, i in enumerate(ids)
    ]
    write_jsonl(
        world.folder / "candidates.jsonl",
        [{"id": row["id"], "candidates": entries} for row in rows],
    )
    data = module(
        world,
        injected=injected,
        retriever=Precomputed(str(world.folder / "candidates.jsonl")),
        eval_candidates=3,
    )
    data.prepare_data()
    data.setup("fit")
    for split in ("train", "test"):
        expected = ids if split in kept else [ids[0], *ids[2:]]
        for example in data.examples[split]:
            assert [c.passage_id for c in example.candidates] == expected
            assert [c.rank for c in example.candidates] == list(range(len(expected)))
