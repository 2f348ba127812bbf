"""The whole live program on a file, as a process of its own: frames a second, stages, start-up, memory; and what looking
for events costs, by runs with and without it in turns."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from stream.benchmark.engine_times import ROOT, Note
from stream.engine.model_file import EngineChoice, ModelError, Provider

_PAIRS = 5


@dataclass(frozen=True)
class ProgramRun:
    """One run without display, with a CSV. `fps` counts from the first result to the last, without start-up, and so does
    `processor_ms`, the processor time a frame of all threads together.

    `stages_ms` holds p50, p95 and p99 by stage; start-up is from the start of the process.
    """

    engine: str
    threads: int
    fps: float
    processor_ms: float
    frames: int
    first_frame_s: float
    first_label_s: float | None
    peak_mb: float
    stages_ms: dict[str, dict[str, float]]


@dataclass(frozen=True)
class EventsCost:
    """Frames a second and processor time a frame, medians of the runs.

    `ratio` is the median of the frame rates with over without of each pair of runs, one right after the other, so that a
    machine that slows down slows both; `ratios` are those of all pairs. Processor time hardly depends on what else the
    machine does.
    """

    fps_with: float
    fps_without: float
    ratio: float
    ratios: tuple[float, ...]
    processor_ms_with: float
    processor_ms_without: float


def run_program(
    source: str,
    model: Path,
    provider: Provider,
    engine: EngineChoice,
    threads: int,
    folder: Path,
    detect_events: bool = True,
) -> ProgramRun:
    """Leaves a CSV and a report in `folder`. Raises ModelError with the program's own last line when it fails."""
    report = folder / "run.json"
    command = [
        sys.executable, str(ROOT / "run_live.py"), "--source", source, "--headless", "--pace", "fast",
        "--model", str(model), "--provider", provider, "--engine", engine, "--threads", str(threads),
        "--csv", str(folder / "run.csv"), "--json", str(report),
        *(() if detect_events else ("--no-events",)),
    ]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["no word"]
        raise ModelError(f"the live program ended with {done.returncode}: {lines[-1].removeprefix('error: ')}")
    return _program_run(json.loads(report.read_text()))


def _program_run(report: dict[str, Any]) -> ProgramRun:
    stages = {
        stage: {"p50": times["p50_ms"], "p95": times["p95_ms"], "p99": times["p99_ms"]}
        for stage, times in report["times"].items()
    }
    return ProgramRun(
        engine=report["engine"],
        threads=report["model_threads"],
        fps=report["fps"],
        processor_ms=report["processor_ms"],
        frames=report["frames"],
        first_frame_s=report["startup"]["first_frame_s"],
        first_label_s=report["startup"]["first_label_s"],
        peak_mb=report["memory"]["peak_mb"],
        stages_ms=stages,
    )


def measure_events_cost(
    source: str, model: Path, provider: Provider, threads: int, folder: Path, note: Note
) -> EventsCost:
    """The engine is the streaming one. Raises ModelError when a run fails."""
    runs: dict[bool, list[ProgramRun]] = {True: [], False: []}
    for pair in range(_PAIRS):
        note(f"whole program with and without events, {pair + 1} of {_PAIRS}")
        # Who comes first changes from pair to pair.
        for events in (True, False) if pair % 2 == 0 else (False, True):
            runs[events].append(run_program(source, model, provider, "streaming", threads, folder, events))
    ratios = tuple(first.fps / second.fps for first, second in zip(runs[True], runs[False], strict=True))
    return EventsCost(
        fps_with=median(run.fps for run in runs[True]),
        fps_without=median(run.fps for run in runs[False]),
        ratio=median(ratios),
        ratios=ratios,
        processor_ms_with=median(run.processor_ms for run in runs[True]),
        processor_ms_without=median(run.processor_ms for run in runs[False]),
    )
