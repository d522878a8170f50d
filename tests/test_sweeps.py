"""The sweep files: what W&B draws from them and its agent starts is run, offline."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from radio.config.shipped import shipped_configs
from tests.conftest import ROOT
from tests.sweeping import FILES, SWEEP, Point, drawn, engine, radio_on_path, read, run_by_agent
from tests.test_cli_runs import Radio
from tests.wandb_files import records, tables


def name_of(path: Path) -> str:
    return path.stem


def test_every_loss_is_in_the_sweep_over_losses() -> None:
    swept = read(ROOT / "configs/sweeps/losses.yaml")["parameters"]["config.loss"]["values"]
    assert swept == [name for name in shipped_configs() if name.startswith("losses/")]


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_sweep_file_is_one_to_wandb_and_what_it_draws_is_a_run(
    path: Path, radio: Radio, tmp_path: Path
) -> None:
    sweep = read(path)
    assert "${args_json_file}" in sweep["command"]
    for number, point in enumerate(drawn(sweep, 2)):
        args = {name: given["value"] for name, given in point.items()}
        file = tmp_path / f"{number}.json"
        file.write_text(json.dumps(args))
        words = [str(file) if word == "${args_json_file}" else word for word in sweep["command"]]
        assert words[:2] == ["${env}", "${program}"]
        status, out, err = radio(*words[2:], "--print_config=skip_default")
        assert status == 0, err
        check_point(args, yaml.safe_load(out))
        # what is optimised is what checkpoints are chosen by
        assert f"monitor: {sweep['metric']['name']}" in out


def check_point(args: dict[str, Any], config: dict[str, Any], defaults: bool = False) -> None:
    """Each parameter has come through: a value as it is, an overlay with all its settings, and
    without those of the part that it replaces.

    Args:
        args: of the point.
        config: of the run.
        defaults: the config has those too.
    """
    for key, value in args.items():
        if not key.startswith("config."):
            assert found_at(config, key.split(".")) == value, key
            continue
        overlay = yaml.safe_load(shipped_configs()[value].read_text(encoding="utf-8"))
        part = ["model", "init_args", "loss"] if key == "config.loss" else []
        part = part or ["data", "init_args", "teacher"]
        given, found = found_at(overlay, part), found_at(config, part)
        assert found["class_path"].rpartition(".")[2] == given["class_path"]
        found, given = (node.get("init_args") or {} for node in (found, given))
        if defaults:
            assert given.keys() <= found.keys()
        else:
            assert found.keys() <= given.keys(), f"{value}: {found.keys() - given.keys()}"


def found_at(tree: Any, path: list[str]) -> Any:
    """The value of a key; None where defaults are left out."""
    for name in path:
        tree = (tree or {}).get(name)
    return tree


def test_hyperband_ends_worse_runs_after_two_validations() -> None:
    sweep = read(ROOT / "configs/sweeps/rate_group_size.yaml")
    name = sweep["metric"]["name"]
    found = engine()

    def run(number: int, validations: int) -> Any:
        history = [{name: 0.1 * number} for _ in range(validations)]
        return found.SweepRun(name=str(number), state="running", history=history)

    runs = [run(number, 2) for number in range(1, 5)]
    ended = {one.name for one in found.stop_runs(sweep, runs)}
    assert "1" in ended
    # the engine lets one go on that is at the border
    assert ended <= {"1", "2"}
    assert found.stop_runs(sweep, [run(number, 1) for number in range(1, 5)]) == []


@pytest.mark.parametrize(
    "key",
    [
        "model.init_args.loss.init_args.teacher_temperature",
        "model.init_args.lora",
        "data.init_args.sampler.init_args.size",
        # where any other text is fine
        "model.init_args.query_prefix",
        "trainer.max_epochs",
    ],
)
def test_the_text_none_is_refused_by_name(key: str, radio: Radio, tmp_path: Path) -> None:
    args = {"config.loss": "losses/kl_divergence", key: "None"}
    (tmp_path / "args.json").write_text(json.dumps(args))
    words = ["--config", "quickstart", "--config", "args.json"]
    status, _, err = radio("fit", *words, "--print_config")
    assert status == 2
    last = err.splitlines()[-1]
    assert f"args.json: key '{key}': found " in last
    assert "'None', expected " in last
    assert "null" in last


def test_values_of_every_kind_come_through(radio: Radio, tmp_path: Path) -> None:
    from wandb.sdk.launch.sweeps.utils import create_sweep_command_args

    args: dict[str, Any] = {
        "config": {"loss": "losses/kl_divergence", "none": None},
        "model.init_args.loss.init_args.teacher_temperature": None,
        "model.init_args.lr": 1e-05,
        # what YAML of W&B reads as a text
        "model.init_args.weight_decay": "1e-05",
        "model.init_args.gradient_checkpointing": True,
        "data.init_args.teacher.init_args.weights": [0.25, 0.75],
        # nested, as parameters in parameters arrive
        "data": {"init_args": {"sampler": {"init_args": {"size": 4}}}},
    }
    given = create_sweep_command_args({"args": {key: {"value": v} for key, v in args.items()}})
    (tmp_path / "args.json").write_text(given["args_json"][0])
    status, out, err = radio(
        "fit", "--config", "quickstart", "--config", "args.json", "--print_config"
    )
    assert status == 0, err
    config = yaml.safe_load(out)
    model, data = config["model"]["init_args"], config["data"]["init_args"]
    assert model["loss"]["class_path"].endswith("KLDivergence")
    assert model["loss"]["init_args"]["teacher_temperature"] is None
    assert model["lr"] == model["weight_decay"] == 1e-05
    assert model["gradient_checkpointing"] is True
    assert data["teacher"]["init_args"]["weights"] == [0.25, 0.75]
    assert len(data["teacher"]["init_args"]["teachers"]) == 2
    assert data["sampler"]["init_args"]["size"] == 4


@pytest.fixture
def tiny(tiny_bert: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a ``radio`` on the path whose runs are small."""
    options = ["--model.init_args.model", tiny_bert, "--model.init_args.max_length", "48"]
    options += ["--data.init_args.max_questions", "{train: 8, validation: 6, test: 2}"]
    options += ["--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false"]
    options += ["--trainer.log_every_n_steps", "1"]
    # what one teacher has embedded is there for the next
    cache = tmp_path_factory.getbasetemp() / "cache-of-sweeps"
    options += ["--data.init_args.cache_dir", str(cache)]
    radio_on_path(tmp_path_factory.mktemp("bin"), options)
    os.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "count"), [("losses", 1), ("teachers_losses", 2), ("rate_group_size", 1)]
)
def test_the_agent_runs_what_is_drawn_and_all_of_it_is_logged(
    file: str, count: int, tiny: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    sweep = read(ROOT / f"configs/sweeps/{file}.yaml")
    for number, point in enumerate(drawn(sweep, count)):
        run_id = f"{file}{number}".replace("_", "")
        assert run_by_agent(sweep, point, run_id) == 0, capfd.readouterr().err
        check_run(tiny, sweep, point, run_id)


@pytest.mark.slow
def test_a_point_that_goes_on_is_the_same_wandb_run(
    tiny: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    sweep = read(ROOT / "configs/sweeps/blend_weight.yaml")
    (point,) = drawn(sweep, 1)
    assert run_by_agent(sweep, point, "weight0") == 0, capfd.readouterr().err
    check_run(tiny, sweep, point, "weight0")
    for name in ("WANDB_RUN_ID", "WANDB_SWEEP_ID", "WANDB_SWEEP_PARAM_PATH"):
        del os.environ[name]
    # the parameters, with what they are added to, or the whole config
    parameters = ["--config", "quickstart", "--config", "loggers/wandb"]
    parameters += ["--config", f"wandb/sweep-{SWEEP}/config-weight0.json"]
    whole = ["--config", "runs/quickstart-weight0/config.yaml"]
    known = offline_runs(tiny)
    for epoch, configs in enumerate((parameters, whole), 1):
        command = ["radio", "fit", *configs, "--name", "quickstart-weight0"]
        command += ["--ckpt_path", "last", "--trainer.max_epochs", str(epoch + 1)]
        done = subprocess.run(command, capture_output=True, encoding="utf-8")
        assert done.returncode == 0, done.stderr
        assert "after step" in done.stdout
        (record,) = offline_runs(tiny) - known
        known |= {record}
        assert record.stem == "run-weight0"
        check_curves(record, "validation/nDCG@5", range(epoch, epoch + 1))
    assert [path.name for path in (tiny / "runs").glob("quickstart*")] == ["quickstart-weight0"]


@pytest.mark.slow
def test_a_run_on_several_devices_is_one_run_with_the_values_of_its_point(
    tiny: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    sweep = read(ROOT / "configs/sweeps/losses.yaml")
    sweep["command"] += ["--trainer.devices", "2", "--trainer.strategy", "ddp"]
    # on each
    sweep["command"] += ["--data.init_args.batch_size", "2"]
    (point,) = drawn(sweep, 1)
    status = run_by_agent(sweep, point, "both0")
    out, err = capfd.readouterr()
    assert status == 0, err
    assert "on 2 x cpu" in out
    check_run(tiny, sweep, point, "both0")
    assert len(offline_runs(tiny)) == 1
    assert [path.name for path in (tiny / "runs").glob("quickstart*")] == ["quickstart-both0"]


def offline_runs(folder: Path) -> set[Path]:
    return set((folder / "runs/wandb").glob("offline-run-*/*.wandb"))


STEPS = 2
"""Of an epoch: 8 questions, 4 in each."""


def check_curves(record: Path, metric: str, epochs: range) -> None:
    """The loss of each step was logged, and the metric after each epoch; both once."""
    rows = [row["item"] for row in records(record)["history"]]
    steps = [row["trainer/global_step"] for row in rows if "train/loss" in row]
    assert steps == list(range(STEPS * epochs.start, STEPS * epochs.stop))
    # and once more of the best checkpoint, at the end
    assert [row["epoch"] for row in rows if metric in row] == [*epochs, epochs.stop]


def check_run(tiny: Path, sweep: dict[str, Any], point: Point, run_id: str) -> None:
    folder = tiny / f"runs/quickstart-{run_id}"
    assert json.loads((folder / ".radio").read_text())["wandb"] == run_id
    check_point(
        {name: given["value"] for name, given in point.items()},
        yaml.safe_load((folder / "config.yaml").read_text()),
        defaults=True,
    )
    (record,) = tiny.glob(f"runs/wandb/offline-run-*-{run_id}/*.wandb")
    written = records(record)
    assert written["run"][0]["sweep_id"] == SWEEP
    logged = json.dumps(written["config"]) + json.dumps(written["run"])
    for name in (*point, "train_candidates"):
        assert name in logged
    epochs = point.get("trainer.max_epochs", {"value": 1})["value"]
    check_curves(record, sweep["metric"]["name"], range(epochs))
    # what is optimised is the figure of the weights that were kept
    name = sweep["metric"]["name"]
    split, metric = name.split("/")
    assert read_summary(record)[name] == pytest.approx(
        json.loads((folder / "metrics.json").read_text())[split]["tuned"][metric]
    )
    assert {"validation/table", "validation/questions", "validation/notes"} <= set(
        tables(record.parents[2])
    )
    staged = [
        Path(entry["local_path"])
        for artifact in written["artifact"]
        for entry in artifact["manifest"]["contents"]
    ]
    # all that is to be synced lies in the folder of the runs
    assert all(place.is_file() and place.resolve().is_relative_to(tiny) for place in staged)
    (export,) = [artifact for artifact in written["artifact"] if artifact["type"] == "model"]
    files = {entry["path"]: entry["local_path"] for entry in export["manifest"]["contents"]}
    assert "radio.json" in files
    # it is not copied, and can be synced as long as the run folder is there
    assert all(Path(place).resolve().is_relative_to(folder) for place in files.values())


def run_loop(heading: str) -> str:
    """Run the loop of a section of the page as it stands; returns what it has printed."""
    page = (ROOT / "docs/sweeps.md").read_text(encoding="utf-8")
    section = page.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    (loop,) = re.findall(r"```bash\n(.*?)```", section, re.DOTALL)
    done = subprocess.run(["bash", "-euc", loop], capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_what_a_sweep_has_chosen_is_compared_by_new_seeds_on_the_test_questions(
    tiny: Path,
) -> None:
    printed = run_loop("Which one was best?")
    names = [path.name for path in sorted((tiny / "runs").iterdir())]
    assert names == [f"{name}-{seed}" for name in ("chosen", "plain") for seed in (11, 12, 13)]
    assert "chosen:tuned" in printed
    assert "plain:tuned" in printed
    assert "test" in printed


@pytest.mark.slow
def test_the_loop_without_wandb_ends_in_one_table(tiny: Path) -> None:
    run_loop("Without W&B")
    names = [path.name for path in sorted((tiny / "runs").iterdir())]
    assert names == ["list_net-1", "list_net-2", "rank_net-1", "rank_net-2"]
    table = (tiny / "losses.md").read_text(encoding="utf-8")
    # seeds are taken together
    for row in ("| base |", "| list\\_net:tuned |", "| rank\\_net:tuned |"):
        assert row in table
    assert "| list\\_net-1" not in table


def read_summary(record: Path) -> dict[str, Any]:
    """The summary of a run after all that was written."""
    found: dict[str, Any] = {}
    for summary in records(record)["summary"]:
        found |= summary.get("update", {})
    return found
