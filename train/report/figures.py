"""The pictures of a report: scores beside chance, confusion matrices, people, losses.

Each is drawn for light and dark pages; the light one is also written beside the page.
"""

import base64
import re
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator
from numpy.typing import ArrayLike

from train.charts import DARK, LIGHT, PIXELS_A_POINT, Theme, blended, label, legend, new_figure, png, readable_on
from train.files import write_with
from train.report.runs import RunCurves

MISTAKES_SHEET = "mistakes"
"""The picture that shows people."""
_WIDTH_IN = 5.3

Draw = Callable[[Theme], Figure]
"""Draws a picture in a theme."""


@dataclass(frozen=True)
class ScoreLine:
    """One line of the drawing of scores: UF1, its sd over seeds, chance, and what others publish; None where unknown."""

    title: str
    uf1: float
    sd: float | None
    chance: float
    optimistic: float | None = None
    optimistic_chance: float | None = None
    published: Sequence[float] = field(default=())


@dataclass(frozen=True)
class PersonScore:
    """A left-out person: the mean number of clips answered right over the seeds, of `n`."""

    name: str
    correct: float
    n: int


def draw_scores(lines: Sequence[ScoreLine], theme: Theme) -> Figure:
    """UF1 of every line as a dot with its sd, chance as a bar, others' numbers as pale dots."""
    figure, (ax,) = new_figure(theme, _WIDTH_IN, 1.5 + 0.5 * len(lines))
    ours, optimistic, told = theme.series[0], theme.series[1], set()

    def once(text: str) -> str | None:
        if text in told:
            return None
        told.add(text)
        return text

    for y, line in enumerate(lines):
        if line.published:
            ax.plot(line.published, [y] * len(line.published), "o", color=theme.muted, alpha=0.6, markersize=6,
                    markeredgewidth=0, label=once("others, published"))  # fmt: skip
        ax.plot([line.chance], [y], "|", color=ours, markersize=19, markeredgewidth=2.5, label=once("chance"))
        if line.optimistic_chance is not None:
            ax.plot([line.optimistic_chance], [y], "|", color=optimistic, markersize=19, markeredgewidth=2.5,
                    label=once("chance, published protocol"))  # fmt: skip
        if line.optimistic is not None:
            ax.plot([line.optimistic], [y], "D", color=theme.surface, markeredgecolor=optimistic, markeredgewidth=1.8,
                    markersize=7.5, clip_on=False, label=once("UF1, published protocol"))  # fmt: skip
        ax.errorbar([line.uf1], [y], xerr=None if line.sd is None else [line.sd], fmt="o", color=ours, markersize=8.5, elinewidth=2,
                    capsize=4, clip_on=False, label=once("UF1, ± sd over seeds" if line.sd is not None else "UF1"))  # fmt: skip
    ax.set_yticks(range(len(lines)), [line.title for line in lines])
    ax.set_ylim(len(lines) - 0.5, -0.5)
    ax.set_xlim(0, 1)
    label(ax, theme, xlabel="UF1")
    figure.legend(
        frameon=False, labelcolor=theme.ink, fontsize="small", loc="outside lower left", ncols=2, markerscale=0.65
    )
    return figure


def draw_confusion(
    matrices: ArrayLike, class_names: Sequence[str], title: str, theme: Theme, answers: Sequence[str] = ()
) -> Figure:
    """Confusion matrices (seeds, classes, answers), rows truth: the mean count, shaded by the share of the row. `answers` are the
    classes unless given."""
    counts = np.asarray(matrices, float).mean(axis=0)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1e-9)
    answers = answers or class_names
    figure, (ax,) = new_figure(theme, 2.0 + 0.8 * len(answers), 2.0 + 0.8 * len(class_names))
    ax.grid(False)
    image = ax.imshow(shares, vmin=0, vmax=1, cmap=LinearSegmentedColormap.from_list("shares", theme.shades))
    ticks = range(len(class_names))
    ax.set_xticks(range(len(answers)), answers, rotation=30 if max(map(len, answers)) > 8 or len(answers) > 3 else 0)
    ax.set_yticks(ticks, class_names, rotation=90 if len(ticks) <= 4 else 0, va="center")
    for (row, column), count in np.ndenumerate(counts):
        ink = readable_on(image.cmap(shares[row, column]))
        ax.text(column, row - 0.08, count_text(count), ha="center", va="center", color=ink, fontsize=14)
        ax.text(
            column, row + 0.2, f"{100 * shares[row, column]:.0f} %", ha="center", va="center", color=ink, fontsize=9
        )
    label(ax, theme, xlabel="answer", ylabel="truth", title=title)
    ax.xaxis.labelpad = ax.yaxis.labelpad = 8
    return figure


def draw_people(people: Sequence[PersonScore], title: str, colour: int, theme: Theme) -> Figure:
    """A bar a person: how many clips they have (pale) and how many were answered right (full), in the order given."""
    figure, (ax,) = new_figure(theme, _WIDTH_IN, 1.1 + 0.235 * len(people))
    hue = theme.series[colour % len(theme.series)]
    rows, most = range(len(people)), max(person.n for person in people)
    ax.barh(rows, [person.n for person in people], color=blended(hue, theme.surface, 0.22), height=0.72)
    ax.barh(rows, [person.correct for person in people], color=hue, height=0.72)
    for row, person in enumerate(people):
        ax.text(person.n + 0.012 * most, row, f"{count_text(person.correct)} of {person.n}", va="center",
                color=theme.ink, fontsize="small")  # fmt: skip
    ax.set_yticks(rows, [shortened(person.name, 18) for person in people])
    ax.set_ylim(len(people) - 0.4, -0.6)
    ax.set_xlim(0, most * 1.2)
    ax.grid(axis="y", visible=False)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    label(ax, theme, xlabel="clips", title=title)
    return figure


def draw_losses(runs: Mapping[str, RunCurves], theme: Theme) -> Figure:
    """Losses over the epochs, and the UF1 of the validation people where there are any: mean and spread over folds.

    Runs lie over each other. The losses have logarithmic axes: a loss that is another's multiple lies above it by the
    same distance everywhere.
    """
    panels = {"training": "training loss", "validation": "validation loss", "validation_uf1": "validation UF1"}
    shown = {key: title for key, title in panels.items() if any(getattr(run, key) for run in runs.values())}
    figure, axes = new_figure(theme, _WIDTH_IN, 0.6 + 2.1 * len(shown), len(shown))
    for ax, (key, title) in zip(axes, shown.items(), strict=True):
        for number, (name, run) in enumerate(runs.items()):
            curve, hue = getattr(run, key), theme.series[number % len(theme.series)]
            if curve is None:
                continue
            ax.fill_between(curve.epochs, curve.low, curve.high, color=hue, alpha=0.18, linewidth=0)
            marker = "o" if len(curve.epochs) == 1 else None
            ax.plot(curve.epochs, curve.mean, color=hue, linewidth=2, marker=marker, label=name)
        label(ax, theme, ylabel=title)
        if key == "validation_uf1":
            ax.set_ylim(0, 1)
        else:
            ax.set_yscale("log")
            low, high = ax.get_ylim()
            ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)) if high > 8 * low else MaxNLocator(5))
            ax.yaxis.set_major_formatter("{x:g}")
            ax.yaxis.set_minor_locator(NullLocator())
    axes[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    label(axes[-1], theme, xlabel="epoch")
    legend(axes[0], theme)
    return figure


def count_text(count: float) -> str:
    """A number of clips, with a decimal only where the mean over seeds is no whole number."""
    return f"{count:.0f}" if abs(count - round(count)) < 0.05 else f"{count:.1f}"


def shortened(name: str, most: int) -> str:
    """A name of at most `most` characters, its middle left out, on one line."""
    plain = " ".join(name.split())
    return plain if len(plain) <= most else f"{plain[: most // 2 - 1]}…{plain[-(most - most // 2) :]}"


@dataclass(frozen=True)
class PagePicture:
    """A drawing as data URIs, with its size on the page, what it says to those who do not see it, and a caption."""

    light: str
    dark: str
    width_px: int
    height_px: int
    alt: str
    caption: str


class PictureBook:
    """Draws pictures and writes them as PNG into a folder; no two get the same file name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.files: list[Path] = []

    def path(self, name: str) -> Path:
        """A new file for a picture: `name` may come from data, so only plain letters of it are used."""
        slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60] or "picture"
        taken, number, free = {file.stem for file in self.files}, 2, slug
        while free in taken:
            free, number = f"{slug}-{number}", number + 1
        self.files.append(self._folder / f"{free}.png")
        return self.files[-1]

    def add(self, name: str, draw: Draw, alt: str, caption: str = "") -> PagePicture:
        """Draws a picture twice and writes it. `alt` says in words what it shows."""
        light, dark = png(draw(LIGHT)), png(draw(DARK))
        write_with(self.path(name), lambda temporary: temporary.write_bytes(light))
        width, height = struct.unpack(">II", light[16:24])  # of the PNG's header
        size = (round(width / PIXELS_A_POINT), round(height / PIXELS_A_POINT))
        return PagePicture(data_uri(light, "png"), data_uri(dark, "png"), *size, alt, caption)


def data_uri(content: bytes, kind: str) -> str:
    """The bytes as a URI that a page can hold; `kind` is "png" or "jpeg"."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"
