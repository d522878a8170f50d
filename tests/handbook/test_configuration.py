"""The configuration reference leaves out no class, no argument and no range."""

from __future__ import annotations

import inspect
import re
from typing import Literal

import pytest

from handbook import configuration
from radio.config.kinds import arguments_of
from radio.losses import Loss
from radio.ranges import RANGES
from radio.trainer import RadioTrainer
from tests.conftest import ROOT

PAGES = configuration.pages()
SECTIONS = {
    name: text
    for page in PAGES.values()
    for name, text in re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
}


def test_each_class_of_the_overlays_has_a_section() -> None:
    named = {
        name
        for path in sorted((ROOT / "configs").rglob("*.yaml"))
        for name in configuration.named_in(path)
    }
    assert len(named) > 60
    assert named - set(SECTIONS) == set()


def test_each_class_that_is_shown_has_all_its_arguments() -> None:
    overlays = configuration.overlays_by_class()
    for _, _, base in configuration.KINDS.values():
        for kind in configuration.classes_of(base, overlays):
            rows = set(re.findall(r"^\| `(\w+)` \|", SECTIONS[kind.__name__], re.MULTILINE))
            assert rows == set(arguments_of(kind)), kind


def test_each_range_of_a_class_that_is_shown_stands_there() -> None:
    for name, settings in RANGES.items():
        section = SECTIONS.get("RadioTrainer" if name == "Trainer" else name)
        # others are of base classes, and of commands
        for setting, allowed in settings.items() if section else ():
            row = re.search(rf"^\| `{setting}` \|.*$", section or "", re.MULTILINE)
            assert row, (name, setting)
            assert f"*Range: {allowed}.*" in row[0]


def test_a_setting_has_type_default_range_and_what_the_docstring_says() -> None:
    assert (
        "| `delta` | `float` | `1.0` | where the line begins, > 0, in units of the teacher score. "
        "*Range: a number above 0.* |"
    ) in SECTIONS["Huber"]
    assert "| `train_side` | `'both' | 'question'` | `'both'` |" in SECTIONS["BiEncoder"]
    # of the base class: its text, its range
    assert re.search(r"\| `lr` \| `float` \| `6e-05` \| \w.*Range", SECTIONS["CrossEncoder"])
    assert "| `losses` | `dict[str, Loss]` | required |" in SECTIONS["WeightedSum"]
    assert "Overlays: `losses/huber`." in SECTIONS["Huber"]


def test_each_own_argument_is_described() -> None:
    overlays = configuration.overlays_by_class()
    silent = []
    for _, _, base in configuration.KINDS.values():
        for kind in configuration.classes_of(base, overlays):
            if kind.__module__.startswith("radio"):
                about = configuration.descriptions(kind)
                silent += [f"{kind.__name__}.{a}" for a in arguments_of(kind) if not about.get(a)]
    assert silent == []


def test_a_range_of_the_base_class_holds_for_a_class_derived_from_it() -> None:
    epochs = str(RANGES["Trainer"]["max_epochs"])
    assert configuration.range_of(RadioTrainer, "max_epochs") == epochs
    assert configuration.range_of(Loss, "margin") == ""


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (int | None, "int | None"),
        (Literal["a", 2], "'a' | 2"),
        (dict[str, list[float]], "dict[str, list[float]]"),
        (tuple[Loss, ...], "tuple[Loss, ...]"),
        (inspect.Parameter.empty, "any"),
    ],
)
def test_types_read_as_they_are_written(annotation: object, text: str) -> None:
    assert configuration.type_text(annotation) == text


def test_a_bar_ends_a_cell_only_between_cells() -> None:
    for page in PAGES.values():
        for line in page.splitlines():
            if line.startswith("| `") and "argument" not in line:
                assert len(re.findall(r"(?<!\\)\|", re.sub(r"`[^`]*`", "", line))) == 5, line


def test_a_sentence_over_several_lines_is_one() -> None:
    assert "(the classes of\nDPA-RAG, Dong et al." in SECTIONS["AnswerFlip"]
    assert "| right   | right   | `both_right` |" in SECTIONS["AnswerFlip"].replace("``", "`")
