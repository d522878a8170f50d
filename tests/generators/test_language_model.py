"""Language models as generators: what they are asked, what is kept, and what keys depend on."""

from __future__ import annotations

from pathlib import Path

import pytest

from radio.cache import Cache
from radio.generators import (
    Answer,
    AnthropicGenerator,
    LanguageModelGenerator,
    OpenAIGenerator,
    Prompt,
    TransformersGenerator,
    ask,
)
from radio.llm.base import Failure
from radio.schema import InputError, Passage, Question
from tests.llm_server import serve
from tests.llm_wire import KEY

QUESTION = Question("q", "Who lit the lamp?", ("Ada",), ("Ada", "Bo"))
PASSAGES = (Passage("p1", "Lamps\nAda lit it."), Passage("p2", "Bo <b>slept</b>."))
PRICES = {"gpt-test": {"input": 1.0, "output": 5.0}}


def local(folder: str, **options: object) -> TransformersGenerator:
    return TransformersGenerator(folder, accelerator="cpu", dtype="float32", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("api", ["anthropic", "openai"])
def test_a_reply_is_kept_as_it_came_with_tokens_time_and_money(
    api: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with serve(tmp_path) as server:
        generator: LanguageModelGenerator
        if api == "anthropic":
            generator = AnthropicGenerator("claude-test", base_url=server.url)
        else:
            generator = OpenAIGenerator("gpt-test", base_url=f"{server.url}/v1", prices=PRICES)
        cache = Cache(tmp_path / "radio.sqlite")
        (first,) = ask(generator, [Prompt(QUESTION, PASSAGES)], cache)
        (again,) = ask(generator, [Prompt(QUESTION, PASSAGES)], cache)
    assert isinstance(first, Answer)
    assert first.text
    assert first.usage["input"] > 0
    assert first.seconds > 0
    assert (first.dollars is not None) == (api == "openai")
    assert isinstance(again, Answer)
    assert (again.cached, again.text, again.usage) == (True, first.text, first.usage)


@pytest.mark.parametrize("kind", ["tiny_generator", "tiny_t5"])
def test_models_on_this_machine_of_both_kinds_answer_in_the_order_of_the_prompts(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    folder: str = request.getfixturevalue(kind)
    prompts = []
    for number in range(5):
        question = Question(f"q{number}", "Who lit the lamp? " * (number + 1))
        prompts.append(Prompt(question, PASSAGES[: number % 3]))
    together = ask(local(folder, max_tokens=8), prompts, Cache(tmp_path / "a.sqlite"))
    for prompt, answer in zip(prompts, together, strict=True):
        (alone,) = ask(local(folder, max_tokens=8), [prompt], Cache(tmp_path / "b.sqlite"))
        assert isinstance(alone, Answer)
        assert isinstance(answer, Answer)
        assert (alone.text, alone.usage) == (answer.text, answer.usage)


def test_a_window_drops_whole_passages_and_says_how_many(
    tiny_generator: str, tmp_path: Path
) -> None:
    passages = tuple(Passage(str(n), "the lamp " * 20) for n in range(5))
    prompt = Prompt(Question("q", "Who?"), passages)
    whole = local(tiny_generator, max_tokens=4, max_length=100_000)
    template = whole._template(prompt)
    two = template.render(prompt.question, passages[:2])
    limit = whole._language_model.prompt_tokens(template.system, two)
    generator = local(tiny_generator, max_tokens=4, max_length=limit)
    (answer,) = ask(generator, [prompt], Cache(tmp_path / "radio.sqlite"))
    assert isinstance(answer, Answer)
    assert (answer.passages_cut, answer.tokens_cut) == (3, 0)
    assert answer.usage["input"] == limit


def test_a_window_of_no_use_is_a_failure_with_the_reason(
    tiny_generator: str, tmp_path: Path
) -> None:
    generator = local(tiny_generator, max_length=8)
    (result,) = ask(generator, [Prompt(QUESTION, PASSAGES)], Cache(tmp_path / "radio.sqlite"))
    assert isinstance(result, Failure)
    assert "question and instruction have" in result.error
    with pytest.raises(InputError, match="question 'q': question and instruction have"):
        generator.answer([Prompt(QUESTION, PASSAGES)])


def test_a_key_is_of_what_is_read_and_of_who_reads_it(tiny_generator: str, tmp_path: Path) -> None:
    generator = local(tiny_generator)
    key = generator.key(Prompt(QUESTION, PASSAGES))
    same = Question("other", QUESTION.question, ("Cy",), QUESTION.choices, {"level": 1})
    renamed = tuple(Passage(f"x{passage.id}", passage.contents) for passage in PASSAGES)
    assert generator.key(Prompt(same, renamed)) == key
    # a limit that cuts nothing, and places to compute in, change no answer
    assert local(tiny_generator, max_length=500, batch_size=2).key(
        Prompt(QUESTION, PASSAGES)
    ) == generator.key(Prompt(QUESTION, PASSAGES))
    own = tmp_path / "own.txt"
    own.write_text("=== user\n{passages}\n{question}\n", encoding="utf-8")
    others = [
        generator.key(Prompt(QUESTION, PASSAGES[::-1])),
        generator.key(Prompt(QUESTION, PASSAGES[:1])),
        generator.key(Prompt(QUESTION, ())),
        generator.key(Prompt(QUESTION, PASSAGES, "multiple_choice")),
        local(tiny_generator, sampling={"do_sample": True}).key(Prompt(QUESTION, PASSAGES)),
        local(tiny_generator, prompt=str(own)).key(Prompt(QUESTION, PASSAGES)),
        local(tiny_generator, stop=["."]).key(Prompt(QUESTION, PASSAGES)),
    ]
    assert len({key, *others}) == 1 + len(others)


def test_the_task_chooses_the_prompt_and_a_prompt_of_ones_own_takes_its_place(
    tiny_generator: str, tmp_path: Path
) -> None:
    own = tmp_path / "own.txt"
    own.write_text("=== user\nMy way: {passages} {question}\n", encoding="utf-8")
    shipped, mine = local(tiny_generator), local(tiny_generator, prompt=str(own))
    for task in ("open_qa", "multiple_choice", "fact_verification", "multi_hop"):
        assert shipped._template(Prompt(QUESTION, PASSAGES, task)).name == task
        assert mine._template(Prompt(QUESTION, PASSAGES, task)).name == str(own)
        closed = mine._template(Prompt(QUESTION, (), task)).name
        assert closed.startswith("closed_book")


def test_mistakes_show_themselves_before_anything_is_loaded(tmp_path: Path) -> None:
    blind = tmp_path / "blind.txt"
    blind.write_text("=== user\n{question}\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"has no \{passages\}"):
        TransformersGenerator("nowhere", prompt=str(blind))
    with pytest.raises(InputError, match="prompt: found 'poem', expected one of"):
        TransformersGenerator("nowhere", prompt="poem")
    with pytest.raises(InputError, match="task: found 'poem'"):
        TransformersGenerator("nowhere").key(Prompt(QUESTION, PASSAGES, "poem"))
