"""Answers that teach nothing: counted, kept, and not paid for to the end."""

from __future__ import annotations

from pathlib import Path

import pytest

from radio.cache import Cache
from radio.llm.base import Call, Failure, Reply
from radio.llm.tally import HOPELESS, Tally
from radio.schema import InputError
from tests.conftest import entries
from tests.llm.other_servers import APIS, ask, completion, server, writer

pytest.importorskip("openai", reason="the extra `openai` is not installed")
pytestmark = pytest.mark.usefixtures("impatient")


@pytest.mark.parametrize("api", APIS)
def test_empty_answers_are_counted_as_such_with_what_to_do(
    api: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with server(lambda path: ("application/json", completion(api, "  "))) as other:
        assert ask(writer(api, other.url), 12, tmp_path) == {"empty": 12, "cached": 0}
        assert ask(writer(api, other.url), 12, tmp_path) == {"cached": 12}
    said = capsys.readouterr().err
    assert (
        "12 empty: such answers are kept and not asked for again; take another model or prompt"
        in said
    )
    assert "radio cache prune --outcome empty --yes" in said
    rows = [row for _, row in Cache(tmp_path / "radio.sqlite").items_json("rationale")]
    assert {row["outcome"] for row in rows} == {"empty"}


@pytest.mark.parametrize("api", APIS)
def test_a_model_that_answers_nothing_of_use_is_not_paid_for_to_the_end(
    api: str, tmp_path: Path
) -> None:
    with server(lambda path: ("application/json", completion(api, None))) as other:
        with pytest.raises(InputError, match=r"of no use so far.*empty: such answers are kept"):
            ask(writer(api, other.url, concurrency=4), 500, tmp_path)
        asked = sum(count for path, count in other.calls.items() if "count" not in path)
    assert HOPELESS <= asked <= HOPELESS + 4
    # and each of them is kept
    assert entries(Cache(tmp_path / "radio.sqlite"))["rationale"] == asked


@pytest.mark.parametrize("api", APIS)
def test_half_a_character_at_the_end_of_an_answer_loses_nothing(api: str, tmp_path: Path) -> None:
    body = completion(api, "Because of the lamp \U0001f4a1").replace("\\ud83d\\udca1", "\\ud83d")
    with server(lambda path: ("application/json", body)) as other:
        assert ask(writer(api, other.url), 1, tmp_path)["written"] == 1
    (row,) = [row for _, row in Cache(tmp_path / "radio.sqlite").items_json("rationale")]
    assert row["rationale"] == "Because of the lamp \N{REPLACEMENT CHARACTER}"


def test_twenty_failures_in_a_row_end_the_run_and_an_answer_in_between_begins_anew() -> None:
    tally, call = Tally("m"), Call("k", "q", "", str)
    for _ in range(2):
        for _ in range(HOPELESS - 1):
            assert tally.failure(call, "too long") == Failure("q", "too long")
        tally.answer(Reply("Because.", "written", {}))
    for _ in range(100):
        tally.lost(call, "expired")
    assert tally.failed == 2 * (HOPELESS - 1) + 100
    for _ in range(HOPELESS - 1):
        tally.failure(call, "x")
    with pytest.raises(InputError, match="m: 20 questions in a row failed, the last one with: x"):
        tally.failure(call, "x")


def test_one_answer_of_use_is_reason_enough_to_go_on() -> None:
    tally = Tally("m")
    for _ in range(HOPELESS):
        tally.answer(Reply("I cannot.", "refused", {}))
    assert tally.all_useless
    with pytest.raises(InputError, match=r"m: of no use so far.*20 refused: such answers are kept"):
        tally.check_use()
    tally.answer(Reply("Because.", "written", {}))
    tally.check_use()
