"""BM25 on text of any script, and what it says of questions that match nothing."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from radio.cache import Cache
from radio.retrievers import BM25
from radio.schema import Candidate, Passage, Question

PASSAGES = {
    "Chinese": [
        "灯塔\n灯塔在雾中为船只指路。",
        "面包\n面包由面粉、水和盐烤成。",
        "首都\n中国的首都是北京。",
    ],
    "Japanese": [
        "灯台\n灯台は霧の中で船を導く",
        "パン\nパンは小麦粉と水から焼かれる。",
        "首都\n日本の首都は東京です。",
    ],
    "Thai": [
        "ประภาคาร\nประภาคารนำทางเรือในหมอก",
        "ขนมปัง\nขนมปังอบจากแป้งและน้ำ",
        "เมืองหลวง\nเมืองหลวงคือกรุงเทพ",
    ],
    "Hindi": [
        "दीप\nदीपस्तंभ कोहरे में राह दिखाता है",
        "रोटी\nरोटी आटे और पानी से बनती है",
        "राजधानी\nभारत की राजधानी दिल्ली है",
    ],
}
ASKED = {
    "Chinese": ["船只在雾中怎么走？", "面粉能做什么？", "北京在哪里？"],
    "Japanese": ["霧の中の船は？", "小麦粉で何を焼く？", "東京はどこ？"],
    "Thai": ["เรือในหมอก", "แป้งและน้ำ", "กรุงเทพอยู่ที่ไหน"],
    "Hindi": ["कोहरे में क्या?", "आटे से क्या?", "दिल्ली कहाँ?"],
}


def search(texts: list[str], asked: list[str], folder: Path) -> list[list[Candidate]]:
    retriever = BM25()
    retriever.index(
        {f"p{i}": Passage(f"p{i}", text) for i, text in enumerate(texts)},
        Cache(folder / "c.sqlite"),
    )
    return list(retriever.search([Question(f"q{i}", text) for i, text in enumerate(asked)], 2))


@pytest.mark.parametrize("language", PASSAGES)
def test_bm25_finds_passages_of_scripts_without_spaces_and_with_marks(
    language: str, tmp_path: Path
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = search(PASSAGES[language], ASKED[language], tmp_path)
    assert [candidates[0].passage_id for candidates in found] == ["p0", "p1", "p2"]
    assert all(candidates[0].score > candidates[1].score for candidates in found)


def test_most_questions_that_match_nothing_are_said(tmp_path: Path) -> None:
    with pytest.warns(
        UserWarning, match=r"BM25: 2 of 3 questions share no word with any passage, such as 'q1'"
    ):
        search(["fog and lamps", "bread and water"], ["lamps", "xylophone", "zebra"], tmp_path)


def test_few_questions_that_match_nothing_are_not(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        search(["fog and lamps", "bread and water"], ["lamps", "bread", "zebra"], tmp_path)
