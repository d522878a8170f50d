"""The headline table: retriever, base reranker, RADIO as published and as found best, and its rival
without an LLM.

``make results`` (``python -m benchmarks.results``) does what is missing of it: the base reranker,
each system with each seed on Natural Questions, the same recipe on the other datasets, transfer to
those without rationales. Each run is a plain ``radio fit`` of the files in ``configs/recipes/`` and
``benchmarks/recipes/``, whose command is printed; finished runs are kept in ``runs/results/`` and
not repeated until their arguments, recipes or data change, so that it may be killed at any time.
The tables go into ``docs/results*.md`` and ``docs/trials.md``, each part between its two marks as
soon as its runs are there; ``--rerankers`` does some of them. All numbers are those of ``radio
compare``, whose commands are printed too.

``--split validation`` evaluates on the dev questions: all that was chosen was chosen there.
``--trials`` runs what was tried on the way, each a change of the best recipe, with one seed on the
dev questions. ``--accelerator gpu`` trains and ranks on a GPU: other runs, since a GPU rounds and
draws dropout in its own way.
"""

from __future__ import annotations

import argparse

from benchmarks.pages import write_part
from benchmarks.results.fits import manifest
from benchmarks.results.headline import headline
from benchmarks.results.others import other_trials, others
from benchmarks.results.settings import DATA, HARDWARE, RERANKERS, ROOT, SHARED
from benchmarks.results.trials import fit_check, trials

PAGES = tuple(ROOT / "docs" / name for name in ("results-test.md", "results-dev.md", "trials.md"))


def write(what: str, lines: list[str]) -> None:
    """Write a part, and which data it is of."""
    whole = [*lines, "", f"Fingerprint of the data's manifest: `{manifest()}`."]
    write_part(PAGES, "benchmarks.results", what, whole)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--split", choices=("validation", "test"), default="test")
    parser.add_argument("--rerankers", nargs="*", choices=RERANKERS)
    parser.add_argument("--trials", action="store_true")
    parser.add_argument("--accelerator", choices=("cpu", "gpu"), default="cpu")
    options = parser.parse_args()
    if options.accelerator != "cpu":
        HARDWARE.extend(["--trainer.accelerator", options.accelerator])
    if not (DATA.is_dir() and (SHARED / "models/minilm-reader").is_dir()):
        raise SystemExit(f"{SHARED} is not there: the results need its data and its reader")
    if options.trials:
        write("trials", [*trials(), "", *other_trials(), "", *fit_check()])
        return
    for reranker in options.rerankers or RERANKERS[:3]:
        write(f"{options.split} {reranker}", headline(reranker, options.split))
    if options.split == "test" and not options.rerankers:
        write("other datasets", others("bi_encoder"))


if __name__ == "__main__":
    main()
