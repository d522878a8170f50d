"""The command line: what a run leaves behind, that it repeats, that it survives a kill, and what
mistakes look like."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.conftest import ROOT, World, make_world, read_jsonl, write_jsonl

Radio = Callable[..., tuple[int, str, str]]
MODULE = [sys.executable, "-m", "radio"]


HEAVY = """
import sys
from radio.__main__ import main
try:
    status = main()
except SystemExit as stop:
    status = stop.code
found = {"torch", "lightning", "transformers"} & set(sys.modules)
sys.exit(f"heavy import: {found}" if found else status)
"""


@pytest.mark.parametrize(
    ("arguments", "status", "expected"),
    [
        (["--help"], 0, "radio fit --config"),
        (["fitt"], 2, "did you mean 'fit'"),
        (["fit", "--modle.init_args.lr", "1"], 2, "did you mean '--model'"),
    ],
)
def test_help_and_plain_mistakes_are_answered_at_once(
    arguments: list[str], status: int, expected: str
) -> None:
    # at once: before anything is imported that takes seconds
    done = subprocess.run([sys.executable, "-c", HEAVY, *arguments], capture_output=True, text=True)
    assert done.returncode == status, done.stderr
    assert expected in done.stdout + done.stderr
    assert status == 0 or len(done.stderr.splitlines()) == 1


def test_annotated_passages_are_labels_and_verdicts_are_not_searched_for(
    radio: Radio, tiny_run: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "world/test.jsonl"
    first, second, *_ = read_jsonl(path)
    # one of the two annotated passages is not in the corpus: no retriever can find it
    first["metadata"] = {"gold_ids": ["port5-0", "nowhere"]}
    write_jsonl(path, [first, {**second, "golden_answers": ["yes"]}])
    status, _, err = radio(
        "fit", *tiny_run, "--model", "BiEncoder", "--data.init_args.eval_candidates", "30"
    )
    assert status == 0, err
    run = tmp_path / "runs/tiny"
    rows = {
        r["question_id"]: r for r in read_jsonl(run / "predictions.jsonl") if r["split"] == "test"
    }
    tuned = rows[first["id"]]["tuned"]
    place = tuned["passage_ids"].index("port5-0")
    assert tuned["gold_mrr"] == tuned["mrr"] == 1 / (place + 1)
    assert tuned["recall@5"] == float(place < 5)
    assert tuned["gold_recall@5"] == float(place < 5) / 2
    other = rows[second["id"]]["tuned"]
    assert "em" in other
    assert not {"mrr", "gold_mrr", "answer_in_context"} & other.keys()
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["differences"]["test"]["tuned - base"]["gold_mrr"]["questions"] == 1


def test_a_generator_reads_as_many_passages_as_are_asked_for(
    radio: Radio, tiny_run: list[str], tmp_path: Path
) -> None:
    callback = [
        "--trainer.callbacks+",
        "GeneratorInTheLoop",
        "--trainer.callbacks.init_args.top_k",
        "[1, 3]",
    ]
    status, _, err = radio("fit", *tiny_run, "--model", "BiEncoder", *callback)
    assert status == 0, err
    rows = [r for r in read_jsonl(tmp_path / "runs/tiny/predictions.jsonl") if r["split"] == "test"]
    for row in rows:
        tuned = row["tuned"]
        # the base config's own callback reads three
        assert tuned["answer@3"] == tuned["answer"]
        assert tuned["em@3"] == tuned["em"]
        assert tuned["answer_in_context@1"] == tuned["precision@1"]
        assert tuned["answer_in_context@3"] >= tuned["answer_in_context@1"]


@pytest.mark.parametrize("kind", ["BiEncoder", "CrossEncoder"])
def test_fit_leaves_a_complete_run_folder(
    kind: str, radio: Radio, tiny_run: list[str], tmp_path: Path
) -> None:
    status, out, err = radio("fit", *tiny_run, "--model", kind)
    assert status == 0, err
    run = tmp_path / "runs" / "tiny"
    metrics = json.loads((run / "metrics.json").read_text())
    assert set(metrics["test"]) == {"retriever", "base", "tuned"}
    for system in metrics["test"].values():
        assert {"em", "f1", "answer_in_context", "mrr", "ndcg@5", "recall@5", "precision@1"} <= set(
            system
        )
        assert all(0 <= value <= 1 for value in system.values())
    assert "tuned - base" in metrics["differences"]["test"]
    questions = {row["id"] for row in read_jsonl(tmp_path / "world/test.jsonl")}
    predictions = [row for row in read_jsonl(run / "predictions.jsonl") if row["split"] == "test"]
    assert {row["question_id"] for row in predictions} == questions
    em = [row["tuned"]["em"] for row in predictions]
    assert sum(em) / len(em) == pytest.approx(metrics["test"]["tuned"]["em"])
    for system in ("retriever", "base", "tuned"):
        lines = (run / f"test.{system}.trec").read_text().splitlines()
        assert {line.split()[0] for line in lines} == questions
    assert f"class_path: radio.rerankers.{kind}" in (run / "config.yaml").read_text()
    assert {"config.json", "model.safetensors", "tokenizer.json", "README.md"} <= {
        p.name for p in (run / "export").iterdir()
    }
    assert not list((run / "export").rglob("*.bin"))
    assert "tuned - base" in out
    checkpoint = torch.load(run / "checkpoints/best.ckpt", weights_only=True)
    assert "hyper_parameters" not in checkpoint

    # a second run does not mix with the first
    status, _, err = radio("fit", *tiny_run, "--model", kind)
    assert status == 2
    assert "already holds a run" in err
    assert "--overwrite" in err

    # the untrained model and the best checkpoint are evaluated again, from their files, to the same
    # numbers
    best = str(run / "checkpoints/best.ckpt")
    status, _, err = radio("test", *tiny_run, "--model", kind, "--ckpt_path", best)
    assert status == 0, err
    again = json.loads((run / "metrics.json").read_text())
    for system in ("base", "tuned"):
        assert again["test"][system] == pytest.approx(metrics["test"][system])
    assert again["validation"] == metrics["validation"]


def test_three_runs_with_one_seed_give_the_same_metrics(
    radio: Radio, tiny_run: list[str], tmp_path: Path
) -> None:
    found = []
    for number in range(3):
        # own caches: nothing is carried over
        extra = ["--name", f"run{number}", "--data.init_args.cache_dir", f"cache{number}"]
        status, _, err = radio("fit", *tiny_run, *extra)
        assert status == 0, err
        found.append(json.loads((tmp_path / f"runs/run{number}/metrics.json").read_text()))
    assert found[0] == found[1] == found[2]
    other = [
        "--name",
        "other",
        "--seed_everything",
        "1",
        "--data.init_args.seed",
        "1",
        "--model.init_args.lr",
        "1e-3",
    ]
    assert radio("fit", *tiny_run, *other)[0] == 0
    tuned = [(tmp_path / f"runs/{name}/test.tuned.trec").read_text() for name in ("run0", "other")]
    assert tuned[0] != tuned[1]


def test_training_in_bf16_gives_an_fp32_export(
    radio: Radio, tiny_run: list[str], tmp_path: Path
) -> None:
    from safetensors.torch import load_file

    status, _, err = radio("fit", *tiny_run, "--trainer.precision", "bf16-mixed")
    assert status == 0, err
    weights = load_file(tmp_path / "runs/tiny/export/model.safetensors")
    assert {w.dtype for w in weights.values() if w.is_floating_point()} == {torch.float32}


def test_differences_are_logged_with_their_interval(
    radio: Radio, tiny_run: list[str], tmp_path: Path
) -> None:
    assert radio("fit", *tiny_run)[0] == 0
    header = (tmp_path / "runs/tiny/metrics.csv").read_text().splitlines()[0].split(",")
    for name in ("em", "f1", "answer_in_context", "ndcg@5"):
        for column in ("", "base/", "retriever/"):
            assert f"validation/{column}{name}" in header
        assert {f"test/tuned-base/{name}{end}" for end in ("", "/low", "/high")} <= set(header)


COUNTING_WRITER = '''
import os, time
from pathlib import Path
from radio.rationales import RationaleWriter
from radio.schema import Rationale

class CountingWriter(RationaleWriter):
    """Notes each request in a file before it answers, as a paid API would on its bill."""

    def __init__(self, bill: str):
        self._bill = bill

    def write(self, requests, cache):
        for question in [request.question for request in requests]:
            with open(self._bill, "a") as file:
                file.write(question.id + "\\n")
            # hangs here until it is killed
            while len(Path(self._bill).read_text().split()) == int(os.environ.get("HANG_AT", 0)):
                time.sleep(0.01)
            yield Rationale(question.id, "because " + question.golden_answers[0], model="counting")
'''


def test_prepare_killed_at_any_point_repeats_no_request(
    tiny_run: list[str], tmp_path: Path
) -> None:
    (tmp_path / "counting.py").write_text(COUNTING_WRITER)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    where = tiny_run.index("--data.init_args.rationales.init_args.paths")
    common = [
        *tiny_run[:where],
        *tiny_run[where + 2 :],
        "--data.init_args.rationales",
        "counting.CountingWriter",
    ]

    def command(cache: str, bill: str) -> list[str]:
        arguments = [
            "--data.init_args.rationales.init_args.bill",
            bill,
            "--data.init_args.cache_dir",
            cache,
        ]
        return [*MODULE, "prepare", *common, *arguments]

    def caches(folder: str) -> dict[str, bytes]:
        with sqlite3.connect(tmp_path / folder / "radio.sqlite") as db:
            return dict(db.execute("SELECT key, value FROM entries").fetchall())

    def start(cache: str, bill: str, hang_at: int = 0) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command(cache, bill),
            cwd=tmp_path,
            env={**environment, "HANG_AT": str(hang_at)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    whole = start("whole", "whole.txt")
    output, _ = whole.communicate()
    assert whole.returncode == 0, output.decode()
    bill = tmp_path / "killed.txt"
    for requests in (1, 6, 16):
        process = start("killed", "killed.txt", hang_at=requests)
        while process.poll() is None and (
            not bill.exists() or len(bill.read_text().split()) < requests
        ):
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    process = start("killed", "killed.txt")
    output, _ = process.communicate()
    assert process.returncode == 0, output.decode()
    asked = bill.read_text().split()
    # only a request that was in flight when its process died may have to be made again
    assert len(asked) - len(set(asked)) <= 3
    assert sorted(set(asked)) == sorted((tmp_path / "whole.txt").read_text().split())
    assert caches("killed") == caches("whole")
    # a complete cache asks for nothing
    subprocess.run(
        command("killed", "killed.txt"),
        cwd=tmp_path,
        env=environment,
        check=True,
        capture_output=True,
    )
    assert bill.read_text().split() == asked


def test_predict_needs_neither_answers_nor_rationales(
    radio: Radio, tiny_run: list[str], tmp_path: Path
) -> None:
    write_jsonl(tmp_path / "new.jsonl", [{"id": "n1", "question": "Who lit the lamp at port3?"}])
    where = tiny_run.index("--data.init_args.rationales.init_args.paths")
    arguments = [
        *tiny_run[:where],
        *tiny_run[where + 2 :],
        "--data.init_args.predict",
        str(tmp_path / "new.jsonl"),
    ]
    status, _, err = radio("predict", *arguments)
    assert status == 0, err
    run = (tmp_path / "runs/tiny/predict.trec").read_text().splitlines()
    assert len(run) == 6
    assert {line.split()[0] for line in run} == {"n1"}
    scores = [float(line.split()[4]) for line in run]
    assert scores == sorted(scores, reverse=True)
    (row,) = read_jsonl(tmp_path / "runs/tiny/predict.jsonl")
    assert [c["id"] for c in row["candidates"]] == [line.split()[2] for line in run]
    assert all(c["contents"] for c in row["candidates"])

    # its own output is a candidate file, and so is the TREC run
    for file in ("predict.jsonl", "predict.trec"):
        candidates = json.dumps([str(tmp_path / "runs/tiny" / file)])
        extra = [
            "--data.init_args.retriever",
            "Precomputed",
            "--data.init_args.retriever.init_args.paths",
            candidates,
        ]
        status, _, err = radio("predict", *arguments, *extra, "--name", "again")
        assert status == 0, err
        assert (tmp_path / "runs/again/predict.trec").read_text().splitlines() == run


@pytest.mark.slow
def test_two_processes_train_and_evaluate_every_question(
    tiny_run: list[str], tmp_path: Path
) -> None:
    make_world(tmp_path / "world", topics=13)
    devices = [
        "--trainer.devices",
        "2",
        "--trainer.strategy",
        "ddp",
        "--data.init_args.batch_size",
        "4",
    ]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [*MODULE, "fit", *tiny_run, *devices],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    run = tmp_path / "runs/tiny"
    for split in ("validation", "test"):
        questions = {row["id"] for row in read_jsonl(tmp_path / f"world/{split}.jsonl")}
        for system in ("retriever", "base", "tuned"):
            found = {
                line.split()[0]
                for line in (run / f"{split}.{system}.trec").read_text().splitlines()
            }
            assert found == questions
    assert (run / "export/model.safetensors").is_file()


def test_world_fixture_is_what_its_docstring_says(world: World) -> None:
    corpus = read_jsonl(world.folder / "corpus.jsonl")
    for question in read_jsonl(world.folder / "train.jsonl"):
        assert sum(question["golden_answers"][0] in row["contents"] for row in corpus) == 1
    assert ROOT.joinpath("pyproject.toml").is_file()
