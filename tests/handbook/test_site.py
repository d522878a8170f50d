"""The site builds strictly, its pages show what they should, and it asks nobody for anything."""

from __future__ import annotations

import functools
import http.server
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.house import MODULES
from handbook.api import public_names
from tests.browsers import chromium, complaints, until
from tests.conftest import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` does."""
    folder = tmp_path_factory.mktemp("site")
    paths = [str(ROOT / "src"), str(ROOT)]
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    handler = functools.partial(Quiet, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with chromium(tmp_path_factory.mktemp("browser")) as started:
        yield started


def test_pages_load_nothing_from_elsewhere(site: Path) -> None:
    loading = re.compile(
        r"<(?:script|img|iframe|source)\b[^>]*\bsrc=[\"']?(?:https?:)?//"
        r"|<link\b[^>]*rel=[\"']?(?:stylesheet|preconnect|preload)[^>]*href=[\"']?(?:https?:)?//"
    )
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 60
    assert [page.name for page in pages if loading.search(page.read_text())] == []
    for style in site.rglob("*.css"):
        assert not re.search(r"url\([\"']?https?:|@import", style.read_text())


def test_docstrings_and_notebook_are_pages(site: Path) -> None:
    losses = (site / "api/losses.html").read_text()
    assert 'id="radio.losses.pointwise.Huber"' in losses
    assert not [page for page in site.rglob("api/*.html") if ":meth:" in page.read_text()]
    assert "QuickstartDataModule" in (site / "tutorials/notebook.html").read_text()


def test_each_public_class_and_function_stands_in_the_reference(site: Path) -> None:
    pages = "".join(page.read_text(encoding="utf-8") for page in sorted(site.glob("api/*.html")))
    shown = set(re.findall(r'id="([\w.]+)"', pages))
    public = []
    for module, path in MODULES.items():
        if not module.endswith("__main__"):
            public += [f"{module}.{name}" for name in public_names(path)]
    assert len(public) > 500
    assert [name for name in public if name not in shown] == []


@pytest.mark.parametrize("name", ["index", "house", "api/teachers", "configuration/losses"])
def test_a_browser_asks_this_server_alone(name: str, browser: Any, address: str) -> None:
    browser.get(f"{address}/{name}.html")
    until(lambda: browser.execute_script("return document.readyState") == "complete")
    asked = browser.execute_script(
        "return performance.getEntriesByType('resource').map(entry => entry.name)"
    )
    assert asked
    assert [url for url in asked if not url.startswith((address, "data:"))] == []
    assert complaints(browser) == []


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("name", ["index", "concepts", "tutorials/own-data", "how-to/reranker"])
def test_no_page_is_wider_than_its_window(
    name: str, width: int, browser: Any, address: str
) -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get(f"{address}/{name}.html")
    wide = browser.execute_script("return document.documentElement.scrollWidth")
    assert wide <= width


def test_the_search_finds_a_class(browser: Any, address: str) -> None:
    size = {"width": 1280, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get(f"{address}/index.html?q=LambdaLoss")
    found = "return document.querySelectorAll('.md-search-result__link').length"
    browser.find_element("css selector", ".md-search__input").click()
    until(lambda: browser.execute_script(found) > 0)


def test_a_link_that_leads_nowhere_fails_make_docs(tmp_path: Path) -> None:
    """The command of the Makefile, with the rules of the site, on two pages."""
    found = re.search(r"-m (mkdocs build.*)", (ROOT / "Makefile").read_text())
    assert found
    rules = (ROOT / "mkdocs.yml").read_text().partition("validation:")
    (tmp_path / "mkdocs.yml").write_text("site_name: two pages\n" + "".join(rules[1:]))
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/b.md").write_text("# B\n")

    def build(page: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "docs/index.md").write_text(page)
        command = [sys.executable, "-m", *found[1].split()]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    assert build("[b](b.md)\n").returncode == 0
    for page in ("[b](gone.md)\n", "[b](b.md#nowhere)\n"):
        done = build(page)
        assert done.returncode == 1
        assert "1 warnings in strict mode" in done.stdout + done.stderr
