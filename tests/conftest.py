"""A tiny but complete world: a corpus about numbered harbours, a random BERT, and the command line
in this process."""

from __future__ import annotations

import gc
import json
import logging
import os
import random
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from radio.cache import Cache
from tests import forked

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared"

PATIENCE = 600
"""Seconds after which something hangs: far more than a loaded machine needs."""

WORDS = """
harbour lamp tide keeper stone signal rope gull wind tower bell chart pilot anchor fog storm
""".split()

# Written down, not trained: WordPieceTrainer breaks ties at random, so that each session would get
# other tokens.
WORD_PIECES = """
[PAD] [UNK] [CLS] [SEP] [MASK] . 0 1 2 3 4 5 6 7 8 9 ? a b c d e f g h i k l m n o p r s t u w
##e ##p ##r ##h ##o ##a ##t ##i ##n ##g ##l ##b ##u ##d ##c ##s ##m ##w ##f ##or be ca fo st
##er ##ou ##ar ##in ##ll ##bou ##se fog at an abou ch gu har it in ke la li of pi por ro si th
to ti wh win ##ep ##pe ##pt ##hor ##ot ##on ##al ##au ##ain ##nal ##gnal ##lot ##de ##chor ##cau
##mp ##wer ##orm bell becau case capt ston storm ##art ##bour anchor about chart gull harbour
keep lamp lit pilot port rope signal the tower tide who wind because captain stone keeper
""".split()


LONGEST = """
engines/test_ray_cluster.py test_quickstart_end_to_end.py handbook/test_tutorials.py
llm/test_fill.py test_cli.py test_wheel.py evaluation/test_paid_once.py test_restarts.py
rerankers/test_base.py llm/test_api.py test_readme.py test_processes_recipes.py llm/test_batches.py
reporting/test_large.py rerankers/test_tuning.py llm/test_openai_batches.py handbook/test_site.py
benchmarks/test_gpu.py test_processes.py test_processes_machines.py test_sweeps.py
data/test_loading_workers.py callbacks/test_rankings.py test_configs.py test_configs_published.py
callbacks/test_export.py data_modules/test_flashrag.py data_modules/test_quickstart.py
runs/test_story.py runs/test_starting.py rerankers/test_collating.py data/test_loading.py
data/test_loading_resume.py config/test_plan.py config/test_merging.py test_published_end_to_end.py
""".split()
"""Files that take longest, those that mostly wait between the others: where all workers wait at
once, the cores do nothing. They begin first, then the other files with slow tests, so that no
worker is left alone with one of them at the end."""


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[Any]:
    """Import all tests, and let the garbage collector leave alone what they import."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = {ROOT / "tests" / name: number for number, name in enumerate(LONGEST)}
    if gone := [str(path) for path in order if not path.is_file()]:
        raise pytest.UsageError(f"tests/conftest.py: LONGEST names {', '.join(gone)}: not there")
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (order.get(item.path, len(order)), item.path not in slow))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """All workers of this session share one server of forked processes."""
    node.workerinput["forked"] = forked.address()


def pytest_configure(config: pytest.Config) -> None:
    if address := getattr(config, "workerinput", {}).get("forked"):
        forked.share(address)


def write_jsonl(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def shown(folder: Path) -> list[Path]:
    """What stands in a folder, hidden or not, but for locks, which stay."""
    return sorted(path for path in folder.iterdir() if path.suffix != ".lock")


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    return [
        json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line.strip()
    ]


def heed_ctrl_c() -> None:
    """In a new process: a test run in the background of a shell ignores Ctrl-C, and its children
    with it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@dataclass
class World:
    """Files of a small dataset; every question has one passage with its answer and others that
    repeat its words."""

    folder: Path

    @property
    def arguments(self) -> list[str]:
        names = ("corpus", "train", "validation", "test")
        files = [
            a for n in names for a in (f"--data.init_args.{n}", str(self.folder / f"{n}.jsonl"))
        ]
        return [
            *files,
            "--data.init_args.rationales.init_args.paths",
            str([str(self.folder / "rationales.jsonl")]),
        ]


def make_world(folder: Path, *, topics: int = 8, seed: int = 0) -> World:
    rng = random.Random(seed)
    corpus, rationales = [], []
    questions: dict[str, list[dict[str, Any]]] = {"train": [], "validation": [], "test": []}
    for topic in range(topics):
        place, answer = f"port{topic}", f"captain{topic}"
        for number in range(4):
            words = " ".join(rng.choices(WORDS, k=12))
            text = f"The {place} {words}." + (
                f" Because of the fog {answer} lit it." if number == 0 else ""
            )
            corpus.append({"id": f"{place}-{number}", "contents": f"About {place}\n{text}"})
        split = ("train", "train", "train", "train", "validation", "test")[topic % 6]
        for number in range(2):
            word = rng.choice(WORDS)
            identifier = f"q-{topic}-{number}"
            text = f"Who lit the {word} at {place} in case {number}?"
            questions[split].append(
                {"id": identifier, "question": text, "golden_answers": [answer]}
            )
            rationales.append(
                {
                    "id": identifier,
                    "rationale": f"In fog {answer} lit the lamp so that ships came home.",
                }
            )
    folder.mkdir(parents=True, exist_ok=True)
    write_jsonl(folder / "corpus.jsonl", corpus)
    write_jsonl(folder / "rationales.jsonl", rationales)
    for split, rows in questions.items():
        write_jsonl(folder / f"{split}.jsonl", rows)
    return World(folder)


@pytest.fixture(autouse=True)
def same_start() -> Iterator[None]:
    """Each test starts alike, whichever ran before it and on however many cores, and leaves nothing
    to the next.

    The command line runs in this process: it sets the run's seed in the environment, and models
    draw their heads from torch's one generator.
    """
    import numpy as np
    import torch

    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    threads, dtype = torch.get_num_threads(), torch.get_default_dtype()
    deterministic, matmul = (
        torch.are_deterministic_algorithms_enabled(),
        torch.get_float32_matmul_precision(),
    )
    folder, environment = os.getcwd(), dict(os.environ)
    # the order of a sum, and so its last digit, hangs on the number of threads
    torch.set_num_threads(1)
    yield
    if wandb := sys.modules.get("wandb"):
        # it keeps the folder and the mode of the first run of a process, and a run that nobody
        # ended
        wandb.finish()
        wandb.teardown()
    torch.set_num_threads(threads)
    torch.set_default_dtype(dtype)
    torch.use_deterministic_algorithms(deterministic)
    torch.set_float32_matmul_precision(matmul)
    os.chdir(folder)
    for name in os.environ.keys() - environment.keys():
        del os.environ[name]
    os.environ.update(environment)


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """On tensors as small as those of the losses, threads do nothing but wait for each other."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def entries(cache: Cache) -> dict[str, int]:
    """Number of entries of each kind."""
    return dict(cache.query("SELECT kind, COUNT(*) FROM entries GROUP BY kind ORDER BY kind"))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path / "world")


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory) -> str:
    return make_tiny_bert(tmp_path_factory.mktemp("tiny_bert"))


def make_tiny_bert(folder: Path) -> str:
    """A random two-layer BERT with a real WordPiece tokenizer, as a hub model would look; returns
    its folder."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    vocabulary = {piece: number for number, piece in enumerate(WORD_PIECES)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")],
    )
    names = dict(zip(("pad", "unk", "cls", "sep", "mask"), WORD_PIECES[:5], strict=True))
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=64,
        **{f"{k}_token": v for k, v in names.items()},
    )
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    BertModel(config).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="session")
def tiny_reader(tiny_bert: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Folder of a random reader."""
    import torch
    from transformers import AutoTokenizer, BertConfig, BertForQuestionAnswering

    folder = tmp_path_factory.mktemp("reader")
    AutoTokenizer.from_pretrained(tiny_bert).save_pretrained(folder)
    torch.manual_seed(3)
    network = BertForQuestionAnswering(BertConfig.from_pretrained(tiny_bert))
    for parameter in network.parameters():
        if parameter.dim() > 1:
            parameter.data *= 8
    network.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="session")
def tiny_generator(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Folder of a random causal model."""
    return make_tiny_generator(tmp_path_factory.mktemp("generator"), "causal")


@pytest.fixture(scope="session")
def tiny_t5(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Folder of a random encoder-decoder."""
    return make_tiny_generator(tmp_path_factory.mktemp("t5"), "t5")


def make_tiny_generator(folder: Path, kind: str) -> str:
    """A random language model whose words are answers to the tasks, so that some of its replies can
    be read; returns its folder."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import (
        LlamaConfig,
        LlamaForCausalLM,
        PreTrainedModel,
        PreTrainedTokenizerFast,
        T5Config,
        T5ForConditionalGeneration,
    )

    words = ["<pad>", "</s>", "<unk>", *"A B C D SUPPORTS REFUTES yes no".split(), *WORDS]
    words += [f"captain{number}" for number in range(8)]
    vocabulary = {word: number for number, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )
    fast.save_pretrained(folder)
    torch.manual_seed(5)
    size = {"vocab_size": len(words), "pad_token_id": 0, "eos_token_id": 1}
    network: PreTrainedModel
    if kind == "t5":
        shape = {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4}
        network = T5ForConditionalGeneration(T5Config(decoder_start_token_id=0, **shape, **size))
    else:
        shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
        shape |= {"num_attention_heads": 4, "max_position_embeddings": 4096}
        network = LlamaForCausalLM(LlamaConfig(**shape, **size))
    # larger weights: a random model of the usual scale says the same to every prompt
    for name, parameter in network.named_parameters():
        if parameter.dim() > 1 and "embed" not in name and "shared" not in name:
            parameter.data *= 20 if kind == "causal" else 6
    network.save_pretrained(folder)
    return str(folder)


@pytest.fixture
def radio(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Run a ``radio`` command in this process, in an empty folder; returns exit status, stdout,
    stderr."""
    from radio.__main__ import main

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["radio", *arguments])
        # Lightning's log handlers keep the stream of the test that imported it first
        for name in [
            name for name in logging.root.manager.loggerDict if name.startswith("lightning")
        ]:
            for handler in logging.getLogger(name).handlers:
                if isinstance(handler, logging.StreamHandler):
                    handler.stream = sys.stderr
        try:
            status = main()
        except SystemExit as stop:
            status = int(stop.code or 0)
        out, err = capfd.readouterr()
        return status, out, err

    monkeypatch.chdir(tmp_path)
    # the command adds the working folder
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return run


@pytest.fixture
def tiny_run(tiny_bert: str, world: World) -> list[str]:
    """Arguments of a complete run on the tiny world that takes seconds."""
    return [
        *("--config", str(ROOT / "configs/jsonl.yaml"), "--name", "tiny"),
        *(
            "--trainer.accelerator",
            "cpu",
            "--trainer.max_epochs",
            "1",
            "--trainer.enable_progress_bar",
            "false",
        ),
        *("--trainer.enable_model_summary", "false"),
        *("--model.init_args.model", tiny_bert, "--model.init_args.max_length", "48"),
        *("--data.init_args.teacher.init_args.encoder.init_args.model", tiny_bert),
        *("--data.init_args.teacher.init_args.encoder.init_args.max_length", "48"),
        *("--data.init_args.train_candidates", "8", "--data.init_args.eval_candidates", "6"),
        *world.arguments,
    ]
