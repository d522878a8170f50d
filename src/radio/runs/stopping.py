"""A run that is asked to end (SIGTERM, SLURM before a job's time is up) keeps what it has trained.

Lightning ends a run at the next batch after SIGTERM, without a checkpoint; for a SLURM job it
writes one inside the signal's handler, perhaps in the middle of an optimizer step. Here both end
between two optimizer steps, with a checkpoint from which the run goes on as if nothing had been.
Several processes end at the same step, whichever of them is asked.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import lightning as L
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.trainer.connectors.signal_connector import _SignalConnector
from lightning.pytorch.utilities.exceptions import SIGTERMException

from radio.processes import gathered, somewhere
from radio.runs import progress, story


class Signals(_SignalConnector):
    """Lightning's, but for SLURM's signal, which is heeded as SIGTERM is, and for the end of a
    training, where Lightning has let go and an export is written."""

    requeues = False
    """Whether SLURM is to run the job again."""
    _runs = False

    def asked_to_end(self) -> bool:
        """Whether any process was asked to end. All processes must call it."""
        return somewhere(self.received_sigterm, self.trainer.strategy.root_device)

    def _sigterm_notifier_fn(self, signum: int, _: FrameType | None) -> None:
        # Lightning exchanges it here and now, which may be the middle of another exchange
        launcher = self.trainer.strategy.launcher
        if launcher is not None and not self.received_sigterm:
            launcher.kill(signum)
        self.received_sigterm = True

    def _slurm_sigusr_handler_fn(self, signum: int, _: FrameType) -> None:
        self.requeues = self.received_sigterm = True

    @contextmanager
    def heeded(self) -> Iterator[None]:
        """Until the end of a run SIGTERM is noted, and ends nothing in the middle."""
        before = signal.getsignal(signal.SIGTERM)
        self._runs = True
        try:
            yield
        finally:
            self._runs = False
            self._register_signal(signal.SIGTERM, before or signal.SIG_DFL)

    def teardown(self) -> None:
        super().teardown()
        if self._runs:
            self._register_signal(signal.SIGTERM, self._sigterm_notifier_fn)


class StopPrediction(L.Callback):
    """Ends ``predict`` between two batches if the run is asked to end, where Lightning looks in
    training and evaluations alone."""

    def on_predict_batch_start(self, trainer: L.Trainer, *_: object) -> None:
        stop_if_asked(trainer)


class StopWithCheckpoint(L.Callback):
    """Writes a checkpoint when a run is asked to end, and has SLURM run its job again.

    ``save_top_k: 0`` and ``enable_checkpointing: false`` are heeded.

    Args:
        path: of that checkpoint, which is the one that ``--ckpt_path last`` takes.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.say: Callable[[str], None] = story.say

    def on_exception(
        self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException
    ) -> None:
        if not isinstance(exception, SIGTERMException):
            return
        if checkpoint_writers(trainer) and progress.stands_between_steps(trainer):
            trainer.save_checkpoint(self.path)
            self.say(f"asked to end: {self.path} is written, after step {trainer.global_step}")
        # SLURM's signal may have come to another process first
        requeues = any(gathered(getattr(trainer._signal_connector, "requeues", False)))
        if requeues and trainer.is_global_zero:
            self._requeue()

    def _requeue(self) -> None:
        job = os.environ.get("SLURM_JOB_ID", "")
        if "SLURM_ARRAY_JOB_ID" in os.environ:
            job = f"{os.environ['SLURM_ARRAY_JOB_ID']}_{os.environ['SLURM_ARRAY_TASK_ID']}"
        command = [shutil.which("scontrol") or "scontrol", "requeue", job]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
            problem = done.stderr.strip() if done.returncode else ""
        except OSError as error:
            problem = str(error)
        said = f"could not be put back into the queue ({problem})" if problem else "is queued again"
        self.say(f"SLURM's job {job} {said}")


def stop_if_asked(trainer: L.Trainer) -> None:
    """End here if the run was asked to end since the last batch, where Lightning does not look: in
    an export, say."""
    if trainer.received_sigterm:
        raise SIGTERMException


def checkpoint_writers(trainer: L.Trainer) -> list[ModelCheckpoint]:
    """The callbacks of a trainer that keep checkpoints."""
    callbacks = [c for c in trainer.checkpoint_callbacks if isinstance(c, ModelCheckpoint)]
    return [callback for callback in callbacks if callback.save_top_k != 0]
