"""Folds on Ray, beyond one machine: the same function as in local processes, as remote tasks."""

from collections import deque
from collections.abc import Callable, Generator, Sequence
from typing import Any

from model.ray_cluster import imported_ray, ray_cluster, require_workers
from train.errors import TrainError, UsageError
from train.loso.fold_job import FOLDS_A_PROCESS, FoldData, FoldFailure, FoldJob, FoldResult
from train.loso.workers import Started, attempt

_PACKAGES = ("model", "stream", "train")
_RETRIES = 1  # of a task whose worker or node died


def ray_folds(
    address: str,
    data: FoldData,
    jobs: Sequence[FoldJob],
    workers: int,
    started: Started,
    told: Callable[[str], object],
) -> Generator[FoldResult]:
    """Results as the folds end, `workers` at a time (0: as many as the cluster has room for).

    The generator leaves the cluster when it ends: close it when left early. The features must be found under the same
    path on every node. `told` gets a line when the folds have to wait for others' work.

    Raises:
        ClusterError: Ray is not installed, or there is no cluster at the address. TrainError, UsageError: a fold failed.
        TrainError: a node or worker died more than once.
    """
    ray = imported_ray()
    threads = jobs[0].threads if jobs else 1
    with ray_cluster(ray, address, workers * threads, _PACKAGES):
        room = ray.cluster_resources()
        gpus = room.get("GPU", 0)
        if room.get("CPU", 0) < threads:
            raise UsageError(f"--threads {threads}: the Ray cluster has {room.get('CPU', 0):g} processors")
        workers = workers or int(gpus or room.get("CPU", 1) // threads) or 1
        require_workers(ray, address)
        if ray.available_resources().get("CPU", 0) < threads:
            told(f"--ray {address}: others use all of the cluster; the folds wait until it has room")
        task = ray.remote(
            num_cpus=threads,
            num_gpus=min(1.0, gpus / workers),
            max_calls=FOLDS_A_PROCESS,
            max_retries=_RETRIES,
            scheduling_strategy="SPREAD",
        )(attempt)
        shared, waiting, running = ray.put(data), deque(jobs), dict[Any, FoldJob]()
        try:
            while waiting or running:
                while waiting and len(running) < workers:
                    job = waiting.popleft()
                    running[task.remote(shared, job)] = job
                    started(job)
                (ended, *_), _ = ray.wait(list(running))
                yield _outcome(ray, ended, running.pop(ended))
        finally:
            for reference in running:
                ray.cancel(reference, force=True)


def _outcome(ray: Any, reference: Any, job: FoldJob) -> FoldResult:
    try:
        outcome: FoldResult | FoldFailure = ray.get(reference)
    except ray.exceptions.RayError as error:  # a worker or node died, or could not import what it needs
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise TrainError(f"fold {job.name}: Ray could not run it ({reason})") from error
    if isinstance(outcome, FoldFailure):
        raise outcome.error()
    return outcome
