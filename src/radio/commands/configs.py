"""``radio configs [copy NAME [TO]]``: list the configs that come with RADIO, or copy one to change
it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from radio.config.shipped import ENDING, shipped_configs, similar
from radio.lines import atomic_write
from radio.schema import InputError

SWEEPS = "sweeps/"
"""Of what W&B reads."""


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="radio configs", description=(__doc__ or "").strip())
    commands = parser.add_subparsers(dest="command")
    copying = commands.add_parser("copy", help="copy one, to be changed")
    copying.add_argument("name", help="of the config, as radio configs lists it")
    copying.add_argument("to", nargs="?", help="file or folder (default: the working folder)")
    copying.add_argument(
        "--overwrite",
        choices=["true", "false"],
        nargs="?",
        const="true",
        default="false",
        help="replace a file that is there",
    )
    options = parser.parse_args(arguments)
    if options.command == "copy":
        copy(options.name, options.to, overwrite=options.overwrite == "true")
    else:
        show()
    return 0


def show() -> None:
    """Print one line for each config: its name and the first line of its comment."""
    configs = shipped_configs()
    width = max(map(len, configs))
    print("Configs that come with radio: radio fit --config NAME [--config NAME ...]")
    folder = ""
    for name, file in configs.items():
        above = name.rpartition("/")[0]
        if above != folder:
            print()
        folder = above
        print(f"  {name:<{width}}  {first_comment(file)}")
    print("\nTo change one: radio configs copy NAME [TO]")


def first_comment(file: Path) -> str:
    """The first line of a config, which says what it is for."""
    return file.read_text(encoding="utf-8").split("\n", 1)[0].removeprefix("#").strip()


def copy(name: str, to: str | None, overwrite: bool) -> None:
    """Copy a shipped config.

    Args:
        name: of the config.
        to: the new file, or a folder for it; the working folder if not given.
        overwrite: replace a file that is there.

    Raises:
        InputError: there is no such config, or something lies where the copy goes.
    """
    configs = shipped_configs()
    plain = name.removeprefix("configs/").removesuffix(ENDING)
    if plain not in configs:
        near = similar(name)
        hint = f"did you mean {' or '.join(near)}?" if near else "radio configs lists all of them"
        raise InputError(f"radio configs copy {name}: no config of that name is shipped; {hint}")
    target = Path(to or ".")
    if target.is_dir():
        target /= plain.split("/")[-1] + ENDING
    if target.exists() and not overwrite:
        raise InputError(
            f"radio configs copy {name}: {target} is there already; give another place after the "
            "name, or --overwrite true"
        )
    if not target.parent.is_dir():
        raise InputError(f"radio configs copy {name}: {target.parent} is no folder; make it first")
    with atomic_write(target) as file:
        file.write(configs[plain].read_text(encoding="utf-8"))
    use = f"wandb sweep {target}" if plain.startswith(SWEEPS) else f"--config {target}"
    print(f"{plain} copied to {target}; give it as {use}")
