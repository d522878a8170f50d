"""A real cluster of two nodes on this machine, one of which is lost during the work: the results
are those of one process, bit for bit, and what was computed is not computed again."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from radio.cache import Cache
from radio.encoders import Encoder
from radio.engines import Engine, InProcess, Ray
from radio.generators import TransformersGenerator
from radio.generators.asking import ask
from radio.generators.base import Answer, Prompt
from radio.indexes import building, open_flat
from radio.indexes.shards import shard_path
from radio.llm.transformers import TransformersModel
from radio.rationales import Request, TransformersWriter, fill
from radio.schema import InputError, Passage, Question, Rationale, RetrievedPassage
from radio.teachers import AnswerLikelihood, Lesson, RationaleSimilarity, Teacher
from tests.conftest import PATIENCE
from tests.engines.working import Doubling, SlowEncoder, batches_of

pytest.importorskip("ray", reason="needs Ray: pip install 'radio-rag[ray]'")
pytestmark = pytest.mark.slow

QUESTIONS = [Question(f"q{n}", f"Who lit lamp {n}?", [f"keeper {n}"]) for n in range(9)]
PASSAGES = [Passage(f"p{n}", f"Lamp {n} was lit by keeper {n}." * (n % 4 + 1)) for n in range(300)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head without a core for actors, and a node with one; tests add others."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("OMP_NUM_THREADS", "1")
        # by default actors give way to everything else
        patch.setenv("RAY_worker_niceness", "0")
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


def entries(cache: Cache) -> dict[str, bytes]:
    return dict(cache.query("SELECT key, value FROM entries"))


def test_an_index_whose_machine_is_lost_is_that_of_one_process(
    cluster: Any,
    engine: Ray,
    tiny_bert: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    computes_nothing: Callable[[], None],
) -> None:
    monkeypatch.setattr(building, "SHARD", 60)
    corpus = {passage.id: passage for passage in PASSAGES}
    # batches of 8: the last one of each shard has fewer
    encoder = SlowEncoder(tiny_bert, max_length=32, batch_size=1, device="cpu")
    alone, together = (Cache(tmp_path / name / "radio.sqlite") for name in ("one", "two"))
    lost = cluster.add_node(num_cpus=1)

    def lose() -> None:
        deadline = time.monotonic() + PATIENCE
        while not list(tmp_path.glob("two/shards/*/done/*.parquet")):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        cluster.remove_node(lost, allow_graceful=False)

    thread = threading.Thread(target=lose)
    thread.start()
    with engine.at_work(together.path.parent):
        found = open_flat(corpus, encoder, together, "float16")
    thread.join()
    assert lost not in cluster.list_all_nodes()
    assert not list(tmp_path.glob("two/shards/*/*/*"))
    monkeypatch.setattr("tests.engines.working.WAIT", 0.0)
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


def prepared(
    engine: Engine, bert: str, generator: str, cache: Cache
) -> tuple[list[list[list[float]]], list[str]]:
    """What two teachers, a writer and a generator make of some questions: scores, answers."""
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
    teachers: list[Teacher] = [
        RationaleSimilarity(Encoder(bert, max_length=32, batch_size=2, device="cpu")),
        AnswerLikelihood(TransformersModel(**model)),
    ]
    writer = TransformersWriter(**model)
    requests = [Request(writer.key(question), question) for question in QUESTIONS]
    with engine.at_work(cache.path.parent):
        scores = [list(teacher.score_all(lessons, cache)) for teacher in teachers]
        fill(writer, requests, cache, cache.path.with_name("failures.jsonl"), "rationales")
        answers = ask(TransformersGenerator(**model), prompts, cache)
    texts = [answer.text for answer in answers if isinstance(answer, Answer)]
    assert len(texts) == len(prompts)
    return scores, texts


def test_teachers_writers_and_generators_give_what_they_give_in_one_process(
    engine: Ray,
    tiny_bert: str,
    tiny_generator: str,
    tmp_path: Path,
    computes_nothing: Callable[[], None],
) -> None:
    alone, together = (Cache(tmp_path / name / "radio.sqlite") for name in ("one", "two"))
    expected = prepared(InProcess(), tiny_bert, tiny_generator, alone)
    assert prepared(engine, tiny_bert, tiny_generator, together) == expected
    first, second = entries(alone), entries(together)
    assert first.keys() == second.keys()
    # an answer says how long it took
    timed = {key for key, value in first.items() if b'"seconds"' in value}
    assert len(timed) == len(QUESTIONS)
    for key in first.keys() - timed:
        assert first[key] == second[key]
    computes_nothing()
    assert prepared(engine, tiny_bert, tiny_generator, together) == expected


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
