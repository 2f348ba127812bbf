"""Programs of the project as processes, watched from outside (Linux's /proc)."""

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

DEADLINE_S = 240.0


def until(holds: Callable[[], Any], process: subprocess.Popen | None = None) -> None:
    """Waits until the condition holds; fails at the deadline, or when the process ends before."""
    deadline = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < deadline
        assert process is None or process.poll() is None, process.stderr.read() if process.stderr else ""
        time.sleep(0.02)


@contextmanager
def ended(process: subprocess.Popen) -> Iterator[None]:
    """Where the block fails the process is killed: leaving `Popen` waits for its end."""
    try:
        yield
    except BaseException:
        process.kill()
        raise


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
