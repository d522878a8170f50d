"""The page on which rationales are reviewed, in a real browser."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from radio.rationales.marks import Mark, Reviews, read_marks
from radio.rationales.server import ReviewServer
from tests.browsers import chromium
from tests.conftest import PATIENCE, read_jsonl
from tests.rationales.reviewing import ATTACK, make_items, serving


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ReviewServer]:
    with serving(make_items(), tmp_path / "marks") as running:
        yield running


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with chromium(tmp_path_factory.mktemp("chromium")) as started:
        yield started


class Page:
    """What a person does and sees."""

    def __init__(self, driver: Any, url: str) -> None:
        self.driver = driver
        driver.get(url)
        self.until(lambda: self.text("question") != "")

    def until(self, condition: Callable[[], Any], seconds: float = PATIENCE) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, (
                f"still not so; the page says: {self.text('live')!r}, {self.text('saved')!r}"
            )
            time.sleep(0.02)

    def find(self, identifier: str) -> Any:
        return self.driver.find_element("id", identifier)

    def text(self, identifier: str) -> str:
        return str(self.find(identifier).get_property("textContent"))

    def press(self, *keys: str) -> None:
        from selenium.webdriver import ActionChains

        ActionChains(self.driver).send_keys(*keys).perform()

    def at(self, identifier: str) -> None:
        self.until(lambda: self.text("about") == f"Question {identifier}")

    def saved(self) -> None:
        self.until(lambda: self.text("saved") == "All saved")

    def choose(self, value: str) -> None:
        from selenium.webdriver.support.ui import Select

        Select(self.find("filter")).select_by_value(value)

    def click_mark(self, mark: str) -> None:
        self.driver.find_element("css selector", f"#marks [data-mark={mark}]").click()

    def pressed(self) -> list[str]:
        buttons = self.driver.find_elements("css selector", "#marks [aria-pressed=true]")
        return [button.get_attribute("data-mark") for button in buttons]


def marks_of(server: ReviewServer) -> list[str | None]:
    return [server.reviews.marks.get(item.key, Mark()).mark for item in server.items]


def test_a_person_marks_with_keys_and_buttons_and_undoes(
    browser: Any, server: ReviewServer
) -> None:
    page = Page(browser, server.url)
    page.at("q-0")
    assert page.text("counts").startswith("0 of 4 marked (0 %)")
    page.press("3")
    page.at("q-1")
    page.click_mark("leaks")
    page.at("q-2")
    page.press("p")
    page.at("q-3")
    page.saved()
    assert marks_of(server) == ["wrong", "leaks", "partly", None]
    assert page.text("counts").startswith("3 of 4 marked (75 %)")
    assert page.find("bar").get_attribute("aria-valuenow") == "3"
    page.press("u")
    page.at("q-2")
    assert page.pressed() == []
    page.find("undo").click()
    page.at("q-1")
    assert marks_of(server) == ["wrong", None, None, None]
    page.press("k")
    page.at("q-0")
    assert page.pressed() == ["wrong"]
    page.press("1")
    page.at("q-1")
    page.press("\ue014")  # right
    page.at("q-2")
    page.press("j")
    page.at("q-3")
    page.press("\ue012")  # left
    page.at("q-2")
    page.press("n")
    page.at("q-3")
    page.press("n")  # from the start again
    page.at("q-1")
    page.press("k")
    page.at("q-0")
    page.press("0")
    page.until(lambda: not page.pressed())
    page.saved()
    assert marks_of(server) == [None] * 4
    page.press("u")
    page.until(lambda: page.pressed() == ["correct"])
    assert read_marks(server.reviews.path)[server.items[0].key].mark == "correct"


def test_keys_do_nothing_while_a_note_is_written(browser: Any, server: ReviewServer) -> None:
    page = Page(browser, server.url)
    page.press("e")
    page.press("will check: 1234 clw")
    assert page.find("note").get_property("value") == "will check: 1234 clw"
    assert marks_of(server) == [None] * 4
    page.press("\ue00c")  # escape
    page.until(
        lambda: server.reviews.marks.get(server.items[0].key, Mark()).note == "will check: 1234 clw"
    )
    page.press("3")
    page.at("q-1")
    page.saved()
    page.press("e")
    page.press("typed, then a click")
    page.click_mark("correct")
    page.at("q-2")
    page.saved()
    assert [(m.mark, m.note) for m in read_marks(server.reviews.path).values()] == [
        ("wrong", "will check: 1234 clw"),
        ("correct", "typed, then a click"),
    ]
    assert page.find("note").get_property("value") == ""
    page.press("k", "k")
    page.until(lambda: page.find("note").get_property("value") != "")


def test_text_of_strangers_stays_text(browser: Any, server: ReviewServer) -> None:
    browser.get_log("browser")
    page = Page(browser, server.url)
    page.at("q-0")
    passage = browser.find_element("css selector", "#candidates .text")
    assert passage.get_property("textContent") == ATTACK
    assert browser.execute_script("return window.attacked") is None
    assert (
        browser.execute_script(
            "return document.querySelectorAll('main img, main script, main b b').length"
        )
        == 0
    )
    assert "<b>Fog</b>" in page.text("candidates")
    hits = browser.find_elements("css selector", "mark")
    assert [hit.get_property("textContent") for hit in hits] == ["ADA HALE", "Hale"], (
        "whole words, in any case"
    )
    assert "holds an answer" in page.text("candidates")
    assert "0.750" in page.text("candidates")
    assert "12.50" in page.text("candidates")
    assert not [
        entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")
    ]


def test_filters_and_jumps(browser: Any, server: ReviewServer) -> None:
    other = Reviews(server.reviews.folder, "ben")
    other.put(server.items[2].key, "correct")
    other.close()
    page = Page(browser, server.url)
    page.choose("flagged")
    page.at("q-1")
    assert page.text("position") == "of 4 (1 of 1 shown)"
    assert page.text("flags") == "fails the check repeats"
    page.choose("unmarked")
    page.press("w")
    page.at("q-2")
    page.until(lambda: page.text("position") == "of 4 (2 of 3 shown)")
    page.press("w")
    page.at("q-3")
    page.choose("mark wrong")
    page.at("q-1")
    page.press("j")
    page.at("q-2")
    page.choose("apart")
    page.until(lambda: page.text("position") == "of 4 (1 of 1 shown)")
    page.at("q-2")
    assert page.text("others") == "ann: wrong · ben: correct"
    page.choose("all")
    page.press("g")
    page.press("4", "\ue007")
    page.at("q-3")
    page.press("g")
    page.press("q-0", "\ue007")
    page.at("q-0")
    page.press("x")
    assert not browser.find_elements("css selector", "details[open]")
    page.press("j")
    page.at("q-1")
    assert not browser.find_elements("css selector", "details[open]"), (
        "it stays so for the next question"
    )


def test_agreement_keys_and_export(browser: Any, server: ReviewServer) -> None:
    for name, marks in {
        "ann": ("correct", "wrong", "wrong"),
        "ben": ("correct", "wrong", "leaks"),
    }.items():
        reviews = server.reviews if name == "ann" else Reviews(server.reviews.folder, name)
        for item, mark in zip(server.items, marks, strict=False):
            reviews.put(item.key, mark)
    reviews.close()
    page = Page(browser, server.url)
    page.at("q-3")
    page.press("?")
    page.until(lambda: page.find("keys").is_displayed())
    page.press("3")
    page.press("\ue00c")
    page.until(lambda: not page.find("keys").is_displayed())
    assert marks_of(server)[3] is None, "keys do not fire behind a dialog"
    page.press("a")
    page.until(lambda: "ann and ben" in page.text("agreementbody"))
    # observed 2/3; by chance (1 * 1 + 2 * 1) / 9 = 1/3: kappa 1/2
    assert page.text("pairs").endswith("ann and ben366.7 %0.500")
    browser.find_element("css selector", "#apart button").click()
    page.at("q-2")
    assert not page.find("agreement").is_displayed()
    page.find("export").click()
    path = browser.downloads / "rationale-marks.jsonl"
    page.until(path.is_file)
    rows = read_jsonl(path)
    assert [(row["id"], row["annotator"], row["mark"]) for row in rows] == [
        *[
            ("q-0", "ann", "correct"),
            ("q-0", "ben", "correct"),
            ("q-1", "ann", "wrong"),
            ("q-1", "ben", "wrong"),
        ],
        *[("q-2", "ann", "wrong"), ("q-2", "ben", "leaks")],
    ]


def test_a_mark_that_the_server_does_not_get_waits(browser: Any, server: ReviewServer) -> None:
    page = Page(browser, server.url)
    page.at("q-0")
    put, broken = server.reviews.put, [True]

    def failing(*arguments: Any) -> Mark:
        if broken[0]:
            raise OSError(28, "No space left on device")
        return put(*arguments)

    server.reviews.put = failing  # type: ignore[method-assign]
    page.press("3")
    page.until(lambda: page.text("saved") == "1 not saved")
    assert page.find("gone").is_displayed()
    assert "No space left" in page.text("gone")
    broken[0] = False
    page.saved()
    assert marks_of(server)[0] == "wrong"
    page.until(lambda: not page.find("gone").is_displayed())


def test_marks_survive_the_end_of_the_server_in_the_browser(browser: Any, tmp_path: Path) -> None:
    items = make_items()
    with serving(items, tmp_path) as server:
        page, port = Page(browser, server.url), server.server_port
        page.at("q-0")
    page.press("4")
    page.until(lambda: page.text("saved") == "1 not saved")
    assert "does not answer" in page.text("gone")
    assert f"--port {port}" in page.text("gone")
    reviews = Reviews(tmp_path, "ann")
    again = ReviewServer(items, reviews, port)
    thread = Thread(target=again.serve_forever)
    thread.start()
    try:
        page.until(lambda: "was started again" in page.text("gone"))
        assert not reviews.marks, "another server has another token"
        page = Page(browser, again.url)
        page.saved()
        assert reviews.marks[items[0].key].mark == "leaks"
    finally:
        again.shutdown()
        thread.join()
        again.server_close()
        reviews.close()
