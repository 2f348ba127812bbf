"""How a run ends, and goes on, whatever is asked for from outside: signals, and a terminal that nobody reads."""

import json
import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest

from stream.benchmark.camera import FaultServer
from stream.screen.writer import ScreenWriter
from tests.helpers.clips import face_frames
from tests.helpers.mjpeg_server import endless_server
from tests.helpers.models import save_tiny_model
from tests.helpers.paths import ROOT
from tests.helpers.processes import alive, until


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "tiny.onnx"
    save_tiny_model(path)
    return path


@pytest.fixture
def server() -> Iterator[FaultServer]:
    frames = [cv2.resize(frame, (320, 320)) for frame in face_frames(15)]
    with endless_server([*frames, *frames[::-1]], 1 / 30) as server:
        yield server


def command(model: Path, *argv: object) -> list[str]:
    return [str(word) for word in (sys.executable, ROOT / "run_live.py", "--headless", "--model", model, *argv)]


def rows(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def all_children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task")
    return [int(pid) for task in tasks.iterdir() for pid in (task / "children").read_text().split()]


def test_a_terminal_that_nobody_reads_holds_nothing_up(server: FaultServer, model: Path, tmp_path: Path) -> None:
    """Its buffer is full of the panel when the camera breaks, which has to be said."""
    out, report = tmp_path / "out.csv", tmp_path / "run.json"
    unread, side = pty.openpty()
    try:
        argv = ("--source", server.url, "--csv", out, "--json", report, "--read-timeout", 0.5)
        terminal = {**os.environ, "TERM": "xterm"}
        with subprocess.Popen(
            command(model, *argv), cwd=ROOT, stdin=side, stdout=side, stderr=side, env=terminal
        ) as run:
            try:
                until(lambda: rows(out) > 120, run)
                for _ in range(2):
                    server.fault = "close"
                    until(lambda: not server._clients, run)
                    server.fault = None
                    now = rows(out)
                    until(lambda now=now: rows(out) > now + 30, run)
                run.send_signal(signal.SIGINT)
                assert run.wait(30) == 0
            finally:
                run.kill()
    finally:
        os.close(side)
        os.close(unread)
    told = json.loads(report.read_text())
    assert told["frames"] == rows(out) - 1 and told["health"]["reconnects"] == 2


def test_an_error_ends_a_run_whose_terminal_nobody_reads(server: FaultServer, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    unread, side = pty.openpty()
    try:
        argv = command(model, "--source", server.url, "--csv", out, "--retry-for", "0.2")
        with subprocess.Popen(argv, cwd=ROOT, stdout=side, stderr=side, env={**os.environ, "TERM": "xterm"}) as run:
            try:
                until(lambda: rows(out) > 120, run)
                server.fault = "gone"
                assert run.wait(60) == 1
            finally:
                run.kill()
    finally:
        os.close(side)
        os.close(unread)


def test_what_is_written_waits_within_bounds_and_comes_in_order() -> None:
    read, write = os.pipe()
    with os.fdopen(write, "w") as stream:
        writer = ScreenWriter(stream)
        for number in range(50_000):
            writer.write(f"{number}\n")
        assert writer.behind and len(writer._waiting) <= 64 * 1024
        found: list[bytes] = []

        def drain() -> None:
            while data := os.read(read, 65536):
                found.append(data)

        reader = threading.Thread(target=drain)
        reader.start()
        writer.close()
    reader.join(30)
    os.close(read)
    lines = b"".join(found).split()
    # Whole lines from the first on; those that found no room are left out.
    assert [int(line) for line in lines] == sorted(map(int, lines)) and int(lines[0]) == 0 and len(lines) > 10_000


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_to_all_processes_ends_a_run_as_ctrl_c_does(
    server: FaultServer, model: Path, tmp_path: Path, number: signal.Signals
) -> None:
    """Also where SIGINT was ignored at the start, as for what a script starts with `&`. The capture process hears of it
    too, as of a service manager, and is not to die before the program ends it."""
    out, report, session = tmp_path / "out.csv", tmp_path / "run.json", tmp_path / "s"
    argv = ["--source", server.url, "--csv", out, "--json", report, "--session", session]
    ignoring = ["sh", "-c", 'trap "" INT; exec "$@"', "sh", *command(model, *argv)]
    with subprocess.Popen(ignoring, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        try:
            until(lambda: rows(out) > 20, run)
            children = all_children(run.pid)
            for pid in (*children, run.pid):
                os.kill(pid, number)
            shown, errors = run.communicate(timeout=60)
        finally:
            run.kill()
    assert run.returncode == 0 and "Stopped." in shown and errors == ""
    told = json.loads(report.read_text())
    assert told["health"]["reconnects"] == 0 and told["health"]["outages"] == []
    assert json.loads((session / "session.json").read_text())["state"] == "finished"
    assert (session / "report.html").exists() and children and not any(map(alive, children))


def test_nohup_keeps_a_run_going_and_a_second_signal_ends_it_at_once(
    server: FaultServer, model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.csv"
    ignoring = ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", *command(model, "--source", server.url, "--csv", out)]
    with subprocess.Popen(ignoring, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
        try:
            until(lambda: rows(out) > 20, run)
            run.send_signal(signal.SIGHUP)
            now = rows(out)
            until(lambda: rows(out) > now + 20, run)
            children = all_children(run.pid)
            until(lambda: run.poll() is not None or run.send_signal(signal.SIGTERM))
            assert run.wait(10) in (0, -signal.SIGTERM)
        finally:
            run.kill()
    until(lambda: not any(map(alive, children)))


SECOND = """
import signal, sys, time
from model.signals import EndSignals
with EndSignals() as signals:
    try:
        print("up", flush=True)
        time.sleep(60)
    except KeyboardInterrupt:
        print("once", flush=True)
        time.sleep(60)
"""


def test_a_second_signal_ends_a_program_that_hangs_while_it_ends() -> None:
    with subprocess.Popen([sys.executable, "-c", SECOND], cwd=ROOT, stdout=subprocess.PIPE, text=True) as program:
        try:
            assert program.stdout is not None and program.stdout.readline() == "up\n"
            program.send_signal(signal.SIGTERM)
            assert program.stdout.readline() == "once\n"
            # What comes together is one wish; the next one is another.
            until(lambda: program.poll() is not None or program.send_signal(signal.SIGTERM))
            assert program.wait(10) == -signal.SIGTERM
        finally:
            program.kill()
