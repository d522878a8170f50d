"""LightningCLI with the commands, run folders and error messages of this project."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Sequence
from copy import deepcopy
from inspect import getdoc, signature
from pathlib import Path
from signal import SIGINT, SIGTERM
from typing import Any, ClassVar

import lightning as L
import yaml
from jsonargparse import Namespace
from lightning.pytorch.cli import (
    ArgsType,
    LightningArgumentParser,
    LightningCLI,
    _InstantiatorFn,
)
from lightning.pytorch.utilities import rank_zero_only
from lightning.pytorch.utilities.exceptions import SIGTERMException

# imported so that their short class names resolve in configs
import data_modules  # noqa: F401
from radio.callbacks import CollapseGuard, rankings_of
from radio.commands import PARTS, configured, fit, predict, predict_filter
from radio.commands.evaluate import show_results
from radio.config import plan
from radio.config.classes import find_class
from radio.config.exports import adopt_export
from radio.config.parsing import RadioParser, made_by, merged, print_config
from radio.config.preparing import prepare_command
from radio.config.words import read_words
from radio.data.module import RationaleDataModule
from radio.ranges import check
from radio.rerankers import Reranker
from radio.runs import starting, story
from radio.runs.checkpoints import KeepLastWeights, try_to_write
from radio.runs.folder import OWNED, WRITES, RunFolder
from radio.runs.loggers import ResumableCSVLogger, prepare_loggers
from radio.runs.resuming import relevant
from radio.runs.saved_config import SaveConfig, as_given
from radio.runs.starting import find_start, place_checkpoints, run_folder, say_what_begins
from radio.runs.stopping import StopWithCheckpoint, stop_if_asked
from radio.schema import InputError, Missing
from radio.secrecy import plain
from radio.trainer import RadioTrainer, check_trainer


class RadioCLI(LightningCLI):
    """``radio prepare|fit|validate|test|predict``, and the commands of :mod:`radio.commands` that
    have a config."""

    trainer: RadioTrainer
    model: Reranker
    datamodule: RationaleDataModule

    claimed: ClassVar[RunFolder | None] = None
    """The run folder that the command in this process works in."""
    answers: ClassVar[predict_filter.Answers | None] = None
    """Standard output of a filter."""

    # The parser

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        found = {**LightningCLI.subcommands(), "prepare": {"model", "datamodule"}}
        for name in configured():
            found[name] = set(PARTS)
        return found

    def _add_subcommands(self, parser: LightningArgumentParser, **kwargs: Any) -> None:
        """As Lightning does, for commands that are no methods of the trainer too.

        Those that are not run get their own options alone: the arguments of trainer, model and
        data take most of the time.
        """
        self._subcommand_parsers: dict[str, LightningArgumentParser] = {}
        self._functions = {name: command.load() for name, command in configured().items()}
        added = parser.add_subcommands()
        run = sys.argv[1] if len(sys.argv) > 1 else None
        for name in self.subcommands():
            self._with_parts = name == run or run not in self.subcommands()
            function = self._functions.get(name) or getattr(RadioTrainer, name)
            about = (getdoc(function) or "").partition("\n")[0]
            own = self._prepare_subcommand_parser(RadioTrainer, name, description=about)
            self._subcommand_parsers[name] = own
            added.add_subcommand(name, own, help=about)

    def _prepare_subcommand_parser(
        self, klass: type, subcommand: str, **kwargs: Any
    ) -> LightningArgumentParser:
        if subcommand in self._functions:
            parser = self.init_parser(**kwargs)
            self._add_arguments(parser)
            self._subcommand_method_arguments[subcommand] = parser.add_function_arguments(
                self._functions[subcommand], skip=set(PARTS)
            )
            return parser
        parser = super()._prepare_subcommand_parser(klass, subcommand, **kwargs)
        if subcommand in ("validate", "test"):
            # the same numbers as in the table, over two screens
            parser.set_defaults(verbose=False)
        if subcommand == "predict":
            parser.set_defaults(return_predictions=False)
            predict_filter.add_options(parser)
        return parser

    def add_core_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        if self._with_parts:
            super().add_core_arguments_to_parser(parser)

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
            help="Let fit warn when the scores become constant (CollapseGuard, if the config holds "
            "none).",
        )

    def _add_instantiators(self) -> None:
        for key, base in (("model", Reranker), ("data", RationaleDataModule)):
            self.parser.add_instantiator(made_by(_InstantiatorFn(cli=self, key=key)), base)
        self.parser.add_instantiator(made_by(), object)

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """Merge config files and options by the rules of :mod:`radio.config.merging`; the parser
        checks types and values."""
        command, *rest = list(args) if isinstance(args, list) else sys.argv[1:]
        parsers = self._subcommand_parsers
        if isinstance(args, dict) or command not in parsers:
            super().parse_arguments(parser, args)
            return
        words = read_words(rest)
        if words.asked:
            _check_asked(words.asked)
            super().parse_arguments(parser, [command, *words.asked])
        tree = merged(parsers[command], words, (Reranker, RationaleDataModule), parsers.values())
        if words.print_config is not None:
            print_config(parsers[command], tree, words.print_config)
            raise SystemExit(0)
        self.config = parser.parse_object({"subcommand": command, command: tree})
        check("the run", {"seed_everything": self.config[command].seed_everything})

    def _parse_ckpt_path(self) -> None:
        """Nothing: Lightning would take the model's arguments from the checkpoint, and override the
        config."""

    # Before the parts are made

    def before_instantiate_classes(self) -> None:
        self.begin = time.monotonic()
        command, config = str(self.subcommand), self.config[self.subcommand]
        filters = command == "predict" and config.input is not None
        if filters:
            predict_filter.check_options(config.as_dict())
            RadioCLI.answers = predict_filter.Answers()
            config.trainer.logger = False
        adopt_export(config, sys.argv)
        # checked when it was parsed: that again for each class in it would take as long as parsing
        text = self._parser(command).dump(as_given(config), skip_none=False, skip_validation=True)
        self.save_config_kwargs["text"] = text
        # what Lightning would dump once more, for modules that save their hyperparameters
        self.config_dump = plain(yaml.safe_load(text))
        # in plain values and without secrets, as checkpoints have them
        self.settings = relevant(self.config_dump)
        self.folder = run_folder(config)
        if filters:
            return
        config.trainer.default_root_dir = str(self.folder.path)
        checkpoints = place_checkpoints(config, self.folder)
        self.start = find_start(command, config, self.folder, self.settings)
        if self.start.checkpoint is not None:
            config.ckpt_path = str(self.start.checkpoint)
        first = _is_first_process()
        if config.trainer.fast_dev_run:
            self.trial = tempfile.TemporaryDirectory(prefix="radio-")
            config.trainer.default_root_dir = self.trial.name
            story.say(f"{command}: a trial (fast_dev_run), of which nothing is kept")
        elif first and command in WRITES:
            self._claim(command, config, checkpoints)
        if not config.trainer.fast_dev_run:
            prepare_loggers(
                config.trainer.logger, self.folder, first=first, trains=command == "fit"
            )
        if command in WRITES and first:
            say_what_begins(command, config, self.folder, self.start)

    def _claim(self, command: str, config: Namespace, checkpoints: Sequence[Path]) -> None:
        if command == "fit":
            starting.check_places(config, self.folder, self.start.checkpoint)
        if command == "fit" and config.overwrite and self.folder.found(OWNED):
            self._try_out(config)
        self.folder.claim(
            command,
            overwrite=config.overwrite or self.start.anew,
            checkpoint=self.start.checkpoint,
            checkpoints=checkpoints,
        )
        RadioCLI.claimed = self.folder
        if command == "fit":
            try_to_write(checkpoints)

    def _try_out(self, config: Namespace) -> None:
        """Build the parts for their checks alone: a run that is refused must not have replaced an
        earlier one."""
        check_trainer(config.trainer.as_dict())
        trial = deepcopy(config)
        # loggers open files
        trial.trainer.logger = False
        parts = self._parser(self.subcommand).instantiate_classes(trial)
        plan.check_run(parts.trainer.callbacks or [], parts.model, parts.data)

    def instantiate_trainer(self, **kwargs: Any) -> L.Trainer:
        config = self._get(self.config_init, "trainer")
        trains = self.subcommand == "fit"
        if config.logger is None or config.logger is True:
            # numbers of an evaluation are in metrics.json; metrics.csv is what training logs, in
            # the run folder itself
            logger = ResumableCSVLogger(config.default_root_dir) if trains else False
            kwargs.setdefault("logger", logger)
        callbacks = config.callbacks or []
        guarded = any(isinstance(callback, CollapseGuard) for callback in callbacks)
        if trains and self.config["fit"].collapse_guard and not guarded:
            kwargs.setdefault("callbacks", [*callbacks, CollapseGuard()])
        if config.enable_model_summary is None:
            kwargs.setdefault("enable_model_summary", False)
        if config.enable_progress_bar is None and not sys.stdout.isatty():
            kwargs.setdefault("enable_progress_bar", False)
        trainer = super().instantiate_trainer(**kwargs)
        assert isinstance(trainer, RadioTrainer)
        trainer.run_state.say = story.say
        mark = self.folder.mark or {}
        trainer.run_state.facts = {
            **{key: mark[key] for key in ("run", "folder", "replaces") if key in mark},
            "config": self.settings,
        }
        if trains:
            last = self.folder.path / "checkpoints" / "last.ckpt"
            trainer.callbacks += [story.Story(), StopWithCheckpoint(last), KeepLastWeights(last)]
        return trainer

    # The command itself

    def _run_subcommand(self, subcommand: str) -> None:
        function = self._functions.get(subcommand)
        if function is not None:
            with self.datamodule.at_work():
                function(**self._prepare_subcommand_kwargs(subcommand))
            return
        if RadioCLI.answers is not None:
            config = self.config["predict"]
            parts = self.model, self.datamodule, self.trainer
            predict_filter.answer(config.input, config.block, *parts, RadioCLI.answers)
            return
        super()._run_subcommand(subcommand)
        if subcommand == "fit" and not self.trainer.fast_dev_run:
            fit.finish(self.trainer, self.folder, time.monotonic() - self.begin)

    def _prepare_subcommand_kwargs(self, subcommand: str) -> dict[str, Any]:
        """The arguments of a command's function: options, and those of :data:`PARTS` that it
        takes."""
        arguments = super()._prepare_subcommand_kwargs(subcommand)
        function = self._functions.get(subcommand)
        if function is None:
            return arguments
        arguments["trainer"] = self.trainer
        arguments["folder"] = Path(self.trainer.default_root_dir)
        return {name: arguments[name] for name in signature(function).parameters}

    def before_fit(self) -> None:
        plan.check_run(self.trainer.callbacks, self.model, self.datamodule)
        for logger in self.trainer.loggers:
            if isinstance(logger, ResumableCSVLogger) and self.trainer.global_rank == 0:
                logger.keep_until(self.start.step or 0, validates=self.start.validates)

    def after_fit(self) -> None:
        if self.trainer.fast_dev_run:
            return
        stop_if_asked(self.trainer)
        fit.say_if_nothing_was_left(self.trainer, self.start)
        fit.evaluate_best(
            self.trainer, self.model, self.datamodule, test=self.config["fit"].test_after_fit
        )

    def after_validate(self) -> None:
        show_results(Path(self.trainer.default_root_dir), "validation")

    def after_test(self) -> None:
        show_results(Path(self.trainer.default_root_dir), "test")

    def after_predict(self) -> None:
        if self.trainer.is_global_zero:
            scores = rankings_of(self.trainer).scores
            predict.write_rankings(scores, self.datamodule, Path(self.trainer.default_root_dir))


def _is_first_process() -> bool:
    """Whether this process begins the run: those that it starts come here too, when it has begun to
    write."""
    rank = getattr(rank_zero_only, "rank", False)
    # as Lightning reads the number of the machine, where processes are started by hand on each
    node = os.environ.get("NODE_RANK", os.environ.get("GROUP_RANK", "0"))
    return rank == 0 and node == "0"


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
        if isinstance(error, Missing):
            error.command = prepare_command(sys.argv[2:])
        if error.everywhere and getattr(rank_zero_only, "rank", False):
            # the first process says it, and its status is that of the command. With another status
            # than 0, Lightning would kill the first one, perhaps before it has said anything
            raise SystemExit(0) from None
        raise
    except SIGTERMException:
        if os.environ.get("LOCAL_RANK", "0") != "0":
            # the first process of the machine says it, see above
            raise SystemExit(0) from None
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
        if RadioCLI.answers is not None:
            RadioCLI.answers.close()
            RadioCLI.answers = None


def _way_on() -> str:
    """How an interrupted run goes on; empty for other commands, which are simply repeated."""
    folder = RadioCLI.claimed
    if folder is None or (folder.mark or {}).get("busy", {}).get("command") != "fit":
        return ""
    checkpoints = folder.checkpoints()
    if not checkpoints:
        return "; no checkpoint was written yet"
    return f"; it goes on with the same command and --ckpt_path last ({checkpoints[0]})"
