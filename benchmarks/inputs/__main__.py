"""Try all inputs and write ``docs/inputs.md``: ``python -m benchmarks.inputs``; some alone: ``...
inputs 3 17-20``."""

from __future__ import annotations

import argparse
import os
import re
import tempfile
import warnings
from pathlib import Path

from benchmarks.inputs import commands, files, models, settings, surroundings
from benchmarks.inputs.place import ROOT, Input, Outcome, attempt, make_template

INPUTS: list[Input] = [
    *files.INPUTS,
    *models.INPUTS,
    *settings.INPUTS,
    *commands.INPUTS,
    *surroundings.INPUTS,
]

PREFIX = "radio-inputs-"
"""How the folder begins in which all is tried; a table has no use for it."""

HEAD = """# Inputs of new users

What new users bring: files, models, settings, commands, environments and numbers. Made by
`python -m benchmarks.inputs`; each input has its expectation beside it there. Of {total} inputs {refused} are refused
with one message and status 2, {ran} run as they should, {findings} are findings: something else than expected.

| | input | status | what it says | |
|---|---|---|---|---|
"""  # noqa: E501 -- as the page has them


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("which", nargs="*", help="numbers or ranges; all, and the table, without")
    parser.add_argument("--output", type=Path, default=ROOT / "docs/inputs.md")
    chosen = parser.parse_args()
    numbers = [n for part in chosen.which for n in _range(part)] or list(range(1, len(INPUTS) + 1))
    os.environ.update(
        HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false", TQDM_DELAY="1", TQDM_MININTERVAL="30"
    )
    os.environ.pop("RADIO_RUN", None)
    _import_libraries()
    outcomes = {}
    with tempfile.TemporaryDirectory(prefix=PREFIX) as folder:
        make_template(Path(folder))
        for number in numbers:
            case = INPUTS[number - 1]
            outcome = outcomes[number] = attempt(case, Path(folder), Path(folder) / str(number))
            print(f"{number:3} {'; '.join(outcome.faults) or 'ok'}: {case.words}", flush=True)
            if outcome.faults or chosen.which:
                print("    " + outcome.said.strip()[-6000:].replace("\n", "\n    "), flush=True)
    if not chosen.which:
        chosen.output.write_text(table(outcomes), encoding="utf-8")
    raise SystemExit(any(outcome.faults for outcome in outcomes.values()))


def _range(text: str) -> range:
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


def _import_libraries() -> None:
    """What all commands need, once, before the process is copied for each of them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import sentence_transformers  # noqa: F401

        import radio.cli
        import radio.generators  # noqa: F401


def table(outcomes: dict[int, Outcome]) -> str:
    fine = [outcome for outcome in outcomes.values() if not outcome.faults]
    refused = sum(outcome.status == 2 for outcome in fine)
    text = HEAD.format(
        total=len(outcomes),
        refused=refused,
        ran=len(fine) - refused,
        findings=len(outcomes) - len(fine),
    )
    for number, outcome in outcomes.items():
        verdict = f"finding: {'; '.join(outcome.faults)}" if outcome.faults else "ok"
        cells = [
            str(number),
            INPUTS[number - 1].words,
            str(outcome.status),
            _cell(outcome.line),
            verdict,
        ]
        text += f"| {' | '.join(cells)} |\n"
    return text


def _cell(line: str) -> str:
    """At most 160 characters of a line, without what differs from run to run and what a table takes
    for its own."""
    if line.startswith("┃ metric"):
        return "the table of results"
    line = re.sub(r"^/\S*/(\S+:)\d+: UserWarning:", r"\1 UserWarning:", line)
    work = re.escape(f"{tempfile.gettempdir()}/{PREFIX}")
    line = re.sub(rf"{work}[^/]*", "", line)
    line = "".join(c if c.isprintable() else " " for c in line)
    short = line if len(line) <= 160 else f"{line[:157]}..."
    return "`` " + short.replace("|", "\\|").replace("``", "`") + " ``" if short else ""


if __name__ == "__main__":
    main()
