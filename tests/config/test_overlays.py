"""A teacher out of a config file."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from radio.config.overlays import teacher_of
from radio.config.shipped import shipped_configs
from radio.schema import InputError
from radio.teachers import AnswerMatch, Gated

GATED = """
data:
  init_args:
    tied_questions: drop
    teacher:
      class_path: Gated
      init_args:
        floor: 0.3
        teacher: RetrievalScore
model:
  init_args:
    lr: 1.0
"""


@pytest.mark.parametrize("name", [n for n in shipped_configs() if n.startswith("teachers/")])
def test_every_shipped_overlay_has_a_teacher(name: str) -> None:
    stem, teacher = teacher_of(name)
    assert name == f"teachers/{stem}"
    assert teacher.fingerprint() == teacher_of(stem)[1].fingerprint()


@pytest.mark.parametrize(
    "text",
    [
        GATED,
        "data.init_args.teacher: {class_path: Gated, init_args: {floor: 0.3, teacher: "
        "RetrievalScore}}",
        "data: {teacher: {class_path: radio.teachers.Gated, floor: 0.3, teacher: RetrievalScore}}",
    ],
)
def test_a_file_is_read_as_a_config_is(text: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    name, teacher = teacher_of(str(path))
    assert name == "mine"
    assert isinstance(teacher, Gated)
    assert teacher.floor == 0.3


def test_a_file_of_the_user_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("gated.yaml").write_text("data.init_args.teacher: AnswerMatch")
    assert isinstance(teacher_of("gated.yaml")[1], AnswerMatch)
    assert isinstance(teacher_of("gated")[1], AnswerMatch)
    # named with its folder it is the shipped one
    assert isinstance(teacher_of("teachers/gated")[1], Gated)


OWN = """
from radio.teachers import Teacher


class Longest(Teacher):
    needs_rationale = False

    def __init__(self, power: float = 1.0):
        self.power = power

    def score(self, question, rationale, passages):
        longest = max(len(passage.contents) for passage in passages)
        return [(len(passage.contents) / longest) ** self.power for passage in passages]
"""


def test_a_teacher_of_the_user_goes_by_its_class_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_teacher.py").write_text(OWN)
    (tmp_path / "longest.yaml").write_text(
        "data.init_args.teacher: {class_path: own_teacher.Longest, init_args: {power: 2.0}}"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "own_teacher", raising=False)
    name, teacher = teacher_of(str(tmp_path / "longest.yaml"))
    assert (name, type(teacher).__name__) == ("longest", "Longest")
    assert teacher.depends_on() == {"power": 2.0}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model: {init_args: {lr: 1}}", "mine.yaml: found no data.init_args.teacher, expected one"),
        (GATED.replace("floor", "flor"), r"key 'data.init_args.teacher.init_args.flor': unknown"),
        (GATED.replace("0.3", "high"), r"init_args.floor': found 'high', expected float"),
        (GATED.replace("0.3", "3"), "Gated: floor: found 3.0, expected a number between 0 and 1"),
        (GATED.replace("Gated", "Gate"), "found 'Gate', expected a Teacher: one of .*AnswerMatch"),
        ("data.init_args.teacher: Teacher", "which is no class to use"),
        ("data.init_args.teacher.init_args.floor: 0.1", "no class is given that takes it"),
    ],
)
def test_a_mistake_names_file_and_key(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        teacher_of(str(path))


def test_a_name_that_is_none_is_answered_with_the_one_that_is_meant() -> None:
    with pytest.raises(InputError, match=r"--teachers gatd: no such file.*did you mean .*gated"):
        teacher_of("gatd")
