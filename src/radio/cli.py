"""LightningCLI with the commands, run folders and error messages of this project."""

from __future__ import annotations

import difflib
import inspect
import json
import os
import re
import shutil
import sys
import warnings
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from signal import SIGTERM
from typing import Any, NoReturn

import lightning as L
import torch
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.utilities import rank_zero_info, rank_zero_only
from lightning.pytorch.utilities.exceptions import SIGTERMException

# imported so that their short class names resolve in configs
import data_modules  # noqa: F401
from data_modules.base import RationaleDataModule
from radio import plan
from radio.__main__ import usage_error
from radio.cache import Fingerprinted
from radio.callbacks import best_checkpoint
from radio.formats import atomic_write, ranked, write_jsonl, write_run
from radio.losses import Loss
from radio.ranges import check
from radio.report import show_table
from radio.rerankers import Reranker
from radio.sampling import GroupSampler
from radio.schema import InputError

OWNED = ("checkpoints", "export", "config.yaml", "metrics.json", "metrics.csv", "predictions.jsonl")
"""What a run folder holds and ``--overwrite true`` replaces (and ``*.trec``)."""


class RadioTrainer(L.Trainer):
    """Lightning's Trainer with the command ``prepare`` and defaults that fit this project.

    Without a ``precision`` it takes bf16-mixed on a GPU or CPU that computes in bf16, else 32-true.
    """

    def __init__(self, *args: Any, use_distributed_sampler: bool = False, **kwargs: Any) -> None:
        check(self, _numbers(kwargs))
        if kwargs.get("precision") is None:
            kwargs["precision"] = default_precision(kwargs.get("accelerator", "auto"))
        # the data module splits questions over processes itself: groups must know their epoch
        super().__init__(*args, use_distributed_sampler=use_distributed_sampler, **kwargs)

    def prepare(self, model: Reranker, datamodule: RationaleDataModule) -> None:
        """Fill the caches: candidates, rationales, teacher scores. Trains nothing and loads no reranker."""
        plan.check_run(self, model, datamodule)
        plan.check_data(self.callbacks, datamodule, datamodule._splits_of(None))  # type: ignore[attr-defined]
        datamodule.prepare_data()
        print(datamodule.summary())

    def rationales_report(
        self, model: Reranker, datamodule: RationaleDataModule, split: str = "train", output: str | None = None
    ) -> None:
        """Show what the rationales of a split are worth.

        Args:
            split: train, validation or test.
            output: folder for the page and the numbers; the run folder if not given.
        """
        from radio.rationales.report import rationale_report

        page = rationale_report(datamodule, split, Path(output or self.default_root_dir))
        print(f"report: {page}")

    def rationales_review(
        self,
        model: Reranker,
        datamodule: RationaleDataModule,
        split: str = "train",
        annotator: str = "me",
        port: int = 0,
        limit: int | None = None,
        output: str | None = None,
    ) -> None:
        """Serve the rationales of a split to a browser on this machine, to be marked by a person.

        Args:
            split: train, validation or test.
            annotator: name of the person; the marks are in the file of that name.
            port: of the page; 0 takes a free one.
            limit: only the first n questions.
            output: folder of the marks; ``reviews`` in the run folder if not given.
        """
        from radio.rationales.review import review, review_items

        check("radio rationales review", {"port": port, "limit": limit})
        folder = Path(output) if output else Path(self.default_root_dir) / "reviews"
        review(review_items(datamodule, split)[:limit], folder, annotator, port)


def _numbers(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings of a trainer that are numbers: ``devices`` arrives as a text from the command line."""
    found: dict[str, float] = {}
    for name, value in settings.items():
        if isinstance(value, str) and re.fullmatch(r"[+-]?\d{1,9}", value.strip()):
            found[name] = int(value)
        # a list of devices holds their numbers, from 0
        elif isinstance(value, int | float):
            found[name] = value
    return found


def default_precision(accelerator: Any) -> str:
    """``bf16-mixed`` where the hardware has instructions for it (elsewhere it is emulated, and slower), else fp32."""
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "32-true"
    if accelerator == "cpu" or (accelerator == "auto" and not torch.backends.mps.is_available()):
        able = torch.cpu.get_capabilities()
        return "bf16-mixed" if able.get("avx512_bf16") or able.get("amx_bf16") else "32-true"
    return "32-true"


class RadioParser(LightningArgumentParser):
    """Errors as one message: what was found, where, and what was expected, without the page of usage before it."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        sys.exit(usage_error(explain(message)))


def explain(message: str) -> str:
    """A jsonargparse error in terms of the user's own words: full key, what was found, the nearest names."""
    message = re.sub(r"\x1b\[[0-9;]*m", "", message)
    if match := re.search(r"(?:Option '|accept option '|unrecognized arguments: --)([^' =]+)", message):
        name = match[1].split(".")[-1]
        given = [a.split("=")[0] for a in sys.argv[2:] if a.split("=")[0].split(".")[-1] == name and a.startswith("--")]
        near = difflib.get_close_matches(name, sorted(_known_options()), n=3, cutoff=0.5)
        hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
        where = given[0] if given else f"{match[1]!r} (in a --config file)"
        return f"unknown option {where}{hint}"
    key = re.search(r"Parser key \"([^\"]+)\"", message)
    place = f"key '{key[1]}': " if key else ""
    wrong_class = re.search(r"Expected a dot import path string: (\S+)|Given value: (\S+)\s*$", message)
    base = re.search(r"<class '((?:radio|lightning|data_modules)\.[\w.]+)'>", message)
    if "import path" in message and wrong_class and base:
        module, _, name = base[1].rpartition(".")
        known = sorted(c.__name__ for c in _subclasses(getattr(import_module(module), name)) if c.__name__[0] != "_")
        return (
            f"{place}found '{wrong_class[1] or wrong_class[2]}', expected a {name}: one of {', '.join(known)}, "
            "or the import path of your own class (package.module.Class)"
        )
    # the lines that name a value and a type; the rest repeats them for each member of a union
    expected = re.findall(r"Expected an? <class '(\w+)'>", message)
    given_value = re.search(r"(?:Given value|Got value): (.*)", message)
    if expected and given_value:
        types = " or ".join("null" if e == "NoneType" else e for e in dict.fromkeys(expected))
        return f"{place}found {given_value[1]!r}, expected {types}"
    lines = [re.sub(r"Parser key \"([^\"]+)\":", r"key '\1':", line.rstrip()) for line in message.splitlines()]
    return "\n".join([line for line in lines if line][:6])


def _subclasses(base: type[Any]) -> Iterator[type[Any]]:
    for found in base.__subclasses__():
        yield found
        yield from _subclasses(found)


def _known_options() -> set[str]:
    """Names of all arguments of all parts that a config can hold."""
    bases: list[type[Any]] = [Reranker, RationaleDataModule, Loss, Fingerprinted, GroupSampler, L.Callback, L.Trainer]
    classes = [c for base in bases for c in (base, *_subclasses(base))]
    return {name for c in classes for name in inspect.signature(c).parameters} - {"self", "args", "kwargs"}


class SaveConfig(SaveConfigCallback):
    """Writes the resolved configuration into the run folder before anything else happens."""

    def save_config(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        if stage != "fit" and (Path(trainer.default_root_dir) / "config.yaml").is_file():
            return
        with atomic_write(Path(trainer.default_root_dir) / "config.yaml") as file:
            file.write(self.parser.dump(self.config, skip_none=False))


class RadioCLI(LightningCLI):
    """``radio prepare|fit|validate|test|predict``."""

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        own = ("prepare", "rationales_report", "rationales_review")
        return {**LightningCLI.subcommands(), **{name: {"model", "datamodule"} for name in own}}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_argument("--name", type=str, default="run", help="Name of the run: its folder is runs/NAME.")
        parser.add_argument("--overwrite", type=bool, default=False, help="Replace a finished run of that name.")
        parser.add_argument(
            "--test_after_fit",
            type=bool,
            default=True,
            help="Evaluate the best checkpoint on the test split at the end.",
        )

    @property
    def run_dir(self) -> Path:
        return Path(self.trainer.default_root_dir)

    def before_instantiate_classes(self) -> None:
        config = self.config[self.subcommand]
        name = config.name
        if not name or Path(name).name != name:
            raise InputError(f"--name: found {name!r}, expected one folder name")
        folder = Path(config.trainer.default_root_dir or "runs") / name
        config.trainer.default_root_dir = str(folder)
        for callback in config.trainer.callbacks or []:
            if callback.class_path.endswith("ModelCheckpoint") and callback.init_args.get("dirpath") is None:
                callback.init_args.dirpath = str(folder / "checkpoints")
        if self.subcommand == "fit" and not config.trainer.fast_dev_run and not config.ckpt_path:
            self._claim(folder, config.overwrite)

    @rank_zero_only
    def _claim(self, folder: Path, overwrite: bool) -> None:
        """Refuse to mix two runs in one folder."""
        # processes that Lightning starts for DDP come here too, when the first one has begun to write
        if "LOCAL_RANK" in os.environ or not (folder / "config.yaml").is_file():
            return
        if not overwrite:
            raise InputError(
                f"{folder} already holds a run; choose another --name, or replace it with --overwrite true"
            )
        for path in [*(folder / name for name in OWNED), *folder.glob("*.trec")]:
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)

    def instantiate_trainer(self, **kwargs: Any) -> L.Trainer:
        config = self._get(self.config_init, "trainer")
        if config.logger is None or config.logger is True:
            # metrics.csv lies in the run folder itself
            kwargs.setdefault("logger", CSVLogger(str(config.default_root_dir), name="", version=""))
        return super().instantiate_trainer(**kwargs)

    def before_fit(self) -> None:
        plan.check_run(self.trainer, self.model, self.datamodule)

    def after_fit(self) -> None:
        if self.trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        best = best_checkpoint(self.trainer)
        for split in ("validation", "test") if self.config["fit"].test_after_fit else ("validation",):
            if self.datamodule.examples.get(split):
                evaluate = self.trainer.validate if split == "validation" else self.trainer.test
                # weights_only: a checkpoint of this project holds nothing else
                evaluate(self.model, datamodule=self.datamodule, ckpt_path=best, verbose=False, weights_only=True)
        self._show("test" if self.config["fit"].test_after_fit else "validation")
        if (self.run_dir / "export").is_dir():
            rank_zero_info(f"reranker: {self.run_dir / 'export'}")

    def after_validate(self) -> None:
        self._show("validation")

    def after_test(self) -> None:
        self._show("test")

    @rank_zero_only
    def _show(self, split: str) -> None:
        path = self.run_dir / "metrics.json"
        if not path.is_file():
            return
        document = json.loads(path.read_text())
        if split in document:
            show_table(document, split)
            print(f"run folder: {self.run_dir}")

    def after_predict(self) -> None:
        """Write what ``predict_step`` collected: a TREC run, and JSONL with the passages' text."""
        run = self.model.ranking
        if not self.trainer.is_global_zero:
            return
        write_run(self.run_dir / "predict.trec", run, "radio")
        questions = {e.question.id: e.question for examples in self.datamodule.examples.values() for e in examples}
        rows = [
            {
                "id": question,
                "question": questions[question].question,
                "candidates": [
                    {"id": c.passage_id, "score": c.score, "contents": self.datamodule.corpus[c.passage_id].contents}
                    for c in ranked(scores)
                ],
            }
            for question, scores in run.items()
        ]
        write_jsonl(self.run_dir / "predict.jsonl", rows)
        print(f"reranked {len(rows)} questions: {self.run_dir / 'predict.trec'}, {self.run_dir / 'predict.jsonl'}")


def run() -> RadioCLI:
    """Run the command in ``sys.argv``."""
    from transformers.utils import logging

    # the loading bars and the report on missing weights: what matters of it is said elsewhere
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    warnings.filterwarnings("ignore", ".*does not have many workers.*")
    warnings.filterwarnings("ignore", ".*Checkpoint directory .* exists and is not empty.*")
    warnings.filterwarnings("ignore", ".*The number of training batches .* is smaller than the logging interval.*")
    try:
        return RadioCLI(
            Reranker,
            RationaleDataModule,
            save_config_callback=SaveConfig,
            save_config_kwargs={"save_to_log_dir": False},
            trainer_class=RadioTrainer,
            seed_everything_default=0,
            parser_class=RadioParser,
            subclass_mode_model=True,
            subclass_mode_data=True,
            auto_configure_optimizers=False,
        )
    except SIGTERMException:
        # Lightning would end with status 0, as if all had been done
        print("radio: terminated; resume with --ckpt_path runs/NAME/checkpoints/last.ckpt", file=sys.stderr)
        raise SystemExit(128 + SIGTERM) from None
