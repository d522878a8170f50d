"""An exported folder is there as a whole, or as it was before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from radio.disk import exchange
from radio.rerankers import BiEncoder, CrossEncoder, Reranker, saving
from radio.rerankers.saving import replaced
from radio.schema import InputError
from tests.rerankers.test_base import ready
from tests.synced import Synced


@pytest.fixture(params=[CrossEncoder, BiEncoder])
def reranker(request: pytest.FixtureRequest, tiny_bert: str) -> Reranker:
    return ready(request.param, tiny_bert)


def test_an_export_replaces_the_old_one_and_leaves_no_other_files(
    reranker: Reranker, tmp_path: Path
) -> None:
    (tmp_path / "export").mkdir()
    (tmp_path / "export/old.txt").write_text("old")
    reranker.export(tmp_path / "export")
    assert [p.name for p in tmp_path.iterdir()] == ["export"]
    assert not (tmp_path / "export/old.txt").exists()


def test_weights_of_nan_are_not_exported_and_the_old_folder_stays(
    tiny_bert: str, tmp_path: Path
) -> None:
    reranker = CrossEncoder(tiny_bert, max_length=48)
    reranker.configure_model()
    folder = reranker.export(tmp_path / "export", card="of the first")
    before = (folder / "model.safetensors").read_bytes()
    reranker.network.classifier.weight.data[0, 0] = float("inf")
    with pytest.raises(
        InputError, match=r"nothing is exported: the weight 'classifier.weight' is not finite"
    ):
        reranker.export(folder, card="of the second")
    assert (folder / "model.safetensors").read_bytes() == before
    assert (folder / "README.md").read_text() == "of the first"
    assert [path.name for path in tmp_path.iterdir()] == ["export"]


def test_an_export_that_is_killed_half_way_leaves_the_old_folder_whole(
    tiny_bert: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reranker = CrossEncoder(tiny_bert, max_length=48)
    reranker.configure_model()
    folder = reranker.export(tmp_path / "export", card="whole")

    def killed(*_: Any, **__: Any) -> None:
        assert (folder / "README.md").read_text() == "whole"
        raise KeyboardInterrupt

    monkeypatch.setattr(reranker.tokenizer, "save_pretrained", killed)
    with pytest.raises(KeyboardInterrupt):
        reranker.export(folder, card="half")
    assert (folder / "README.md").read_text() == "whole"
    assert {"model.safetensors", "tokenizer.json", "config.json"} <= {
        path.name for path in folder.iterdir()
    }
    assert [path.name for path in tmp_path.iterdir()] == ["export"]


def test_an_export_takes_the_place_of_the_old_one_in_one_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    if not exchange(tmp_path / "a", tmp_path / "b"):
        pytest.skip("this file system cannot exchange two folders")
    assert (tmp_path / "a/b").exists()
    assert (tmp_path / "b/a").exists()

    def two_steps(self: Path, target: Path) -> None:
        raise AssertionError(f"{self} is renamed, and its name means nothing for a moment")

    monkeypatch.setattr(Path, "rename", two_steps)
    with replaced(tmp_path / "a") as work:
        (work / "new").touch()
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["new"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_where_it_takes_two_steps_an_error_in_between_takes_the_first_one_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "export"
    folder.mkdir()
    (folder / "old").touch()
    monkeypatch.setattr(saving, "exchange", lambda one, other: False)
    with replaced(folder) as work:
        (work / "new").touch()
    assert [path.name for path in folder.iterdir()] == ["new"]

    rename = Path.rename

    def refuse_new(self: Path, target: Path) -> Path:
        if (self / "newer").exists():
            raise OSError("no")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse_new)
    with pytest.raises(OSError, match="no"), replaced(folder) as work:
        (work / "newer").touch()
    assert [path.name for path in folder.iterdir()] == ["new"]
    assert [path.name for path in tmp_path.iterdir()] == ["export"]


def test_an_export_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = Synced(monkeypatch)
    with replaced(tmp_path / "export") as work:
        (work / "config.json").write_text("{}")
        (work / "deeper").mkdir()
        (work / "deeper/weights").write_text("1")
    synced.check(tmp_path / "export")
    assert ("synced", work / "deeper/weights") in synced.events
