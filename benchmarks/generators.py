"""Answers a second of a local language model: ``python -m benchmarks.generators --model FOLDER``.

The batched way of this project (:class:`radio.llm.transformers.TransformersModel`) against the same
model asked prompt by prompt with ``generate`` of plain transformers: the same prompts of three
passages, dtype, limit of tokens and threads, both greedy. The two take turns in one process, a
share of the prompts each time, so that what else the machine does hits both alike. Printed as JSON:
seconds, answers a second, the ratio with the lowest and highest of a turn, and how many answers are
the same (in bf16 a batch rounds differently from a single row, so that a few differ).
"""

from __future__ import annotations

import argparse
import gzip
import json
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SYSTEM = (
    "Answer the question from the passages with as few words as possible: a name, a date or a "
    "short phrase, and nothing else."
)


def prompts(path: Path, count: int, passages: int) -> list[str]:
    """Users' parts: the question and its first passages, of the first questions of a file of
    candidates."""
    made = []
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            if len(made) == count:
                break
            row = json.loads(line)
            shown = []
            for number, candidate in enumerate(row["candidates"][:passages], start=1):
                title, _, text = candidate["contents"].partition("\n")
                shown.append(f"Passage {number} ({title.strip(chr(34))}): {text}")
            made.append("\n\n".join([*shown, f"Question: {row['question']}\nAnswer:"]))
    return made


def one_by_one(network: Any, tokenizer: Any, users: Sequence[str], max_tokens: int) -> list[str]:
    """What plain transformers answers."""
    import torch

    answers = []
    for user in users:
        messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": user}]
        inputs = tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        with torch.inference_mode():
            made = network.generate(**inputs, max_new_tokens=max_tokens, do_sample=False)
        answer = made[0, inputs["input_ids"].shape[1] :]
        answers.append(tokenizer.decode(answer, skip_special_tokens=True).strip())
    return answers


def batched(model: Any, users: Sequence[str]) -> list[str]:
    """What this project answers."""
    from radio.cache import Cache
    from radio.llm.base import Call, Reply

    calls = []
    for number, user in enumerate(users):
        calls.append(Call(str(number), str(number), SYSTEM, lambda user=user: user))  # type: ignore[misc]
    answers: dict[str, str] = {}
    for call, reply in model.complete(calls, Cache(Path("unused.sqlite"))):
        assert isinstance(reply, Reply), reply
        answers[call.key] = reply.text
    return [answers[call.key] for call in calls]


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Both ways in turns."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    from radio.llm.transformers import TransformersModel

    torch.set_num_threads(args.threads)
    logging.disable_progress_bar()
    users = prompts(args.candidates, args.prompts, args.passages)
    assert len(users) == args.prompts, f"found {len(users)} questions in {args.candidates}"
    model = TransformersModel(
        args.model,
        max_tokens=args.max_tokens,
        batch_size=args.batch_size,
        dtype=args.dtype,
        accelerator="cpu",
    )
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    network = AutoModelForCausalLM.from_pretrained(args.model, dtype=args.dtype).eval()
    # both are loaded and have run once before the clock starts
    batched(model, users[:2])
    one_by_one(network, tokenizer, users[:1], 2)
    seconds: dict[str, list[float]] = {"one by one": [], "batched": []}
    same = 0
    for start in range(0, len(users), args.turn):
        part = users[start : start + args.turn]
        began = time.perf_counter()
        alone = one_by_one(network, tokenizer, part, args.max_tokens)
        between = time.perf_counter()
        together = batched(model, part)
        seconds["one by one"].append(between - began)
        seconds["batched"].append(time.perf_counter() - between)
        same += sum(a == b for a, b in zip(alone, together, strict=True))
        print(f"{start + len(part)}: {seconds}", file=sys.stderr, flush=True)
    ratios = [a / b for a, b in zip(*seconds.values(), strict=True)]
    tokens = [model.prompt_tokens(SYSTEM, user) for user in users]
    return {
        "model": Path(args.model).name,
        "prompts": len(users),
        "prompt tokens, mean": round(statistics.mean(tokens)),
        "max_tokens": args.max_tokens,
        "dtype": args.dtype,
        "batch_size": args.batch_size,
        "threads": args.threads,
        "answers/s": {name: round(len(users) / sum(s), 3) for name, s in seconds.items()},
        "ratio": round(sum(seconds["one by one"]) / sum(seconds["batched"]), 2),
        "ratio of a turn": [round(min(ratios), 2), round(max(ratios), 2)],
        "same answers": f"{same} of {len(users)}",
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True, help="folder of a causal model that chats")
    parser.add_argument(
        "--candidates",
        type=Path,
        default=Path("../shared/data/candidates/nq/dev.jsonl.gz"),
        help="questions with passages, a gzipped JSON object a line",
    )
    parser.add_argument("--prompts", type=int, default=100)
    parser.add_argument("--passages", type=int, default=3)
    parser.add_argument("--max-tokens", type=int, default=32)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--turn", type=int, default=16, help="prompts that each asks in turn")
    print(json.dumps(measure(parser.parse_args()), indent=2))


if __name__ == "__main__":
    main()
