"""What the parts of a run ask of each other, checked before anything is prepared or paid for.

A constructor sees its own settings alone (:mod:`radio.ranges`). Whether a loss suits the groups
that a sampler draws, whether a metric that chooses the best checkpoint is computed at all, whether
a reader can give the answers that are asked for: that takes two parts.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence

import lightning as L
from lightning.pytorch.utilities import rank_zero_warn

from radio.callbacks import GeneratorInTheLoop
from radio.callbacks.evaluation import Evaluation
from radio.data.module import RationaleDataModule
from radio.data.weighing import check_loss
from radio.evaluation.measure import is_an_error
from radio.evaluation.systems import nothing_to_rank
from radio.metrics.support import SUPPORT_METRICS
from radio.ranges import check
from radio.rerankers import Reranker
from radio.samplers import check_groups
from radio.schema import InputError, Question
from radio.teachers import with_parts
from radio.text import findable

OURS = ("radio", "data_modules", "lightning")
"""Packages whose classes log what is known here."""

STEPS = ("training_step", "validation_step", "on_validation_epoch_end", "on_train_epoch_end")
"""Methods in which a reranker of the user's own may log more."""


def check_run(callbacks: Sequence[L.Callback], model: Reranker, data: RationaleDataModule) -> None:
    """Refuse a training whose parts do not fit each other.

    Args:
        callbacks: of the trainer.
        model: the reranker.
        data: the data module.

    Raises:
        InputError: names the two parts, what was found and what is expected.
    """
    check_groups(data.sampler, model.loss)
    check_loss(data.confidence, model.loss)
    _check_tasks(data)
    _check_monitors(callbacks, model, data)


def check_data(
    callbacks: Sequence[L.Callback], data: RationaleDataModule, splits: Sequence[str]
) -> None:
    """Refuse callbacks that the questions of a split give nothing to compute; reads the questions.

    Args:
        callbacks: of the trainer.
        data: the data module.
        splits: which the command works on.

    Raises:
        InputError: names callback, split, what was found and what is expected.
    """
    never_validates = "train" in splits and "validation" not in splits
    for callback in callbacks:
        monitor = getattr(callback, "monitor", None)
        if never_validates and str(monitor).startswith("validation/"):
            rank_zero_warn(
                f"{type(callback).__name__}: monitor {monitor!r} is never computed: found no "
                "validation questions, so the last weights are taken, whether or not they are the "
                "best"
            )
        if isinstance(callback, GeneratorInTheLoop):
            _warn_of_all_read(callback, data.eval_candidates)
    for split in ("validation", "test"):
        if split not in splits:
            continue
        questions = data.split_questions(split)
        for callback in callbacks:
            if isinstance(callback, Evaluation):
                _check_rankings(callback, split, questions, data)
            if isinstance(callback, GeneratorInTheLoop):
                _check_labels(callback, split, questions)
            elif split == "validation" and questions:
                _check_computed(callback, questions)


def _warn_of_all_read(callback: GeneratorInTheLoop, candidates: int) -> None:
    """A generator that reads all that is ranked gains from the order alone, not from what is
    chosen."""
    top = max(callback.top_k) if isinstance(callback.top_k, list) else callback.top_k
    if top > candidates:
        rank_zero_warn(
            f"GeneratorInTheLoop: top_k {top} is more than the {candidates} candidates that are "
            "ranked (data.init_args.eval_candidates): it reads all of them, whatever the ranking"
        )


def _check_rankings(
    callback: Evaluation, split: str, questions: Sequence[Question], data: RationaleDataModule
) -> None:
    """Rankings that no question of a split can have, seen before any rationale is paid for."""
    has_teacher = split in data.rationale_splits or not data.teacher.needs_rationale
    can_be_ranked = {
        "teacher": has_teacher,
        "annotated": any(question.gold for question in questions),
    }
    for name, possible in can_be_ranked.items():
        if name in callback.rankings and questions and not possible:
            raise InputError(f"{split}: {nothing_to_rank(callback, name)}")


def _check_monitors(
    callbacks: Sequence[L.Callback], model: Reranker, data: RationaleDataModule
) -> None:
    """Monitors of checkpoints and early stopping: computed by someone, in time, and in the
    direction that is better."""
    known = _logged(callbacks, data)
    for callback in callbacks:
        check(callback, vars(callback))
        monitor = getattr(callback, "monitor", None)
        if not isinstance(monitor, str) or monitor in ("epoch", "step"):
            continue
        name = type(callback).__name__
        if monitor in known:
            better = "min" if monitor.endswith("/loss") or is_an_error(monitor) else "max"
            mode = getattr(callback, "mode", better)
            if mode != better:
                raise InputError(
                    f"{name}: mode: found {mode!r} for the monitor {monitor!r}, expected "
                    f"{better!r}: {'lower' if better == 'min' else 'higher'} is better"
                )
            _check_epochs(callback, monitor, callbacks, data)
        elif all(_is_ours(part) for part in callbacks) and not _logs_more(model):
            raise InputError(_nothing_computes(name, monitor, sorted(known)))


def _nothing_computes(callback: str, monitor: str, known: Sequence[str]) -> str:
    """The message for a monitor that is not known."""
    meant = [f"validation/{monitor}"] if f"validation/{monitor}" in known else []
    if not meant:
        meant = difflib.get_close_matches(monitor, known, n=3, cutoff=0.5)
    hint = f"; did you mean {' or '.join(map(repr, meant))}?" if meant else ""
    # of the systems, the tuned one alone: the others would fill the screen
    plain = [name for name in known if name.count("/") == 1]
    return (
        f"{callback}: monitor: found {monitor!r}, which nothing computes in training{hint} "
        f"Expected one of: {', '.join(plain)}. Further metrics are settings of RankEvaluation and "
        "GeneratorInTheLoop"
    )


def _logged(callbacks: Sequence[L.Callback], data: RationaleDataModule) -> set[str]:
    """Names under which a training logs what can be monitored."""
    known = {"train/loss", "validation/loss"}
    for callback in callbacks:
        if isinstance(callback, Evaluation):
            known |= callback.logged_names("validation", data)
    return known


def _check_tasks(data: RationaleDataModule) -> None:
    """A teacher that asks for another kind of answer than the data have."""
    second = getattr(data.confidence, "teacher", None)
    for teacher in with_parts([data.teacher, second]):
        task = getattr(teacher, "task", data.task)
        if task != data.task:
            raise InputError(
                f"{type(teacher).__name__}: task: found {task!r}, but the task of "
                f"{type(data).__name__} is {data.task!r}; expected the same"
            )


def _check_epochs(
    callback: L.Callback,
    monitor: str,
    callbacks: Sequence[L.Callback],
    data: RationaleDataModule,
) -> None:
    """A figure that not every validation computes: in between, Lightning would take the last one
    for that of other weights."""
    for source in callbacks:
        if not isinstance(source, GeneratorInTheLoop) or source.every_n_epochs == 1:
            continue
        if monitor not in source.logged_names("validation", data):
            continue
        if getattr(callback, "_every_n_epochs", 1) % source.every_n_epochs:
            raise InputError(
                f"{type(callback).__name__}: monitor: found {monitor!r}, which GeneratorInTheLoop "
                f"computes in one of {source.every_n_epochs} epochs alone (every_n_epochs); "
                "expected every_n_epochs 1 there (max_questions makes a validation cheaper), or a "
                "monitor that each validation computes"
            )


def _is_ours(part: object) -> bool:
    return type(part).__module__.split(".")[0] in OURS


def _logs_more(model: Reranker) -> bool:
    """Whether a reranker of the user's own may log what is not known here."""
    return any(getattr(type(model), step) is not getattr(Reranker, step) for step in STEPS)


def _check_labels(callback: GeneratorInTheLoop, split: str, questions: Sequence[Question]) -> None:
    """A generator that copies from passages can give no verdict and no choice."""
    asked = [question for question in questions if question.golden_answers]
    if not asked or not callback.generator.copies_spans or not all(map(_is_label, asked)):
        return
    first = asked[0]
    what = f"one of the choices {list(first.choices)}" if first.choices else "a verdict"
    raise InputError(
        f"GeneratorInTheLoop: generator: found {type(callback.generator).__name__}, which copies a "
        f"span of the passages, while the answers of all {len(asked)} questions of {split} are "
        f"labels ({first.id!r}: {first.golden_answers[0]!r}, {what}): each would be wrong whatever "
        "the ranking; expected a generator that writes its answer, such as TransformersGenerator "
        "(configs/generators), or no GeneratorInTheLoop"
    )


def _is_label(question: Question) -> bool:
    return bool(question.choices) or not findable(question.golden_answers)


def _check_computed(callback: L.Callback, questions: Sequence[Question]) -> None:
    """A monitor that no question of the validation split has a number for would choose no
    checkpoint."""
    monitor = getattr(callback, "monitor", None)
    if not isinstance(monitor, str) or not monitor.startswith("validation/"):
        return
    # validation/METRIC, or validation/SYSTEM/METRIC
    parts = monitor.removeprefix("validation/").split("/")
    metric = parts[1] if len(parts) > 1 else parts[0]
    lacking = _lacking(metric, questions)
    if lacking is None:
        return
    raise InputError(
        f"{type(callback).__name__}: monitor: found {monitor!r}, but none of the {len(questions)} "
        f"validation questions {lacking}, so that it is never computed; expected a metric that is, "
        "such as 'validation/loss' (mode: min)"
    )


def _lacking(metric: str, questions: Sequence[Question]) -> str | None:
    """What none of the questions has, though a metric needs it; None if some have it."""
    name = metric.split("@")[0]
    if metric.startswith("gold_") or name in SUPPORT_METRICS:
        if not any(question.gold for question in questions):
            return "are annotated with the passages that support them (metadata gold_ids)"
    elif name in ("RR", "nDCG", "R", "P", "answer_in_output", "answer_in_context"):
        if not any(findable(question.golden_answers) for question in questions):
            return "have an answer that a passage can contain"
    elif name in ("em", "f1", "accuracy", "macro_f1") and not any(
        question.golden_answers for question in questions
    ):
        return "have an answer"
    return None
