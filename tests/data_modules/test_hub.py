"""What was read from the hub is kept: it is prepared with a network, and trained on without."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data_modules import FlashRAGDataModule, MMLUDataModule, NaturalQuestionsDataModule
from data_modules.hub import unreachable
from radio.retrievers import BM25
from radio.schema import InputError, Missing
from radio.teachers import RetrievalScore
from tests.conftest import ROOT, World, read_jsonl, write_jsonl
from tests.data_modules.test_flashrag import make_hub

Radio = Callable[..., tuple[int, str, str]]


@pytest.fixture
def hub(world: World, tmp_path: Path) -> Path:
    """The questions of the tiny world, in a repository without a split ``dev``."""
    rows = {split: read_jsonl(world.folder / f"{split}.jsonl") for split in ("train", "test")}
    for number, row in enumerate(rows["train"]):
        row["metadata"] = {"subject": "law" if number % 2 else "art", "asked": "2020-01-01"}
    return Path(make_hub(tmp_path / "repository", rows))


def module(
    hub: Path, kind: type[FlashRAGDataModule] = NaturalQuestionsDataModule, **options: Any
) -> FlashRAGDataModule:
    world = hub.parent / "world"
    settings: dict[str, Any] = {
        "cache_dir": str(hub.parent / "cache"),
        "corpus": str(world / "corpus.jsonl"),
        "repository": str(hub),
        "retriever": BM25(),
        "teacher": RetrievalScore(),
    }
    return kind(**{**settings, **options})


def test_what_was_prepared_is_set_up_without_the_hub(hub: Path) -> None:
    first = module(hub)
    first.prepare_data()
    shutil.rmtree(hub)
    later = module(hub)
    later.setup("fit")
    for split in ("train", "test"):
        examples = [example.question for example in later.examples[split]]
        assert examples == first.split_questions(split)
    assert len(later.examples["train"]) == 12
    # that the dataset has no such split is known too
    assert "validation" not in later.examples
    assert module(hub).questions("validation") == []
    # prepared again, nobody is asked
    module(hub).prepare_data()


def test_setup_asks_nobody(hub: Path) -> None:
    with pytest.raises(Missing) as caught:
        module(hub).setup("fit")
    lines = str(caught.value).split("\n  ")
    assert lines[0] == "questions missing for train"
    assert f"{hub}@main: nq/train: cannot be loaded" in lines[1]
    assert lines[2] == "fill them with: radio prepare --config YOUR.yaml"
    assert not (hub.parent / "cache").exists()


def test_a_run_is_prepared_with_a_network_and_trained_without(
    hub: Path, radio: Radio, tiny_bert: str, world: World, tmp_path: Path
) -> None:
    def command(
        name: str, repository: str = str(hub), cache: str = "cache", run: str = "tiny"
    ) -> list[str]:
        settings = {
            "repository": repository,
            "corpus": str(world.folder / "corpus.jsonl"),
            "cache_dir": str(tmp_path / cache),
            "retriever": "BM25",
            "teacher": "RetrievalScore",
        }
        arguments = [name, "--config", str(ROOT / "configs/jsonl.yaml"), "--name", run]
        arguments += ["--trainer.accelerator", "cpu", "--trainer.max_steps", "1"]
        arguments += ["--trainer.callbacks", "null"]
        arguments += ["--model.init_args.model", tiny_bert, "--model.init_args.max_length", "48"]
        arguments += ["--data", "NaturalQuestionsDataModule"]
        for key, value in settings.items():
            arguments += [f"--data.init_args.{key}", value]
        return arguments

    status, _, err = radio(*command("prepare"))
    assert status == 0, err
    hub.rename(tmp_path / "elsewhere")
    status, _, err = radio(*command("fit"))
    assert status == 0, err
    # without a network (HF_HUB_OFFLINE), and without anything prepared
    status, _, err = radio(*command("fit", "team/questions", "empty", "other"))
    assert status == 2
    assert "questions missing for train" in err
    assert "team/questions@main: nq/train: cannot be loaded" in err
    assert "fill them with: radio prepare --config" in err
    assert "--data.init_args.repository team/questions" in err


def test_as_many_rows_are_read_as_are_used(hub: Path) -> None:
    limited = module(hub, max_questions={"train": 3})
    assert len(limited.questions("train")) == 3
    (path,) = (hub.parent / "cache/questions").iterdir()
    assert len(read_jsonl(path)) == 1 + 3
    away = hub.rename(hub.with_name("away"))
    assert len(module(hub, max_questions={"train": 2}).questions("train")) == 2
    # more than there are: the hub is asked again, and all it has is kept
    with pytest.raises(InputError, match="nq/train: cannot be loaded"):
        module(hub, max_questions={"train": 4}).questions("train")
    away.rename(hub)
    assert len(module(hub, max_questions={"train": 99}).questions("train")) == 12
    hub.rename(away)
    assert len(module(hub).questions("train")) == 12


def test_questions_that_a_dataset_leaves_out_are_read_past(hub: Path) -> None:
    options: dict[str, Any] = {"kind": MMLUDataModule, "max_questions": {"train": 2}}
    assert len(module(hub, **options).questions("train")) == 2
    law = module(hub, subjects=["law"], **options)
    assert [question.metadata["subject"] for question in law.questions("train")] == ["law"] * 2
    counts = law.counts("train")
    hub.rename(hub.with_name("away"))
    again = module(hub, subjects=["law"], **options)
    assert again.questions("train") == law.questions("train")
    assert again.counts("train") == counts


def test_another_state_of_a_local_repository_is_read_anew(hub: Path) -> None:
    assert len(module(hub).questions("test")) == 2
    rows = read_jsonl(hub / "nq/test.jsonl")
    write_jsonl(hub / "nq/test.jsonl", rows[:1])
    assert len(module(hub).questions("test")) == 1
    hub.rename(hub.with_name("away"))
    assert len(module(hub).questions("test")) == 1


def test_a_damaged_file_is_named(hub: Path) -> None:
    module(hub).questions("test")
    (path,) = (hub.parent / "cache/questions").iterdir()
    for content in ("", '{"id": "q"}\n', '{"id'):
        path.write_text(content)
        with pytest.raises(
            InputError, match=f"{path.name}.*(is damaged; remove it|not valid JSON)"
        ):
            module(hub).questions("test")


def test_a_hub_that_cannot_be_reached_is_told_from_one_that_has_no_such_dataset() -> None:
    refused = ValueError("connect")
    refused.__cause__ = ConnectionRefusedError()
    assert unreachable(refused)
    assert not unreachable(ValueError("there is no such dataset"))
