"""The page about teachers: whole, and safe to open."""

from __future__ import annotations

import base64
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from radio.evaluation.teachers.measure import Curve, measure
from radio.evaluation.teachers.page import page
from radio.schema import Example, Passage, Question
from tests.conftest import PATIENCE
from tests.evaluation.teachers.comparing import Asking, comparison, examples, passages, run, teacher
from tests.rationales.test_page import Page

ATTACK = '<script>alert("x")</script><img src=x onerror=alert(1)>'


def written(**changes: Any) -> str:
    compared = comparison(**changes)
    return page(*measure(compared), compared.passages)


def whole() -> str:
    curve = Curve("configured", "retrieval", run(1), run(0), 0.5)
    return written(readers=[Asking().reader()], curve=curve, remarks=["something to know"])


def test_the_page_is_whole_and_loads_nothing() -> None:
    found = Page(whole())
    images = [attributes for tag, attributes in found.tags if tag == "img"]
    assert len(images) == 7
    for image in images:
        assert len(image["alt"] or "") > 40
        head, _, code = (image["src"] or "").partition(",")
        assert head == "data:image/svg+xml;base64"
        assert b"<svg" in base64.b64decode(code)
    assert not [tag for tag, _ in found.tags if tag in {"script", "link", "iframe", "object"}]
    assert not [
        a for _, attributes in found.tags for a in attributes if a == "href" or a.startswith("on")
    ]
    for text in ("something to know", "gold_nDCG@5", "P@1 gained by other", "P@1 lost by other"):
        assert text in found.text


def test_without_answers_annotations_judge_the_examples() -> None:
    silent = {}
    for name, example in examples().items():
        question = replace(example.question, golden_answers=())
        silent[name] = Example(question, example.candidates)
    found = Page(written(examples=silent))
    assert "gold_P@1 gained by" in found.text
    assert "against answers" not in found.text


def test_targets_without_a_temperature() -> None:
    text = Page(written(temperature=None, temperature_of="it is null")).text
    assert "none" in text
    assert "temperature of the targets (it is null)" in text


def test_what_others_wrote_is_text_on_the_page() -> None:
    asked = {}
    for name, example in examples().items():
        question = Question(name, f"Which? {ATTACK}", (f"lamp {int(name[1:]) % 3}", f"no {ATTACK}"))
        asked[name] = Example(question, example.candidates)
    texts = {}
    for name, passage in passages().items():
        texts[name] = Passage(name, f"{ATTACK}{passage.contents}")
    teachers = [teacher("retrieval", run(0)), teacher(ATTACK, run(1), origin=ATTACK)]
    found = Page(written(examples=asked, passages=texts, teachers=teachers, remarks=[ATTACK]))
    for text in (f"Which? {ATTACK}", f"P@1 gained by {ATTACK}", f"{ATTACK}Tower"):
        assert text in found.text
    assert "script" not in {tag for tag, _ in found.tags}
    for tag, attributes in found.tags:
        if tag == "img":
            assert (attributes["src"] or "").startswith("data:")


def test_a_long_passage_is_cut() -> None:
    long = {
        name: Passage(name, passage.contents + " word" * 500)
        for name, passage in passages().items()
    }
    text = Page(written(passages=long)).text
    assert "word word" in text
    assert "word " * 100 not in text


@pytest.mark.skipif(
    shutil.which("chromium") is None, reason="chromium is not installed: apt-get install chromium"
)
@pytest.mark.parametrize("width", [1200, 480])
def test_the_page_renders(width: int, tmp_path: Path) -> None:
    path, picture = tmp_path / "teachers.html", tmp_path / "page.png"
    path.write_text(whole(), encoding="utf-8")
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--window-size={width},1600",
        f"--screenshot={picture}",
    ]
    subprocess.run(
        ["chromium", *options, path.as_uri()], check=True, timeout=PATIENCE, capture_output=True
    )
    assert picture.stat().st_size > 50_000
