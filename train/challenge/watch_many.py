"""Many long videos watched at a time: in processes of this machine, or on Ray, beyond one. What is found is the same."""

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Generator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from model.ray_cluster import imported_ray, ray_cluster, require_workers
from train.challenge.watch_recorded import RecordedWatcher, WatchedVideo
from train.datasets.source import SourceVideo
from train.errors import TrainError
from train.worker_pool import WorkerPool

Watching = Generator[tuple[SourceVideo, WatchedVideo]]
"""Videos as they are done; close it when it is left early."""

_PACKAGES = ("model", "stream", "train")
_RETRIES = 1  # of a video whose worker or node died


def default_jobs() -> int:
    """A video at a time for each core that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def watch_here(model: Path | None, videos: Sequence[SourceVideo], jobs: int) -> Watching:
    """In `jobs` processes, with 1 in this one. They leave the videos in hand when the generator is closed.

    Raises:
        TrainError: a video cannot be read, or a process died. UsageError: the model cannot be used.
    """
    stopped = multiprocessing.get_context("spawn").Event()
    jobs = min(jobs, max(1, len(videos)))
    with WorkerPool(jobs, partial(RecordedWatcher, model, stopped.is_set)) as pool:
        try:
            yield from pool.as_done(RecordedWatcher.watch, videos)
        finally:
            stopped.set()


def watch_on_ray(
    address: str,
    model: Path | None,
    videos: Sequence[SourceVideo],
    workers: int,
    told: Callable[[str], object],
) -> Watching:
    """By `workers` of a Ray cluster (0: as many as it has room for), which is left when the generator is closed. Pictures and
    model must lie under the same paths on every node. `told` gets a line when the videos have to wait for others' work.

    Raises:
        ClusterError: Ray is not installed, or there is no cluster at the address.
        TrainError: a video cannot be read, the model cannot be used, or a node or worker died more than once.
    """
    ray = imported_ray()
    with ray_cluster(ray, address, workers, _PACKAGES):
        workers = min(workers or int(ray.cluster_resources().get("CPU", 1)) or 1, max(1, len(videos)))
        require_workers(ray, address)
        if ray.available_resources().get("CPU", 0) < 1:
            told(f"--ray {address}: others use all of the cluster; the videos wait until it has room")
        actor = ray.remote(num_cpus=1, max_restarts=-1, max_task_retries=_RETRIES, scheduling_strategy="SPREAD")(
            _RayWatcher
        )
        idle, waiting = [actor.remote(model) for _ in range(workers)], deque(videos)
        running: dict[Any, tuple[Any, SourceVideo]] = {}
        while waiting or running:
            while waiting and idle:
                watcher, video = idle.pop(), waiting.popleft()
                running[watcher.watch.remote(video)] = watcher, video
            (ended, *_), _ = ray.wait(list(running))
            watcher, video = running.pop(ended)
            yield video, _outcome(ray, ended, video)
            idle.append(watcher)


class _RayWatcher:
    """A `RecordedWatcher` in a worker of Ray, made with the first video. Ray's own errors hold much beside the line that tells
    what is wrong, so that this is told as text."""

    def __init__(self, model: Path | None) -> None:
        self._model = model
        self._watcher: RecordedWatcher | None = None

    def watch(self, video: SourceVideo) -> WatchedVideo | str:
        try:
            self._watcher = self._watcher or RecordedWatcher(self._model)
            return self._watcher.watch(video)
        except TrainError as error:
            return str(error)
        except Exception as error:
            return f"{video.id}: {type(error).__name__}: {' '.join(str(error).split())}"


def _outcome(ray: Any, reference: Any, video: SourceVideo) -> WatchedVideo:
    try:
        outcome: WatchedVideo | str = ray.get(reference)
    except ray.exceptions.RayError as error:  # a worker or node died, or could not import what it needs
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise TrainError(f"{video.id}: Ray could not run it ({reason})") from error
    if isinstance(outcome, str):
        raise TrainError(outcome)
    return outcome
