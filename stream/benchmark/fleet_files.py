"""A fleet of many short files, on this machine and on a local Ray cluster, left alone and killed in the middle: the same tables?"""

import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np

from model.types import Image
from stream.benchmark.engine_times import ROOT, Note
from stream.sinks.base import SinkError
from stream.sources.demo import DemoSource

_SIDE_PX, _FPS = 192, 30
_LONGEST_S = 4 * 3600.0
_KILL_SHARE = 0.4
_LOOK_S = 0.1


@dataclass(frozen=True)
class FilesRun:
    """`killed`: SIGKILL of the program when four tenths of the files were done, `kept` of which were not done again; then the same
    line once more. `digest` is of all rows but their latency, and of all events."""

    way: str
    killed: bool
    seconds: float
    kept: int
    sessions: int
    rows: int
    digest: str
    exit_code: int


@dataclass(frozen=True)
class FilesComparison:
    """`same`: all runs have the same tables."""

    files: int
    frames: int
    jobs: int
    runs: tuple[FilesRun, ...]
    same: bool
    load: tuple[float, float, float]


def compare_fleet_files(
    files: int, frames: int, jobs: int, note: Note, ways: Sequence[str] = ("processes", "ray")
) -> FilesComparison:
    """So many clips of so many frames of the demo's face, each another. Raises SinkError when a run does not end well."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_clips(folder / "clips", files, frames)
        note(f"{files} clips of {frames} frames made")
        runs: list[FilesRun] = []
        for way in ways:
            for killed in (False, True):
                runs.append(_run(folder, way, jobs, files, killed))
                note(
                    f"{way}{', killed and gone on' if killed else ''}: {runs[-1].rows} rows in {runs[-1].seconds:.0f} s"
                )
    same = len({(run.digest, run.sessions) for run in runs}) == 1
    return FilesComparison(files, frames, jobs, tuple(runs), same, os.getloadavg())


def make_clips(folder: Path, files: int, frames: int) -> None:
    """In folders of a hundred; clip n begins n frames into the demo, which goes round, and is mirrored every other time."""
    with DemoSource("fast") as source:
        images = [cv2.resize(frame.image, (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_AREA) for frame in source]
    for number in range(files):
        place = folder / f"{number // 100:02d}" / f"clip{number:04d}.mkv"
        place.parent.mkdir(parents=True, exist_ok=True)
        chosen = [images[(number + n) % len(images)] for n in range(frames)]
        _write(place, [np.ascontiguousarray(image[:, ::-1]) for image in chosen] if number % 2 else chosen)


def _write(path: Path, images: Sequence[Image]) -> None:
    with av.open(str(path), "w") as file:
        stream = file.add_stream("mpeg4", rate=_FPS)
        stream.height, stream.width, stream.pix_fmt, stream.bit_rate = _SIDE_PX, _SIDE_PX, "yuv420p", 2_000_000
        for image in images:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        file.mux(stream.encode(None))


def _run(folder: Path, way: str, jobs: int, files: int, killed: bool) -> FilesRun:
    out = folder / f"{way}{'-killed' if killed else ''}"
    command = [sys.executable, "-m", "stream.fleet", str(folder / "clips"), "--out", str(out), "--jobs", str(jobs)]
    command += ["--ray", "local"] if way == "ray" else []
    began_s, kept = time.monotonic(), 0
    if killed:
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            while process.poll() is None and _done(out) < _KILL_SHARE * files:
                time.sleep(_LOOK_S)
            process.send_signal(signal.SIGKILL)
        kept = _done(out)
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=_LONGEST_S)
    if done.returncode != 0:
        raise SinkError(f"the fleet ended with {done.returncode}: {done.stderr[-300:]}")
    seconds = time.monotonic() - began_s
    digest, sessions, rows = tables(out)
    return FilesRun(way, killed, seconds, kept, sessions, rows, digest, done.returncode)


def _done(out: Path) -> int:
    path = out / "state.jsonl"
    return path.read_bytes().count(b'"state": "done"') if path.exists() else 0


def tables(out: Path) -> tuple[str, int, int]:
    """A hash of all rows but their latency and of all events, with the sessions that they stand in; sessions; rows."""
    digest, sessions, rows = hashlib.sha256(), 0, 0
    for path in sorted((out / "sessions").glob("*/*/frames.csv")):
        sessions += 1
        digest.update(path.relative_to(out).as_posix().encode())
        for line in path.read_text(encoding="utf-8").splitlines():
            digest.update(line.rpartition(",")[0].encode() + b"\n")
            rows += 1
        rows -= 1
        digest.update(path.with_name("events.jsonl").read_bytes())
    return digest.hexdigest(), sessions, rows
