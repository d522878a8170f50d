"""Speed of this project and of its peers on the same work, on this machine's processor.

.. code-block:: bash

    python -m benchmarks.speed --rounds 3                      # everything, in the environment of
    this project python -m benchmarks.speed --tasks train --dropouts 0      # a part of it python -m
    benchmarks.speed --peers sentence_transformers   # this project against one peer

Each peer runs in a virtual environment of its own (``--venvs``), made on the first run from
``benchmarks/requirements/<peer>.txt``. Libraries take turns, one process at a time, for
``--rounds`` rounds.

The work: MiniLM-L6 with one logit, the same weights for all (:mod:`benchmarks.model`), fp32 or the
library's bf16 option. *train*: steps of AdamW (lr 1e-5) on 8 questions with 7 Natural Questions
passages each (:mod:`benchmarks.groups`), through the library's own trainer, the same groups in the
same order, cross-entropy of the positive over its group, no clipping, logging or saving; a step is
timed from the end of the last one, so data loading counts. *rank*: 20 passages per question through
the library's scoring call with its default batch size; all pairs in one call where it takes them.

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
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.groups import write_groups

HERE = Path(__file__).parent
PEERS = ("sentence_transformers", "flag_embedding", "lightning_ir", "rerankers")
RADIO = "radio"

Case = tuple[str, str, str]
"""Task, dtype, dropout."""


def environment(peer: str, venvs: Path) -> str:
    """Python of the peer's virtual environment, made if it is not there or if its requirements
    changed."""
    if peer == RADIO:
        return sys.executable
    folder = venvs.resolve() / peer
    python, done = folder / "bin/python", folder / ".installed"
    requirements = HERE / "requirements" / f"{peer}.txt"
    if done.is_file() and done.read_text(encoding="utf-8") == requirements.read_text(
        encoding="utf-8"
    ):
        return str(python)
    print(f"{peer}: installing into {folder}", file=sys.stderr, flush=True)
    if not python.exists():
        venv.create(folder, with_pip=True)
        (folder / ".gitignore").write_text("*\n", encoding="utf-8")
    pip = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    # torch first: a looser requirement of another package would fetch a second, larger build
    torch = next(
        line
        for line in requirements.read_text(encoding="utf-8").strip("\n").split("\n")
        if line.startswith("torch==")
    )
    subprocess.run([*pip, torch], check=True)
    subprocess.run([*pip, "-r", str(requirements)], check=True)
    done.write_text(requirements.read_text(encoding="utf-8"), encoding="utf-8")
    return str(python)


def run(command: list[str], threads: int) -> dict[str, Any] | None:
    """The JSON object in the last line that a process prints; None, and its error shown, if it
    fails."""
    quiet = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "CUDA_VISIBLE_DEVICES": ""}
    cores = {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    done = subprocess.run(
        command, env={**os.environ, **quiet, **cores}, capture_output=True, text=True
    )
    if done.returncode == 0:
        result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return result
    print(
        f"FAILED ({done.returncode}): {' '.join(command)}\n{done.stderr[-4000:]}",
        file=sys.stderr,
        flush=True,
    )
    return None


def token_counts(rows: list[dict[str, Any]], field: str, model: Path, max_length: int) -> list[int]:
    """Tokens of each pair."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(model / "default/tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length)
    pairs = [(row["question"], passage) for row in rows for passage in row[field]]
    return [len(encoding.ids) for encoding in tokenizer.encode_batch(pairs)]


def useful_flops(lengths: list[int], model: Path, training: bool) -> float:
    """FLOPs of the encoder on these sequences, as the module's docstring counts them."""
    config = json.loads((model / "default/config.json").read_text(encoding="utf-8"))
    hidden, layers = config["hidden_size"], config["num_hidden_layers"]
    weights = layers * (4 * hidden**2 + 2 * hidden * config["intermediate_size"])
    forward = sum(2 * weights * n + 4 * n**2 * hidden * layers for n in lengths)
    return float(forward * (3 if training else 1))


def table(case: Case, results: dict[str, list[dict[str, Any]]], flops: float, peak: float) -> str:
    """One case as markdown; a row for each library, fastest first."""
    speeds = {name: [r["pairs_per_s"] for r in runs] for name, runs in results.items()}
    best = max((median(v) for name, v in speeds.items() if name != RADIO), default=float("nan"))
    lines = [
        f"### {case[0]}, {case[1]}" + (f", dropout {case[2]}" if case[0] == "train" else ""),
        "",
        "| library | pairs/s, median | min-max | to best peer | useful GFLOP/s | of peak | peak "
        "MiB | of it steps |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in sorted(speeds, key=lambda name: -median(speeds[name])):
        runs, speed = results[name], speeds[name]
        rate = flops / median(sum(r["step_seconds"]) for r in runs)
        lines.append(
            f"| {runs[0]['peer']} {runs[0]['version']} | {median(speed):.1f} | "
            f"{min(speed):.1f}-{max(speed):.1f} | {median(speed) / best:.2f} | {rate / 1e9:.1f} | "
            f"{rate / peak:.0%} | {max(r['peak_rss_mib'] for r in runs):.0f} | "
            f"{max(r['step_rss_mib'] for r in runs):.0f} |"
        )
    return "\n".join([*lines, "", *agreement(case, results)])


def agreement(case: Case, results: dict[str, list[dict[str, Any]]]) -> list[str]:
    """How far the libraries are apart on the same weights and texts: in the first loss, or in the
    scores."""
    if case[0] == "train" and case[2] != "0":
        return []
    key, values = ("scores", slice(None)) if case[0] == "rank" else ("losses", slice(1))
    name, reference = next(
        ((n, r[0][key][values]) for n, r in results.items() if n != RADIO), ("", [])
    )
    gaps = {
        other: max(abs(a - b) for a, b in zip(reference, runs[0][key][values], strict=True))
        for other, runs in results.items()
        if reference and other != name
    }
    what = "scores, largest" if key == "scores" else "first loss,"
    return (
        [f"{what} difference to {name}: " + ", ".join(f"{n} {gap:.1e}" for n, gap in gaps.items())]
        if gaps
        else []
    )


def cases(args: argparse.Namespace) -> list[Case]:
    """All combinations; dropout takes no part in ranking."""
    training = [("train", dtype, dropout) for dtype in args.dtypes for dropout in args.dropouts]
    ranking = [("rank", dtype, "default") for dtype in args.dtypes]
    return [
        *(training if "train" in args.tasks else []),
        *(ranking if "rank" in args.tasks else []),
    ]


def offers(name: str, case: Case) -> bool:
    """Whether the library can do this: rerankers does not train, FlagReranker has no bf16."""
    return (name, *case[:1]) != ("rerankers", "train") and (name, *case[:2]) != (
        "flag_embedding",
        "rank",
        "bf16",
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.speed", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tasks", nargs="+", default=["train", "rank"], choices=["train", "rank"])
    parser.add_argument("--peers", nargs="*", default=list(PEERS), choices=PEERS)
    parser.add_argument("--dtypes", nargs="+", default=["fp32"], choices=["fp32", "bf16"])
    parser.add_argument("--dropouts", nargs="+", default=["default", "0"], choices=["default", "0"])
    parser.add_argument("--questions", type=int, default=8, help="in one optimizer step")
    parser.add_argument(
        "--steps", type=int, default=10, help="that are timed; ranking takes the same questions"
    )
    parser.add_argument("--warmup", type=int, default=2, help="steps before them")
    parser.add_argument("--max-length", type=int, default=512)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--data", type=Path, default=Path("../shared/data"), help="folder of Natural Questions"
    )
    parser.add_argument(
        "--venvs", type=Path, default=Path(".peers"), help="where the peers' environments are"
    )
    parser.add_argument("--output", type=Path, help="JSON file for every single measurement")
    args = parser.parse_args()
    pythons = {name: environment(name, args.venvs) for name in [*args.peers, RADIO]}
    results: dict[Case, dict[str, list[dict[str, Any]]]] = {case: {} for case in cases(args)}
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        model, groups = Path(folder) / "model", Path(folder) / "groups.jsonl"
        first = args.questions * args.warmup
        timed = write_groups(args.data, groups, first + args.questions * args.steps)[first:]
        subprocess.run(
            [sys.executable, "-m", "benchmarks.model", str(model)],
            check=True,
            stderr=subprocess.DEVNULL,
        )
        peak = {"fp32": 0.0, "bf16": 0.0}
        for turn, case in itertools.product(range(args.rounds), results):
            # before each case: other load at that moment must not make the machine look slow
            measured = run(
                [sys.executable, "-m", "benchmarks.machine", str(args.threads)], args.threads
            )
            if measured is None:
                return 1
            peak = {dtype: max(value, measured[dtype]) for dtype, value in peak.items()}
            for name in pythons:
                if not offers(name, case):
                    continue
                command = [
                    pythons[name],
                    str(HERE / f"peers/{name}_worker.py"),
                    "--groups",
                    str(groups),
                ]
                command += [
                    "--model",
                    str(model),
                    "--task",
                    case[0],
                    "--dtype",
                    case[1],
                    "--dropout",
                    case[2],
                ]
                for option in ("questions", "steps", "warmup", "max_length", "threads"):
                    command += [f"--{option.replace('_', '-')}", str(getattr(args, option))]
                result = run(command, args.threads)
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
        for case, by_name in results.items():
            lengths = token_counts(
                timed, "passages" if case[0] == "train" else "all_passages", model, args.max_length
            )
            flops = useful_flops(lengths, model, case[0] == "train")
            print(
                f"\n{table(case, by_name, flops, peak[case[1]])}"
                if by_name
                else f"\n{case}: every library failed"
            )
    if args.output:
        rows = [{"case": case, "runs": by_name} for case, by_name in results.items()]
        args.output.write_text(
            json.dumps({"peak_flops": peak, "results": rows}, indent=1), encoding="utf-8"
        )
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
