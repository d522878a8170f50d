"""What is said of rationales at first sight: numbers, what is far outside the usual, and why some
are missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from data_modules import JsonlDataModule, QuickstartDataModule
from radio.cache import Cache
from radio.encoders import Encoder
from radio.formats import read_questions
from radio.rationales import Failure, QualityChecks, RationaleWriter, Recorded, Request
from radio.rationales.summary import Rationales, line, numbers, warnings
from radio.retrievers import BM25
from radio.schema import InputError, Question, Rationale
from radio.teachers import RationaleSimilarity
from tests.conftest import SHARED, World, read_jsonl, write_jsonl

QUESTIONS = [Question(f"q{n}", f"Who lit lamp {n}?", (f"captain{n}",)) for n in range(20)]
GOOD = [
    f"In the fog of that night captain{n} lit the lamp so that the ships came home."
    for n in range(20)
]


def of(texts: Sequence[str], questions: Sequence[Question] = QUESTIONS) -> Rationales:
    found = {q.id: Rationale(q.id, text) for q, text in zip(questions, texts, strict=True)}
    return Rationales(questions, found, {"q0": ["repeats", "too_long"]})


def test_the_line_says_how_many_what_they_mention_and_how_long_they_are() -> None:
    rationales = of(GOOD)
    assert line("train", numbers(rationales), rationales.left_out) == (
        "train: 20 rationales of 20 questions, 100.0 % mention an answer, 20 distinct texts of 16 "
        "words on average, 1 left out (1 repeats, 1 too_long)"
    )
    assert warnings("train", numbers(rationales)) == []


PAGE = (
    "<!DOCTYPE html><html><body><p>captain{} 502 Bad Gateway, the server could not be reached</p>"
    "</body></html>"
)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([GOOD[0]] * 20, "100 % are one and the same text (1 distinct texts)"),
        ([PAGE.format(n) for n in range(20)], "100 % look like web pages"),
        ([*GOOD[1:], GOOD[0]], "shifted by a row?"),
        ([GOOD[-1], *GOOD[:-1]], "shifted by a row?"),
        ([text.replace("captain", "somebody ") for text in GOOD], "only 0 % mention an answer"),
        ([f"captain{n}." for n in range(20)], "1.0 words on average"),
    ],
    ids=["alike", "pages", "up", "down", "other questions", "answers alone"],
)
def test_what_is_far_outside_the_usual_is_a_warning(texts: list[str], message: str) -> None:
    assert message in "\n".join(warnings("train", numbers(of(texts))))


def test_answers_that_no_text_can_name_are_not_counted() -> None:
    verdicts = [Question(q.id, q.question, ("SUPPORTS",)) for q in QUESTIONS]
    rationales = of(GOOD, verdicts)
    assert "mention" not in numbers(rationales)
    assert warnings("train", numbers(rationales)) == []
    items = [(q, rationales.found[q.id], ()) for q in verdicts]
    assert not any(QualityChecks().run(items, None, ["no_answer"]).values())  # type: ignore[arg-type]


def test_few_rationales_are_not_judged_by_shares() -> None:
    assert warnings("train", numbers(of([GOOD[0]] * 5, QUESTIONS[:5]))) == []


def test_the_bundled_rationales_pass_the_default_filters_without_a_warning(tmp_path: Path) -> None:
    data = QuickstartDataModule(retriever=BM25(), cache_dir=str(tmp_path))
    for split in ("train", "validation", "test"):
        questions = data.split_questions(split)
        assert data.rationales is not None
        found = {r.question_id: r for r in data.rationales.write(_requests(questions), data.cache)}  # type: ignore[union-attr]
        items = [(q, found[q.id], ()) for q in questions]
        failed = data.rationale_checks.run(items, data.cache, data.rationale_filters)
        assert not any(failed.values())
        assert "no_answer" in data.rationale_filters
        assert warnings(split, numbers(Rationales(questions, found, failed))) == []


def _requests(questions: Sequence[Question]) -> list[Request]:
    return [Request("", question) for question in questions]


@pytest.mark.skipif(not (SHARED / "data").is_dir(), reason="no shared data")
@pytest.mark.parametrize("name", ["fever", "mmlu", "musique", "nq", "triviaqa"])
def test_real_rationales_give_no_warning_and_lose_less_than_a_hundredth(
    name: str, tmp_path: Path
) -> None:
    questions = read_questions(SHARED / f"data/dataset/{name}/train.jsonl")
    writer = Recorded(str(SHARED / f"data/rationales/{name}/train.jsonl"))
    found = {r.question_id: r for r in writer.write(_requests(questions), None)}  # type: ignore[arg-type]
    asked = [question for question in questions if question.id in found]
    assert len(asked) > 200
    items = [(question, found[question.id], ()) for question in asked]
    failed = QualityChecks().run(items, None, ["empty", "refusal", "truncated", "no_answer"])  # type: ignore[arg-type]
    assert sum(map(bool, failed.values())) < len(asked) / 100
    assert warnings("train", numbers(Rationales(asked, found, failed))) == []


# In the data module


def module(world: World, **changes: Any) -> JsonlDataModule:
    files = {
        name: str(world.folder / f"{name}.jsonl")
        for name in ("train", "validation", "test", "corpus")
    }
    settings: dict[str, Any] = {
        "retriever": BM25(),
        "rationales": Recorded(str(world.folder / "rationales.jsonl")),
        "teacher": RationaleSimilarity(),
        "cache_dir": str(world.folder / "cache"),
        "train_candidates": 6,
        "eval_candidates": 4,
        **files,
    }
    return JsonlDataModule(**{**settings, **changes})


def rewrite(world: World, change: Callable[[int, dict[str, Any]], dict[str, Any]]) -> None:
    rows = read_jsonl(world.folder / "rationales.jsonl")
    write_jsonl(world.folder / "rationales.jsonl", [change(n, row) for n, row in enumerate(rows)])


def message(data: JsonlDataModule) -> str:
    with pytest.raises(InputError) as caught:
        data.prepare_data()
    return str(caught.value)


def test_missing_rows_name_the_files_and_not_a_command_that_cannot_help(world: World) -> None:
    rows = read_jsonl(world.folder / "rationales.jsonl")
    write_jsonl(world.folder / "rationales.jsonl", rows[2:])
    said = message(module(world))
    assert "rationale missing for 2 of 12 train questions" in said
    assert f"2 not there: add their rows to {world.folder}/rationales.jsonl first" in said
    assert "fill them with" not in said
    assert "--data.init_args.missing_rationales drop" in said


def test_what_a_filter_of_quality_leaves_out_is_counted_and_stops_nothing(
    world: World, tiny_bert: str, caplog: pytest.LogCaptureFixture
) -> None:
    rewrite(
        world,
        lambda n, row: (
            {**row, "rationale": "In fog the lamp is lit by somebody."} if n == 0 else row
        ),
    )
    data = module(world, teacher=RationaleSimilarity(Encoder(tiny_bert, max_length=32)))
    data.prepare_data()
    data.setup("fit")
    assert len(data.examples["train"]) == 11
    (said,) = [
        text for text in caplog.messages if text.startswith("train: 12 rationales of 12 questions")
    ]
    assert said.endswith("1 left out (1 no_answer)")
    # once, however often it is prepared
    data.prepare_data()
    assert len([text for text in caplog.messages if text.startswith("train: 12 rationales")]) == 1


class Answers(RationaleWriter):
    """Gives what it is told to, one for each question; None is a failure."""

    def __init__(self, answers: Sequence[Rationale | None]) -> None:
        self._answers = answers

    def write(self, requests: Sequence[Request], cache: Cache) -> Iterator[Rationale | Failure]:
        for request, answer in zip(requests, self._answers, strict=False):
            identifier = request.question.id
            yield (
                replace(answer, question_id=identifier)
                if answer
                else Failure(identifier, "the line was cut")
            )


def test_empty_answers_are_said_to_be_kept_instead_of_a_command_that_cannot_help(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    writer = Answers([Rationale("", "")] * 16)
    for _ in range(2):  # cached by then
        said = message(module(world, rationales=writer))
        assert (
            "12 empty: such answers are kept and not asked for again; take another model or prompt"
            in said
        )
        assert "radio cache prune --outcome empty --yes" in said
        assert "fill them with" not in said
    assert "rationales: 16 empty: such answers are kept" in capsys.readouterr().err


def test_of_several_reasons_each_has_its_own_advice(world: World) -> None:
    declined, cut = (
        Rationale("", "", outcome="refused"),
        Rationale("", "In fog", outcome="truncated"),
    )
    said = message(module(world, rationales=Answers([None, declined, cut, *[None] * 13])))
    assert "10 not there: run that command again" in said
    assert "1 refused, 1 truncated: such answers are kept" in said
    assert (
        "radio cache prune --outcome refused --yes or radio cache prune --outcome truncated --yes"
        in said
    )
    assert "fill them with: radio prepare" in said


def test_a_file_of_one_text_stops_with_the_reason_and_a_warning(world: World) -> None:
    rewrite(world, lambda n, row: {**row, "rationale": "I love lamps."})
    with pytest.warns(UserWarning, match="100 % are one and the same text"):
        said = message(module(world))
    assert "12 no_answer: left out by data.init_args.rationale_filters" in said
    assert "fill them with" not in said
