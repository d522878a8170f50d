"""The keys of the cache, as literals: who changes one throws away what users have paid for.

A literal may change only together with what it stands for: a new setting, or a raised ``version``.
"""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import pytest

import data_modules
import radio
from radio.cache import Cache
from radio.encoders import Encoder
from radio.fingerprints import Fingerprinted, fingerprint, path_fingerprint
from radio.generators import (
    AnthropicGenerator,
    ExtractiveReader,
    Generator,
    OpenAIGenerator,
    Prompt,
    SpanReader,
    TransformersGenerator,
)
from radio.models import files as model_files
from radio.models import model_fingerprint
from radio.rationales import (
    AnthropicWriter,
    NLIJudge,
    OpenAIWriter,
    QualityChecks,
    RationaleWriter,
    Recorded,
    Request,
    TransformersWriter,
)
from radio.rationales.checks import best_passages
from radio.retrievers import BM25, Dense, Precomputed, Retriever
from radio.schema import Candidate, Passage, Question, Rationale, RetrievedPassage
from radio.teachers import (
    AnswerMatch,
    Blend,
    Gated,
    GoldPassages,
    RationaleSimilarity,
    RetrievalScore,
    teacher_key,
)

QUESTION = Question(
    "q1", "Who lit the lamp?", ("Ada",), ("Ada", "Bo"), {"hops": 2}, "Ada or Bo: who lit it?"
)
RATIONALE = Rationale(
    "q1", "Ada was the keeper.", "m-1", "aaaa", {"output": 9}, "written", {"id": "msg_1"}
)
PASSAGES = (
    RetrievedPassage("p1", "Lamp\nAda lit it.", 0, 2.5),
    RetrievedPassage("p2", "Bell\nBo rang it.", 1, 0.5),
)


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model folder, a file of candidates and one of rationales, and a hub where all models have
    one revision."""
    monkeypatch.chdir(tmp_path)
    Path("m").mkdir()
    Path("m/config.json").write_text('{"model_type": "bert"}')
    Path("run.trec").write_text("q1 Q0 p1 1 2.5 x\n")
    Path("rationales.jsonl").write_text('{"id": "q1", "rationale": "Ada was the keeper."}\n')
    monkeypatch.setattr(model_files, "_hub_revision", lambda name: "c0ffee")


PARTS: dict[str, tuple[Callable[[], Fingerprinted], str]] = {
    "AnswerMatch": (AnswerMatch, "c6f2a924a9f181e6"),
    "AnthropicGenerator": (AnthropicGenerator, "985e5f33cd1e6fe8"),
    "AnthropicWriter": (AnthropicWriter, "16d238fab6a638c2"),
    "BM25": (BM25, "e1caeda4a9f663a3"),
    "Blend": (Blend, "c90eaaf4d30cd90b"),
    "Dense": (Dense, "a45ebdff0d2a3ea3"),
    "Encoder": (Encoder, "5c3e85b12694b2e3"),
    "ExtractiveReader": (lambda: ExtractiveReader("m"), "c4fed34ab4f3b3a0"),
    "Gated": (Gated, "de5afd5d069bdc5d"),
    "GoldPassages": (GoldPassages, "bd8e6d08f8b55241"),
    "NLIJudge": (NLIJudge, "dd192294ebebb350"),
    "OpenAIGenerator": (lambda: OpenAIGenerator("gpt-4o-mini"), "a38c0d77afa5b2ec"),
    "OpenAIWriter": (lambda: OpenAIWriter("gpt-4o-mini"), "48ae240b978a76b0"),
    "Precomputed": (lambda: Precomputed("run.trec"), "f08f688b261881ce"),
    "QualityChecks": (QualityChecks, "2c3f8af4b5bff301"),
    "RationaleSimilarity": (RationaleSimilarity, "a7f463c599633251"),
    "Recorded": (lambda: Recorded("rationales.jsonl"), "37a197aa4150dae3"),
    "RetrievalScore": (RetrievalScore, "f799517c41fd3f41"),
    "SpanReader": (SpanReader, "510dd3cd6d924f0e"),
    "TransformersGenerator": (lambda: TransformersGenerator("m"), "f98bf846edaa22f2"),
    "TransformersWriter": (lambda: TransformersWriter("m"), "14ff86725b060ff7"),
}


class AskedError(Exception):
    """The keys that the cache was asked for."""


class Spy(Cache):
    def missing(self, keys: Sequence[str]) -> NoReturn:
        raise AskedError(*keys)

    def get_json(self, keys: Sequence[str], parse: object = None) -> NoReturn:
        raise AskedError(*keys)


def asked(look_up: Callable[[Cache], Any]) -> str:
    """The first key that is looked up in the cache."""
    with pytest.raises(AskedError) as caught:
        look_up(Spy("unused.sqlite"))
    return str(caught.value.args[0])


class Data(data_modules.RationaleDataModule):
    def questions(self, split: str) -> list[Question]:
        return [QUESTION] if split == "train" else []

    def passages(self) -> Iterator[Passage]:
        yield from (Passage(p.id, p.contents) for p in PASSAGES)


ITEM = (QUESTION, RATIONALE, PASSAGES)
PROMPT = Prompt(QUESTION, PASSAGES)
COMPOSED: dict[str, tuple[Callable[[], str], str]] = {
    "candidates, BM25": (
        lambda: next(Data(BM25()).preparation.candidate_keys("train")),
        "62b9bcfea1e2e751",
    ),
    "candidates, injected": (
        lambda: next(Data(BM25(), injected="train").preparation.candidate_keys("train")),
        "6ba500995bf9cbe0",
    ),
    "candidates, Precomputed": (
        lambda: next(Data(Precomputed("run.trec")).preparation.candidate_keys("train")),
        "92bce7601e066357",
    ),
    "rationale, AnthropicWriter": (lambda: AnthropicWriter().key(QUESTION), "c0c36f06a45eab2c"),
    "rationale, with passages": (
        lambda: AnthropicWriter(prompt="passages").key(QUESTION, PASSAGES),
        "cbc42e2519bbe082",
    ),
    "rationale, OpenAIWriter": (
        lambda: OpenAIWriter("gpt-4o-mini").key(QUESTION),
        "f636205f414730e8",
    ),
    "rationale, TransformersWriter": (
        lambda: TransformersWriter("m").key(QUESTION),
        "b2c890d566591165",
    ),
    "rationale, Recorded": (lambda: Recorded("rationales.jsonl").key(QUESTION), "2119a687dac71886"),
    "teacher": (
        lambda: teacher_key("teacher", "corpus", QUESTION, RATIONALE, PASSAGES),
        "2e6ee1a9cb95a681",
    ),
    "teacher, no rationale": (
        lambda: teacher_key("teacher", "corpus", QUESTION, None, PASSAGES),
        "750b89427248335a",
    ),
    "answer, SpanReader": (lambda: SpanReader().key(PROMPT), "f1a1bd4c4868b420"),
    "answer, ExtractiveReader": (lambda: ExtractiveReader("m").key(PROMPT), "4d5aefd810642181"),
    "spans": (
        lambda: asked(lambda cache: ExtractiveReader("m").prefetch([PROMPT], cache)),
        "7e73a0f41e5745c6",
    ),
    "verdict": (
        lambda: asked(lambda cache: QualityChecks(judge=NLIJudge("m"))._verdicts([ITEM], cache)),
        "e023d3dcba5285a5",
    ),
    "nearest candidate": (
        lambda: asked(lambda cache: best_passages([ITEM], Encoder("m"), cache)),
        "906c8979068a9b91",
    ),
    "embedding": (
        lambda: asked(lambda cache: Encoder("m").encode(["text"], cache)),
        "be312f28ba289fa3",
    ),
    "embedding, query": (
        lambda: asked(lambda cache: Encoder("m").encode(["text"], cache, query=True)),
        "9cf76593695b7f55",
    ),
    "token embeddings": (
        lambda: asked(lambda cache: Encoder("m").encode_tokens(["text"], cache)),
        "04aefdf4d30df7d1",
    ),
}


@pytest.mark.parametrize("name", PARTS)
def test_a_part_with_its_default_settings_has_the_fingerprint_that_it_always_had(name: str) -> None:
    make, expected = PARTS[name]
    assert make().fingerprint()[:16] == expected


@pytest.mark.parametrize("name", COMPOSED)
def test_a_key_is_the_one_that_it_always_was(name: str) -> None:
    make, expected = COMPOSED[name]
    assert make()[:16] == expected


def shipped() -> list[type[Fingerprinted]]:
    """All classes of this project whose results are cached, wherever they are."""
    for package in (radio, data_modules):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                import_module(module.name)
    todo, found = [Fingerprinted], []
    while todo:
        kinds = todo.pop().__subclasses__()
        todo += kinds
        found += [k for k in kinds if k.__module__.split(".")[0] in ("radio", "data_modules")]
    return [kind for kind in dict.fromkeys(found) if not inspect.isabstract(kind)]


def test_each_shipped_class_has_an_identity_of_its_own_and_a_pinned_key() -> None:
    from tests.retrievers import test_keys as of_retrievers
    from tests.teachers import test_keys, test_keys_asking, test_keys_reading

    others = (of_retrievers, test_keys, test_keys_asking, test_keys_reading)
    literals = [*PARTS, *(name for module in others for name in module.PARTS)]
    assert sorted(str(vars(kind).get("identity")) for kind in shipped()) == sorted(literals)


def test_moving_a_shipped_class_changes_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = AnthropicWriter().key(QUESTION), Blend().fingerprint()
    for kind in (AnthropicWriter, Blend, RationaleSimilarity, RetrievalScore, Encoder):
        monkeypatch.setattr(kind, "__module__", "radio.llm.moved")
    assert (AnthropicWriter().key(QUESTION), Blend().fingerprint()) == before


def test_a_shipped_class_without_an_identity_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Forgotten(BM25):
        pass

    # for as long as this test runs: it stays among the subclasses, which another test looks through
    monkeypatch.setattr(Forgotten, "__module__", "radio.retrievers")
    with pytest.raises(TypeError, match="Forgotten: write down its identity"):
        Forgotten().fingerprint()


# What names a model


@pytest.mark.parametrize(
    "make",
    [Encoder, ExtractiveReader, NLIJudge, TransformersGenerator, TransformersWriter],
    ids=lambda kind: kind.__name__,
)
def test_how_a_path_is_spelt_changes_no_key_and_what_is_in_the_folder_does(
    make: Callable[[str], Fingerprinted], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    Path("link").symlink_to("m")
    spellings = ["m", "./m", "m/", str(tmp_path / "m"), "~/m", f"../{tmp_path.name}/m", "link"]
    before = {make(name).fingerprint() for name in spellings}
    assert len(before) == 1
    Path("m/config.json").write_text('{"model_type": "roberta"}')
    assert make("./m").fingerprint() not in before


@pytest.mark.parametrize(
    "make",
    [Encoder, ExtractiveReader, NLIJudge, TransformersGenerator, TransformersWriter],
    ids=lambda kind: kind.__name__,
)
def test_a_hub_model_counts_by_name_and_revision(
    make: Callable[[str], Fingerprinted], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = make("org/model").fingerprint()
    assert make("org/other").fingerprint() != before
    monkeypatch.setattr(model_files, "_hub_revision", lambda name: "deadbeef")
    assert make("org/model").fingerprint() != before


def test_the_revision_is_the_commit_that_this_machine_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()  # of the revision
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    commit = "5c38ec7c405ec4b44b94cc5a9bb96e735b38267a"
    model = tmp_path / "models--org--model"
    (model / "snapshots" / commit).mkdir(parents=True)
    (model / "snapshots" / commit / "config.json").write_text("{}")
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text(commit)
    model_files._hub_revision.cache_clear()
    assert model_fingerprint("org/model") == f"org/model@{commit}"
    assert model_fingerprint("org/never-seen") == "org/never-seen"


def test_an_encoder_whose_name_brings_prefixes_has_another_key_than_its_copy_of_another_name() -> (
    None
):
    Path("m").rename("e5-base-v2")
    named = Encoder("e5-base-v2").fingerprint()
    Path("e5-base-v2").rename("m")
    assert Encoder("m").fingerprint() != named
    assert Encoder("./m").fingerprint() == Encoder("m").fingerprint()


def test_how_embeddings_are_compared_counts_whether_the_model_or_a_setting_says_it() -> None:
    cosine, dot = Encoder("m").fingerprint(), Encoder("m", similarity="dot").fingerprint()
    assert dot != cosine == Encoder("m", similarity="cosine").fingerprint()
    assert Dense(Encoder("m", similarity="dot")).fingerprint() != Dense(Encoder("m")).fingerprint()


def test_the_weights_count_and_not_the_path_that_a_teacher_was_given() -> None:
    one = RationaleSimilarity(Encoder("m"))
    two = RationaleSimilarity(Encoder(str(Path("m").absolute())))
    assert (
        one.fingerprint()
        == two.fingerprint()
        != RationaleSimilarity(Encoder("org/model")).fingerprint()
    )
    assert path_fingerprint(Path("m")) == model_fingerprint("./m/")


# What may be read of a question


class OwnWriter(RationaleWriter):
    def write(self, requests: Sequence[Request], cache: Cache) -> Iterator[Rationale]:
        yield from ()


class OwnReader(Generator):
    def answer(self, prompts: Sequence[Prompt]) -> list[str]:
        return []


class OwnRetriever(Retriever):
    def search(self, questions: Sequence[Question], k: int) -> Iterator[list[Candidate]]:
        yield from ()


OTHERS: dict[str, Any] = {
    "id": "q2",
    "question": "Who lit a lamp?",
    "golden_answers": ("Bo",),
    "choices": ("Ada", "Cy"),
    "metadata": {"hops": 3},
    "search": "Who lit it?",
}


@pytest.mark.parametrize("field", OTHERS)
def test_a_reader_is_asked_again_only_if_what_it_reads_has_changed(field: str) -> None:
    prompts = [
        Prompt(question, PASSAGES)
        for question in (QUESTION, replace(QUESTION, **{field: OTHERS[field]}))
    ]
    for reader in (SpanReader(), ExtractiveReader("m")):
        assert (len({reader.key(prompt) for prompt in prompts}) == 2) == (
            field in ("question", "choices")
        )


@pytest.mark.parametrize("field", OTHERS)
def test_a_prompt_is_paid_for_again_only_if_what_it_shows_has_changed(field: str) -> None:
    questions = [QUESTION, replace(QUESTION, **{field: OTHERS[field]})]
    for writer in (AnthropicWriter(), OpenAIWriter("gpt-4o-mini"), TransformersWriter("m")):
        keys = {writer.key(question) for question in questions}
        assert (len(keys) == 2) == (field in ("question", "golden_answers", "choices"))


@pytest.mark.parametrize("field", OTHERS)
def test_a_part_of_ones_own_may_read_all_of_a_question_but_its_id(field: str) -> None:
    questions = [QUESTION, replace(QUESTION, **{field: OTHERS[field]})]
    assert len({fingerprint(OwnWriter().key(question)) for question in questions}) == 1 + (
        field != "id"
    )
    assert len({OwnReader().key(Prompt(question, PASSAGES)) for question in questions}) == 1 + (
        field != "id"
    )
    # the id is in the key beside it
    assert len({fingerprint(OwnRetriever().asked(question)) for question in questions}) == 1 + (
        field != "id"
    )


@pytest.mark.parametrize("field", OTHERS)
def test_all_that_a_teacher_could_read_of_a_question_is_in_its_key(field: str) -> None:
    other = replace(QUESTION, **{field: OTHERS[field]})
    keys = {
        teacher_key("teacher", "corpus", question, RATIONALE, PASSAGES)
        for question in (QUESTION, other)
    }
    assert len(keys) == 2
