"""A teacher for sets of passages: which of them together cover the facts of the rationale."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from radio.encoders import Encoder
from radio.teachers.base import Lesson
from radio.teachers.similarity import BySimilarity, Match, not_blank
from radio.text import sentences

ROUNDING = 6
"""Decimal places in which two gains are told apart: a batch rounds otherwise than a single text."""


class Coverage(BySimilarity):
    """What each passage adds to the facts of the rationale that the passages before it cover.

    The facts F are the sentences of the rationale (of all rationales of the question, where there
    are several). With the similarity s(f, d) of fact and passage, of its nearest sentence where
    ``match`` is ``sentences``::

        a(f, d)    = s(f, d) - min over all candidates d' of s(f, d')
        gain(d, C) = sum over f of max(0, a(f, d) - max over d' in C of a(f, d'))

    where the maximum over no passage is 0. From the empty set C on, the passage of the highest gain
    is added (facility location, greedily: Nemhauser, Wolsey and Fisher, 1978, within 1 - 1/e of the
    best set), until all have their place. The score of a passage is its gain when it was added,
    over that of the first one: 1 for the first, never more for a later one, 0 for those that add
    nothing. The subtraction takes away what an encoder finds in common between any two texts (e5
    gives almost all pairs 0.7), which would leave every gain but the first near 0.

    Higher is better. Of two copies one has its gain and the other 0; of equal gains (to six
    places), the passage of the higher retrieval score is added first, then that of the smaller id.
    Where all passages have the same gain, as a single one has, all have 0.5. With few facts most
    passages add nothing and tie at 0: blend it with :class:`RationaleSimilarity` to order those.

    For multi-hop questions and for generators that read several passages: similarity alone puts
    five passages about the same fact on top.

    Args:
        encoder: embedding model.
        match: ``passage`` compares a fact with the whole passage, ``sentences`` with the nearest of
            its sentences.
    """

    identity = "Coverage"
    needs_set = True

    def __init__(self, encoder: Encoder | None = None, match: Match = "passage") -> None:
        super().__init__(encoder or Encoder("BAAI/bge-m3"), match)

    def said(self, lesson: Lesson) -> list[list[str]]:
        texts = lesson.rationale.texts if lesson.rationale else ()
        facts = not_blank(sentence for text in texts for sentence in sentences(text))
        return [facts or [""]]

    def weigh(
        self, lesson: Lesson, tables: list[NDArray[np.float32]], pieces: Sequence[int]
    ) -> list[float]:
        (table,) = tables
        first_piece = np.cumsum([0, *pieces[:-1]])
        nearest = np.maximum.reduceat(table.astype(np.float64), first_piece, axis=1)
        above = nearest - nearest.min(axis=1, keepdims=True)
        passages = lesson.passages
        order = sorted(range(len(passages)), key=lambda i: (-passages[i].score, passages[i].id))
        gains = np.zeros(len(passages))
        gains[order] = greedy_gains(above[:, order])
        first, last = gains.max(), gains.min()
        if first <= last:
            return [0.5] * len(passages)
        scores: list[float] = (gains / first).tolist()
        return scores


def greedy_gains(worth: NDArray[np.float64]) -> NDArray[np.float64]:
    """What each passage adds to the coverage of the facts when its turn comes.

    Args:
        worth: of each passage for each fact, ``[facts, passages]``, none below 0.

    Returns:
        Gains ``[passages]``; of equal ones the passage that stands first is added first.
    """
    covered = np.zeros((len(worth), 1))
    left = list(range(worth.shape[1]))
    gains = np.zeros(worth.shape[1])
    while left:
        added = np.maximum(worth[:, left] - covered, 0).sum(axis=0).round(ROUNDING)
        best = int(added.argmax())
        if added[best] == 0:
            break
        chosen = left.pop(best)
        gains[chosen] = added[best]
        covered = np.maximum(covered, worth[:, [chosen]])
    return gains
