"""What the numbers were taken on."""

import importlib.metadata
import platform
import subprocess
from pathlib import Path

from stream.model_file import usable_cores

_PACKAGES = ("onnxruntime-gpu", "onnxruntime", "tensorflow", "mediapipe", "opencv-python", "numpy")


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


def _processor() -> str:
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
