"""``radio predict --input FILE``: a filter from JSONL to JSONL, of which nothing is kept.

Standard output holds answers alone; whatever else a command prints goes to standard error.
"""

from __future__ import annotations

import os
import signal
import sys
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import nan
from pathlib import Path
from typing import Any

import lightning as L

from radio import contracts
from radio.callbacks import Fused
from radio.commands.predict import row_of
from radio.corpus import passages_of
from radio.data.module import RationaleDataModule
from radio.evaluation.measure import tied_tops
from radio.fingerprints import fingerprint
from radio.formats import take_candidates, take_questions
from radio.lines import read_rows, rows_of, stream_lines
from radio.ranges import check
from radio.rerankers import Reranker
from radio.rerankers.scoring import load, scores_of
from radio.runs.story import say
from radio.schema import Group, InputError, Passage, Question

STDIN = "-"
"""The ``--input`` that is standard input."""

CLOSED = 128 + signal.SIGPIPE
"""Exit status where the reader of the answers has closed them, as shells have it."""


class Answers:
    """Standard output, kept for answers: until :meth:`close`, all else that is written there, by
    whatever library, comes out on standard error."""

    def __init__(self) -> None:
        sys.stdout.flush()
        self._kept = os.dup(1)
        os.dup2(2, 1)
        self._stream, sys.stdout = sys.stdout, sys.stderr

    def write(self, text: str) -> None:
        """Write at once.

        Raises:
            SystemExit: nobody reads them any more.
        """
        rest = memoryview(text.encode())
        try:
            while rest:
                rest = rest[os.write(self._kept, rest) :]
        except BrokenPipeError:
            raise SystemExit(CLOSED) from None

    def close(self) -> None:
        sys.stdout = self._stream
        with suppress(OSError):
            # what was written past sys.stdout, by who had taken hold of it before
            sys.stdout.flush()
        os.dup2(self._kept, 1)
        os.close(self._kept)


def add_options(parser: ArgumentParser) -> None:
    """The options of a filter."""
    # jsonargparse takes any type, and argparse's signature, which it has, does not
    text_or_nothing: Any = str | None
    parser.add_argument(
        "--input",
        type=text_or_nothing,
        default=None,
        help="JSONL of questions, with candidates or without; - reads standard input. "
        "Each is answered by a line on standard output, and nothing is kept.",
    )
    parser.add_argument(
        "--block",
        type=int,
        default=16,
        help="Lines of --input that are ranked and answered together; 1 answers each as "
        "soon as it comes.",
    )


def check_options(options: Mapping[str, Any]) -> None:
    """Refuse options that do not go with ``--input``.

    Raises:
        InputError: names what was found and what is expected.
    """
    check("radio predict", {"block": options["block"]})
    if options["ckpt_path"] is not None:
        raise InputError(
            f"--ckpt_path: found {options['ckpt_path']} beside --input, which keeps to no run "
            "folder; give the export of the run: --model.init_args.model runs/NAME/export"
        )


def answer(
    source: str,
    block: int,
    model: Reranker,
    data: RationaleDataModule,
    trainer: L.Trainer,
    answers: Answers,
) -> None:
    """Rank the candidates of each line, and write a line for each in the same order.

    Lines are read, ranked and answered ``block`` at a time. What stands before a broken line is
    answered first.

    Args:
        source: JSONL, see :func:`_take`; ``-`` is standard input.
        block: lines.
        model: ranks.
        data: finds the candidates of lines without any, and the texts of those that carry none.
        trainer: says on which device, and in what precision.
        answers: where they are written.

    Raises:
        InputError: a line that cannot be answered, by its number; or several devices.
    """
    _check_parts(trainer)
    load(model, trainer.strategy.root_device)
    precision = trainer.precision_plugin
    model.network = precision.convert_module(model.network)
    collate = model.collator()
    finder = Finder(data)
    count = tied = 0
    for lines in _blocks(source, block):
        finder.complete(lines)
        model.index(_by_content(lines), data.cache)
        with precision.forward_context():
            scores = scores_of(model, collate, [line.group() for line in lines])
        for line, row in zip(lines, scores, strict=True):
            given = {one.id: score for one, score in zip(line.passages, row, strict=True)}
            texts = {one.id: one for one in line.passages}
            answers.write(row_of(line.question, given, texts) + "\n")
            tied += tied_tops({line.question.id: given})
        count += len(lines)
    say(f"reranked {count} questions")
    if tied:
        say(f"tied at the top, and ordered by passage id there: {tied} of {count} questions")


def _check_parts(trainer: L.Trainer) -> None:
    devices = trainer.num_devices * trainer.num_nodes
    if devices > 1:
        raise InputError(
            f"--input: found {devices} devices, expected one (--trainer.devices 1); start a filter "
            "for each, with a share of the lines"
        )
    if any(isinstance(callback, Fused) for callback in trainer.callbacks):  # type: ignore[attr-defined]
        raise InputError(
            "--input: found the callback Fused, which merges with the retriever's ranking; lines "
            "are ranked by the reranker alone. Leave it out"
        )


@dataclass
class Line:
    """A line of the input."""

    place: str
    question: Question
    ids: Sequence[str] | None
    """Of its candidates; None if they are to be found."""
    carried: Mapping[str, Passage]
    """Candidates that stand in the line with their text, by id."""
    passages: Sequence[Passage] = ()
    """The candidates, as soon as :class:`Finder` has completed the line."""

    def group(self) -> Group:
        """The candidates as the reranker takes them.

        Another line may have another text under the same id: here each goes by its content.
        """
        passages = tuple(Passage(_name(one), one.contents) for one in self.passages)
        return Group(self.question, passages, (nan,) * len(passages))


def _name(passage: Passage) -> str:
    return fingerprint(passage.contents)


def _by_content(lines: Sequence[Line]) -> dict[str, Passage]:
    return {one.id: one for line in lines for one in line.group().passages}


def _blocks(source: str, size: int) -> Iterator[list[Line]]:
    """The lines, so many at a time; those before a broken one come before its error."""
    lines = iter(lines_of(source))
    block: list[Line] = []
    while True:
        try:
            line = next(lines, None)
        except InputError:
            if block:
                yield block
            raise
        if line is None:
            break
        block.append(line)
        if len(block) == size:
            yield block
            block = []
    if block:
        yield block


def lines_of(source: str) -> Iterator[Line]:
    """The lines of a file of JSONL, or of standard input.

    Raises:
        InputError: a line that is no question, by its number.
    """
    if source == STDIN:
        name = "standard input"
        rows = rows_of(stream_lines(sys.stdin.buffer, name), name)
    else:
        rows = read_rows(Path(source))
    for place, row in rows:
        yield _take(row, place)


def _take(row: Mapping[str, Any], place: str) -> Line:
    """A line ``{"id", "question", ["candidates": [{"id", ["contents"]}]]}``: a question, with its
    candidates as candidate files have them (:func:`radio.formats.read_candidates`) or without."""
    (question,) = take_questions([(place, row)], need_answers=False)
    if row.get("candidates") is None and row.get("candidate_ids") is None:
        return Line(place, question, None, {})
    ids, carried = take_candidates(row, place)
    return Line(place, question, ids, carried)


class Finder:
    """Finds what lines leave out: candidates by the retriever, texts in the corpus.

    Nothing is read before a line needs it.
    """

    def __init__(self, data: RationaleDataModule) -> None:
        self._data = data
        self._indexed = False

    def complete(self, lines: Sequence[Line]) -> None:
        """Give each line its passages.

        Raises:
            InputError: there is no corpus, or it lacks a candidate.
        """
        bare = [line for line in lines if line.ids is None]
        if bare:
            self._search(bare)
        for line in lines:
            line.passages = self._passages(line)

    def _search(self, lines: Sequence[Line]) -> None:
        data, retriever = self._data, self._data.retriever
        if not self._indexed:
            corpus = self._corpus(lines[0], "no 'candidates'")
            if retriever.learns:
                retriever.learn(data.split_questions("train"))
            retriever.index(corpus, data.cache)
            self._indexed = True
        questions = [line.question for line in lines]
        depth = data.eval_candidates
        found = retriever.search(questions, depth)
        rankings = contracts.candidates(retriever, questions, found, depth, data.corpus)
        for line, ranking in zip(lines, rankings, strict=True):
            line.ids = [
                one.passage_id for one in ranking if data.injected == "always" or not one.injected
            ]

    def _passages(self, line: Line) -> list[Passage]:
        ids = line.ids or ()
        lacking = [identifier for identifier in ids if identifier not in line.carried]
        known = dict(line.carried)
        if lacking:
            corpus = self._corpus(line, f"candidate {lacking[0]!r} without 'contents'")
            for identifier in lacking:
                if identifier not in corpus:
                    raise InputError(
                        f"{line.place}: candidate {identifier!r} has no 'contents', and is not in "
                        f"the corpus ({len(corpus)} passages)"
                    )
            known |= passages_of(corpus, lacking)
        return [known[identifier] for identifier in ids]

    def _corpus(self, line: Line, found: str) -> Mapping[str, Passage]:
        try:
            return self._data.corpus
        except InputError as error:
            raise InputError(
                f"{line.place}: found {found}, expected candidates with their texts, or a corpus "
                f"to take them from: {error}"
            ) from None
