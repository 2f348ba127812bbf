"""How pictures are drawn: colours for light and dark pages, axes, and PNG out of a figure. Needs no display."""

import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text

from train.files import write_with

PIXELS_A_POINT = 1.5
"""Pixels of a picture for one of the page, so that it is sharp on fine screens."""


@dataclass(frozen=True)
class Theme:
    """What a picture is drawn with: hex colours, `series` told apart by colour-blind readers, `shades` from
    nothing to all."""

    surface: str
    ink: str
    muted: str
    grid: str
    series: tuple[str, ...]
    shades: tuple[str, ...]


LIGHT = Theme(
    surface="#ffffff",
    ink="#1c2430",
    muted="#7b8594",
    grid="#dde2ea",
    series=("#0067a8", "#c8500a", "#00795a", "#a3528a", "#7a6a00", "#3f4a5a"),
    shades=("#f1f6fb", "#6aaed6", "#08488e"),
)
DARK = Theme(
    surface="#1b2028",
    ink="#e4e8ee",
    muted="#919cab",
    grid="#343c48",
    series=("#63b3ea", "#f0904d", "#3fc59a", "#d98cc0", "#d8c24a", "#aab4c2"),
    shades=("#232b36", "#2f6f9f", "#8ccbf7"),
)


def new_figure(theme: Theme, width_in: float, height_in: float, rows: int = 1) -> tuple[Figure, Sequence[Axes]]:
    """A figure of `rows` axes one below the other, sharing the x axis, in the theme's colours."""
    figure = Figure(figsize=(width_in, height_in), layout="constrained", facecolor=theme.surface)
    axes = figure.subplots(rows, 1, sharex=True, squeeze=False)[:, 0]
    for ax in axes:
        plain(ax, theme)
    return figure, list(axes)


def plain(ax: Axes, theme: Theme, grid: Literal["both", "x", "y"] = "both") -> None:
    """Axes in the theme's colours: a grid behind what is drawn, neither frame nor tick marks."""
    ax.set_facecolor(theme.surface)
    ax.tick_params(colors=theme.ink, length=0)
    ax.grid(axis=grid, color=theme.grid, linewidth=0.8)
    ax.set_axisbelow(True)
    for spine in ax.spines.values():
        spine.set_visible(False)


def label(ax: Axes, theme: Theme, **texts: str) -> None:
    """Sets x label, y label or title in the theme's ink."""
    ax.set(**texts)
    for text in (ax.xaxis.label, ax.yaxis.label, ax.title):
        text.set_color(theme.ink)
    ax.title.set_fontsize("medium")


def legend(ax: Axes, theme: Theme, **where: object) -> None:
    """The legend of what is labelled in the axes, if anything is."""
    if ax.get_legend_handles_labels()[0]:
        ax.legend(frameon=False, labelcolor=theme.ink, fontsize="small", **where)


def readable_on(colour: Sequence[float]) -> str:
    """Black or white, whichever stands out more on a colour (WCAG 2.2: relative luminance of sRGB)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour[:3]]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "black" if luminance > 0.179 else "white"


def blended(colour: str, ground: str, share: float) -> tuple[float, float, float]:
    """A colour mixed into the ground, without the see-through of an alpha."""
    top, bottom = to_rgb(colour), to_rgb(ground)
    mixed = [share * a + (1 - share) * b for a, b in zip(top, bottom, strict=True)]
    return (mixed[0], mixed[1], mixed[2])


def png(figure: Figure, dpi: int = 0) -> bytes:
    """The figure as PNG, of `PIXELS_A_POINT` unless `dpi` says otherwise.

    Names come from files: a dollar sign in them is no formula, a strange letter no reason to complain.
    """
    canvas, buffer = FigureCanvasAgg(figure), io.BytesIO()
    for text in figure.findobj(Text):
        text.set_parse_math(False)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        canvas.print_figure(buffer, dpi=dpi or 96 * PIXELS_A_POINT, format="png", facecolor=figure.get_facecolor())
    return buffer.getvalue()


def write_png(figure: Figure, path: Path, dpi: int = 0) -> None:
    """Writes the figure as PNG, whole or not at all; `dpi` for one that has no theme."""
    content = png(figure, dpi)
    write_with(path, lambda temporary: temporary.write_bytes(content))
