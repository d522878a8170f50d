"""What the headline results are made of: systems, rerankers, datasets, and what was tried."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"
DATA = SHARED / "data"
WORK = ROOT / "runs" / "results"

SYSTEMS = {
    "published": "RADIO, published setting",
    "radio": "RADIO, best recipe on dev",
    "answer_match": "answer match, no LLM",
}
HARDWARE: list[str] = []
"""Arguments of every run that say where it computes, beside the recipes' CPU."""
RERANKERS = ("bi_encoder", "multi_vector", "both_sides", "cross_encoder")
TEACHER, PLAIN = "teacher", "plain"
"""Groups beside the systems: the teacher's order, with question and answers; and the bi-encoder,
whose base compares no tokens, where the other rerankers do."""
RIVAL_RANKS = "answer match, same ranks"
READER = "+reader"
"""Added to a system's name where the reader's confidence is added to its scores."""
SEEDS = (1, 2, 3)
MODULES = {
    "nq": "NaturalQuestionsDataModule",
    "triviaqa": "TriviaQADataModule",
    "musique": "MuSiQueDataModule",
    "mmlu": "MMLUDataModule",
    "fever": "FEVERDataModule",
}
"""Datasets with rationales."""
TRANSFER = {"popqa": "PopQADataModule", "2wikimultihopqa": "TwoWikiMultihopQADataModule"}
"""Datasets without: what was trained on Natural Questions is evaluated there."""
TEACHER_ARGS = "--data.init_args.teacher.init_args"
TRIALS = {
    "the best recipe": [],
    "gate: floor 0.5": [f"{TEACHER_ARGS}.floor", "0.5"],
    "gate: floor 0": [f"{TEACHER_ARGS}.floor", "0"],
    "no gate": [f"{TEACHER_ARGS}.floor", "1"],
    "no gate, question and answers only": [
        *(
            f"{TEACHER_ARGS}.floor",
            "1",
            f"{TEACHER_ARGS}.teacher.init_args.template",
            "{question}. {answers}",
        )
    ],
    "gate, question and answers only": [
        f"{TEACHER_ARGS}.teacher.init_args.template",
        "{question}. {answers}",
    ],
    "gate, answers and rationale only": [
        f"{TEACHER_ARGS}.teacher.init_args.template",
        "{answers}. {rationale}",
    ],
    "gate, rationale only": [f"{TEACHER_ARGS}.teacher.init_args.template", "{rationale}"],
    "teacher temperature 0.05": ["--model.init_args.loss.init_args.teacher_temperature", "0.05"],
    "teacher temperature 0.2": ["--model.init_args.loss.init_args.teacher_temperature", "0.2"],
    "learning rate 1e-5": ["--model.init_args.lr", "1e-5"],
    "learning rate 1e-4": ["--model.init_args.lr", "1e-4"],
    "3 epochs": ["--trainer.max_epochs", "3"],
    "InfoNCE": ["--model.init_args.loss", "InfoNCE"],
    "LambdaLoss": ["--model.init_args.loss", "LambdaLoss"],
    "published groups": ["--data.init_args.sampler", "Shift"],
    "32 questions a step, learning rate 6e-5": [
        "--data.init_args.batch_size",
        "32",
        "--model.init_args.lr",
        "6e-5",
    ],
    "the first 1,000 of 2,000 training questions": [
        "--data.init_args.max_questions",
        "{train: 1000}",
    ],
    "the first 500": ["--data.init_args.max_questions", "{train: 500}"],
    "both sides, published groups": [
        "--model.init_args.train_side",
        "both",
        "--data.init_args.sampler",
        "Shift",
    ],
    "both sides, published groups, the first 500": [
        *("--model.init_args.train_side", "both", "--data.init_args.sampler", "Shift"),
        *("--data.init_args.max_questions", "{train: 500}"),
    ],
    "with the similarity of tokens": ["--model.init_args.multi_vector", "1"],
}
"""What was tried: arguments that are added to the best recipe."""
NO_GATE = [f"{TEACHER_ARGS}.floor", "1"]
ANNOTATED_GATE = [f"{TEACHER_ARGS}.gate", "GoldPassages"]
OTHER_TRIALS = {
    "triviaqa": {"the recipe": [], "no gate": NO_GATE},
    "musique": {"the recipe": [], "no gate": NO_GATE, "gate: annotated passages": ANNOTATED_GATE},
    "fever": {"the recipe": [], "no gate": NO_GATE, "gate: annotated passages": ANNOTATED_GATE},
}
"""On the other datasets: what the gate does where an answer in the passage is not what makes it
useful."""
WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8)
"""Of a logit of the reader, beside 20 times a similarity."""


def seeds_of(reranker: str, split: str) -> tuple[int, ...]:
    """Where passages are embedded anew for each evaluation, the dev questions are left to the first
    seed."""
    return SEEDS[:1] if (reranker, split) == ("both_sides", "validation") else SEEDS


def systems(reranker: str) -> dict[str, str]:
    """What is trained. Where each passage is embedded anew in every step, not the published
    setting, of two epochs, and the rival with the ranks of the recipe's groups too."""
    if reranker != "both_sides":
        return SYSTEMS
    return {s: name for s, name in SYSTEMS.items() if s != "published"} | {
        "answer_match_ranks": RIVAL_RANKS
    }


def recipe(reranker: str, system: str) -> list[str]:
    """Files of a system."""
    if reranker != "both_sides":
        return [reranker, system]
    if system == "answer_match_ranks":
        return [reranker, "answer_match", "radio_groups"]
    return [reranker, system, f"{system}_groups"]
