"""Usefulness by a language model: probabilities against an oracle, words that are read, and none
that is paid for twice."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from radio.cache import Cache
from radio.llm.anthropic import AnthropicModel
from radio.llm.base import Call, LanguageModel, Likelihood
from radio.llm.openai import OpenAIModel
from radio.llm.transformers import TransformersModel
from radio.schema import InputError, RetrievedPassage
from radio.teachers import Lesson, Utility, checked_scores, needs, utility
from radio.teachers.utility import verdict
from tests.conftest import entries
from tests.llm_server import serve
from tests.llm_wire import KEY
from tests.teachers.cases import QUESTION, RATIONALE
from tests.teachers.judges import Judge, lesson


class Counted(TransformersModel):
    """Counts the prompts that it judges, and is interrupted when its lives are over."""

    prompts = 0
    lives = 10_000

    def log_likelihood(
        self, calls: Sequence[Call], continuations: Sequence[str]
    ) -> list[Likelihood]:
        if self.lives == 0:
            raise KeyboardInterrupt
        self.lives -= 1
        self.prompts += len({call.key for call in calls})
        return super().log_likelihood(calls, continuations)


def local(folder: str) -> Counted:
    return Counted(folder, accelerator="cpu", dtype="float32", batch_size=4)


def scored(teacher: Utility, work: Sequence[Lesson], cache: Cache) -> list[list[float]]:
    return list(checked_scores(teacher, work, cache))


def passages(*texts: str) -> list[RetrievedPassage]:
    return [RetrievedPassage(f"p{n}", text, n, -float(n)) for n, text in enumerate(texts)]


TEXTS = ("harbour lamp", "Lamp\ntide and keeper " * 30, "gull", "storm wind rope bell", "gull")


def test_a_local_model_gives_the_probability_of_yes(tiny_generator: str, cache: Cache) -> None:
    teacher = Utility(local(tiny_generator), show="both")
    work = [
        Lesson(QUESTION, RATIONALE, passages(*TEXTS)),
        Lesson(QUESTION, RATIONALE, passages("bell")),
    ]
    found = scored(teacher, work, cache)
    tokenizer = AutoTokenizer.from_pretrained(tiny_generator)
    network = AutoModelForCausalLM.from_pretrained(tiny_generator, dtype=torch.float64)
    yes, no = tokenizer.convert_tokens_to_ids(["yes", "no"])
    for one, scores in zip(work, found, strict=True):
        for passage, score in zip(one.passages, scores, strict=True):
            call = teacher._call(one, [passage])
            ids = tokenizer(f"{call.system}\n\n{call.user}", return_tensors="pt")["input_ids"]
            with torch.no_grad():
                logits = network(ids).logits[0, -1].numpy()
            pair = np.exp(logits[[yes, no]] - logits.max())
            assert score == pytest.approx(pair[0] / pair.sum(), abs=1e-5)
    assert len({round(score, 6) for score in found[0]}) == 4
    # equal texts
    assert found[0][2] == found[0][4]


def test_scores_stay_with_their_passages(tiny_generator: str, cache: Cache) -> None:
    model = local(tiny_generator)
    teacher = Utility(model)
    (scores,) = scored(teacher, [Lesson(QUESTION, None, passages(*TEXTS))], cache)
    assert model.prompts == 4
    order = [3, 0, 4, 2, 1]
    moved = [passages(*TEXTS)[place] for place in order]
    assert scored(teacher, [Lesson(QUESTION, None, moved)], cache) == [[scores[p] for p in order]]
    few = [Lesson(QUESTION, None, moved[:1]), Lesson(QUESTION, None, [])]
    assert scored(teacher, few, cache) == [[scores[3]], []]
    assert model.prompts == 4
    assert entries(cache) == {"judgement": 4}


def test_a_kill_loses_one_part(
    tiny_generator: str, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(utility, "PART", 2)
    model = local(tiny_generator)
    model.lives = 2
    work = [lesson("q0", range(4)), lesson("q1", range(3))]
    with pytest.raises(KeyboardInterrupt):
        scored(Utility(model), work, cache)
    assert entries(cache) == {"judgement": 4}
    model.lives = 10
    found = scored(Utility(model), work, cache)
    assert model.prompts == 7
    assert [len(scores) for scores in found] == [4, 3]


def test_a_long_passage_is_cut_and_what_is_still_too_long_is_named(
    tiny_generator: str, cache: Cache
) -> None:
    long = passages("tide " * 400 + "bell", "tide " * 400 + "gull")
    work = [Lesson(QUESTION, None, long)]
    (alike,) = scored(Utility(local(tiny_generator), passage_words=399), work, cache)
    assert alike[0] == alike[1]
    (others,) = scored(Utility(local(tiny_generator), passage_words=401), work, cache)
    assert others[0] != others[1]
    small = Counted(tiny_generator, accelerator="cpu", dtype="float32", max_length=200)
    with pytest.raises(InputError, match=r"question 'q1': the prompt has .*more than max_l"):
        scored(Utility(small), work, Cache(cache.path.parent / "b.sqlite"))


@pytest.mark.parametrize("api", ["anthropic", "openai"])
def test_an_api_says_yes_or_no_and_what_says_neither_is_counted_aloud(
    api: str,
    cache: Cache,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    texts = ("Answer: yes", "Lamp\nAnswer: no", "Answer: perhaps", "Answer: yes")
    with serve(tmp_path, "--find", r"Answer: \w+") as server:
        model: LanguageModel
        if api == "anthropic":
            model = AnthropicModel("claude-test", base_url=server.url)
        else:
            model = OpenAIModel("gpt-test", base_url=f"{server.url}/v1")
        teacher = Utility(model)
        work = [Lesson(QUESTION, None, passages(*texts))]
        assert scored(teacher, work, cache) == [[1, 0, 0.5, 1]]
        assert scored(Utility(model), work, cache) == [[1, 0, 0.5, 1]]
        paid = sum(server.stats()["paid"].values())
    assert paid == 3
    assert teacher.counts == {"yes": 2, "no": 1, "unreadable": 1}
    said = f"1 of 4 replies of {model.model} say neither yes nor no, and count as 0.5"
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("yes", "yes"),
        ("No.", "no"),
        ("**Yes**, since it names him", "yes"),
        ("<think>no, no</think>\nyes", "yes"),
        ("It names him.\nJudgement: yes", "yes"),
        ("It has no date. My judgment is: No", "no"),
        ("The answer is yes", "yes"),
        ("Judgement: no. Wait.\nJudgement: yes", "yes"),
        ("There is no date in it, though yes may be said", None),
        ("Nobody knows", None),
        ("Yesterday", None),
        ("", None),
    ],
)
def test_a_reply_is_read_where_it_begins_or_names_its_judgement(
    reply: str, expected: str | None
) -> None:
    assert verdict(reply) == expected


@pytest.mark.parametrize("lives", [0, 3])
def test_replies_before_a_kill_are_not_asked_for_again(lives: int, cache: Cache) -> None:
    judge = Judge(lambda prompt: "yes" if "worth 3" in prompt else "no", lives)
    work = [lesson("q0", [3, 4]), lesson("q1", [5, 3, 6])]
    with pytest.raises(KeyboardInterrupt):
        scored(Utility(judge), work, cache)
    judge.lives = 10
    assert scored(Utility(judge), work, cache) == [[1, 0], [0, 1, 0]]
    assert len(judge.asked) == len(set(judge.asked)) == 5


def test_a_question_of_which_a_call_fails_is_named_when_all_others_are_asked(cache: Cache) -> None:
    judge = Judge(lambda prompt: "yes")
    work = [lesson("q0", [1, 2]), lesson("q1", [1, 2], "fail"), lesson("q2", [1, 2])]
    with pytest.raises(InputError, match=r"Utility: judge gave no reply about 1 of 3 .*\(q1: out"):
        scored(Utility(judge), work, cache)
    assert len(judge.asked) == 4
    judge.broken = False
    assert scored(Utility(judge), work, cache) == [[1, 1]] * 3
    assert len(judge.asked) == 6


def test_needs_and_keys(tiny_generator: str) -> None:
    judge = Judge(lambda prompt: "yes")
    assert needs(Utility(judge)) == ["generator (judge)"]
    assert needs(Utility(judge, show="answers")) == ["golden answers", "generator (judge)"]
    assert Utility(judge, show="rationale").needs_rationale
    with pytest.raises(RuntimeError, match=r"call score_all\(work, cache\)"):
        Utility(judge).score(QUESTION, None, [])
    teachers = [
        Utility(judge),
        Utility(judge, "listwise"),
        Utility(judge, show="answers"),
        Utility(judge, passage_words=9),
        Utility(TransformersModel(tiny_generator)),
        Utility(TransformersModel(tiny_generator, dtype="bfloat16")),
    ]
    assert len({teacher.fingerprint() for teacher in teachers}) == len(teachers)
    same = Utility(TransformersModel(tiny_generator, batch_size=3, max_tokens=7))
    assert same.fingerprint() == teachers[4].fingerprint()
