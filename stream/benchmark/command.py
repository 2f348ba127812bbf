"""`python run_live.py --benchmark`: measures, shows a table, writes JSON and a chart.

`--benchmark --latency` and `--benchmark --soak-faults`: measured on a network camera of the benchmark's own.
"""

import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from stream.benchmark.engine_times import EngineTimes, measure_batches, measure_engines
from stream.cli.options import LiveOptions
from stream.engine.model_file import default_threads
from stream.machine import machine_facts, usable_cores
from stream.sinks.base import check_target, write_json

_PROGRAM_RUNS = 3


def run_benchmark(options: LiveOptions) -> int:
    """The exit code. Errors of models and files are raised."""
    for path, what in ((options.json, "JSON file"), (options.chart, "chart")):
        if path is not None:
            check_target(path, what)
    if options.soak is not None:
        return _run_soak(options, options.soak)
    if options.soak_faults is not None:
        return run_soak_faults(options, options.soak_faults, _note)
    if options.latency is not None:
        return run_latency(options, options.latency, _note)
    engines: list[EngineTimes] = []
    whole = options.stages == "all"
    for threads in _thread_counts(options):
        engines.append(
            measure_engines(options.model, options.provider, threads, options.steps, with_tensorflow=whole, note=_note)
        )
    report: dict[str, Any] = {"engine": _engine_fields(engines), "provider": engines[-1].provider}
    if options.batch:
        batches = measure_batches(
            options.model, options.provider, engines[-1].threads, options.batch, options.steps, _note
        )
        report["batches"] = [asdict(times) for times in batches]
    if whole:
        report |= _program_fields(options)
    report |= {"model": options.model.name, "machine": machine_facts()}
    _show(report)
    if options.json is not None:
        write_json(options.json, report)
        print(f"Written: {options.json}")
    if options.chart is not None:
        from stream.benchmark.results import write_chart

        write_chart(report, options.chart)
        print(f"Written: {options.chart}")
    return 0


def _run_soak(options: LiveOptions, frames: int) -> int:
    from stream.benchmark.soak import soak
    from stream.machine import share_processor
    from stream.recognizer import Recognizer
    from stream.sources.demo import DEMO_CLIP

    share_processor()
    recognizer = Recognizer(options.model, options.provider, options.threads, options.engine)
    clip = Path(str(options.source)) if options.source_given else DEMO_CLIP
    result = soak(recognizer, clip, frames, _note)
    report = {"soak": asdict(result), "engine": recognizer.engine_kind, "machine": machine_facts()}
    print(
        f"{result.frames} frames in {result.seconds:.0f} s: memory {result.settled_mb:.0f} MB after the first 5000 frames, "
        f"{result.end_mb:.0f} MB at the end; last answer differs from a fresh engine's by {result.drift:.1e}"
    )
    if options.json is not None:
        write_json(options.json, report)
        print(f"Written: {options.json}")
    return 0


def _thread_counts(options: LiveOptions) -> list[int]:
    return [options.threads] if options.threads else sorted({1, default_threads("streaming"), usable_cores()})


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


def _program_fields(options: LiveOptions) -> dict[str, Any]:
    from stream.benchmark.program import measure_events_cost, run_program
    from stream.sources.demo import DEMO_CLIP

    threads_by_default = options.threads or default_threads("streaming")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = str(options.source) if options.source_given else str(DEMO_CLIP)
        runs = []
        # The two engines take turns, so that a machine that slows down slows both.
        for turn in range(_PROGRAM_RUNS):
            for engine in ("streaming", "window"):
                for threads in _thread_counts(options):
                    _note(f"whole program, {engine}, {threads} threads, run {turn + 1} of {_PROGRAM_RUNS}")
                    runs.append(run_program(source, options.model, options.provider, engine, threads, folder))
        events = measure_events_cost(source, options.model, options.provider, threads_by_default, folder, _note)
    groups: dict[tuple[str, int], list[Any]] = {}
    for run in runs:
        groups.setdefault((run.engine, run.threads), []).append(run)
    middle = {key: sorted(group, key=lambda run: run.fps)[len(group) // 2] for key, group in groups.items()}
    # What a user gets without options.
    best = middle["streaming", threads_by_default]
    return {
        "pipeline": {
            "source": "the demo as a file" if not options.source_given else source,
            "fps": best.fps,
            "threads": best.threads,
            "frames": best.frames,
            "stages_ms": best.stages_ms,
            "runs": [{"engine": key[0], "threads": key[1], "fps": run.fps} for key, run in middle.items()],
        },
        "events": asdict(events),
        "startup": {"first_frame_s": best.first_frame_s, "first_label_s": best.first_label_s},
        "memory": {"peak_mb": best.peak_mb},
    }


def _note(text: str) -> None:
    print(f"measuring: {text}", file=sys.stderr, flush=True)


def _show(report: dict[str, Any]) -> None:
    """A rich table where rich is installed, plain lines on a bare machine."""
    try:
        from stream.benchmark.results import show
    except ImportError:
        print(json.dumps(report, indent=2))
        return
    show(report)


def run_latency(options: LiveOptions, seconds: float, note: Callable[[str], None]) -> int:
    """The exit code."""
    from stream.benchmark.latency import measure_latency
    from stream.machine import share_processor
    from stream.recognizer import Recognizer

    share_processor()
    recognizer = Recognizer(options.model, options.provider, options.threads, options.engine)
    report: dict[str, Any] = {}
    for viewers in sorted({0, options.viewers}):
        watched = f" with {viewers} viewers and one that stalls" if viewers else ""
        note(f"latency{watched}, {seconds:g} s")
        found = measure_latency(recognizer, seconds, viewers=viewers)
        report["latency_with_viewers" if viewers else "latency"] = asdict(found)
        print(_latency_words(found, watched))
    _write(options, report | {"engine": recognizer.engine_kind})
    return 0


def run_soak_faults(options: LiveOptions, minutes: float, note: Callable[[str], None]) -> int:
    """The exit code: 1 when the program failed or lost a row."""
    from stream.benchmark.faults import run_with_faults

    found = run_with_faults(options.model, options.provider, minutes, note)
    recover = found.recover_s
    print(
        f"{len(found.faults)} faults in {minutes:g} min: {found.rows} rows, {found.rows_lost} lost, {found.rows_torn} torn; "
        f"back after p50 {recover.get('p50', 0.0):.2f} s, p95 {recover.get('p95', 0.0):.2f} s; {found.reconnects} reconnects; "
        f"memory grew by {found.memory_growth_mb:.1f} MB; exit code {found.exit_code}"
    )
    _write(options, {"soak_faults": asdict(found)})
    return 0 if found.exit_code == 0 and found.rows_lost == 0 and not found.rows_torn else 1


def _latency_words(found: Any, watched: str) -> str:
    total = found.sent_to_label
    fps = ", ".join(f"{fps:.1f}" for fps in found.viewer_fps)
    return (
        f"{found.labels} labels in {found.seconds:.0f} s at {found.width_px}x{found.height_px}{watched}: sent to label "
        f"p50 {total.p50_ms:.1f} ms, p95 {total.p95_ms:.1f} ms, p99 {total.p99_ms:.1f} ms (longest {total.max_ms:.1f} ms)"
        + (f"; viewers see {fps} pictures a second" if fps else "")
    )


def _write(options: LiveOptions, report: dict[str, Any]) -> None:
    if options.json is not None:
        write_json(options.json, report | {"model": options.model.name, "machine": machine_facts()})
        print(f"Written: {options.json}")
