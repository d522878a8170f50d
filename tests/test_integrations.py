"""The Python of docs/integrations.md and docs/using.md is run as it stands there, and ranks as the
reranker does. ``make integrations`` runs these tests where all libraries are installed."""

from __future__ import annotations

import importlib.util
import json
import os
import re
from collections.abc import Callable
from math import nan
from pathlib import Path
from typing import Any

import pytest

from radio.rerankers import BiEncoder, CrossEncoder, Reranker
from radio.rerankers.onnx import as_json, describe, write_fp32
from radio.rerankers.opening import opened
from radio.rerankers.scoring import load, scores_of
from radio.schema import Group, Passage, Question
from tests.conftest import ROOT

ALL_INSTALLED = "RADIO_ALL_INTEGRATIONS"
"""Set where each library must be there: one that is not fails its test; elsewhere it is skipped."""

KINDS: dict[str, Callable[..., Reranker]] = {"CrossEncoder": CrossEncoder, "BiEncoder": BiEncoder}


def snippets(page: str, heading: str) -> list[str]:
    """The blocks of Python below a heading of a page."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    parts = text.split(f"\n## {heading}\n")
    assert len(parts) == 2, heading
    below = parts[1].partition("\n## ")[0]
    return re.findall(r"```python\n(.*?)```", below, flags=re.DOTALL)


@pytest.fixture(scope="module")
def rerankers(tiny_bert: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Reranker]:
    """A reranker of each class, of which ``runs/mine/export`` in ``.folder`` is the export."""
    made = {}
    for name, kind in KINDS.items():
        reranker = kind(model=tiny_bert, max_length=48)
        reranker.configure_model()
        for weight, parameter in reranker.network.named_parameters():
            # so that scores are far apart
            if parameter.dim() > 1 and "embeddings" not in weight:
                parameter.data *= 8
        folder = tmp_path_factory.mktemp(name) / "runs/mine/export"
        made[name] = opened(str(reranker.eval().export(folder)))
        load(made[name], "cpu")
    return made


def run(code: str, reranker: Reranker, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the names of a piece of Python stand for after it, run where the export is."""
    monkeypatch.chdir(Path(reranker.model).parents[2])
    names: dict[str, Any] = {}
    exec(compile(code, "docs", "exec"), names)
    return names


def scores(reranker: Reranker, question: str, passages: list[str]) -> list[float]:
    given = tuple(Passage(str(number), text) for number, text in enumerate(passages))
    group = Group(Question("q", question), given, (nan,) * len(given))
    return scores_of(reranker, reranker.collator(), [group])[0]


@pytest.mark.parametrize(
    ("heading", "kind", "packages"),
    [
        ("sentence-transformers: CrossEncoder", "CrossEncoder", "sentence_transformers"),
        ("sentence-transformers: SentenceTransformer", "BiEncoder", "sentence_transformers"),
        ("rerankers", "CrossEncoder", "rerankers"),
        *(
            pytest.param(heading, "CrossEncoder", packages, marks=pytest.mark.slow)
            for heading, packages in (
                ("LangChain", "langchain_classic langchain_community"),
                ("LlamaIndex", "llama_index.postprocessor.sbert_rerank"),
                ("Haystack", "haystack haystack_integrations.components.rankers"),
            )
        ),
    ],
)
def test_a_library_ranks_as_the_reranker(
    heading: str,
    kind: str,
    packages: str,
    rerankers: dict[str, Reranker],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    need(packages)
    # it would report its use over the network
    monkeypatch.setenv("HAYSTACK_TELEMETRY_ENABLED", "False")
    (code,) = snippets("integrations.md", heading)
    found = run(code, rerankers[kind], monkeypatch)
    expected = scores(rerankers[kind], found["question"], found["passages"])
    assert len({round(score, 4) for score in expected}) == len(expected)
    best_first = sorted(zip(expected, found["passages"], strict=True), reverse=True)
    assert found["ranked"] == [passage for _, passage in best_first]
    assert found["ranked"] != found["passages"]


def need(packages: str) -> None:
    """Skip what is run where a package is not there, or fail where all must be."""
    for package in packages.split():
        if not installed(package):
            end = pytest.fail if os.environ.get(ALL_INSTALLED) else pytest.skip
            end(f"{package} is not installed: make integrations installs it, and runs this")


def installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:
        return False


def test_a_library_that_must_be_there_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    need("json")
    monkeypatch.delenv(ALL_INSTALLED, raising=False)
    with pytest.raises(pytest.skip.Exception, match=r"no_such\.library is not installed"):
        need("json no_such.library")
    monkeypatch.setenv(ALL_INSTALLED, "1")
    with pytest.raises(pytest.fail.Exception, match=r"no_such\.library is not installed"):
        need("json no_such.library")


def test_make_and_ci_run_this_where_all_are_installed() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    recipe = makefile.partition("\nintegrations: ")[2].partition("\n\n")[0]
    assert f"{ALL_INSTALLED}=1" in recipe
    assert Path(__file__).relative_to(ROOT).as_posix() in recipe
    made = re.findall(r"^make (.*)$", (ROOT / ".ci/run").read_text(encoding="utf-8"), re.MULTILINE)
    assert "integrations" in " ".join(made).split()


@pytest.mark.slow
@pytest.mark.parametrize(("number", "kind"), enumerate(KINDS))
def test_onnx_runtime_scores_as_the_reranker(
    number: int, kind: str, rerankers: dict[str, Reranker], monkeypatch: pytest.MonkeyPatch
) -> None:
    reranker = rerankers[kind]
    code = snippets("using.md", "ONNX Runtime, and int8: `radio export --onnx`")[number]
    folder = Path(reranker.model).parent / "onnx"
    folder.mkdir()
    write_fp32(reranker, describe(reranker), folder)
    (folder / "onnx.json").write_text(json.dumps(as_json(describe(reranker))))
    found = run(code, reranker, monkeypatch)
    expected = scores(reranker, found["question"], found["passages"])
    assert found["scores"].tolist() == pytest.approx(expected, abs=1e-4)
    assert expected[0] != pytest.approx(expected[1], abs=1e-3)


def test_what_was_not_run_says_so() -> None:
    text = (ROOT / "docs/integrations.md").read_text(encoding="utf-8")
    for part in text.split("\n## ")[1:]:
        heading, _, body = part.partition("\n")
        assert ("```bash" in body) == heading.endswith("(untested)"), heading
