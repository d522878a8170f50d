"""When two questions are the same, and the words that passages are found by, in any script."""

from __future__ import annotations

import unicodedata
from itertools import combinations

import pytest

from radio.text import (
    choice_of,
    findable,
    has_answer,
    normalise_question,
    search_words,
    sentences,
    tokens,
)

APART = [
    *("What is C?", "What is C++?", "What is C#?", "What is .NET?", "What is NET?"),
    *("3.5", "35", "3 5", "3,5", "-5", "5", "5!", "1/2", "½", "5%", "$5", "€5"),
    *("x", "@x", "¬x", "x²", "x2", "f(x)", "fx", "a<b", "a>b", "a=b", "a≠b"),
    *("naïve", "naive", "Maße", "Masse", "AC/DC", "ACDC", "AC DC", "don't", "dont"),
    *("हिन्दी", "हनद", "กา", "กี", "مُحَمَّد", "محمد", "か", "が", "😀?", "😁?"),
]


def test_symbols_numbers_and_marks_keep_questions_apart() -> None:
    same = [
        (a, b) for a, b in combinations(APART, 2) if normalise_question(a) == normalise_question(b)
    ]
    assert same == []


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("Who wrote it?", "  who  wrote\u2028IT ??"),
        ("Who, then, wrote it?", "who then wrote it."),
        ("Who wrote “Hamlet”?", "who wrote 'Hamlet'"),
        ("Who asked: «Why?»", 'who asked "why"?'),
        ("Is it the keeper’s lamp?", "is it the keeper's lamp"),
        ("1990–2000", "1990-2000"),
        ("¿Quién es?", "quién es"),
        ("谁写的？", "谁写的"),
        ("ＡＢＣ", "abc"),
        ("Cafe\u0301", "café"),
        ("the ﬁrst", "the first"),
        ("\ufeffWho?", "who"),
    ],
)
def test_how_a_question_is_typed_does_not_matter(text: str, same: str) -> None:
    assert normalise_question(text) == normalise_question(same)


def test_what_is_normalised_once_stays_as_it_is() -> None:
    for text in APART:
        once = normalise_question(text)
        assert normalise_question(once) == once


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The lamp's 2nd KEEPER, a café_9 (3.5)!", ["the", "lamp", "2nd", "keeper", "café_9"]),
        ("東京の人口。水?", ["東京", "京の", "の人", "人口", "水"]),
        ("Python3で書く", ["python3", "で書", "書く"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("กี่โมง", ["กี่โ", "โม", "มง"]),
        ("한국어 문장", ["한국어", "문장"]),
        ("Cafe\u0301", ["café"]),
        ("", []),
    ],
)
def test_words_of_any_script(text: str, words: list[str]) -> None:
    assert search_words(text) == words


def test_an_answer_is_found_within_a_sentence_that_has_no_spaces() -> None:
    assert has_answer("中国的首都是北京市。", ["北京"])
    assert not has_answer("中国的首都是北京市。", ["上海"])
    assert has_answer("灯台の光はがすのなか", ["がす"])
    assert not has_answer("The harbours", ["harbour"]), "words with spaces are compared as a whole"
    assert tokens("Café au lait, 北京") == ["cafe\u0301", "au", "lait", "北", "京"]


@pytest.mark.parametrize(
    ("contents", "answers", "expected"),
    [
        ("It stands in Paris, France.", ["paris"], True),
        ("It stands in\nParis (France).", ["Paris, France"], True),
        ("A comparison of towns", ["Paris", "paris on"], False),
        ("Parisian life", ["Paris"], False),
        ("France, not far from Paris", ["Paris France"], False),
        ("Nothing here", ["", "?!", "nothing"], True),
        ("Nothing here", ["", "?!"], False),
        ("", ["Paris"], False),
        ("Paris", [], False),
        # DPR keeps combining marks inside a token: an accent is no token border
        ("Åse Berg", ["se"], False),
        ("Åse Berg", ["åse berg"], True),
        ("हिन्दी", ["ह"], False),
    ],
)
def test_has_answer_respects_token_borders(
    contents: str, answers: list[str], expected: bool
) -> None:
    assert has_answer(contents, answers) is expected


@pytest.mark.parametrize(
    ("text", "choices", "meant"),
    [
        (" two  words", ["x", "two words"], "two words"),
        ("b", ["rope", "wind"], "wind"),
        ("B", ["B", "A"], "B"),
        ("b", ["rope", "wind", "B"], "B"),
        ("PP", ["Pp", "pp", "PP"], "PP"),
        ("not_enough info", ["SUPPORTS", "NOT ENOUGH INFO"], "NOT ENOUGH INFO"),
        ("pP", ["Pp", "pp"], None),
        ("C", ["rope", "wind"], None),
        ("AB", ["rope", "wind"], None),
        ("", ["rope", "wind"], None),
        ("wind and fog", ["rope", "wind"], None),
        ("A", [], None),
    ],
)
def test_a_choice_is_meant_by_its_text_its_letter_or_another_way_to_write_it(
    text: str, choices: list[str], meant: str | None
) -> None:
    assert choice_of(text, choices) == meant


@pytest.mark.parametrize("word", ["José", "Zürich", "Åse", "naïve"])
def test_has_answer_does_not_care_how_accents_are_encoded(word: str) -> None:
    composed, decomposed = unicodedata.normalize("NFC", word), unicodedata.normalize("NFD", word)
    assert composed != decomposed
    assert has_answer(f"so {composed} it is", [decomposed])
    assert has_answer(f"so {decomposed} it is", [composed.upper()])


@pytest.mark.parametrize(
    ("answers", "found"),
    [
        (["Paris"], True),
        (["yes"], False),
        (["No", "Nope"], True),
        (["SUPPORTS"], False),
        (["NOT_ENOUGH_INFO"], False),
        (["?!"], False),
        ([], False),
    ],
)
def test_a_verdict_cannot_be_found_in_a_passage(answers: list[str], found: bool) -> None:
    assert findable(answers) is found


@pytest.mark.parametrize(
    ("text", "same", "equal"),
    [
        ("Who wrote it?", "  who  wrote IT", True),
        ("the ﬁrst?", "The first", True),
        ("Café?", "cafe\u0301", True),
        ("Who wrote it?", "Who wrote that?", False),
    ],
)
def test_questions_are_the_same_but_for_case_punctuation_and_encoding(
    text: str, same: str, equal: bool
) -> None:
    assert (normalise_question(text) == normalise_question(same)) is equal


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ada lit it. Bo rang!  Who?\nNobody", ["Ada lit it.", "Bo rang!", "Who?", "Nobody"]),
        ("It burnt 3.5 hours, i.e. long", ["It burnt 3.5 hours, i.e.", "long"]),
        ("no mark", ["no mark"]),
        ("An end. ", ["An end.", ""]),
        ("", [""]),
        ("灯亮了。他走了。", ["灯亮了。他走了。"]),
    ],
)
def test_sentences_end_at_a_mark_before_white_space(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


def test_tokens_of_plain_text_are_those_of_any_other() -> None:
    characters = "".join(map(chr, range(128)))
    text = f"{characters}{characters[::-1]} Don't 3.5 snake_case A-B\u200b"
    plain = text.removesuffix("\u200b")
    assert plain.isascii()
    # what ends with another character takes the long way
    assert tokens(plain) == tokens(text)
    assert tokens("Don't 3.5 snake_case") == ["don", "t", "3", "5", "snake", "case"]
