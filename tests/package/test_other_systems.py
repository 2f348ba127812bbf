"""Modules and functions that one system has and another has not: every module loads without them."""

import subprocess
import sys
from pathlib import Path

import pytest

from stream.sources.base import SourceError
from stream.sources.live import LiveSource
from stream.sources.open import list_cameras
from tests.helpers.paths import ROOT
from tests.helpers.sessions import cells_of, facts_of

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
"""
LOAD = """
root = pathlib.Path(sys.argv[1])
for folder in sys.argv[2:]:
    for path in sorted((root / folder).rglob("*.py")):
        name = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
        if path.name != "__main__.py":
            importlib.import_module(name)
            print(name)
"""


RUN = """
import builtins, io
real_open = io.open

def without_proc(file, *args, **kwargs):
    if str(file).startswith("/proc"):
        raise FileNotFoundError(2, "No such file or directory", str(file))
    return real_open(file, *args, **kwargs)

# Ours alone does without /proc: psutil has its own ways on every system, and is as if it were on this one.
pathlib.io.open = io.open = without_proc
sys.path.insert(0, sys.argv[1])
import run_live
from stream import machine
assert not hasattr(os, "fork") and machine.usable_cores() == os.cpu_count() and machine.seconds_since_start() > 0
sys.exit(run_live.main(sys.argv[2:]))
"""


@pytest.mark.slow
def test_the_whole_line_is_the_same_without_what_only_unix_has(tmp_path: Path) -> None:
    """The demo to the last frame with session, rows and events: what is taken away changes no value."""
    said = {}
    for name, program in (("usual", [str(ROOT / "run_live.py")]), ("without", ["-c", WITHOUT + RUN, str(ROOT)])):
        out = tmp_path / name
        argv = ["--source", "demo", "--headless", "--pace", "fast", "--session", str(out)]
        done = subprocess.run([sys.executable, *program, *argv], cwd=ROOT, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout[-800:] + done.stderr[-800:]
        said[name] = (cells_of(out / "frames.csv"), (out / "events.jsonl").read_text(), facts_of(out)["state"])
    assert said["usual"] == said["without"] and said["usual"][2] == "finished"
    assert len(said["usual"][0]) > 400 and said["usual"][1]


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
    command = [sys.executable, "-c", WITHOUT + LOAD, str(ROOT), folder]
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
