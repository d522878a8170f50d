"""What a writer of rationales is: its keys change only with what they stand for, and what the cache
keeps of a rationale is read again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from radio.cache import Cache
from radio.rationales import RationaleWriter, Request, read
from radio.rationales.base import to_row
from radio.schema import Question, Rationale

QUESTION = Question("q1", "Why do ships ring a bell in fog?", ("to warn others",))


class Template(RationaleWriter):
    def __init__(self, prompt: str) -> None:
        self.prompt = prompt

    def write(self, requests: Sequence[Request], cache: Cache) -> Iterator[Rationale]:
        for request in requests:
            yield Rationale(request.question.id, self.prompt.format(request.question.question))


def test_a_request_is_paid_again_only_if_what_is_asked_changes() -> None:
    writer, question = Template("Why? {}"), QUESTION
    key = writer.key(question)
    assert Template("Why? {}").key(replace(question, id="other")) == key
    others = [
        # a writer of one's own may read them
        writer.key(replace(question, metadata={"hops": 2})),
        Template("How? {}").key(question),
        writer.key(replace(question, question="Why do ships ring?")),
        writer.key(replace(question, golden_answers=("to warn",))),
        writer.key(replace(question, choices=("a", "b"))),
    ]
    assert len({key, *others}) == 6


def test_a_row_of_the_cache_is_the_rationale_for_whoever_asks(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "radio.sqlite")
    rationale = Rationale(
        "q1", "Sound carries.", "m", "p", {"output": 5}, "truncated", {"id": "msg_1"}
    )
    blank = replace(rationale, text="  ", outcome="written")
    both = replace(rationale, others=("So they say.",))
    rows = {"k1": rationale, "k2": blank, "k4": both}
    cache.put_json("rationale", {key: to_row(QUESTION, row) for key, row in rows.items()})
    keys = {"q1": "k1", "other": "k1", "blank": "k2", "missing": "k3", "both": "k4"}
    found = read(keys, cache)
    assert found["both"].texts == ("Sound carries.", "So they say.")
    # the server's answer stays in the cache
    assert found["q1"] == replace(rationale, response={})
    assert found["other"] == replace(found["q1"], question_id="other")
    assert found["blank"].outcome == "empty"
    assert "missing" not in found
