"""Those who record for a fleet on a Ray cluster: an actor for several cameras and streams, a task for every file.

The fleet's folder, files and models of one's own must lie under the same path on every node; the bundled model goes with the
program. Ray itself is imported only when it is asked for.
"""

import contextlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from model.ray_cluster import imported_ray, ray_cluster, require_workers
from stream.fleet.crew import DeathError, Order
from stream.fleet.orders import NEWS_S, Ended, HaltOrder, News, RecordOrder

if TYPE_CHECKING:
    from stream.fleet.carrier import Carrier

_PACKAGES = ("model", "stream")
_THREADS = 4
"""An actor takes orders while it waits for news."""


@lru_cache(maxsize=1)
def _carrier() -> "Carrier":
    """One of a process, which goes from file to file."""
    from stream.fleet.carrier import Carrier  # what records is for the workers to load

    return Carrier()


class FleetActor:
    """A carrier that is spoken to over the network."""

    def take(self, order: Order) -> None:
        _carrier().take(order)

    def news(self) -> News:
        return _carrier().news(NEWS_S)


def record_file(order: RecordOrder) -> News:
    """A file from beginning to end; less of it where the task is cancelled."""
    carrier = _carrier()
    carrier.take(order)
    try:
        while not (news := carrier.news(NEWS_S)).ended:
            pass
    except KeyboardInterrupt:
        carrier.take(HaltOrder())
        return carrier.news(NEWS_S)
    return news


class RayActor:
    """An actor, and the news that it was asked for last."""

    def __init__(self, ray: Any, actor: Any) -> None:
        self._ray, self._actor = ray, actor
        self.pending: Any = actor.news.remote()

    def send(self, order: Order) -> None:
        self._actor.take.remote(order)

    def heard(self) -> None:
        self.pending = self._actor.news.remote()

    def cancelled(self) -> News | None:
        """An actor is halted by an order."""
        return None

    def close(self) -> None:
        self._ray.kill(self._actor)


class RayFile:
    """A place for one task at a time."""

    def __init__(self, ray: Any, task: Any) -> None:
        self._ray, self._task = ray, task
        self._order: RecordOrder | None = None
        self.pending: Any = None

    def send(self, order: Order) -> None:
        if isinstance(order, RecordOrder):
            self._order, self.pending = order, self._task.remote(order)
        elif isinstance(order, HaltOrder) and self.pending is not None:
            self._ray.cancel(self.pending)

    def heard(self) -> None:
        self.pending = None

    def cancelled(self) -> News | None:
        """What a task that was cancelled would have said."""
        if self._order is None:
            return News()
        return News((Ended(self._order.source.id, "stopped", "stopped before its end", 0, True),))

    def close(self) -> None:
        if self.pending is not None:
            self._ray.cancel(self.pending, force=True)


class RayCrew:
    """Actors and tasks of a cluster that has been joined. `cpus` and `gpus` of each, which Ray places by."""

    spares = False

    def __init__(self, ray: Any, cpus: float, gpus: float) -> None:
        self._ray = ray
        share: dict[str, Any] = {"num_cpus": cpus, "num_gpus": gpus, "scheduling_strategy": "SPREAD"}
        self._actor = ray.remote(max_concurrency=_THREADS, max_restarts=0, **share)(FleetActor)
        self._task = ray.remote(max_retries=0, **share)(record_file)

    def hire(self, aside: bool, endless: bool) -> RayActor | RayFile:
        return RayActor(self._ray, self._actor.remote()) if endless else RayFile(self._ray, self._task)

    def news(
        self, workers: Sequence[RayActor | RayFile], timeout_s: float
    ) -> Sequence[tuple[RayActor | RayFile, News | DeathError]]:
        """A task says nothing until its end; that Ray still has it counts as a sign of life."""
        ray = self._ray
        by_pending = {worker.pending: worker for worker in workers if worker.pending is not None}
        found: list[tuple[RayActor | RayFile, News | DeathError]] = []
        ready: list[Any] = []
        if by_pending:
            ray.wait(list(by_pending), timeout=timeout_s)
            ready, _ = ray.wait(list(by_pending), num_returns=len(by_pending), timeout=0)
        for reference in ready:
            worker = by_pending[reference]
            found.append((worker, self._told(reference, worker)))
            with contextlib.suppress(ray.exceptions.RayError):
                worker.heard()
        silent = [worker for worker in workers if isinstance(worker, RayFile) and worker.pending not in ready]
        return [*found, *((worker, News()) for worker in silent)]

    def _told(self, reference: Any, worker: RayActor | RayFile) -> News | DeathError:
        exceptions = self._ray.exceptions
        try:
            return self._ray.get(reference)
        except exceptions.TaskCancelledError:
            return worker.cancelled() or DeathError("it was cancelled")
        except exceptions.RayError as error:
            lines = str(error).strip().splitlines()
            return DeathError(f"Ray has lost it ({lines[0] if lines else type(error).__name__})")


@contextmanager
def joined_cluster(address: str, cpus: int) -> Iterator[tuple[Any, int, float]]:
    """Ray's module, the processors and the GPUs of the cluster at the address, or of one of this machine with `cpus` (0: all).

    Raises:
        ClusterError: Ray is not installed, there is no cluster, or its workers cannot import this program.
    """
    ray = imported_ray()
    with ray_cluster(ray, address, cpus, _PACKAGES):
        require_workers(ray, address)
        room = ray.cluster_resources()
        yield ray, max(1, int(room.get("CPU", 1))), float(room.get("GPU", 0))
