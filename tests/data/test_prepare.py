"""One pass from questions to examples: what is missing is obtained once; a kill loses little."""

from __future__ import annotations

import math
import pickle
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal

import pytest

from data_modules import RationaleDataModule
from radio.cache import Cache
from radio.data.loading import Groups
from radio.encoders import Encoder
from radio.rationales import Failure, RationaleWriter, Request
from radio.retrievers import Precomputed
from radio.schema import InputError, Missing, Rationale
from radio.teachers import RationaleSimilarity
from tests import forked
from tests.conftest import ROOT, World, entries, read_jsonl, write_jsonl
from tests.data.test_module import WordOverlap, module


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


def test_a_teacher_outside_its_range_is_named(world: World) -> None:
    class Wrong(WordOverlap):
        def score(self, question: Any, rationale: Any, passages: Any) -> list[float]:
            return [2.0] * len(passages)

    with pytest.raises(
        InputError, match=r"Wrong\.score: found 2\.0, expected .* in \[0, 1\] .*'q-0-0'"
    ):
        module(world, teacher=Wrong()).prepare_data()


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
                answer = request.question.golden_answers[0]
                text = f"In fog {answer} has lit the lamp, so ships came home."
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


def press_ctrl_c() -> None:
    raise KeyboardInterrupt


class Interrupted(WordOverlap):
    """Comes to an end after some questions."""

    def __init__(self, patience: int, end: Callable[[], Any] = press_ctrl_c) -> None:
        super().__init__()
        self._patience = patience
        self._end = end

    def score(self, *given: Any) -> list[float]:
        if self._calls == self._patience:
            self._end()
        return super().score(*given)


@pytest.mark.parametrize(("part", "stored"), [(1, 5), (2, 4), (100, 0)])
def test_a_pass_that_was_stopped_goes_on_where_it_was(
    part: int, stored: int, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("radio.data.prepare.PART", part)
    total = sum(len(ids(world, split)) for split in ("train", "validation", "test"))
    with pytest.raises(KeyboardInterrupt):
        module(world, teacher=Interrupted(5)).prepare_data()
    later = Interrupted(total)
    module(world, teacher=later).prepare_data()
    assert later._calls == total - stored
    module(world, teacher=later).setup("fit")
    assert later._calls == total - stored


def test_a_killed_pass_loses_no_more_than_a_part(world: World) -> None:
    """In a process of its own, which dies as if its power was cut."""
    code = f"""
import os
from pathlib import Path
from radio.data import prepare
from tests.conftest import World
from tests.data.test_module import module
from tests.data.test_prepare import Interrupted

prepare.PART = 2
teacher = Interrupted(5, end=lambda: os._exit(9))
module(World(Path({str(world.folder)!r})), teacher=teacher).prepare_data()
"""
    run = forked.run([sys.executable, "-c", code], cwd=ROOT)
    assert run.returncode == 9
    data = module(world)
    stored = data.cache.query("SELECT COUNT(*) FROM entries WHERE kind = 'teacher'")
    assert next(stored) == (4,)


@pytest.mark.parametrize(
    ("reason", "lines"),
    [
        (
            Missing("candidates", "train", ["a", "b", "c", "d"], 9),
            [
                "candidates missing for 4 of 9 train questions: a, b, c, ...",
                "fill them with: radio prepare --config YOUR.yaml",
            ],
        ),
        (
            Missing("rationale", "train", ["a"], 2, "1 not there", otherwise="or drop it"),
            [
                "rationale missing for 1 of 2 train questions: a",
                "1 not there",
                "fill them with: radio prepare --config YOUR.yaml",
                "or drop it",
            ],
        ),
        (
            Missing("rationale", "train", ["a"], 2, "add its row", helps=False),
            ["rationale missing for 1 of 2 train questions: a", "add its row"],
        ),
        (
            Missing("questions", "test", why="no network"),
            [
                "questions missing for test",
                "no network",
                "fill them with: radio prepare --config YOUR.yaml",
            ],
        ),
    ],
    ids=["many", "otherwise", "no help", "no ids"],
)
def test_what_is_missing_says_what_where_and_how_to_obtain_it(
    reason: Missing, lines: list[str]
) -> None:
    assert str(reason).split("\n  ") == lines
    # as another process hands it over
    assert str(pickle.loads(pickle.dumps(reason))) == str(reason)


def test_setup_says_which_questions_lack_what(world: World) -> None:
    with pytest.raises(Missing) as caught:
        module(world).setup("fit")
    missing = caught.value
    found = (missing.what, missing.split, list(missing.ids), missing.total, missing.helps)
    train = ids(world, "train")
    assert found == ("candidates", "train", train, len(train), True)
    module(world, teacher=WordOverlap()).prepare_data()
    with pytest.raises(Missing, match="teacher scores missing for"):
        module(world, teacher=Interrupted(1)).setup("fit")
