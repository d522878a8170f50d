"""What makes batches apart from the network: in a loader's thread, or in its worker processes.

A loader has a collator of its own, and the collator a tokenizer of its own: fast tokenizers keep
truncation and padding as their state, and two threads would change it under each other's hands.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn, Self, TypeVar

import lightning as L
from torch import nn
from transformers import PreTrainedTokenizerBase

from radio.losses import Loss
from radio.schema import Group, GroupBatch, InputError

if TYPE_CHECKING:
    from radio.rerankers import Reranker

ModuleKind = TypeVar("ModuleKind", bound=nn.Module)


class Collator(ABC):
    """Makes batches of groups; holds a tokenizer and settings, and is small to send to a process.

    A subclass implements :meth:`__call__`.
    """

    tokenizer: PreTrainedTokenizerBase

    @abstractmethod
    def __call__(self, groups: Sequence[Group]) -> GroupBatch:
        """Tokenise the question-passage pairs of these groups, in order."""

    def apart(self) -> Self:
        """The same with a tokenizer of its own; the rest is shared."""
        other = copy.copy(self)
        other.tokenizer = copy.deepcopy(self.tokenizer)
        return other


class OwnCollate:
    """The ``collate`` of a class that has its own, on a copy without network, loss and trainer."""

    def __init__(self, reranker: Reranker) -> None:
        self.reranker = without_weights(reranker, L.LightningModule)
        absent = NoNetwork(type(reranker).__name__)
        # past nn.Module's own way of setting attributes, which looks for weights
        self.reranker.__dict__["network"] = absent

    def __call__(self, groups: Sequence[Group]) -> GroupBatch:
        return self.reranker.collate(groups)


def collator(reranker: Reranker) -> Collator | OwnCollate:
    """What makes the batches of one loader of a reranker, as its ``collate`` does."""
    plain = None if _has_own_collate(type(reranker)) else reranker.plain_collator()
    return OwnCollate(reranker) if plain is None else plain.apart()


def _has_own_collate(kind: type[Reranker]) -> bool:
    """Whether a class has another ``collate`` than the one that its plain collator stands for."""
    last = next(base for base in kind.__mro__ if "collate" in vars(base))
    return "plain_collator" not in vars(last)


def without_weights(module: ModuleKind, base: type[nn.Module] = nn.Module) -> ModuleKind:
    """A copy of a module that holds its plain attributes alone.

    Parameters, buffers, parts, hooks and the trainer are left out; tokenizers are copied.

    Args:
        module: any; it is left as it is.
        base: the class whose constructor sets up what every module has.
    """
    bare = type(module).__new__(type(module))
    base.__init__(bare)
    # what ``base`` has set already is its machinery: hooks, parameters, the trainer
    machinery = set(vars(bare))
    for name, value in vars(module).items():
        if name not in machinery and not _holds_weights(value):
            bare.__dict__[name] = _own(value)
    return bare


def _holds_weights(value: object) -> bool:
    """Whether a value is of no use without weights: a network, a list of some, a loss."""
    if isinstance(value, dict):
        return any(map(_holds_weights, value.values()))
    if isinstance(value, list | tuple):
        return any(map(_holds_weights, value))
    return isinstance(value, nn.Module | Loss | L.Trainer)


def _own(value: object) -> object:
    """A copy of what keeps a state while it tokenises; anything else itself."""
    if isinstance(value, Collator):
        return value.apart()
    return copy.deepcopy(value) if isinstance(value, PreTrainedTokenizerBase) else value


class NoNetwork:
    """Stands in the place of the network where batches are made, and says so when it is used."""

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def __getattr__(self, name: str) -> NoReturn:
        # copy and pickle ask for special methods, and take no for an answer
        if name.startswith("__"):
            raise AttributeError(name)
        raise InputError(
            f"{self._kind}.collate: found a use of self.network ({name}), expected none: batches "
            "are made apart from it, in threads and processes that have no weights; let build() "
            "note what collate needs of the network in an attribute"
        )

    def __call__(self, *inputs: object, **named: object) -> NoReturn:
        self.__getattr__("forward")
