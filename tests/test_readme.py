"""The commands and examples of the README and of docs/ are run as they stand there."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from handbook.readme import readme
from tests import forked
from tests.conftest import PATIENCE, ROOT, World, read_jsonl
from tests.llm_server import serve
from tests.llm_wire import KEY

EXAMPLES = {
    "my_dataset.py": "docs/how-to/dataset.md",
    "my_loss.py": "docs/how-to/loss.md",
    "my_reranker.py": "docs/how-to/reranker.md",
    "my_teacher.py": "docs/how-to/teacher.md",
    "my_generator.py": "docs/how-to/generator.md",
}
"""Files that readers write themselves, and the pages that show them."""
PAGES = (
    "docs/configs.md",
    *EXAMPLES.values(),
    "docs/how-to/collapse.md",
    "docs/how-to/no-gain.md",
    "docs/how-to/out-of-memory.md",
    "docs/how-to/paper.md",
    "docs/how-to/read-a-report.md",
    "docs/how-to/slow.md",
    "docs/rationales.md",
    "docs/tutorials/own-data.md",
    "docs/comparing.md",
    "docs/diagnosing.md",
    "docs/evaluation.md",
    "docs/generators.md",
    "docs/report.md",
    "docs/scaling.md",
    "docs/teachers.md",
    "docs/using.md",
    "data_modules/quickstart/README.md",
)
ELSEWHERE = {
    "docs/processes.md": ("tests/test_processes_recipes.py", "docs/processes.md"),
    "docs/ray.md": ("tests/engines/test_ray_cluster.py", "docs/ray.md"),
    "docs/restarts.md": ("tests/test_restarts.py", "docs/restarts.md"),
    "docs/sweeps.md": ("tests/test_sweeps.py", "docs/sweeps.md"),
    "docs/transfer.md": ("tests/commands/test_transfer.py", "matrix.yaml"),
}
"""Pages whose commands another test runs, and what stands in it."""
RUNS = {
    "docs/comparing.md": ("radio-1", "radio-2", "radio-3", "rival-1"),
    "docs/diagnosing.md": ("quickstart",),
    "docs/generators.md": ("quickstart",),
    "docs/report.md": ("nq-1", "nq-2"),
    "docs/using.md": ("mine",),
}
"""Run folders that the commands of a page expect."""
TASKS = ("docs/how-to/", "docs/tutorials/")
"""Pages whose options go with the quickstart."""
OWN_ARGUMENTS = ("--data.init_args.path", "--model.init_args.loss.init_args.margin")
QUICK = ("docs/rationales.md",)
"""Pages that are not left to the slow tests."""


def fenced(page: str) -> list[tuple[str, str]]:
    """Language and text of each block of code."""
    return re.findall(r"```(\w+)\n(.*?)```", (ROOT / page).read_text(), flags=re.DOTALL)


BLOCKS = fenced("README.md")
# what makes a run of a page small: nothing that it shows is left out
SMALL = [
    "--trainer.max_epochs",
    "1",
    "--trainer.enable_progress_bar",
    "false",
    "--trainer.accelerator",
    "cpu",
]

Radio = Callable[..., tuple[int, str, str]]


def blocks(language: str, containing: str) -> list[str]:
    found = [text for kind, text in BLOCKS if kind == language and containing in text]
    assert found, f"the README shows no {language} block with {containing!r}"
    return found


def commands(text: str) -> list[list[str]]:
    """The words of each ``radio`` command of a block, also of one that reads a pipe."""
    found = []
    for line in text.replace("\\\n", " ").splitlines():
        piped = re.match(r"cat (\S+) \| (radio .*) --input - > \S+$", line)
        if piped:
            line = f"{piped[2]} --input {piped[1]}"
        if line.startswith("radio "):
            found.append(shlex.split(line, comments=True))
    return found


def test_the_readme_is_the_home_page() -> None:
    said = "written by python -m handbook.readme from docs/index.md"
    assert (ROOT / "README.md").read_text(encoding="utf-8") == readme(), said


def all_pages() -> set[str]:
    pages = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("docs/**/*.md")}
    return pages | {"data_modules/quickstart/README.md", "benchmarks/README.md"}


def test_the_commands_of_each_page_are_run_by_a_test() -> None:
    showing = {
        page
        for page in all_pages()
        if any(kind == "bash" and commands(text) for kind, text in fenced(page))
    }
    assert showing - {*PAGES, *ELSEWHERE} == set()
    for test, named in ELSEWHERE.values():
        assert named in (ROOT / test).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", sorted(all_pages()))
def test_commands_stand_in_blocks_that_tests_see(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for language, block in re.findall(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        assert language == "bash" or not commands(block)
    outside = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    # what is only indented is a block too
    assert re.findall(r"\n\n(?: {4}|\t)(\S.*)", outside) == []


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if page.startswith(TASKS)])
def test_every_option_within_a_sentence_is_one_that_there_is(page: str, radio: Radio) -> None:
    """Those of the command line that are not in a block: set, or at least known."""
    text = re.sub(r"```.*?```", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.DOTALL)
    options, named = [], []
    for code in re.findall(r"`(--(?:model|data|trainer)\.[^`]+|--config [^`]+)`", text):
        words = shlex.split(" ".join(code.split()))
        # an argument of a class of the reader's own
        if words[0] in OWN_ARGUMENTS:
            continue
        (options if len(words) > 1 else named).extend(words)
    status, out, err = radio("fit", "--config", "quickstart", *options, "--print_config")
    assert status == 0, err
    config = yaml.safe_load(out)
    for option in named:
        place = config
        for key in option.removeprefix("--").split("."):
            assert key in place, option
            place = place[key]


def test_make_targets_of_the_readme_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = {
        target
        for text in blocks("bash", "make ")
        for target in re.findall(r"^make (\w+)", text, re.MULTILINE)
    }
    assert {"quickstart", "test"} <= targets
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)
    # the first command of the README is the command of make quickstart
    assert "radio fit --config quickstart" in makefile
    assert "`radio fit --config quickstart`" in (ROOT / "README.md").read_text()


def teacher_options(arguments: list[str], tiny_bert: str) -> list[str]:
    """What makes the encoder of a command's teacher tiny, where the teacher has one."""
    if any(name in word for word in arguments for name in ("my_teacher", "answer_match")):
        return []
    place = "teacher."
    if any("quickstart" in word for word in arguments):
        place = "teacher.init_args.teachers.0."
    if "teachers/gated" in arguments:
        place = "teacher.init_args.teacher."
    encoder = f"--data.init_args.{place}init_args.encoder.init_args"
    return [f"{encoder}.model", tiny_bert, f"{encoder}.max_length", "48"]


@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=() if page in QUICK else pytest.mark.slow) for page in PAGES],
)
def test_every_command_of_a_page_runs(
    page: str,
    radio: Radio,
    world: World,
    tiny_bert: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for path in world.folder.iterdir():
        path.rename(tmp_path / path.name)
    rows = [
        {key: row[key] for key in ("id", "question")} for row in read_jsonl(tmp_path / "test.jsonl")
    ]
    (tmp_path / "new_questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    # as that page shows a line of the input
    line = next(text for kind, text in fenced("docs/using.md") if kind == "json")
    (tmp_path / "questions.jsonl").write_text(line, encoding="utf-8")
    monkeypatch.setenv("WANDB_MODE", "offline")
    for name, text in files_of(page).items():
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    tiny = ["--model.init_args.model", tiny_bert, "--model.init_args.max_length", "48"]
    few = ["--data.init_args.max_questions", "{train: 8, validation: 2, test: 2}"]
    for name in RUNS.get(page, ()):
        run = ("fit", "--config", "quickstart", "--name", name, *SMALL, *tiny, *few)
        status, _, err = radio(*run, *teacher_options(["quickstart"], tiny_bert))
        assert status == 0, err
    seen = 0
    with serve(tmp_path / "provider") as provider:
        monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
        monkeypatch.setenv("ANTHROPIC_BASE_URL", provider.url)
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("OPENAI_BASE_URL", f"{provider.url}/v1")
        for text in [text for kind, text in fenced(page) if kind == "bash"]:
            for _, command, *arguments in commands(text):
                # the page of a review is served until Ctrl-C: test_rationale_review.py; the
                # published matrix needs the hub: commands/test_transfer.py
                if "review" in arguments or command == "transfer":
                    continue
                seen += 1
                small = [*SMALL, *teacher_options(arguments, tiny_bert)]
                if not any("export" in argument for argument in arguments):
                    small += tiny
                if any("quickstart" in argument for argument in arguments):
                    small += few
                if "published" in arguments:
                    # its data are on the hub: test_published_end_to_end.py
                    small = ["--print_config"]
                if command in ("cache", "configs", "compare", "report", "diagnose", "export"):
                    small = []
                status, _, err = radio(command, *arguments, *small)
                assert status == 0, f"radio {command} {' '.join(arguments)}\n{err}"
    assert seen


def files_of(page: str) -> dict[str, str]:
    """Blocks that start with a comment naming their file."""
    found = {}
    for _, text in fenced(page):
        match = re.match(r"# (\w+\.(?:py|yaml))\n", text)
        if match:
            found[match[1]] = text
    return found


def examples() -> dict[str, str]:
    """All files that readers write themselves, by name."""
    return {name: text for page in EXAMPLES.values() for name, text in files_of(page).items()}


def test_each_example_stands_on_its_page() -> None:
    for name, page in EXAMPLES.items():
        assert name in files_of(page)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_example_classes_import(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(files_of(EXAMPLES[name])[name])
    # in an interpreter that has imported nothing: test_wheel.py
    done = forked.run([sys.executable, "-m", Path(name).stem], cwd=tmp_path, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_loading_example_runs_on_an_export(tiny_bert: str, tmp_path: Path) -> None:
    from radio.rerankers import BiEncoder

    reranker = BiEncoder(tiny_bert, max_length=48)
    reranker.configure_model()
    reranker.export(tmp_path / "runs/quickstart/export")
    (text,) = blocks("python", "from sentence_transformers")
    subprocess.run(
        [sys.executable, "-c", text],
        cwd=tmp_path,
        check=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )
