"""sentence-transformers' ONNX exports of the weights, written once for all ONNX runners.

Run in the environment ``sentence_transformers_onnx``. It writes the model's folder anew, with
``onnx/model.onnx`` (fp32), ``onnx/model_O3.onnx`` (graph fused, GELU approximated) and
``onnx/model_int8.onnx``: int8 dynamic quantisation with the configuration for this processor.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from common import arguments
from sentence_transformers import (
    CrossEncoder,
    export_dynamic_quantized_onnx_model,
    export_optimized_onnx_model,
)

TYPES_OF_INT8 = ("avx512_vnni", "avx512f", "avx2")
"""Flags of /proc/cpuinfo, best first."""


def int8_configuration() -> str:
    """The quantisation that the documentation names for this processor."""
    flags = Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
    best = next((flag for flag in TYPES_OF_INT8 if flag in flags), "arm64")
    return {"avx512f": "avx512"}.get(best, best)


def _cut_at(folder: Path, max_length: int) -> None:
    """Take MiniLM's own limit of 128 tokens out of the saved tokenizer.

    fastembed cuts at the smaller of the two limits there, and would do half of the work.
    """
    path = folder / "tokenizer_config.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    settings |= {"max_length": max_length, "model_max_length": max_length}
    path.write_text(json.dumps(settings), encoding="utf-8")


def main() -> None:
    args = arguments()
    folder = args.exports / "onnx"
    if (folder / ".done").is_file():
        return
    shutil.copytree(args.model, folder)
    model = CrossEncoder(args.model, max_length=args.max_length, device="cpu", backend="onnx")
    model.save_pretrained(str(folder))
    _cut_at(folder, args.max_length)
    export_optimized_onnx_model(model, "O3", str(folder))
    configuration = int8_configuration()
    export_dynamic_quantized_onnx_model(model, configuration, str(folder), file_suffix="int8")
    (folder / ".done").write_text(configuration, encoding="utf-8")


if __name__ == "__main__":
    main()
