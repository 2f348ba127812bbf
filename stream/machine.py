"""This process and the machine under it: start, memory, cores, versions, and how its threads share the processor."""

import importlib.metadata
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import psutil

VERSION = "0.2.0"
"""Of Microlive: pyproject.toml and `microlive.__version__` have it from here."""

_IMPORTED_S = time.monotonic()
_PACKAGES = ("onnxruntime-gpu", "onnxruntime", "tensorflow", "mediapipe", "opencv-contrib-python", "numpy")
_TURN_S = 0.001


def seconds_since_start() -> float:
    """Since the process began, its imports included; where the system does not tell, since this module was loaded."""
    try:
        # By hand: psutil counts from the time of boot, which the kernel gives in whole seconds only. Field 22 of
        # /proc/self/stat, counted behind the name in brackets, is the start after boot in clock ticks.
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, AttributeError):
        return time.monotonic() - _IMPORTED_S


def peak_memory_mb() -> float:
    """The most memory the process has had resident, in 10^6 bytes; where the system does not tell, what it has now."""
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset / 1e6
    try:
        import resource  # POSIX only
    except ImportError:
        return memory_mb()
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def memory_mb() -> float:
    """Memory resident now, in 10^6 bytes."""
    return psutil.Process().memory_info().rss / 1e6


def usable_cores() -> int:
    """Cores this process may use, which in a container can be fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine_facts() -> dict[str, object]:
    """Processor, cores, GPU, system, versions, and the commit where there is one."""
    return {
        "processor": _processor(),
        "cores": usable_cores(),
        "gpu": _first_line("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: version for name in _PACKAGES if (version := _version(name)) is not None},
        "commit": _first_line("git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"),
    }


def share_processor() -> None:
    """Sets how this whole process shares the processor: for programs, at their start.

    The stages run in threads of their own; OpenCV's pool inside each of them would only compete with them, and so would NumPy's: on
    two cores a twelfth of the frames a second was lost in it. A thread that
    wants the interpreter waits for a turn of the one that has it, 5 ms unless told otherwise. Many such waits follow each
    other in a frame: with three viewers of the web view on two cores they made the latest answers 80 ms later, with turns
    of 1 ms hardly at all (measured by `python -m stream.benchmark latency --viewers 3`).
    """
    import cv2  # the engines' benchmark runs without it
    from threadpoolctl import threadpool_limits

    cv2.setNumThreads(1)
    threadpool_limits(1, user_api="blas")
    sys.setswitchinterval(_TURN_S)


def _processor() -> str:
    # By hand: neither psutil nor the standard library tells the processor's name on Linux.
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _first_line(*command: str) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip().splitlines()[0] if done.stdout.strip() else None
