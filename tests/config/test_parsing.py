"""The parser: parts that cannot be made."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.config.test_mistakes import QUICKSTART, Radio, one_message

TRAINERS = {
    "--trainer.accelerator warp": "accelerator='warp'",
    "--trainer.strategy fancy": "strategy='fancy'",
    "--trainer.devices many": "devices",
    "--trainer.accelerator tpu": "accelerator tpu",
}


@pytest.mark.parametrize("options", TRAINERS)
def test_a_trainer_that_cannot_be_is_one_message(options: str, radio: Radio) -> None:
    status, _, err = radio("prepare", *QUICKSTART, *options.split())
    assert status == 2
    message = one_message(err)
    assert message.startswith("radio: error: trainer (")
    assert TRAINERS[options] in message


def test_a_constructor_that_raises_is_named_with_its_line(
    radio: Radio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "raising.py").write_text(
        "from radio.losses import Loss\n\n\nclass Raises(Loss):\n    def __init__(self, kind: str "
        "= 'a'):\n"
        "        raise ValueError(f'no {kind}')\n\n    def __call__(self, scores, targets, mask): "
        "...\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    status, _, err = radio("prepare", *QUICKSTART, "--model.init_args.loss", "raising.Raises")
    assert status == 2
    assert "Raises cannot be made: ValueError: no a" in one_message(err)
    assert "raising.py:6" in err
