"""The report on rationales: numbers that add up, files that hold them, and a page that is safe to
open."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from data_modules import JsonlDataModule
from radio.encoders import Encoder
from radio.rationales import Recorded
from radio.rationales.checks import CHECKS, QualityChecks
from radio.rationales.report import rationale_report, report, table
from radio.retrievers import BM25, Precomputed
from radio.schema import InputError, Question, Rationale, RetrievedPassage
from radio.teachers import Blend, RationaleSimilarity, RetrievalScore, Teacher
from tests.conftest import PATIENCE, World, make_world, read_jsonl, write_jsonl

CHEAP = tuple(name for name in CHECKS if name not in {"contradicts", "unsupported"})


class NoEncoder(Teacher):
    """A teacher that needs rationales but has no encoder."""

    def score(
        self, question: Question, rationale: Rationale | None, passages: Sequence[RetrievedPassage]
    ) -> list[float]:
        return [0.5] * len(passages)


def module(world: World, **changes: Any) -> JsonlDataModule:
    files = {
        name: str(world.folder / f"{name}.jsonl")
        for name in ("train", "validation", "test", "corpus")
    }
    settings = {
        "retriever": BM25(),
        "rationales": Recorded(str(world.folder / "rationales.jsonl")),
        "teacher": NoEncoder(),
        "cache_dir": str(world.folder / "cache"),
        "train_candidates": 10,
        "missing_rationales": "drop",
        # the rationales of the tiny world have ten words
        "rationale_checks": QualityChecks(min_new_words=3),
    }
    return JsonlDataModule(**{**files, **settings, **changes})


def prepared(world: World, **changes: Any) -> JsonlDataModule:
    datamodule = module(world, **changes)
    datamodule.prepare_data()
    return datamodule


def change(world: World, rationales: dict[str, dict[str, Any] | None]) -> None:
    """Replace parts of rows of the rationale file, or take rows out."""
    rows = read_jsonl(world.folder / "rationales.jsonl")
    changed = [
        {**row, **(rationales.get(row["id"], {}) or {})}
        for row in rows
        if rationales.get(row["id"], row)
    ]
    write_jsonl(world.folder / "rationales.jsonl", changed)


def train_ids(world: World) -> list[str]:
    return [row["id"] for row in read_jsonl(world.folder / "train.jsonl")]


def test_the_numbers_count_questions_rationales_and_failed_checks(
    world: World, tmp_path: Path
) -> None:
    ids = train_ids(world)
    usage = {"input": 100, "output": 20, "tier": "standard"}
    change(
        world,
        {
            ids[0]: None,
            ids[1]: {"rationale": "", "outcome": "refused", "model": "other", "usage": usage},
            ids[2]: {"rationale": "I'm sorry, but I cannot verify that.", "usage": usage},
            ids[3]: {"rationale": "In fog captain0 lit", "outcome": "truncated"},
        },
    )
    numbers = report(prepared(world), ["train"], tmp_path / "out")["train"]
    total = len(ids)
    assert (numbers["questions"], numbers["rationales"], numbers["missing"]) == (
        total,
        total - 1,
        1,
    )
    assert numbers["outcomes"] == {"written": total - 3, "refused": 1, "truncated": 1}
    assert numbers["models"] == {"recorded": total - 2, "other": 1}
    assert numbers["tokens"] == {"input": 200, "output": 40}
    assert {name: part["count"] for name, part in numbers["checks"].items()} == {
        "empty": 0,
        "refusal": 2,
        "truncated": 1,
        "no_answer": 3,
        "repeats": 3,
        "too_long": 0,
    }
    assert numbers["checks"]["refusal"]["share"] == pytest.approx(2 / (total - 1))
    # what the filters drop is counted all the same
    assert numbers["pass_filters"] == {
        "count": total - 4,
        "share": pytest.approx((total - 4) / (total - 1)),
    }
    assert numbers["words"]["median"] == 11
    assert json.loads((tmp_path / "out/rationales.json").read_text()) == {"train": numbers}


def test_there_is_a_row_for_each_question(world: World, tmp_path: Path) -> None:
    ids = train_ids(world)
    change(world, {ids[0]: None, ids[1]: {"rationale": "Nobody did."}})
    report(prepared(world), ["train", "test"], tmp_path)
    rows = read_jsonl(tmp_path / "rationales.jsonl")
    assert [row["id"] for row in rows if row["split"] == "train"] == ids
    assert {row["split"] for row in rows} == {"train", "test"}
    assert rows[0]["rationale"] is None
    assert (rows[0]["failed"], rows[0]["words"]) == ([], None)
    assert (rows[1]["failed"], rows[1]["words"]) == (["no_answer", "repeats"], 2)
    assert (
        rows[1]["golden_answers"] == read_jsonl(world.folder / "train.jsonl")[1]["golden_answers"]
    )


def test_without_an_encoder_nothing_is_said_about_similarity(world: World, tmp_path: Path) -> None:
    numbers = report(prepared(world), ["train"], tmp_path)["train"]
    assert numbers["similarity"] is None
    assert tuple(numbers["checks"]) == CHEAP
    assert list(numbers["support"]) == ["answer"]
    shown = table(numbers)
    assert shown["check: unsupported"] == "not made: needs an encoder"
    assert shown["check: contradicts"] == "not made: needs a judge"


@pytest.mark.parametrize("blended", [False, True])
def test_the_teachers_encoder_is_taken_and_named(
    blended: bool, world: World, tiny_bert: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    teacher: Teacher = RationaleSimilarity(Encoder(tiny_bert, max_length=48))
    datamodule = prepared(world, teacher=Blend(rationale=teacher) if blended else teacher)
    numbers = report(datamodule, ["train"], tmp_path)["train"]
    assert numbers["similarity"]["encoder_of"] == "teacher"
    assert "teacher's)" in capsys.readouterr().out
    assert "(the teacher&#x27;s)" in (tmp_path / "rationales.html").read_text()
    # the data module itself is left as it was
    assert datamodule.rationale_checks.encoder is None
    rows = read_jsonl(tmp_path / "rationales.jsonl")
    values = [row["best_similarity"] for row in rows]
    assert numbers["similarity"]["mean"] == pytest.approx(sum(values) / len(values))
    assert {row["best_passage"] for row in rows} <= set(datamodule.corpus)


def test_the_checks_own_encoder_comes_first(world: World, tiny_bert: str, tmp_path: Path) -> None:
    own = Encoder(tiny_bert, max_length=32)
    datamodule = prepared(
        world,
        rationale_checks=QualityChecks(encoder=own, min_similarity=1.0),
        teacher=RationaleSimilarity(Encoder(tiny_bert, max_length=48)),
    )
    numbers = report(datamodule, ["train"], tmp_path)["train"]
    assert numbers["similarity"]["encoder_of"] == "rationale_checks"
    assert own._loaded is not None
    unsupported = numbers["checks"]["unsupported"]["count"]
    assert unsupported > 0
    assert unsupported + numbers["support"]["similar"]["count"] == numbers["rationales"]


def test_support_counts_questions_with_an_answer_among_their_candidates(
    world: World, tmp_path: Path
) -> None:
    rows = read_jsonl(world.folder / "train.jsonl")
    write_jsonl(
        world.folder / "train.jsonl", [{**rows[0], "golden_answers": ["admiral9"]}, *rows[1:]]
    )
    numbers = report(prepared(world), ["train"], tmp_path)["train"]
    assert numbers["support"]["answer"] == {
        "count": len(rows) - 1,
        "share": pytest.approx(1 - 1 / len(rows)),
    }


def test_a_second_report_loads_no_model_and_writes_the_same(
    world: World, tiny_bert: str, tmp_path: Path
) -> None:
    prepared(world, teacher=RationaleSimilarity(Encoder(tiny_bert, max_length=48)))
    written = []
    for name in ("first", "second"):
        encoder = Encoder(tiny_bert, max_length=48)
        report(module(world, teacher=RationaleSimilarity(encoder)), ["train"], tmp_path / name)
        written.append({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()})
    assert encoder._loaded is None
    assert written[0] == written[1]
    assert sorted(written[0]) == ["rationales.html", "rationales.json", "rationales.jsonl"]


# Edges


def test_no_rationale_at_all(world: World, tiny_bert: str, tmp_path: Path) -> None:
    world_of_none = make_world(world.folder.parent / "none")
    (world_of_none.folder / "rationales.jsonl").write_text("")
    datamodule = module(world_of_none, teacher=RationaleSimilarity(Encoder(tiny_bert)))
    with pytest.raises(InputError, match="rationale missing"):
        datamodule.prepare_data()
    numbers = report(datamodule, ["train"], tmp_path)["train"]
    assert (numbers["rationales"], numbers["missing"]) == (0, numbers["questions"])
    assert numbers["checks"]["empty"] == {"count": 0, "share": None}
    assert numbers["words"] == {}
    assert "NaN" not in (tmp_path / "rationales.json").read_text()
    assert "<img" not in (tmp_path / "rationales.html").read_text()


def test_questions_without_candidates(world: World, tiny_bert: str, tmp_path: Path) -> None:
    ids = [
        row["id"]
        for split in ("train", "validation", "test")
        for row in read_jsonl(world.folder / f"{split}.jsonl")
    ]
    path = write_jsonl(
        world.folder / "run.jsonl", [{"id": identifier, "candidate_ids": []} for identifier in ids]
    )
    datamodule = prepared(
        world,
        retriever=Precomputed(str(path)),
        teacher=RationaleSimilarity(Encoder(tiny_bert, max_length=48)),
    )
    numbers = report(datamodule, ["train"], tmp_path)["train"]
    assert numbers["checks"]["unsupported"]["share"] == 1
    assert numbers["support"]["similar"]["count"] == 0
    assert numbers["similarity"].keys() == {"encoder", "encoder_of"}
    assert read_jsonl(tmp_path / "rationales.jsonl")[0]["best_similarity"] is None


def test_multiple_choice_and_other_scripts(world: World, tmp_path: Path) -> None:
    rows = read_jsonl(world.folder / "train.jsonl")
    rows[0] |= {"choices": ["captain0", "captain1"], "golden_answers": [0]}
    rows[1] |= {"question": "法国的首都是哪里?", "golden_answers": ["巴黎"]}
    write_jsonl(world.folder / "train.jsonl", rows)
    text = "It was foggy and no ship could see the tower, so option A is correct."
    change(
        world,
        {rows[0]["id"]: {"rationale": text}, rows[1]["id"]: {"rationale": "法国的首都是巴黎 🗼。"}},
    )
    report(prepared(world), ["train"], tmp_path)
    first, second = read_jsonl(tmp_path / "rationales.jsonl")[:2]
    assert (first["choices"], first["failed"]) == (["captain0", "captain1"], [])
    assert second["words"] == 8
    assert "法国的首都是巴黎 🗼。" in (tmp_path / "rationales.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("changes", "split", "message"),
    [
        (
            {"rationales": None},
            "train",
            r"found no use for rationales.*data\.init_args\.rationales",
        ),
        ({"teacher": RetrievalScore()}, "train", "found no use for rationales"),
        (
            {"test": None},
            "test",
            "split: found 'test', expected one of the splits that have questions",
        ),
        ({}, "train", r"candidates missing for .*\n.*radio prepare"),
    ],
)
def test_what_can_not_be_reported_says_why(
    changes: dict[str, Any], split: str, message: str, world: World, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        report(module(world, **changes), [split], tmp_path / "out")
    assert not (tmp_path / "out").exists()


# The page


class Page(HTMLParser):
    """Collects tags and text, and checks that every element is closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "img", "br", "link"}:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_is_whole_and_loads_nothing(world: World, tiny_bert: str, tmp_path: Path) -> None:
    datamodule = prepared(world, teacher=RationaleSimilarity(Encoder(tiny_bert, max_length=48)))
    path = rationale_report(datamodule, "train", tmp_path)
    assert path == tmp_path / "rationales.html"
    page = Page(path.read_text(encoding="utf-8"))
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    assert len(images) == 4
    for image in images:
        assert len(image["alt"] or "") > 40
        head, _, code = (image["src"] or "").partition(",")
        assert head == "data:image/svg+xml;base64"
        assert b"<svg" in base64.b64decode(code)
    assert not [tag for tag, _ in page.tags if tag in {"script", "link", "iframe", "object"}]
    assert not [
        a for _, attributes in page.tags for a in attributes if a == "href" or a.startswith("on")
    ]
    assert "no_answer" in page.text


def test_what_others_wrote_is_text_on_the_page(world: World, tmp_path: Path) -> None:
    attack = '<script>alert("x")</script><img src=x onerror=alert(1)>'
    rows = read_jsonl(world.folder / "train.jsonl")
    rows[0] |= {"question": f"Who? {attack}", "golden_answers": [f"</article>{attack}"]}
    write_jsonl(world.folder / "train.jsonl", rows)
    row = {
        "rationale": f"I'm sorry, but {attack}",
        "model": f'"{attack}',
        "outcome": f"odd{attack}",
    }
    change(world, {rows[0]["id"]: row})
    path = rationale_report(prepared(world, rationale_filters=()), "train", tmp_path)
    page = Page(path.read_text(encoding="utf-8"))
    assert f"I'm sorry, but {attack}" in page.text
    assert f"Who? {attack}" in page.text
    assert "script" not in {tag for tag, _ in page.tags}
    assert all(
        (attributes["src"] or "").startswith("data:")
        for tag, attributes in page.tags
        if tag == "img"
    )


@pytest.mark.skipif(
    shutil.which("chromium") is None, reason="chromium is not installed: apt-get install chromium"
)
def test_the_page_renders(world: World, tiny_bert: str, tmp_path: Path) -> None:
    datamodule = prepared(world, teacher=RationaleSimilarity(Encoder(tiny_bert, max_length=48)))
    path = rationale_report(datamodule, "train", tmp_path)
    picture = tmp_path / "page.png"
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--window-size=1200,1600",
        f"--screenshot={picture}",
    ]
    subprocess.run(
        ["chromium", *options, path.as_uri()], check=True, timeout=PATIENCE, capture_output=True
    )
    assert picture.stat().st_size > 50_000
