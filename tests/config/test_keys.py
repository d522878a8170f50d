"""Dotted keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.config.test_files import tree

NAMED = {
    "model": {"init_args": {"loss": {"class_path": "InfoNCE", "init_args": {"temperature": 0.7}}}}
}


@pytest.mark.parametrize(
    "text",
    [
        '{"model.init_args.loss": "InfoNCE", "model.init_args.loss.init_args.temperature": 0.7}',
        '{"model.init_args.loss.init_args.temperature": 0.7, "model.init_args.loss": "InfoNCE"}',
        '{"model.init_args.loss.class_path": "InfoNCE", '
        '"model.init_args.loss.init_args.temperature": 0.7}',
        "model:\n  init_args:\n    loss: InfoNCE\n    loss.init_args.temperature: 0.7\n",
        "model.init_args:\n  loss: InfoNCE\n  loss.init_args:\n    temperature: 0.7\n",
        "model.init_args.loss: {class_path: InfoNCE}\nmodel.init_args.loss.init_args.temperature: "
        "7.0e-1\n",
    ],
)
def test_a_class_among_dotted_keys_is_kept_in_either_order(text: str, tmp_path: Path) -> None:
    assert tree(tmp_path / "flat.yaml", text) == NAMED


def test_keys_of_plain_dictionaries_keep_their_dots(tmp_path: Path) -> None:
    text = (
        "data:\n  init_args:\n    rationales:\n      class_path: X\n"
        "      init_args:\n        prices: {gpt-4.1: 1}\n"
    )
    found = tree(tmp_path / "a.yaml", text)
    assert found["data"]["init_args"]["rationales"]["init_args"]["prices"] == {"gpt-4.1": 1}
