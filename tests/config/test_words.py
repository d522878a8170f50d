"""Command lines as they are read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from radio.config.sources import COMMAND_LINE
from radio.config.words import read_words, sources
from radio.schema import InputError
from tests.config.test_files import plain


def words(*given: str) -> Any:
    found = read_words(given)
    assert found.options.name == COMMAND_LINE
    return plain(found.options.tree)


def test_a_value_may_begin_with_a_minus() -> None:
    assert words("--model.init_args.lr", "-1e-4") == {"model": {"init_args": {"lr": "-1e-4"}}}


def test_a_class_on_the_command_line_is_named_before_or_after_its_arguments() -> None:
    name, value = ("--a.loss", "InfoNCE"), ("--a.loss.init_args.temperature", "2")
    expected = {"a": {"loss": {"class_path": "InfoNCE", "init_args": {"temperature": "2"}}}}
    assert words(*name, *value) == words(*value, *name) == expected


def test_a_class_that_is_named_twice_drops_the_arguments_in_between() -> None:
    found = words(
        "--a", "BM25", "--a.init_args.k1", "2", "--a", "Dense", "--a.init_args.index_path", "x"
    )
    assert found == {"a": {"class_path": "Dense", "init_args": {"index_path": "x"}}}


def test_arguments_after_an_appended_item_are_its_own() -> None:
    found = words("--t.callbacks+", "A", "--t.callbacks+=B", "--t.callbacks.init_args.n", "1")
    assert found == {"t": {"callbacks+": ["A", {"class_path": "B", "init_args": {"n": "1"}}]}}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--name"], "option --name: found no value"),
        (["--name", "--overwrite", "true"], "option --name: found no value"),
        (["quickstart.yaml"], "did you mean --config quickstart.yaml?"),
        (["--name", "a", "b"], "found 'b', which belongs to no option"),
        (["--model..lr", "1"], "found an empty part between dots"),
        (["--config", ""], "found an empty name"),
    ],
)
def test_words_that_are_no_options_are_refused(given: list[str], message: str) -> None:
    with pytest.raises(InputError) as caught:
        read_words(given)
    assert message in str(caught.value)


# Configs that name others


def trees(*words: str) -> list[Any]:
    return [plain(source.tree) for source in sources(read_words(words))]


def test_what_a_config_names_comes_before_it(tmp_path: Path) -> None:
    files = {name: tmp_path / f"{name}.yaml" for name in ("a", "b", "c", "d", "top")}
    for name in ("a", "b", "d"):
        files[name].write_text(f"name: {name}\n")
    files["c"].write_text(f"config: {files['d']}\nname: c\n")
    own = {"config.z": str(files["a"]), "config.b": str(files["b"]), "config.none": None}
    files["top"].write_text(json.dumps({**own, "name": "top"}))
    *found, _ = trees("--config", str(files["top"]))
    assert [tree["name"] for tree in found] == ["b", "a", "top"]
    files["top"].write_text(f"config: [{files['c']}, {files['a']}]\nseed_everything: 1\n")
    found = trees("--config", str(files["top"]), "--config", str(files["b"]), "--name", "typed")
    assert [tree.get("name") for tree in found] == ["d", "c", "a", None, "b", "typed"]
    assert all("config" not in tree for tree in found)


def test_a_shipped_config_is_named_as_after_config(tmp_path: Path) -> None:
    top = tmp_path / "top.json"
    top.write_text('{"config.loss": "losses/list_mle", "model.init_args.lr": 1e-05}')
    loss, own, _ = trees("--config", str(top))
    assert loss["model"]["init_args"]["loss"]["class_path"] == "ListMLE"
    assert own == {"model": {"init_args": {"lr": 1e-05}}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("config: 3", "key 'config': found 3, expected the name of a config"),
        ("config.loss: [a]", "key 'config.loss': found ['a'], expected the name of a config"),
        ('config.loss: "None"', "key 'config.loss' None: no such file"),
        ("config: losses/list_nets", "key 'config' losses/list_nets: no such file"),
        ("config: top.yaml", "key 'config' top.yaml: this config names itself"),
    ],
)
def test_a_name_that_is_none_is_refused_with_its_place(
    text: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("top.yaml").write_text(text)
    with pytest.raises(InputError) as caught:
        trees("--config", "top.yaml")
    assert f"top.yaml: {message}" in str(caught.value)
