"""transformers and peft alone: a decoder that is asked for yes or no, as Qwen3-Reranker's card does
it.

Prompts are padded on the left and the logits of the last position are read. Ranking sorts the
prompts by length, which the card does not. Training is a plain loop: LoRA on all linear layers,
cross-entropy of the positive over its group, bf16 autocast.
"""

from __future__ import annotations

import argparse
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from common import Clock, Group, arguments, longest_first, pairs, rank, read_groups
from peft import LoraConfig, get_peft_model
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM, AutoTokenizer

BEFORE = (
    "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and "
    'the Instruct provided. Note that the answer can only be "yes" or "no".<|im_end|>\n'
    "<|im_start|>user\n"
)
PAIR = (
    "<Instruct>: Given a web search query, retrieve relevant passages that answer the query\n"
    "<Query>: {}\n<Document>: {}"
)
AFTER = "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"


class YesNo:
    """The model, its prompts and its scores."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.tokenizer = AutoTokenizer.from_pretrained(args.model, padding_side="left")
        # ranking in 16-bit weights, training with fp32 weights under autocast
        half = args.dtype == "bf16" and args.task == "rank"
        self.network: Any = AutoModelForCausalLM.from_pretrained(
            args.model,
            dtype=torch.bfloat16 if half else torch.float32,
            attn_implementation=args.attention,
        ).to(args.device)
        self.answers = [self._ids(word)[0] for word in ("yes", "no")]
        self.before, self.after = self._ids(BEFORE), self._ids(AFTER)

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def scores(self, texts: list[tuple[str, str]]) -> torch.Tensor:
        """Logit of yes minus that of no."""
        room = self.args.max_length - len(self.before) - len(self.after)
        prompts = [
            {"input_ids": self.before + self._ids(PAIR.format(*text))[:room] + self.after}
            for text in texts
        ]
        tokens = self.tokenizer.pad(prompts, padding=True, return_tensors="pt")
        output = self.network(**tokens.to(self.args.device), use_cache=False, logits_to_keep=1)
        yes, no = output.logits[:, -1, self.answers].float().unbind(1)
        return yes - no


def score(model: YesNo, groups: list[Group], batch_size: int) -> list[float]:
    """Longest pairs first, so that a batch has little padding."""
    texts = pairs(groups)
    order = longest_first([question + passage for question, passage in texts])
    scores = [0.0] * len(texts)
    with torch.inference_mode():
        for start in range(0, len(order), batch_size):
            part = order[start : start + batch_size]
            found = model.scores([texts[number] for number in part])
            for number, value in zip(part, found.tolist(), strict=True):
                scores[number] = value
    return scores


def train(model: YesNo, clock: Clock) -> None:
    args = model.args
    # those of radio_worker.py
    adapters = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
    model.network = get_peft_model(model.network, adapters).train()
    trained = [weight for weight in model.network.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-5)
    warmup, timed = read_groups(args)
    groups = warmup + timed
    clock.start()
    for start in range(0, len(groups), args.questions):
        step = groups[start : start + args.questions]
        total = 0.0
        size = args.questions if args.mini_batch < 0 else args.mini_batch
        for first in range(0, len(step), size):
            part = step[first : first + size]
            texts = [(group["question"], text) for group in part for text in group["passages"]]
            with precision(args):
                logits = model.scores(texts).view(len(part), -1)
            targets = torch.zeros(len(part), dtype=torch.long, device=logits.device)
            loss = cross_entropy(logits, targets, reduction="sum") / len(step)
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.item()
        optimizer.step()
        optimizer.zero_grad()
        clock.losses.append(total)
        clock.tick()


def precision(args: argparse.Namespace) -> AbstractContextManager[Any]:
    if args.dtype == "fp32":
        return nullcontext()
    return torch.autocast(args.device, dtype=torch.bfloat16)


def main() -> None:
    args, clock = arguments(), Clock()
    model = YesNo(args)
    if args.task == "rank":
        model.network.eval()
        rank(args, "transformers", lambda groups, size: score(model, groups, size))
        return
    train(model, clock)
    clock.report(args, "transformers")


if __name__ == "__main__":
    main()
