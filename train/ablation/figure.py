"""The ablation as a picture: which parts each row has, its UF1 on the whole scale beside chance, its gain on row 1."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from train.ablation.rows import TICKS, Comparison
from train.ablation.table import clips_text, comparisons_of
from train.files import write_with
from train.loso.predictions import COMPOSITE
from train.report.figures import LIGHT, Theme, label, png

_HEADS = ("weighted\nloss", "CBAM", "CBAM,\nnew\nchannel", "MH", "MSMH", "parameters")
_SIZE_IN = (11.5, 1.9)
_ROW_IN = 0.42
_LEAST_RANGE = 0.02
"""Of differences, so that those of a clip or two do not look large."""


def draw_ablation(facts: Mapping[str, Any], path: Path, theme: Theme = LIGHT) -> None:
    """Draws the facts of `train.ablation.table.ablation_facts` as PNG."""
    content = png(ablation_figure(facts, theme))
    write_with(path, lambda temporary: temporary.write_bytes(content))


def ablation_figure(facts: Mapping[str, Any], theme: Theme) -> Figure:
    """The picture: ticks and parameters, UF1 from 0 to 1, and differences to the first row where there are others."""
    rows = facts["rows"]
    compared = [c for c in comparisons_of(facts) if c.against == rows[0]["name"]]
    width, height = _SIZE_IN
    figure = Figure(figsize=(width, height + _ROW_IN * len(rows)), layout="constrained", facecolor=theme.surface)
    figure.suptitle(f"Ablation, leave one person out: {clips_text(facts)}", color=theme.ink, fontsize="large")
    ratios = [1.65, 2.0, 1.5] if compared else [1.65, 3.5]
    axes = figure.subplots(1, len(ratios), sharey=True, width_ratios=ratios)
    for ax in axes:
        _plain(ax, theme)
    axes[0].set_ylim(len(rows) - 0.4, -0.6)
    _draw_ticks(axes[0], rows, theme)
    _draw_scores(axes[1], facts, theme)
    if compared:
        _draw_differences(axes[2], rows, compared, theme)
    return figure


def _plain(ax: Axes, theme: Theme) -> None:
    ax.set_facecolor(theme.surface)
    ax.tick_params(colors=theme.ink, length=0)
    ax.grid(axis="x", color=theme.grid, linewidth=0.8)
    ax.set_axisbelow(True)
    for spine in ax.spines.values():
        spine.set_visible(False)


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
    ax.set_yticks(range(len(rows)), [str(row["name"]) for row in rows])


def _draw_scores(ax: Axes, facts: Mapping[str, Any], theme: Theme) -> None:
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
