"""Judged passages by name: datasets of ir_datasets, here registered from local files."""

from __future__ import annotations

import os
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from data_modules import beir
from radio.schema import InputError
from tests import forked
from tests.conftest import PATIENCE, ROOT, World
from tests.data_modules.conftest import write_parts
from tests.data_modules.test_beir import module, subsets


def test_the_passages_are_read_from_the_package_once(
    dataset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    monkeypatch.setattr(
        beir,
        "_records",
        lambda name, kind, real=beir._records: read.append(kind) or real(name, kind),
    )
    assert len(module(tmp_path, **subsets(dataset)).corpus) == 32
    # the name of all subsets' passages is that of the dataset above them
    again = module(tmp_path, test=f"{dataset}/test")
    assert again.corpus["port3-0"].title == "About port3"
    assert read == ["docs"]


def test_a_name_that_is_not_known_or_has_no_judgements_is_met_with_those_close_to_it(
    dataset: str, tmp_path: Path
) -> None:
    with pytest.raises(
        InputError, match=r"no dataset 'beir/nfcorpus/trian'; close: beir/nfcorpus/train, "
    ):
        module(tmp_path, train="beir/nfcorpus/trian").prepare_data()
    with pytest.raises(InputError, match=r"no dataset '§'; close: see https://ir-datasets\.com"):
        module(tmp_path, train="§").prepare_data()
    with pytest.raises(
        InputError,
        match=f"{dataset}: this dataset has no qrels; below it: {dataset}/train, {dataset}/v",
    ):
        module(tmp_path, train=dataset).prepare_data()
    # known without a download
    with pytest.raises(
        InputError, match=r"beir/nfcorpus: this dataset has no qrels; below it: beir/nfcorpus/dev"
    ):
        module(tmp_path, train="beir/nfcorpus").prepare_data()


def test_one_corpus_serves_all_splits(dataset: str, tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=f"{dataset}/train and beir/nfcorpus/test have different passages"
    ):
        _ = module(tmp_path, train=f"{dataset}/train", test="beir/nfcorpus/test").corpus
    assert len(module(tmp_path, train=f"{dataset}/train", test=f"{dataset}/test").corpus) == 32


def test_a_passage_that_is_judged_more_than_once_has_its_best_grade(
    dataset: str, tmp_path: Path
) -> None:
    path = tmp_path / "train.qrels"
    path.write_text(path.read_text() + "q-0-0 0 port0-1 3\nq-0-0 0 port0-0 1\nq-0-0 0 port0-3 -1\n")
    assert module(tmp_path, train=f"{dataset}/train").questions("train")[0].gold == {
        "port0-0": 2,
        "port0-1": 3,
    }


@pytest.mark.parametrize(
    ("file", "line", "message"),
    [
        (
            "beir/corpus.jsonl",
            '{"_id": "p", "title"',
            r"/train: docs: ir_datasets cannot read them \(JSONDecodeError: ",
        ),
        (
            "beir/corpus.jsonl",
            '{"_id": "p", "text": ""}',
            r"/train: docs: .* cannot read them \(KeyError: 'title'\)",
        ),
        (
            "beir/corpus.jsonl",
            '{"_id": "port0-0", "title": "", "text": ""}',
            r"/train: docs: row 33: id 'port0-0' is a duplicate, first used at .*"
            r"/train: docs: row 1",
        ),
        (
            "queries.tsv",
            "q9",
            r"/train: queries: .* cannot read them \(RuntimeError: expected 2 fields, got 1\)",
        ),
        (
            "queries.tsv",
            "q-0-0\tWho?",
            r"/train: queries: row \d+: id 'q-0-0' is a duplicate, first used at .* row 1",
        ),
        (
            "train.qrels",
            "q9 0",
            r"/train: qrels: .* cannot read them \(RuntimeError: expected 4 columns, got 2",
        ),
        (
            "train.qrels",
            "q9 0 p1 much",
            r"/train: qrels: .* cannot read them \(ValueError: invalid literal for int",
        ),
        ("train.qrels", "q9 0 p1 1", r"/train: judged, but not among the queries: 1, such as 'q9'"),
    ],
)
def test_a_dataset_that_the_package_cannot_read_is_named(
    file: str, line: str, message: str, dataset: str, tmp_path: Path
) -> None:
    path = tmp_path / file
    path.write_text(f"{path.read_text()}{line}\n")
    with pytest.raises(InputError, match=message):
        module(tmp_path, **subsets(dataset)).prepare_data()


def test_a_missing_package_is_named_with_what_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ir_datasets", None)
    with pytest.raises(
        InputError, match=r"need ir_datasets: pip install 'radio-rag\[ir\]'; or give a path"
    ):
        module(tmp_path, train="beir/nfcorpus/train").prepare_data()


class Files(SimpleHTTPRequestHandler):
    """A server of the files of a folder, which says nothing of it."""

    def log_message(self, *args: object) -> None:
        pass


def test_what_the_package_has_downloaded_is_set_up_without_a_network(
    package: Any, folder: Path, world: World, tmp_path: Path
) -> None:
    """Prepared in one process while there is a server, set up in another when there is none."""
    write_parts(folder, world, tmp_path)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Files, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    code = f"""
import sys
from pathlib import Path
from typing import Any
import ir_datasets
from ir_datasets.util import Cache, RequestsDownload
from tests.data_modules.conftest import register
from tests.conftest import ROOT, World
from tests.data_modules.conftest import write_parts
from tests.data_modules.test_beir import module, subsets

def source(name):
    url = f"http://127.0.0.1:{server.server_port}/{{name}}"
    return Cache(RequestsDownload(url, tries=1), Path("downloads") / name)

name = register(ir_datasets, "harbours", source)
data = module(Path(), **subsets(name))
if sys.argv[1] == "prepare":
    data.prepare_data()
data.setup("fit")
print({{split: len(examples) for split, examples in data.examples.items()}})
"""
    environment = {
        **os.environ,
        "IR_DATASETS_HOME": str(tmp_path / "home"),
        "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]),
    }

    def run(command: str) -> str:
        arguments = [sys.executable, "-c", code, command]
        done = forked.run(arguments, env=environment, cwd=tmp_path, timeout=PATIENCE)
        assert done.returncode == 0, done.stderr
        return done.stdout

    try:
        prepared = run("prepare")
    finally:
        server.shutdown()
        server.server_close()
    assert prepared == "{'train': 12, 'validation': 2, 'test': 2}\n"
    assert run("setup") == prepared
