"""Pictures of a run: curves over the epochs and the confusion matrix. Drawn without a display."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from train.charts import write_png
from train.fit.resume import EpochResult
from train.scores.calibration import ReliabilityBin, error_of


def draw_curves(history: Sequence[EpochResult], chance_uf1: float | None, path: Path) -> None:
    """Losses above, scores on the validation people below, with chance and the chosen epoch marked, as PNG."""
    validated = history[0].val_uf1 is not None
    figure = Figure(figsize=(8, 6 if validated else 3.5), layout="constrained")
    axes = figure.subplots(2 if validated else 1, 1, sharex=True, squeeze=False)[:, 0]
    epochs = [result.epoch for result in history]
    axes[0].plot(epochs, [result.loss for result in history], label="training, with weight penalties")
    axes[0].set(ylabel="loss", yscale="log")
    axes[0].yaxis.set_major_formatter("{x:g}")
    axes[0].yaxis.set_minor_formatter("{x:g}")
    if validated:
        axes[0].plot(epochs, [result.val_loss for result in history], label="validation people")
        axes[1].plot(epochs, [result.val_uf1 for result in history], label="UF1")
        axes[1].plot(epochs, [result.val_uar for result in history], label="UAR")
        axes[1].set(ylabel="validation people", ylim=(0, 1))
        if chance_uf1 is not None:
            axes[1].axhline(chance_uf1, color="grey", linestyle=":", label="UF1 by chance")
        best = [result for result in history if result.best][-1]
        axes[1].axvline(best.epoch, color="black", linewidth=0.8, label=f"chosen: epoch {best.epoch}")
    for ax in axes:
        ax.grid(alpha=0.3)
        ax.legend()
    axes[-1].set(xlabel="epoch")
    axes[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    write_png(figure, path, 120)


def draw_confusion(confusion: ArrayLike, class_names: Sequence[str], title: str, path: Path) -> None:
    """A confusion matrix (rows truth) with counts, shaded by the share of each row, as PNG."""
    counts = np.asarray(confusion)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = 2.2 + 0.9 * len(class_names)
    figure = Figure(figsize=(size + 0.6, size), layout="constrained")
    ax = figure.subplots()
    image = ax.imshow(shares, vmin=0, vmax=1, cmap="Blues")
    ticks = range(len(class_names))
    ax.set_xticks(ticks, class_names, rotation=30, ha="right")
    ax.set_yticks(ticks, class_names)
    ax.set(xlabel="answer", ylabel="truth", title=title)
    for (row, column), count in np.ndenumerate(counts):
        ink = "white" if shares[row, column] > 0.5 else "black"
        ax.text(column, row, str(count), ha="center", va="center", color=ink)
    figure.colorbar(image, ax=ax, label="share of the class", shrink=0.8)
    write_png(figure, path, 120)


def draw_reliability(series: Mapping[str, Sequence[ReliabilityBin]], path: Path) -> None:
    """Share of right answers by confidence, a line for each of `series`, and how many answers below, as PNG."""
    figure = Figure(figsize=(6, 6), layout="constrained")
    top, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    top.plot([0, 1], [0, 1], color="grey", linestyle=":", label="as sure as right")
    for number, (name, bins) in enumerate(series.items()):
        label = f"{name}: calibration error {error_of(bins):.3f}"
        (line,) = top.plot([b.confidence for b in bins], [b.accuracy for b in bins], marker="o", label=label)
        width = bins[0].high - bins[0].low
        left, n = [b.low + width * number / len(series) for b in bins], sum(b.n for b in bins)
        below.bar(left, [b.n / n for b in bins], width / len(series), align="edge", color=line.get_color())
    top.set(ylabel="share that is right", xlim=(0, 1), ylim=(0, 1))
    below.set(xlabel="confidence", ylabel="share of clips")
    for ax in (top, below):
        ax.grid(alpha=0.3)
    top.legend(loc="upper left")
    write_png(figure, path, 120)
