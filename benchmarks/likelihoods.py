"""Likelihoods a second of a local model: ``python -m benchmarks.likelihoods --model FOLDER``.

What a teacher that asks the generator needs: how likely each golden answer of a question is after a
prompt that shows one of its candidates. The way of this project
(:class:`radio.llm.transformers.TransformersModel`) against the plain loop: one prompt and answer at
a time through plain transformers, whole logits, the same tokens, dtype and threads. The two take
turns in one process, a few questions each time, so that what else the machine does hits both alike.
Printed as JSON: likelihoods a second, the ratio with the lowest and highest of a turn, that of the
processor's time (with ``--threads 1`` it depends little on what else runs), and how far the
logarithms of the two are apart.
"""

from __future__ import annotations

import argparse
import gzip
import json
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from radio.generators.prompting import GeneratorTemplate
from radio.llm.base import Call
from radio.llm.local import Prompts
from radio.llm.transformers import TransformersModel
from radio.schema import Passage, Question


class Item(NamedTuple):
    """A prompt with one passage, and a golden answer."""

    system: str
    user: str
    answer: str


def items(path: Path, count: int, passages: int) -> Iterator[list[Item]]:
    """Those of each of the first questions of a file of candidates."""
    template = GeneratorTemplate("open_qa", shows_passages=True)
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line, _ in zip(file, range(count), strict=False):
            row = json.loads(line)
            question = Question(row["id"], row["question"], tuple(row["golden_answers"]))
            made = []
            for candidate in row["candidates"][:passages]:
                shown = (Passage(candidate["id"], candidate["contents"]),)
                user = template.render(question, shown)
                for answer in question.golden_answers:
                    made.append(Item(template.system, user, answer))
            yield made


def one_by_one(network: Any, prompts: Prompts, part: Sequence[Item]) -> list[float]:
    """What plain transformers gives; ``prompts`` makes the tokens, as it does for the other way."""
    import torch

    found = []
    for item in part:
        prompt = prompts.prompt(item.system, item.user)
        answer, _ = prompts.answer(item.answer)
        with torch.inference_mode():
            logits = network(input_ids=torch.tensor([prompt + answer]), use_cache=False).logits
            # those at one position judge the token at the next
            judging = logits[0, len(prompt) - 1 : -1].float().log_softmax(-1)
            found.append(float(judging.gather(1, torch.tensor(answer).unsqueeze(1)).sum()))
    return found


def together(model: TransformersModel, part: Sequence[Item]) -> list[float]:
    """What this project gives."""
    calls = []
    for number, item in enumerate(part):
        calls.append(Call(str(number), str(number), item.system, lambda item=item: item.user))  # type: ignore[misc]
    answers = [item.answer for item in part]
    return [likelihood.total for likelihood in model.log_likelihood(calls, answers)]


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Both ways in turns."""
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    torch.set_num_threads(args.threads)
    logging.disable_progress_bar()
    questions = list(items(args.candidates, args.questions, args.passages))
    assert len(questions) == args.questions, f"found {len(questions)} in {args.candidates}"
    model = TransformersModel(
        args.model, batch_size=args.batch_size, dtype=args.dtype, accelerator="cpu"
    )
    prompts = Prompts(args.model)
    network = AutoModelForCausalLM.from_pretrained(args.model, dtype=args.dtype).eval()
    # both are loaded and have run once before the clock starts
    together(model, questions[0][:2])
    one_by_one(network, prompts, questions[0][:1])
    seconds: dict[str, list[float]] = {"one by one": [], "together": []}
    processor = {"one by one": 0.0, "together": 0.0}
    gaps: list[float] = []
    for start in range(0, len(questions), args.turn):
        part = [item for question in questions[start : start + args.turn] for item in question]
        moments = [(time.perf_counter(), time.process_time())]
        alone = one_by_one(network, prompts, part)
        moments.append((time.perf_counter(), time.process_time()))
        shared = together(model, part)
        moments.append((time.perf_counter(), time.process_time()))
        for name, begun, ended in zip(seconds, moments, moments[1:], strict=False):
            seconds[name].append(ended[0] - begun[0])
            processor[name] += ended[1] - begun[1]
        gaps += [abs(a - b) for a, b in zip(alone, shared, strict=True)]
        print(f"{start + args.turn}: {seconds}", file=sys.stderr, flush=True)
    ratios = [a / b for a, b in zip(*seconds.values(), strict=True)]
    every = [item for question in questions for item in question]
    return {
        "model": Path(args.model).name,
        "questions": len(questions),
        "prompts": len({item.user for item in every}),
        "likelihoods": len(every),
        "prompt tokens, mean": round(
            statistics.mean(model.prompt_tokens(item.system, item.user) for item in every)
        ),
        "answer tokens, mean": round(
            statistics.mean(len(prompts.answer(item.answer)[0]) for item in every), 1
        ),
        "dtype": args.dtype,
        "batch_size": args.batch_size,
        "threads": args.threads,
        "likelihoods/s": {name: round(len(every) / sum(s), 3) for name, s in seconds.items()},
        "ratio": round(sum(seconds["one by one"]) / sum(seconds["together"]), 2),
        "ratio of a turn": [round(min(ratios), 2), round(max(ratios), 2)],
        "ratio of processor time": round(processor["one by one"] / processor["together"], 2),
        "largest difference": max(gaps),
        "mean difference": statistics.mean(gaps),
    }


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True, help="folder of a causal model")
    parser.add_argument(
        "--candidates",
        type=Path,
        default=Path("../shared/data/candidates/nq/dev.jsonl.gz"),
        help="questions with passages and golden answers, a gzipped JSON object a line",
    )
    parser.add_argument("--questions", type=int, default=48)
    parser.add_argument("--passages", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--turn", type=int, default=4, help="questions that each judges in turn")
    return parser


if __name__ == "__main__":
    print(json.dumps(measure(arguments().parse_args()), indent=2))
