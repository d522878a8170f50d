"""The parser of the commands: what was merged is checked for types and values, with one message for
each mistake."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, NoReturn

from lightning.pytorch.cli import LightningArgumentParser

from radio.config.merging import Merge
from radio.config.mistakes import Place, constructor_error, explain
from radio.config.sources import given
from radio.config.words import Words, sources
from radio.schema import InputError


class RadioParser(LightningArgumentParser):
    """Errors as one message: what was found, where, and what was expected, without the page of
    usage before it."""

    place: Place = staticmethod(lambda path: None)
    """Where a key was written."""
    tree: ClassVar[dict[str, Any]] = {}
    """What is parsed."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        own: BaseException | None = ex
        while own is not None and not isinstance(own, InputError):
            own = own.__cause__
        if own is not None:
            raise own
        raise InputError(explain(message, RadioParser.place, RadioParser.tree)) from ex


def made_by(make: Callable[..., Any] | None = None) -> Callable[..., Any]:
    """How the parser makes a part: an error in its constructor says whose it was, and where.

    The parser itself takes a ValueError for a sign that the value does not fit its type.
    """

    def instantiate(
        kind: type[Any], /, *args: Any, applied_instantiation_links: object = None, **kwargs: Any
    ) -> Any:
        try:
            if make is not None:
                return make(
                    kind,
                    *args,
                    applied_instantiation_links=applied_instantiation_links or {},
                    **kwargs,
                )
            return kind(*args, **kwargs)
        except InputError:
            raise
        except Exception as error:
            raise InputError(constructor_error(kind, error)) from error

    return instantiate


def is_main_process() -> bool:
    """Whether this process speaks for all."""
    return os.environ.get("LOCAL_RANK", "0") == "0" and bool(sys.argv)


def merged(
    parser: LightningArgumentParser,
    words: Words,
    roles: Sequence[type[Any]],
    others: Iterable[LightningArgumentParser] = (),
) -> dict[str, Any]:
    """The config files and options of a command as one tree; says what a change of class left
    behind.

    Args:
        parser: of the command.
        words: its command line.
        roles: base classes of reranker and data module.
        others: parsers of all commands; what one of them takes may stand in a config file of
            another command.

    Raises:
        InputError: a file that cannot be read, a key that nothing has, a class that is not there.
    """
    files = sources(words)
    RadioParser.place = staticmethod(partial(given, files))
    merge = Merge(roles)
    types = argument_types(parser)
    foreign = {name for other in others for name in argument_types(other) if "." not in name} - set(
        types
    )
    for source in files[:-1]:
        source.tree = {name: value for name, value in source.tree.items() if name not in foreign}
    tree = RadioParser.tree = merge.tree(types, files)
    if is_main_process():
        for note in merge.notes:
            print(f"radio: {note}", file=sys.stderr)
    return tree


def argument_types(parser: LightningArgumentParser) -> dict[str, Any]:
    """Annotations of all arguments that the parser itself knows; those of classes come with the
    class."""
    hidden = {"config", "help", "print_config"}
    return {
        action.dest: getattr(action, "_typehint", Any)
        for action in parser._actions
        if action.dest not in hidden and not action.dest.endswith(".help") and action.option_strings
    }


def print_config(parser: LightningArgumentParser, tree: Mapping[str, Any], flags: str) -> None:
    """Print what a run would use, also where reranker or data are not chosen yet."""
    wanted = {flag for flag in flags.split(",") if flag}
    if unknown := wanted - {"skip_default", "skip_null", "skip_unset", "comments"}:
        raise InputError(
            f"--print_config: found {', '.join(sorted(unknown))}, expected skip_default or "
            "skip_null"
        )
    config = parser.parse_object(dict(tree), _skip_required=True, _skip_validation=True)
    text = parser.dump(
        config,
        skip_default="skip_default" in wanted,
        skip_none=bool({"skip_null", "skip_unset"} & wanted),
        skip_validation=True,
        **({"with_comments": True} if "comments" in wanted else {}),
    )
    print(text, end="")
