"""sentence-transformers: CrossEncoder.predict on torch, or on the export that ``--file`` names.

It sorts the pairs by length itself.
"""

from __future__ import annotations

import argparse

import torch
from common import Group, arguments, pairs, rank
from sentence_transformers import CrossEncoder


def load(args: argparse.Namespace) -> CrossEncoder:
    """The model on the backend that the exported file is for, or on torch."""
    if args.file is None:
        kwargs = {"attn_implementation": args.attention}
        kwargs |= {"dtype": torch.bfloat16} if args.dtype == "bf16" else {}
        return CrossEncoder(
            args.model, max_length=args.max_length, device=args.device, model_kwargs=kwargs
        )
    backend, name = args.file.split("/")
    kwargs = {"file_name": name}
    if backend == "onnx":
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = args.threads
        kwargs |= {"provider": "CPUExecutionProvider", "session_options": options}
    else:
        # without, a processor with bf16 instructions computes in bf16
        hint = {"fp32": "f32", "bf16": "bf16", "int8": "bf16"}[args.dtype]
        config = {"INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": args.threads}
        kwargs["ov_config"] = config
    folder = str(args.exports / backend)
    return CrossEncoder(
        folder, max_length=args.max_length, device="cpu", backend=backend, model_kwargs=kwargs
    )


def main() -> None:
    args = arguments()
    model = load(args)

    def score(groups: list[Group], batch_size: int) -> list[float]:
        scores = model.predict(
            pairs(groups),
            batch_size=batch_size,
            activation_fn=torch.nn.Identity(),
            show_progress_bar=False,
        )
        return [float(number) for number in scores]

    rank(args, "sentence-transformers", score)


if __name__ == "__main__":
    main()
