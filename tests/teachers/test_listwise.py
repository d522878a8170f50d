"""Orders by a language model: sliding windows against an oracle, repair that is counted, and no
call that is paid for twice."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from radio.cache import Cache
from radio.llm.anthropic import AnthropicModel
from radio.llm.base import LanguageModel, Reply
from radio.llm.openai import OpenAIModel
from radio.schema import InputError, RetrievedPassage
from radio.teachers import Lesson, Listwise, checked_scores, needs
from radio.teachers.listwise import permutation
from tests.conftest import entries
from tests.llm_server import serve
from tests.llm_wire import KEY
from tests.teachers.cases import QUESTION, RATIONALE
from tests.teachers.judges import Judge, by_worth, lesson, worths


def scored(teacher: Listwise, work: Sequence[Lesson], cache: Cache) -> list[list[float]]:
    return list(checked_scores(teacher, work, cache))


def oracle(numbers: Sequence[int], window: int, step: int) -> list[float]:
    """Scores by a model that orders each window rightly: the end of the list first."""
    order = list(range(len(numbers)))
    end = len(order)
    while True:
        start = max(end - window, 0)
        order[start:end] = sorted(order[start:end], key=lambda place: -numbers[place])
        if start == 0:
            break
        end -= step
    return [1 - order.index(place) / (len(numbers) - 1) for place in range(len(numbers))]


@pytest.mark.parametrize(
    ("count", "window", "step"), [(2, 20, 10), (7, 3, 2), (8, 4, 2), (20, 20, 10), (25, 20, 10)]
)
def test_windows_slide_from_the_end_to_the_top(
    count: int, window: int, step: int, cache: Cache
) -> None:
    rng = random.Random(count)
    work = [lesson(f"q{n}", rng.sample(range(1000), count)) for n in range(3)]
    teacher = Listwise(Judge(by_worth), window=window, step=step)
    found = scored(teacher, work, cache)
    for one, scores in zip(work, found, strict=True):
        numbers = [worths(passage.contents)[0] for passage in one.passages]
        assert scores == pytest.approx(oracle(numbers, window, step))
        # what is best has risen to the top, wherever it was
        assert scores[numbers.index(max(numbers))] == 1
    assert teacher.counts["ok"] == teacher.counts["windows"]


def test_all_questions_are_asked_about_a_window_together(cache: Cache) -> None:
    judge = Judge(by_worth)
    work = [lesson("q0", range(9)), lesson("q1", range(4)), lesson("q2", [5]), lesson("q3", [])]
    scores = scored(Listwise(judge, window=4, step=2), work, cache)
    # windows of nine passages end at 9, 7, 5 and 3
    assert judge.rounds == [2, 1, 1, 1]
    assert scores[2:] == [[0.5], []]


def test_the_order_of_the_list_says_nothing_and_that_of_the_retriever_does(cache: Cache) -> None:
    judge = Judge(by_worth)
    teacher = Listwise(judge, window=3, step=2)
    one = lesson("q0", [3, 9, 1, 7, 5])
    (scores,) = scored(teacher, [one], cache)
    asked = len(judge.asked)
    permuted = [4, 2, 0, 3, 1]
    moved = Lesson(one.question, None, [one.passages[place] for place in permuted])
    assert scored(teacher, [moved], cache) == [[scores[place] for place in permuted]]
    assert len(judge.asked) == asked
    # no two scores are alike, not even of equal texts
    twins = [replace(passage, contents="Lamp\nworth 5") for passage in one.passages]
    (of_twins,) = scored(teacher, [Lesson(one.question, None, twins)], cache)
    assert sorted(of_twins) == [0, 0.25, 0.5, 0.75, 1]


def test_a_long_passage_is_cut_after_so_many_words(cache: Cache) -> None:
    judge = Judge(by_worth)
    long = RetrievedPassage("long", "Title\n" + "word " * 900 + "worth 9", 0, 1.0)
    short = RetrievedPassage("short", "worth 3", 1, 0.5)
    scored(Listwise(judge, passage_words=40), [Lesson(QUESTION, None, [long, short])], cache)
    assert judge.asked[0].count("word ") + judge.asked[0].count("word\n") == 40
    assert worths(judge.asked[0]) == [3]


@pytest.mark.parametrize(
    ("reply", "order", "flaws"),
    [
        ("[2] > [3] > [1]", [1, 2, 0], set()),
        ("The 3 passages in order: [2] > [3] > [1].", [1, 2, 0], set()),
        ("2, 3, 1", [1, 2, 0], set()),
        ("<think>[1] > [2] > [3]?</think>[3]>[2]>[1]", [2, 1, 0], set()),
        ("[2] > [2] > [3] > [1]", [1, 2, 0], {"repeated"}),
        ("[2] > [7] > [3] > [1] > [0]", [1, 2, 0], {"unknown"}),
        ("[3]", [2, 0, 1], {"missing"}),
        ("[3] > [9] > [3]", [2, 0, 1], {"missing", "repeated", "unknown"}),
        ("I cannot say.", [0, 1, 2], {"unreadable"}),
        ("", [0, 1, 2], {"unreadable"}),
        ("[12] > [99999999999999999999]", [0, 1, 2], {"unreadable"}),
    ],
)
def test_a_reply_is_repaired_and_its_flaws_are_named(
    reply: str, order: list[int], flaws: set[str]
) -> None:
    assert permutation(reply, 3) == (order, flaws)


@pytest.mark.parametrize("api", ["anthropic", "openai"])
def test_an_api_orders_and_what_is_malformed_is_counted_aloud(
    api: str,
    cache: Cache,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    # the question says what the model replies
    said = ["[3] > [1] > [2]", "[2] > [2] > [8]", "cut me [3] > [2]"]
    work = [lesson(f"q{number}", [1, 2, 3], text) for number, text in enumerate(said)]
    with serve(tmp_path, "--find", r"(cut me )?\[\d\] > \[\d\]( > \[\d\])?") as server:
        model: LanguageModel
        if api == "anthropic":
            model = AnthropicModel("claude-test", base_url=server.url)
        else:
            model = OpenAIModel("gpt-test", base_url=f"{server.url}/v1")
        teacher = Listwise(model)
        found = scored(teacher, work, cache)
        again = scored(Listwise(model), work, cache)
        paid = sum(server.stats()["paid"].values())
    assert found == again == [[0.5, 0, 1], [0.5, 1, 0], [0, 0.5, 1]]
    assert paid == 3
    flaws = {"repeated": 1, "unknown": 1, "missing": 2, "truncated": 1}
    assert teacher.counts == {"windows": 3, "ok": 1, **flaws}
    said = capsys.readouterr().err
    assert f"2 of 3 windows of {model.model} were not well-formed and were repaired" in said
    assert "(1 repeated, 1 unknown, 2 missing, 1 truncated)" in said


def test_a_batch_interface_has_a_batch_for_each_window(
    cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    work = [lesson(f"q{number}", range(5)) for number in range(3)]
    with serve(tmp_path) as server:
        model = OpenAIModel(
            "gpt-test", base_url=f"{server.url}/v1", mode="batches", poll_seconds=0.05
        )
        found = scored(Listwise(model, window=3, step=2), work, cache)
        stats = server.stats()
    assert stats["batches"] == 2
    assert sum(stats["answered"].values()) == 6
    assert all(sorted(scores) == [0, 0.25, 0.5, 0.75, 1] for scores in found)


def test_a_refused_window_stays_as_it_was_and_is_counted(cache: Cache) -> None:
    class Shy(Judge):
        def reply(self, prompt: str) -> Reply:
            return Reply("", "refused", {})

    teacher = Listwise(Shy(by_worth))
    assert scored(teacher, [lesson("q0", [1, 2, 3])], cache) == [[1, 0.5, 0]]
    assert teacher.counts == {"windows": 1, "unreadable": 1, "refused": 1}


@pytest.mark.parametrize("lives", [0, 1, 5, 9])
def test_what_was_paid_for_before_a_kill_is_not_asked_for_again(lives: int, cache: Cache) -> None:
    work = [lesson(f"q{number}", random.Random(number).sample(range(99), 9)) for number in range(4)]
    whole = Judge(by_worth)
    expected = scored(
        Listwise(whole, window=4, step=2), work, Cache(cache.path.parent / "b.sqlite")
    )
    mortal = Judge(by_worth, lives)
    teacher = Listwise(mortal, window=4, step=2)
    with pytest.raises(KeyboardInterrupt):
        scored(teacher, work, cache)
    assert entries(cache).get("answer", 0) == lives
    mortal.lives = 10_000
    assert scored(teacher, work, cache) == expected
    assert sorted(mortal.asked) == sorted(whole.asked)


def test_a_question_of_which_a_call_fails_is_named_when_all_others_are_asked(cache: Cache) -> None:
    judge = Judge(by_worth)
    teacher = Listwise(judge, window=3, step=2)
    work = [lesson("q0", range(5)), lesson("q1", range(5), "fail"), lesson("q2", range(5))]
    with pytest.raises(InputError, match=r"Listwise: judge gave no reply about 1 of 3 .*\(q1: out"):
        scored(teacher, work, cache)
    assert len(judge.asked) == 4
    judge.broken = False
    assert len(scored(teacher, work, cache)) == 3
    assert len(judge.asked) == 6


def test_settings_and_needs(cache: Cache) -> None:
    judge = Judge(by_worth)
    assert needs(Listwise(judge)) == ["generator (judge)", "candidates as a set"]
    assert needs(Listwise(judge, show="both"))[:2] == ["golden answers", "rationale"]
    with pytest.raises(InputError, match="question 'q1': found no rationale"):
        scored(Listwise(judge, show="rationale"), [Lesson(QUESTION, None, [])], cache)
    with pytest.raises(InputError, match="Listwise: step: found 5, expected at most the window, 4"):
        Listwise(judge, window=4, step=5)
    with pytest.raises(RuntimeError, match=r"call score_all\(work, cache\)"):
        Listwise(judge).score(QUESTION, RATIONALE, [])


def test_a_key_follows_all_that_is_read() -> None:
    judge = Judge(by_worth)
    other = Judge(by_worth)
    other.model = "other"
    teachers = [
        Listwise(judge),
        Listwise(other),
        Listwise(judge, "utility"),
        Listwise(judge, show="answers"),
        Listwise(judge, window=8, step=8),
        Listwise(judge, window=8, step=4),
        Listwise(judge, passage_words=9),
    ]
    assert len({teacher.fingerprint() for teacher in teachers}) == len(teachers)
