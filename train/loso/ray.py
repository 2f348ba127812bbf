"""Folds on Ray, beyond one machine: the same function as in local processes, as remote tasks."""

import contextlib
import importlib
import logging
import os
import socket
import sys
import tempfile
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

from model.quiet import native_log_held_back
from train.errors import TrainError, UsageError
from train.loso.fold_job import FOLDS_A_PROCESS, FoldData, FoldFailure, FoldJob, FoldResult
from train.loso.workers import Started, attempt

LOCAL = "local"
"""Instead of an address: a cluster of this machine alone, started for the run and gone after it."""

_ENVIRONMENT = {  # read by Ray when it starts
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is reported to its makers
    "RAY_enable_metrics_collection": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",  # its native code complains that nobody takes its metrics
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
_ROOT = Path(__file__).resolve().parents[2]
_PACKAGES = ("model", "stream", "train")
_CONNECT_S = 10.0
_RETRIES = 1  # of a task whose worker or node died


def ray_folds(
    address: str, data: FoldData, jobs: Sequence[FoldJob], workers: int, started: Started
) -> Generator[FoldResult]:
    """Results as the folds end, `workers` at a time (0: as many as the cluster has room for).

    The generator leaves the cluster when it ends: close it when left early. The features must be found under the same
    path on every node.

    Raises:
        UsageError: Ray is not installed, or there is no cluster at the address. TrainError, UsageError: a fold failed.
        TrainError: a node or worker died more than once.
    """
    ray = imported_ray()
    threads = jobs[0].threads if jobs else 1
    with _cluster(ray, address, workers * threads):
        room = ray.cluster_resources()
        gpus = room.get("GPU", 0)
        workers = workers or int(gpus or room.get("CPU", 1) // threads) or 1
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


def imported_ray() -> Any:
    """Ray's module. Raises UsageError, with what to do, when it is not installed."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise UsageError(
            f"--ray: Ray is not installed ({error}); install it with: pip install -r requirements-ray.txt"
        ) from error


def _require_reachable(address: str) -> None:
    """Raises UsageError when nobody answers at host:port; Ray itself goes on trying for many minutes."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if not host or not port.isdigit():
        return  # a word of Ray's, such as auto
    try:
        socket.create_connection((host, int(port)), _CONNECT_S).close()
    except OSError as error:
        raise UsageError(
            f"--ray {address}: no Ray cluster answers there ({error.strerror or error}); start one with: "
            f"ray start --head --port={port}"
        ) from error


@contextlib.contextmanager
def _cluster(ray: Any, address: str, cpus: int) -> Iterator[None]:
    """Connected to the cluster, silently."""
    settings: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    with (
        tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder,
        contextlib.redirect_stdout(sys.stderr),  # where Ray tells of workers that died, amid the scores for a script
    ):
        if address == LOCAL:
            paths = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
            environment: dict[str, Any] = {"env_vars": {"PYTHONPATH": paths}}
            settings |= {"address": "local", "num_cpus": cpus or None, "include_dashboard": False, "_temp_dir": folder}
        else:
            environment = {"py_modules": [str(_ROOT / package) for package in _PACKAGES]}
            settings |= {"address": address}
            _require_reachable(address)
        try:
            with native_log_held_back():  # native code announces its log level
                ray.init(runtime_env=environment, **settings)
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            text = " ".join(str(error).split())
            raise UsageError(f"--ray {address}: no Ray cluster could be used ({text})") from error
        try:
            yield
        finally:
            ray.shutdown()
