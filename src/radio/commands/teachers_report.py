"""``radio teachers report``: what several teachers are worth before anything is trained, in
numbers, in a file and on one page."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from radio.commands import Split

if TYPE_CHECKING:
    from lightning import Trainer

    from radio.cache import Cache
    from radio.callbacks import GeneratorInTheLoop
    from radio.data.module import RationaleDataModule
    from radio.data.scoring import Scoring
    from radio.evaluation.teachers.measure import Compared, Comparison, Curve, Reader
    from radio.generators import Answer, Generator, Prompt
    from radio.llm.base import Failure
    from radio.losses import Loss
    from radio.rerankers import Reranker
    from radio.teachers import Teacher

WRITES = ("teachers.json", "teachers.jsonl", "teachers.html")

RETRIEVAL, CONFIGURED, ANSWERS, ANNOTATED = "retrieval", "configured", "answers", "annotated"
"""Names of the teachers that are compared without being asked for."""

BASELINE = "a baseline"

SHOWN = ("em", "f1", "accuracy")
"""Metrics of a generator's answers that are compared, where its callback measures them."""


def teachers_report(
    model: Reranker,
    datamodule: RationaleDataModule,
    trainer: Trainer,
    folder: Path,
    split: Split = "validation",
    teachers: str | list[str] | None = None,
    curve: str | None = None,
    top_k: int | list[int] | None = None,
    output: str | None = None,
) -> None:
    """Compare teachers before anything is trained: how each orders the candidates of a split.

    Args:
        split: whose questions; who chooses a teacher by those of test has no test left.
        teachers: what else to compare: names of overlays (gated, teachers/gated) or paths of config
            files with a data.init_args.teacher, as a list or with commas.
        curve: two names of the table, A,B, whose blend is measured along the weight of A from 0 to
            1; by default the two parts of a configured Blend, else the configured teacher and
            retrieval.
        top_k: passages of each order that the generators of the configuration read; 1 and 3 if not
            given.
        output: folder for the page and the numbers; the run folder if not given.
    """
    from radio.ranges import check
    from radio.runs.folder import mark_as_own

    depths = [top_k] if isinstance(top_k, int) else top_k or [1, 3]
    check("radio teachers report", {"top_k": depths})
    target = Path(output) if output else folder
    mark_as_own(target, WRITES, "teachers_report")
    report(
        compared(
            datamodule,
            split,
            others=_listed(teachers),
            curve=_listed(curve),
            callbacks=generators_of(trainer),
            depths=list(dict.fromkeys(depths)),
            loss=model.loss,
        ),
        target,
    )
    print(f"report: {target / 'teachers.html'}")


def _listed(given: str | list[str] | None) -> list[str]:
    if isinstance(given, str):
        given = given.split(",")
    return [name.strip() for name in given or [] if name.strip()]


def generators_of(trainer: Trainer) -> list[GeneratorInTheLoop]:
    """The generators in the loop of a configuration.

    Raises:
        InputError: two have the same name.
    """
    from radio.callbacks import GeneratorInTheLoop
    from radio.schema import InputError

    callbacks: list[Any] = trainer.callbacks  # type: ignore[attr-defined]
    found = [callback for callback in callbacks if isinstance(callback, GeneratorInTheLoop)]
    names = [callback.name for callback in found]
    if len(set(names)) < len(names):
        raise InputError(
            "GeneratorInTheLoop: found two with the same metrics; give each its own name "
            "(init_args.name)"
        )
    return found


def report(comparison: Comparison, folder: Path) -> dict[str, Any]:
    """Print a table, and write ``teachers.json``, ``teachers.jsonl`` (a row a question) and
    ``teachers.html``.

    Returns:
        The numbers as in ``teachers.json``.

    Raises:
        InputError: no question is scored by all teachers, or a generator gave no answer at all.
    """
    from radio.evaluation.teachers.measure import measure
    from radio.evaluation.teachers.page import page
    from radio.evaluation.teachers.table import show_table
    from radio.lines import atomic_write, write_jsonl

    document, rows = measure(comparison)
    with atomic_write(folder / "teachers.json") as file:
        json.dump(document, file, indent=2, ensure_ascii=False)
        file.write("\n")
    write_jsonl(folder / "teachers.jsonl", rows)
    with atomic_write(folder / "teachers.html") as file:
        file.write(page(document, rows, comparison.passages))
    show_table(document)
    return document


def compared(
    datamodule: RationaleDataModule,
    split: str,
    *,
    others: Sequence[str] = (),
    curve: Sequence[str] = (),
    callbacks: Sequence[GeneratorInTheLoop] = (),
    depths: Sequence[int] = (1, 3),
    loss: Loss | None = None,
) -> Comparison:
    """The teachers with their scores; what the cache lacks is obtained, as by ``radio prepare``.

    Args:
        datamodule: of the configuration.
        split: ``train``, ``validation`` or ``test``.
        others: names or paths of overlays with a teacher.
        curve: names of the two that are blended; empty takes the configured ones.
        callbacks: whose generators read the top passages.
        depths: how many of them.
        loss: whose temperature the targets have.

    Raises:
        InputError: a split without questions or without anything to judge by, an overlay without a
            teacher, a name that is given twice, or that is none.
    """
    from radio.data import checking
    from radio.data.scoring import Scoring
    from radio.evaluation.teachers.measure import Comparison
    from radio.schema import Example, InputError

    questions = datamodule.split_questions(split)
    if not questions:
        raise InputError(f"split: found {split!r}, expected one of the splits that have questions")
    if not any(question.golden_answers or question.gold for question in questions):
        raise InputError(
            f"teachers report: found neither golden answers nor annotated passages (gold_ids) of "
            f"{split}, expected some to judge the orders by"
        )
    teachers = named_teachers(datamodule.teacher, others)
    if curve:
        # before anything is scored, as far as that is known
        _check_curve(curve, [*(name for name, *_ in teachers), ANSWERS, ANNOTATED])
    checking.check_questions(split, questions, datamodule.corpus, datamodule.unknown_gold)
    scoring = Scoring(datamodule.preparation, split)
    found = [_scored(scoring, *teacher) for teacher in teachers]
    baselines, remarks = _baselines(scoring, found)
    found += baselines
    temperature, temperature_of = target_temperature(loss)
    examples = {}
    for question in questions:
        candidates = tuple(scoring.candidates[question.id])
        examples[question.id] = Example(question, candidates)
    readers = [_reader(callback, datamodule) for callback in callbacks]
    return Comparison(
        split,
        examples,
        datamodule.corpus,
        found,
        readers,
        depths,
        temperature,
        temperature_of,
        _curve(scoring, datamodule.teacher, found, curve),
        [*remarks, *judged_by_themselves(teachers, callbacks)],
    )


NamedTeacher = tuple[str, "Teacher", str]
"""Name, teacher, and where it is from."""


def named_teachers(configured: Teacher, others: Sequence[str]) -> list[NamedTeacher]:
    """The retriever's order, which all are compared with, the configured teacher and the others.

    Raises:
        InputError: two have one name.
    """
    from radio.config.overlays import teacher_of
    from radio.schema import InputError
    from radio.teachers import RetrievalScore

    found: list[NamedTeacher] = [
        (RETRIEVAL, RetrievalScore(), BASELINE),
        (CONFIGURED, configured, "the configuration"),
    ]
    for overlay in others:
        name, teacher = teacher_of(overlay)
        if name in (RETRIEVAL, CONFIGURED, ANSWERS, ANNOTATED, *(known for known, *_ in found)):
            raise InputError(
                f"--teachers: {overlay}: found a second teacher of the name {name!r}, expected "
                "names that differ; rename the file"
            )
        found.append((name, teacher, f"the overlay {overlay}"))
    return found


def _scored(scoring: Scoring, name: str, teacher: Teacher, origin: str) -> Compared:
    from radio.evaluation.teachers.measure import Compared
    from radio.teachers import needs

    scored = scoring.score(teacher)
    about = {
        "class": type(teacher).__name__,
        "origin": origin,
        "needs": needs(teacher),
        "fingerprint": teacher.fingerprint(),
        "cached": scored.cached,
        "seconds": scored.seconds,
        "costs": getattr(teacher, "costs", None),
    }
    return Compared(name, about, scored.scores, scored.left_out)


def _baselines(scoring: Scoring, named: Sequence[Compared]) -> tuple[list[Compared], list[str]]:
    """What answers and annotations alone would teach, as bounds; and what to say of one that is
    left out.

    One that cannot score all questions that the others share would narrow the comparison, which
    nobody has asked for.
    """
    from radio.data.scoring import is_annotated
    from radio.teachers import AnswerMatch, GoldPassages
    from radio.text import findable

    shared = []
    for question in scoring.questions:
        if all(question.id in teacher.scores for teacher in named):
            shared.append(question)
    bounds: list[tuple[str, Teacher, int, str]] = [
        (
            ANSWERS,
            AnswerMatch(),
            sum(findable(question.golden_answers) for question in shared),
            "golden answers that a passage can contain",
        ),
        (ANNOTATED, GoldPassages(), sum(map(is_annotated, shared)), "annotated passages"),
    ]
    found, remarks = [], []
    for name, teacher, able, what in bounds:
        if able == len(shared) and shared:
            found.append(_scored(scoring, name, teacher, BASELINE))
        elif able:
            overlay = "answer_match" if name == ANSWERS else "gold_passages"
            remarks.append(
                f"the baseline {name} is left out: {able:,} of {len(shared):,} questions have "
                f"{what}; to compare on those alone: --teachers {overlay}"
            )
    return found, remarks


def target_temperature(loss: Loss | None) -> tuple[float | None, str]:
    """The temperature of a loss for the teacher's scores, and where it is from; that of the first
    part that has one, where a loss is made of others. None where the scores are a distribution
    already."""
    from radio.losses import JensenShannon, KLDivergence, ListNet

    for part in _parts_of_loss(loss):
        temperature = getattr(part, "teacher_temperature", None)
        where = f"teacher_temperature of {type(part).__name__}"
        if isinstance(temperature, int | float):
            return float(temperature), where
        if isinstance(part, JensenShannon | KLDivergence | ListNet):
            return None, f"{where} is null"
    return 1.0, "the loss has no teacher_temperature"


def _parts_of_loss(loss: Loss | None) -> Iterator[Loss]:
    """A loss, and all that it is made of."""
    from radio.losses import Loss

    if loss is None:
        return
    yield loss
    for value in vars(loss).values():
        parts = value.values() if isinstance(value, dict) else [value]
        for part in parts:
            if isinstance(part, Loss):
                yield from _parts_of_loss(part)


def _curve(
    scoring: Scoring, configured: Teacher, found: Sequence[Compared], names: Sequence[str]
) -> Curve | None:
    """Which two are blended; None where the retriever's order is all that there is."""
    from radio.evaluation.teachers.measure import Curve
    from radio.teachers import Blend, RetrievalScore

    if not names and isinstance(configured, Blend) and len(configured.teachers) == 2:
        first, second = configured.teachers
        titles = [type(part).__name__ for part in (first, second)]
        if titles[0] == titles[1]:
            titles = ["first part", "second part"]
        scores = scoring.raw(first), scoring.raw(second)
        # the curve is of min-max scores
        weight = configured.weights[0] if configured.normalise == "min_max" else None
        return Curve(titles[0], titles[1], *scores, weight)
    if not names and isinstance(configured, RetrievalScore):
        return None
    by_name = {teacher.name: teacher for teacher in found}
    chosen = list(names) or [CONFIGURED, RETRIEVAL]
    _check_curve(chosen, list(by_name))
    first_scores, second_scores = (by_name[name].scores for name in chosen)
    return Curve(chosen[0], chosen[1], first_scores, second_scores)


def _check_curve(names: Sequence[str], known: Sequence[str]) -> None:
    from radio.schema import InputError

    if len(names) != 2 or len(set(names)) != 2 or not set(names) <= set(known):
        raise InputError(
            f"--curve: found {','.join(names)!r}, expected two different names of "
            f"{', '.join(known)}, such as {CONFIGURED},{RETRIEVAL}"
        )


def _reader(callback: GeneratorInTheLoop, datamodule: RationaleDataModule) -> Reader:
    from radio.evaluation.teachers.measure import Reader

    measured = callback.measured(datamodule)
    return Reader(
        about=callback.identity(),
        prefix="" if callback.name is None else f"{callback.name}_",
        metrics=[name for name in measured if name in SHOWN] or measured[:1],
        right=measured[0],
        task=datamodule.task,
        ask=partial(_ask, callback.generator, datamodule.cache),
        judge=partial(callback.judge, datamodule),
    )


def _ask(generator: Generator, cache: Cache, prompts: list[Prompt]) -> list[Answer | Failure]:
    from radio.generators import ask

    return ask(generator, prompts, cache)


def judged_by_themselves(
    teachers: Sequence[NamedTeacher], callbacks: Sequence[GeneratorInTheLoop]
) -> list[str]:
    """What to say of teachers that ask the same model that reads their passages here."""
    found = []
    for callback in callbacks:
        model = str(getattr(callback.generator, "model", type(callback.generator).__name__))
        for name, teacher, _ in teachers:
            if model in teacher.needs_generator.split(", "):
                found.append(
                    f"{name} asks {model}, which reads its passages here too: it is judged by "
                    "itself; hold out another generator to judge it"
                )
    return found
