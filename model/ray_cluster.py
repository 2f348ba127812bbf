"""A Ray cluster to work on, joined quietly and left again: for everything that is spread beyond one machine.

Ray itself is optional and imported only when it is asked for.
"""

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
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from model.errors import MicroliveError
from model.quiet import native_log_held_back
from model.signals import ENDING

LOCAL = "local"
"""Instead of an address: a cluster of this machine alone, started for the run and gone after it."""

_ENVIRONMENT = {  # read by Ray when it starts
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is reported to its makers
    "RAY_enable_metrics_collection": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",  # its native code complains that nobody takes its metrics
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
_ROOT = Path(__file__).resolve().parents[1]
_CONNECT_S = 10.0
_START_S, _WORKER_S = 45.0, 90.0
"""Ray itself waits without an end for a cluster or a worker that does not come."""


class ClusterError(MicroliveError):
    """No cluster can be used: one line that says why and what to do."""


def require_workers(ray: Any, address: str) -> None:
    """Raises ClusterError when no worker comes, or it cannot import this program."""
    try:
        ray.get(ray.remote(num_cpus=0)(_nothing).remote(), timeout=_WORKER_S)
    except ray.exceptions.GetTimeoutError as error:
        raise ClusterError(
            f"--ray {address}: no worker of Ray started within {_WORKER_S:g} s; its logs say why, and without --ray "
            "none is needed"
        ) from error
    except ray.exceptions.RayError as error:
        raise ClusterError(f"--ray {address}: Ray's workers do not start ({' '.join(str(error).split())})") from error


def _nothing() -> None:
    """For a worker, to say that it is there."""


def imported_ray() -> Any:
    """Ray's module. Raises ClusterError, with what to do, when it is not installed."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise ClusterError(
            f"--ray: Ray is not installed ({error}); install it with: pip install -r requirements-ray.txt"
        ) from error


def _require_reachable(address: str) -> None:
    """Raises ClusterError when nobody answers at host:port; Ray itself goes on trying for many minutes."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if not host or not port.isdigit():
        return  # a word of Ray's, such as auto
    try:
        socket.create_connection((host, int(port)), _CONNECT_S).close()
    except OSError as error:
        raise ClusterError(
            f"--ray {address}: no Ray cluster answers there ({error.strerror or error}); start one with: "
            f"ray start --head --port={port}"
        ) from error


@contextlib.contextmanager
def ray_cluster(ray: Any, address: str, cpus: int, packages: Sequence[str]) -> Iterator[None]:
    """Connected to the cluster, silently: `cpus` of this machine for "local" (0: all), else the cluster at the address, to whose
    nodes our `packages` are sent.

    Raises:
        ClusterError: there is none, or it does not answer.
    """
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
            environment = {"py_modules": [str(_ROOT / package) for package in packages]}
            settings |= {"address": address}
            _require_reachable(address)
        over = threading.Event()
        try:
            with native_log_held_back():  # native code announces its log level
                _start(lambda: ray.init(runtime_env=environment, **settings), over)
        except TimeoutError as error:
            raise ClusterError(f"--ray {address}: no Ray cluster answered within {_START_S:g} s") from error
        except (ConnectionError, RuntimeError, ValueError, OSError, SystemExit) as error:
            text = " ".join(str(error).split())
            raise ClusterError(f"--ray {address}: no Ray cluster could be used ({text})") from error
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
