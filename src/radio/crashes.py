"""How a command ends early: a mistake of the user as one message, anything else with all that is
known about it."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import select
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

from radio.schema import InputError, Missing
from radio.secrecy import plain_text

LONGEST = 4000
"""Characters of a message: what a user gave may be of any length."""
INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""


def usage_error(message: str) -> int:
    """Print one mistake as one message; the exit status for it."""
    message = plain_text(message)
    if len(message) > LONGEST:
        message = message[:LONGEST] + " ..."
    if _is_first_to_say(message):
        print(f"radio: error: {message}", file=sys.stderr)
    return 2


def _is_first_to_say(message: str) -> bool:
    """Whether no other process of this run has said the same: all of them find most mistakes."""
    run = os.environ.get("RADIO_RUN")
    if run is None or os.environ.get("WORLD_SIZE", "1") in {"", "0", "1"}:
        return True
    said = (
        Path(tempfile.gettempdir())
        / f"radio-{run}-{hashlib.sha256(message.encode()).hexdigest()[:16]}"
    )
    try:
        said.touch(exist_ok=False)
    except FileExistsError:
        return False
    except OSError:
        return True
    return True


def guarded(command: Callable[[], int]) -> int:
    """The exit status of a command: 2 and one message after a mistake, 130 after Ctrl-C, 1 and all
    there is to know after anything else. ``RADIO_DEBUG=1`` (``--debug``) shows the traceback of a
    mistake too."""
    try:
        status = command()
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        return _interrupted()
    except SystemExit as stop:
        # Lightning ends with status 1 after Ctrl-C
        if isinstance(stop.__context__, KeyboardInterrupt) and stop.code != INTERRUPTED:
            return _interrupted()
        raise
    except Exception as error:
        message = mistake(error)
        if message is None or os.environ.get("RADIO_DEBUG", "0") not in {"", "0"}:
            traceback.print_exception(error)
        if message is not None:
            return usage_error(message)
        print(f"radio: crashed, and this is not a known mistake: {_place(error)}", file=sys.stderr)
        return 1


def _interrupted() -> int:
    print("radio: stopped by Ctrl-C", file=sys.stderr)
    return INTERRUPTED


def mistake(error: BaseException) -> str | None:
    """The message of an error that the user can mend; None for all others.

    Only what an error names as its cause is looked at: an error that comes up while a mistake is
    handled shows itself.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, InputError):
            return _without_worker(str(cause))
        cause = cause.__cause__
    return _of_another_process(error) or _of_the_machine(error) or _of_a_library(error)


def _without_worker(message: str) -> str:
    """A message that a process of the data loader wrapped into its traceback."""
    if "Original Traceback" not in message:
        return message
    return message.rpartition(f"{InputError.__name__}: ")[2].rstrip()


def _of_another_process(error: BaseException) -> str | None:
    """A mistake that another process found, which comes here as the text of its traceback."""
    text = str(error)
    if type(error).__name__ in {"ProcessRaisedException", "RemoteTraceback", "_RemoteTraceback"}:
        for kind in (InputError, Missing):
            own = f"\n{kind.__module__}.{kind.__name__}: "
            if own in text:
                return text.rpartition(own)[2].rstrip()
    return None


def _of_the_machine(error: BaseException) -> str | None:
    text = str(error)
    name = type(error).__name__
    if isinstance(error, OSError):
        where = f": {error.filename}" if error.filename else ""
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            return f"the disk is full{where}; make room and run the command again"
        if error.errno == errno.EROFS:
            return f"the disk can only be read{where}; choose another folder"
        if isinstance(error, PermissionError) and error.filename:
            return f"permission denied{where}"
        if isinstance(error, BrokenPipeError) and _output_is_closed():
            return "the output was closed before the end (broken pipe)"
    if "No space left on device" in text or "database or disk is full" in text:
        return f"the disk is full ({text.splitlines()[0]}); make room and run the command again"
    smaller = (
        "take a smaller --data.init_args.batch_size, eval_batch_size or "
        "--model.init_args.max_length"
    )
    if name == "OutOfMemoryError" or "CUDA out of memory" in text:
        return f"the memory of the GPU is full ({text.split('. ')[0]}); {smaller}"
    if isinstance(error, MemoryError) or "can't allocate memory" in text:
        return f"the memory is full{f' ({text.splitlines()[0]})' if text else ''}; {smaller}"
    return None


def _output_is_closed() -> bool:
    try:
        poll = select.poll()
        poll.register(1, select.POLLOUT)
        closed = any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))
    except (OSError, AttributeError):
        return False
    if closed:
        # what is left in the buffer has nowhere to go, and Python would complain about it at the
        # end
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return closed


def _of_a_library(error: BaseException) -> str | None:
    kinds = {f"{kind.__module__.split('.')[0]}.{kind.__name__}" for kind in type(error).__mro__}
    text = re.sub(r"\s*\n\s*", "\n  ", str(error).strip())
    if kinds & {"lightning.MisconfigurationException"}:
        return text
    if kinds & {"wandb.UsageError", "wandb.AuthenticationError", "wandb.CommError"}:
        return (
            f"Weights & Biases: {text}\n  set WANDB_API_KEY, or WANDB_MODE=offline to log without "
            "an account"
        )
    if text.startswith("Error(s) in loading state_dict for"):
        lines = [line[:300] for line in text.splitlines()]
        return (
            "the checkpoint does not fit the model (another class, another model?): "
            + "\n".join(lines[:4])
        )
    return None


def _place(error: BaseException) -> str:
    """One line: what it was, and where, in the code of this project or of the user, if any of it
    took part."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [
        frame
        for frame in frames
        if not {"site-packages", "dist-packages", "lib"} & set(Path(frame.filename).parts)
    ]
    where = (own or frames)[-1]
    text = (str(error).splitlines() or [""])[0][:300]
    return f"{type(error).__name__}: {text} (in {where.name}, {where.filename}:{where.lineno})"
