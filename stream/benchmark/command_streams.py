"""`--benchmark --latency` and `--benchmark --soak-faults`: measured on a network camera of the benchmark's own."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from stream.benchmark.faults import run_with_faults
from stream.benchmark.latency import Latency, measure_latency
from stream.benchmark.machine import machine_facts
from stream.options import LiveOptions
from stream.output_file import write_json
from stream.recognizer import Recognizer
from stream.threads import share_processor


def run_latency(options: LiveOptions, seconds: float, note: Callable[[str], None]) -> int:
    """The exit code."""
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
    found = run_with_faults(options.model, options.provider, minutes, note)
    recover = found.recover_s
    print(
        f"{len(found.faults)} faults in {minutes:g} min: {found.rows} rows, {found.rows_lost} lost, {found.rows_torn} torn; "
        f"back after p50 {recover.get('p50', 0.0):.2f} s, p95 {recover.get('p95', 0.0):.2f} s; {found.reconnects} reconnects; "
        f"memory grew by {found.memory_growth_mb:.1f} MB; exit code {found.exit_code}"
    )
    _write(options, {"soak_faults": asdict(found)})
    return 0 if found.exit_code == 0 and found.rows_lost == 0 and not found.rows_torn else 1


def _latency_words(found: Latency, watched: str) -> str:
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
