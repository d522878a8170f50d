"""A question with its rationale, and passages of which one supports it."""

from __future__ import annotations

from collections.abc import Sequence

from radio.schema import Question, Rationale, RetrievedPassage
from radio.teachers import Teacher

QUESTION = Question(
    "q1", "Why do ships ring a bell in fog?", ("to warn other ships", "as a warning")
)


RATIONALE = Rationale(
    "q1",
    "In fog nobody can see far, but sound still carries, so a ringing bell tells nearby vessels "
    "where a ship lies and they keep clear of it.",
)


SUPPORTING = (
    "Fog signals\nWhen visibility is poor, a vessel at anchor sounds its bell so that others hear "
    "where it is "
    "and avoid a collision."
)


TEXTS = [
    "Bells in schools\nA bell rings in the school when the lesson ends.",
    SUPPORTING,
    "Fog\nFog is a cloud of water droplets near the ground.",
    "Ships\nShips of the fleet were painted grey and white.",
    "Bread\nBread is baked from flour, water and salt.",
]


def passages(texts: Sequence[str] = TEXTS) -> list[RetrievedPassage]:
    return [
        RetrievedPassage(f"p{i}", text, rank=i, score=10.0 - i * i) for i, text in enumerate(texts)
    ]


class Fixed(Teacher):
    """The scores it is given."""

    needs_rationale = False

    def __init__(self, scores: Sequence[float]) -> None:
        self.scores = list(scores)

    def score(
        self, question: Question, rationale: Rationale | None, passages: Sequence[RetrievedPassage]
    ) -> list[float]:
        return self.scores
