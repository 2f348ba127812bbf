"""`python run_live.py --benchmark`: measures, shows a table, writes JSON and a chart."""

import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from stream.benchmark.engines import EngineTimes, measure_batches, measure_engines
from stream.benchmark.machine import machine_facts
from stream.model_file import default_threads, usable_cores
from stream.options import LiveOptions
from stream.output_file import check_target, write_json

_PROGRAM_RUNS = 3


def run_benchmark(options: LiveOptions) -> int:
    """The exit code. Errors of models and files are raised."""
    for path, what in ((options.json, "JSON file"), (options.chart, "chart")):
        if path is not None:
            check_target(path, what)
    if options.soak is not None:
        return _run_soak(options, options.soak)
    if options.soak_faults is not None:
        from stream.benchmark.command_streams import run_soak_faults

        return run_soak_faults(options, options.soak_faults, _note)
    if options.latency is not None:
        from stream.benchmark.command_streams import run_latency

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
        from stream.benchmark.chart import write_chart

        write_chart(report, options.chart)
        print(f"Written: {options.chart}")
    return 0


def _run_soak(options: LiveOptions, frames: int) -> int:
    from stream.benchmark.demo_file import demo_file
    from stream.benchmark.soak import soak
    from stream.recognizer import Recognizer
    from stream.threads import share_processor

    share_processor()
    recognizer = Recognizer(options.model, options.provider, options.threads, options.engine)
    with tempfile.TemporaryDirectory() as name:
        clip = Path(str(options.source)) if options.source_given else demo_file(Path(name))
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
    from stream.benchmark.demo_file import demo_file
    from stream.benchmark.events_cost import measure_events_cost
    from stream.benchmark.program import run_program

    threads_by_default = options.threads or default_threads("streaming")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = str(options.source) if options.source_given else str(demo_file(folder))
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
        from stream.benchmark.tables import show
    except ImportError:
        print(json.dumps(report, indent=2))
        return
    show(report)
