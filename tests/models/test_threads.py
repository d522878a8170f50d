"""Parts computed side by side come out in their order, under the modes of who asked."""

from __future__ import annotations

import threading

import pytest
import torch

from radio.models.threads import side_by_side, threads_for


def test_results_come_in_the_order_of_the_parts() -> None:
    first_may_end = threading.Event()

    def work(part: int) -> int:
        if part == 0:
            # the second is finished before it
            assert first_may_end.wait(60)
        first_may_end.set()
        return part * part

    assert list(side_by_side(work, range(7), 2)) == [0, 1, 4, 9, 16, 25, 36]


def test_each_part_has_a_thread_and_the_modes_of_the_caller() -> None:
    def modes(_: int) -> tuple[bool, bool, bool, torch.dtype, int]:
        return (
            torch.is_inference_mode_enabled(),
            torch.is_grad_enabled(),
            torch.is_autocast_enabled("cpu"),
            torch.get_autocast_dtype("cpu"),
            torch.get_num_threads(),
        )

    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        assert set(side_by_side(modes, [0, 1], 2)) == {(True, False, True, torch.bfloat16, 1)}
    with torch.no_grad():
        assert {found[:3] for found in side_by_side(modes, [0, 1], 2)} == {(False, False, False)}


def test_the_number_of_threads_is_as_before() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        list(side_by_side(abs, [1, 2], 2))
        assert torch.get_num_threads() == 3
        found: list[int] = []
        later = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
        later.start()
        later.join()
        assert found == [3]
    finally:
        torch.set_num_threads(before)


def test_an_error_of_a_part_is_the_callers() -> None:
    def work(part: int) -> int:
        raise ValueError(f"part {part}")

    with pytest.raises(ValueError, match="part 0"):
        list(side_by_side(work, [0, 1], 2))


def test_one_thread_where_gradients_are_wanted_or_the_device_is_no_processor() -> None:
    assert threads_for(torch.device("cpu")) == 1
    with torch.no_grad():
        assert threads_for(torch.device("cpu")) == torch.get_num_threads()
        assert threads_for(torch.device("cuda")) == 1
