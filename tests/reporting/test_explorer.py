"""The questions as the explorer gets them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from radio.reporting import explorer
from radio.reporting.explorer import Explored, explored, pair_of
from radio.schema import InputError
from tests.comparing.runs import as_version_0
from tests.reporting.runs import GENERATOR, compared, config_of, corpus, told_run


def of(folder: Path, **options: Any) -> Explored:
    comparison = compared(folder)
    return explored(comparison, pair_of(comparison), **options)


@pytest.fixture
def document(tmp_path: Path) -> Mapping[str, Any]:
    passages = corpus(tmp_path / "corpus.jsonl")
    return of(told_run(tmp_path / "run", config=config_of(passages))).document


def test_a_question_has_all_that_the_run_knows_of_it(document: Mapping[str, Any]) -> None:
    names, ids = document["measures"], document["passages"]["ids"]
    question = document["questions"][0]
    assert document["systems"] == [{"name": "base", "run": "run"}, {"name": "tuned", "run": "run"}]
    assert document["pair"] == [0, 1]
    assert names[0] == "em@1"
    assert question["question"] == "Who lit lamp 0?"
    assert question["answers"] == ["keeper 0"]
    assert [ids[place] for place in question["gold"]] == ["p0-2"]
    assert [ids[order[0]] for order in question["orders"]] == ["p0-0", "p0-5"]
    assert question["scores"][0] == [6, 5, 4, 3, 2, 1]
    em = names.index("em@1")
    assert [numbers[em] for numbers in question["numbers"]] == [0, 1]
    assert question["replies"][1] == [["keeper 0", "It was keeper 0."]] * 2
    assert [[ids[place], score] for place, score in question["teacher"]] == [["p0-2", 0.875]]
    assert question["rationale"] == "Keeper 0 had the matches."


def test_passages_stand_in_one_table(document: Mapping[str, Any]) -> None:
    table = document["passages"]
    assert len(table["ids"]) == len(set(table["ids"])) == len(table["texts"]) == 48
    place = table["ids"].index("p3-2")
    assert table["titles"][place] == "Lamp 3/2"
    assert table["texts"][place] == "Of lamp 3, part 2. It was lit by keeper 3. Then it burnt."


def test_what_is_not_known_is_not_there(tmp_path: Path) -> None:
    folder = told_run(tmp_path / "run", generators=[])
    as_version_0(folder, with_generator=False)
    found = of(folder)
    question = found.document["questions"][0]
    assert not {"question", "answers", "gold", "replies", "choices"} & set(question)
    assert found.document["depths"] == []
    assert set(found.document["passages"]["texts"]) == {None}
    assert "their ids alone" in found.remarks[0]


def test_a_named_generator_is_known_by_its_prefix(tmp_path: Path) -> None:
    folder = told_run(tmp_path / "run", generators=[{**GENERATOR, "name": "large"}])
    for name in ("metrics.json", "predictions.jsonl"):
        text = (folder / name).read_text(encoding="utf-8")
        for key in ("em@", "answer@", "reply@", "answer_in_context@"):
            text = text.replace(f'"{key}', f'"large_{key}')
        (folder / name).write_text(text, encoding="utf-8")
    document = of(folder).document
    assert document["prefix"] == "large_"
    assert document["measures"][0] == "large_em@1"
    assert "large_answer_in_context@3" in document["measures"]
    assert document["questions"][0]["replies"][0][0] == ["nobody 0", "It was nobody 0."]


def test_a_generator_of_one_depth_does_not_name_it(tmp_path: Path) -> None:
    folder = told_run(tmp_path / "run", generators=[{**GENERATOR, "top_k": 3}])
    for name in ("metrics.json", "predictions.jsonl"):
        text = (folder / name).read_text(encoding="utf-8")
        for key in ("em", "answer", "reply", "answer_in_context"):
            text = text.replace(f'"{key}@3"', f'"{key}"').replace(f'"{key}@1"', f'"{key}_1"')
        (folder / name).write_text(text, encoding="utf-8")
    document = of(folder).document
    assert document["depths"] == [3]
    assert document["measures"][0] == "em"
    assert "answer_in_context" in document["measures"]
    assert document["questions"][0]["replies"][1] == [["keeper 0", "It was keeper 0."]]


def test_a_sample_has_the_flips_and_says_what_it_left_out(tmp_path: Path) -> None:
    folder = told_run(tmp_path / "run", 200, won=range(150, 170), lost=(7,))
    found = of(folder, limit=40)
    ids = [question["id"] for question in found.document["questions"]]
    assert len(ids) == 40
    assert {f"q{number}" for number in (7, *range(150, 170))} <= set(ids)
    assert found.remarks[0].startswith(
        "40 of 200 questions are here: 21 of the 21 on which base and tuned differ by em@1, the "
        "others drawn at random (seed 0)"
    )


def test_texts_end_where_the_room_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    passages = corpus(tmp_path / "corpus.jsonl", text="word " * 100 + "{n}{p}")
    folder = told_run(tmp_path / "run", config=config_of(passages))
    monkeypatch.setattr(explorer, "LARGEST", 20_000)
    found = of(folder)
    table = found.document["passages"]
    known = {name for name, text in zip(table["ids"], table["texts"], strict=True) if text}
    # turned round, the first of one order is the last of the other
    assert known == {f"p{number}-{place}" for number in range(8) for place in (0, 5)}
    assert None not in table["titles"]
    assert "among its first 1 are left out" in found.remarks[-1]
    assert len(json.dumps(found.document)) < 20_000


def test_long_texts_are_cut_aloud(tmp_path: Path) -> None:
    folder = told_run(tmp_path / "run", reply="{answer} " + "x" * 5000)
    reply = of(folder).document["questions"][0]["replies"][0][0][1]
    assert reply.endswith("[... 3,509 more characters]")
    assert len(reply) < 1_600


def test_of_several_seeds_the_first_is_shown(tmp_path: Path) -> None:
    passages = corpus(tmp_path / "corpus.jsonl")
    folders = []
    for seed in (0, 1):
        config = config_of(passages, seed_everything=seed)
        folders.append(told_run(tmp_path / f"run-{seed}", config=config, won=(seed,)))
    comparison = compared(*folders)
    found = explored(comparison, pair_of(comparison))
    assert [system["name"] for system in found.document["systems"]] == ["base", "tuned"]
    assert any("Of several seeds the explorer shows the first" in text for text in found.remarks)


def test_a_system_without_an_order_is_no_side_of_a_report(tmp_path: Path) -> None:
    folder = told_run(tmp_path / "run")
    for name in ("metrics.json", "predictions.jsonl"):
        text = (folder / name).read_text(encoding="utf-8")
        (folder / name).write_text(text.replace('"base"', '"closed_book"'), encoding="utf-8")
    with pytest.raises(InputError, match=r"found tuned with an order .* expected two orders"):
        pair_of(compared(folder, baseline="closed_book"))
