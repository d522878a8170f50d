"""The page about rationales: whole, and safe to open."""

from __future__ import annotations

import base64
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from data_modules import JsonlDataModule
from radio.commands.rationales_report import report
from radio.encoders import Encoder
from radio.teachers import RationaleSimilarity
from tests.commands.test_rationales_report import change, prepared
from tests.conftest import PATIENCE, World, read_jsonl, write_jsonl


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


def page_of(datamodule: JsonlDataModule, folder: Path) -> Path:
    report(datamodule, ["train"], folder)
    return folder / "rationales.html"


def test_the_page_is_whole_and_loads_nothing(world: World, tiny_bert: str, tmp_path: Path) -> None:
    datamodule = prepared(world, teacher=RationaleSimilarity(Encoder(tiny_bert, max_length=48)))
    path = page_of(datamodule, tmp_path)
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
    path = page_of(prepared(world, rationale_filters=()), tmp_path)
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
    path = page_of(datamodule, tmp_path)
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
