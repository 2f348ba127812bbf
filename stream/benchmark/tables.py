"""The benchmark for people."""

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text


def show(report: dict[str, Any]) -> None:
    console = Console()
    machine = report["machine"]
    console.print(f"{machine['processor']}, {machine['cores']} cores, provider {report['provider']}", highlight=False)
    console.print(_engines(report["engine"]))
    console.print(f"Largest difference of probabilities: {report['engine']['max_abs_diff']:.1e}", highlight=False)
    if "batches" in report:
        console.print(_batches(report["batches"]))
    if "pipeline" in report:
        console.print(_pipeline(report["pipeline"]))
        console.print(_runs(report["pipeline"]["runs"]))
        events = report["events"]
        console.print(
            f"With events {events['fps_with']:.0f} frames/s, without {events['fps_without']:.0f}: "
            f"ratio {events['ratio']:.3f} (median of {len(events['ratios'])} pairs of runs); processor time a frame "
            f"{events['processor_ms_with']:.2f} ms, without {events['processor_ms_without']:.2f}",
            highlight=False,
        )
        startup = report["startup"]
        console.print(
            f"Start to first frame {startup['first_frame_s']:.2f} s, to first label {startup['first_label_s']:.2f} s; "
            f"peak memory {report['memory']['peak_mb']:.0f} MB",
            highlight=False,
        )


def _engines(engine: dict[str, Any]) -> Table:
    table = Table(title="Engines, ms a frame", title_justify="left", box=None)
    for name in ("threads", "engine", "p50", "p95", "p99", "faster than the window"):
        table.add_column(name, justify="left" if name == "engine" else "right")
    for run in engine["by_threads"]:
        for name in ("streaming", "window", "tensorflow"):
            times = run[name]
            if times is not None:
                faster = run["window"]["p50_ms"] / times["p50_ms"]
                cells = (f"{times[p]:.2f}" for p in ("p50_ms", "p95_ms", "p99_ms"))
                table.add_row(str(run["threads"]), name, *cells, f"{faster:.1f}×")
    return table


def _batches(batches: list[dict[str, Any]]) -> Table:
    table = Table(title="Streams stepped together", title_justify="left", box=None)
    for name in ("streams", "ms a step, p50", "p99", "frames/s"):
        table.add_column(name, justify="right")
    for run in batches:
        step = run["step"]
        table.add_row(str(run["batch"]), f"{step['p50_ms']:.2f}", f"{step['p99_ms']:.2f}", f"{run['frames_per_s']:.0f}")
    return table


def _pipeline(pipeline: dict[str, Any]) -> Table:
    title = f"Whole program on {pipeline['source']}: {pipeline['fps']:.0f} frames/s; ms a frame by stage"
    table = Table(title=Text(title, no_wrap=True), title_justify="left", box=None, min_width=len(title))
    for name in ("stage", "p50", "p95", "p99"):
        table.add_column(name, justify="left" if name == "stage" else "right")
    for stage, times in pipeline["stages_ms"].items():
        table.add_row(stage, *(f"{times[p]:.2f}" for p in ("p50", "p95", "p99")))
    return table


def _runs(runs: list[dict[str, Any]]) -> Table:
    table = Table(title="Whole program, frames/s", title_justify="left", box=None)
    for name in ("engine", "threads of the model", "frames/s"):
        table.add_column(name, justify="left" if name == "engine" else "right")
    for run in sorted(runs, key=lambda run: -run["fps"]):
        table.add_row(run["engine"], str(run["threads"]), f"{run['fps']:.0f}")
    return table
