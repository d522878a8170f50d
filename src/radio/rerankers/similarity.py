"""How texts are compared that are embedded apart: each once, token by token if wanted."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence


def distinct(texts: Sequence[str]) -> tuple[list[str], Tensor]:
    """Distinct texts in order of appearance, and for each text its index among them."""
    index = {text: place for place, text in enumerate(dict.fromkeys(texts))}
    return list(index), torch.tensor([index[text] for text in texts], dtype=torch.long)


def padded(rows: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Rows ``[T, dim]`` as ``[N, T, dim]``, 0 where padded, and their bool mask ``[N, T]``."""
    lengths = torch.tensor([len(row) for row in rows])
    mask = torch.arange(int(lengths.max())) < lengths[:, None]
    return pad_sequence(list(rows), batch_first=True), mask.to(rows[0].device)


def max_similarity(
    questions: Tensor, passages: Tensor, kept: Tensor, question: Tensor, passage: Tensor
) -> Tensor:
    """For each token of a question, the largest cosine with a token of the passage.

    Khattab and Zaharia, SIGIR 2020, eq. 3.

    Args:
        questions: unit vectors ``[Q, T, dim]``.
        passages: unit vectors ``[P, S, dim]``.
        kept: tokens of the passages that take part, bool ``[P, S]``.
        question: for each of N pairs, its place in ``questions``.
        passage: for each of them, its place in ``passages``.

    Returns:
        ``[N, T]``, fp32.
    """
    largest = []
    # sums of 16-bit products would make ties
    with torch.autocast(questions.device.type, enabled=False):
        # 256 pairs at a time: the vectors of a passage are copied for each of its pairs
        for asked, read in zip(torch.split(question, 256), torch.split(passage, 256), strict=True):
            cosines = questions[asked].float() @ passages[read].float().transpose(1, 2)
            # no cosine is below -1
            largest.append(cosines.masked_fill(~kept[read, None], -1.0).amax(dim=2))
    return torch.cat(largest)
