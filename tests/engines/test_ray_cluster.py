"""A real cluster of two nodes on this machine, one of which is lost during the work: the results
are those of one process, bit for bit, and what was computed is not computed again."""

from __future__ import annotations

import json
import logging
import os
import re
import shlex
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from radio.cache import Cache
from radio.engines import Engine, InProcess, Ray
from radio.generators import TransformersGenerator
from radio.generators.asking import ask
from radio.generators.base import Answer, Prompt
from radio.indexes import building, open_flat
from radio.indexes.shards import shard_path
from radio.llm.transformers import TransformersModel
from radio.rationales import Request, TransformersWriter, fill
from radio.schema import InputError, Passage, Question, Rationale, RetrievedPassage
from radio.teachers import AnswerLikelihood, Lesson
from tests import forked
from tests.conftest import PATIENCE, ROOT, make_world
from tests.engines.working import DOOMED, LOSS, Doubling, LostEncoder, batches_of

pytest.importorskip("ray", reason="needs Ray: pip install 'radio-rag[ray]'")
pytestmark = pytest.mark.slow

QUESTIONS = [Question(f"q{n}", f"Who lit lamp {n}?", [f"keeper {n}"]) for n in range(9)]
PASSAGES = [Passage(f"p{n}", f"Lamp {n} was lit by keeper {n}." * (n % 4 + 1)) for n in range(300)]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A head without a core for actors, and a node with one; tests add others."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("OMP_NUM_THREADS", "1")
        # by default actors give way to everything else
        patch.setenv("RAY_worker_niceness", "0")
        patch.setenv(LOSS, str(tmp_path_factory.mktemp("cluster") / "loss"))
        # a node takes SIGTERM for itself, and other tests need it
        on_sigterm = signal.getsignal(signal.SIGTERM)
        made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
        made.add_node(num_cpus=1)
        yield made
        made.shutdown()
        signal.signal(signal.SIGTERM, on_sigterm)


@pytest.fixture
def engine(cluster: Any) -> Ray:
    return Ray(address=cluster.address)


@pytest.fixture
def computes_nothing(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Forbids all further computing."""
    return lambda: monkeypatch.setattr(Ray, "_connect", lambda _: pytest.fail("computed again"))


@contextmanager
def losing(cluster: Any) -> Iterator[None]:
    """Within this another machine joins, and is lost while it computes its first batch."""
    # gone when that one has begun
    begun = Path(os.environ[LOSS])
    begun.touch()
    lost = cluster.add_node(num_cpus=1, env_vars={DOOMED: "1"})

    def lose() -> None:
        while begun.exists():
            time.sleep(0.01)
        cluster.remove_node(lost, allow_graceful=False)

    thread = threading.Thread(target=lose)
    thread.start()
    try:
        yield
        assert not begun.exists()
    finally:
        begun.unlink(missing_ok=True)
        thread.join()
    assert lost not in cluster.list_all_nodes()


def entries(cache: Cache) -> dict[str, bytes]:
    return dict(cache.query("SELECT key, value FROM entries"))


def test_an_index_whose_machine_is_lost_is_that_of_one_process(
    cluster: Any,
    engine: Ray,
    tiny_bert: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    computes_nothing: Callable[[], None],
) -> None:
    monkeypatch.setattr(building, "SHARD", 60)
    corpus = {passage.id: passage for passage in PASSAGES}
    # batches of 8: the last one of each shard has fewer
    encoder = LostEncoder(tiny_bert, max_length=32, batch_size=1, device="cpu")
    alone, together = (Cache(tmp_path / name / "radio.sqlite") for name in ("one", "two"))
    with losing(cluster), engine.at_work(together.path.parent):
        found = open_flat(corpus, encoder, together, "float16")
    assert "batches were lost with their actors: once more" in capfd.readouterr().err
    assert not list(tmp_path.glob("two/shards/*/*/*"))
    expected = open_flat(corpus, encoder, alone, "float16")
    assert found.facts.digest == expected.facts.digest
    # what is there is not computed again
    computes_nothing()
    with engine.at_work(together.path.parent):
        again = open_flat(corpus, encoder, together, "float16")
        assert again.facts.digest == expected.facts.digest
        shard_path(found.path, 3).unlink()
        with pytest.raises(pytest.fail.Exception, match="computed again"):
            open_flat(corpus, encoder, together, "float16")


def the_command(shards: Path) -> list[str]:
    """That of docs/ray.md, with this folder for the shards."""
    page = (ROOT / "docs/ray.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"^radio prepare .*", page, flags=re.MULTILINE)
    words = shlex.split(line)
    assert words[-2:] == ["--data.init_args.engine.init_args.shards", "/shared/shards"]
    return [*words[1:-1], str(shards)]


def test_the_command_of_the_page_stores_what_one_process_does_though_a_machine_is_lost(
    cluster: Any,
    tiny_bert: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "configs/jsonl.yaml", "mine.yaml")
    encoder = {"model": tiny_bert, "max_length": 48, "batch_size": 1, "device": "cpu"}
    lost = {"class_path": f"{LostEncoder.__module__}.LostEncoder", "init_args": encoder}
    # more batches of passages than an actor is given beforehand: there are some for the other one
    files = make_world(tmp_path / "world", topics=24).folder
    small = [
        *("--data.init_args.corpus", str(files / "corpus.jsonl")),
        *("--data.init_args.train", str(files / "train.jsonl")),
        *("--data.init_args.rationales.init_args.paths", f"[{files / 'rationales.jsonl'}]"),
        *("--model.init_args.model", tiny_bert, "--data.init_args.train_candidates", "20"),
        *("--data.init_args.teacher.init_args.encoder", json.dumps(lost)),
    ]

    def prepare(cache: str, *command: str) -> str:
        place = ("--data.init_args.cache_dir", cache)
        environment = {**os.environ, "RAY_ADDRESS": cluster.address}
        done = forked.run(
            [sys.executable, "-m", "radio", *command, *small, *place],
            env=environment,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, done.stderr
        return done.stderr

    with losing(cluster):
        said = prepare("two", *the_command(tmp_path / "shards"))
    assert "batches were lost with their actors: once more" in said
    assert not list(tmp_path.glob("shards/*/*/*"))
    assert "actors" not in prepare("one", "prepare", "--config", "mine.yaml")
    one, two = (entries(Cache(tmp_path / name / "radio.sqlite")) for name in ("one", "two"))
    assert len(one) > 90
    assert one == two


def prepared(engine: Engine, generator: str, cache: Cache) -> tuple[list[list[float]], list[str]]:
    """What a teacher, a writer and a generator make of some questions: scores, answers."""
    model: dict[str, Any] = {
        "model": generator,
        "accelerator": "cpu",
        "max_tokens": 6,
        "batch_size": 4,
        "max_length": 400,
    }
    lessons, prompts = [], []
    for number, question in enumerate(QUESTIONS):
        shown = PASSAGES[number : number + 6]
        passages = [RetrievedPassage(p.id, p.contents, n, 1.0) for n, p in enumerate(shown)]
        rationale = Rationale(question.id, f"Keeper {number} was on duty.", "m", "p", {}, "written")
        lessons.append(Lesson(question, rationale, passages))
        prompts.append(Prompt(question, tuple(passages[:2])))
    teacher = AnswerLikelihood(TransformersModel(**model))
    writer = TransformersWriter(**model)
    requests = [Request(writer.key(question), question) for question in QUESTIONS]
    with engine.at_work(cache.path.parent):
        scores = list(teacher.score_all(lessons, cache))
        fill(writer, requests, cache, cache.path.with_name("failures.jsonl"), "rationales")
        answers = ask(TransformersGenerator(**model), prompts, cache)
    texts = [answer.text for answer in answers if isinstance(answer, Answer)]
    assert len(texts) == len(prompts)
    return scores, texts


def test_what_language_models_make_is_what_they_make_in_one_process(
    engine: Ray,
    tiny_generator: str,
    tmp_path: Path,
    computes_nothing: Callable[[], None],
) -> None:
    alone, together = (Cache(tmp_path / name / "radio.sqlite") for name in ("one", "two"))
    expected = prepared(InProcess(), tiny_generator, alone)
    assert prepared(engine, tiny_generator, together) == expected
    first, second = entries(alone), entries(together)
    assert first.keys() == second.keys()
    # an answer says how long it took
    timed = {key for key, value in first.items() if b'"seconds"' in value}
    assert len(timed) == len(QUESTIONS)
    for key in first.keys() - timed:
        assert first[key] == second[key]
    computes_nothing()
    assert prepared(engine, tiny_generator, together) == expected


def test_an_error_in_an_actor_reaches_the_person_with_its_cause(
    engine: Ray, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    cause = r"(?s)Ray: double: on .*ZeroDivisionError: cannot double 7"
    with engine.at_work(tmp_path), pytest.raises(InputError, match=cause):
        list(engine.map(Doubling(bad=7), batches_of(6)))
    # Ray's log is kept off the terminal, and nobody else's
    assert caplog.handler.level == logging.NOTSET
    # SIGTERM is left to whoever had it
    assert signal.getsignal(signal.SIGTERM) is before


def test_an_address_without_a_cluster_is_told(tmp_path: Path) -> None:
    engine = Ray(address="127.0.0.1:1")
    with engine.at_work(tmp_path), pytest.raises(InputError, match="no cluster answers there"):
        list(engine.map(Doubling(), batches_of(1)))
