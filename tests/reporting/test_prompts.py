"""The generator's prompts on the page are those that a server was sent, or are not shown."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from radio.callbacks import GeneratorInTheLoop, RankEvaluation
from radio.commands.report import write_report
from radio.generators import AnthropicGenerator, Generator, SpanReader, TransformersGenerator
from radio.reporting.explorer import Explored, explored, pair_of
from radio.rerankers import CrossEncoder
from tests.browsers import chromium, until
from tests.callbacks.test_rankings import trainer, whole_models
from tests.conftest import World, make_world, read_jsonl, write_jsonl
from tests.data.test_module import module
from tests.llm_server import serve
from tests.llm_wire import KEY
from tests.reporting.runs import compared

DEPTHS = [1, 3]


def strange(world: World) -> Path:
    """The corpus, with what means something in a page, a template or an element."""
    path = world.folder / "corpus.jsonl"
    rows = read_jsonl(path)
    for row in rows:
        row["contents"] += " </passage> <b>&amp; {question} \"x\" 'y' $1 \\n \u00e9"
    return write_jsonl(path, rows)


def evaluated(world: World, generator: Generator, tiny_bert: str, folder: Path) -> Path:
    """A run folder of an evaluation that has asked a generator."""
    loop = GeneratorInTheLoop(generator, top_k=DEPTHS)
    run = trainer(folder, callbacks=[RankEvaluation(), loop])
    models = whole_models(tiny_bert, folder.parent / "models")
    reranker = CrossEncoder(models[CrossEncoder], max_length=48)
    run.validate(reranker, datamodule=module(world, eval_candidates=5), verbose=False)
    return folder


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    made = make_world(tmp_path_factory.mktemp("world"))
    strange(made)
    return made


@pytest.fixture(scope="module")
def asked(
    world: World, tiny_bert: str, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Mapping[str, Any]]:
    """A run folder, and what the server has seen of it."""
    folder = tmp_path_factory.mktemp("asked")
    with pytest.MonkeyPatch.context() as patch, serve(folder / "server") as server:
        patch.setenv("ANTHROPIC_API_KEY", KEY)
        generator = AnthropicGenerator("claude-test", base_url=server.url)
        run = evaluated(world, generator, tiny_bert, folder / "run")
        return run, server.stats()


def digests(prompts: set[tuple[str, str]], body: Mapping[str, Any]) -> set[str]:
    """What the server notes of such prompts, in the form that it was sent one."""
    found = set()
    for system, user in prompts:
        form = json.loads(json.dumps([body.get("system"), body["messages"]]))
        given, sent = [json.dumps(told)[1:-1] for told in (system, user)], json.dumps(form)
        told = json.dumps(body["messages"][-1]["content"])[1:-1]
        assert given[0] in sent
        found.add(hashlib.sha256(sent.replace(told, given[1]).encode()).hexdigest())
    return found


def test_the_page_shows_what_the_server_was_sent(
    asked: tuple[Path, Mapping[str, Any]], world: World, tmp_path: Path
) -> None:
    folder, stats = asked
    page = tmp_path / "report.html"
    write_report([folder], page, draws=200, corpus=[world.folder / "corpus.jsonl"])
    shown: set[tuple[str, str]] = set()
    with chromium(tmp_path / "chromium") as browser:
        questions = [row["question_id"] for row in read_jsonl(folder / "predictions.jsonl")]
        for question in questions:
            browser.get("about:blank")
            browser.get(f"{page.as_uri()}#question={question}")
            until(lambda: browser.find_elements("css selector", ".prompt"))
            systems, measures = (
                [node.text for node in browser.find_elements("css selector", f"#{name} option")]
                for name in ("before", "measure")
            )
            for depth in DEPTHS:
                measure = str(measures.index(f"em@{depth}"))
                for place in range(len(systems)):
                    browser.execute_script(
                        "for (const [name, value] of Object.entries(arguments[0])) {"
                        "const node = document.getElementById(name); node.value = value;"
                        "node.dispatchEvent(new Event('change')); }"
                        "document.querySelector('.reply .prompt').open = true;",
                        {"before": str(place), "measure": measure},
                    )
                    until(lambda: browser.find_elements("css selector", ".prompt pre"))
                    told = browser.execute_script(
                        "return [...document.querySelector('.reply .prompt')"
                        ".querySelectorAll('pre')].map((node) => node.textContent)"
                    )
                    shown.add(tuple(told))
        assert "the generator's prompt" not in browser.find_element("id", "detail").text
    assert digests(shown, stats["bodies"][0]) == set(stats["paid"])


def of(folder: Path, corpus: Path) -> Explored:
    comparison = compared(folder)
    return explored(comparison, pair_of(comparison), corpus=[corpus])


def test_what_has_changed_since_is_not_shown(
    asked: tuple[Path, Mapping[str, Any]], world: World, tmp_path: Path
) -> None:
    folder, _ = asked
    rows = read_jsonl(world.folder / "corpus.jsonl")
    whole = of(folder, world.folder / "corpus.jsonl")
    sent = [question["sent"] for question in whole.document["questions"]]
    assert all(counts == DEPTHS for of_question in sent for counts in of_question)
    assert not any("prompts are not shown" in remark for remark in whole.remarks)
    for row in rows:
        row["contents"] += "!"
    changed = of(folder, write_jsonl(tmp_path / "corpus.jsonl", rows))
    assert not any("sent" in question for question in changed.document["questions"])
    total = len(sent) * len(whole.document["systems"]) * len(DEPTHS)
    assert any(
        remark.startswith(f"{total} of {total} prompts are not shown") for remark in changed.remarks
    )


def test_a_reader_that_is_not_asked_in_words_has_no_prompt(
    world: World, tiny_bert: str, tmp_path: Path
) -> None:
    folder = evaluated(world, SpanReader(), tiny_bert, tmp_path / "run")
    document = of(folder, world.folder / "corpus.jsonl").document
    assert document["prompt"] is None
    assert not any("sent" in question for question in document["questions"])


def test_what_an_older_run_does_not_say_is_not_known(
    asked: tuple[Path, Mapping[str, Any]], world: World, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    for name in ("metrics.json", "predictions.jsonl"):
        text = (asked[0] / name).read_text(encoding="utf-8")
        (folder / name).write_text(text.replace('"prompt"', '"another"'))
    assert "prompt" not in of(folder, world.folder / "corpus.jsonl").document


@pytest.mark.parametrize(("window", "shown"), [(240, [1, 2]), (200, [1, 1]), (140, [None, None])])
def test_a_prompt_of_which_passages_were_cut_shows_the_others(
    window: int,
    shown: list[int | None],
    world: World,
    tiny_bert: str,
    tiny_generator: str,
    tmp_path: Path,
) -> None:
    """As long as they are whole: where the end of one was cut is not known."""
    reader = TransformersGenerator(
        tiny_generator, max_length=window, max_tokens=4, accelerator="cpu", dtype="float32"
    )
    folder = evaluated(world, reader, tiny_bert, tmp_path / "run")
    document = of(folder, world.folder / "corpus.jsonl").document
    counts = [
        count
        for question in document["questions"]
        for count in question.get("sent", [[None, None]])[0]
    ]
    assert counts == shown * len(document["questions"])
