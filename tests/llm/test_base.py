"""The contract of language models: calls are small until they are looked at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from radio.cache import Cache
from radio.llm.base import Call, LanguageModel, Likelihood, Result
from radio.schema import InputError


class Silent(LanguageModel):
    def complete(self, calls: Sequence[Call], cache: Cache) -> Iterator[Result]:
        yield from ()

    def estimate(self, calls: Sequence[Call]) -> str:
        return ""


def test_a_prompt_is_made_when_it_is_looked_at_and_once_while_it_is_under_way() -> None:
    made: list[str] = []

    def write() -> str:
        made.append("user")
        return "Why?"

    call = Call("k", "q", "Be brief.", write)
    assert made == []
    under_way = call.written_out()
    assert [under_way.user, under_way.user] == ["Why?", "Why?"]
    assert made == ["user"]
    assert (under_way.key, under_way.question_id, under_way.system) == ("k", "q", "Be brief.")


@pytest.mark.parametrize(
    ("outcome", "tokens", "outdated"),
    [("truncated", 9, True), ("truncated", 10, False), ("written", 9, False)],
)
def test_an_answer_that_was_cut_off_is_outdated_once_it_may_be_longer(
    outcome: str, tokens: int, outdated: bool
) -> None:
    model = Silent("m", None, max_tokens=10)
    assert model.outdated(outcome, {"output": tokens}) == outdated


def test_an_answer_depends_on_the_model_and_its_sampling_and_not_on_the_limit() -> None:
    model = Silent("m", {"top_p": 0.9}, max_tokens=10)
    assert model.depends_on() == {"model": "m", "sampling": {"top_p": 0.9}}
    assert Silent("m", None, max_tokens=99).depends_on() == {"model": "m", "sampling": {}}


def test_a_limit_of_nothing_is_refused_in_a_class_of_ones_own_too() -> None:
    with pytest.raises(InputError, match="Silent: max_tokens: found 0, expected a whole number"):
        Silent("m", None, max_tokens=0)


def test_a_model_without_probabilities_says_which_one_to_take() -> None:
    call = Call("k", "q", "", lambda: "Why?")
    with pytest.raises(InputError, match=r"Silent gives no probabilities .*TransformersModel"):
        Silent("m", None, 9).log_likelihood([call], ["fog"])
    with pytest.raises(InputError, match=r"Silent gives no probabilities .*TransformersModel"):
        list(Silent("m", None, 9).judged([call], ["fog"], [call], 0.5))


def test_what_a_model_of_ones_own_judges_comes_by_number() -> None:
    class Judging(Silent):
        def log_likelihood(
            self, calls: Sequence[Call], continuations: Sequence[str]
        ) -> list[Likelihood]:
            return [Likelihood(-float(len(text)), 1) for text in continuations]

    calls = [Call("k", "q", "", lambda: "Why?")] * 2
    found = list(Judging("m", None, 9).judged(calls, ["fog", "lamps"]))
    assert found == [(0, Likelihood(-3.0, 1)), (1, Likelihood(-5.0, 1))]
