"""rerankers (AnswerDotAI): Reranker.rank with its transformers cross-encoder, question by question.

It takes the passages in the order in which they come; ``--sort`` gives those of a question by
length. It cannot train.
"""

from __future__ import annotations

from common import Group, arguments, longest_first, rank
from rerankers import Reranker


def main() -> None:
    args = arguments()
    model = Reranker(
        args.model,
        model_type="cross-encoder",
        device="cpu",
        verbose=0,
        dtype={"fp32": "float32", "bf16": "bfloat16"}[args.dtype],
        tokenizer_kwargs={"model_max_length": args.max_length},
    )

    def score(groups: list[Group], batch_size: int) -> list[float]:
        scores = []
        for group in groups:
            passages = group["all_passages"]
            order = longest_first(passages) if args.sort else list(range(len(passages)))
            given = [passages[number] for number in order]
            ranked = model.rank(group["question"], given, doc_ids=order, batch_size=batch_size)
            in_order = sorted(ranked, key=lambda result: result.document.doc_id)
            scores += [float(result.score) for result in in_order]
        return scores

    rank(args, "rerankers", score)


if __name__ == "__main__":
    main()
