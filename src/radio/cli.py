"""LightningCLI with the commands, run folders and error messages of this project."""

from __future__ import annotations

import os
import re
import secrets
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from signal import SIGINT, SIGTERM
from typing import Any, ClassVar, Literal

import lightning as L
import torch
import yaml
from jsonargparse import Namespace
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.cli import (
    ArgsType,
    LightningArgumentParser,
    LightningCLI,
    SaveConfigCallback,
    _InstantiatorFn,
)
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.utilities import rank_zero_info, rank_zero_only
from lightning.pytorch.utilities.exceptions import SIGTERMException

# imported so that their short class names resolve in configs
import data_modules  # noqa: F401
from radio.callbacks import CollapseGuard, best_checkpoint, rankings_of
from radio.callbacks.export import monitored
from radio.config import plan
from radio.config.classes import find_class
from radio.config.exports import adopt_export
from radio.config.options import read_words
from radio.config.parsing import RadioParser, made_by, merged, print_config
from radio.data.module import RationaleDataModule
from radio.evaluation.files import read_metrics
from radio.evaluation.measure import tied_tops
from radio.evaluation.results import gain_over_base
from radio.evaluation.table import no_better, show_table
from radio.formats import write_run
from radio.lines import atomic_write, write_jsonl
from radio.ranges import check
from radio.rerankers import Reranker
from radio.runs import story
from radio.runs.checkpoints import KeepLastWeights, WholeCheckpoints, read_checkpoint
from radio.runs.folder import OWNED, WRITES, RunFolder, check_name, mark_as_own, sweep_suffix
from radio.runs.loggers import ResumableCSVLogger, check_wandb_key, is_wandb, name_wandb_run, plain
from radio.runs.resuming import RunState, compare, relevant, run_of
from radio.schema import InputError, ranked

Split = Literal["train", "validation", "test"]


class RadioTrainer(L.Trainer):
    """Lightning's Trainer with the command ``prepare`` and defaults that fit this project.

    Without a ``precision`` it takes bf16-mixed on a GPU or CPU that computes in bf16, else 32-true.
    """

    def __init__(self, *args: Any, use_distributed_sampler: bool = False, **kwargs: Any) -> None:
        check_trainer(kwargs)
        if kwargs.get("precision") is None:
            kwargs["precision"] = default_precision(kwargs.get("accelerator", "auto"))
        try:
            # the data module splits questions over processes itself: groups must know their epoch
            super().__init__(*args, use_distributed_sampler=use_distributed_sampler, **kwargs)
        except (
            MisconfigurationException,
            ValueError,
            TypeError,
            RuntimeError,
            ImportError,
        ) as error:
            names = ("accelerator", "devices", "strategy", "precision")
            chosen = ", ".join(
                f"{name} {kwargs[name]}" for name in names if kwargs.get(name) is not None
            )
            raise InputError(f"trainer ({chosen}): {error}") from error
        self.run_state = RunState()
        self.callbacks.insert(0, self.run_state)  # type: ignore[attr-defined]
        # each command collects them; predict has nobody else who asks for them
        rankings_of(self)
        if type(self.strategy.checkpoint_io) is TorchCheckpointIO:
            self.strategy.checkpoint_io = WholeCheckpoints(self)

    def prepare(self, model: Reranker, datamodule: RationaleDataModule) -> None:
        """Fill the caches: candidates, rationales, teacher scores. Trains nothing and loads no
        reranker."""
        plan.check_run(self.callbacks, model, datamodule)  # type: ignore[attr-defined]
        plan.check_data(self.callbacks, datamodule, datamodule._splits_of(None))  # type: ignore[attr-defined]
        datamodule.prepare_data()
        print(datamodule.summary())

    def rationales_report(
        self,
        model: Reranker,
        datamodule: RationaleDataModule,
        split: Split = "train",
        output: str | None = None,
    ) -> None:
        """Show what the rationales of a split are worth.

        Args:
            split: whose rationales.
            output: folder for the page and the numbers; the run folder if not given.
        """
        from radio.rationales.report import rationale_report

        page = rationale_report(datamodule, split, Path(output or self.default_root_dir))
        print(f"report: {page}")

    def rationales_review(
        self,
        model: Reranker,
        datamodule: RationaleDataModule,
        split: Split = "train",
        annotator: str = "me",
        port: int = 0,
        limit: int | None = None,
        output: str | None = None,
    ) -> None:
        """Serve the rationales of a split to a browser on this machine, to be marked by a person.

        Args:
            split: whose rationales.
            annotator: name of the person; the marks are in the file of that name.
            port: of the page; 0 takes a free one.
            limit: only the first n questions.
            output: folder of the marks; ``reviews`` in the run folder if not given.
        """
        from radio.rationales.review import review, review_items

        check("radio rationales review", {"port": port, "limit": limit})
        folder = Path(output) if output else Path(self.default_root_dir) / "reviews"
        review(review_items(datamodule, split)[:limit], folder, annotator, port)


def check_trainer(settings: Mapping[str, Any]) -> None:
    """Refuse numbers of a trainer that make no sense (:mod:`radio.ranges`).

    Raises:
        InputError: names the setting, what was found and what is expected.
    """
    found: dict[str, float] = {}
    for name, value in settings.items():
        if isinstance(value, str) and re.fullmatch(r"[+-]?\d{1,9}", value.strip()):
            found[name] = int(value)
        # a list of devices holds their numbers, from 0
        elif isinstance(value, int | float):
            found[name] = value
    check("Trainer", found)
    if found.get("max_epochs") == -1 and found.get("max_steps", -1) == -1:
        raise InputError(
            "Trainer: max_epochs: found -1 without max_steps, expected one of them to end the "
            "training: the learning rate falls to 0 at its end"
        )


def default_precision(accelerator: Any) -> str:
    """``bf16-mixed`` where the hardware has instructions for it (elsewhere it is emulated, and
    slower), else fp32."""
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        return (
            "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "32-true"
        )
    if accelerator == "cpu" or (accelerator == "auto" and not torch.backends.mps.is_available()):
        able = torch.cpu.get_capabilities()
        return "bf16-mixed" if able.get("avx512_bf16") or able.get("amx_bf16") else "32-true"
    return "32-true"


class SaveConfig(SaveConfigCallback):
    """Writes the configuration into the run folder before anything else happens, and tells it to
    other loggers.

    The folders in it are as the user gave them, and what replaces or resumes a run is left out: a
    saved config can be run again under another name.
    """

    def __init__(
        self, parser: LightningArgumentParser, config: Namespace, *, given: Namespace, **kwargs: Any
    ) -> None:
        super().__init__(parser, config, **kwargs)
        self.given = given

    def save_config(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        folder = Path(trainer.default_root_dir)
        text = self.parser.dump(self.given, skip_none=False)
        # an evaluation leaves alone the config with which the run was trained
        if stage == "fit" or not (
            (folder / "config.yaml").is_file() and (folder / "checkpoints").exists()
        ):
            with atomic_write(folder / "config.yaml") as file:
                file.write(text)
        for logger in trainer.loggers:
            if not isinstance(logger, CSVLogger):
                logger.log_hyperparams(plain(yaml.safe_load(text)))


class RadioCLI(LightningCLI):
    """``radio prepare|fit|validate|test|predict``."""

    claimed: ClassVar[RunFolder | None] = None
    """The run folder that the command in this process works in."""

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        own = ("prepare", "rationales_report", "rationales_review")
        return {**LightningCLI.subcommands(), **{name: {"model", "datamodule"} for name in own}}

    def _add_instantiators(self) -> None:
        for key, base in (("model", Reranker), ("data", RationaleDataModule)):
            self.parser.add_instantiator(made_by(_InstantiatorFn(cli=self, key=key)), base)
        self.parser.add_instantiator(made_by(), object)

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_argument(
            "--name", type=str, default="run", help="Name of the run: its folder is runs/NAME."
        )
        parser.add_argument(
            "--overwrite", type=bool, default=False, help="Replace a finished run of that name."
        )
        parser.add_argument(
            "--test_after_fit",
            type=bool,
            default=True,
            help="Evaluate the best checkpoint on the test split at the end.",
        )
        parser.add_argument(
            "--collapse_guard",
            type=bool,
            default=True,
            help="Let fit warn when the scores become constant (CollapseGuard, if the config holds none).",
        )

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """Merge config files and options by the rules of :mod:`radio.config.merging`; the parser checks
        types and values."""
        command, *words = list(args) if isinstance(args, list) else sys.argv[1:]
        if isinstance(args, dict) or command not in self._subcommand_parsers:
            super().parse_arguments(parser, args)
            return
        found = read_words(words)
        if found.asked:
            _check_asked(found.asked)
            super().parse_arguments(parser, [command, *found.asked])
        parsers = self._subcommand_parsers
        tree = merged(parsers[command], found, (Reranker, RationaleDataModule), parsers.values())
        if found.print_config is not None:
            print_config(parsers[command], tree, found.print_config)
            raise SystemExit(0)
        self.config = parser.parse_object({"subcommand": command, command: tree})
        check("the run", {"seed_everything": self.config[command].seed_everything})

    @property
    def run_dir(self) -> Path:
        return Path(self.trainer.default_root_dir)

    def _parse_ckpt_path(self) -> None:
        """Nothing: Lightning would take the model's arguments from the checkpoint, and override the
        config."""

    def _prepare_subcommand_parser(
        self, klass: type, subcommand: str, **kwargs: Any
    ) -> LightningArgumentParser:
        parser = super()._prepare_subcommand_parser(klass, subcommand, **kwargs)
        if subcommand in ("validate", "test"):
            # the same numbers as in the table, over two screens
            parser.set_defaults(verbose=False)
        if subcommand == "predict":
            parser.set_defaults(return_predictions=False)
        return parser

    def before_instantiate_classes(self) -> None:
        self.begin = time.monotonic()
        command, config = str(self.subcommand), self.config[self.subcommand]
        adopt_export(config, sys.argv)
        # as the user gave it: what follows resolves folders and names
        self.given = deepcopy(config)
        for key in ("ckpt_path", "overwrite"):
            if key in self.given:
                self.given[key] = None if key == "ckpt_path" else False
        check_name(config.name)
        name = config.name + sweep_suffix()
        self.folder = RunFolder(config.trainer.default_root_dir or "runs", name)
        config.trainer.default_root_dir = str(self.folder.path)
        checkpoints = self._resolve_checkpoint_folders(config)
        checkpoint = self._resolve_checkpoint(command, config)
        self.save_config_kwargs["given"] = self.given
        self.keep_until = None
        rank = getattr(rank_zero_only, "rank", False)
        # processes that the first one starts come here too, when it has begun to write
        first = rank == 0 and os.environ.get("NODE_RANK", "0") == "0"
        if config.trainer.fast_dev_run:
            self.trial = tempfile.TemporaryDirectory(prefix="radio-")
            config.trainer.default_root_dir = self.trial.name
            story.say(f"{command}: a trial (fast_dev_run), of which nothing is kept")
        elif first:
            self._claim(command, config, checkpoint, checkpoints)
        self._resolve_loggers(config, first)
        if command in WRITES and first:
            self._say_what_begins(command, config, checkpoint)

    def _resolve_checkpoint_folders(self, config: Namespace) -> list[Path]:
        """Where ModelCheckpoint writes: in the run folder, if the config does not say."""
        found = []
        callbacks = config.trainer.callbacks or []
        for callback in callbacks if isinstance(callbacks, list) else [callbacks]:
            if callback.class_path.endswith("ModelCheckpoint"):
                if callback.init_args.get("dirpath") is None:
                    callback.init_args.dirpath = str(self.folder.path / "checkpoints")
                found.append(Path(callback.init_args.dirpath))
        return list(dict.fromkeys([self.folder.path / "checkpoints", *found]))

    def _resolve_checkpoint(self, command: str, config: Namespace) -> Path | None:
        """The checkpoint that the command starts from; an evaluation takes the best one of a
        trained run."""
        given = config.get("ckpt_path")
        if command not in ("fit", "validate", "test", "predict") or "://" in (given or ""):
            return None
        if given is None and command != "fit" and self.folder.trained:
            checkpoint = self.folder.best_checkpoint() or next(
                iter(self.folder.checkpoints()), None
            )
            if checkpoint is None:
                raise InputError(
                    f"{self.folder.path} holds a trained run, but no checkpoint of it: {command} "
                    "would write what the untrained model gives over its results. Evaluate its "
                    "export under another --name, with --model.init_args.model "
                    f"{self.folder.path / 'export'}, or give --ckpt_path"
                )
        elif given is None:
            return None
        else:
            checkpoint = self.folder.resolve(given)
        config.ckpt_path = str(checkpoint)
        if checkpoint.is_file():
            self._check_checkpoint(command, config, checkpoint)
        return checkpoint

    def _check_checkpoint(self, command: str, config: Namespace, path: Path) -> None:
        """Say in what the command differs from the one that has written its checkpoint; refuse what
        cannot be."""
        content = read_checkpoint(
            path, weights_only=config.get("weights_only") is not False, look=True
        )
        self.resumed_step = int(content.get("global_step", 0))
        for line in compare(content, relevant(self._plain_config()), path, trains=command == "fit"):
            story.say(f"differs from the checkpoint: {line}; this command's is used")
        own = (self.folder.mark or {}).get("run")
        other = own and run_of(content) not in (None, own) and not self.folder.holds(path)
        if other and (command != "fit" or not config.overwrite) and self.folder.found(OWNED):
            raise InputError(
                f"{self.folder.path} holds another run than that of the checkpoint {path}, whose "
                f"{command} would write over its results; choose another --name"
            )

    def _plain_config(self) -> Any:
        """The config of the command, as the user gave it, in plain values."""
        return yaml.safe_load(self._parser(self.subcommand).dump(self.given, skip_none=False))

    def _claim(
        self, command: str, config: Namespace, checkpoint: Path | None, checkpoints: list[Path]
    ) -> None:
        if command == "rationales_report":
            folder = Path(config.output) if config.output else self.folder.path
            mark_as_own(folder, WRITES[command], command)
        elif command in WRITES:
            if command == "fit" and config.overwrite and self.folder.found(OWNED):
                self._try_out(config)
            self.folder.claim(
                command, overwrite=config.overwrite, checkpoint=checkpoint, checkpoints=checkpoints
            )
            RadioCLI.claimed = self.folder

    def _try_out(self, config: Namespace) -> None:
        """Build the parts for their checks alone: a run that is refused must not have replaced an
        earlier one."""
        check_trainer(config.trainer.as_dict())
        trial = deepcopy(config)
        # loggers open files
        trial.trainer.logger = False
        parts = self._parser(self.subcommand).instantiate_classes(trial)
        plan.check_run(parts.trainer.callbacks or [], parts.model, parts.data)

    def _resolve_loggers(self, config: Namespace, first: bool) -> None:
        found = config.trainer.logger
        for logger in found if isinstance(found, list) else [found]:
            if not is_wandb(logger) or config.trainer.fast_dev_run:
                continue
            if first:
                check_wandb_key(logger)
            mark = self.folder.mark or {}
            identifier = os.environ.get("WANDB_RUN_ID") or mark.get("wandb") or secrets.token_hex(4)
            name_wandb_run(logger, self.folder.path.name, identifier)
            if first and mark and self.subcommand == "fit":
                self.folder.note(wandb=identifier)

    def _say_what_begins(self, command: str, config: Namespace, checkpoint: Path | None) -> None:
        model = config.model
        loss = model.init_args.get("loss") if command == "fit" else None
        taught = f", loss {loss.class_path.split('.')[-1]}" if loss else ""
        story.say(
            f"{command} {self.folder.path}: {model.class_path.split('.')[-1]} "
            f"{model.init_args.get('model', '')}"
            f"{taught}, seed {config.seed_everything}"
        )
        if checkpoint is None:
            if command in ("validate", "test", "predict"):
                story.say(
                    "weights: of that model as it is, not trained further (--ckpt_path takes a "
                    "checkpoint)"
                )
        elif command == "fit":
            story.say(f"goes on from {checkpoint}, after step {getattr(self, 'resumed_step', '?')}")
        else:
            story.say(f"weights: {checkpoint}")

    def instantiate_trainer(self, **kwargs: Any) -> L.Trainer:
        config = self._get(self.config_init, "trainer")
        if config.logger is None or config.logger is True:
            # numbers of an evaluation are in metrics.json; metrics.csv is what training logs, in
            # the run folder itself
            logger = (
                ResumableCSVLogger(config.default_root_dir) if self.subcommand == "fit" else False
            )
            kwargs.setdefault("logger", logger)
        callbacks = config.callbacks or []
        guarded = any(isinstance(callback, CollapseGuard) for callback in callbacks)
        if self.subcommand == "fit" and self.config["fit"].collapse_guard and not guarded:
            kwargs.setdefault("callbacks", [*callbacks, CollapseGuard()])
        if config.enable_model_summary is None:
            kwargs.setdefault("enable_model_summary", False)
        if config.enable_progress_bar is None and not sys.stdout.isatty():
            kwargs.setdefault("enable_progress_bar", False)
        trainer = super().instantiate_trainer(**kwargs)
        if isinstance(trainer, RadioTrainer):
            trainer.run_state.say = story.say
            trainer.run_state.facts = {
                "run": (self.folder.mark or {}).get("run"),
                "config": relevant(self._plain_config()),
            }
        if self.subcommand == "fit":
            last = self.folder.path / "checkpoints" / "last.ckpt"
            trainer.callbacks += [story.Story(), KeepLastWeights(last)]  # type: ignore[attr-defined]
        return trainer

    def before_fit(self) -> None:
        plan.check_run(self.trainer.callbacks, self.model, self.datamodule)  # type: ignore[attr-defined]
        step = getattr(self, "resumed_step", 0)
        for logger in self.trainer.loggers:
            if isinstance(logger, ResumableCSVLogger) and self.trainer.global_rank == 0:
                logger.keep_until(step)

    def _run_subcommand(self, subcommand: str) -> None:
        super()._run_subcommand(subcommand)
        if subcommand == "fit" and not self.trainer.fast_dev_run:  # type: ignore[attr-defined]
            self._end_of_fit()

    @rank_zero_only
    def _end_of_fit(self) -> None:
        """Note what the run chose, and say how long it took and where it goes on."""
        best = best_checkpoint(self.trainer)
        place = os.path.relpath(best, self.folder.path.resolve()) if best else None
        self.folder.note(best=place, finished=True)
        took = f"took {story.duration(time.monotonic() - self.begin)}"
        last = next(iter(self.folder.checkpoints()), None)
        if last:
            story.say(f"{took}; to train on: --ckpt_path last ({last})")
        else:
            story.say(
                f"{took}; no checkpoint was kept (enable_checkpointing, save_top_k): it cannot be "
                "trained on"
            )

    def after_fit(self) -> None:
        if self.trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        self._say_if_nothing_was_left()
        best = best_checkpoint(self.trainer)
        for split in (
            ("validation", "test") if self.config["fit"].test_after_fit else ("validation",)
        ):
            if self.datamodule.examples.get(split):
                evaluate = self.trainer.validate if split == "validation" else self.trainer.test
                # weights_only: a checkpoint of this project holds nothing else
                evaluate(
                    self.model,
                    datamodule=self.datamodule,
                    ckpt_path=best,
                    verbose=False,
                    weights_only=True,
                )
        self._show("test" if self.config["fit"].test_after_fit else "validation")
        if (self.run_dir / "export").is_dir():
            rank_zero_info(f"reranker: {self.run_dir / 'export'}")
        self._warn_if_no_better()

    @rank_zero_only
    def _say_if_nothing_was_left(self) -> None:
        trainer = self.trainer
        if getattr(self, "resumed_step", None) == trainer.global_step:
            story.say(
                "nothing was left to train: the checkpoint is at the end of --trainer.max_epochs "
                f"{trainer.max_epochs}, --trainer.max_steps {trainer.max_steps}; to train on, "
                "raise them"
            )

    @rank_zero_only
    def _warn_if_no_better(self) -> None:
        results = rankings_of(self.trainer).results
        doubt = no_better(gain_over_base(results, "validation", monitored(self.trainer)))
        if doubt:
            print(f"WARNING: {doubt}")

    def after_validate(self) -> None:
        self._show("validation")

    def after_test(self) -> None:
        self._show("test")

    @rank_zero_only
    def _show(self, split: str) -> None:
        document = read_metrics(self.run_dir / "metrics.json")
        if split in document:
            show_table(document, split)
            print(f"run folder: {self.run_dir}")

    def after_predict(self) -> None:
        """Write what was ranked: a TREC run, and JSONL with the passages' text."""
        if not self.trainer.is_global_zero:
            return
        scores = rankings_of(self.trainer).scores
        examples = self.datamodule.examples
        split = "predict" if "predict" in examples else "test"
        # each question once, in the order of the data set, whichever process has ranked it
        questions = {e.question.id: e.question for e in examples[split] if e.question.id in scores}
        run = {question: scores[question] for question in questions}
        write_run(self.run_dir / "predict.trec", run, "radio")
        rows = [
            {
                "id": identifier,
                "question": question.question,
                "candidates": [
                    {
                        "id": c.passage_id,
                        "score": c.score,
                        "contents": self.datamodule.corpus[c.passage_id].contents,
                    }
                    for c in ranked(run[identifier])
                ],
            }
            for identifier, question in questions.items()
        ]
        write_jsonl(self.run_dir / "predict.jsonl", rows)
        total = self.datamodule.split_size(split)
        count = str(len(rows)) if len(rows) == total else f"{len(rows)} of {total}"
        print(
            f"reranked {count} questions: {self.run_dir / 'predict.trec'}, "
            f"{self.run_dir / 'predict.jsonl'}"
        )
        tied = tied_tops(run)
        if tied:
            print(
                f"tied at the top, and ordered by passage id there: {tied} of {len(rows)} questions"
            )


def _check_asked(asked: Sequence[str]) -> None:
    """Name the classes there are where the help of one that is none was asked for.

    Raises:
        InputError: no class has that name.
    """
    option, *name = asked
    base = {"--model.help": Reranker, "--data.help": RationaleDataModule}.get(option)
    if base and name:
        try:
            find_class(name[0], [base])
        except InputError as error:
            raise InputError(f"{option}: {error}") from None


def run() -> RadioCLI:
    """Run the command in ``sys.argv``."""
    story.quiet()
    RadioCLI.claimed = None
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
    except InputError as error:
        if error.everywhere and getattr(rank_zero_only, "rank", False):
            # the first process says it, and its status is that of the command. With another status
            # than 0, Lightning would kill the first one, perhaps before it has said anything
            raise SystemExit(0) from None
        raise
    except SIGTERMException:
        # Lightning would end with status 0, as if all had been done
        print(f"radio: terminated{_way_on()}", file=sys.stderr)
        raise SystemExit(128 + SIGTERM) from None
    except (KeyboardInterrupt, SystemExit) as stop:
        # Lightning ends with status 1 after Ctrl-C
        if not isinstance(stop, KeyboardInterrupt) and not isinstance(
            stop.__context__, KeyboardInterrupt
        ):
            raise
        print(f"radio: interrupted{_way_on()}", file=sys.stderr)
        raise SystemExit(128 + SIGINT) from None
    finally:
        if RadioCLI.claimed is not None:
            RadioCLI.claimed.release()
            RadioCLI.claimed = None


def _way_on() -> str:
    """How an interrupted run goes on; empty for other commands, which are simply repeated."""
    folder = RadioCLI.claimed
    if folder is None or (folder.mark or {}).get("busy", {}).get("command") != "fit":
        return ""
    checkpoints = folder.checkpoints()
    if not checkpoints:
        return "; no checkpoint was written yet"
    return f"; it goes on with the same command and --ckpt_path last ({checkpoints[0]})"
