"""The table of experiments as a picture: UF1 of every seed beside chance, and what a frame costs live."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from train.experiments_table import VALIDATION, clips_text, part_title
from train.report_theme import LIGHT, Theme, label, legend, png
from train.rundir import write_with

_WIDTH_IN, _HEAD_IN, _ROW_IN = 10.0, 1.6, 0.34


def draw_experiments(facts: Mapping[str, Any], path: Path, theme: Theme = LIGHT) -> None:
    """Draws the facts of `train.experiments_table.experiments_facts` as PNG."""
    content = png(experiments_figure(facts, theme))
    write_with(path, lambda temporary: temporary.write_bytes(content))


def experiments_figure(facts: Mapping[str, Any], theme: Theme) -> Figure:
    """Rows from top to bottom; scores on the left, of each part with a mark of its own, milliseconds on the right."""
    rows = facts["rows"]
    with_live = any(row["live"] for row in rows)
    size = (_WIDTH_IN, _HEAD_IN + _ROW_IN * len(rows))
    figure = Figure(figsize=size, layout="constrained", facecolor=theme.surface)
    figure.suptitle(f"{facts['title']}: {clips_text(facts['parts'][VALIDATION])}", color=theme.ink, fontsize="large")
    axes = figure.subplots(1, 2 if with_live else 1, sharey=True, squeeze=False, width_ratios=[3, 2][: 1 + with_live])
    for ax in axes[0]:
        ax.set_facecolor(theme.surface)
        ax.tick_params(colors=theme.ink, length=0)
        ax.grid(axis="x", color=theme.grid, linewidth=0.8)
        ax.set_axisbelow(True)
        for spine in ax.spines.values():
            spine.set_visible(False)
    axes[0][0].set_yticks(range(len(rows)), [row["name"] for row in rows])
    axes[0][0].set_ylim(len(rows) - 0.4, -0.6)
    _draw_scores(axes[0][0], facts, theme)
    if with_live:
        _draw_costs(axes[0][1], rows, theme)
    return figure


def _draw_scores(ax: Axes, facts: Mapping[str, Any], theme: Theme) -> None:
    for number, (name, part) in enumerate(facts["parts"].items()):
        colour = theme.series[number % len(theme.series)]
        for y, row in enumerate(facts["rows"]):
            found = row["parts"][name]["uf1"]
            ax.plot(found["by_seed"], [y] * len(found["by_seed"]), "o", color=colour, markersize=4, alpha=0.5)
            ax.plot(found["mean"], y, "|", color=colour, markersize=15, markeredgewidth=2.5)
        # Nothing to see, but an entry of the legend.
        ax.plot([], [], "o", color=colour, label=part_title(name))
        ax.axvline(part["chance"]["uf1"], color=theme.muted, linestyle=":", linewidth=1.2)
    ax.plot([], [], color=theme.muted, linestyle=":", label="chance")
    ax.set_xlim(0, 1)
    label(ax, theme, xlabel="UF1: a dot for each seed, a bar for their mean")
    legend(ax, theme, loc="lower left")


def _draw_costs(ax: Axes, rows: Sequence[Mapping[str, Any]], theme: Theme) -> None:
    places = [y for y, row in enumerate(rows) if row["live"]]
    pre = [rows[y]["live"]["preprocess"]["p50_ms"] for y in places]
    model = [rows[y]["live"]["model"]["p50_ms"] for y in places]
    ax.barh(places, pre, height=0.6, color=theme.series[2], label="preprocessing")
    ax.barh(places, model, left=pre, height=0.6, color=theme.series[3], label="model")
    label(ax, theme, xlabel="ms a frame, one thread")
    legend(ax, theme, loc="best")
