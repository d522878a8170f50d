"""Work on the machines of a Ray cluster, by Ray Data: actors hold the model and take batches."""

from __future__ import annotations

import logging
import os
import signal
import socket
import traceback
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from radio.engines.base import Batch, Engine, Row, Work
from radio.engines.jobs import Handed, Job
from radio.engines.shards import Shards, read, write
from radio.models.messages import say
from radio.ranges import check
from radio.schema import InputError

TRIES = 3
"""Passes in a row that compute nothing, after which no other one is tried."""


class Ray(Engine):
    """Computes on the actors of a Ray cluster (``map_batches`` of Ray Data); needs the extra
    ``ray``.

    The batches are those of one process. A machine that is lost costs the batches that were under
    way on it: others compute them. A command that was killed goes on from what is there.

    Args:
        address: of the cluster: ``auto`` is the one that this machine belongs to (``ray start``),
            ``local`` starts one on this machine, as long as it is needed; else ``HOST:PORT``.
        actors: how many hold the model; None takes as many as there is room for.
        cpus: processor cores of an actor.
        gpus: GPUs of an actor; None takes one where the cluster has any.
        shards: folder of the files between the machines, which all see under the same name; None
            takes ``shards`` in ``cache_dir``.
        together: batches that are handed out together; their keys are in memory.
    """

    def __init__(
        self,
        address: str = "auto",
        actors: int | None = None,
        cpus: float = 1,
        gpus: float | None = None,
        shards: str | None = None,
        together: int = 4096,
    ) -> None:
        check(self, locals())
        self._address = address
        self._actors = actors
        self._cpus = cpus
        self._gpus = gpus
        self._shards = Path(shards).absolute() if shards else None
        self._together = together
        self._folder: Path | None = None
        self._connected = False

    @contextmanager
    def started(self, folder: Path) -> Iterator[None]:
        self._folder = self._shards or (folder / "shards").absolute()
        try:
            yield
        finally:
            if self._connected:
                self._connected = False
                _ray().shutdown()

    def _connect(self) -> None:
        """Join the cluster, or start one, when there is something to compute.

        Raises:
            InputError: there is none.
        """
        ray = _ray()
        if ray.is_initialized():
            return
        # Ray takes SIGTERM for itself, and keeps it: a run must still end with a checkpoint
        on_sigterm = signal.getsignal(signal.SIGTERM)
        try:
            _knock(self._address)
            ray.init(address=self._address, log_to_driver=False, logging_level=logging.ERROR)
        except (OSError, ValueError, RuntimeError) as error:
            raise InputError(
                f"Ray: address: found {self._address!r}, and no cluster answers there "
                f"({str(error).splitlines()[0]}); start one with: ray start --head, or give "
                "--data.init_args.engine.init_args.address local"
            ) from None
        finally:
            if signal.getsignal(signal.SIGTERM) is not on_sigterm:
                signal.signal(signal.SIGTERM, on_sigterm)
        self._connected = True

    def map(self, work: Work, batches: Iterable[Batch]) -> Iterator[dict[str, Row]]:
        assert self._folder is not None, "call map() within at_work()"
        job = Job(work, Shards(self._folder, work.identity))
        left = iter(batches)
        with job.shards.alone():
            job.look()
            while some := list(islice(left, self._together)):
                waiting = deque(map(job.hand_out, some))
                del some
                yield from self._computed(job, waiting)
            job.close()

    def _computed(self, job: Job, waiting: deque[Handed]) -> Iterator[dict[str, Row]]:
        """The results of batches, in order, each as soon as it and those before it are there."""
        yield from job.taken(waiting)
        in_vain = 0
        while waiting:
            missing = job.missing(waiting)
            for name in self._pass(job, missing):
                job.there.add(name)
                yield from job.taken(waiting)
            # some may be there of which nobody has told: their machine was lost
            job.look()
            yield from job.taken(waiting)
            lost = len(job.missing(waiting))
            in_vain = in_vain + 1 if lost == len(missing) else 0
            if in_vain == TRIES:
                raise InputError(
                    f"Ray: {job.title}: the processes that computed {lost:,} batches died {TRIES} "
                    "times, as they do when their memory is full; give them more room "
                    "(--data.init_args.engine.init_args.cpus, gpus), or take smaller batches. What "
                    "was computed is kept; Ray's logs say more"
                )
            if lost:
                say(f"Ray: {job.title}: {lost:,} batches were lost with their actors: once more")

    def _pass(self, job: Job, names: Sequence[str]) -> Iterator[str]:
        """Have batches computed, and tell of each when it is there; of one that is lost with its
        actor nothing is told."""
        if not names:
            return
        self._connect()
        data = _ray().data
        context = data.DataContext.get_current()
        context.enable_progress_bars = False
        # an actor that dies takes its batches with it, and the next pass computes them: to wait
        # for its place on a machine that is gone might take for ever
        context.max_errored_blocks = -1
        for handler in logging.getLogger("ray.data").handlers:
            # Ray's own, on the terminal; what is wrong is said below, and its file has all of it
            own = type(handler).__module__.partition(".")[0] == "ray"
            if own and isinstance(handler, logging.StreamHandler):
                handler.setLevel(logging.CRITICAL)
        size, gpus = self._room(len(names))
        say(f"Ray: {job.title}: {len(names):,} batches on {size:,} actors")
        found = data.from_items(
            [{"name": name} for name in names], override_num_blocks=len(names)
        ).map_batches(
            Holder,
            fn_constructor_args=[job.work, job.shards.folder.parent, job.shards.identity],
            batch_size=1,
            compute=data.ActorPoolStrategy(size=size),
            num_cpus=self._cpus,
            num_gpus=gpus,
            max_restarts=-1,
            max_task_retries=0,
        )
        for row in found.iter_rows():
            if row["error"]:
                raise InputError(f"Ray: {job.title}: {row['error']}")
            yield row["name"]

    def _room(self, batches: int) -> tuple[int, float]:
        """How many actors there are to be, and GPUs of each.

        Raises:
            InputError: the cluster has no room for a single one.
        """
        there: Mapping[str, float] = _ray().cluster_resources()
        gpus = self._gpus
        if gpus is None:
            gpus = 1.0 if there.get("GPU", 0) >= 1 else 0.0
        room = there.get("CPU", 0) / self._cpus if self._cpus else float(batches)
        if gpus:
            room = min(room, there.get("GPU", 0) / gpus)
        if room < 1:
            raise InputError(
                f"Ray: the cluster has {there.get('CPU', 0):g} processor cores and "
                f"{there.get('GPU', 0):g} GPUs, and an actor is to have {self._cpus:g} and "
                f"{gpus:g}: set cpus and gpus (--data.init_args.engine.init_args.cpus)"
            )
        return max(1, min(int(room), self._actors or int(room), batches)), gpus


class Holder:
    """An actor: holds the model of a work, and computes the batches whose names it is given.

    Args:
        work: what to do; it loads its model with the first batch.
        folder: of the files.
        identity: of the work, where it was handed out.
    """

    def __init__(self, work: Work, folder: Path, identity: str) -> None:
        self._work = work
        self._folder = folder
        self._identity = identity
        self._shards: Shards | None = None

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[str]]:
        names = [str(name) for name in batch["name"]]
        return {"name": names, "error": [self._error(name) for name in names]}

    def _error(self, name: str) -> str:
        """Compute a batch; what went wrong, in words, where something did."""
        try:
            shards = self._checked()
            todo = read(shards.todo(name))
            made = self._work(list(todo.values()))
            write(shards.done(name), dict(zip(todo, made, strict=True)))
        except InputError as error:
            return f"on {node()}: {error}"
        except Exception:
            return f"on {node()}: {traceback.format_exc().strip()}"
        return ""

    def _checked(self) -> Shards:
        """The files, once it is sure that this machine has the same model.

        Raises:
            InputError: it has another one.
        """
        if self._shards is None:
            shards = Shards(self._folder, self._work.identity)
            if shards.identity != self._identity:
                raise InputError(
                    "the model is another one here than where the command was given: its files "
                    "differ, or the version of radio does; give all machines the same"
                )
            self._shards = shards
        return self._shards


def _knock(address: str) -> None:
    """Raise an OSError where nobody listens at ``HOST:PORT``: Ray itself would wait for minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()


def node() -> str:
    """The name of this machine."""
    return os.uname().nodename


def _ray() -> Any:
    # nothing is reported to anybody, and what is wrong is said below, unless a person wants more
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise InputError(
            f"Ray: cannot be imported ({error}): pip install 'radio-rag[ray]', on each machine of "
            "the cluster"
        ) from None
    return ray
