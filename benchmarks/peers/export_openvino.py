"""sentence-transformers' OpenVINO exports of the weights: fp32, and int8 by static quantisation.

Run in the environment ``sentence_transformers_openvino``. The int8 export is calibrated with the
pairs of the warm-up, which are of the same kind as the timed ones and are none of them.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

from common import arguments, pairs, read_groups
from sentence_transformers import CrossEncoder, export_static_quantized_openvino_model


def main() -> None:
    args = arguments()
    folder = args.exports / "openvino"
    if (folder / ".done").is_file():
        return
    warmup, _ = read_groups(args)
    shutil.copytree(args.model, folder)
    model = CrossEncoder(args.model, max_length=args.max_length, device="cpu", backend="openvino")
    model.save_pretrained(str(folder))
    with tempfile.TemporaryDirectory() as data:
        rows = "".join(json.dumps({"pair": pair}) + "\n" for pair in pairs(warmup))
        (Path(data) / "train.jsonl").write_text(rows, encoding="utf-8")
        export_static_quantized_openvino_model(
            model,
            quantization_config=None,
            model_name_or_path=str(folder),
            dataset_name=data,
            dataset_config_name="default",
            dataset_split="train",
            column_name="pair",
            file_suffix="int8",
        )
    (folder / ".done").write_text("", encoding="utf-8")


if __name__ == "__main__":
    main()
