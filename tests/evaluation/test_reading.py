"""Reading: each distinct question and passages is asked about once, what failed is left out of all
systems, and the closed book tells what the passages changed."""

from __future__ import annotations

from collections.abc import Sequence

from radio.evaluation.measure import Numbers
from radio.evaluation.reading import Readings, compared_with_memory, read, sample
from radio.generators import Answer, Prompt
from radio.llm.base import Failure
from radio.schema import Candidate, Example, Passage, Question, Run

PASSAGES = {name: Passage(name, f"Title\n{name}") for name in "abc"}
QUESTIONS = ("q0", "q1", "q2")
EXAMPLES = {
    name: Example(Question(name, f"{name}?", ("a",)), (Candidate("a", 0, 1.0),))
    for name in QUESTIONS
}
FORWARDS = {"a": 3.0, "b": 2.0, "c": 1.0}
BACKWARDS = {"a": 1.0, "b": 2.0, "c": 3.0}


class First:
    """Answers with the text of the first passage, or with ``memory`` where there is none."""

    def __init__(self, memory: str = "a", failing: Sequence[str] = ()) -> None:
        self.memory = memory
        self.failing = failing
        self.asked: list[Prompt] = []

    def __call__(self, prompts: list[Prompt]) -> list[Answer | Failure]:
        self.asked += prompts
        found: list[Answer | Failure] = []
        for prompt in prompts:
            question_id = prompt.question.id
            if question_id in self.failing and prompt.passages[:1] == (PASSAGES["c"],):
                found.append(Failure(question_id, "the line is dead"))
                continue
            text = prompt.passages[0].text if prompt.passages else self.memory
            usage = {"input": 10, "cache_read": 5, "output": 2}
            cut = int(len(prompt.passages) > 2)
            cached = question_id == "q0"
            found.append(
                Answer(text, "written", usage, 0.5, 0.25, cut, 7 * cut, cached),
            )
        return found


def judge(prompt: Prompt, answer: Answer) -> tuple[str | None, Numbers]:
    """A reply of ``c`` cannot be read."""
    parsed = None if answer.text == "c" else answer.text
    return parsed, {"em": float(parsed in prompt.question.golden_answers)}


def reading_of(
    ask: First, rankings: dict[str, Run], depths: Sequence[int] = (1,), closed_book: bool = False
) -> Readings:
    return read(
        rankings,
        EXAMPLES,
        PASSAGES,
        depths,
        task="open_qa",
        closed_book=closed_book,
        ask=ask,
        judge=judge,
    )


def test_each_distinct_question_and_passages_is_asked_about_once() -> None:
    first = First()
    run = dict.fromkeys(QUESTIONS, FORWARDS)
    found = reading_of(first, {"base": run, "tuned": {**run, "q1": BACKWARDS}}, (1, 2, 9), True)
    asked_about = {(p.question.id, tuple(q.id for q in p.passages)) for p in first.asked}
    assert len(first.asked) == found.distinct == len(asked_about)
    # three depths of one order each, three more of q1's other order, and the closed book
    assert found.distinct == 3 * 3 + 3 + 3
    assert [r.system for r in found.read] == ["base"] * 9 + ["tuned"] * 9 + ["closed_book"] * 3
    assert {prompt.task for prompt in first.asked} == {"open_qa"}
    assert not found.failed


def test_a_failed_answer_leaves_its_question_out_of_all_systems() -> None:
    first = First(failing=["q1"])
    run = dict.fromkeys(QUESTIONS, FORWARDS)
    found = reading_of(first, {"base": run, "tuned": {**run, "q1": BACKWARDS}}, closed_book=True)
    assert found.failed == {"q1": "the line is dead"}
    for system in ("base", "tuned", "closed_book"):
        ids = [r.prompt.question.id for r in found.read if r.system == system]
        assert ids == ["q0", "q2"]
    assert (found.distinct, len(found.answers)) == (7, 6)


def test_a_question_without_passages_is_not_asked_about_but_for_the_closed_book() -> None:
    first = First()
    run: Run = {"q0": {}}
    (reading,) = reading_of(first, {"tuned": run}).read
    assert not first.asked
    assert (reading.answer.text, reading.numbers) == ("", {"em": 0.0})
    ranked, closed = reading_of(first, {"tuned": run}, closed_book=True).read
    assert len(first.asked) == 1
    assert (ranked.answer.text, closed.answer.text) == ("", "a")
    assert (closed.system, closed.depth) == ("closed_book", 0)


def test_a_gain_is_not_credited_to_memory() -> None:
    rankings = {
        "good": dict.fromkeys(QUESTIONS, FORWARDS),
        "bad": dict.fromkeys(QUESTIONS, BACKWARDS),
    }
    knows = reading_of(First("a"), rankings, closed_book=True).read
    found = compared_with_memory(knows, "em")
    assert found[:3] == [{"made_wrong": 0.0, "made_right": 0.0}] * 3
    assert found[3:6] == [{"made_wrong": 1.0, "made_right": 0.0}] * 3
    assert found[6:] == [{}] * 3
    ignorant = reading_of(First("?"), rankings, closed_book=True).read
    found = compared_with_memory(ignorant, "em")
    assert found[:3] == [{"made_wrong": 0.0, "made_right": 1.0}] * 3
    assert found[3:6] == [{"made_wrong": 0.0, "made_right": 0.0}] * 3
    assert compared_with_memory(reading_of(First(), rankings).read, "em") == [{}] * 6


def test_a_sample_hangs_on_the_ids_alone() -> None:
    ids = [f"q{number}" for number in range(100)]
    taken = sample(ids, 20)
    assert len(taken) == 20
    assert sample(ids[::-1], 20) == taken
    # more questions of the same kind push out some, and bring back none
    assert sample(ids, 10) < taken
    assert sample(ids, None) == sample(ids, 100) == set(ids)
    assert taken != set(ids[:20])
