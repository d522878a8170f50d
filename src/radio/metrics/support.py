"""Metrics of the passages that a generator reads, against those annotated as supporting."""

from __future__ import annotations

from collections.abc import Collection

SUPPORT_METRICS = ("support_precision", "support_recall", "support_f1", "all_hops")


def support_metrics(read: Collection[str], supporting: Collection[str]) -> dict[str, float]:
    """Precision, recall and F1 of the passages read, and whether all supporting ones are among them
    (``all_hops``).

    As MuSiQue and HotpotQA define them for supporting passages (Trivedi et al., TACL 2022). A
    question without supporting passages has no values: the result is empty.

    Args:
        read: ids of the passages that were read.
        supporting: ids of those annotated, also of ones that no retriever found.
    """
    wanted, given = set(supporting), set(read)
    if not wanted:
        return {}
    both = len(wanted & given)
    return {
        "support_precision": both / len(given) if given else 0.0,
        "support_recall": both / len(wanted),
        "support_f1": 2 * both / (len(wanted) + len(given)),
        "all_hops": float(wanted <= given),
    }
