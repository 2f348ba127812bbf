"""The last seconds of probabilities as lines, with a ribbon of labels under them."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.history import HistoryWindow
from stream.overlay_layout import Rect, small_font
from stream.overlay_parts import SHIFT, Image, TextPainter, fill, polyline
from stream.palette import Colour

GRID: Colour = (78, 74, 72)
AXIS: Colour = (150, 146, 143)
NO_ANSWER: Colour = (52, 49, 48)
LONGEST_GAP_S = 0.5
"""Samples farther apart are not joined by a line."""
_FILL = 0.16


def draw_chart(
    image: Image,
    rect: Rect,
    history: HistoryWindow,
    colours: Sequence[Colour],
    calm: Sequence[bool],
    text: TextPainter,
    font_px: int,
) -> None:
    """Fills `rect`; time runs to the right, the newest sample is at the right edge.

    `calm` classes are drawn first and without a filling.
    """
    small_px = small_font(font_px)
    axis_px = round(1.1 * small_px)
    text.draw(image, f"-{history.span_s:g} s", rect.x, rect.bottom, small_px, AXIS)
    text.draw(image, "now", rect.right - text.width("now", small_px), rect.bottom, small_px, AXIS)
    rect = Rect(rect.x, rect.y, rect.width, rect.height - axis_px)
    ribbon_px = max(3, round(0.35 * font_px))
    plot = Rect(rect.x, rect.y, rect.width, rect.height - ribbon_px - max(2, round(0.2 * font_px)))
    line_px = max(1, round(font_px / 14))
    for share in (0.0, 0.5, 1.0):
        fill(image, plot.x, round(plot.y + share * (plot.height - 1)), plot.width, 1, GRID)
    ribbon = image[rect.bottom - ribbon_px : rect.bottom, rect.x : rect.right]
    ribbon[:] = ribbon_colours(history, rect.width, colours)
    runs = answered_runs(history)
    lines = [[_points(history, run, index, plot) for run in runs] for index in range(len(colours))]
    order = sorted(range(len(colours)), key=lambda index: not calm[index])
    for index in order:
        if not calm[index]:
            _shade(image, plot, lines[index], colours[index])
    for index in order:
        for line in lines[index]:
            polyline(image, line, colours[index], line_px)


def answered_runs(history: HistoryWindow) -> list[slice]:
    """Stretches of samples with an answer and no long gap in time."""
    times_s = history.times_s
    answered = ~np.isnan(history.probabilities).any(axis=1)
    if not answered.any():
        return []
    joined = answered[1:] & answered[:-1] & (np.diff(times_s) <= LONGEST_GAP_S)
    starts = np.flatnonzero(answered & ~np.concatenate(([False], joined)))
    stops = np.flatnonzero(answered & ~np.concatenate((joined, [False]))) + 1
    return [slice(int(a), int(b)) for a, b in zip(starts, stops, strict=True)]


def ribbon_colours(history: HistoryWindow, width: int, colours: Sequence[Colour]) -> NDArray[np.uint8]:
    """One row of pixels (width, 3): the colour of the likeliest class at each time, dark where there is no answer."""
    row: NDArray[np.uint8] = np.full((width, 3), NO_ANSWER, np.uint8)
    if not len(history.times_s):
        return row
    newest_s = float(history.times_s[-1])
    times_s: NDArray[np.float64] = newest_s - np.linspace(1 - 1 / width, 0, width) * history.span_s
    sample: NDArray[np.intp] = np.searchsorted(history.times_s, times_s, side="right") - 1
    newest_at = np.maximum(sample, 0)
    probabilities = history.probabilities[newest_at]
    fresh = (sample >= 0) & (times_s - history.times_s[newest_at] <= LONGEST_GAP_S)
    answered = fresh & ~np.isnan(probabilities).any(axis=1)
    row[answered] = np.array(colours, np.uint8)[np.argmax(probabilities[answered], axis=1)]
    return row


def _points(history: HistoryWindow, run: slice, index: int, plot: Rect) -> NDArray[np.float32]:
    """A class's line in picture pixels, no denser than the pixels."""
    age_s = history.times_s[-1] - history.times_s[run]
    x = plot.right - 1 - age_s / history.span_s * (plot.width - 1)
    y = plot.bottom - 1 - history.probabilities[run, index] * (plot.height - 1)
    last_in_column = np.append(np.diff(np.floor(x)) > 0, True)
    return np.column_stack((x, y))[last_in_column].astype(np.float32)


def _shade(image: Image, plot: Rect, lines: list[NDArray[np.float32]], colour: Colour) -> None:
    """A faint filling between the lines and the bottom of the plot."""
    region = image[plot.y : plot.bottom, plot.x : plot.right]
    shaded = region.copy()
    for line in lines:
        feet = np.array([[line[-1, 0], plot.bottom - 1], [line[0, 0], plot.bottom - 1]], np.float32)
        area = np.concatenate((line, feet)) - np.array([plot.x, plot.y], np.float32)
        cv2.fillPoly(shaded, [(area * (1 << SHIFT)).round().astype(np.int32)], colour, cv2.LINE_AA, SHIFT)
    cv2.addWeighted(shaded, _FILL, region, 1 - _FILL, 0, region)
