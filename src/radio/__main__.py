"""The ``radio`` command: answers help and plain mistakes at once, and loads Lightning only for real
work."""

from __future__ import annotations

import difflib
import gc
import os
import sys
from collections.abc import Sequence
from secrets import token_hex

from radio.commands import COMMANDS
from radio.crashes import guarded, usage_error
from radio.schema import InputError

# the first part of every option of Lightning's commands; the full parser checks deeper names
OPTIONS = (
    "--config",
    "-c",
    "--name",
    "--overwrite",
    "--seed_everything",
    "--trainer",
    "--model",
    "--data",
    "--print_config",
    "--help",
    "-h",
    "--ckpt_path",
    "--test_after_fit",
    "--collapse_guard",
    "--weights_only",
    "--verbose",
    "--return_predictions",
    "--input",
    "--block",
)
HELP = """usage: radio COMMAND --config FILE [--config FILE ...] [--KEY VALUE ...]

Fine-tune RAG rerankers by rationale distillation (arXiv 2412.08519).

commands:
{commands}

options:
  --config FILE         YAML, or the name of a config that comes with radio (radio configs lists them); several are
                        merged, the later one wins, and options on the command line win over files
  --name NAME           run folder runs/NAME: config, metrics.json, rankings, predictions, export, checkpoints
  --overwrite true      replace a finished run of that name
  --input FILE          of predict: rank JSONL (-: standard input) as a filter, with the answers on standard output
  --ckpt_path FILE      checkpoint to go on from (fit) or to evaluate; last or best: that of the run NAME, whose best
                        one is evaluated without this option
  --KEY VALUE           any key of the config, for example --model.init_args.lr 2e-5 or --data.init_args.batch_size 8
  --print_config        print the merged config and stop
  --debug               show the traceback of a mistake too (or RADIO_DEBUG=1)

Try: radio fit --config quickstart
All keys: radio fit --help; of one class: radio fit --model.help CrossEncoder
"""  # noqa: E501 -- as wide as the terminal may be


def _suggest(word: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def main() -> int:
    """Entry point of the console script; returns the exit status."""
    if "--debug" in sys.argv:
        os.environ["RADIO_DEBUG"] = "1"
        sys.argv[:] = [argument for argument in sys.argv if argument != "--debug"]
    # the same in all processes of a run: Lightning starts the others with this environment
    os.environ.setdefault("RADIO_RUN", token_hex(8))
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in {"-h", "--help", "help"}:
        print(_help(), end="")
        return 0
    if arguments[0] in {"-V", "--version"}:
        from radio import __version__

        print(f"radio {__version__}")
        return 0
    try:
        _find_own_classes()
    except OSError as error:
        return usage_error(
            f"the working folder cannot be used ({error.strerror}): was it deleted? cd into "
            "another one"
        )
    try:
        name, rest = _command(arguments)
    except InputError as error:
        return usage_error(str(error))
    command = COMMANDS[name]
    _prepare_libraries()
    if command.own_parser:
        return guarded(lambda: int(command.load()(rest)))
    known = (*OPTIONS, *command.options())
    for argument in rest:
        option = argument.split("=")[0]
        head = option.split(".")[0].rstrip("+")
        if argument.startswith("--") and head not in known:
            return usage_error(f"unknown option {option!r}{_suggest(head, known)} (radio --help)")
    # Lightning's parser knows commands of one word
    sys.argv[1:] = [name.replace(" ", "_"), *rest]
    return guarded(_lightning)


def _prepare_libraries() -> None:
    """Set what libraries read when they are imported."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # no progress bar for what takes no time, and a line now and then where nobody watches it move
    os.environ.setdefault("TQDM_DELAY", "1")
    if not sys.stderr.isatty():
        os.environ.setdefault("TQDM_MININTERVAL", "30")


def _help() -> str:
    lines = [f"  {name:<19}{command.about}" for name, command in COMMANDS.items()]
    return HELP.format(commands="\n".join(lines))


def _command(arguments: Sequence[str]) -> tuple[str, list[str]]:
    """The name of a command, of one word or two, and the words after it.

    Raises:
        InputError: there is no such command.
    """
    first, *rest = arguments
    # Lightning starts the other processes of a run with the one word that its parser knows
    name = first.replace("_", " ")
    if name in COMMANDS:
        return name, rest
    below = [name.split()[1] for name in COMMANDS if name.startswith(f"{first} ")]
    if below:
        second = "".join(rest[:1])
        if second in below:
            return f"{first} {second}", rest[1:]
        raise InputError(f"{first}: found {second or 'nothing'}, expected {' or '.join(below)}")
    hint = _suggest(first, list(COMMANDS)) or f"; expected one of {', '.join(COMMANDS)}"
    raise InputError(f"unknown command {first!r}{hint}")


def _find_own_classes() -> None:
    """Make the user's files importable from the working folder, as ``python -m radio`` does; what
    is installed wins.

    Raises:
        OSError: the working folder was removed.
    """
    here = os.getcwd()
    if here not in sys.path and "" not in sys.path:
        sys.path.append(here)


def _lightning() -> int:
    _import_quietly()
    from radio.cli import run

    run()
    return 0


def _import_quietly() -> None:
    """Import what the commands need, and let the garbage collector leave it alone: it stays to the
    end, and to go through it again and again takes a second of the start."""
    if "radio.cli" in sys.modules:
        return
    gc.disable()
    try:
        import radio.cli  # noqa: F401
    finally:
        gc.enable()
    gc.freeze()


if __name__ == "__main__":
    sys.exit(main())
