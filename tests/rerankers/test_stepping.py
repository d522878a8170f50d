"""What two processes train is what one trains on the same batches, and nothing is done twice."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest
from safetensors.torch import load_file

from tests.conftest import read_jsonl, write_jsonl
from tests.several import Run, runner

pytestmark = pytest.mark.slow

two = pytest.fixture(runner)

PARTS = '''
from radio.rerankers import BiEncoder

class Noting(BiEncoder):
    """Notes the questions that the untrained model ranks, and the passages that are embedded
    beforehand, whichever process does it."""

    def score(self, batch):
        if self.is_untrained:
            with open("untrained.txt", "a") as file:
                file.writelines(name + "\\n" for name in batch.question_ids)
        return super().score(batch)
'''


@pytest.mark.parametrize("questions", [7, 1])
def test_training_is_that_of_one_process_with_the_same_batches(
    questions: int, two: Run, tmp_path: Path
) -> None:
    # 7 of 2 processes: one of them has a question that only fills up; with 1 a process has none
    for split in ("train", "validation", "test"):
        path = tmp_path / f"world/{split}.jsonl"
        write_jsonl(path, read_jsonl(path)[:questions])
    ranked = [
        row["id"]
        for split in ("validation", "test")
        for row in read_jsonl(tmp_path / f"world/{split}.jsonl")
    ]
    (tmp_path / "parts.py").write_text(PARTS)
    settings = ["--model", "parts.Noting", "--model.init_args.lr", "0.003"]
    settings += ["--trainer.precision", "32-true", "--trainer.max_epochs", "2"]
    settings += ["--trainer.log_every_n_steps", "1", "--data.init_args.eval_batch_size", "2"]
    if questions > 1:
        # a mean of the means of two processes would weigh them otherwise
        settings += ["--config", "confidence/margin"]
    losses, weights, rankings = [], [], []
    for processes in (1, 2):
        size = ["--data.init_args.batch_size", str(4 // processes)]
        done = two("fit", "--name", f"on{processes}", *settings, *size, processes=processes)
        assert done.returncode == 0, done.stdout + done.stderr
        run = tmp_path / f"runs/on{processes}"
        with (run / "metrics.csv").open() as file:
            rows = list(csv.DictReader(file))
        losses.append([float(row["train/loss"]) for row in rows if row["train/loss"]])
        (export,) = (run / "export").rglob("model.safetensors")
        weights.append(load_file(export))
        found = {}
        for row in read_jsonl(run / "predictions.jsonl"):
            found[row["question_id"]] = row["base"]["passage_ids"], row["base"]["scores"]
        rankings.append(found)
        asked = Counter((tmp_path / "untrained.txt").read_text().split())
        (tmp_path / "untrained.txt").unlink()
        assert asked == dict.fromkeys(ranked, 1)
    assert len(losses[0]) == (4 if questions > 1 else 2)
    assert losses[1] == pytest.approx(losses[0], abs=1e-6)
    assert rankings[1] == rankings[0]
    for name, weight in weights[0].items():
        # a step of Adam is as large as the rate, 0.003, however small the gradient is
        assert weights[1][name].numpy() == pytest.approx(weight.numpy(), abs=1e-4), name
