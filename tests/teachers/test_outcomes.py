"""Teachers by a generator's answers: what a passage alone is worth, and what it turns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from radio.cache import Cache
from radio.generators import (
    Answer,
    ExtractiveReader,
    Generator,
    OpenAIGenerator,
    Prompt,
    SpanReader,
    TransformersGenerator,
)
from radio.generators.base import TOGETHER
from radio.llm.base import Failure
from radio.metrics.answers import exact_match, f1
from radio.schema import InputError, Question, RetrievedPassage
from radio.teachers import AnswerFlip, DownstreamMetric, Lesson, checked_scores, needs
from radio.teachers.outcomes import ByOutcome
from tests.conftest import entries
from tests.llm_server import serve
from tests.llm_wire import KEY


class Reader(Generator):
    """Says what the passage says, and without any what it knows; "fail" fails."""

    def __init__(self, known: Mapping[str, str] | None = None, lives: int = 1000) -> None:
        self._known = known or {}
        self._lives = lives
        self._broken = True
        self._asked: list[str] = []

    def answer(self, prompts: Sequence[Prompt]) -> list[str]:
        if not self._lives:
            raise KeyboardInterrupt
        self._lives -= 1
        texts = []
        for prompt in prompts:
            said = prompt.passages[0].contents if prompt.passages else None
            self._asked.append(f"{prompt.question.id}: {[p.id for p in prompt.passages]}")
            texts.append(self._known.get(prompt.question.id, "") if said is None else said)
        return texts

    def replies(
        self, prompts: Mapping[str, Prompt], cache: Cache
    ) -> Iterator[tuple[str, Answer | Failure]]:
        fine = {}
        for key, prompt in prompts.items():
            if self._broken and any("fail" in passage.contents for passage in prompt.passages):
                yield key, Failure(prompt.question.id, "out of order")
            else:
                fine[key] = prompt
        yield from super().replies(fine, cache)


def lesson(name: str, *texts: str, answers: Sequence[str] = ("Ada",), **more: Any) -> Lesson:
    passages = [RetrievedPassage(f"p{n}", text, n, -float(n)) for n, text in enumerate(texts)]
    question = Question(name, f"Who lit the lamp? {name}", tuple(answers), **more)
    return Lesson(question, None, passages)


def scored(teacher: ByOutcome, work: Sequence[Lesson], cache: Cache) -> list[list[float]]:
    return list(checked_scores(teacher, work, cache))


WORK = [
    lesson("knows", "Ada", "Bo", "The answer is Ada.", "Ada Bo"),
    lesson("learns", "Bo", "Ada", "Ada"),
    lesson("single", "Ada"),
    lesson("none"),
]


def test_a_passage_is_worth_what_the_answer_from_it_alone_is(cache: Cache) -> None:
    reader = Reader()
    found = scored(DownstreamMetric(reader), WORK, cache)
    assert found == [[1, 0, 1, 0], [0, 1, 1], [1], []]
    # each prompt once, and another metric of the same answers asks nothing
    assert len(reader._asked) == len(set(reader._asked)) == 8
    (first, *_) = scored(DownstreamMetric(reader, metric="f1"), WORK, cache)
    assert first == pytest.approx([1, 0, 1, 2 / 3])
    assert len(reader._asked) == 8


def test_a_flip_is_worth_more_than_what_changes_nothing(cache: Cache) -> None:
    reader = Reader({"knows": "Ada", "learns": "Bo"})
    found = scored(AnswerFlip(reader), WORK, cache)
    assert found == [[0.5, 0, 0.5, 0], [0.25, 1, 1], [1], []]
    again = AnswerFlip(reader, both_right=0.9, both_wrong=0.1)
    assert scored(again, WORK, cache) == [[0.9, 0, 0.9, 0], [0.1, 1, 1], [1], []]
    # three questions without a passage, and the passages that the other teacher asks about too
    assert len(reader._asked) == 11
    scored(DownstreamMetric(reader), WORK, cache)
    assert len(reader._asked) == 11


def test_scores_stay_with_their_passages(cache: Cache) -> None:
    one = WORK[0]
    order = [2, 0, 3, 1]
    moved = Lesson(one.question, None, [one.passages[place] for place in order])
    for teacher in (DownstreamMetric(Reader(), metric="f1"), AnswerFlip(Reader())):
        (scores,) = scored(teacher, [one], cache)
        assert scored(teacher, [moved], cache) == [[scores[place] for place in order]]


@pytest.mark.parametrize("kind", ["span", "extractive"])
def test_a_reader_of_spans_answers_from_each_passage_and_knows_nothing_without(
    kind: str, tiny_reader: str, cache: Cache
) -> None:
    reader = SpanReader() if kind == "span" else ExtractiveReader(tiny_reader, device="cpu")
    texts = ("Lamps\nCaptain Ada lit the lamp.", "The lamp was lit by Bo. " * 30, "Fog.")
    work = [lesson("q0", *texts), lesson("q1", *texts, answers=("Bo", "the lamp"))]
    for metric, value in (("em", exact_match), ("f1", f1)):
        found = scored(DownstreamMetric(reader, metric=metric), work, cache)  # type: ignore[arg-type]
        for one, scores in zip(work, found, strict=True):
            answers = reader.answer([Prompt(one.question, (p,)) for p in one.passages])
            golden = one.question.golden_answers
            assert scores == [value(answer, golden) for answer in answers]
    flips = scored(AnswerFlip(reader), work, cache)
    right = scored(DownstreamMetric(reader), work, cache)
    assert flips == [[1 if number else 0.25 for number in scores] for scores in right]
    assert entries(cache)["answer"] == 6


def test_choices_and_verdicts_are_judged_by_accuracy_and_what_is_unreadable_is_said(
    cache: Cache, capsys: pytest.CaptureFixture[str]
) -> None:
    question: dict[str, Any] = {"answers": ("wind",), "choices": ("rope", "wind")}
    work = [lesson("q0", "B", "The answer is A.", "I do not know", **question)]
    teacher = DownstreamMetric(Reader(), "multiple_choice")
    assert teacher.metric == "accuracy"
    assert scored(teacher, work, cache) == [[1, 0, 0]]
    said = "DownstreamMetric: 1 of 3 answers of Reader could not be read, and count as wrong"
    assert said in capsys.readouterr().err
    claim = [lesson("q1", "REFUTES", "supports", answers=("SUPPORTS",))]
    assert scored(DownstreamMetric(Reader(), "fact_verification"), claim, cache) == [[0, 1]]
    with pytest.raises(InputError, match="AnswerFlip: task: found 'multiple_choice' with SpanRead"):
        AnswerFlip(SpanReader(), "multiple_choice")
    with pytest.raises(InputError, match="task: found 'poem', expected one of"):
        DownstreamMetric(Reader(), "poem")


def test_answers_before_a_kill_are_not_asked_for_again(cache: Cache) -> None:
    work = [lesson(f"q{n}", *(f"Ada {m}" for m in range(10))) for n in range(10)]
    reader = Reader(lives=2)
    with pytest.raises(KeyboardInterrupt):
        scored(AnswerFlip(reader), work, cache)
    assert entries(cache) == {"answer": 2 * TOGETHER}
    reader._lives = 1000
    scored(AnswerFlip(reader), work, cache)
    assert len(reader._asked) == len(set(reader._asked)) == 110


@pytest.mark.parametrize("kind", [DownstreamMetric, AnswerFlip])
def test_a_question_of_which_an_answer_fails_is_named_when_all_others_are_asked(
    kind: type[DownstreamMetric], cache: Cache
) -> None:
    reader = Reader()
    work = [lesson("q0", "Ada"), lesson("q1", "Bo", "fail"), lesson("q2", "Ada")]
    with pytest.raises(InputError, match=r"Reader gave no answer about 1 of 3 .*\(q1: out of ord"):
        scored(kind(reader), work, cache)
    asked = len(reader._asked)
    reader._broken = False
    assert scored(kind(reader), work, cache)[0] == [1]
    assert len(reader._asked) == asked + 1


def test_an_api_answers_from_each_passage(
    cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    work = [lesson("q0", "captain3 lit it", "captain5 slept", answers=("captain3",))]
    with serve(tmp_path, "--find", r"captain\d") as server:
        generator = OpenAIGenerator("gpt-test", base_url=f"{server.url}/v1")
        assert scored(DownstreamMetric(generator), work, cache) == [[1, 0]]
        assert scored(AnswerFlip(generator), work, cache) == [[1, 0.25]]
        assert sum(server.stats()["paid"].values()) == 3
    assert needs(AnswerFlip(generator)) == ["golden answers", "generator (gpt-test)"]


def test_a_local_model_answers_and_a_long_passage_is_cut(tiny_generator: str, cache: Cache) -> None:
    generator = TransformersGenerator(
        tiny_generator, max_tokens=4, max_length=150, accelerator="cpu", dtype="float32"
    )
    work = [lesson("q0", "harbour lamp", "tide " * 500)]
    (scores,) = scored(DownstreamMetric(generator, metric="f1"), work, cache)
    assert all(0 <= score <= 1 for score in scores)
    rows = [row for _, row in cache.items_json("answer")]
    assert [bool(row.get("tokens_cut")) for row in rows].count(True) == 1


def test_a_key_follows_generator_task_and_values(tiny_generator: str) -> None:
    teachers: list[ByOutcome] = [
        DownstreamMetric(SpanReader()),
        DownstreamMetric(SpanReader(max_words=2)),
        DownstreamMetric(SpanReader(), "multi_hop"),
        DownstreamMetric(SpanReader(), metric="f1"),
        DownstreamMetric(TransformersGenerator(tiny_generator)),
        AnswerFlip(SpanReader()),
        AnswerFlip(SpanReader(), both_right=0.6),
        AnswerFlip(SpanReader(), both_wrong=0.3),
    ]
    assert len({teacher.fingerprint() for teacher in teachers}) == len(teachers)
    named = DownstreamMetric(SpanReader(), metric="em")
    assert named.fingerprint() == teachers[0].fingerprint()
    with pytest.raises(RuntimeError, match=r"call score_all\(work, cache\)"):
        teachers[0].score(WORK[0].question, None, [])
