"""Prompts and files of marks as editors and crashes leave them; answers of a generator that are
empty."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from radio.cache import Cache
from radio.callbacks import GeneratorInTheLoop
from radio.generators import Generator, Prompt
from radio.rationales import PromptTemplate
from radio.rationales.marks import Mark, read_marks
from radio.schema import InputError, Question

PROMPT = "=== system\nBe brief.\n=== user\nQuestion: {question}\n"


def test_a_prompt_with_a_byte_order_mark_is_the_same_prompt(tmp_path: Path) -> None:
    plain, marked = tmp_path / "plain.txt", tmp_path / "marked.txt"
    plain.write_text(PROMPT, encoding="utf-8")
    marked.write_text(PROMPT.replace("\n", "\r\n"), encoding="utf-8-sig", newline="")
    assert PromptTemplate(str(marked)).fingerprint == PromptTemplate(str(plain)).fingerprint


@pytest.mark.parametrize("name", ["latin.txt", "./" + "x" * 300, "folder", "gone.txt"])
def test_a_prompt_that_cannot_be_read_is_one_message(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("latin.txt").write_bytes(PROMPT.replace("brief", "pr\xe9cis").encode("latin-1"))
    Path("folder").mkdir()
    with pytest.raises(
        InputError, match=r"not UTF-8 text|cannot be read|expected one of"
    ) as caught:
        PromptTemplate(f"./{name}")
    assert len(str(caught.value)) < 600


def mark(note: str) -> bytes:
    row = {
        "id": "q1",
        "rationale": "f",
        "mark": "correct",
        "note": note,
        "annotator": "ada",
        "time": "t",
    }
    return json.dumps(row, ensure_ascii=False).encode()


@pytest.mark.parametrize("note", ["a\u2028b", "a\x85b", "plain"])
def test_marks_are_split_at_newlines_alone_and_take_a_byte_order_mark(
    note: str, tmp_path: Path
) -> None:
    path = tmp_path / "ada.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + mark(note) + b"\r\n" + mark(note) + b"\n")
    assert read_marks(path) == {("q1", "f"): Mark("correct", note, "t")}


@pytest.mark.parametrize("line", [b"[" * 200_000, b"\xff", b"9" * 5000, b"{}"])
def test_a_broken_mark_is_named_unless_a_crash_has_cut_it_off(line: bytes, tmp_path: Path) -> None:
    path = tmp_path / "ada.jsonl"
    path.write_bytes(mark("one") + b"\n" + line + b"\n")
    with pytest.raises(InputError, match=r"ada\.jsonl:2: found"):
        read_marks(path)
    path.write_bytes(mark("one") + b"\n" + line)
    assert len(read_marks(path)) == 1


class Silent(Generator):
    def answer(self, prompts: Sequence[Prompt]) -> list[str]:
        return ["" if prompt.question.id != "q0" else "Ada" for prompt in prompts]


def test_a_generator_that_mostly_answers_nothing_is_a_warning_with_what_to_do(
    tmp_path: Path,
) -> None:
    prompts = [Prompt(Question(f"q{n}", f"Who lit lamp {n}?", ("Ada",)), ()) for n in range(12)]
    cache = Cache(tmp_path / "radio.sqlite")
    match = (
        r"Silent: 11 of 12 answers are empty.*radio cache prune --kind answer --outcome empty --yes"
    )
    with pytest.warns(UserWarning, match=match):
        answers = GeneratorInTheLoop(Silent())._ask(prompts, cache)
    assert answers == ["Ada", *[""] * 11]
