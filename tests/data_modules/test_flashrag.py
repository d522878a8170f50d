"""Datasets in FlashRAG's format: from a local folder, and from a repository in the hub's layout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import data_modules
from data_modules import (
    FEVERDataModule,
    FlashRAGDataModule,
    MMLUDataModule,
    MuSiQueDataModule,
    NaturalQuestionsDataModule,
    PopQADataModule,
    TriviaQADataModule,
    TwoWikiMultihopQADataModule,
)
from radio.rationales import Recorded
from radio.retrievers import BM25, Precomputed
from radio.schema import InputError
from radio.teachers import RetrievalScore
from tests.conftest import SHARED, write_jsonl

KINDS = [
    kind
    for kind in vars(data_modules).values()
    if isinstance(kind, type)
    and issubclass(kind, FlashRAGDataModule)
    and kind is not FlashRAGDataModule
]
ROWS = [
    {
        "id": "train_0",
        "question": "who lit the lamp",
        "golden_answers": ["Ada"],
        "metadata": {"hops": 2},
    },
    {
        "id": "train_1",
        "question": "who rang the bell",
        "golden_answers": ["Bo", "Bob"],
        "metadata": {"hops": 3},
    },
]


def module(kind: type[FlashRAGDataModule], folder: Path, **options: Any) -> FlashRAGDataModule:
    return kind(cache_dir=str(folder / "cache"), teacher=RetrievalScore(), **options)


def make_hub(folder: Path, rows: dict[str, list[dict[str, Any]]]) -> str:
    """A dataset repository as the hub has it: a card that lists the configurations, and a folder
    for each, with a file for each split of ``rows``."""
    configs = []
    for name in [kind.dataset for kind in KINDS]:
        (folder / name).mkdir(parents=True)
        files = []
        for split, content in rows.items():
            write_jsonl(folder / name / f"{split}.jsonl", content)
            files.append({"split": split, "path": f"{name}/{split}.jsonl"})
        configs.append({"config_name": name, "data_files": files})
    # JSON is YAML
    (folder / "README.md").write_text(f"---\n{json.dumps({'configs': configs})}\n---\n")
    return str(folder)


@pytest.fixture
def hub(tmp_path: Path) -> str:
    test = [{**row, "id": row["id"].replace("train", "test")} for row in ROWS]
    return make_hub(tmp_path / "repository", {"train": ROWS, "test": test})


@pytest.mark.parametrize("kind", KINDS)
def test_questions_come_from_the_hub_by_name(
    kind: type[FlashRAGDataModule], hub: str, tmp_path: Path
) -> None:
    data = module(kind, tmp_path, repository=hub, max_questions={"test": 1})
    train = data.questions("train")
    assert [(q.id, q.golden_answers) for q in train] == [
        ("train_0", ("Ada",)),
        ("train_1", ("Bo", "Bob")),
    ]
    assert [q.query for q in train] == ["who lit the lamp", "who rang the bell"]
    assert train[0].metadata["hops"] == 2
    assert [q.id for q in data.questions("test")] == ["test_0"]
    assert data.questions("validation") == data.questions("predict") == []


def test_a_split_may_be_some_rows_of_a_file(hub: str, tmp_path: Path) -> None:
    splits = {"train": "train[:1]", "validation": "train[1:]", "test": "test"}
    for options in ({"repository": hub}, {"path": hub, "retriever": BM25()}):
        data = module(NaturalQuestionsDataModule, tmp_path, splits=splits, **options)
        found = {split: [q.id for q in data.questions(split)] for split in splits}
        assert found == {
            "train": ["train_0"],
            "validation": ["train_1"],
            "test": ["test_0", "test_1"],
        }
        limited = module(
            NaturalQuestionsDataModule, tmp_path, splits={"train": "train[1:]"}, **options
        )
        limited.max_questions = {"train": 1}
        assert [q.id for q in limited.split_questions("train")] == ["train_1"]
        assert limited.questions("test") == []
    with pytest.raises(
        InputError, match=r"splits: train: found 'train\[-5:\]', expected a name such as train"
    ):
        module(NaturalQuestionsDataModule, tmp_path, splits={"train": "train[-5:]"}, repository=hub)
    with pytest.raises(InputError, match=r"splits: found 'dev', expected train, validation, test"):
        module(NaturalQuestionsDataModule, tmp_path, splits={"dev": "dev"}, repository=hub)


def test_a_repository_that_cannot_be_loaded_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    data = module(NaturalQuestionsDataModule, tmp_path, repository=str(tmp_path / "nowhere"))
    with pytest.raises(
        InputError, match=r"nowhere@main: nq/train: cannot be loaded .* or give a path"
    ):
        data.questions("train")


@pytest.mark.slow
def test_a_branch_is_pinned_to_the_commit_that_it_was_when_first_read(tmp_path: Path) -> None:
    """The real client of the hub, in a process of its own, against a server that says what ``main``
    is."""

    class Hub(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            commit = {"main": "a", "v2": "b"}[self.path.rsplit("/", 1)[1]] * 40
            body = json.dumps({"id": "team/questions", "sha": commit}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    code = f"""
from data_modules import NaturalQuestionsDataModule
from radio.retrievers import BM25
for revision in ("main", "v2", "{"c" * 40}"):
    data = NaturalQuestionsDataModule(revision=revision, repository="team/questions",
                                      retriever=BM25(), cache_dir={str(tmp_path)!r})
    print(data._commit())
"""
    environment = {
        **os.environ,
        "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
        "HF_HUB_OFFLINE": "0",
    }
    command = [sys.executable, "-c", code]
    try:
        first = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    finally:
        server.shutdown()
        server.server_close()
    assert first.stdout.split() == ["a" * 40, "b" * 40, "c" * 40]
    noted = json.loads((tmp_path / "revisions.json").read_text())
    assert noted == {"team/questions@main": "a" * 40, "team/questions@v2": "b" * 40}
    # nobody is asked again
    later = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert later.stdout == first.stdout


def test_processes_that_look_up_commits_together_keep_each_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"path": None, "retriever": BM25()}
    first, other, same = (
        module(NaturalQuestionsDataModule, tmp_path, repository=name, **options)
        for name in ("team/one", "team/two", "team/one")
    )
    monkeypatch.setattr(other, "_look_up", lambda: "b" * 40)
    monkeypatch.setattr(same, "_look_up", lambda: "c" * 40)

    def while_others_do() -> str:
        assert other._commit() == "b" * 40
        assert same._commit() == "c" * 40
        return "a" * 40

    monkeypatch.setattr(first, "_look_up", while_others_do)
    # what was noted meanwhile is read by all
    assert first._commit() == "c" * 40
    noted = json.loads((tmp_path / "cache/revisions.json").read_text())
    assert noted == {"team/two@main": "b" * 40, "team/one@main": "c" * 40}


def test_a_split_that_is_named_must_be_there(hub: str, tmp_path: Path) -> None:
    for options in ({"repository": hub}, {"path": hub, "retriever": BM25()}):
        data = module(NaturalQuestionsDataModule, tmp_path, splits={"test": "tset"}, **options)
        with pytest.raises(InputError, match=r"splits: nq has no 'tset'; found test, train"):
            data.questions("test")


@pytest.mark.slow
def test_a_hub_that_cannot_be_reached_is_named(tmp_path: Path) -> None:
    code = f"""
from data_modules import NaturalQuestionsDataModule
from radio.retrievers import BM25
from radio.schema import InputError
try:
    NaturalQuestionsDataModule(retriever=BM25(), cache_dir={str(tmp_path)!r}).questions("train")
except InputError as error:
    print(error)
"""
    # nobody listens on this port
    environment = {**os.environ, "HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_OFFLINE": "0"}
    run = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert "FlashRAG_datasets@main: nq/train: cannot be loaded" in run.stdout
    assert "or give a path" in run.stdout


def test_candidates_without_their_text_take_it_from_the_corpus(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    for name in ("nq", "candidates/nq", "corpus"):
        (folder / name).mkdir(parents=True)
    write_jsonl(folder / "nq/train.jsonl", ROWS)
    write_jsonl(
        folder / "corpus/c.jsonl", [{"id": f"p{n}", "contents": f"lamp {n}"} for n in range(3)]
    )
    carried = {"id": "train_0", "candidates": [{"id": "p0", "contents": "lamp 0"}]}
    write_jsonl(folder / "candidates/nq/train.jsonl", [carried])
    options: dict[str, Any] = {"path": str(folder)}
    assert list(module(NaturalQuestionsDataModule, tmp_path, **options).corpus) == ["p0"]
    given = module(
        NaturalQuestionsDataModule, tmp_path, corpus=str(folder / "corpus/c.jsonl"), **options
    )
    assert list(given.corpus) == ["p0", "p1", "p2"]
    write_jsonl(
        folder / "candidates/nq/train.ids.jsonl", [{"id": "train_1", "candidate_ids": ["p2"]}]
    )
    assert list(module(NaturalQuestionsDataModule, tmp_path, **options).corpus) == [
        "p0",
        "p1",
        "p2",
    ]


@pytest.mark.parametrize("layout", ["nq", "dataset/nq"])
def test_a_local_folder_brings_what_it_has(layout: str, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    for name in (layout, "candidates/nq", "rationales/nq", "corpus"):
        (folder / name).mkdir(parents=True)
    write_jsonl(folder / layout / "train.jsonl", ROWS)
    write_jsonl(
        folder / "corpus/c.jsonl", [{"id": f"p{n}", "contents": f"T\nlamp {n}"} for n in range(3)]
    )
    bare = module(NaturalQuestionsDataModule, tmp_path, path=str(folder), retriever=BM25())
    assert [q.id for q in bare.questions("train")] == ["train_0", "train_1"]
    assert bare.questions("validation") == []
    assert list(bare.corpus) == ["p0", "p1", "p2"]
    assert bare.rationales is None
    write_jsonl(folder / "rationales/nq/train.jsonl", [{"id": "train_0", "rationale": "She did."}])
    candidates = [{"id": r["id"], "candidate_ids": ["p2", "p0"]} for r in ROWS]
    write_jsonl(folder / "candidates/nq/train.ids.jsonl", candidates)
    full = module(NaturalQuestionsDataModule, tmp_path, path=str(folder))
    assert isinstance(full.rationales, Recorded)
    assert isinstance(full.retriever, Precomputed)
    assert [c.passage_id for c in next(full.retriever.search(full.questions("train"), 5))] == [
        "p2",
        "p0",
    ]
    assert list(full.corpus) == ["p0", "p1", "p2"]
    assert isinstance(
        module(NaturalQuestionsDataModule, tmp_path, path=str(folder), retriever=BM25()).retriever,
        BM25,
    )
    with pytest.raises(
        InputError, match=r"found neither dataset/triviaqa nor triviaqa in this folder"
    ):
        module(TriviaQADataModule, tmp_path, path=str(folder), retriever=BM25()).questions("train")


def test_any_dataset_in_this_format_is_read_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    write_jsonl(tmp_path / "mine/train.jsonl", ROWS)
    data = module(
        FlashRAGDataModule, tmp_path, path=str(tmp_path), dataset="mine", retriever=BM25()
    )
    assert len(data.questions("train")) == 2
    with pytest.raises(InputError, match=r"data\.init_args\.dataset is not set"):
        module(FlashRAGDataModule, tmp_path, path=str(tmp_path))


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data")
@pytest.mark.parametrize(
    ("kind", "sizes", "rationales"),
    [
        (NaturalQuestionsDataModule, (2000, 500, 500), 1497),
        (TriviaQADataModule, (500, 100, 250), 300),
        (MuSiQueDataModule, (656, 157, 200), 300),
        (TwoWikiMultihopQADataModule, (500, 164, 367), 0),
        (PopQADataModule, (0, 0, 350), 0),
        (MMLUDataModule, (3057, 286, 4167), 300),
        (FEVERDataModule, (707, 202, 409), 261),
    ],
)
def test_the_shared_data_is_read_by_its_path(
    kind: type[FlashRAGDataModule], sizes: tuple[int, ...], rationales: int, tmp_path: Path
) -> None:
    data = module(kind, tmp_path, path=str(SHARED / "data"))
    splits = {split: data.questions(split) for split in ("train", "validation", "test")}
    assert tuple(map(len, splits.values())) == sizes
    found = 0
    for questions in splits.values():
        if questions:
            assert all(next(data.retriever.search(questions[:1], 20)))
        if data.rationales:
            found += sum(data.rationales._find(q) is not None for q in questions)  # type: ignore[attr-defined]
    assert found == rationales
