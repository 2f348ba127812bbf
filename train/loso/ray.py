"""Folds on Ray, beyond one machine: the same function as in local processes, as remote tasks."""

import contextlib
import importlib
import logging
import os
import shlex
import signal
import socket
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

from model.quiet import native_log_held_back
from model.signals import ENDING
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
_START_S, _WORKER_S = 45.0, 90.0
"""Ray itself waits without an end for a cluster or a worker that does not come."""
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
        UsageError: Ray is not installed, or there is no cluster at the address. TrainError, UsageError: a fold failed.
        TrainError: a node or worker died more than once.
    """
    ray = imported_ray()
    threads = jobs[0].threads if jobs else 1
    with _cluster(ray, address, workers * threads):
        room = ray.cluster_resources()
        gpus = room.get("GPU", 0)
        if room.get("CPU", 0) < threads:
            raise UsageError(f"--threads {threads}: the Ray cluster has {room.get('CPU', 0):g} processors")
        workers = workers or int(gpus or room.get("CPU", 1) // threads) or 1
        _require_workers(ray, address)
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


def _require_workers(ray: Any, address: str) -> None:
    """Raises UsageError when no worker comes, or it cannot import this program."""
    try:
        ray.get(ray.remote(num_cpus=0)(_nothing).remote(), timeout=_WORKER_S)
    except ray.exceptions.GetTimeoutError as error:
        raise UsageError(
            f"--ray {address}: no worker of Ray started within {_WORKER_S:g} s; its logs say why, and without --ray the "
            "folds need none"
        ) from error
    except ray.exceptions.RayError as error:
        raise UsageError(f"--ray {address}: Ray's workers do not start ({' '.join(str(error).split())})") from error


def _nothing() -> None:
    """For a worker, to say that it is there."""


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
        tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True, dir=_place()) as folder,
        contextlib.redirect_stdout(sys.stderr),  # where Ray tells of workers that died, amid the scores for a script
    ):
        if address == LOCAL:
            paths = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
            # Ray hands the interpreter's path to a shell, as it is.
            environment: dict[str, Any] = {
                "env_vars": {"PYTHONPATH": paths},
                "py_executable": shlex.quote(sys.executable),
            }
            settings |= {"address": "local", "num_cpus": cpus or None, "include_dashboard": False, "_temp_dir": folder}
        else:
            environment = {"py_modules": [str(_ROOT / package) for package in _PACKAGES]}
            settings |= {"address": address}
            _require_reachable(address)
        over = threading.Event()
        try:
            with native_log_held_back():  # native code announces its log level
                _start(lambda: ray.init(runtime_env=environment, **settings), over)
        except TimeoutError as error:
            raise UsageError(f"--ray {address}: no Ray cluster answered within {_START_S:g} s") from error
        except (ConnectionError, RuntimeError, ValueError, OSError, SystemExit) as error:
            text = " ".join(str(error).split())
            raise UsageError(f"--ray {address}: no Ray cluster could be used ({text})") from error
        try:
            # Its native code has taken SIGTERM, to show where it was.
            for number in ENDING if threading.current_thread() is threading.main_thread() else ():
                signal.signal(number, signal.getsignal(number))
            yield
        finally:
            ray.shutdown()
            over.set()


def _place() -> str | None:
    """For Ray's own files: it does not quote their paths, and its sockets' names must be short."""
    usual = tempfile.gettempdir()
    return "/tmp" if any(map(str.isspace, usual)) and os.access("/tmp", os.W_OK) else None


def _start(connect: Callable[[], object], over: threading.Event) -> None:
    """Raises what `connect` does, and TimeoutError when it takes too long. In a thread that stays until `over` is set: the
    system ends Ray's processes with the thread that started them."""
    done = threading.Event()
    failed: list[BaseException] = []

    def run() -> None:
        try:
            connect()
        except BaseException as error:
            failed.append(error)
        done.set()
        over.wait()

    threading.Thread(target=run, name="ray", daemon=True).start()
    if not done.wait(_START_S):
        raise TimeoutError
    if failed:
        over.set()
        raise failed[0]
