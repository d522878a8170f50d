"""sentence-transformers: CrossEncoderTrainer with ListNetLoss.

The labels of the list are so far apart that the softmax of ListNetLoss makes the positive 1 and the
others 0, which is InfoNCE over the group. The loss tokenises, and takes all pairs of a step at
once or ``--mini-batch`` at a time; its documentation offers both.
"""

from __future__ import annotations

import tempfile
from typing import Any

from common import Clock, arguments, read_groups
from datasets import Dataset
from hugging_face import Timer, training_arguments
from sentence_transformers import CrossEncoder
from sentence_transformers.base.sampler import DefaultBatchSampler
from sentence_transformers.cross_encoder import CrossEncoderTrainer, CrossEncoderTrainingArguments
from sentence_transformers.cross_encoder.losses import ListNetLoss
from torch.utils.data import SequentialSampler


def in_order(dataset: Any, batch_size: int, drop_last: bool, **kwargs: Any) -> DefaultBatchSampler:
    """The file's order, so that all libraries have the same steps."""
    return DefaultBatchSampler(
        SequentialSampler(dataset), batch_size=batch_size, drop_last=drop_last
    )


def main() -> None:
    args, clock = arguments(), Clock()
    warmup, timed = read_groups(args)
    groups = warmup + timed
    model = CrossEncoder(
        args.model,
        num_labels=1,
        max_length=args.max_length,
        device=args.device,
        model_kwargs={"attn_implementation": args.attention},
    )
    data = {
        "query": [group["question"] for group in groups],
        "docs": [group["passages"] for group in groups],
        "labels": [[1000.0] + [0.0] * (len(group["passages"]) - 1) for group in groups],
    }
    loss = ListNetLoss(model, mini_batch_size=args.mini_batch)
    loss.register_forward_hook(lambda module, inputs, output: clock.losses.append(output.item()))
    with tempfile.TemporaryDirectory() as folder:
        CrossEncoderTrainer(
            model=model,
            args=CrossEncoderTrainingArguments(
                **training_arguments(args, folder), batch_sampler=in_order
            ),
            train_dataset=Dataset.from_dict(data),
            loss=loss,
            callbacks=[Timer(clock)],
        ).train()
    clock.report(args, "sentence-transformers")


if __name__ == "__main__":
    main()
