"""A teacher by the passages that the rationale itself names."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape

from radio.schema import Question, Rationale, RetrievedPassage
from radio.teachers.base import Teacher
from radio.text import sentences

_WORDS_BESIDE = frozenset("and or see passage passages id ids doc docs document documents".split())
"""What a model writes beside an id: "[passages p1 and p2]"."""


class Cited(Teacher):
    """The share of the rationale's facts that cite the passage.

    For rationales whose writer was shown the candidates and put ids behind the facts that they
    support (prompts ``citations``, or one of your own that says so): a model that reads question,
    answer and passages together has judged them, which is more than a similarity. No embedding::

        score(d) = facts of the rationale that cite d / facts of the rationale

    A fact is a sentence. Its citations are the ids in square brackets that stand in it or directly
    after its end; ``[p1, p2]`` and ``[p1][p2]`` cite both. Ids count as the prompt shows them
    (escaped, ``&amp;``) and as they are. Of several rationales of a question the scores are
    averaged; those that cite none of the candidates are left out.

    Higher is better; a share, on the scale that it has. A passage that the writer was not shown (as
    many as its ``passages``) can only have 0. A rationale that cites no candidate says nothing
    about any: all have 0.5, no preference. How many such questions there were, and how many
    citations of no candidate, is said when the teacher is released, once a split.
    """

    identity = "Cited"

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._example = ""

    def score(
        self, question: Question, rationale: Rationale | None, passages: Sequence[RetrievedPassage]
    ) -> list[float]:
        names = _names(passages)
        shares: list[dict[str, float]] = []
        for text in rationale.texts if rationale else ():
            facts, unknown = cited_ids(text, names)
            self._counts["unknown"] += len(unknown)
            self._example = self._example or "".join(unknown[:1])
            counts = Counter(identifier for fact in facts for identifier in fact)
            if counts:
                shares.append({name: count / len(facts) for name, count in counts.items()})
        self._counts["questions"] += 1
        if not shares:
            self._counts["without"] += 1
            return [0.5] * len(passages)
        scores = []
        for passage in passages:
            scores.append(sum(share.get(passage.id, 0.0) for share in shares) / len(shares))
        return scores

    def release(self) -> None:
        """Say what was no citation of a candidate, and count anew."""
        counts, example = self._counts, self._example
        self._counts, self._example = Counter(), ""
        said = []
        if counts["without"]:
            said.append(
                f"{counts['without']:,} of {counts['questions']:,} rationales cite none of their "
                "candidates, which teaches no preference"
            )
        if counts["unknown"]:
            said.append(
                f"{counts['unknown']:,} citations name no candidate of their question, such as "
                f"[{example[:60]}]"
            )
        if said:
            warnings.warn(
                f"Cited: {'; '.join(said)}: were they written with the prompt 'citations', and "
                "from these candidates?",
                stacklevel=2,
            )


def _names(passages: Sequence[RetrievedPassage]) -> dict[str, str]:
    """Passage ids by what a rationale may call them: the id itself, and the id as prompts show
    it, which comes first where it is that of another passage."""
    names = {passage.id: passage.id for passage in passages}
    names.update({escape(passage.id): passage.id for passage in passages})
    return names


def cited_ids(text: str, names: Mapping[str, str]) -> tuple[list[set[str]], list[str]]:
    """The passages that each fact of a rationale cites, and what is cited but unknown.

    Args:
        text: the rationale.
        names: passage ids by what they may be called.

    Returns:
        A set of passage ids for each fact, and the names of no passage.
    """
    known: list[set[str]] = []
    unknown: list[str] = []
    brackets: list[set[str]] = []

    def put_away(found: re.Match[str]) -> str:
        ids, others = _cited(found[1], names)
        unknown.extend(others)
        brackets.append(ids)
        # nothing that would end a sentence: an id may hold a full stop and a blank
        return f"[{len(brackets) - 1}]"

    text, names = _with_stand_ins(text, names)
    bare = re.sub(r"\[([^\[\]]*)\]", put_away, text)
    for sentence in sentences(re.sub(r"(?<=[.!?])(?=\[)", " ", bare)):
        # "It burnt. [p1] Ada lit it." cites p1 for the first
        after = re.match(r"(?:\s*\[\d+\])+[.,;]?", sentence)
        if after and known:
            known[-1] |= _in(after[0], brackets)
            sentence = sentence[after.end() :]
        if re.sub(r"\[\d+\]", "", sentence).strip(" .,;:[]()\n\t"):
            known.append(_in(sentence, brackets))
        elif known:
            known[-1] |= _in(sentence, brackets)
    return known, unknown


def _with_stand_ins(text: str, names: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """A text in which ids that hold brackets, commas or blanks have other names, and all the
    names."""
    simple = dict(names)
    # an id may be a part of another
    for number, name in enumerate(sorted(names, key=len, reverse=True)):
        if not re.fullmatch(r"[\w./-]+", name):
            # of Unicode's private use: in no text
            stand_in = f"\ue000{number}\ue001"
            text = text.replace(name, stand_in)
            simple[stand_in] = names[name]
    return text, simple


def _in(sentence: str, brackets: Sequence[set[str]]) -> set[str]:
    """What the brackets that were put away from a sentence cite."""
    found = [brackets[int(number)] for number in re.findall(r"\[(\d+)\]", sentence)]
    return set().union(*found)


def _cited(inside: str, names: Mapping[str, str]) -> tuple[set[str], list[str]]:
    """The passages that the inside of a bracket names, and the names of none."""
    known: set[str] = set()
    unknown: list[str] = []
    whole = inside.strip()
    if whole in names:
        return {names[whole]}, []
    for part in filter(None, map(str.strip, re.split(r"[,;]", whole))):
        if part in names:
            known.add(names[part])
            continue
        # "passages p1 and p2", id="p1"
        words = [word.strip("\"'&=:#") for word in re.split(r"[\s=:]+", part)]
        found = {names[word] for word in words if word in names}
        rest = [word for word in words if word and word.lower() not in _WORDS_BESIDE]
        known |= found
        if not found and rest:
            unknown.append(part)
    return known, unknown
