"""Tables of experiments as pictures: a row of the table a line, its UF1 on the whole scale beside chance.

Beside the scores of rows compared on validation people: what a frame costs live. Beside those by leave-one-subject-out:
which parts each row has, and its gain on row 1.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from train.charts import LIGHT, Theme, label, legend, plain
from train.experiments import comparison
from train.experiments.comparison import VALIDATION, part_title
from train.experiments.left_out_rows import TICKS
from train.experiments.left_out_table import clips_text, comparisons_of
from train.experiments.paired import Comparison
from train.loso.predictions import COMPOSITE

_HEADS = ("weighted\nloss", "CBAM", "CBAM,\nnew\nchannel", "MH", "MSMH", "parameters")
_LEAST_RANGE = 0.02
"""Of differences, so that those of a clip or two do not look large."""


def _side_by_side(
    rows: Sequence[Mapping[str, Any]], title: str, size_in: tuple[float, float], ratios: Sequence[float], theme: Theme
) -> tuple[Figure, Sequence[Axes]]:
    """Axes beside each other, as wide as `ratios` say, with a line for every row from top to bottom."""
    figure = Figure(figsize=size_in, layout="constrained", facecolor=theme.surface)
    figure.suptitle(title, color=theme.ink, fontsize="large")
    axes = figure.subplots(1, len(ratios), sharey=True, squeeze=False, width_ratios=ratios)[0]
    for ax in axes:
        plain(ax, theme, grid="x")
    axes[0].set_yticks(range(len(rows)), [str(row["name"]) for row in rows])
    axes[0].set_ylim(len(rows) - 0.4, -0.6)
    return figure, list(axes)


def experiments_figure(facts: Mapping[str, Any], theme: Theme = LIGHT) -> Figure:
    """Rows from top to bottom; scores on the left, of each part with a mark of its own, milliseconds on the right."""
    rows = facts["rows"]
    with_live = any(row["live"] for row in rows)
    title = f"{facts['title']}: {comparison.clips_text(facts['parts'][VALIDATION])}"
    size_in = (10.0, 1.6 + 0.34 * len(rows))
    figure, axes = _side_by_side(rows, title, size_in, [3, 2] if with_live else [3], theme)
    _draw_scores(axes[0], facts, theme)
    if with_live:
        _draw_costs(axes[1], rows, theme)
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


def left_out_figure(facts: Mapping[str, Any], theme: Theme = LIGHT) -> Figure:
    """The picture: ticks and parameters, UF1 from 0 to 1, and differences to the first row where there are others."""
    rows = facts["rows"]
    compared = [c for c in comparisons_of(facts) if c.against == rows[0]["name"]]
    title = f"{facts['title']}, leave one person out: {clips_text(facts)}"
    size_in = (11.5, 1.9 + 0.42 * len(rows))
    figure, axes = _side_by_side(rows, title, size_in, [1.65, 2.0, 1.5] if compared else [1.65, 3.5], theme)
    _draw_ticks(axes[0], rows, theme)
    _draw_left_out_scores(axes[1], facts, theme)
    if compared:
        _draw_differences(axes[2], rows, compared, theme)
    return figure


def _draw_ticks(ax: Axes, rows: Sequence[Mapping[str, Any]], theme: Theme) -> None:
    """A dot where a row has a part, the numbers of parameters beside them."""
    ax.grid(False)
    for y, row in enumerate(rows):
        for x, has in enumerate(row["ticks"].values()):
            ax.plot(x, y, "o", markersize=11 if has else 5, color=theme.ink if has else theme.grid)
        ax.text(len(TICKS) + 0.85, y, f"{row['parameters'] / 1e6:.2f} M", ha="right", va="center", color=theme.ink)
    ax.set_xlim(-0.6, len(TICKS) + 0.9)
    ax.set_xticks([*range(len(TICKS)), len(TICKS) + 0.3], _HEADS, fontsize="small", va="bottom")
    ax.xaxis.set_ticks_position("top")


def _draw_left_out_scores(ax: Axes, facts: Mapping[str, Any], theme: Theme) -> None:
    """UF1 on its whole scale: a dot a seed, their mean with its sd, chance as a line."""
    hue, chance = theme.series[0], facts["chance"]["uf1"]
    ax.axvline(chance, color=theme.muted, linestyle=(0, (4, 3)), linewidth=1.6, label=f"chance, {chance:.3f}")
    several = len(facts["seeds"]) > 1
    for y, row in enumerate(facts["rows"]):
        uf1, first = row["scores"][COMPOSITE]["uf1"], y == 0
        if several:
            ax.plot(uf1["by_seed"], [y + 0.24] * len(uf1["by_seed"]), "o", color=hue, alpha=0.4, markersize=4.5,
                    markeredgewidth=0, label="a seed" if first else None)  # fmt: skip
        ax.errorbar(uf1["mean"], y, xerr=uf1["sd"], fmt="o", color=hue, markersize=8, elinewidth=2, capsize=4, clip_on=False,
                    label=("mean and sd over seeds" if several else "the one seed") if first else None)  # fmt: skip
        right = uf1["mean"] + (uf1["sd"] or 0)
        inside = right < 0.85
        ax.text(right + 0.025 if inside else uf1["mean"] - (uf1["sd"] or 0) - 0.025, y, f"{uf1['mean']:.3f}",
                ha="left" if inside else "right", va="center", color=theme.ink)  # fmt: skip
    ax.set_xlim(0, 1)
    label(ax, theme, xlabel="UF1, pooled over folds (0 to 1)")
    ax.legend(frameon=False, labelcolor=theme.ink, fontsize="small", loc="lower left", bbox_to_anchor=(0, 1), ncols=3,
              columnspacing=1.2, handletextpad=0.4)  # fmt: skip


def _draw_differences(
    ax: Axes, rows: Sequence[Mapping[str, Any]], compared: Sequence[Comparison], theme: Theme
) -> None:
    """Differences to the first row with their intervals; hollow where they may be luck."""
    places = {row["name"]: y for y, row in enumerate(rows)}
    hue, widest = theme.series[1], max(_LEAST_RANGE, *(max(abs(c.low), abs(c.high)) for c in compared))
    ax.axvline(0, color=theme.ink, linewidth=1.2)
    for c in compared:
        y, fill = places[c.row], hue if c.tells else theme.surface
        ax.plot([c.low, c.high], [y, y], color=hue, linewidth=2, solid_capstyle="butt")
        ax.plot(c.mean, y, "o", color=fill, markeredgecolor=hue, markeredgewidth=2, markersize=8)
    ax.set_xlim(-1.12 * widest, 1.12 * widest)
    label(ax, theme, xlabel=f"UF1 minus that of row 1 ({rows[0]['name']})")
    ax.text(0, 1.015, "95 % interval over people and seeds\nhollow: may be luck", transform=ax.transAxes,
            fontsize="small", color=theme.ink, va="bottom", linespacing=1.4)  # fmt: skip
