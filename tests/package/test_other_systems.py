"""Modules and functions that one system has and another has not: every module loads without them."""

import subprocess
import sys

import pytest

from stream.sources.base import SourceError
from stream.sources.live import LiveSource
from stream.sources.open import list_cameras
from tests.helpers.paths import ROOT

WITHOUT = """
import importlib, importlib.util, os, pathlib, signal, socket, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name in ("fcntl", "resource", "termios", "tty", "pty", "grp", "pwd"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

# Of the standard library's and others' own users those are loaded before, which know how to do without.
import subprocess, multiprocessing, asyncio, numpy, cv2, av, psutil, onnxruntime, aiohttp.web, rich.console, PIL.Image
import jinja2, matplotlib.pyplot, concurrent.futures.process, multiprocessing.resource_tracker
for name in ("fcntl", "resource", "termios", "tty", "pty", "grp", "pwd"):
    sys.modules.pop(name, None)
sys.meta_path.insert(0, Absent())
for holder, names in (
    (os, "sched_getaffinity memfd_create fork forkpty posix_fallocate getuid geteuid setsid killpg uname sysconf"),
    (socket, "SO_REUSEPORT AF_UNIX"),
    (signal, "SIGKILL SIGHUP SIGUSR1 pthread_sigmask"),
):
    for name in names.split():
        if hasattr(holder, name):
            delattr(holder, name)
root = pathlib.Path(sys.argv[1])
for folder in sys.argv[2:]:
    for path in sorted((root / folder).rglob("*.py")):
        name = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
        if path.name != "__main__.py":
            importlib.import_module(name)
            print(name)
"""


@pytest.mark.parametrize(
    "folder",
    [
        "stream",
        "microlive",
        pytest.param("train", marks=pytest.mark.slow),
        pytest.param("export", marks=pytest.mark.slow),
    ],
)
def test_every_module_loads_without_what_only_unix_has(folder: str) -> None:
    command = [sys.executable, "-c", WITHOUT, str(ROOT), folder]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-500:] + done.stderr
    assert f"{folder}\n" in done.stdout


def test_where_no_descriptors_can_be_handed_on_cameras_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from stream.sources import capture

    class Windows:
        platform = "win32"

    monkeypatch.setattr(capture, "sys", Windows)
    with pytest.raises(SourceError, match="not read on Windows yet"), LiveSource(0):
        pass
    with pytest.raises(SourceError, match="not read on Windows yet"):
        list_cameras()
