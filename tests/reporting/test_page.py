"""The report in a real browser: text of strangers stays text, and the keys do what they say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from radio.commands.report import write_report
from radio.schema import Question
from radio.transfer.gains import write
from tests.browsers import chromium, complaints, press, seconds_to_open, until
from tests.reporting.runs import GENERATOR, asked, config_of, corpus, told_run
from tests.reporting.test_transfer import crossed

ATTACK = (
    "<script>window.attacked = 1</script><img src=x onerror='window.attacked = 2'>"
    '</script><script>window.attacked = 3</script><!-- " onload="window.attacked = 4" '
    '<a href="javascript:window.attacked = 5">x</a> &lt;b&gt; ${window.attacked = 6} '
    "{{ 7 * 7 }} \u2028 \u202eevil\u202c \u2066isolated\u2069"
)
"""All that could run, or could look like something else."""

FORMATTED = ATTACK.replace("{", "{{").replace("}", "}}")
"""The same for ``str.format``."""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with chromium(tmp_path_factory.mktemp("chromium")) as started:
        yield started


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty questions: q0, q1 and q2 are won, q3 is lost."""
    folder = tmp_path_factory.mktemp("report")
    config = config_of(corpus(folder / "corpus.jsonl", 60))
    path = folder / "report.html"
    write_report([told_run(folder / "run", 60, config=config)], path, draws=200)
    return path


def opened(browser: Any, page: Path, place: str = "") -> Any:
    browser.get("about:blank")
    browser.get(page.as_uri() + place)
    until(lambda: text(browser, "#detail") != "")
    return browser


def text(browser: Any, selector: str) -> str:
    return " ".join(
        str(node.get_property("textContent"))
        for node in browser.find_elements("css selector", selector)
    )


def click(browser: Any, selector: str) -> None:
    browser.execute_script("document.querySelector(arguments[0]).click()", selector)


def enter(browser: Any, name: str, event: str, value: str) -> None:
    """Give a control a value, as a person does."""
    browser.execute_script(
        "const node = document.getElementById(arguments[0]); node.value = arguments[2];"
        "node.dispatchEvent(new Event(arguments[1]));",
        name,
        event,
        value,
    )


def test_text_of_strangers_stays_text(browser: Any, tmp_path: Path) -> None:
    questions = [
        Question(f"q0{ATTACK}", f"Who? {ATTACK}", (f"keeper {ATTACK}", "keeper"), (ATTACK,)),
        *(asked(number) for number in range(1, 4)),
    ]
    passages = corpus(
        tmp_path / "corpus.jsonl", 4, text=f"Of lamp {ATTACK.replace('{', '{{').replace('}', '}}')}"
    )
    config = config_of(passages, name=ATTACK)
    name = "run <script>window.attacked = 8<\u2215script><img src=x onerror=alert(1)>"
    folder = told_run(
        tmp_path / name,
        questions=questions,
        config=config,
        reply="{answer} " + FORMATTED,
        rationale=FORMATTED,
        breakdown={
            system: {"em by kind": {ATTACK: {"mean": mean, "questions": 4}}}
            for system, mean in (("base", 0.25), ("tuned", 0.75))
        },
    )
    path, matrix = tmp_path / "report.html", crossed(reason=ATTACK, name=ATTACK)
    write(matrix, tmp_path / "m", "")
    write_report([folder], path, draws=200, transfer=tmp_path / "m")
    browser.get_log("browser")
    opened(browser, path)
    seen = ATTACK
    for control in ("\u202e", "\u202c", "\u2066", "\u2069"):
        seen = seen.replace(control, f"[U+{ord(control):04X}]")
    assert seen in text(browser, ".asked")
    assert seen in text(browser, ".golden")
    assert seen in text(browser, ".choices")
    assert seen in text(browser, ".why")
    assert seen in text(browser, ".reply pre")
    assert seen in text(browser, ".row .text")
    assert seen in text(browser, ".groups th")
    assert seen in text(browser, ".crossed th")
    assert seen in text(browser, ".crossed .failed")
    assert "window.attacked = 1" in text(browser, ".entry .text")
    assert "<script>" in text(browser, "h1")
    assert browser.execute_script("return window.attacked") is None
    assert browser.execute_script("return document.scripts.length") == 2
    assert not browser.find_elements("css selector", "main img, main script, main a[href^=java]")
    press(browser, "x", "w", "j", "c", "?")
    assert browser.execute_script("return window.attacked") is None
    assert complaints(browser) == []
    shown = browser.execute_script("return document.body.innerText")
    assert not set("\u202e\u2066") & set(shown)


def test_the_policy_lets_no_other_script_run_and_nothing_load(browser: Any, page: Path) -> None:
    opened(browser, page)
    browser.get_log("browser")
    assert browser.execute_script("return performance.getEntriesByType('resource').length") == 0
    browser.execute_script(
        "const s = document.createElement('script'); s.textContent = 'window.attacked = 1';"
        "document.body.append(s); const i = new Image(); i.src = 'http://127.0.0.1:9/x';"
        "document.body.append(i); fetch('http://127.0.0.1:9/y').catch(() => {});"
        "const b = document.createElement('button');"
        "b.setAttribute('onclick', 'window.attacked = 2'); document.body.append(b); b.click();"
    )
    assert browser.execute_script("return window.attacked") is None
    refused = " ".join(complaints(browser))
    assert refused.count("Content Security Policy") >= 3


def test_an_opened_question_shows_both_orders(browser: Any, page: Path) -> None:
    opened(browser, page, "#question=q1")
    assert text(browser, ".asked") == "Who lit lamp 1?"
    assert text(browser, ".detail .tag") == "\u25b2 won"
    assert text(browser, ".golden .chip") == "keeper 1"
    assert "wrong: nobody 1" in text(browser, ".reply:first-child")
    assert "right: keeper 1" in text(browser, ".reply:nth-child(2)")
    assert "It was keeper 1." in text(browser, ".reply:nth-child(2) pre")
    assert "Keeper 1 had the matches." in text(browser, ".why")
    assert text(browser, ".movers") == "top 1enteredLamp 1/5leftLamp 1/0"
    assert text(browser, ".column.before .title").split() == [
        f"1/{n}" if w else "Lamp" for n in range(6) for w in (0, 1)
    ]
    assert text(browser, ".column.after .entry:first-child .move") == "\u25b25 (was 6)"
    assert len(browser.find_elements("css selector", ".links .up")) == 3
    assert len(browser.find_elements("css selector", ".links .down")) == 3
    assert text(browser, ".column.after .gold .support") == "It was lit by keeper 1."
    assert text(browser, ".column.after .gold mark") == "keeper 1"
    assert "teacher 0.875" in text(browser, ".column.after .gold")
    assert "the generator's prompt" in text(browser, ".absent")
    assert "rationale" not in text(browser, ".absent")


def test_an_opened_question_stays_in_its_frame(browser: Any, page: Path) -> None:
    opened(browser, page, "#question=q1")
    # what is out of the flow, as texts for screen readers, lengthens no page below the frame
    inside, outside = browser.execute_script(
        "const places = [...document.querySelectorAll('#detail *')]"
        ".filter(node => getComputedStyle(node).position === 'absolute')"
        ".map(node => Boolean(node.offsetParent?.closest('#detail')));"
        "return [places.filter(Boolean).length, places.filter(inside => !inside).length]"
    )
    assert inside > 0
    assert outside == 0


@pytest.mark.parametrize("answer", ["$5 (and-a-half) [1]", "C++", "1,335,907", "A.B", "a|b\\d"])
def test_answers_are_marked_whatever_they_are_made_of(
    browser: Any, tmp_path: Path, answer: str
) -> None:
    question = Question("q0", "Which?", (answer,))
    passages = corpus(tmp_path / "corpus.jsonl", 1, text=f"It is {answer}, not x{answer}x.")
    folder = told_run(tmp_path / "run", questions=[question], config=config_of(passages))
    write_report([folder], tmp_path / "report.html", draws=200)
    opened(browser, tmp_path / "report.html", "#question=q0")
    found = text(browser, ".column.after .entry:first-child mark")
    assert found.split(" " + answer)[0] == answer


def test_one_depth_needs_no_name(browser: Any, tmp_path: Path) -> None:
    folder = told_run(tmp_path / "run", generators=[{**GENERATOR, "top_k": 3}])
    for name in ("metrics.json", "predictions.jsonl"):
        told = (folder / name).read_text(encoding="utf-8")
        for key in ("em", "answer", "reply", "answer_in_context"):
            told = told.replace(f'"{key}@3"', f'"{key}"').replace(f'"{key}@1"', f'"{key}_1"')
        (folder / name).write_text(told, encoding="utf-8")
    write_report([folder], tmp_path / "report.html", draws=200)
    opened(browser, tmp_path / "report.html", "#question=q0")
    assert "base read 3 passages" in text(browser, ".reply:first-child")
    assert "wrong: nobody 0" in text(browser, ".reply:first-child")
    assert "right: keeper 0" in text(browser, ".reply:nth-child(2)")
    assert text(browser, "#grid") == "hit, right 0hit, wrong 0miss, right 7miss, wrong 1"


def test_filters_search_and_order(browser: Any, page: Path) -> None:
    opened(browser, page)
    assert text(browser, "#outcomes") == "\u25b2 won 3 = tied 56 \u25bc lost 1".replace(
        " = ", "= "
    ).replace(" \u25bc", "\u25bc")
    assert text(browser, "#grid") == "hit, right 0hit, wrong 0miss, right 59miss, wrong 1"
    click(browser, "#outcomes .lost")
    assert text(browser, "#count") == "1 of 60 questions"
    assert text(browser, ".row .text") == "Who lit lamp 3?"
    click(browser, "#grid .mr")
    assert "No question is like this" in text(browser, "#rows")
    click(browser, "#grid .mr")
    click(browser, "#outcomes .lost")
    press(browser, "/")
    press(browser, "keeper 17")
    until(lambda: text(browser, "#count") == "1 of 60 questions")
    assert text(browser, ".row .text") == "Who lit lamp 17?"
    enter(browser, "search", "input", "")
    until(lambda: text(browser, "#count") == "60 questions")
    enter(browser, "sort", "change", "loss")
    assert text(browser, ".row:first-child .text") == "Who lit lamp 3?"
    measures = [option.text for option in browser.find_elements("css selector", "#measure option")]
    enter(browser, "measure", "change", str(measures.index("nDCG@5")))
    assert text(browser, "#outcomes .lost") == "\u25bc lost 60"


def test_keys_walk_and_the_address_follows(browser: Any, page: Path) -> None:
    opened(browser, page, "#question=q5")
    press(browser, "j")
    assert text(browser, ".asked") == "Who lit lamp 6?"
    assert browser.current_url.endswith("#question=q6")
    press(browser, "k", "k")
    assert text(browser, ".asked") == "Who lit lamp 4?"
    press(browser, "l")
    assert text(browser, "#count") == "1 of 60 questions"
    press(browser, "j")
    assert text(browser, ".asked") == "Who lit lamp 3?"
    press(browser, "l", "?")
    assert browser.find_element("id", "help").is_displayed()
    press(browser, "j")
    assert text(browser, ".asked") == "Who lit lamp 3?", "keys do not fire behind a dialog"
    press(browser, "\ue00c")
    browser.execute_script("location.hash = '#question=q40'")
    until(lambda: text(browser, ".asked") == "Who lit lamp 40?")


def test_only_rows_in_sight_are_in_the_document(browser: Any, page: Path) -> None:
    opened(browser, page)
    assert 5 < len(browser.find_elements("css selector", ".row")) < 25
    press(browser, *"j" * 30)
    shown = browser.find_elements("css selector", ".row")
    assert 5 < len(shown) < 25
    (chosen,) = browser.find_elements("css selector", ".row[aria-selected=true]")
    assert chosen.get_attribute("aria-posinset") == "31"
    assert chosen.get_attribute("aria-setsize") == "60"
    inside = browser.execute_script(
        "const l = document.getElementById('list').getBoundingClientRect();"
        "const r = arguments[0].getBoundingClientRect();"
        "return r.top >= l.top - 1 && r.bottom <= l.bottom + 1",
        chosen,
    )
    assert inside


def test_a_question_is_copied_as_json(browser: Any, page: Path) -> None:
    opened(browser, page, "#question=q2")
    browser.execute_script(
        "Object.defineProperty(navigator, 'clipboard', {configurable: true, value:"
        "{writeText: (text) => { window.copied = text; return Promise.resolve(); }}})"
    )
    press(browser, "c")
    until(lambda: text(browser, "#copy") == "Copied")
    found = json.loads(browser.execute_script("return window.copied"))
    assert (found["id"], found["split"], found["gold_ids"]) == ("q2", "test", ["p2-2"])
    tuned = found["systems"]["tuned"]
    assert tuned["measures"]["em@1"] == 1
    assert tuned["replies"]["1"] == ["keeper 2", "It was keeper 2."]
    assert [passage["id"] for passage in tuned["passages"]] == [f"p2-{n}" for n in range(5, -1, -1)]
    assert tuned["passages"][3]["teacher"] == 0.875


def test_the_theme_is_switched(browser: Any, page: Path) -> None:
    opened(browser, page)
    colours = []
    for _ in range(3):
        click(browser, "#theme")
        scheme = browser.execute_script("return document.documentElement.style.colorScheme")
        paper = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
        colours.append((scheme, paper))
    assert len({paper for scheme, paper in colours if scheme != "light dark"}) == 2


def test_the_page_is_opened_in_less_than_a_second(browser: Any, page: Path) -> None:
    assert 0 < seconds_to_open(browser, page, lambda: text(browser, "#detail") != "") < 1
