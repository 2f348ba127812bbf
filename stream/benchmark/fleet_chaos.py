"""A fleet of cameras while cameras and workers are killed: is a row lost or torn, how soon is everything back, does memory grow?"""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import psutil

from stream.benchmark.camera import FaultServer, camera_pictures
from stream.benchmark.engine_times import ROOT, Note
from stream.sinks.base import SinkError

_PICTURES, _SIZE_PX, _RATE_HZ = 300, (320, 240), 15.0
_EVERY_S = 20.0
_AWAY_S = (0.5, 8.0)
_LOOK_S, _MEMORY_EVERY_S = 0.05, 2.0
_START_S, _END_S, _LEFT_S = 120.0, 90.0, 5.0
_SETTLED_SHARE = 0.1
BACK_WITHIN_S = 5.0

Killed = Literal["camera", "worker"]


@dataclass(frozen=True)
class Kill:
    """What was killed at `at_s` of the run. `back_s`: from then (of a camera: from when it was switched on again) until every
    source that stood still had a new row; None where one had none within the time. `sources`: those."""

    what: Killed
    at_s: float
    sources: tuple[str, ...]
    back_s: float | None


@dataclass(frozen=True)
class ChaosRun:
    """`back_s`, by what was killed: how soon it was back: p50, p95, max, `count`, `over` the limit of `BACK_WITHIN_S`, `never`
    within the time (those are over it, too). `camera_fps` and `camera_overtaken_share`, by camera: rows a second, and of
    its pictures those that a newer one overtook. `processor_s`: of all processes of the fleet in the run, those that were begun
    again included, as far as it was seen before they died; `processor_ms`: that a row.

    `rows_lost`: rows that had been there and were not at the end, and in sessions that were closed frames that came out of
    the source, were not overtaken and have no row. `rows_torn`: lines that are no rows, and numbers that do not grow.
    `memory_growth_mb`: the 90th percentile of the last tenth of the run less that of the second tenth, of all processes of the
    fleet, of which some are missing for a while after a kill;
    `parent_growth_mb`: of the one that was started. `not_closed`: sessions that say of themselves neither that they are finished nor that they were killed."""

    minutes: float
    cameras: int
    kills: tuple[Kill, ...]
    back_s: dict[str, dict[str, float]]
    rows: int
    rows_lost: int
    rows_torn: int
    sessions: int
    not_closed: int
    fps: float
    overtaken_share: float
    camera_fps: dict[str, float]
    camera_overtaken_share: dict[str, float]
    processor_s: float
    processor_ms: float
    memory_mb: tuple[float, ...]
    memory_growth_mb: float
    parent_growth_mb: float
    ended_in_s: float
    left_processes: int
    exit_code: int
    load: tuple[float, float, float]
    errors: tuple[str, ...]


def run_fleet_chaos(
    cameras: int, minutes: float, note: Note, jobs: int | None = None, every_s: float = _EVERY_S, seed: int = 0
) -> ChaosRun:
    """Cameras of 320x240 at 15 frames a second; every `every_s` one of them is switched off for 0.5 to 8 s, or a worker is killed, in
    turn. Raises SinkError when the fleet does not start."""
    rng = random.Random(seed)
    pictures = camera_pictures(_PICTURES, _SIZE_PX)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        servers = {
            f"cam{n:02d}": stack.enter_context(FaultServer(lambda n: pictures[n % len(pictures)], 1 / _RATE_HZ, seed=n))
            for n in range(1, cameras + 1)
        }
        run = stack.enter_context(_Fleet(folder, servers, jobs))
        run.wait_for_all()
        note(f"{cameras} cameras give rows")
        kills: list[Kill] = []
        for turn in range(max(1, int(60 * minutes / every_s) - 1)):
            run.watch_until(run.began_s + (turn + 1) * every_s)
            kills.append(run.kill_camera(rng, every_s) if turn % 2 else run.kill_worker(rng, every_s))
            back = kills[-1].back_s
            told = "not back" if back is None else f"back after {back:.2f} s"
            note(f"{turn + 1}: a {kills[-1].what} killed, {len(kills[-1].sources)} sources stood still, {told}")
        run.watch_until(run.began_s + 60 * minutes)
        return run.result(minutes, kills)


class _Fleet:
    """The program while it runs: the rows of every part as they come, its processes, its memory."""

    def __init__(self, folder: Path, servers: dict[str, FaultServer], jobs: int | None) -> None:
        self._out = folder / "fleet"
        self._servers = servers
        sources = folder / "sources.yaml"
        lines = "".join(f"  {name}: {server.url}\n" for name, server in servers.items())
        sources.write_text(f"sources:\n{lines}", encoding="utf-8")
        self._errors = folder / "errors"
        command = [sys.executable, "-m", "stream.fleet", str(sources), "--out", str(self._out)]
        command += [] if jobs is None else ["--jobs", str(jobs)]
        with self._errors.open("w") as errors:
            self._process = subprocess.Popen(command, cwd=ROOT, stdout=errors, stderr=errors)
        self._parts: dict[Path, _Part] = {}
        self._memory: list[tuple[float, float]] = []
        self._seen_processes: dict[int, psutil.Process] = {}
        self._processor_s: dict[int, float] = {}
        self._began = (0.0, 0)
        self.began_s = time.monotonic()

    def __enter__(self) -> "_Fleet":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def wait_for_all(self) -> None:
        while len({part.source for part in self._look().values() if part.rows}) < len(self._servers):
            if self._process.poll() is not None or time.monotonic() > self.began_s + _START_S:
                raise SinkError(
                    f"the fleet gave no rows of all cameras within {_START_S:g} s: {self._errors.read_text()[-300:]}"
                )
            time.sleep(_LOOK_S)
        self._note_processes()
        self._began = (sum(self._processor_s.values()), sum(part.rows for part in self._parts.values()))
        self.began_s = time.monotonic()

    def watch_until(self, until_s: float) -> None:
        while (left_s := until_s - time.monotonic()) > 0 and self._process.poll() is None:
            self._note_processes()
            self._look()
            time.sleep(min(left_s, _MEMORY_EVERY_S))

    def kill_worker(self, rng: random.Random, every_s: float) -> Kill:
        """One of those that have recordings."""
        carried = {one: self._carried(one) for one in self._children(self._process.pid)}
        worker = rng.choice([one for one, sources in carried.items() if sources])
        at_s = time.monotonic()
        before = set(self._look())
        worker.kill()
        back_s: float | None = None
        while back_s is None and time.monotonic() - at_s < 0.8 * every_s:
            time.sleep(_LOOK_S)
            new = {part.source for path, part in self._look().items() if path not in before and part.rows}
            if new >= carried[worker]:
                back_s = time.monotonic() - at_s
        return Kill("worker", at_s - self.began_s, tuple(sorted(carried[worker])), back_s)

    def kill_camera(self, rng: random.Random, every_s: float) -> Kill:
        name = rng.choice(sorted(self._servers))
        at_s, away_s = time.monotonic(), rng.uniform(*_AWAY_S)
        self._servers[name].fault = "gone"
        self.watch_until(at_s + away_s)
        self._look()
        rows = self._rows_of(name)
        self._servers[name].fault = None
        on_s = time.monotonic()
        while time.monotonic() - on_s < every_s:
            time.sleep(_LOOK_S)
            self._look()
            if self._rows_of(name) > rows:
                return Kill("camera", at_s - self.began_s, (name,), time.monotonic() - on_s)
        return Kill("camera", at_s - self.began_s, (name,), None)

    def _rows_of(self, name: str) -> int:
        return sum(part.rows for part in self._parts.values() if part.source == name)

    def _look(self) -> dict[Path, "_Part"]:
        for path in (self._out / "sessions").glob("*/*/frames.csv"):
            if path not in self._parts:
                self._parts[path] = _Part(path)
        for part in self._parts.values():
            part.look()
        return self._parts

    def _children(self, pid: int) -> list[psutil.Process]:
        with contextlib.suppress(psutil.NoSuchProcess):
            return psutil.Process(pid).children()
        return []

    def _carried(self, worker: psutil.Process) -> set[str]:
        """The sources whose rows it writes."""
        with contextlib.suppress(psutil.NoSuchProcess):
            open_files = (Path(file.path) for file in worker.open_files())
            return {path.parts[-3] for path in open_files if path.name == "frames.csv"}
        return set()

    def _note_processes(self) -> None:
        """Their memory, and the processor time that each has taken."""
        total = own = 0
        with contextlib.suppress(psutil.NoSuchProcess):
            fleet = psutil.Process(self._process.pid)
            own = fleet.memory_info().rss
            for one in (fleet, *fleet.children(recursive=True)):
                self._seen_processes[one.pid] = one
                with contextlib.suppress(psutil.NoSuchProcess):
                    total += one.memory_info().rss
                    times = one.cpu_times()
                    self._processor_s[one.pid] = times.user + times.system
        self._memory.append((total / 1e6, own / 1e6))

    def result(self, minutes: float, kills: list[Kill]) -> ChaosRun:
        self._look()
        seconds = time.monotonic() - self.began_s
        load = os.getloadavg()
        self._note_processes()
        processor_s = sum(self._processor_s.values()) - self._began[0]
        seen_rows = sum(part.rows for part in self._parts.values()) - self._began[1]
        asked_s = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_S)
        ended_in_s = time.monotonic() - asked_s
        code = self._process.poll()
        _, left = psutil.wait_procs(list(self._seen_processes.values()), timeout=_LEFT_S)
        before = {path: part.rows for path, part in self._parts.items()}
        checked = [_check(path, before.get(path, 0)) for path in (self._out / "sessions").glob("*/*/frames.csv")]
        missing = sum(rows for path, rows in before.items() if not path.exists())
        memory = np.array(self._memory)
        tenth = max(1, int(_SETTLED_SHARE * len(memory)))
        growth = np.subtract(
            *(np.percentile(part, 90, axis=0) for part in (memory[-tenth:], memory[tenth : 2 * tenth]))
        )
        rows = sum(one.rows for one in checked)
        overtaken = {name: sum(one.overtaken for one in checked if one.source == name) for name in self._servers}
        of_camera = {name: sum(one.rows for one in checked if one.source == name) for name in self._servers}
        return ChaosRun(
            minutes=minutes,
            cameras=len(self._servers),
            kills=tuple(kills),
            back_s={
                what: _spread([kill.back_s for kill in kills if kill.what == what]) for what in ("worker", "camera")
            },
            rows=rows,
            rows_lost=missing + sum(one.lost for one in checked),
            rows_torn=sum(one.torn for one in checked),
            sessions=len(checked),
            not_closed=sum(not one.closed for one in checked),
            fps=rows / seconds,
            overtaken_share=sum(overtaken.values()) / max(1, sum(overtaken.values()) + rows),
            camera_fps={name: count / seconds for name, count in of_camera.items()},
            camera_overtaken_share={
                name: overtaken[name] / max(1, overtaken[name] + count) for name, count in of_camera.items()
            },
            processor_s=processor_s,
            processor_ms=1000 * processor_s / max(1, seen_rows),
            memory_mb=tuple(round(float(mb), 1) for mb in memory[:, 0]),
            memory_growth_mb=float(growth[0]),
            parent_growth_mb=float(growth[1]),
            ended_in_s=ended_in_s,
            left_processes=len(left),
            exit_code=-9 if code is None else code,
            load=load,
            errors=tuple(
                line for line in self._errors.read_text().splitlines() if "error" in line or "Traceback" in line
            ),
        )


class _Part:
    """One session's rows as they come."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._size = 0
        self.source = path.parts[-3]
        self.rows = 0

    def look(self) -> None:
        with contextlib.suppress(FileNotFoundError), self._path.open("rb") as file:
            file.seek(self._size)
            data = file.read()
            self.rows += data.count(b"\n") - (self._size == 0 and b"\n" in data)
            self._size += len(data)


@dataclass(frozen=True)
class _Checked:
    source: str
    rows: int
    lost: int
    torn: int
    overtaken: int
    closed: bool


def _check(path: Path, rows_before: int) -> _Checked:
    """Of a session after the fleet's end; `rows_before`: so many had been seen."""
    text = path.read_text(encoding="utf-8")
    head, *lines = text.split("\n")[:-1]
    torn = int(not text.endswith("\n")) + sum(line.count(",") != head.count(",") for line in lines)
    numbers = [int(line.partition(",")[0]) for line in lines if line.count(",") == head.count(",")]
    torn += sum(later < earlier for earlier, later in pairwise(numbers))
    facts: dict[str, Any] = json.loads((path.parent / "session.json").read_text(encoding="utf-8"))
    frames = len(set(numbers))
    lost = max(0, rows_before - len(lines))
    overtaken = max(numbers, default=-1) + 1 - frames
    if facts["state"] == "finished":
        # The newest frame may still have waited for its turn at the end, and counts as overtaken then.
        lost += max(0, overtaken - facts["run"]["health"]["dropped"].get("source", 0))
    closed = facts["state"] in ("finished", "killed") or facts["state"].startswith("failed")
    return _Checked(path.parts[-3], len(lines), lost, torn, overtaken, closed)


def _spread(times_s: Sequence[float | None]) -> dict[str, float]:
    known = [time_s for time_s in times_s if time_s is not None]
    never = len(times_s) - len(known)
    over = never + sum(time_s > BACK_WITHIN_S for time_s in known)
    told: dict[str, float] = {"count": len(times_s), "never": never, "over": over}
    if known:
        told |= {"p50": float(np.median(known)), "p95": float(np.percentile(known, 95)), "max": max(known)}
    return told
