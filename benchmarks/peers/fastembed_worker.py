"""fastembed: TextCrossEncoder.rerank_pairs on the ONNX export, as a custom model from a folder.

It takes the pairs in the order in which they come; ``--sort`` gives them by length. It cannot
train.
"""

from __future__ import annotations

from common import Group, arguments, longest_first, pairs, rank
from fastembed.common.model_description import ModelSource
from fastembed.rerank.cross_encoder import TextCrossEncoder


def main() -> None:
    args = arguments()
    # it wants a source, which the folder below takes the place of
    source = ModelSource(hf="local/model")
    TextCrossEncoder.add_custom_model("local/model", sources=source, model_file=args.file)
    folder = str(args.exports / "onnx")
    model = TextCrossEncoder("local/model", threads=args.threads, specific_model_path=folder)

    def score(groups: list[Group], batch_size: int) -> list[float]:
        given = pairs(groups)
        order = list(range(len(given)))
        if args.sort:
            order = longest_first([question + passage for question, passage in given])
        found = model.rerank_pairs([given[number] for number in order], batch_size=batch_size)
        scores = dict(zip(order, found, strict=True))
        return [scores[number] for number in range(len(given))]

    rank(args, "fastembed", score)


if __name__ == "__main__":
    main()
