"""From the name that a user gave to a class, and what exactly is wrong where there is none."""

from __future__ import annotations

import difflib
import importlib
import inspect
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from radio.schema import InputError


def subclasses(base: type[Any]) -> Iterator[type[Any]]:
    """All classes below a class, of every depth, as far as they are imported."""
    for found in base.__subclasses__():
        yield found
        yield from subclasses(found)


def choices(bases: Sequence[type[Any]]) -> list[str]:
    """Names of the classes that can be taken in the place of these bases."""
    found = [c for base in bases for c in (base, *subclasses(base))]
    return sorted({c.__name__ for c in found if not c.__name__.startswith("_") and not left_out(c)})


def left_out(kind: type[Any]) -> list[str]:
    """Abstract methods that a class leaves out; also of classes that Python itself does not refuse
    to make."""
    if inspect.isabstract(kind):
        return sorted(kind.__abstractmethods__)
    if not kind.__module__.startswith(("torch", "lightning")):
        members = {
            name: inspect.getattr_static(kind, name, None) for c in kind.__mro__ for name in vars(c)
        }
        return sorted(
            name
            for name, member in members.items()
            if getattr(member, "__isabstractmethod__", False)
        )
    return []


def find_class(name: str, bases: Sequence[type[Any]]) -> type[Any]:
    """The class of a short name or an import path.

    Raises:
        InputError: with what was found and expected; the caller knows the place.
    """
    kind = _imported(name, bases) if "." in name else _by_short_name(name, bases)
    expected = " or ".join(base.__name__ for base in bases)
    if not isinstance(kind, type):
        raise InputError(
            f"found {name!r}, a {type(kind).__name__}, expected a class: a subclass of {expected}"
        )
    if not issubclass(kind, tuple(bases)):
        imports = " and ".join(
            f"from {_public_module(base)} import {base.__name__}" for base in bases
        )
        parents = ", ".join(base.__name__ for base in kind.__bases__)
        raise InputError(
            f"found {name!r}, a subclass of {parents}, expected a subclass of {expected} "
            f"({imports})"
        )
    if missing := left_out(kind):
        if kind in bases:
            raise InputError(
                f"found {name!r}, which is no class to use but what its kind has in "
                f"common{_one_of(bases)}"
            )
        raise InputError(
            f"class {name!r} leaves out {' and '.join(missing)}, which a {expected} must have"
        )
    return kind


def _one_of(bases: Sequence[type[Any]]) -> str:
    return (
        f", expected one of {', '.join(choices(bases))}, or the import path of your own class "
        "(module.Class)"
    )


def _by_short_name(name: str, bases: Sequence[type[Any]]) -> type[Any]:
    all_found = {c for base in bases for c in (base, *subclasses(base)) if c.__name__ == name}
    found = sorted(all_found, key=lambda c: c.__module__)
    if len(found) == 1:
        return found[0]
    if len(found) > 1:
        paths = " or ".join(f"{c.__module__}.{c.__qualname__}" for c in found)
        raise InputError(
            f"found {name!r}, the name of several classes; give the import path: {paths}"
        )
    if Path(f"{name}.py").is_file():
        raise InputError(
            f"found {name!r}, a module; name its class too: {name}.CLASS{_contents(name, bases)}"
        )
    known = choices(bases)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    near = near or [c for c in known if c.casefold() == name.replace("_", "").casefold()]
    hint = f"; did you mean {near[0]!r}?" if near else ""
    expected = " or ".join(base.__name__ for base in bases)
    raise InputError(
        f"found {name!r}, expected a {expected}: one of {', '.join(known)}, or the import path of "
        f"your own class (package.module.Class){hint}"
    )


def _contents(module: str, bases: Sequence[type[Any]]) -> str:
    try:
        names = _classes_of(importlib.import_module(module), bases)
    except Exception:
        return ""
    return f"; it has {', '.join(names)}" if names else ""


def _classes_of(module: ModuleType, bases: Sequence[type[Any]]) -> list[str]:
    """Classes that a module itself defines, those of the right kind if there are any."""
    own = [
        c for c in vars(module).values() if isinstance(c, type) and c.__module__ == module.__name__
    ]
    right = [c for c in own if issubclass(c, tuple(bases))]
    return [c.__name__ for c in right or own]


def _imported(name: str, bases: Sequence[type[Any]]) -> Any:
    module_name, _, class_name = name.rpartition(".")
    if not all(part.isidentifier() for part in name.split(".")):
        raise InputError(
            f"found {name!r}, expected the import path of a class: package.module.Class"
        )
    module = _module(module_name, name, bases)
    if hasattr(module, class_name):
        return getattr(module, class_name)
    own = _classes_of(module, bases)
    near = difflib.get_close_matches(class_name, own, n=1, cutoff=0.5)
    hint = (
        f"; did you mean {module_name}.{near[0]}?"
        if near
        else f"; it has {', '.join(own)}"
        if own
        else ""
    )
    raise InputError(f"found {name!r}, but {_where(module)} has no class {class_name!r}{hint}")


def _where(module: ModuleType) -> str:
    return _short(module.__file__) if module.__file__ else f"module {module.__name__}"


def _short(file: str) -> str:
    path = Path(file)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else file


def _module(module_name: str, name: str, bases: Sequence[type[Any]]) -> ModuleType:
    importlib.invalidate_caches()
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        wanted = error.name or ""
        if module_name == wanted or module_name.startswith(wanted + "."):
            raise InputError(_no_module(module_name, wanted, name, bases)) from None
        failure: BaseException = error
    except InputError:
        raise
    except (Exception, SystemExit) as error:
        failure = error
    place = _place_of(failure, module_name)
    text = failure.msg if isinstance(failure, SyntaxError) else failure
    raise InputError(
        f"{place}: {type(failure).__name__}: {text}, while {name!r} was imported"
    ) from failure


def _no_module(module_name: str, wanted: str, name: str, bases: Sequence[type[Any]]) -> str:
    here = os.getcwd()
    nearby = [path.stem for path in Path(here).glob("*.py")] if "." not in wanted else []
    near = difflib.get_close_matches(wanted, nearby, n=1)
    class_name = name.rpartition(".")[2]
    known = [c for c in choices(bases) if c == class_name]
    hint = (
        f"; did you mean {near[0]}.{class_name}?"
        if near
        else f"; did you mean {class_name!r}?"
        if known
        else ""
    )
    if "." in wanted:
        parent = sys.modules.get(wanted.rpartition(".")[0])
        place = _where(parent) if parent else "its package"
        return f"found {name!r}, but {place} has no module {wanted!r}{hint}"
    return (
        f"found {name!r}, but there is no module {wanted!r} in this folder ({here}) or among what "
        f"is installed{hint}"
    )


def _place_of(error: BaseException, module_name: str) -> str:
    """File and line of an error during an import: the last line in code that is not Python's
    own."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{_short(error.filename)}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [
        frame
        for frame in frames
        if module_name.split(".")[0] in Path(frame.filename).with_suffix("").parts
    ]
    frame = (own or frames)[-1]
    return f"{_short(frame.filename)}:{frame.lineno}"


def _public_module(kind: type[Any]) -> str:
    """The shortest module that a class can be imported from."""
    parts = kind.__module__.split(".")
    for length in range(1, len(parts)):
        module = sys.modules.get(".".join(parts[:length]))
        if module and getattr(module, kind.__name__, None) is kind:
            return ".".join(parts[:length])
    return kind.__module__
