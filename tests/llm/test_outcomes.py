"""Outcomes: what counts as empty, and what to do about answers of no use."""

from __future__ import annotations

from pathlib import Path

import pytest

from radio.llm.outcomes import kept_as_they_are, outcome_of, whole_text
from radio.schema import InputError
from tests.llm.asking import APIS, ask, failures, questions, rows, writer
from tests.llm_server import serve


@pytest.mark.parametrize(
    ("text", "outcome", "expected"),
    [
        ("Because.", "written", "written"),
        (" \n", "written", "empty"),
        ("", "refused", "refused"),
        ("", "truncated", "truncated"),
    ],
)
def test_a_blank_answer_is_empty_unless_there_is_a_reason_for_it(
    text: str, outcome: str, expected: str
) -> None:
    assert outcome_of(text, outcome) == expected


def test_half_a_character_becomes_one_that_can_be_encoded() -> None:
    assert whole_text("lamp \ud83d") == "lamp \N{REPLACEMENT CHARACTER}"
    assert whole_text("lamp \ud83d\udca1") == "lamp \U0001f4a1"


def test_the_advice_fits_the_outcomes() -> None:
    said = kept_as_they_are({"refused": 1200, "truncated": 3})
    assert said.startswith("1,200 refused, 3 truncated: such answers are kept")
    assert "raise max_tokens" in said
    assert "radio cache prune --outcome refused --yes" in said
    assert "raise max_tokens" not in kept_as_they_are({"empty": 1})


@pytest.mark.parametrize("api", APIS)
@pytest.mark.usefixtures("impatient")
def test_pages_are_asked_again_and_empty_or_cut_replies_are_kept_and_paid_for_once(
    api: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faults = ("--faults", "0.5", "--kinds", "html", "empty", "cut")
    with serve(tmp_path, *faults) as server:
        asked = questions(120)
        counts = ask(writer(api, server.url), asked, tmp_path)
        first = server.stats()
        failed = failures(tmp_path)
        assert sum(counts.values()) == 120, "each is an answer or a named failure"
        assert len(failed) == counts["failed"] < 20
        assert all("unreadable answer from" in error for error in failed.values())
        assert first["faults"]["html"] > counts["failed"] * 3, "most pages were asked again"
        assert counts["empty"] == first["faults"]["empty"] > 0
        assert counts["truncated"] == first["faults"]["cut"] > 0
        assert f"{counts['empty']} empty" in capsys.readouterr().err
        # the next run asks for those that failed alone
        again = ask(writer(api, server.url), asked, tmp_path)
        assert again["cached"] == 120 - counts["failed"]
        assert set(server.stats()["paid"].values()) == {1}


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize(("kind", "outcome"), [("empty", "empty"), ("cut", "truncated")])
def test_a_server_that_gives_nothing_of_use_is_not_asked_for_the_rest(
    api: str, kind: str, outcome: str, tmp_path: Path
) -> None:
    with serve(tmp_path, "--faults", "1.0", "--kinds", kind) as server:
        with pytest.raises(InputError, match=f"of no use so far.*{outcome}"):
            ask(writer(api, server.url, concurrency=4), questions(60), tmp_path)
        stats = server.stats()
    assert len(stats["paid"]) < 60
    stored = [row["outcome"] for row in rows(tmp_path)]
    assert len(stored) == len(stats["paid"]), "what was paid for is kept"
    if outcome == "truncated":
        assert set(stored) == {outcome}
