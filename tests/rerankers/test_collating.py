"""Collators: what makes batches holds no network, and shares its tokenizer with no other thread."""

from __future__ import annotations

import pickle
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from torch import Tensor
from transformers import AutoTokenizer

from radio.cache import Cache
from radio.rerankers import BiEncoder, CrossEncoder, LateInteraction, Reranker, YesNoLM
from radio.rerankers.collating import Collator, OwnCollate
from radio.rerankers.cross_encoder import PairCollator
from radio.schema import Group, GroupBatch, InputError
from tests import forked
from tests.conftest import ROOT
from tests.rerankers.test_base import TEXTS, group
from tests.rerankers.test_yes_no import make_decoder

GROUPS = [group(0, TEXTS), group(1, TEXTS[:3])]


class Shouting(CrossEncoder):
    """A user's class, whose ``collate`` calls that of its base and methods and settings of its
    own."""

    def __init__(self, *arguments: Any, mark: str = "lamp", **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.mark = mark

    def collate(self, groups: Sequence[Group]) -> GroupBatch:
        batch = super().collate(groups)
        batch.inputs["marks"] = {"ids": self.marks(len(batch.question_ids))}
        return batch

    def marks(self, count: int) -> Tensor:
        tokens = self.tokenizer([self.mark] * count, padding="max_length", max_length=6)
        return torch.tensor(tokens["input_ids"])


class Curious(CrossEncoder):
    """A user's class, whose ``collate`` asks the network."""

    def collate(self, groups: Sequence[Group]) -> GroupBatch:
        _ = self.network.config
        return super().collate(groups)


def rerankers(tiny_bert: str, folder: Path) -> dict[str, Reranker]:
    """One of each kind, ready, as they are in the middle of a run."""
    made: dict[str, Reranker] = {
        "pairs": CrossEncoder(tiny_bert, max_length=48),
        "texts": BiEncoder(tiny_bert, max_length=48, query_prefix="q: "),
        "fixed passages": BiEncoder(
            tiny_bert, max_length=48, train_side="question", multi_vector=0.5
        ),
        "tokens": LateInteraction(
            tiny_bert, max_length=48, query_tokens=24, dim=8, query_prefix="[Q] "
        ),
        "prompts": YesNoLM(make_decoder(folder / "decoder", "qwen3"), max_length=320),
        "own": Shouting(tiny_bert, max_length=48),
    }
    passages = {passage.id: passage for passage in GROUPS[0].passages}
    for reranker in made.values():
        reranker.configure_model()
        reranker.index(passages, Cache(folder / "cache.sqlite"))
        reranker.network.register_forward_hook(print)
        reranker.trainer = L.Trainer(
            accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False
        )
    return made


def same(left: Any, right: Any) -> bool:
    """Whether the inputs of two batches are the same to the last bit."""
    if isinstance(left, Mapping):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, Tensor):
        return left.dtype == right.dtype and torch.equal(left, right)
    return bool(left == right)


CHILD = """
import gc, pickle, sys

with open(sys.argv[1], "rb") as file:
    collators, groups = pickle.load(file)
import lightning, torch

kinds = (torch.nn.Parameter, lightning.Trainer)
found = [type(each).__name__ for each in gc.get_objects() if issubclass(type(each), kinds)]
modules = [each for each in gc.get_objects() if issubclass(type(each), torch.nn.Module)]
hooks = [each for module in modules for each in module._forward_hooks.values()]
batches = {name: collator(groups).inputs for name, collator in collators.items()}
with open(sys.argv[2], "wb") as file:
    pickle.dump((found, len(hooks), batches), file)
"""


def test_a_collator_in_a_fresh_process_has_no_weights_and_makes_the_same_batches(
    tiny_bert: str, tmp_path: Path
) -> None:
    made = rerankers(tiny_bert, tmp_path)
    collators = {name: reranker.collator() for name, reranker in made.items()}
    given, returned = tmp_path / "given", tmp_path / "returned"
    given.write_bytes(pickle.dumps((collators, GROUPS)))
    done = forked.run([sys.executable, "-c", CHILD, str(given), str(returned)], cwd=ROOT)
    assert done.returncode == 0, done.stderr
    found, hooks, batches = pickle.loads(returned.read_bytes())
    assert (found, hooks) == ([], 0)
    for name, reranker in made.items():
        assert same(batches[name], reranker.collate(GROUPS).inputs), name


def test_shipped_collators_are_no_modules_and_own_classes_keep_their_collate(
    tiny_bert: str, tmp_path: Path
) -> None:
    for name, reranker in rerankers(tiny_bert, tmp_path).items():
        collator = reranker.collator()
        assert isinstance(collator, OwnCollate if name == "own" else Collator)
        assert same(collator(GROUPS).inputs, reranker.collate(GROUPS).inputs)
        assert ("marks" in collator(GROUPS).inputs) == (name == "own")


def test_the_reranker_itself_stays_whole(tiny_bert: str) -> None:
    reranker = Shouting(tiny_bert, max_length=48)
    reranker.configure_model()
    weights = len(list(reranker.parameters()))
    reranker.collator()(GROUPS)
    assert len(list(reranker.parameters())) == weights > 0
    assert reranker.loss is not None


def test_a_collate_that_asks_the_network_is_told_what_to_do(tiny_bert: str) -> None:
    reranker = Curious(tiny_bert, max_length=48)
    reranker.configure_model()
    with pytest.raises(InputError, match=r"Curious.collate: found a use of self.network \(config"):
        reranker.collator()(GROUPS)


def test_a_collator_cuts_at_the_positions_of_the_model(tiny_bert: str) -> None:
    reranker = CrossEncoder(tiny_bert, max_length=512)
    reranker.configure_model()
    lengths = reranker.collator()([group(0, ["fog " * 200])]).inputs["pairs"]["lengths"]
    assert lengths == [64]


def in_two_threads(
    collators: Sequence[Callable[[Sequence[Group]], GroupBatch]], calls: int
) -> list[int]:
    """How many batches of each were not those that it makes alone."""
    alone = [collator(GROUPS).inputs for collator in collators]
    wrong = [0] * len(collators)
    together = threading.Barrier(len(collators))

    def work(number: int) -> None:
        together.wait()
        for _ in range(calls):
            try:
                wrong[number] += not same(collators[number](GROUPS).inputs, alone[number])
            except Exception:
                # a tokenizer that is set up anew while it is used may refuse
                wrong[number] += 1

    threads = [threading.Thread(target=work, args=[number]) for number in range(len(collators))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return wrong


def test_two_threads_with_other_lengths_do_not_cut_each_others_texts(tiny_bert: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_bert)
    short, long = (PairCollator(tokenizer, length).apart() for length in (12, 40))
    assert in_two_threads([short, long], calls=1500) == [0, 0]


def test_two_loaders_of_one_reranker_do_not_pad_each_others_texts(tiny_bert: str) -> None:
    # its questions are padded and its passages are not, by one tokenizer
    reranker = LateInteraction(tiny_bert, max_length=48, query_tokens=24, dim=8)
    reranker.configure_model()
    assert in_two_threads([reranker.collator(), reranker.collator()], calls=1000) == [0, 0]
