"""The measurements for a GPU: that both sides of each row do the same work, and the accounting."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from benchmarks.gpu import __main__ as script
from benchmarks.gpu import attention, cross_encoder, teacher, yes_no
from benchmarks.gpu.measure import Rate, Row, Step, Work, best, judge, rate
from benchmarks.gpu.shapes import SHAPES, forward_flops, groups, model_folder
from radio.cache import Cache
from radio.losses import InfoNCE
from radio.rerankers import CrossEncoder
from tests.conftest import ROOT


class Watch:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def timed(watch: Watch, tmp_path: Path) -> Work:
    """A full-size measurement on a processor, 100 seconds long."""
    return Work("cpu", False, tmp_path, 100, watch)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Work:
    return Work("cpu", True, tmp_path_factory.mktemp("gpu"), 600)


def lasting(watch: Watch, seconds: float, items: int = 10) -> Step:
    def step() -> int:
        watch.time += seconds
        return items

    return step


def setting(step: Step) -> Callable[[], object]:
    @contextmanager
    def made() -> Iterator[Step]:
        yield step

    return made


def test_a_rate_is_of_the_steps_after_the_first_until_its_time_is_up(
    watch: Watch, timed: Work
) -> None:
    durations = iter([50.0, 1.0, 1.0, 1.0, 1.0, 1.0])

    def step() -> int:
        watch.time += next(durations)
        return 10

    assert rate(timed, step, seconds=2.5) == pytest.approx(10)
    # the slow first step, and three until 2.5 seconds were over
    assert len(list(durations)) == 2


def test_the_best_setting_is_kept_and_those_that_failed_are_named(
    watch: Watch, timed: Work
) -> None:
    def fails(error: Exception) -> Step:
        def step() -> int:
            raise error

        return step

    notes: list[str] = []
    settings = {
        "slow": setting(lasting(watch, 0.5)),
        "large": setting(fails(torch.OutOfMemoryError("CUDA out of memory"))),
        "fast": setting(lasting(watch, 0.25)),
        "absent": setting(fails(ImportError("flash_attn is not installed"))),
    }
    found = best(timed, settings, notes)  # type: ignore[arg-type]
    assert found is not None
    assert found.setting == "fast"
    assert found.value == pytest.approx(40)
    assert notes == [
        "large: out of memory",
        "absent: failed, ImportError: flash_attn is not installed",
    ]


def test_a_setting_for_which_no_time_is_left_is_named(watch: Watch, timed: Work) -> None:
    timed.begin(20)
    notes: list[str] = []
    settings = {"long": setting(lasting(watch, 15)), "late": setting(lasting(watch, 1))}
    found = best(timed, settings, notes)  # type: ignore[arg-type]
    assert found is not None
    assert found.setting == "long"
    assert notes == ["late: left out, its time was up"]


def test_parts_that_fail_or_do_not_fit_are_named_and_the_table_is_written_after_each(
    watch: Watch, timed: Work
) -> None:
    def slow(work: Work) -> list[Row]:
        watch.time += 70
        return [Row("slow | part", "pairs/s", value="1.20 times", met=False, notes=["a note"])]

    def broken(work: Work) -> list[Row]:
        raise RuntimeError("no kernel image\nand more")

    written: list[int] = []
    parts = [
        script.Part("slow", 70, slow),
        script.Part("broken", 10, broken),
        script.Part("long", 80, slow),
    ]
    rows, missing = script.measure(timed, parts, lambda rows, _: written.append(len(rows)))
    assert written == [1, 1]
    page = script.table(timed, rows, missing)
    assert "| slow / part | pairs/s | - | - | 1.20 times | - | **no** |" in page
    assert "- slow | part: a note" in page
    assert "- broken: failed, RuntimeError: no kernel image\n" in page
    assert "- long: left out, 30 s were left\n" in page


def test_an_aim_is_judged_by_the_ratio_unless_it_is_a_test(timed: Work, work: Work) -> None:
    ours, peer = Rate("8 questions", 30.0, 512.0), Rate("sdpa", 20.0)
    row = judge(timed, Row("x", "pairs/s"), ours, peer, 1.5)
    assert (row.value, row.aim, row.met) == ("1.50 times", ">= 1.5 times", True)
    assert row.ours == "30.0 (8 questions, 512 MiB)"
    assert judge(timed, Row("x", "pairs/s"), ours, peer, 1.6).met is False
    assert judge(timed, Row("x", "pairs/s"), ours, None, 1.5).met is None
    assert judge(work, Row("x", "pairs/s"), ours, peer, 1.5).met is None


def test_the_parts_fit_into_their_time() -> None:
    assert sum(part.seconds for part in script.PARTS) <= script.SECONDS


def test_flops_are_those_of_a_model_of_that_shape() -> None:
    size = SHAPES["bge-reranker-base"][1]
    # 85 million weights in the layers of BERT base, two operations each and token
    assert forward_flops(size, [1, 1]) == pytest.approx(2 * 2 * 85e6, rel=0.01)
    longer = forward_flops(size, [512]) - 512 * forward_flops(size, [1])
    assert longer == pytest.approx(4 * 12 * 768 * (512**2 - 512))


@pytest.mark.parametrize("single", [False, True])
def test_padded_attention_is_that_of_each_sequence_alone(single: bool) -> None:
    torch.manual_seed(0)
    lengths = [5, 2, 1]
    counts = [3 if single else 8, 8, 8]
    query, key, value = (torch.randn(1, 2, n, 4) for n in counts)
    found = attention.padded_fp32([query, key, value], lengths, single, 0.5)
    parts = []
    start = 0
    for number, length in enumerate(lengths):
        own = slice(start, start + length)
        asked = query[:, :, number : number + 1] if single else query[:, :, own]
        weights = (asked @ key[:, :, own].mT * 0.5).softmax(dim=-1)
        parts.append(weights @ value[:, :, own])
        start += length
    torch.testing.assert_close(found, torch.cat(parts, dim=2).transpose(1, 2))


def test_both_cross_encoders_have_the_same_scores_and_the_same_loss(work: Work) -> None:
    from sentence_transformers.cross_encoder.losses import ListNetLoss

    folder = str(model_folder(work, "bge-reranker-base", "score"))
    given = groups(work, 2, 3)
    reranker = CrossEncoder(folder, loss=InfoNCE())
    reranker.configure_model()
    reranker.eval()
    batch = reranker.collate(given)
    scores = reranker(batch)
    peer = cross_encoder.peer_model(work, folder, "sdpa")
    texts = [[one.contents for one in group.passages] for group in given]
    pairs = [(group.question.query, text) for group in given for text in texts[given.index(group)]]
    theirs = peer.predict(pairs, activation_fn=torch.nn.Identity(), convert_to_tensor=True)
    torch.testing.assert_close(scores.flatten().detach(), theirs, atol=1e-5, rtol=1e-5)
    labels = [torch.tensor([1000.0, 0.0, 0.0]) for _ in given]
    peer.eval()
    questions = [group.question.query for group in given]
    expected = ListNetLoss(peer, mini_batch_size=-1)([questions, texts], labels)
    found = reranker.loss(scores, batch.teacher, batch.mask)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_both_language_models_have_the_same_scores(work: Work) -> None:
    folder = str(model_folder(work, yes_no.NAME, "generate"))
    given = groups(work, 2, 3)
    reranker = yes_no.reranker_of(folder)
    reranker.configure_model()
    reranker.eval()
    scores = reranker(reranker.collate(given)).flatten()
    prompts = yes_no.prompts_of(folder, given)
    words, padding = yes_no.answers_of(folder)
    inputs = yes_no.left_padded(prompts, padding, "cpu")
    peer = yes_no.peer_model(work, folder, "sdpa", half=False).eval()
    with torch.no_grad():
        theirs = yes_no.peer_scores(peer, words, inputs)
    assert theirs.std() > 0
    torch.testing.assert_close(scores.detach(), theirs, atol=1e-5, rtol=1e-4)


def test_the_published_loop_gives_the_teachers_scores(work: Work, tmp_path: Path) -> None:
    folder = str(model_folder(work, teacher.NAME, "encode"))
    lessons = teacher.lessons_of(work, groups(work, 2, 5))
    loop, ours = teacher.Loop(work, folder, size=2), teacher.teacher_of(work, folder, 4)
    for lesson, scores in zip(
        lessons, ours.score_all(lessons, Cache(tmp_path / "cache.sqlite")), strict=True
    ):
        text = ours.text(lesson.question, lesson.rationale)
        assert lesson.rationale is not None
        assert lesson.rationale.text in text
        theirs = loop.scores(text, [one.contents for one in lesson.passages])
        assert scores == pytest.approx(theirs, abs=1e-4)
        assert (min(theirs), max(theirs)) == (0, 1)


def test_shared_candidates_stand_in_as_many_lists_as_asked(work: Work) -> None:
    lessons = teacher.lessons_of(work, groups(work, 4, 3), shared=2)
    ids = [[one.id for one in lesson.passages] for lesson in lessons]
    assert ids[0] == ids[1] != ids[2] == ids[3]
    assert len({lesson.question.id for lesson in lessons}) == 4


def test_without_a_gpu_it_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert script.main([]) == 2
    assert "no NVIDIA GPU" in capsys.readouterr().err


def test_a_few_parts_write_their_table(tmp_path: Path) -> None:
    output = tmp_path / "gpu.md"
    options = ["--device", "cpu", "--tiny", "--output", str(output)]
    assert script.main([*options, "--parts", "peak", "attention", "peak-no-dropout"]) == 0
    page = output.read_text(encoding="utf-8")
    assert page.count("| yes |") == 3
    assert "variable-length flash attention needs CUDA" in page
    assert "at 512 tokens, dropout 0" in page
    assert "Not measured" not in page


@pytest.mark.slow
def test_the_script_measures_every_part(tmp_path: Path) -> None:
    output = tmp_path / "gpu.md"
    options = ["--device", "cpu", "--tiny", "--output", str(output)]
    done = subprocess.run(
        [ROOT / "benchmarks/gpu.sh", *options],
        env={**os.environ, "PYTHON": sys.executable},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    page = output.read_text(encoding="utf-8")
    assert "Not measured" not in page
    assert "failed" not in page
    # each comparison has both sides
    assert page.count(" times | >= 1.5 times |") == 9
    assert page.count(" times | >= 10 times |") == 3


def test_wheels_that_are_not_there_are_named(tmp_path: Path) -> None:
    done = subprocess.run(
        [ROOT / "benchmarks/gpu.sh", "--wheels", str(tmp_path)],
        env={**os.environ, "PYTHON": sys.executable},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert f"found no *.whl in {tmp_path}" in done.stderr
