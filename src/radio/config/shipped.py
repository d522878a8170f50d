"""The configs that come with RADIO, found by name wherever one works."""

from __future__ import annotations

import difflib
from pathlib import Path

import radio

ENDING = ".yaml"


def shipped_folder() -> Path:
    """Where the shipped configs lie: inside the installed package, or at the root of the clone."""
    package = Path(radio.__file__).parent
    installed = package / "configs"
    return installed if installed.is_dir() else package.parents[1] / "configs"


def shipped_configs() -> dict[str, Path]:
    """All shipped configs by their names (``quickstart``, ``losses/rank_net``): single ones first,
    then folder by folder."""
    folder = shipped_folder()
    files = sorted(folder.rglob(f"*{ENDING}"), key=lambda file: (file.parent != folder, file))
    return {file.relative_to(folder).with_suffix("").as_posix(): file for file in files}


def find_config(given: str) -> str:
    """The file that ``--config`` means: a shipped config for its name (``losses/rank_net``) or its
    place in the clone (``configs/losses/rank_net.yaml``), anything else as it was given.

    A file of the user goes first, also where its name was given without the ending: who has copied
    a config and changed it means the copy.
    """
    try:
        if Path(given).is_file():
            return given
        shipped = shipped_configs().get(_name(given))
        if shipped is None:
            return given
        own = given + ENDING
        return own if Path(own).is_file() else str(shipped)
    except (OSError, ValueError):
        # no name of a file at all: reading it says why
        return given


def similar(given: str, most: int = 3) -> list[str]:
    """Names of the shipped configs that may have been meant, the likeliest first."""
    known = list(shipped_configs())
    wanted = given.removesuffix(ENDING).removeprefix("./").removeprefix("configs/")
    # the folder is easily forgotten
    same_stem = [name for name in known if name.split("/")[-1] == wanted.split("/")[-1]]
    near = difflib.get_close_matches(wanted, known, n=most)
    stems = {name.split("/")[-1]: name for name in known}
    near_stems = difflib.get_close_matches(wanted.split("/")[-1], list(stems), n=most)
    found = [*same_stem, *near, *(stems[stem] for stem in near_stems)]
    return list(dict.fromkeys(found))[:most]


def _name(given: str) -> str:
    """The name that a shipped config would have; a bare file name with its ending is the user's."""
    inside = given.removeprefix("./")
    if inside.startswith("configs/"):
        return inside.removeprefix("configs/").removesuffix(ENDING)
    return given
