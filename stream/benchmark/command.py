"""What the benchmark's commands measure, say and write.

The engines alone need neither OpenCV nor MediaPipe, TensorFlow or rich: what a measurement does not use is not loaded.
"""

import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from stream.benchmark.engine_times import ROOT, EngineTimes, measure_batches, measure_engines
from stream.engine.model_file import BUNDLED_MODEL, EngineChoice, Provider, default_threads
from stream.machine import machine_facts, share_processor, usable_cores
from stream.sinks.base import check_target, write_json

if TYPE_CHECKING:
    from stream.benchmark.latency import Latency
    from stream.recognizer import Recognizer

_PROGRAM_RUNS = 3


@dataclass(frozen=True)
class BenchmarkSettings:
    """What is measured. `threads` 0: the usual number, and for engines and the whole program others beside it; `source`
    None: the demo as a file; `json`: where the result goes, beside the screen."""

    model: Path = BUNDLED_MODEL
    provider: Provider = "auto"
    threads: int = 0
    source: str | None = None
    json: Path | None = None
    engine: EngineChoice = "auto"


@dataclass(frozen=True)
class SpeedSettings:
    """`stages`: the engines alone, or the whole program too; `steps`: windows to measure; `batch`: so many independent
    streams are stepped together; `chart`: a PNG of the result; `fer`: a folder with the package of that name, to be
    compared with; `beside`: the folder of another version of this program, whose stages are measured in turns with these."""

    stages: Literal["all", "engine"] = "all"
    steps: int = 120
    batch: tuple[int, ...] = (1, 2, 4, 8, 16)
    chart: Path | None = None
    fer: Path | None = None
    beside: Path | None = None


def run_speed(settings: BenchmarkSettings, speed: SpeedSettings) -> int:
    """Engines and the whole program; the exit code. Errors of models and files are raised, here and below."""
    _check_targets(settings, speed.chart)
    whole = speed.stages == "all"
    engines = [
        measure_engines(settings.model, settings.provider, threads, speed.steps, with_tensorflow=whole, note=_note)
        for threads in _thread_counts(settings)
    ]
    report: dict[str, Any] = {"engine": _engine_fields(engines), "provider": engines[-1].provider}
    if speed.batch:
        batches = measure_batches(
            settings.model, settings.provider, engines[-1].threads, speed.batch, speed.steps, _note
        )
        report["batches"] = [asdict(times) for times in batches]
    if whole:
        report |= _stage_fields(settings, speed.beside) | _program_fields(settings) | _fer_fields(settings, speed.fer)
    report = _signed(report, settings)
    _show(report)
    _write(report, settings)
    if speed.chart is not None:
        from stream.benchmark.results import write_chart

        write_chart(report, speed.chart)
        print(f"Written: {speed.chart}")
    return 0


def _thread_counts(settings: BenchmarkSettings) -> list[int]:
    return [settings.threads] if settings.threads else sorted({1, default_threads("streaming"), usable_cores()})


def _engine_fields(engines: Sequence[EngineTimes]) -> dict[str, Any]:
    """What a user gets without options at the top, every run below `by_threads`."""
    main = next((times for times in engines if times.threads == default_threads("streaming")), engines[0])
    return {
        "threads": main.threads,
        "streaming_ms": main.streaming.p50_ms,
        "window_ms": main.window.p50_ms,
        "tensorflow_ms": main.tensorflow.p50_ms if main.tensorflow else None,
        "ratio": main.ratio,
        "max_abs_diff": max(times.max_abs_diff for times in engines),
        "by_threads": [asdict(times) for times in engines],
    }


def _stage_fields(settings: BenchmarkSettings, beside: Path | None) -> dict[str, Any]:
    """Stages one after the other, of this version and of one beside it, each with its own bundled model unless one is given."""
    from stream.benchmark.stage_costs import measure_stages
    from stream.sources.demo import DEMO_CLIP

    _note("stages, one after the other")
    model = None if settings.model == BUNDLED_MODEL else settings.model
    checkouts = [ROOT, *([] if beside is None else [beside])]
    found = measure_stages(checkouts, settings.source or str(DEMO_CLIP), model)
    return {"stages": asdict(found[0])} | ({} if beside is None else {"stages_beside": asdict(found[1])})


def _program_fields(settings: BenchmarkSettings) -> dict[str, Any]:
    from stream.benchmark.program import ProgramRun, measure_events_cost, run_program
    from stream.sources.demo import DEMO_CLIP

    model, provider = settings.model, settings.provider
    threads_by_default = settings.threads or default_threads("streaming")
    groups: dict[tuple[str, int], list[ProgramRun]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = settings.source or str(DEMO_CLIP)
        # The two engines take turns, so that a machine that slows down slows both.
        for turn in range(_PROGRAM_RUNS):
            for engine in ("streaming", "window"):
                for threads in _thread_counts(settings):
                    _note(f"whole program, {engine}, {threads} threads, run {turn + 1} of {_PROGRAM_RUNS}")
                    run = run_program(source, model, provider, engine, threads, folder)
                    groups.setdefault((run.engine, run.threads), []).append(run)
        events = measure_events_cost(source, model, provider, threads_by_default, folder, _note)
    middle = {key: sorted(group, key=lambda run: run.fps)[len(group) // 2] for key, group in groups.items()}
    # What a user gets without options.
    best = middle["streaming", threads_by_default]
    return {
        "pipeline": {
            "source": settings.source or "the demo as a file",
            "fps": best.fps,
            "processor_ms": best.processor_ms,
            "threads": best.threads,
            "frames": best.frames,
            "stages_ms": best.stages_ms,
            "runs": [{"engine": key[0], "threads": key[1], "fps": run.fps} for key, run in middle.items()],
        },
        "events": asdict(events),
        "startup": {"first_frame_s": best.first_frame_s, "first_label_s": best.first_label_s},
        "memory": {"peak_mb": best.peak_mb},
    }


def _fer_fields(settings: BenchmarkSettings, folder: Path | None) -> dict[str, Any]:
    """What could be had instead, on the same file; a line in its place where it cannot be run."""
    from stream.benchmark.fer_run import HOW_TO_INSTALL, run_fer
    from stream.sources.demo import DEMO_CLIP

    if folder is None:
        return {"fer": f"not compared with fer: {HOW_TO_INSTALL}"}
    _note("fer on the same file")
    found = run_fer(folder, settings.source or str(DEMO_CLIP))
    return {"fer": found if isinstance(found, str) else asdict(found)}


def _show(report: Mapping[str, Any]) -> None:
    """Tables where rich is installed, plain lines on a bare machine."""
    try:
        from stream.benchmark.results import show
    except ImportError:
        print(json.dumps(report, indent=2))
        return
    show(report)


def run_soak(settings: BenchmarkSettings, frames: int) -> int:
    """So many frames of a looped clip; the exit code."""
    from stream.benchmark.soak import soak
    from stream.sources.demo import DEMO_CLIP

    _check_targets(settings)
    recognizer = _new_recognizer(settings)
    _note(f"soak, {frames} frames")
    result = soak(recognizer, Path(settings.source) if settings.source else DEMO_CLIP, frames, _note)
    print(
        f"{result.frames} frames in {result.seconds:.0f} s: memory {result.settled_mb:.0f} MB after the first 5000 frames, "
        f"{result.end_mb:.0f} MB at the end; last answer differs from a fresh engine's by {result.drift:.1e}"
    )
    _write(_signed({"soak": asdict(result), "engine": recognizer.engine_kind}, settings), settings)
    return 0


def run_faults(settings: BenchmarkSettings, minutes: float) -> int:
    """The whole program on a camera that fails; the exit code: 1 when it failed itself or lost a row."""
    from stream.benchmark.faults import run_with_faults

    _check_targets(settings)
    _note(f"faults, {minutes:g} min")
    found = run_with_faults(settings.model, settings.provider, minutes, _note)
    recover = found.recover_s
    print(
        f"{len(found.faults)} faults in {minutes:g} min: {found.rows} rows, {found.rows_lost} lost, {found.rows_torn} torn; "
        f"back after p50 {recover.get('p50', 0.0):.2f} s, p95 {recover.get('p95', 0.0):.2f} s; {found.reconnects} reconnects; "
        f"memory grew by {found.memory_growth_mb:.1f} MB; exit code {found.exit_code}"
    )
    _write(_signed({"soak_faults": asdict(found)}, settings), settings)
    return 0 if found.exit_code == 0 and found.rows_lost == 0 and not found.rows_torn else 1


def run_fleet_faults(settings: BenchmarkSettings, minutes: float, cameras: int, jobs: int | None) -> int:
    """A fleet of cameras while cameras and workers are killed; the exit code: 1 when a row was lost or torn, something was
    back too late, or something was left."""
    from stream.benchmark.fleet_chaos import BACK_WITHIN_S, run_fleet_chaos

    _check_targets(settings)
    _note(f"fleet, {cameras} cameras, {minutes:g} min")
    found = run_fleet_chaos(cameras, minutes, _note, jobs)
    back = ", ".join(
        f"{what}s back after p50 {times.get('p50', 0.0):.2f} s, p95 {times.get('p95', 0.0):.2f} s, at most "
        f"{times.get('max', 0.0):.2f} s, {times['over']:.0f} of {times['count']:.0f} later than {BACK_WITHIN_S:g} s"
        for what, times in found.back_s.items()
        if times["count"]
    )
    print(
        f"{len(found.kills)} kills in {minutes:g} min: {found.rows} rows ({found.fps:.0f} a second) in {found.sessions} sessions, "
        f"{found.rows_lost} lost, {found.rows_torn} torn; {back}; memory grew by {found.memory_growth_mb:.1f} MB, that of the "
        f"program itself by {found.parent_growth_mb:.1f} MB; {found.processor_ms:.1f} ms of processor time a row; ended in {found.ended_in_s:.1f} s with {found.exit_code}, "
        f"{found.left_processes} processes left"
    )
    _write(_signed({"fleet_faults": asdict(found)}, settings), settings)
    late = any(times["over"] for times in found.back_s.values())
    wrong = found.exit_code or found.rows_lost or found.rows_torn or found.not_closed or found.left_processes or late
    return 1 if wrong else 0


def run_fleet_files(settings: BenchmarkSettings, files: int, frames: int, jobs: int) -> int:
    """Many short clips, by processes and by a local Ray cluster, killed in the middle too; the exit code: 1 when the tables differ."""
    from stream.benchmark.fleet_files import compare_fleet_files

    _check_targets(settings)
    found = compare_fleet_files(files, frames, jobs, _note)
    for run in found.runs:
        print(
            f"{run.way}{', killed and gone on' if run.killed else ''}: {run.sessions} sessions, {run.rows} rows in "
            f"{run.seconds:.0f} s ({files / run.seconds:.1f} files a second){f', {run.kept} not done again' if run.killed else ''}"
        )
    print("The same tables." if found.same else "The tables differ.")
    _write(_signed({"fleet_files": asdict(found)}, settings), settings)
    return 0 if found.same else 1


def run_latency(settings: BenchmarkSettings, seconds: float, viewers: int) -> int:
    """From the camera to the label, and again with viewers where there are to be some; the exit code."""
    from stream.benchmark.latency import measure_latency

    _check_targets(settings)
    recognizer = _new_recognizer(settings)
    report: dict[str, Any] = {}
    for count in sorted({0, viewers}):
        watched = f" with {count} viewers and one that stalls" if count else ""
        _note(f"latency{watched}, {seconds:g} s")
        found = measure_latency(recognizer, seconds, viewers=count)
        report["latency_with_viewers" if count else "latency"] = asdict(found)
        print(_latency_words(found, watched))
    _write(_signed(report | {"engine": recognizer.engine_kind}, settings), settings)
    return 0


def _latency_words(found: "Latency", watched: str) -> str:
    total = found.sent_to_label
    fps = ", ".join(f"{fps:.1f}" for fps in found.viewer_fps)
    return (
        f"{found.labels} labels in {found.seconds:.0f} s at {found.width_px}x{found.height_px}{watched}: sent to label "
        f"p50 {total.p50_ms:.1f} ms, p95 {total.p95_ms:.1f} ms, p99 {total.p99_ms:.1f} ms (longest {total.max_ms:.1f} ms)"
        + (f"; viewers see {fps} pictures a second" if fps else "")
    )


def _new_recognizer(settings: BenchmarkSettings) -> "Recognizer":
    """For a measurement in this process."""
    from stream.recognizer import Recognizer

    share_processor()
    return Recognizer(settings.model, settings.provider, settings.threads, settings.engine)


def _note(text: str) -> None:
    print(f"measuring: {text}", file=sys.stderr, flush=True)


def _check_targets(settings: BenchmarkSettings, chart: Path | None = None) -> None:
    """Before minutes are spent on what cannot be written."""
    for path, what in ((settings.json, "JSON file"), (chart, "chart")):
        if path is not None:
            check_target(path, what)


def _signed(report: Mapping[str, Any], settings: BenchmarkSettings) -> dict[str, Any]:
    return {**report, "model": settings.model.name, "machine": machine_facts()}


def _write(report: Mapping[str, Any], settings: BenchmarkSettings) -> None:
    if settings.json is not None:
        write_json(settings.json, report)
        print(f"Written: {settings.json}")
