"""The benchmark as a picture: a step of each engine, and where the whole program's time goes."""

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

_NAMES = {
    "streaming": "streaming (a frame at a time)",
    "window": "window (ONNX Runtime)",
    "tensorflow": "window (TensorFlow)",
}
_COLOURS = {"streaming": "#0072B2", "window": "#999999", "tensorflow": "#CC79A7"}


def write_chart(report: dict[str, Any], path: Path) -> None:
    """PNG with horizontal bars: medians, with a line to p95."""
    with_pipeline = "pipeline" in report
    figure, axes = plt.subplots(1, 2 if with_pipeline else 1, figsize=(11 if with_pipeline else 6, 3.2), squeeze=False)
    _engines(axes[0][0], report["engine"]["by_threads"])
    if with_pipeline:
        _stages(axes[0][1], report["pipeline"])
    machine = report["machine"]
    figure.suptitle(
        f"{machine['processor']}, {machine['cores']} cores, {report['provider']}", fontsize=9, color="#555555"
    )
    figure.tight_layout()
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _engines(axis: Any, runs: list[dict[str, Any]]) -> None:
    rows = [(run["threads"], name, run[name]) for run in runs for name in _NAMES if run[name] is not None]
    for place, (_, name, times) in enumerate(reversed(rows)):
        _bar(axis, place, times["p50_ms"], times["p95_ms"], _COLOURS[name])
        axis.text(times["p95_ms"], place, f"  {times['p50_ms']:.1f} ms", va="center", fontsize=8)
    axis.set_yticks(
        range(len(rows)), [f"{_NAMES[n]}, {t} thread{'s' if t > 1 else ''}" for t, n, _ in reversed(rows)], fontsize=8
    )
    axis.set_title("One step of each engine, ms (lower is better)", fontsize=9)
    axis.margins(x=0.2)


def _stages(axis: Any, pipeline: dict[str, Any]) -> None:
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
