"""Those who record for a fleet on this machine: processes, started when needed, told apart from those that died.

The same is done on a Ray cluster by `stream.fleet.ray_crew`.
"""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Sequence
from multiprocessing import connection as pipes
from typing import Any, Protocol

from model.errors import MicroliveError
from model.signals import interrupts_blocked
from stream.fleet.orders import HaltOrder, News, PrepareOrder, RecordOrder, WatchOrder

_JOIN_S = 5.0
_NICE = 10

Order = RecordOrder | PrepareOrder | WatchOrder | HaltOrder


class Worker(Protocol):
    """One of the crew."""

    def send(self, order: Order) -> None:
        """To one that has died it is lost, which the crew will tell."""
        ...

    def close(self) -> None:
        """Ends it whatever it does."""
        ...


class DeathError(MicroliveError):
    """A worker is no more; the words say why."""


class Crew(Protocol):
    """`spares`: whether there can be more workers than were asked for: one that waits, because a new one takes long to come, and
    some for sources that are better alone."""

    spares: bool

    def hire(self, aside: bool, endless: bool) -> Worker:
        """A new worker. `aside`: what it does may take longer, for others are in a hurry. `endless`: it is for cameras and
        streams, several at a time; else for files, one after the other."""
        ...

    def news(self, workers: Sequence[Any], timeout_s: float) -> Sequence[tuple[Worker, News | DeathError]]:
        """Of those that have any, as soon as one has and after the time at the latest."""
        ...


class LocalWorker:
    """A process, and this end of the pipe to it. It ends when this program does, however that ends."""

    def __init__(self, aside: bool) -> None:
        # Spawned, not forked: libraries may have threads in this process.
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs, aside), daemon=True)
        with theirs, interrupts_blocked():
            self.process.start()

    def send(self, order: Order) -> None:
        with contextlib.suppress(OSError):
            self.pipe.send(order)

    def close(self) -> None:
        self.process.kill()
        self.process.join(_JOIN_S)
        self.pipe.close()

    def death(self) -> DeathError:
        """Why it is gone."""
        self.process.join(_JOIN_S)
        code = self.process.exitcode
        if code is not None and code < 0:
            name = signal.Signals(-code).name
            return DeathError(f"its process was ended by {name}" + (", perhaps out of memory" if code == -9 else ""))
        return DeathError(f"its process ended with {code}")


class LocalCrew:
    """Processes of this machine."""

    spares = True

    def hire(self, aside: bool, endless: bool) -> LocalWorker:
        return LocalWorker(aside)

    def news(self, workers: Sequence[LocalWorker], timeout_s: float) -> Sequence[tuple[LocalWorker, News | DeathError]]:
        by_pipe = {worker.pipe: worker for worker in workers}
        found: list[tuple[LocalWorker, News | DeathError]] = []
        for pipe in pipes.wait(list(by_pipe), timeout_s):
            worker = by_pipe[pipe]  # type: ignore[index]
            try:
                found.append((worker, worker.pipe.recv()))
            except (EOFError, OSError):
                found.append((worker, worker.death()))
        return found


def serve(pipe: pipes.Connection, aside: bool) -> None:
    """A worker's life: orders from the pipe, news into it, until the fleet halts it or goes itself."""
    if aside and hasattr(os, "nice"):
        os.nice(_NICE)
    # Loaded before the first order comes: one who waits is of no use if it has to load first.
    from stream.fleet.carrier import Carrier

    carrier = Carrier()

    def tell() -> None:
        try:
            while True:
                pipe.send(carrier.news())
        except OSError:
            os._exit(1)

    telling = threading.Thread(target=tell, name="news", daemon=True)
    telling.start()
    while True:
        try:
            order: Order = pipe.recv()
        except (EOFError, OSError):
            # Nobody is left to record for. Rows are on the disk as they came; the sessions are told as killed.
            os._exit(1)
        carrier.take(order)
