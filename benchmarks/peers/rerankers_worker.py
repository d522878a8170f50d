"""rerankers (AnswerDotAI): Reranker.rank with its transformers cross-encoder, question by question.
It cannot train."""

from __future__ import annotations

from common import Clock, Group, arguments, read_groups
from rerankers import Reranker


def main() -> None:
    args, clock = arguments(), Clock()
    if args.task == "train":
        raise SystemExit("rerankers does not train")
    warmup, timed = read_groups(args)
    model = Reranker(
        args.model,
        model_type="cross-encoder",
        device="cpu",
        verbose=0,
        dtype={"fp32": "float32", "bf16": "bfloat16"}[args.dtype],
        tokenizer_kwargs={"model_max_length": args.max_length},
    )

    def score(groups: list[Group]) -> list[float]:
        rankings = [model.rank(group["question"], group["all_passages"]) for group in groups]
        return [
            result.score
            for ranking in rankings
            for result in sorted(ranking, key=lambda r: r.document.doc_id)
        ]

    clock.start()
    score(warmup)
    clock.tick()
    scores = score(timed)
    clock.tick()
    clock.report(args, "rerankers", scores)


if __name__ == "__main__":
    main()
