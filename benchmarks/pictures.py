"""Pictures of the pages of a run for docs/images, in headless Chromium; after ``make quickstart``:

radio diagnose runs/quickstart
radio report runs/quickstart --measure nDCG@5 --output runs/quickstart.html
python -m benchmarks.pictures runs/quickstart.html runs/quickstart/diagnose.html
"""

from __future__ import annotations

import base64
import io
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]


class View(NamedTuple):
    """What is seen of a page: from an element on, so many pixels."""

    name: str
    page: int
    """Of the command line."""
    place: str
    """Fragment of the address."""
    element: str
    width: int
    height: int
    dark: bool = False


VIEWS = [
    View("report-result", 0, "", "body", 1280, 800),
    View("report-question", 0, "#question=moon-q2", "#questions", 1280, 860),
    View("report-narrow", 0, "", "body", 390, 844, dark=True),
    View("diagnose", 1, "", "#robustness-title", 1280, 900, dark=True),
]

COLOURS = 128
"""Of a picture: text and lines need no more, and the repository stays small."""


def main(pages: list[str]) -> None:
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    with tempfile.TemporaryDirectory() as profile:
        for argument in ("headless=new", "no-sandbox", f"user-data-dir={profile}"):
            options.add_argument(f"--{argument}")
        service = webdriver.ChromeService(shutil.which("chromedriver"))
        browser = webdriver.Chrome(options=options, service=service)
        try:
            for view in VIEWS:
                path = ROOT / "docs" / "images" / f"{view.name}.png"
                save(path, picture(browser, Path(pages[view.page]).resolve(), view))
        finally:
            browser.quit()


def picture(browser: Any, page: Path, view: View) -> bytes:
    """PNG of a view."""
    scheme = {"name": "prefers-color-scheme", "value": "dark" if view.dark else "light"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    size = {"width": view.width, "height": view.height, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get("about:blank")
    browser.get(page.as_uri() + view.place)
    time.sleep(1)
    # further down the bar would lie on what is to be seen
    top = browser.execute_script(
        "if (arguments[0] !== 'body')"
        "  document.querySelectorAll('.bar').forEach(bar => bar.style.position = 'static');"
        "const box = document.querySelector(arguments[0]).getBoundingClientRect();"
        "return Math.max(0, box.top + scrollY - 16)",
        view.element,
    )
    clip = {"x": 0, "y": top, "width": view.width, "height": view.height, "scale": 1}
    taken = browser.execute_cdp_cmd(
        "Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip}
    )
    return base64.b64decode(taken["data"])


def save(path: Path, png: bytes) -> None:
    from PIL import Image

    packed = io.BytesIO()
    image = Image.open(io.BytesIO(png)).convert("RGB").quantize(COLOURS)
    image.save(packed, format="PNG", optimize=True)
    path.write_bytes(packed.getvalue())
    print(f"{path.relative_to(ROOT)}: {packed.tell() // 1024} kB")


if __name__ == "__main__":
    main(sys.argv[1:])
