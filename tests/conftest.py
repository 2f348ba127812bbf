"""What several test files share."""

import fcntl
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# What nohup or a script's `&` has these tests ignore, the programs that they start would ignore too.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)

# As `python -m train` does: a run that is begun in a test and gone on with in a process must reckon alike.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

# The same examples in every run, and none that a busy machine fails, so that a change is what makes a test fail. To look
# for new ones: pytest --hypothesis-profile=default
settings.register_profile("fixed", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture
def display(monkeypatch) -> Iterator[str]:
    """A free display with an X server of its own."""
    for program in ("Xvfb", "xdotool"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed")
    read, write = os.pipe()
    command = ["Xvfb", "-displayfd", str(write), "-screen", "0", "800x600x24", "-nolisten", "tcp"]
    with subprocess.Popen(command, pass_fds=[write], stderr=subprocess.DEVNULL) as server:
        os.close(write)
        with os.fdopen(read) as number:
            name = f":{number.readline().strip()}"
        monkeypatch.setenv("DISPLAY", name)
        monkeypatch.delenv("QT_QPA_PLATFORM", raising=False)
        yield name
        server.terminate()


@pytest.fixture(scope="session")
def line(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole line once, small: a folder with `data` (clips), `run` (two epochs) and `exported` (both models).

    Processes that share the tests share it too: the first that needs it makes it.
    """
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    folder = shared / "line"
    with (shared / "line.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "exported" / "model.onnx").exists():
            _make_line(folder)
    return folder


def _make_line(folder: Path) -> None:
    from export.__main__ import main as export_main
    from train.__main__ import main as train_main

    data, run, out = (str(folder / name) for name in ("data", "run", "exported"))
    assert train_main(["synth", "--out", data, "--clips", "40", "--drawn", "3", "--jobs", "1", "--seed", "5"]) == 0
    settings = ["--size-px", "32", "--epochs", "2", "--workers", "1", "--validation-share", "0.3"]
    assert train_main(["fit", "--data", data, "--out", run, *settings]) == 0
    assert export_main([run, "--out", out]) == 0
