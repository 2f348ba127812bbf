"""The whole live program on a file, as a process of its own: frames a second, stages, start-up, memory."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stream.model_file import EngineChoice, ModelError, Provider

_ROOT = Path(__file__).resolve().parent.parent.parent


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
        sys.executable, str(_ROOT / "run_live.py"), "--source", source, "--headless", "--pace", "fast",
        "--model", str(model), "--provider", provider, "--engine", engine, "--threads", str(threads),
        "--csv", str(folder / "run.csv"), "--json", str(report),
        *(() if detect_events else ("--no-events",)),
    ]  # fmt: skip
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
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
