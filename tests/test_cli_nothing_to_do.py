"""What new users ask of a command that has nothing to do, or no place to do it in."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import World, write_jsonl

Radio = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize("seed", ["-1", "4294967296"])
def test_a_seed_out_of_range_is_refused_by_name(
    radio: Radio, tiny_run: list[str], seed: str
) -> None:
    status, _, err = radio("prepare", *tiny_run, "--seed_everything", seed)
    assert status == 2
    assert (
        f"the run: seed_everything: found {seed}, expected a whole number between 0 and 4294967295"
        in err
    )
    assert "Traceback" not in err


def test_a_working_folder_that_was_deleted_is_one_message(radio: Radio, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()
    status, _, err = radio("fit", "--config", "x.yaml")
    assert status == 2
    assert err.startswith("radio: error: the working folder cannot be used")


@pytest.mark.parametrize(("command", "split"), [("validate", "validation"), ("test", "test")])
def test_a_command_without_its_questions_is_refused(
    radio: Radio, tiny_run: list[str], command: str, split: str
) -> None:
    status, _, err = radio(command, *tiny_run, f"--data.init_args.{split}", "null")
    assert status == 2
    assert f"found no questions of the split {split}, expected some" in err


def test_predict_without_any_question_is_refused(
    radio: Radio, tiny_run: list[str], tmp_path: Path
) -> None:
    status, _, err = radio("predict", *tiny_run, "--data.init_args.test", "null")
    assert status == 2
    assert "found no questions of the split predict" in err
    assert "--data.init_args.predict FILE" in err
    assert not (tmp_path / "runs/tiny/predict.trec").exists()


def test_training_without_validation_says_that_the_last_weights_are_taken(
    radio: Radio, tiny_run: list[str]
) -> None:
    with pytest.warns(
        UserWarning, match="'validation/nDCG@5' is never computed: found no validation questions"
    ):
        status, _, _ = radio("fit", *tiny_run, "--data.init_args.validation", "null")
    assert status == 0


def test_a_finished_run_that_is_resumed_says_that_nothing_was_left(
    radio: Radio, tiny_run: list[str]
) -> None:
    assert radio("fit", *tiny_run)[0] == 0
    status, out, _ = radio("fit", *tiny_run, "--ckpt_path", "last")
    assert status == 0
    assert (
        "nothing was left to train: the checkpoint is at the end of --trainer.max_epochs 1" in out
    )


def test_a_generator_that_reads_all_candidates_is_said(
    radio: Radio, tiny_run: list[str], tmp_path: Path
) -> None:
    callbacks = "trainer: {callbacks: [{class_path: GeneratorInTheLoop, init_args: {top_k: 7}}]}"
    (tmp_path / "more.yaml").write_text(callbacks)
    with pytest.warns(UserWarning, match="top_k 7 is more than the 6 candidates that are ranked"):
        radio("prepare", *tiny_run, "--config", "more.yaml")


def test_a_teacher_that_ties_every_question_is_said(
    radio: Radio, tiny_run: list[str], world: World
) -> None:
    rows = [{"id": f"p{n}", "contents": "Lamps\nThe lamp at the port was lit."} for n in range(8)]
    write_jsonl(world.folder / "corpus.jsonl", rows)
    with pytest.warns(
        UserWarning,
        match="scores all candidates alike for 12 of 12 questions, which teaches no order",
    ):
        radio("fit", *tiny_run, "--trainer.fast_dev_run", "true")


def test_a_dash_of_a_word_processor_is_named(radio: Radio) -> None:
    status, _, err = radio("fit", "—name", "x")
    assert status == 2
    assert (
        "found '—name', which belongs to no option; it begins with a dash of typography: did you "
        "mean --name?" in err
    )


def test_a_file_given_twice_is_named(radio: Radio, tiny_run: list[str], world: World) -> None:
    corpus = world.folder / "corpus.jsonl"
    status, _, err = radio(
        "prepare", *tiny_run, "--data.init_args.corpus", f'["{corpus}", "{corpus}"]'
    )
    assert status == 2
    assert f"{corpus}: found this file twice in the corpus" in err


def test_two_files_of_questions_are_refused_by_name(radio: Radio, tiny_run: list[str]) -> None:
    status, _, err = radio("prepare", *tiny_run, "--data.init_args.train", '["a.jsonl", "b.jsonl"]')
    assert status == 2
    assert 'data.init_args.train: found the list ["a.jsonl", "b.jsonl"], expected one file' in err


def test_a_folder_of_a_model_that_was_half_copied_names_what_is_lacking(
    radio: Radio, tiny_run: list[str], tiny_bert: str, tmp_path: Path
) -> None:
    shutil.copytree(tiny_bert, tmp_path / "model")
    modules = '[{"type": "a.Transformer", "path": ""}, {"type": "a.Pooling", "path": "1_Pooling"}]'
    (tmp_path / "model/modules.json").write_text(modules)
    status, _, err = radio("test", *tiny_run, "--model.init_args.model", "model")
    assert status == 2
    assert "modules.json names the folder 1_Pooling, which is not there; copy it too" in err


def test_a_folder_with_gguf_weights_alone_has_no_weights(
    radio: Radio, tiny_run: list[str], tiny_bert: str, tmp_path: Path
) -> None:
    shutil.copytree(tiny_bert, tmp_path / "model")
    (tmp_path / "model/model.safetensors").rename(tmp_path / "model/model-Q4_K_M.gguf")
    status, _, err = radio("test", *tiny_run, "--model.init_args.model", "model")
    assert status == 2
    assert "has no weights (model.safetensors); it holds config.json, model-Q4_K_M.gguf" in err


def test_the_help_of_a_class_that_is_none_names_those_there_are(radio: Radio) -> None:
    status, _, err = radio("fit", "--model.help", "CrossEncodr")
    assert status == 2
    assert "--model.help: found 'CrossEncodr', expected a Reranker" in err
    assert "did you mean 'CrossEncoder'?" in err
    assert radio("fit", "--model.help", "CrossEncoder")[0] == 0
