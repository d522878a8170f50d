"""Answers of a generator: asked once, stored as they come, and lost by no kill."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from radio.cache import Cache
from radio.generators import Answer, Generator, Prompt, ask
from radio.generators.base import TOGETHER
from radio.llm.base import Failure
from radio.schema import InputError, Passage, Question
from tests import forked
from tests.conftest import ROOT


class Parrot(Generator):
    """Answers with the first passage, and dies after so many calls of :meth:`answer`."""

    def __init__(self, lives: int = 1000) -> None:
        self._lives = lives
        self._asked: list[str] = []

    def answer(self, prompts: Sequence[Prompt]) -> list[str]:
        if not self._lives:
            os.kill(os.getpid(), signal.SIGKILL)
        self._lives -= 1
        self._asked += [prompt.question.id for prompt in prompts]
        return [prompt.passages[0].contents for prompt in prompts]


class Silent(Generator):
    def answer(self, prompts: Sequence[Prompt]) -> list[str]:
        return ["" if prompt.question.id != "q0" else "Ada" for prompt in prompts]


def prompts(count: int) -> list[Prompt]:
    made = []
    for number in range(count):
        question = Question(f"q{number}", f"Who lit lamp {number}?", ("Ada",))
        made.append(Prompt(question, (Passage("p", f"Ada {number}"),)))
    return made


def texts(results: Sequence[Answer | Failure]) -> list[str]:
    found = []
    for result in results:
        assert isinstance(result, Answer)
        found.append(result.text)
    return found


def rows(folder: Path) -> list[dict[str, str]]:
    return [row for _, row in Cache(folder / "radio.sqlite").items_json("answer")]


def test_each_prompt_is_asked_once_and_the_answers_are_in_its_order(tmp_path: Path) -> None:
    cache, parrot = Cache(tmp_path / "radio.sqlite"), Parrot()
    asked = prompts(3)
    assert texts(ask(parrot, [asked[1], asked[0], asked[1]], cache)) == ["Ada 1", "Ada 0", "Ada 1"]
    assert texts(ask(parrot, asked, cache)) == ["Ada 0", "Ada 1", "Ada 2"]
    assert parrot._asked == ["q1", "q0", "q2"]
    row = next(row for row in rows(tmp_path) if row["id"] == "q2")
    assert row == {
        "id": "q2",
        "question": "Who lit lamp 2?",
        "answer": "Ada 2",
        "model": "Parrot",
    }


def test_what_is_needed_is_prepared_once_for_all_that_is_missing(tmp_path: Path) -> None:
    class Reader(Parrot):
        def prefetch(self, prompts: Sequence[Prompt], cache: Cache) -> None:
            self._asked.append(f"prefetch {len(prompts)}")

    cache, reader = Cache(tmp_path / "radio.sqlite"), Reader()
    ask(reader, prompts(1), cache)
    ask(reader, prompts(TOGETHER + 9), cache)
    assert [name for name in reader._asked if "prefetch" in name] == ["prefetch 1", "prefetch 40"]


def test_answers_that_are_there_need_a_cache_that_can_be_read_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = Cache(tmp_path / "radio.sqlite")
    ask(Parrot(), prompts(3), cache)
    monkeypatch.setattr("filelock.FileLock", None)
    assert texts(ask(Parrot(lives=0), prompts(3), cache)) == ["Ada 0", "Ada 1", "Ada 2"]


def test_a_damaged_answer_is_named(tmp_path: Path) -> None:
    cache, asked = Cache(tmp_path / "radio.sqlite"), prompts(1)
    cache.put_json("answer", {Parrot().key(asked[0]): {"answer": None}})
    with pytest.raises(InputError, match=r"\(answer\) is damaged \(TypeError: expected a text"):
        ask(Parrot(), asked, cache)


def test_kill_9_loses_no_answer_that_was_given(tmp_path: Path) -> None:
    process = forked.run([sys.executable, "-m", __name__, str(tmp_path)], cwd=ROOT)
    assert process.returncode == -signal.SIGKILL, process.stderr
    assert len(rows(tmp_path)) == 2 * TOGETHER
    parrot = Parrot()
    answers = texts(ask(parrot, prompts(100), Cache(tmp_path / "radio.sqlite")))
    assert answers == [f"Ada {number}" for number in range(100)]
    assert parrot._asked == [f"q{number}" for number in range(2 * TOGETHER, 100)]


def test_a_generator_that_mostly_answers_nothing_is_a_warning_with_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = [Prompt(Question(f"q{n}", f"Who lit lamp {n}?", ("Ada",)), ()) for n in range(12)]
    cache = Cache(tmp_path / "radio.sqlite")
    match = (
        r"Silent: 11 of 12 answers are empty.*radio cache prune --kind answer --outcome empty --yes"
    )
    with pytest.warns(UserWarning, match=match):
        answers = texts(ask(Silent(), asked, cache))
    assert answers == ["Ada", *[""] * 11]
    assert "such answers are kept" not in capsys.readouterr().err


class Clerk(Generator):
    """Replies to some prompts in detail, fails with others, and leaves out the rest."""

    def __init__(self, failing: Sequence[str] = (), left_out: Sequence[str] = ()) -> None:
        self._failing, self._left_out = failing, left_out
        self._asked: list[str] = []
        self._limit = 5

    def answer(self, prompts: Sequence[Prompt]) -> list[str]:
        raise NotImplementedError

    def replies(
        self, prompts: Mapping[str, Prompt], cache: Cache
    ) -> Iterator[tuple[str, Answer | Failure]]:
        for key, prompt in reversed(prompts.items()):
            name = prompt.question.id
            if name in self._left_out:
                continue
            self._asked.append(name)
            if name in self._failing:
                yield key, Failure(name, "500")
            else:
                outcome = "truncated" if name == "q1" else "written"
                usage = {"input": 9, "output": self._limit}
                yield key, Answer(f" {name}\ud800", outcome, usage, 0.5, 0.01, 2, 3)

    def outdated(self, answer: Answer) -> bool:
        return answer.outcome == "truncated" and answer.usage["output"] < self._limit

    def estimate(self, prompts: Mapping[str, Prompt]) -> str:
        return f"{len(prompts)} cents"

    def hint(self) -> str:
        return "stopped at max_cost"


def test_an_answer_is_kept_with_all_that_is_known_of_it(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "radio.sqlite")
    kept = Answer(" q0\ufffd", "written", {"input": 9, "output": 5}, 0.5, 0.01, 2, 3)
    assert ask(Clerk(), prompts(1), cache) == [kept]
    assert ask(Clerk(), prompts(1), cache) == [replace(kept, cached=True)]


def test_a_failure_is_named_in_its_place_and_asked_again_by_the_next_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache, asked = Cache(tmp_path / "radio.sqlite"), prompts(4)
    first = ask(Clerk(failing=["q2"], left_out=["q0"]), [*asked, asked[2]], cache)
    assert [result for result in first if isinstance(result, Failure)] == [
        Failure("q0", "stopped at max_cost"),
        Failure("q2", "500"),
        Failure("q2", "500"),
    ]
    said = capsys.readouterr().err
    assert "generator: 4 of 4 missing; 4 cents" in said
    assert "1 failed" in said
    again = Clerk()
    assert not any(isinstance(result, Failure) for result in ask(again, asked, cache))
    assert sorted(again._asked) == ["q0", "q2"]


def test_what_was_cut_off_under_a_lower_limit_is_asked_again(tmp_path: Path) -> None:
    cache, clerk = Cache(tmp_path / "radio.sqlite"), Clerk()
    ask(clerk, prompts(2), cache)
    ask(clerk, prompts(2), cache)
    assert clerk._asked == ["q1", "q0"]
    clerk._limit = 6
    (_, longer) = ask(clerk, prompts(2), cache)
    assert clerk._asked == ["q1", "q0", "q1"]
    assert isinstance(longer, Answer)
    assert not longer.cached


def test_an_answer_of_before_there_was_more_to_keep_is_as_good(tmp_path: Path) -> None:
    cache, asked = Cache(tmp_path / "radio.sqlite"), prompts(1)
    row = {"id": "q0", "question": "?", "answer": "Ada", "model": "Parrot"}
    cache.put_json("answer", {Parrot().key(asked[0]): row})
    assert ask(Parrot(lives=0), asked, cache) == [Answer("Ada", cached=True)]


if __name__ == "__main__":
    ask(Parrot(lives=2), prompts(100), Cache(Path(sys.argv[1]) / "radio.sqlite"))
