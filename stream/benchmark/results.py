"""The report of `speed` for people: tables, and a picture of each engine's step and of where the whole program's time goes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from model.console import CleanConsole

_NAMES = {
    "streaming": "streaming (a frame at a time)",
    "window": "window (ONNX Runtime)",
    "tensorflow": "window (TensorFlow)",
}
_WORTH = 1.05
_COLOURS = {"streaming": "#0072B2", "window": "#999999", "tensorflow": "#CC79A7"}


def show(report: Mapping[str, Any]) -> None:
    """Tables on the screen."""
    console = CleanConsole()
    machine = report["machine"]
    console.print(f"{machine['processor']}, {machine['cores']} cores, provider {report['provider']}", highlight=False)
    console.print(_engines(report["engine"]))
    console.print(f"Largest difference of probabilities: {report['engine']['max_abs_diff']:.1e}", highlight=False)
    if "batches" in report:
        console.print(_batches(report["batches"]))
        console.print(_pays(report["batches"]), highlight=False)
    if "pipeline" in report:
        console.print(_stages(report["stages"], report.get("stages_beside")))
        console.print(_pipeline(report["pipeline"]))
        console.print(_runs(report["pipeline"]["runs"]))
        if "fer" in report:
            console.print(_instead(report["fer"], report["pipeline"]["fps"]), highlight=False)
        events = report["events"]
        console.print(
            f"With events {events['fps_with']:.0f} frames/s, without {events['fps_without']:.0f}: "
            f"ratio {events['ratio']:.3f} (median of {len(events['ratios'])} pairs of runs); processor time a frame "
            f"{events['processor_ms_with']:.2f} ms, without {events['processor_ms_without']:.2f}",
            highlight=False,
        )
        startup = report["startup"]
        label_s = startup["first_label_s"]
        labelled = "no frame had a label" if label_s is None else f"to first label {label_s:.2f} s"
        console.print(
            f"Start to first frame {startup['first_frame_s']:.2f} s, {labelled}; "
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
    for name in ("streams", "ms a step, p50", "p95", "p99", "frames/s", "gain", "live streams", "processor ms a frame"):
        table.add_column(name, justify="right")
    for run in batches:
        times = (f"{run['step'][p]:.2f}" for p in ("p50_ms", "p95_ms", "p99_ms"))
        table.add_row(
            str(run["batch"]), *times, f"{run['frames_per_s']:.0f}", f"{run['gain']:.2f}×",
            f"{run['live_streams']:.1f}", f"{run['processor_ms']:.2f}",
        )  # fmt: skip
    return table


def _pays(batches: list[dict[str, Any]]) -> str:
    """From how many streams on stepping them together is worth while."""
    paying = [run["batch"] for run in batches if run["gain"] >= _WORTH]
    found = f"from {min(paying)} streams on" if paying else "with none of these numbers of streams"
    return f"Stepping streams together pays (by {100 * (_WORTH - 1):.0f} % or more) {found}"


def _stages(stages: dict[str, Any], beside: dict[str, Any] | None) -> Table:
    title = "Stages one after the other, ms of processor time a frame"
    table = Table(title=Text(title, no_wrap=True), title_justify="left", box=None, min_width=len(title))
    for name in ("stage", "ms", *(("ms of the other version",) if beside else ())):
        table.add_column(name, justify="left" if name == "stage" else "right")
    for stage, ms in stages["stages_ms"].items():
        table.add_row(stage, f"{ms:.2f}", *((f"{beside['stages_ms'][stage]:.2f}",) if beside else ()))
    table.add_row("all", f"{stages['total_ms']:.2f}", *((f"{beside['total_ms']:.2f}",) if beside else ()))
    return table


def _pipeline(pipeline: dict[str, Any]) -> Table:
    title = (
        f"Whole program, {pipeline['source']}: {pipeline['fps']:.0f} frames/s, {pipeline['processor_ms']:.1f} ms of processor a "
        "frame"
    )
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


def _instead(fer: dict[str, Any] | str, fps: float) -> Text:
    """What could be had instead, on the same file."""
    if isinstance(fer, str):
        return Text(fer)
    return Text(
        f"fer {fer['version']} on the same file: {fer['fps']:.1f} frames/s, {fer['processor_ms']:.0f} ms of processor time a "
        f"frame, a face in {fer['faces']} of {fer['frames']} frames; this program is {fps / fer['fps']:.0f} times faster"
    )


def write_chart(report: Mapping[str, Any], path: Path) -> None:
    """PNG with horizontal bars: medians, with a line to p95."""
    # Nothing else needs it.
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    with_pipeline = "pipeline" in report
    figure, axes = plt.subplots(1, 2 if with_pipeline else 1, figsize=(11 if with_pipeline else 6, 3.2), squeeze=False)
    _draw_engines(axes[0][0], report["engine"]["by_threads"])
    if with_pipeline:
        _draw_stages(axes[0][1], report["pipeline"])
    machine = report["machine"]
    figure.suptitle(
        f"{machine['processor']}, {machine['cores']} cores, {report['provider']}", fontsize=9, color="#555555"
    )
    figure.tight_layout()
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _draw_engines(axis: Any, runs: list[dict[str, Any]]) -> None:
    rows = [(run["threads"], name, run[name]) for run in runs for name in _NAMES if run[name] is not None]
    for place, (_, name, times) in enumerate(reversed(rows)):
        _bar(axis, place, times["p50_ms"], times["p95_ms"], _COLOURS[name])
        axis.text(times["p95_ms"], place, f"  {times['p50_ms']:.1f} ms", va="center", fontsize=8)
    axis.set_yticks(
        range(len(rows)), [f"{_NAMES[n]}, {t} thread{'s' if t > 1 else ''}" for t, n, _ in reversed(rows)], fontsize=8
    )
    axis.set_title("One step of each engine, ms (lower is better)", fontsize=9)
    axis.margins(x=0.2)


def _draw_stages(axis: Any, pipeline: dict[str, Any]) -> None:
    stages = [(name, times) for name, times in pipeline["stages_ms"].items() if name != "latency"]
    for place, (_, times) in enumerate(reversed(stages)):
        _bar(axis, place, times["p50"], times["p95"], "#009E73")
        axis.text(times["p95"], place, f"  {times['p50']:.1f} ms", va="center", fontsize=8)
    axis.set_yticks(range(len(stages)), [name for name, _ in reversed(stages)], fontsize=8)
    axis.set_title(f"Stages of the whole program, ms: {pipeline['fps']:.0f} frames/s end to end", fontsize=9)
    axis.margins(x=0.2)


def _bar(axis: Any, place: int, p50: float, p95: float, colour: str) -> None:
    axis.barh(place, p50, color=colour, height=0.65)
    axis.plot([p50, p95], [place, place], color="#333333", linewidth=1)
    axis.spines[["top", "right"]].set_visible(False)
