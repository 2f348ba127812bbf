"""Streaming while faults are injected: what is lost, how soon the program is back, does memory grow?"""

import contextlib
import io
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import av
import cv2
import numpy as np
import psutil

from model.types import Image
from stream.benchmark.camera import FAULTS, SIZE_PX, Fault, FaultServer, camera_pictures
from stream.benchmark.engine_times import ROOT, Note
from stream.engine.model_file import Provider
from stream.sinks.base import SinkError
from stream.sources.demo import DemoSource

RunFault = Fault | Literal["unread", "jump"]
"""Beside the camera's. unread: nobody reads the terminal, and the camera's connections are closed. jump: beside the run,
the program reads a transport stream at its own pace whose time jumps by two hours."""
RUN_FAULTS: tuple[RunFault, ...] = (*FAULTS, "unread", "jump")
_GROWN, _ROWS_MORE = 40, 100
_HALF_FRAMES, _JUMP_S, _JUMP_FPS = 60, 7200, 30
_PICTURES = 600
_LOOK_S = 0.02
_START_S = 60.0
_END_S = 30.0
_BACK_S = 30.0
"""A program that is not back by then counts as one that never comes back."""
_LASTS_S = (0.5, 8.0)
_MEMORY_EVERY_S = 5.0
_SETTLED_SHARE = 0.1
_COLUMNS = ("frame", "time_s", "face", "status")


@dataclass(frozen=True)
class Injected:
    """A fault from `at_s` of the run on, for `lasted_s`. `row_s`: from its end until the next row was there; `label_s`:
    until the next answer (None: not before the next fault)."""

    fault: RunFault
    at_s: float
    lasted_s: float
    row_s: float
    label_s: float | None


@dataclass(frozen=True)
class FaultRun:
    """The whole program as a process, with CSV, events and recording, on a camera of 640x480 at 30 frames a second.

    `rows_lost`: frames that came out of the source (its last number, less those that were overtaken) and have no row,
    None where the program left no report;
    `rows_torn`: lines that are no rows. `memory_growth_mb`: median of the last tenth of the run less that of the second
    tenth, of the program and of its capture process. `recover_s` is of `row_s` of all faults. `outages` are those that the
    program told of, with its reasons.
    """

    minutes: float
    faults: tuple[Injected, ...]
    recover_s: dict[str, float]
    recover_by_fault_s: dict[str, dict[str, float]]
    rows: int
    rows_lost: int | None
    rows_torn: int
    dropped: dict[str, int]
    reconnects: int
    outages: tuple[dict[str, Any], ...]
    memory_mb: tuple[float, ...]
    memory_growth_mb: float
    processor_ms: float
    exit_code: int
    errors: tuple[str, ...]


def run_with_faults(
    model: Path,
    provider: Provider,
    minutes: float,
    note: Note,
    every_s: float = 20.0,
    faults: Sequence[RunFault] = RUN_FAULTS,
    seed: int = 0,
) -> FaultRun:
    """A fault every `every_s`, in turn, each for 0.5 to 8 s. Raises SinkError when the program does not start."""
    rng = random.Random(seed)
    pictures = camera_pictures(_PICTURES)
    smaller = [_half(picture) for picture in pictures[:60]]
    larger = _grown(pictures[0])
    with (
        tempfile.TemporaryDirectory() as name,
        FaultServer(
            lambda n: pictures[n % len(pictures)],
            1 / 30,
            lambda n: smaller[n % len(smaller)],
            lambda n: larger[min(n, len(larger) - 1)],
        ) as server,
        _Terminal() as terminal,
        _program(server.url, model, provider, Path(name), terminal.side) as process,
    ):
        run = _Run(process, Path(name), server, terminal)
        run.wait_for_rows()
        injected: list[Injected] = []
        for turn in range(max(1, int(60 * minutes / every_s) - 1)):
            run.watch_until(run.began_s + (turn + 1) * every_s)
            if process.poll() is not None:
                break
            fault = faults[turn % len(faults)]
            if fault == "jump":
                injected.append(_jump(model, provider, Path(name), time.monotonic() - run.began_s))
            else:
                injected.append(run.inject(fault, rng.uniform(*_LASTS_S), every_s))
            note(f"fault {turn + 1}: {fault} for {injected[-1].lasted_s:.1f} s, a row {injected[-1].row_s:.2f} s later")
        run.watch_until(run.began_s + 60 * minutes)
        return _result(run, minutes, injected)


class _Terminal:
    """A terminal for the program to draw on, `side` its end of it. It is read, and nothing kept, while `read` is set."""

    def __init__(self) -> None:
        import pty  # POSIX only

        self._main, self.side = pty.openpty()
        self.read = threading.Event()
        self.read.set()
        self._closed = False
        self._thread = threading.Thread(target=self._drain, name="terminal", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        self.read.set()
        # The last end that is closed ends a read that waits.
        os.close(self.side)
        self._thread.join()
        os.close(self._main)

    def _drain(self) -> None:
        with contextlib.suppress(OSError):
            while self.read.wait() and not self._closed and os.read(self._main, 65536):
                pass


class _Run:
    """The program while it runs: its rows as they come, its memory."""

    def __init__(self, process: subprocess.Popen[str], folder: Path, server: FaultServer, terminal: _Terminal) -> None:
        self.process, self.folder, self.server, self.terminal = process, folder, server, terminal
        self.memory_mb: list[float] = []
        self.began_s = time.monotonic()
        self._rows = _Rows(folder / "run.csv")

    def wait_for_rows(self) -> None:
        while not self._rows.new():
            if self.process.poll() is not None or time.monotonic() > self.began_s + _START_S:
                raise SinkError(f"the live program wrote no row within {_START_S:g} s")
            time.sleep(_LOOK_S)
        self.began_s = time.monotonic()

    def watch_until(self, until_s: float) -> None:
        while (left_s := until_s - time.monotonic()) > 0 and self.process.poll() is None:
            self.memory_mb.append(_memory_mb(self.process.pid))
            time.sleep(min(left_s, _MEMORY_EVERY_S))

    def inject(self, fault: RunFault, lasts_s: float, every_s: float) -> Injected:
        try:
            return self._inject(fault, lasts_s, every_s)
        finally:
            self.terminal.read.set()

    def _inject(self, fault: RunFault, lasts_s: float, every_s: float) -> Injected:
        at_s = time.monotonic() - self.began_s
        if fault == "unread":
            # Nobody reads until the program is back.
            self.terminal.read.clear()
        self.server.fault = "close" if fault in ("unread", "jump") else fault
        self.watch_until(time.monotonic() + lasts_s)
        self._rows.new()
        self.server.fault = None
        back_s = time.monotonic()
        row_s: float | None = None
        while (passed_s := time.monotonic() - back_s) < _BACK_S and self.process.poll() is None:
            time.sleep(_LOOK_S)
            new = self._rows.new()
            if new and row_s is None:
                row_s = time.monotonic() - back_s
            if any(row["status"] == "ok" for row in new):
                return Injected(fault, at_s, lasts_s, row_s or 0.0, time.monotonic() - back_s)
            if row_s is not None and passed_s > every_s / 2:
                break
        return Injected(fault, at_s, lasts_s, _BACK_S if row_s is None else row_s, None)


class _Rows:
    """Follows a CSV as it grows."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_bytes = 0
        self._rest = b""

    def new(self) -> list[dict[str, str]]:
        """The whole rows that have come since the last call."""
        with contextlib.suppress(FileNotFoundError), self._path.open("rb") as file:
            file.seek(self._read_bytes)
            data = file.read()
            self._read_bytes += len(data)
            *lines, self._rest = (self._rest + data).split(b"\n")
            return [dict(zip(_COLUMNS, line.decode().split(",")[:4], strict=True)) for line in lines]
        return []


@contextmanager
def _program(url: str, model: Path, provider: Provider, folder: Path, terminal: int) -> Iterator[subprocess.Popen[str]]:
    command = [
        sys.executable, str(ROOT / "run_live.py"), "--source", url, "--headless", "--model", str(model),
        "--provider", provider, "--csv", str(folder / "run.csv"), "--events", str(folder / "run.jsonl"),
        "--record", str(folder / "run.mp4"), "--json", str(folder / "run.json"),
    ]  # fmt: skip
    with (
        (folder / "errors").open("w") as errors,
        subprocess.Popen(command, cwd=ROOT, stdout=terminal, stderr=errors, text=True) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


def _memory_mb(pid: int) -> float:
    """Resident memory of a process and its children, in 10^6 bytes; 0 once it has ended."""
    total = 0
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        total = sum(one.memory_info().rss for one in (process, *process.children()))
    return total / 1e6


def _result(run: _Run, minutes: float, injected: list[Injected]) -> FaultRun:
    process, folder, memory_mb = run.process, run.folder, run.memory_mb
    process.send_signal(signal.SIGINT)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_END_S)
    code = process.poll()
    report: dict[str, Any] = json.loads((folder / "run.json").read_text()) if (folder / "run.json").exists() else {}
    lines = (folder / "run.csv").read_text().splitlines()[1:]
    whole = [line for line in lines if line.count(",") == lines[0].count(",")]
    health = report.get("health", {"dropped": {}, "reconnects": 0, "outages": []})
    frames = {int(line.partition(",")[0]) for line in whole}
    # The newest frame may still have waited for its turn when the run was ended, and counts as overtaken then.
    lost = max(0, max(frames) + 1 - health["dropped"].get("source", 0) - len(frames)) if report else None
    tenth = max(1, int(_SETTLED_SHARE * len(memory_mb)))
    growth_mb = float(np.median(memory_mb[-tenth:]) - np.median(memory_mb[tenth : 2 * tenth] or memory_mb))
    by_fault = {
        fault: _spread([one.row_s for one in injected if one.fault == fault])
        for fault in dict.fromkeys(one.fault for one in injected)
    }
    return FaultRun(
        minutes=minutes,
        faults=tuple(injected),
        recover_s=_spread([one.row_s for one in injected]),
        recover_by_fault_s=by_fault,
        rows=len(whole),
        rows_lost=lost,
        rows_torn=len(lines) - len(whole),
        dropped=health["dropped"],
        reconnects=health["reconnects"],
        outages=tuple(health["outages"]),
        memory_mb=tuple(round(mb, 1) for mb in memory_mb),
        memory_growth_mb=growth_mb,
        processor_ms=report.get("processor_ms", 0.0),
        exit_code=-9 if code is None else code,  # as of SIGKILL, which Windows has not
        errors=tuple((folder / "errors").read_text().splitlines()),
    )


def _spread(times_s: list[float]) -> dict[str, float]:
    if not times_s:
        return {}
    p50, p95, longest = np.percentile(times_s, (50, 95, 100))
    return {"p50": float(p50), "p95": float(p95), "max": float(longest), "count": len(times_s)}


def _jump(model: Path, provider: Provider, folder: Path, at_s: float) -> Injected:
    """`row_s`: how much longer the whole stream took than its pictures last."""
    path, out = folder / "jump.ts", folder / "jump.csv"
    with DemoSource("fast") as source:
        images = [frame.image for frame, _ in zip(source, range(2 * _HALF_FRAMES), strict=False)]
    path.write_bytes(transport_stream(images[:_HALF_FRAMES], 0) + transport_stream(images[_HALF_FRAMES:], _JUMP_S))
    out.unlink(missing_ok=True)
    command = [
        sys.executable, str(ROOT / "run_live.py"), "--source", str(path), "--headless", "--pace", "realtime",
        "--model", str(model), "--provider", provider, "--csv", str(out),
    ]  # fmt: skip
    began_s, row_s = time.monotonic(), _BACK_S
    rows, seen = _Rows(out), -1  # a header
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            while process.poll() is None and time.monotonic() - began_s < _START_S:
                seen += len(rows.new())
                time.sleep(_LOOK_S)
                if seen <= 0:
                    first_s = time.monotonic()
                elif seen == len(images):
                    row_s = max(0.0, time.monotonic() - first_s - len(images) / _JUMP_FPS)
                    break
        finally:
            process.kill()
    return Injected("jump", at_s, time.monotonic() - began_s, row_s, None)


def transport_stream(images: Sequence[Image], start_s: float) -> bytes:
    """H.264 of the pictures, whose times begin at `start_s`; such streams can be put one after the other."""
    file = io.BytesIO()
    with av.open(file, "w", format="mpegts") as container:
        stream = container.add_stream("libx264", rate=_JUMP_FPS)
        stream.height, stream.width, stream.pix_fmt = *images[0].shape[:2], "yuv420p"
        stream.options = {"preset": "ultrafast", "tune": "zerolatency"}
        stream.codec_context.time_base = Fraction(1, _JUMP_FPS)
        for index, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            frame.pts, frame.time_base = round(_JUMP_FPS * start_s) + index, Fraction(1, _JUMP_FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def _grown(jpeg: bytes) -> list[bytes]:
    """The picture with ever more rows below it."""
    picture: Image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    border = cv2.BORDER_REPLICATE
    larger = [cv2.copyMakeBorder(picture, 0, _ROWS_MORE * n, 0, 0, border) for n in range(1, _GROWN + 1)]
    return [cv2.imencode(".jpg", image)[1].tobytes() for image in larger]


def _half(jpeg: bytes) -> bytes:
    picture: Image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    width, height = SIZE_PX
    return cv2.imencode(".jpg", cv2.resize(picture, (width // 2, height // 2)))[1].tobytes()
