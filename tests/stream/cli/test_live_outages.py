"""What goes wrong around the real program: the stream, its own death, the disk, the screen, the model's file."""

import csv
import itertools
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import pytest

from stream.benchmark.camera import FaultServer
from tests.helpers.clips import face_frames, write_video
from tests.helpers.mjpeg_server import endless_server
from tests.helpers.models import save_tiny_model
from tests.helpers.paths import ROOT
from tests.helpers.processes import DEADLINE_S


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faults")
    save_tiny_model(folder / "tiny.onnx")
    write_video(folder / "clip.mp4", face_frames(50))
    return folder


@pytest.fixture
def server() -> Iterator[FaultServer]:
    frames = [cv2.resize(frame, (320, 320)) for frame in face_frames(15)]
    with endless_server(
        [*frames, *frames[::-1]], 1 / 30, [cv2.resize(frame, (480, 480)) for frame in frames]
    ) as server:
        yield server


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@contextmanager
def program(folder: Path, *argv: object, **how: object) -> Iterator[subprocess.Popen[str]]:
    """The live program as a user runs it; ended at the end whatever happens."""
    command = [sys.executable, str(ROOT / "run_live.py"), "--headless", "--model", folder / "tiny.onnx", *argv]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | how
    process = subprocess.Popen([str(word) for word in command], cwd=ROOT, **streams)  # type: ignore[call-overload]
    with process:
        try:
            yield process
        finally:
            process.kill()


def wait_until(process: subprocess.Popen[str], condition: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(3000):
        if condition():
            return
        assert process.poll() is None, process.communicate()
        pause.wait(0.02)
    raise AssertionError("it did not happen")


def has_rows(path: Path, count: int) -> Callable[[], bool]:
    return lambda: path.exists() and len(path.read_bytes().splitlines()) > count


def all_children(process: subprocess.Popen[str]) -> list[int]:
    tasks = Path(f"/proc/{process.pid}/task")
    return [int(pid) for task in tasks.iterdir() for pid in (task / "children").read_text().split()]


def test_a_stream_that_comes_and_goes(server: FaultServer, folder: Path, tmp_path: Path) -> None:
    """The program says what happens, makes no row up and loses none, and ends with Ctrl-C."""
    out, report = tmp_path / "out.csv", tmp_path / "run.json"
    argv = ("--source", server.url.replace("//", "//me:hush@"), "--read-timeout", 0.5, "--csv", out, "--json", report)
    with program(folder, *argv) as process:
        wait_until(process, has_rows(out, 40))
        server.fault = "gone"
        told = iter(process.stdout or ())
        assert any("lost, opening it again: " in line for line in told)
        in_the_gap = len(rows_of(out))
        server.fault = None
        assert any("connected again after " in line for line in told)
        wait_until(process, has_rows(out, in_the_gap + 20))
        server.fault = "resize"
        wait_until(process, has_rows(out, in_the_gap + 60))
        process.send_signal(signal.SIGINT)
        shown, errors = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0 and "Traceback" not in errors and "hush" not in shown + errors
    rows = rows_of(out)
    times_s, numbers = [float(row["time_s"]) for row in rows], [int(row["frame"]) for row in rows]
    assert all(a < b for a, b in itertools.pairwise(times_s)) and all(a < b for a, b in itertools.pairwise(numbers))
    assert "hush" not in report.read_text()
    told_report = json.loads(report.read_text())
    health = told_report["health"]
    # Every frame has a row or was overtaken; the newest may have waited when the run was ended.
    assert told_report["frames"] == len(rows)
    assert 0 <= len(rows) + health["dropped"].get("source", 0) - (numbers[-1] + 1) <= 3
    assert health["reconnects"] == 1 and len(health["outages"]) == 1
    began_s, ended_s = health["outages"][0]["began_s"], health["outages"][0]["ended_s"]
    assert not [time_s for time_s in times_s if began_s + 1e-3 < time_s < ended_s - 1e-3]
    # The face that comes back is nobody known, and what was seen before the gap says nothing of it.
    after = next(number for number, time_s in enumerate(times_s) if time_s > began_s + 1e-3)
    if times_s[after] - times_s[after - 1] > 0.25:  # the contract's longest gap
        assert rows[after]["status"] != "ok" and rows[after]["face"] != rows[after - 1]["face"]


@pytest.mark.slow
def test_a_server_that_is_gone_for_20_seconds(server: FaultServer, folder: Path, tmp_path: Path) -> None:
    """With the settings as they come: nobody has to start the program again."""
    out, report = tmp_path / "out.csv", tmp_path / "run.json"
    with program(folder, "--source", server.url, "--csv", out, "--json", report) as process:
        wait_until(process, has_rows(out, 40))
        server.fault = "gone"
        threading.Event().wait(20.0)
        assert process.poll() is None
        before = out.read_bytes()
        server.fault = None
        wait_until(process, has_rows(out, len(before.splitlines()) + 20))
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0 and "Traceback" not in errors
    assert out.read_bytes().startswith(before) and before.endswith(b"\n")
    (outage,) = json.loads(report.read_text())["health"]["outages"]
    assert outage["ended_s"] - outage["began_s"] >= 20.0


def test_a_program_that_is_killed_leaves_what_it_had(server: FaultServer, folder: Path, tmp_path: Path) -> None:
    out, events, video = tmp_path / "out.csv", tmp_path / "events.jsonl", tmp_path / "out.mp4"
    argv = ("--source", server.url, "--csv", out, "--events", events, "--record", video)
    with program(folder, *argv) as process:
        wait_until(process, has_rows(out, 100))
        children = all_children(process)
        process.kill()
    rows = rows_of(out)
    assert len(rows) >= 100 and None not in rows[-1].values()
    for line in events.read_text().splitlines():
        json.loads(line)
    # How far it reaches is tested where the encoder's speed does not count.
    assert cv2.VideoCapture(str(video)).read()[0]
    pause = threading.Event()
    for _ in range(500):
        if not any(os.path.exists(f"/proc/{pid}") for pid in children):
            break
        pause.wait(0.02)
    assert children and not [pid for pid in children if os.path.exists(f"/proc/{pid}")]


@pytest.mark.parametrize("fault", ["gone", "stall"])
def test_ctrl_c_while_nothing_comes(server: FaultServer, folder: Path, tmp_path: Path, fault) -> None:
    out = tmp_path / "out.csv"
    with program(folder, "--source", server.url, "--csv", out, "--read-timeout", 0.5) as process:
        wait_until(process, has_rows(out, 5))
        server.fault = fault
        assert any("lost, opening it again" in line for line in process.stdout or ())
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0 and "Traceback" not in errors


def test_a_stream_that_is_given_up(server: FaultServer, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    with program(folder, "--source", server.url, "--csv", out, "--retry-for", 0.3) as process:
        wait_until(process, has_rows(out, 5))
        server.fault = "gone"
        _, errors = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 1 and "given up after 0.3 s" in errors and len(errors.splitlines()) == 1
    assert len(rows_of(out)) >= 5


def test_a_server_that_comes_later(server: FaultServer, folder: Path) -> None:
    server.fault = "gone"
    with program(folder, "--source", server.url, "--wait", "--max-frames", 5) as process:
        told = iter(process.stdout or ())
        assert any("waiting for it: connection refused" in line for line in told)
        server.fault = None
        _, errors = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, errors


@pytest.mark.parametrize("what", ["deleted", "replaced", "emptied"])
def test_the_model_file_changes_during_the_run(folder: Path, tmp_path: Path, what: str) -> None:
    """It has been loaded: the run goes on with what it said at its start."""
    model, out, undisturbed = tmp_path / "tiny.onnx", tmp_path / "out.csv", tmp_path / "undisturbed.csv"
    shutil.copy(folder / "tiny.onnx", model)
    clip = ("--source", folder / "clip.mp4")
    with program(tmp_path, *clip, "--pace", "realtime", "--csv", out) as process:
        wait_until(process, has_rows(out, 3))
        if what == "deleted":
            model.unlink()
        else:
            model.write_bytes(b"" if what == "emptied" else b"another model" * 1000)
        _, errors = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, errors
    with program(folder, *clip, "--pace", "fast", "--csv", undisturbed) as process:
        process.communicate(timeout=DEADLINE_S)
    rows, expected = rows_of(out), rows_of(undisturbed)
    for row in rows + expected:
        del row["latency_ms"]
    assert rows == expected and len(rows) == 50


def limit_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))


def test_rows_that_find_the_disk_full(folder: Path, tmp_path: Path) -> None:
    """One line says so, the run ends, and the last row is whole."""
    out = tmp_path / "out.csv"
    with program(folder, "--source", folder / "clip.mp4", "--csv", out, preexec_fn=limit_files) as process:
        _, errors = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 1
    assert errors.startswith("error: cannot write the CSV file ") and "File too large" in errors
    assert len(errors.splitlines()) == 1
    assert 1800 < out.stat().st_size <= 2000 and out.read_bytes().endswith(b"\n")
    assert [int(row["frame"]) for row in rows_of(out)] and None not in rows_of(out)[-1].values()


def test_a_recording_that_finds_the_disk_full(folder: Path, tmp_path: Path) -> None:
    argv = ("--source", folder / "clip.mp4", "--record", tmp_path / "out.mp4")
    with program(folder, *argv, preexec_fn=limit_files) as process:
        _, errors = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 1
    assert errors.startswith("error: cannot write the video ") and "File too large" in errors
    assert len(errors.splitlines()) == 1


def test_a_full_disk_at_the_start(folder: Path) -> None:
    with program(folder, "--source", folder / "clip.mp4", "--csv", "/dev/full") as process:
        _, errors = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 1 and errors == (
        "error: cannot write the CSV file /dev/full: No space left on device\n"
    )


def test_the_screen_is_closed_and_the_files_are_written_all_the_same(folder: Path, tmp_path: Path) -> None:
    """As with `| head -1`."""
    out, report = tmp_path / "out.csv", tmp_path / "run.json"
    with program(folder, "--source", folder / "clip.mp4", "--csv", out, "--json", report) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()
        process.wait(DEADLINE_S)
    assert process.returncode == 0 and errors == ""
    assert len(rows_of(out)) == json.loads(report.read_text())["frames"] == 50


def test_rows_into_a_pipe_that_is_closed(folder: Path) -> None:
    """As with `--csv /dev/stdout | head -3`."""
    clip = ("--source", folder / "clip.mp4", "--pace", "realtime")
    with program(folder, *clip, "--csv", "/dev/stdout") as process:
        assert process.stdout is not None and process.stderr is not None
        for _ in range(3):
            process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()
        process.wait(DEADLINE_S)
    assert process.returncode == 1
    assert errors == "error: cannot write the CSV file /dev/stdout: Broken pipe\n"
