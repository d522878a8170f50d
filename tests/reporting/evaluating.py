"""A small evaluation in a run folder, with texts that mean harm."""

from __future__ import annotations

from pathlib import Path

from radio.evaluation.results import Results
from radio.schema import Question

HARM = (
    "What <script>alert(1)</script> ![x](http://evil/x.png) [a](javascript:x) | *b* &amp; `c`\n"
    "# h\x1b[2J \u202e?"
)
ANSWER = "=cmd|'/c calc'!A0"
SYSTEMS = {"closed_book": 1, "retriever": 2, "base": 3, "tuned": 4}
DEPTHS = (1, 3)


def evaluate(folder: Path, questions: int = 12) -> Path:
    """A folder with an evaluation of ``test``: questions 0, 4, ... are won, 2, 6, ... are lost."""
    found = Results()
    ids = [f"q{number}" for number in range(questions)]
    found.describe("test", [Question(id_, f"{HARM} {id_}", ("Ada", "A|B")) for id_ in ids])
    for number, id_ in enumerate(ids):
        for system, value in SYSTEMS.items():
            right = {"base": number % 4 == 2, "tuned": number % 4 == 0}.get(system, number % 3 == 0)
            if system == "closed_book":
                found.add("test", system, id_, {"em": float(right)}, answer=ANSWER)
                continue
            order = [f"p{place}" for place in range(8)]
            found.add("test", system, id_, {"nDCG@5": value / 4}, passage_ids=order, scores=[0] * 8)
            for depth in DEPTHS:
                answer = None if depth == 3 else ANSWER
                numbers = {f"em@{depth}": float(right)}
                found.add("test", system, id_, numbers, **{f"answer@{depth}": answer})
    found.note("test", of_questions=questions + 3, left_out={"without candidates": 3})
    folder.mkdir(parents=True, exist_ok=True)
    found.write(folder)
    return folder
