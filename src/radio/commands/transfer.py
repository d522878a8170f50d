"""``radio transfer --config FILE``: rerankers x generators x datasets, each cell a plain run."""

from __future__ import annotations

import argparse
from collections.abc import Sequence


def main(arguments: Sequence[str]) -> int:
    """Run the command; the exit status is 1 where a cell failed."""
    parser = argparse.ArgumentParser(prog="radio transfer", description=(__doc__ or "").strip())
    parser.add_argument(
        "--config",
        required=True,
        help="matrix file: datasets, rerankers, generators, baseline, split, top_k, name",
    )
    parser.add_argument(
        "--again",
        choices=["true", "false"],
        nargs="?",
        const="true",
        default="false",
        help="evaluate what is there already once more; answers stay in the cache",
    )
    options = parser.parse_args(arguments)

    from radio.transfer.cells import fill
    from radio.transfer.gains import measure, write
    from radio.transfer.matrix import read_matrix
    from radio.transfer.table import markdown, show_table

    matrix = read_matrix(options.config)
    cells = fill(matrix, again=options.again == "true")
    document = measure(matrix, cells)
    write(document, matrix.folder, markdown(document))
    print()
    show_table(document)
    print(f"figures: {matrix.folder / 'transfer.json'}")
    return 1 if cells.failed else 0
