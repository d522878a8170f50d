"""Building an index: resumed where it was killed, by one process at a time, in bounded memory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from radio.cache import Cache
from radio.corpus import DiskCorpus
from radio.encoders import Encoder
from radio.indexes import building
from radio.indexes.building import open_flat
from radio.indexes.flat import MANIFEST, FlatIndex
from radio.indexes.shards import shard_path
from radio.schema import InputError, Passage
from tests import forked
from tests.conftest import PATIENCE, ROOT, write_jsonl
from tests.forked import Forked
from tests.indexes.shared import Drawn, corpus_of, stored

BUILD = """
import os, signal, sys
from radio.cache import Cache
from radio.corpus import DiskCorpus
from radio.encoders import Encoder
from radio.indexes import building

corpus, model, folder, last = sys.argv[1:]
building.SHARD = 8
written, sync = 0, os.fsync

def killed_in_the_middle(handle):
    global written
    written += ".safetensors." in os.readlink(f"/proc/self/fd/{handle}")
    if written > int(last):
        os.kill(os.getpid(), signal.SIGKILL)
    sync(handle)

os.fsync = killed_in_the_middle
cache = building.Cache(os.path.join(folder, "radio.sqlite"))
passages = DiskCorpus([corpus], os.path.join(folder, "corpora"))
index = building.open_flat(passages, Encoder(model, max_length=32), cache, "float16")
print("whole", index.path)
"""
"""Builds an index, and is killed while it writes the shard after so many."""


def build(corpus: Path, model: str, folder: Path, last: int = 999) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", BUILD, str(corpus), model, str(folder), str(last)]
    return forked.run(command, cwd=ROOT, timeout=PATIENCE)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Eighty-five passages of many lengths."""
    rows = []
    for number in range(85):
        text = f"The lamp of port {number} " + "burns in the fog " * (number % 7)
        rows.append({"id": f"p{number}", "contents": f"Port\n{text}"})
    return write_jsonl(tmp_path / "corpus.jsonl", rows)


def files(folder: Path) -> dict[str, bytes]:
    """The vectors of each shard of the one index in a folder."""
    found = {}
    for path in sorted(folder.glob("indexes/*/[0-9]*.safetensors")):
        content = path.read_bytes()
        header = 8 + int.from_bytes(content[:8], "little")
        found[path.name] = content[header:]
    return found


def test_a_killed_build_goes_on_after_its_last_whole_shard(
    corpus: Path, tiny_bert: str, tmp_path: Path
) -> None:
    killed = build(corpus, tiny_bert, tmp_path / "killed", last=4)
    assert killed.returncode == -signal.SIGKILL
    done = files(tmp_path / "killed")
    assert list(done) == [f"00000{n}.safetensors" for n in range(4)]
    assert not list((tmp_path / "killed").glob(f"indexes/*/{MANIFEST}"))
    again = build(corpus, tiny_bert, tmp_path / "killed")
    assert again.returncode == 0, again.stderr
    assert "53 of 85 passages are left to embed here" in again.stderr
    whole = build(corpus, tiny_bert, tmp_path / "whole")
    assert whole.returncode == 0, whole.stderr
    resumed = files(tmp_path / "killed")
    assert len(resumed) == 11
    # those before were not written again, and the result is the same to the bit
    assert resumed == {**files(tmp_path / "whole"), **done}
    # nothing that was begun is left
    (index,) = (tmp_path / "killed").glob("indexes/*")
    left = {path.name for path in index.iterdir()} - set(resumed)
    assert left == {MANIFEST, ".lock"}


def test_two_that_build_the_same_index_take_turns(
    corpus: Path, tiny_bert: str, tmp_path: Path
) -> None:
    cache = Cache(tmp_path / "radio.sqlite")
    folder = tmp_path / "indexes"
    command = [sys.executable, "-c", BUILD, str(corpus), tiny_bert, str(tmp_path), "999"]
    passages = DiskCorpus([corpus], tmp_path / "corpora")
    encoder = Encoder(tiny_bert, max_length=32)
    compute, others = Encoder.computed, []
    said, saying = os.pipe()

    def slowly(*arguments, **options):  # type: ignore[no-untyped-def]
        if not others:
            # the other one starts while this one builds, and waits
            others.append(Forked(command, cwd=ROOT, stderr=saying))
            os.close(saying)
            for line in lines:
                if "another process builds this index; waiting for it" in line:
                    break
            else:
                pytest.fail("the other one did not wait")
        return compute(*arguments, **options)

    with os.fdopen(said) as lines, pytest.MonkeyPatch.context() as patch:
        patch.setattr(building, "SHARD", 8)
        patch.setattr(Encoder, "computed", slowly)
        index = open_flat(passages, encoder, cache, "float16")
        before = {path: path.stat().st_mtime_ns for path in folder.glob("*/[0-9]*.safetensors")}
        rest = lines.read()
    assert others[0].wait(PATIENCE) == 0, rest
    assert len(before) == index.facts.shards == 11
    assert before == {path: path.stat().st_mtime_ns for path in folder.glob("*/[0-9]*.safetensors")}


def test_each_corpus_encoder_and_precision_has_its_own_folder(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "radio.sqlite")
    corpus = corpus_of(20)
    changed = {**corpus, "p7": Passage("p7", "Another lamp")}
    turned = dict(reversed(corpus.items()))
    indexes = [
        open_flat(corpus, Drawn(), cache, "float16"),
        open_flat(changed, Drawn(), cache, "float16"),
        open_flat(turned, Drawn(), cache, "float16"),
        open_flat(corpus, Drawn(8), cache, "float16"),
        open_flat(corpus, Drawn(), cache, "float32"),
    ]
    folders = {index.path for index in indexes}
    assert len(folders) == len(indexes)
    assert folders == set((tmp_path / "indexes").iterdir())
    np.testing.assert_array_equal(stored(indexes[2]), stored(indexes[0])[::-1])
    # no other folder for the same again
    assert open_flat(dict(corpus), Drawn(), cache, "float16").path == indexes[0].path


def test_a_shard_that_was_deleted_is_alone_embedded_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "SHARD", 4)
    cache, corpus = Cache(tmp_path / "radio.sqlite"), corpus_of(18)
    index = open_flat(corpus, Drawn(), cache, "float16")
    before = stored(index)
    shard_path(index.path, 3).unlink()
    texts: list[str] = []
    embed = Drawn.embed

    def noting(self: Drawn, given: list[str], *rest: object, **options: str) -> object:
        texts.extend(given)
        return embed(self, given, *rest, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Drawn, "embed", noting)
    again = open_flat(corpus, Drawn(), cache, "float16")
    assert texts == [f"Lamp {n}" for n in range(12, 16)]
    np.testing.assert_array_equal(stored(again), before)


def test_a_shard_of_another_width_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "SHARD", 4)
    widths = iter([16, 16, 8])
    real = Drawn.embed

    def changing(self: Drawn, *arguments: object, **options: str) -> object:
        return real(Drawn(next(widths)), *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Drawn, "embed", changing)
    with pytest.raises(InputError, match=r"000002\.safetensors: found 8 dimensions, expected 16"):
        open_flat(corpus_of(12), Drawn(), Cache(tmp_path / "radio.sqlite"), "float16")


def test_parts_that_are_embedded_apart_make_the_same_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "SHARD", 4)
    corpus = corpus_of(30)
    whole = open_flat(corpus, Drawn(), Cache(tmp_path / "whole/radio.sqlite"), "float16")
    cache = Cache(tmp_path / "parts/radio.sqlite")
    for part in (2, 0, 1):
        folder = building.embed_part(corpus, Drawn(), cache, "float16", part, 3)
        numbers = [int(path.stem) for path in folder.glob("[0-9]*.safetensors")]
        assert part in numbers
        assert not (folder / MANIFEST).exists()
    assert files(tmp_path / "parts") == files(tmp_path / "whole")
    monkeypatch.setattr(Drawn, "embed", lambda *_, **__: pytest.fail("embedded again"))
    index = open_flat(corpus, Drawn(), cache, "float16")
    assert index.facts.digest == whole.facts.digest


def test_parts_are_embedded_side_by_side_and_the_whole_waits_for_them(tmp_path: Path) -> None:
    order: list[str] = []
    with building.alone(tmp_path, "0-of-2"), building.alone(tmp_path, "1-of-2"):

        def wait() -> None:
            with building.alone(tmp_path):
                order.append("whole")

        waiting = threading.Thread(target=wait)
        waiting.start()
        waiting.join(0.5)
        order.append("parts")
    waiting.join(PATIENCE)
    assert order == ["parts", "whole"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "indexes").write_text("a file")
    with pytest.raises(InputError, match=r"indexes/.*: cannot be written .*--data\.init_args\.cac"):
        open_flat(corpus_of(2), Drawn(), Cache(tmp_path / "radio.sqlite"), "float16")


def test_what_is_built_is_read_without_a_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, corpus = Cache(tmp_path / "radio.sqlite"), corpus_of(20)
    built = open_flat(corpus, Drawn(), cache, "float16")

    def refused(folder: Path) -> None:
        pytest.fail("on a disk that can only be read there is no lock to be had")

    monkeypatch.setattr(building, "alone", refused)
    assert isinstance(open_flat(corpus, Drawn(), cache, "float16"), FlatIndex)
    assert open_flat(corpus, Drawn(), cache, "float16").facts == built.facts
