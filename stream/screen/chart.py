"""The last seconds: probabilities as lines, and the marks of events, in a strip below them or in a strip alone.

A micro-expression is a solid block in the colour of its class from onset to offset, with a line at its apex; a
macro-expression a grey frame; a rejected movement a small grey tick. The strip is dark where nothing was watched.
"""

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from model.contract import NEUTRAL
from model.types import Event
from stream.history import HistoryWindow
from stream.screen.layout import Rect, small_font
from stream.screen.paint import CALM, SHIFT, Colour, Image, TextPainter, fill, mix, polyline

GRID: Colour = (78, 74, 72)
AXIS: Colour = (150, 146, 143)
WATCHED: Colour = (84, 80, 78)
UNWATCHED: Colour = (44, 41, 40)
TICK: Colour = (165, 160, 157)
APEX: Colour = (255, 255, 255)
LONGEST_GAP_S = 0.5
"""Samples farther apart are not joined by a line."""
LEAST_SPAN_PX = 3
_BAND = {"micro": 0.4, "macro": 0.14}
_LINES_FADE = 0.4


def draw_chart(
    image: Image,
    rect: Rect,
    window: HistoryWindow,
    events: Sequence[Event] | None,
    colours: Mapping[str, Colour],
    text: TextPainter,
    font_px: int,
    caption: str = "",
) -> None:
    """Fills `rect`; time runs to the right, the newest sample is at the right edge.

    `colours` go by the order of the classes; neutral is drawn first. Only events are filled: a line that rises and falls is
    the model's answer about a whole window, which is no event yet. `caption` stands between the
    ends of the time axis where there is room. Without `events` there is no strip.
    """
    small_px = small_font(font_px)
    axis_px = round(1.1 * small_px)
    _draw_axis(image, rect, f"-{window.span_s:g} s", caption, text, small_px)
    rect = Rect(rect.x, rect.y, rect.width, rect.height - axis_px)
    strip_px = 0 if events is None else max(8, round(0.7 * font_px))
    plot = Rect(rect.x, rect.y, rect.width, rect.height - strip_px - max(2, round(0.2 * font_px)))
    line_px = max(1, round(font_px / 14))
    for share in (0.0, 0.5, 1.0):
        fill(image, plot.x, round(plot.y + share * (plot.height - 1)), plot.width, 1, GRID)
    counted = _in_order([event for event in events or () if event.rejected is None])
    for event in counted:
        _draw_band(image, plot, window, event, colours)
    runs = answered_runs(window)
    for index, name in sorted(enumerate(colours), key=lambda item: item[1] != NEUTRAL):
        for run in runs:
            polyline(image, _points(window, run, index, plot), mix(colours[name], GRID, _LINES_FADE), line_px)
    for event in counted:
        if event.kind == "micro":
            _draw_apex(image, plot, window, event, colours[event.label], line_px)
    if events is not None:
        draw_strip(image, Rect(rect.x, rect.bottom - strip_px, rect.width, strip_px), window, events, colours)


def draw_strip(
    image: Image, rect: Rect, window: HistoryWindow, events: Sequence[Event], colours: Mapping[str, Colour]
) -> None:
    """Fills `rect` with the marks of events on the same time axis."""
    ground = np.where(watched_columns(window, rect.width)[:, None], WATCHED, UNWATCHED)
    image[rect.y : rect.bottom, rect.x : rect.right] = ground.astype(np.uint8)
    usual_px = max(1, round(rect.height / 9))
    for event in _in_order(events):
        left, right = span_columns(window, event, rect)
        if right <= left:
            continue
        # At the strip's edges fewer columns than a line's may be left of a mark.
        line_px = min(usual_px, right - left)
        apex = min(max(round(_column(window, event.apex_s, rect)) - line_px // 2, left), right - line_px)
        if event.rejected is not None:
            height = max(3, round(0.45 * rect.height))
            fill(image, apex, rect.bottom - height, line_px, height, TICK)
        elif event.kind == "macro":
            inset = rect.height // 4
            frame = Rect(left, rect.y + inset, right - left, rect.height - 2 * inset)
            _draw_frame(image, frame, CALM, line_px)
            fill(image, apex, frame.y, line_px, frame.height, colours[event.label])
        else:
            fill(image, left, rect.y, right - left, rect.height, colours[event.label])
            fill(image, apex, rect.y, line_px, rect.height, mix(colours[event.label], APEX, 0.75))


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


def watched_columns(history: HistoryWindow, width: int) -> NDArray[np.bool_]:
    """(width,) Where, along the time axis, a movement would have counted as an event."""
    if not len(history.times_s):
        return np.zeros(width, np.bool_)
    newest_s = float(history.times_s[-1])
    times_s: NDArray[np.float64] = newest_s - np.linspace(1 - 1 / width, 0, width) * history.span_s
    sample: NDArray[np.intp] = np.searchsorted(history.times_s, times_s, side="right") - 1
    newest_at = np.maximum(sample, 0)
    fresh = (sample >= 0) & (times_s - history.times_s[newest_at] <= LONGEST_GAP_S)
    return fresh & history.watched[newest_at]


def span_columns(history: HistoryWindow, event: Event, rect: Rect) -> tuple[int, int]:
    """The columns of `rect` from an event's onset up to, not including, the second one: its offset, but no fewer than
    can be seen. Equal where it lies outside."""
    left, right = (_column(history, time_s, rect) for time_s in (event.onset_s, event.offset_s))
    missing = max(0.0, LEAST_SPAN_PX - (right - left))
    first, stop = round(left - missing / 2), round(right + missing / 2)
    return max(first, rect.x), max(min(stop, rect.right), max(first, rect.x))


def _column(history: HistoryWindow, time_s: float, rect: Rect) -> float:
    age_s = (float(history.times_s[-1]) if len(history.times_s) else time_s) - time_s
    return rect.right - 1 - age_s / history.span_s * (rect.width - 1)


def _in_order(events: Sequence[Event]) -> list[Event]:
    """What matters more is drawn later: rejected, macro, micro."""
    return sorted(events, key=lambda event: (event.rejected is None, event.kind == "micro"))


def _draw_axis(image: Image, rect: Rect, start: str, caption: str, text: TextPainter, small_px: int) -> None:
    end = "now"
    start_px, end_px = text.width(start, small_px), text.width(end, small_px)
    text.draw(image, start, rect.x, rect.bottom, small_px, AXIS)
    text.draw(image, end, rect.right - end_px, rect.bottom, small_px, AXIS)
    width = text.width(caption, small_px)
    room = rect.width - start_px - end_px - 2 * small_px
    if caption and width <= room:
        text.draw(image, caption, rect.x + start_px + small_px + (room - width) // 2, rect.bottom, small_px, AXIS)


def _draw_band(image: Image, plot: Rect, window: HistoryWindow, event: Event, colours: Mapping[str, Colour]) -> None:
    left, right = span_columns(window, event, plot)
    if right > left:
        region = image[plot.y : plot.bottom, left:right]
        colour = colours[event.label] if event.kind == "micro" else CALM
        share = _BAND[event.kind]
        region[:] = (region * (1.0 - share) + np.array(colour) * share).astype(np.uint8)


def _draw_apex(image: Image, plot: Rect, window: HistoryWindow, event: Event, colour: Colour, line_px: int) -> None:
    """A line down the plot under a small triangle."""
    x = round(_column(window, event.apex_s, plot))
    half = 2 * line_px + 1
    if not plot.x + half <= x < plot.right - half:
        return
    fill(image, x - line_px // 2, plot.y, line_px, plot.height, colour)
    corners = np.array([[x - half, plot.y], [x + half, plot.y], [x, plot.y + half]], np.int32)
    cv2.fillPoly(image, [corners << SHIFT], colour, cv2.LINE_AA, SHIFT)


def _draw_frame(image: Image, rect: Rect, colour: Colour, line_px: int) -> None:
    fill(image, rect.x, rect.y, rect.width, line_px, colour)
    fill(image, rect.x, rect.bottom - line_px, rect.width, line_px, colour)
    fill(image, rect.x, rect.y, line_px, rect.height, colour)
    fill(image, rect.right - line_px, rect.y, line_px, rect.height, colour)


def _points(history: HistoryWindow, run: slice, index: int, plot: Rect) -> NDArray[np.float32]:
    """A class's line in picture pixels, no denser than the pixels."""
    age_s = history.times_s[-1] - history.times_s[run]
    x = plot.right - 1 - age_s / history.span_s * (plot.width - 1)
    y = plot.bottom - 1 - history.probabilities[run, index] * (plot.height - 1)
    last_in_column = np.append(np.diff(np.floor(x)) > 0, True)
    return np.column_stack((x, y))[last_in_column].astype(np.float32)
