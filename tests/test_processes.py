"""Two processes: every question is ranked and written once, none waits for a collective that the
other skips, and what stops one stops both."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import make_world, read_jsonl, write_jsonl
from tests.several import Run, runner

pytestmark = pytest.mark.slow

two = pytest.fixture(runner)

PARTS = '''
import re
import lightning as L
from radio.generators import Generator
from radio.rerankers import BiEncoder
from radio.schema import InputError

class Broken(BiEncoder):
    """Its score of one question is NaN, in one stage alone, so that one process alone sees it."""

    def __init__(self, stage: str = "train", **kwargs):
        super().__init__(**kwargs)
        self.stage = stage

    def score(self, batch):
        scores = super().score(batch)
        stage = self.attached_trainer.state.stage.value
        if stage == self.stage and "q-QUESTION" in batch.question_ids:
            return scores * float("nan")
        return scores

class Diary(L.Callback):
    def on_validation_end(self, trainer, pl_module):
        if trainer.is_global_zero:
            print("validation/loss", float(trainer.callback_metrics["validation/loss"]))

class Scholar(Generator):
    """Answers with the first captain it reads of; without any passage it guesses. Each answer is
    noted, by whichever process gave it."""

    def answer(self, prompts):
        answers = []
        with open("asked.txt", "a") as file:
            for prompt in prompts:
                text = " ".join(passage.contents for passage in prompt.passages)
                captains = re.findall("captain[0-9]+", text) or ["captain4"]
                answers.append(captains[0])
                ids = [passage.id for passage in prompt.passages]
                file.write(f"{prompt.question.id} {ids}\\n")
        return answers

class Refuses(Generator):
    """Only the first process asks it."""

    def answer(self, prompts):
        raise InputError("the generator has no more credit")
'''


@pytest.mark.parametrize("numbers", [(4, 2, 5, 1, 3), (4,)])
def test_predict_writes_every_question_once_in_the_order_of_the_file(
    numbers: tuple[int, ...], two: Run, tmp_path: Path
) -> None:
    asked = [{"id": f"n{n}", "question": f"Who lit the lamp at port{n}?"} for n in numbers]
    new = ["--data.init_args.predict", str(write_jsonl(tmp_path / "new.jsonl", asked))]
    found = {}
    for processes in (1, 2):
        name = f"on{processes}"
        done = two(
            "predict",
            *new,
            "--name",
            name,
            "--data.init_args.eval_batch_size",
            "2",
            processes=processes,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        rows = read_jsonl(tmp_path / f"runs/{name}/predict.jsonl")
        assert [row["id"] for row in rows] == [row["id"] for row in asked]
        lines = [
            line.split()[0]
            for line in (tmp_path / f"runs/{name}/predict.trec").read_text().splitlines()
        ]
        assert list(dict.fromkeys(lines)) == [row["id"] for row in asked]
        assert len(lines) == sum(len(row["candidates"]) for row in rows)
        found[processes] = {
            (row["id"], c["id"]): c["score"] for row in rows for c in row["candidates"]
        }
    assert found[2] == found[1]


def test_the_validation_loss_is_that_of_one_process_also_where_one_has_no_rationale(
    two: Run, tmp_path: Path
) -> None:
    untaught = read_jsonl(tmp_path / "world/validation.jsonl")[1]["id"]
    path = tmp_path / "world/rationales.jsonl"
    write_jsonl(path, [row for row in read_jsonl(path) if row["id"] != untaught])
    (tmp_path / "parts.py").write_text(PARTS)
    # weights are learnt by both together, from training candidates that the first one finds
    (tmp_path / "fused.yaml").write_text(
        "trainer: {callbacks+: [{class_path: Fused, "
        "init_args: {method: min_max, weights: learnt}}]}\n"
    )
    losses, orders, weights = [], [], []
    for processes in (1, 2):
        diary = ["--config", "fused.yaml", "--trainer.callbacks+", "parts.Diary"]
        done = two("validate", "--name", f"on{processes}", *diary, processes=processes)
        assert done.returncode == 0, done.stdout + done.stderr
        (line,) = re.findall(r"validation/loss (\S+)", done.stdout)
        losses.append(float(line))
        rows = read_jsonl(tmp_path / f"runs/on{processes}/predictions.jsonl")
        for system in ("tuned", "fused"):
            orders.append([(row["question_id"], row[system]["passage_ids"]) for row in rows])
        metrics = json.loads((tmp_path / f"runs/on{processes}/metrics.json").read_text())
        weights.append(metrics["fused"]["validation"]["weights"])
        assert metrics["questions"]["validation"] == 3
        assert metrics["counts"]["validation"]["teacher_RR@10"] == 2
        assert set(metrics["differences"]["validation"]["tuned - base"]["RR@10"].values()) == {
            0.0,
            3.0,
        }
    assert losses[1] == losses[0]
    assert orders[2:] == orders[:2]
    assert weights[1] == weights[0]


def test_a_test_on_two_processes_has_the_scores_and_figures_of_one(
    two: Run, tmp_path: Path
) -> None:
    found = {}
    for processes in (1, 2):
        name = f"on{processes}"
        # of three questions, each asked anew
        own = ["--data.init_args.eval_batch_size", "2", "--data.init_args.cache_dir", name]
        done = two("test", "--name", name, *own, processes=processes)
        assert done.returncode == 0, done.stdout + done.stderr
        run = tmp_path / f"runs/{name}"
        rows = without_times(read_jsonl(run / "predictions.jsonl"))
        metrics = without_times(json.loads((run / "metrics.json").read_text()))
        assert metrics["questions"]["test"] == len(rows) == 3
        rankings = {path.name: path.read_text() for path in run.glob("*.trec")}
        assert len(rankings) > 1
        found[processes] = rows, metrics, rankings
    assert found[2] == found[1]


@pytest.mark.parametrize("stage", ["train", "validate", "predict"])
def test_a_score_that_is_not_finite_on_one_process_ends_both_with_one_message(
    stage: str, two: Run, tmp_path: Path
) -> None:
    # the second of three is the other process's
    split = "train" if stage == "train" else "validation"
    question = read_jsonl(tmp_path / f"world/{split}.jsonl")[1]["id"]
    (tmp_path / "parts.py").write_text(PARTS.replace("q-QUESTION", question))
    new = ["--data.init_args.predict", str(tmp_path / "world/validation.jsonl")]
    alone = ["--data.init_args.batch_size", "1", "--data.init_args.eval_batch_size", "1"]
    command = ["predict", *new, *alone] if stage == "predict" else ["fit", *alone]
    done = two(*command, "--model", "parts.Broken", "--model.init_args.stage", stage)
    assert done.returncode == 2, done.stdout + done.stderr
    assert f"for question {question!r} is nan" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("radio: error:") == 1
    assert not {"export", "metrics.json", "predict.trec"} & {
        p.name for p in (tmp_path / "runs/tiny").iterdir()
    }


def test_a_generator_that_stops_the_first_process_stops_the_other(two: Run, tmp_path: Path) -> None:
    (tmp_path / "parts.py").write_text(PARTS)
    callback = [
        "--trainer.callbacks+",
        "GeneratorInTheLoop",
        "--trainer.callbacks.init_args.name",
        "paid",
    ]
    done = two("validate", *callback, "--trainer.callbacks.init_args.generator", "parts.Refuses")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "the generator has no more credit" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("radio: error:") == 1


@pytest.mark.parametrize("fault", ["of the data", "of the plan"])
def test_what_cannot_be_prepared_stops_both_with_one_message(
    fault: str, two: Run, tmp_path: Path
) -> None:
    (tmp_path / "parts.py").write_text(PARTS)
    settings = ["--data.init_args.rationales.init_args.paths", '["nowhere.jsonl"]']
    if fault == "of the plan":
        # no passage is annotated in this world
        init = {"generator": {"class_path": "parts.Scholar"}, "rankings": ["annotated"]}
        callback = {"class_path": "GeneratorInTheLoop", "init_args": init}
        settings = ["--trainer.callbacks", json.dumps([callback])]
    done = two("validate", *settings)
    assert done.returncode == 2, done.stdout + done.stderr
    expected = "nowhere.jsonl" if fault == "of the data" else "annotated"
    assert expected in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("radio: error:") == 1


def without_times(document: Any) -> Any:
    """A part of ``metrics.json`` without what the clock says."""
    if isinstance(document, dict):
        return {key: without_times(v) for key, v in document.items() if key != "seconds"}
    return [without_times(part) for part in document] if isinstance(document, list) else document


@pytest.mark.parametrize("count", [7, 1])
def test_what_a_generator_makes_of_the_rankings_is_exactly_that_of_one_process(
    count: int, two: Run, tmp_path: Path
) -> None:
    make_world(tmp_path / "world", topics=25)
    path = tmp_path / "world/validation.jsonl"
    annotated = []
    for row in read_jsonl(path)[:count]:
        place = row["golden_answers"][0].replace("captain", "port")
        annotated.append({**row, "metadata": {"gold_ids": [f"{place}-0"]}})
    write_jsonl(path, annotated)
    (tmp_path / "parts.py").write_text(PARTS)
    settings = {
        "name": "scholar",
        "generator": {"class_path": "parts.Scholar"},
        "top_k": [1, 3],
        "closed_book": True,
        "rankings": ["random", "retriever", "base", "tuned", "teacher", "annotated"],
    }
    callback = {"class_path": "GeneratorInTheLoop", "init_args": settings}
    callbacks = json.dumps([{"class_path": "RankEvaluation"}, callback])
    found = {}
    for processes in (1, 2):
        name = f"on{processes}"
        own = ["--data.init_args.cache_dir", name, "--trainer.callbacks", callbacks]
        done = two("validate", "--name", name, *own, processes=processes)
        assert done.returncode == 0, done.stdout + done.stderr
        # none of its figures is to be averaged over the processes
        assert "sync_dist" not in done.stderr
        metrics = json.loads((tmp_path / f"runs/{name}/metrics.json").read_text())
        rows = read_jsonl(tmp_path / f"runs/{name}/predictions.jsonl")
        asked = (tmp_path / "asked.txt").read_text().splitlines()
        (tmp_path / "asked.txt").unlink()
        assert len(asked) == len(set(asked)), "nobody asks what another one has asked"
        found[processes] = without_times(metrics), sorted(asked), len(rows)
        assert metrics["validation"]["annotated"]["scholar_em@1"] == 1
        assert metrics["questions"]["validation"] == len(rows) == count
    assert found[2] == found[1]
