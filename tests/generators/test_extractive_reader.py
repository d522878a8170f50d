"""ExtractiveReader: the spans are those that an exhaustive search finds, in the order of trust that
it is given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from radio.cache import Cache
from radio.generators import ExtractiveReader, Prompt
from radio.metrics.answers import normalise_answer
from radio.schema import InputError, Passage, Question
from tests.conftest import SHARED, WORDS

READER = SHARED / "models/minilm-reader"
QUESTION = Question("q", "who lit the lamp at port 3?")


@pytest.fixture(scope="module")
def model(tiny_reader: str) -> str:
    return tiny_reader


def passages(count: int, words: int = 12) -> tuple[Passage, ...]:
    texts = [
        " ".join(WORDS[(i * 5 + j * (i + 1)) % len(WORDS)] for j in range(words))
        for i in range(count)
    ]
    return tuple(Passage(f"p{i}", f"Title {i}\n{text}") for i, text in enumerate(texts))


def exhaustive(model: str, passage: Passage, longest: int) -> dict[tuple[int, int], float]:
    """Score of every span of a passage that fits into one window, by its place in the text."""
    import torch
    from transformers import AutoModelForQuestionAnswering, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    network = AutoModelForQuestionAnswering.from_pretrained(model).eval()
    text = passage.contents.replace("\n", " ")
    encoded = tokenizer(QUESTION.question, text, return_offsets_mapping=True, return_tensors="pt")
    offsets = encoded.pop("offset_mapping")[0].tolist()
    kinds = encoded.sequence_ids(0)
    with torch.inference_mode():
        output = network(**encoded)
    starts, ends = output.start_logits[0].numpy(), output.end_logits[0].numpy()
    inside = [i for i, kind in enumerate(kinds) if kind == 1]
    return {
        (offsets[i][0], offsets[j][1]): float(starts[i] + ends[j])
        for i in inside
        for j in inside
        if i <= j < i + longest
    }


@pytest.mark.parametrize("longest", [1, 4, 20])
def test_spans_and_logits_are_those_of_an_exhaustive_search(model: str, longest: int) -> None:
    reader = ExtractiveReader(
        model, max_length=64, stride=8, max_answer_tokens=longest, spans=5, batch_size=2
    )
    given = passages(5)
    found = reader._spans_of([(QUESTION.question, passage) for passage in given])
    for passage, spans in zip(given, found, strict=True):
        text = passage.contents.replace("\n", " ")
        every = sorted(exhaustive(model, passage, longest).items(), key=lambda item: -item[1])[:5]
        assert [answer for answer, _ in spans] == [text[a:b] for (a, b), _ in every]
        assert [logit for _, logit in spans] == pytest.approx(
            [logit for _, logit in every], abs=1e-3
        )


def test_a_long_passage_is_read_in_windows_and_nothing_of_it_is_lost(model: str) -> None:
    (long,) = passages(1, words=150)
    reader = ExtractiveReader(model, max_length=48, stride=12, max_answer_tokens=3, spans=2000)
    (spans,) = reader._spans_of([(QUESTION.question, long)])
    text = long.contents.replace("\n", " ")
    words = text.split()
    runs = {" ".join(words[i : i + n]) for n in (1, 2, 3) for i in range(len(words) - n + 1)}
    assert {answer for answer, _ in spans} >= {
        run for run in runs if run.isascii() and run[0] != "T"
    }


def test_the_order_of_the_passages_decides_how_much_each_is_trusted(model: str) -> None:
    given = passages(3)
    first = {
        p.id: ExtractiveReader(model, max_length=64, stride=8, rank_discount=0).answer(
            [Prompt(QUESTION, (p,))]
        )[0]
        for p in given
    }
    for discount in (0.0, 1e-9):
        reader = ExtractiveReader(model, max_length=64, stride=8, rank_discount=discount)
        orders = [given, given[::-1], given[1:] + given[:1]]
        answers = reader.answer([Prompt(QUESTION, order) for order in orders])
        assert answers == [first[order[0].id] for order in orders]
    equal = ExtractiveReader(model, max_length=64, stride=8, rank_discount=1.0)
    one, other = equal.answer([Prompt(QUESTION, given), Prompt(QUESTION, given[::-1])])
    assert one == other


def test_probabilities_within_each_passage_are_discounted_by_rank_and_added_up(model: str) -> None:
    reader = ExtractiveReader(
        model, max_length=64, stride=8, max_answer_tokens=2, spans=6, rank_discount=0.9
    )
    for n in range(2, 6):
        given = passages(n)
        totals: dict[str, float] = {}
        for rank, passage in enumerate(given):
            text = passage.contents.replace("\n", " ")
            best = sorted(exhaustive(model, passage, 2).items(), key=lambda item: -item[1])[:6]
            weights = np.exp([logit for _, logit in best])
            for ((start, end), _), share in zip(best, weights / weights.sum(), strict=True):
                key = normalise_answer(text[start:end])
                totals[key] = totals.get(key, 0.0) + 0.9**rank * share
        totals.pop("", None)
        (answer,) = reader.answer([Prompt(QUESTION, given)])
        assert totals[normalise_answer(answer)] == pytest.approx(max(totals.values()), rel=1e-3)


def test_answers_do_not_depend_on_the_batch_or_on_what_was_asked_before(model: str) -> None:
    prompts = [Prompt(QUESTION, passages(n + 1, 5 + n)) for n in range(4)]
    together = ExtractiveReader(model, max_length=64, stride=8, batch_size=7).answer(prompts)
    reader = ExtractiveReader(model, max_length=64, stride=8, batch_size=1)
    assert [reader.answer([prompt])[0] for prompt in reversed(prompts)] == together[::-1]
    assert reader.answer(prompts) == together


def test_a_passage_that_was_read_is_not_read_again(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = passages(6), tuple(reversed(passages(6)))
    cache = Cache(tmp_path / "cache.sqlite")
    reader = ExtractiveReader(model, max_length=48, stride=8)
    reader.prefetch([Prompt(QUESTION, first)], cache)
    expected = ExtractiveReader(model, max_length=48, stride=8).answer(
        [Prompt(QUESTION, first), Prompt(QUESTION, second)]
    )
    later = ExtractiveReader(model, max_length=48, stride=8, rank_discount=0.5)
    monkeypatch.setattr(later, "_load", lambda: pytest.fail("it reads again"))
    prompts = [Prompt(QUESTION, first), Prompt(QUESTION, second)]
    later.prefetch(prompts, Cache(tmp_path / "cache.sqlite"))
    assert later.answer(prompts) == expected
    other = ExtractiveReader(model, max_length=48, stride=8, spans=3)
    other.prefetch(prompts, cache)
    assert len(cache.items_json("spans")) == 12


def test_its_confidence_in_a_passage_is_the_logit_of_the_best_span(
    model: str, tmp_path: Path
) -> None:
    given = passages(4)
    reader = ExtractiveReader(model, max_length=64, stride=8)
    prompts = [Prompt(QUESTION, given), Prompt(QUESTION, (given[2], Passage("e", "")))]
    first, second = reader.confidence(prompts, Cache(tmp_path / "cache.sqlite"))
    assert first == pytest.approx([max(exhaustive(model, p, 20).values()) for p in given], abs=1e-3)
    assert second == [first[2], float("-inf")]


def test_no_passage_or_an_empty_one_gives_no_answer(model: str) -> None:
    reader = ExtractiveReader(model, max_length=64, stride=8)
    assert reader.answer([Prompt(QUESTION, ()), Prompt(QUESTION, (Passage("e", ""),))]) == ["", ""]
    assert reader.answer([]) == []


def test_a_question_that_is_longer_than_a_window_leaves_room_for_the_passage(model: str) -> None:
    long = Question("q", " ".join(WORDS * 20))
    (answer,) = ExtractiveReader(model, max_length=64, stride=8).answer([Prompt(long, passages(2))])
    assert answer


def test_mistakes_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="rank_discount: found 2"):
        ExtractiveReader("x", rank_discount=2)
    with pytest.raises(InputError, match="stride: found 32, expected less than half of 64"):
        ExtractiveReader("x", max_length=64, stride=32)
    with pytest.raises(InputError, match="no such folder"):
        ExtractiveReader("./nowhere").answer([Prompt(QUESTION, passages(1))])


@pytest.mark.skipif(not READER.is_dir(), reason="needs ../shared/models/minilm-reader")
@pytest.mark.parametrize(
    ("question", "answer"),
    [("who wrote hamlet", "William Shakespeare"), ("when was macbeth first performed", "1606")],
)
def test_a_trained_reader_finds_answers(question: str, answer: str) -> None:
    given: Any = (
        Passage(
            "a",
            "Macbeth\nMacbeth is a tragedy that is thought to have been first performed in 1606.",
        ),
        Passage(
            "b", "Hamlet\nHamlet is a tragedy written by William Shakespeare around the year 1600."
        ),
    )
    order = given if answer == "1606" else given[::-1]
    assert ExtractiveReader(str(READER)).answer([Prompt(Question("q", question), order)]) == [
        answer
    ]
