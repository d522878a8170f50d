"""The ``radio`` command: answers help and plain mistakes at once, and loads Lightning only for real
work."""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Sequence
from secrets import token_hex

from radio.crashes import guarded, usage_error

COMMANDS = {
    "prepare": "retrieve candidates, obtain rationales, ask the teacher; fills the caches and stops",
    "fit": "prepare, fine-tune the reranker, evaluate it before and after, export it",
    "validate": "evaluate on the validation questions",
    "test": "evaluate on the test questions",
    "predict": "rerank: writes predict.trec and predict.jsonl into the run folder",
    "rationales report": "quality of the rationales: checks, lengths, support; a table and a page with plots",
    "rationales review": "look at rationales one by one in the browser and mark them",
    "configs": "list the configs that come with radio, or copy one to change it",
    "cache": "info, export, import, prune: look after the store of rationales and answers",
}
# the first part of every option of a command; deeper names are checked by the full parser
OPTIONS = (
    *(
        "--config",
        "-c",
        "--name",
        "--overwrite",
        "--seed_everything",
        "--trainer",
        "--model",
        "--data",
    ),
    *(
        "--print_config",
        "--help",
        "-h",
        "--ckpt_path",
        "--test_after_fit",
        "--collapse_guard",
        "--weights_only",
        "--verbose",
    ),
    *("--return_predictions",),
    *(
        "--split",
        "--output",
        "--annotator",
        "--port",
        "--limit",
    ),  # of the commands about rationales
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
  --ckpt_path FILE      checkpoint to go on from (fit) or to evaluate; last or best: that of the run NAME, whose best
                        one is evaluated without this option
  --KEY VALUE           any key of the config, for example --model.init_args.lr 2e-5 or --data.init_args.batch_size 8
  --print_config        print the merged config and stop
  --debug               show the traceback of a mistake too (or RADIO_DEBUG=1)

Try: radio fit --config quickstart
All keys: radio fit --help; of one class: radio fit --model.help CrossEncoder
"""


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
        print(
            HELP.format(
                commands="\n".join(f"  {name:<19}{text}" for name, text in COMMANDS.items())
            ),
            end="",
        )
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
    if arguments[0] == "cache":
        return guarded(lambda: _cache(arguments[1:]))
    if arguments[0] == "configs":
        return guarded(lambda: _configs(arguments[1:]))
    if arguments[0] == "rationales":
        # Lightning's parser knows commands of one word
        if arguments[1:2] not in (["report"], ["review"]):
            return usage_error(
                f"rationales: found {' '.join(arguments[1:2]) or 'nothing'}, expected report or "
                "review"
            )
        arguments = ["rationales_" + arguments[1], *arguments[2:]]
        sys.argv[1:] = arguments
    command, *rest = arguments
    if command.replace("_", " ") not in COMMANDS:
        hint = _suggest(command, list(COMMANDS)) or f"; expected one of {', '.join(COMMANDS)}"
        return usage_error(f"unknown command {command!r}{hint}")
    for argument in rest:
        head = argument.split("=")[0].split(".")[0].rstrip("+")
        if argument.startswith("--") and head not in OPTIONS:
            return usage_error(
                f"unknown option {argument.split('=')[0]!r}{_suggest(head, OPTIONS)} (radio --help)"
            )
    # set before the libraries that read them are imported
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # no progress bar for what takes no time, and a line now and then where nobody watches it move
    os.environ.setdefault("TQDM_DELAY", "1")
    if not sys.stderr.isatty():
        os.environ.setdefault("TQDM_MININTERVAL", "30")
    return guarded(_lightning)


def _find_own_classes() -> None:
    """Make the user's files importable from the working folder, as ``python -m radio`` does; what
    is installed wins.

    Raises:
        OSError: the working folder was removed.
    """
    here = os.getcwd()
    if here not in sys.path and "" not in sys.path:
        sys.path.append(here)


def _cache(arguments: Sequence[str]) -> int:
    from radio.commands.cache import main

    return main(arguments)


def _configs(arguments: Sequence[str]) -> int:
    from radio.commands.configs import main

    return main(arguments)


def _lightning() -> int:
    from radio.cli import run

    run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
