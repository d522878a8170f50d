"""YesNoLM with LoRA: this project against plain transformers and peft, with padding.

The peer gets its prompts tokenised beforehand, and computes logits of the last position alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks.gpu.cross_encoder import FASTER, attentions, rank, train
from benchmarks.gpu.measure import Row, Setting, Step, Work, compared
from benchmarks.gpu.shapes import groups, model_folder
from radio.losses import InfoNCE
from radio.rerankers import YesNoLM
from radio.rerankers.tuning import LoRA
from radio.schema import Group

PEER = "transformers and peft"
NAME = "Qwen3-Reranker-0.6B"
PASSAGES = 7


def reranker_of(folder: str) -> YesNoLM:
    return YesNoLM(folder, loss=InfoNCE(), lora=LoRA(r=16), evaluation_precision="trainer")


def prompts_of(folder: str, given: Sequence[Group]) -> list[list[int]]:
    """The prompts of all pairs as this project words them, tokenised, in order."""
    row = reranker_of(folder).plain_collator()(given).inputs["pairs"]
    sequences = [part.tolist() for part in torch.split(row["input_ids"], row["lengths"])]
    return [sequences[place] for place in row["where"].tolist()]


def left_padded(prompts: Sequence[Sequence[int]], padding: int, device: str) -> dict[str, Tensor]:
    """Prompts of the same end, as the published recipes pad them."""
    longest = max(map(len, prompts))
    ids = [[padding] * (longest - len(prompt)) + list(prompt) for prompt in prompts]
    kept = [[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    return {
        "input_ids": torch.tensor(ids, device=device),
        "attention_mask": torch.tensor(kept, device=device),
    }


def peer_model(work: Work, folder: str, attention: str, half: bool) -> Any:
    """The same weights, with new adapters of the same shape, under peft."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    dtype = torch.bfloat16 if half else torch.float32
    network = AutoModelForCausalLM.from_pretrained(
        folder, dtype=dtype, attn_implementation=attention
    )
    lora = LoraConfig(
        r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM", bias="none"
    )
    return get_peft_model(network, lora).to(work.device)


def peer_scores(model: Any, words: Sequence[int], inputs: dict[str, Tensor]) -> Tensor:
    """Logit of yes minus that of no, after each prompt."""
    logits = model(**inputs, use_cache=False, logits_to_keep=1).logits[:, -1].float()
    return logits[:, words[0]] - logits[:, words[1]]


@contextmanager
def peer_train(
    work: Work, folder: str, attention: str, half: bool, prompts: list[list[int]], questions: int
) -> Iterator[Step]:
    model = peer_model(work, folder, attention, half).train()
    words, padding = answers_of(folder)
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-5, fused=work.on_gpu)
    size = questions * PASSAGES
    parts = itertools.cycle([prompts[i : i + size] for i in range(0, len(prompts), size)])

    def step() -> int:
        part = next(parts)
        with work.autocast():
            scores = peer_scores(model, words, left_padded(part, padding, work.device))
        wide = scores.view(-1, PASSAGES)
        best = torch.zeros(len(wide), dtype=torch.long, device=work.device)
        loss = torch.nn.functional.cross_entropy(wide, best)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        loss.item()
        return len(part)

    yield step


@contextmanager
def peer_rank(
    work: Work, folder: str, attention: str, half: bool, prompts: list[list[int]], size: int
) -> Iterator[Step]:
    model = peer_model(work, folder, attention, half).eval()
    words, padding = answers_of(folder)

    def step() -> int:
        scores = []
        with torch.inference_mode(), work.autocast():
            for start in range(0, len(prompts), size):
                part = prompts[start : start + size]
                scores.append(peer_scores(model, words, left_padded(part, padding, work.device)))
        return len(torch.cat(scores).tolist())

    yield step


def answers_of(folder: str) -> tuple[list[int], int]:
    """Token ids of yes and no, and of the padding."""
    tokenizer = reranker_of(folder).tokenizer
    yes, no = tokenizer.convert_tokens_to_ids(["yes", "no"])
    return [yes, no], tokenizer.pad_token_id


@contextmanager
def _trained(work: Work, folder: str, given: list[Group], questions: int) -> Iterator[Step]:
    with train(work, reranker_of(folder), given, questions) as step:
        yield step


@contextmanager
def _ranked(
    work: Work, folder: str, given: list[Group], questions: int, whole: bool
) -> Iterator[Step]:
    with rank(work, reranker_of(folder), given, questions, whole) as step:
        yield step


def training(work: Work) -> list[Row]:
    """Pairs a second in training of adapters of rank 16 in all linear layers."""
    folder = str(model_folder(work, NAME, "generate"))
    given = groups(work, 4 if work.tiny else 64, PASSAGES)
    prompts = prompts_of(folder, given)
    counts = (2,) if work.tiny else (2, 8)
    ours: dict[str, Setting] = {
        f"{count} questions": partial(_trained, work, folder, given, count) for count in counts
    }
    peers: dict[str, Setting] = {}
    for attention, half in itertools.product(attentions(work), halves_of(work)):
        for count in counts:
            make = partial(peer_train, work, folder, attention, half, prompts, count)
            peers[f"{attention}, {_kind(half)}, {count} questions"] = make
    row = Row(f"train YesNoLM ({NAME}, LoRA), against {PEER}", "pairs/s")
    return compared(work, ours, peers, row, FASTER)


def ranking(work: Work) -> list[Row]:
    """Pairs a second in ranking, with the adapters in place."""
    folder = str(model_folder(work, NAME, "generate"))
    given = groups(work, 2 if work.tiny else 32, PASSAGES)
    prompts = prompts_of(folder, given)
    ours: dict[str, Setting] = {}
    for count, whole in itertools.product((2,) if work.tiny else (4, 16), halves_of(work)):
        name = f"{count} questions, {_kind(whole)}"
        ours[name] = partial(_ranked, work, folder, given, count, whole)
    peers: dict[str, Setting] = {}
    for attention, half in itertools.product(attentions(work), halves_of(work)):
        for size in (7,) if work.tiny else (16, 64):
            make = partial(peer_rank, work, folder, attention, half, prompts, size)
            peers[f"{attention}, {_kind(half)}, {size} pairs"] = make
    row = Row(f"rank with YesNoLM ({NAME}, LoRA), against {PEER}", "pairs/s")
    return compared(work, ours, peers, row, FASTER)


def halves_of(work: Work) -> tuple[bool, ...]:
    """Whether weights are in bf16: both ways where the device computes in it."""
    return (False, True) if work.on_gpu else (False,)


def _kind(half: bool) -> str:
    return "bf16 weights" if half else "autocast"
