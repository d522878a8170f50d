"""The report for everyone: axe-core finds nothing serious, wide or narrow, light or dark."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from radio.commands.report import write_report
from radio.transfer.gains import write
from radio.transfer.table import markdown
from tests.browsers import chromium, until
from tests.reporting.runs import config_of, corpus, told_run
from tests.reporting.test_transfer import crossed


def axe(folder: Path) -> str:
    """The script of axe-core, from the npm registry; skips the test where that cannot be had."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed: apt-get install npm")
    command = [npm, "install", "--no-audit", "--no-fund", "--prefix", str(folder), "axe-core@4"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"axe-core cannot be had: {done.stderr.strip().splitlines()[-1:]}")
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


@pytest.mark.slow
def test_axe_finds_nothing_serious(tmp_path: Path) -> None:
    script = axe(tmp_path / "npm")
    folder = told_run(tmp_path / "run", 30, config=config_of(corpus(tmp_path / "c.jsonl", 30)))
    document = crossed()
    write(document, tmp_path / "m", markdown(document))
    write_report([folder], tmp_path / "report.html", draws=200, transfer=tmp_path / "m")
    with chromium(tmp_path / "chromium") as browser:
        browser.set_script_timeout(120)
        for width in (1280, 390):
            for scheme in ("light", "dark"):
                show(browser, tmp_path / "report.html", width, scheme)
                browser.execute_script(script)
                found = browser.execute_async_script(
                    "axe.run({resultTypes: ['violations']}).then(arguments[0])"
                )
                serious = [
                    (violation["id"], violation["nodes"][0]["target"])
                    for violation in found["violations"]
                    if violation["impact"] in ("serious", "critical")
                ]
                assert serious == [], (width, scheme)
                assert len(found["passes"]) > 20


def show(browser: Any, page: Path, width: int, scheme: str) -> None:
    """Open the page with everything on it unfolded, and a question opened."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    browser.get("about:blank")
    browser.get(f"{page.as_uri()}#question=q1")
    until(lambda: browser.find_elements("css selector", ".asked"))
    browser.execute_script("for (const node of document.querySelectorAll('details')) node.open = 1")
    too_wide = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert browser.execute_script(too_wide) <= 0
