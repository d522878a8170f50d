"""Speed of this project and of its peers on the same work, on this machine's processor.

.. code-block:: bash

    python -m benchmarks.speed --rounds 3                      # everything, in fp32
    python -m benchmarks.speed --tasks train --dropouts 0      # a part of it
    python -m benchmarks.speed --peers sentence_transformers   # this project against one peer
    python -m benchmarks.speed --tasks rank --dtypes fp32 bf16 int8 --model FOLDER

Each peer runs in virtual environments of its own (``--venvs``), made on the first run from
``benchmarks/requirements/``; :mod:`benchmarks.rows` has the peers and their settings. Rows take
turns, one process at a time, for ``--rounds`` rounds.

The work: MiniLM-L6 with one logit, the same weights for all (:mod:`benchmarks.model`), fp32 or the
library's bf16 option. *train*: steps of AdamW (lr 1e-5) on 8 questions with 7 Natural Questions
passages each (:mod:`benchmarks.groups`), through the library's own trainer, the same groups in the
same order, cross-entropy of the positive over its group, no clipping, logging or saving; a step is
timed from the end of the last one, so data loading counts. *rank*: 20 passages per question through
the library's scoring call, with the batch size of several that is fastest in the warm-up; all pairs
in one call where it takes them. Beside speed stands agreement with the padded fp32 pass: Kendall's
tau-b of a question's scores, its mean over the questions, and the largest difference of a score.
The weights are of :mod:`benchmarks.model` with a random head, whose scores lie close together;
``--model`` takes a reranker that was fine-tuned from the same one, and agreement then says
something.

Useful FLOPs are those of the whole model on real tokens, without padding: ``6 * encoder weights *
tokens`` and ``12 * L^2 * hidden`` per layer and sequence for a training step, a third of that for
ranking. The peak is that of the fastest ``torch.mm`` in the same dtype, measured many times between
the runs. A library that skips work that does not change the result is credited with it. Memory is
the resident set: its peak, and the peak less what was resident before the first step.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.environments import HERE, python_of, report_of, run
from benchmarks.groups import write_groups
from benchmarks.rows import EXPORTERS, PEERS, RADIO, SIZES, Case, Row, radio
from benchmarks.table import Runs, Yardstick, table, token_counts, useful_flops

Command = list[str]


def cases(args: argparse.Namespace) -> list[Case]:
    """All combinations; dropout takes no part in ranking, int8 none in training."""
    training = [
        ("train", dtype, dropout)
        for dtype in args.dtypes
        if dtype != "int8"
        for dropout in args.dropouts
    ]
    ranking = [("rank", dtype, "default") for dtype in args.dtypes]
    return [
        *(training if "train" in args.tasks else []),
        *(ranking if "rank" in args.tasks else []),
    ]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.speed", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tasks", nargs="+", default=["train", "rank"], choices=["train", "rank"])
    parser.add_argument("--peers", nargs="*", default=list(PEERS), choices=list(PEERS))
    parser.add_argument("--dtypes", nargs="+", default=["fp32"], choices=["fp32", "bf16", "int8"])
    parser.add_argument("--dropouts", nargs="+", default=["default", "0"], choices=["default", "0"])
    parser.add_argument("--questions", type=int, default=8, help="in one optimizer step")
    parser.add_argument(
        "--steps", type=int, default=10, help="that are timed; ranking takes the same questions"
    )
    parser.add_argument("--warmup", type=int, default=2, help="steps before them")
    parser.add_argument("--max-length", type=int, default=512)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--model", type=Path, help="folder of a reranker fine-tuned from benchmarks.model"
    )
    parser.add_argument(
        "--radio-settings",
        type=json.loads,
        default={},
        metavar="JSON",
        help='of this project\'s reranker, by dtype: {"int8": {"setting": "value"}}',
    )
    parser.add_argument(
        "--batch-sizes",
        type=int,
        nargs="+",
        default=SIZES,
        help="of the peers in ranking; the warm-up finds the fastest of them",
    )
    parser.add_argument(
        "--data", type=Path, default=Path("../shared/data"), help="folder of Natural Questions"
    )
    parser.add_argument(
        "--venvs", type=Path, default=Path(".peers"), help="where the peers' environments are"
    )
    parser.add_argument("--output", type=Path, help="JSON file for every single measurement")
    return parser.parse_args()


class Bench:
    """The files of one run, and the commands on them."""

    def __init__(self, args: argparse.Namespace, folder: Path) -> None:
        self.args = args
        self.model, self.groups = folder / "model", folder / "groups.jsonl"
        self.exports = folder / "exports"
        self.exports.mkdir()
        self.first = args.questions * args.warmup
        count = self.first + args.questions * args.steps
        self.timed = write_groups(args.data, self.groups, count)[self.first :]
        source = [str(args.model)] if args.model else []
        subprocess.run(
            [sys.executable, "-m", "benchmarks.model", str(self.model), *source],
            check=True,
            stderr=subprocess.DEVNULL,
        )

    def script(self, python: str, name: str, case: Case) -> Command:
        """A script of the peers' folder."""
        task, dtype, dropout = case
        command = [python, str(HERE / f"peers/{name}.py"), "--groups", str(self.groups)]
        command += ["--model", str(self.model), "--exports", str(self.exports)]
        command += ["--task", task, "--dtype", dtype, "--dropout", dropout]
        for option in ("questions", "steps", "warmup", "max_length", "threads"):
            command += [f"--{option.replace('_', '-')}", str(getattr(self.args, option))]
        return command

    def worker(self, row: Row, case: Case) -> Command:
        python = python_of(row.environment, self.args.venvs)
        command = self.script(python, f"{row.workers[case[0]]}_worker", case)
        command += row.options(case, self.args.batch_sizes)
        if row.environment == RADIO:
            settings = self.args.radio_settings.get(case[1], {})
            command += ["--settings", json.dumps(settings)]
        return command

    def export(self, rows: dict[str, Row], todo: list[Case]) -> bool:
        """Write the exports that the rows load, each once; False if one failed."""
        wanted = {
            row.exported_by
            for row in rows.values()
            if row.exported_by and any(row.offers(case) for case in todo)
        }
        complete = True
        for environment in sorted(wanted):
            print(f"exporting: {environment}", file=sys.stderr, flush=True)
            python = python_of(environment, self.args.venvs)
            command = self.script(python, EXPORTERS[environment], ("export", "fp32", "default"))
            complete &= run(command, self.args.threads).returncode == 0
        return complete

    def yardstick(self, case: Case, peak: dict[str, float]) -> Yardstick:
        """Raises RuntimeError if the reference scores cannot be had."""
        training = case[0] == "train"
        field = "passages" if training else "all_passages"
        lengths = token_counts(self.timed, field, self.model, self.args.max_length)
        flops, top = useful_flops(lengths, self.model, training), peak.get(case[1], 0.0)
        if training:
            return Yardstick(flops, top)
        settings = [str(self.first), str(self.args.max_length), str(self.args.threads)]
        files = [str(self.model / "default"), str(self.groups)]
        reference = report_of(
            [sys.executable, "-m", "benchmarks.agreement", *files, *settings], self.args.threads
        )
        if reference is None:
            raise RuntimeError("no reference scores")
        sizes = [len(row["all_passages"]) for row in self.timed]  # type: ignore[arg-type]
        return Yardstick(flops, top, reference["scores"], sizes)


def main() -> int:
    args = arguments()
    rows = {name: PEERS[name] for name in args.peers} | {RADIO: radio(args.radio_settings)}
    results: dict[Case, Runs] = {case: {} for case in cases(args)}
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(args, Path(folder))
        failed = not bench.export(rows, list(results))
        peak = {"fp32": 0.0, "bf16": 0.0}
        for turn, case in itertools.product(range(args.rounds), results):
            # before each case: other load at that moment must not make the machine look slow
            measured = report_of(
                [sys.executable, "-m", "benchmarks.machine", str(args.threads)], args.threads
            )
            if measured is None:
                return 1
            peak = {dtype: max(value, measured[dtype]) for dtype, value in peak.items()}
            for name, row in rows.items():
                if not row.offers(case):
                    continue
                result = report_of(bench.worker(row, case), args.threads)
                failed |= result is None
                if result is not None:
                    results[case].setdefault(name, []).append(result)
                    speed = f"{result['pairs_per_s']:.1f} pairs/s"
                    print(
                        f"round {turn + 1}: {' '.join(case)}: {name}: {speed}",
                        file=sys.stderr,
                        flush=True,
                    )
        print(
            f"torch.mm, {args.threads} threads: {peak['fp32'] / 1e9:.0f} GFLOP/s fp32, "
            f"{peak['bf16'] / 1e9:.0f} bf16"
        )
        for case, runs in results.items():
            if runs:
                print(f"\n{table(case, runs, bench.yardstick(case, peak))}")
            else:
                print(f"\n{case}: no library could do it")
    if args.output:
        measurements: list[dict[str, Any]] = [
            {"case": case, "runs": runs} for case, runs in results.items()
        ]
        args.output.write_text(
            json.dumps({"peak_flops": peak, "results": measurements}, indent=1), encoding="utf-8"
        )
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
