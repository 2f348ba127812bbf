"""The pictures of a report about long videos: F1 beside chance, and what the sensitivity trades."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from train.challenge.challenge_scores import PARTS
from train.charts import Theme, label, legend, new_figure

_WIDTH_IN = 6.4


def draw_f1(scores: Mapping[str, Any], theme: Theme) -> Figure:
    """F1 of every part in which there is something as a dot with its interval over subjects, chance as a bar with that of its draws."""
    parts = [part for part in PARTS if scores[part]["n"] or scores[part]["fp"]] or [*PARTS]
    figure, (ax,) = new_figure(theme, _WIDTH_IN, 1.05 + 0.45 * len(parts))
    ours, guess = theme.series[0], theme.series[1]
    most = 0.1
    for row, part in enumerate(parts):
        found, chance, interval = scores[part], scores[part]["chance"], scores[part]["interval"]
        ax.plot([chance["low"], chance["high"]], [row + 0.16] * 2, color=guess, linewidth=2, solid_capstyle="butt")
        ax.plot([chance["f1"]], [row + 0.16], "|", color=guess, markersize=13, markeredgewidth=2.5,
                label="chance, 95 % of draws" if row == 0 else None)  # fmt: skip
        if interval:
            ax.plot(
                [interval["low"], interval["high"]], [row - 0.1] * 2, color=ours, linewidth=2, solid_capstyle="butt"
            )
        ax.plot([found["f1"]], [row - 0.1], "o", color=ours, markersize=8.5, clip_on=False,
                label=("F1, 95 % over subjects" if interval else "F1") if row == 0 else None)  # fmt: skip
        most = max(most, found["f1"], chance["high"], interval["high"] if interval else 0)
    ax.set_yticks(range(len(parts)), [f"{part} (n = {scores[part]['n']})" for part in parts])
    ax.set_ylim(len(parts) - 0.5, -0.5)
    ax.set_xlim(0, max(most, min(1.0, 1.1 * most)))
    label(ax, theme, xlabel="F1, IoU ≥ .5")
    figure.legend(
        frameon=False, labelcolor=theme.ink, fontsize="small", loc="outside lower left", ncols=2, markerscale=0.7
    )
    return figure


def draw_sensitivity(curve: Sequence[Mapping[str, Any]], chosen: Sequence[float], theme: Theme) -> Figure:
    """Micro F1, precision and recall, and false events a minute, over the least probability that counts; `chosen`: those in use."""
    figure, (ax, below) = new_figure(theme, _WIDTH_IN, 4.6, 2)
    least = [point["min_probability"] for point in curve]
    marker = "o" if len(least) == 1 else None
    for key, hue, width in (
        ("recall", theme.series[2], 1.4),
        ("precision", theme.series[1], 1.4),
        ("f1", theme.series[0], 2.4),
    ):
        values = [point[key] for point in curve]
        ax.plot(
            least,
            values,
            color=hue,
            linewidth=width,
            marker=marker,
            drawstyle="steps-pre",
            label="F1" if key == "f1" else key,
        )
    unit = "per_min" if any(point["per_watchable_min"] is None for point in curve) else "per_watchable_min"
    below.plot(
        least,
        [point[unit] for point in curve],
        color=theme.series[3],
        linewidth=2,
        marker=marker,
        drawstyle="steps-pre",
    )
    ends = sorted({min(chosen), max(chosen)})
    for panel in (ax, below):
        if len(ends) == 2:
            panel.axvspan(*ends, color=theme.muted, alpha=0.22, linewidth=0)
        else:
            panel.axvline(ends[0], color=theme.muted, linewidth=1.4, linestyle="--")
    ax.plot([], [], color=theme.muted, linewidth=1.4 if len(ends) == 1 else 6, linestyle="--" if len(ends) == 1 else "-",
            label="in use" if len(ends) == 1 else "in use, by subject")  # fmt: skip
    ax.set_ylim(0, None)
    below.set_ylim(0, None)
    below.set_xlim(0, 1)
    below.yaxis.set_major_locator(MaxNLocator(5))
    label(ax, theme, ylabel="micro, IoU ≥ .5")
    label(
        below,
        theme,
        xlabel="least probability that counts",
        ylabel="false a minute" if unit == "per_min" else "false a watchable minute",
    )
    legend(ax, theme, ncols=4, loc="lower left", bbox_to_anchor=(0, 1))
    return figure
