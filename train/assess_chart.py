"""An assessment as one picture: UF1 by peak motion and by condition, and how far confidences can be believed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from train.rundir import write_with

_MODELS, _CHANCE, _PLAIN = "#2a6f97", "#999999", "#014f86"


def draw_assessment(report: Mapping[str, Any], path: Path) -> None:
    """Writes the chart as PNG: bars are means over the models, whiskers their sd, points the models, the dotted line chance."""
    conditions = report["conditions"]
    rates = [row for row in conditions if row["group"] in ("plain", "rate")]
    worse = [row for row in conditions if row["group"] in ("plain", "robustness")]
    figure = Figure(figsize=(11, 8.5 if conditions else 4.5), layout="constrained")
    axes = figure.subplots(2 if conditions else 1, 2, squeeze=False)
    bands = report["by_peak"]
    _bars(axes[0, 0], [f"{name}\nn = {band['n']}" for name, band in bands.items()], list(bands.values()))
    axes[0, 0].set_title("By peak motion")
    _reliability(axes[0, 1], report["reliability"])
    if conditions:
        _bars(axes[1, 0], [_short(row["name"]) for row in rates], rates)
        axes[1, 0].set_title(f"By frame rate (n = {rates[0]['n']})")
        _bars(axes[1, 1], [_short(row["name"]).replace("\n", ", ") for row in worse], worse, lying=True)
        axes[1, 1].set_title(f"Filmed in a worse way (n = {worse[0]['n']})")
    models = len(report["models"])
    unseen = " never trained on" if not report["known_people"] else ", some known to the models"
    figure.suptitle(
        f"{report['plain']['n']:,} clips of {len(report['people'])} people{unseen}; {models} model{'s' * (models > 1)}"
    )
    FigureCanvasAgg(figure)
    write_with(path, lambda temporary: figure.savefig(temporary, dpi=110, format="png"))


def _bars(ax: Axes, names: Sequence[str], rows: Sequence[Mapping[str, Any]], lying: bool = False) -> None:
    """UF1 of each row; `lying` draws the bars from left to right, for many or long names."""
    places = range(len(names))
    means = [row["uf1"]["mean"] for row in rows]
    sds = None if rows[0]["uf1"]["sd"] is None else [row["uf1"]["sd"] for row in rows]
    colours = [_PLAIN if row.get("group") == "plain" else _MODELS for row in rows]
    chance = rows[0]["chance"]["uf1"]["mean"]
    points = [(place, value) for place, row in zip(places, rows, strict=True) for value in row["uf1"]["values"]]
    if lying:
        ax.barh(places, means, xerr=sds, color=colours, alpha=0.85, capsize=3)
        ax.scatter([value for _, value in points], [place for place, _ in points], s=9, color="black", zorder=3)
        ax.set_yticks(places, names)
        ax.invert_yaxis()
        ax.axvline(chance, color=_CHANCE, linestyle=":")
        ax.set(xlabel="UF1", xlim=(0, 1))
        ax.grid(alpha=0.3, axis="x")
    else:
        ax.bar(places, means, yerr=sds, color=colours, alpha=0.85, capsize=3)
        ax.scatter(*zip(*points, strict=True), s=9, color="black", zorder=3)
        ax.set_xticks(places, names)
        ax.axhline(chance, color=_CHANCE, linestyle=":")
        ax.set(ylabel="UF1", ylim=(0, 1))
        ax.grid(alpha=0.3, axis="y")


def _reliability(ax: Axes, models: Sequence[Sequence[Mapping[str, float]]]) -> None:
    ax.plot([0, 1], [0, 1], color=_CHANCE, linestyle=":")
    for bins in models:
        ax.plot([b["confidence"] for b in bins], [b["accuracy"] for b in bins], marker="o", markersize=4, alpha=0.8)
    ax.set(title="Confidence", xlabel="confidence", ylabel="share that is right", xlim=(0, 1), ylim=(0, 1))
    ax.grid(alpha=0.3)


def _short(name: str) -> str:
    return name.replace(" frames a second", "/s").replace("as made, 30 a second", "30/s\nas made")
