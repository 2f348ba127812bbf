"""The marks of events: at the right pixels, each kind in its own shape and colour, nothing anywhere else."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.history import HistoryWindow
from stream.screen.chart import (
    LEAST_SPAN_PX,
    LONGEST_GAP_S,
    TICK,
    UNWATCHED,
    WATCHED,
    draw_chart,
    draw_strip,
    span_columns,
    watched_columns,
)
from stream.screen.layout import Rect
from stream.screen.paint import CALM, TextPainter, class_colours
from tests.helpers.happenings import event
from tests.helpers.results import CLASSES

COLOURS = class_colours(CLASSES)
PAINTER = TextPainter()
# A hundred columns a second; the newest sample, at 20 s, is in the last of them.
RECT = Rect(20, 5, 1001, 12)


def window(watched: bool = True, until_s: float = 20.0) -> HistoryWindow:
    times_s = np.linspace(until_s - 10.0, until_s, 301)
    probabilities = np.full((301, len(CLASSES)), np.nan, np.float32)
    return HistoryWindow(times_s, probabilities, np.full(301, watched), 10.0)


def strip(*events, rect: Rect = RECT, watched: bool = True) -> np.ndarray:
    image = np.zeros((rect.bottom + 4, rect.right + 20, 3), np.uint8)
    draw_strip(image, rect, window(watched), events, COLOURS)
    outside = np.ones(image.shape[:2], bool)
    outside[rect.y : rect.bottom, rect.x : rect.right] = False
    assert not image[outside].any()
    return image[rect.y : rect.bottom, rect.x : rect.right]


def columns(marked: np.ndarray, colour) -> list[int]:
    """Columns with any pixel of a colour."""
    return np.flatnonzero((marked == colour).all(2).any(0)).tolist()


def test_a_micro_expression_is_a_block_from_onset_to_offset_with_a_line_at_its_apex():
    drawn = strip(event(15.0, "positive", 0.3))
    # 15 s is five seconds before the last column.
    block = columns(drawn, COLOURS["positive"])
    assert (block[0], block[-1]) == (485, 514)
    assert (drawn[:, 485:500] == COLOURS["positive"]).all()
    apex = drawn[:, 500]
    assert (apex == apex[0]).all() and (apex[0] > COLOURS["positive"]).all()
    assert (np.delete(drawn, np.s_[485:515], axis=1) == WATCHED).all()


def test_a_macro_expression_is_a_grey_frame_with_its_class_at_the_apex_only():
    drawn = strip(event(15.0, "positive", 2.0, "macro"))
    frame = columns(drawn, CALM)
    assert (frame[0], frame[-1]) == (400, 599)
    assert columns(drawn, COLOURS["positive"]) == [500]
    middle = drawn[drawn.shape[0] // 2]
    assert (middle[410:490] == WATCHED).all() and (drawn[0] == WATCHED).all()


def test_a_rejected_movement_is_a_small_grey_tick_at_its_apex():
    drawn = strip(event(15.0, "positive", 0.3, rejected="blink"))
    assert columns(drawn, TICK) == [500]
    assert (drawn[:, 500] == TICK).all(1).sum() <= drawn.shape[0] // 2
    assert (np.delete(drawn, 500, axis=1) == WATCHED).all()


def test_what_counts_is_drawn_over_what_does_not():
    counted = event(15.0, "positive", 0.3)
    others = (event(15.0, "surprise", 2.0, "macro"), event(14.95, rejected="speech"))
    alone = strip(counted)
    for events in ((counted, *others), (*others, counted)):
        drawn = strip(*events)
        assert np.array_equal(drawn[:, 485:515], alone[:, 485:515])


@settings(deadline=None)
@given(
    apex_s=st.floats(0.0, 25.0),
    lasts_s=st.floats(0.0, 4.0),
    kind=st.sampled_from(("micro", "macro")),
    rejected=st.sampled_from((None, "blink")),
    width=st.integers(30, 400),
    height=st.integers(8, 30),
)
def test_a_mark_stays_within_its_columns_and_the_strip(apex_s, lasts_s, kind, rejected, width, height):
    rect = Rect(7, 3, width, height)
    one = event(apex_s, lasts_s=lasts_s, kind=kind, rejected=rejected)
    first, stop = span_columns(window(), one, rect)
    assert rect.x <= first <= stop <= max(rect.right, first)
    changed = np.flatnonzero((strip(one, rect=rect) != WATCHED).any((0, 2))) + rect.x
    assert set(changed) <= set(range(first, stop))
    if one.onset_s >= 10.0 and one.offset_s <= 20.0:
        assert len(changed) >= 1 and stop - first >= min(LEAST_SPAN_PX - 1, width)
        exact = [rect.right - 1 - (20.0 - t) / 10.0 * (width - 1) for t in (one.onset_s, one.offset_s)]
        assert first <= exact[0] + 0.5 and stop >= min(exact[1] - 0.5, rect.right)
    if one.offset_s < 9.0 or one.onset_s > 21.0:
        assert len(changed) == 0


def test_an_event_leaves_the_strip_at_its_left_edge():
    drawn = strip(event(10.0, "negative", 0.4))
    assert columns(drawn, COLOURS["negative"])[-1] == 19
    assert (drawn[:, 20:] == WATCHED).all()
    assert (strip(event(9.0, "negative", 0.4)) == WATCHED).all()


def test_the_strip_is_dark_where_nothing_was_watched():
    times_s = np.arange(0, 10.01, 0.1)
    watched = (times_s > 3.95) & ((times_s < 5.95) | (times_s > 7.95))
    probabilities = np.full((len(times_s), 4), 0.25, np.float32)
    row = watched_columns(HistoryWindow(times_s, probabilities, watched, 10.0), 1000)
    assert not row[:395].any() and row[405:595].all() and not row[605:795].any() and row[805:].all()
    assert (strip(watched=False) == UNWATCHED).all()
    # Samples that stop coming are not taken to go on.
    early = HistoryWindow(np.array([0.0, 10.0]), probabilities[:2], np.array([True, True]), 10.0)
    assert watched_columns(early, 1000).sum() == pytest.approx(100 * LONGEST_GAP_S, abs=2)
    nothing = HistoryWindow(np.empty(0), np.empty((0, 4), np.float32), np.empty(0, bool), 10.0)
    assert not watched_columns(nothing, 50).any()


def chart(*events, watched: bool = True) -> np.ndarray:
    image = np.full((120, 1041, 3), 10, np.uint8)
    draw_chart(image, Rect(20, 10, 1001, 100), window(watched), events, COLOURS, PAINTER, 14)
    return image[10:110, 20:1021]


def test_the_chart_shades_events_from_onset_to_offset_and_draws_their_apex():
    plain, marked = chart(), chart(event(15.0, "positive", 0.3))
    plot = slice(12, 60)
    changed = np.flatnonzero((plain[plot] != marked[plot]).any((0, 2)))
    assert (changed[0], changed[-1]) == (485, 514)
    assert (marked[20:40, 500] == COLOURS["positive"]).all()
    # A long one is shaded in grey and has no line; a rejected one is left to the strip.
    calm = chart(event(15.0, "positive", 2.0, "macro"))[plot].astype(int)
    shaded = calm[8:16, 410:590]
    assert (np.ptp(shaded, axis=2) <= 2).all() and (shaded > plain[plot][8:16, 410:590]).all()
    assert np.array_equal(chart(event(15.0, rejected="speech"))[:60], plain[:60])


def test_a_chart_without_events_has_no_strip():
    image = np.zeros((120, 1041, 3), np.uint8)
    draw_chart(image, Rect(20, 10, 1001, 100), window(), None, COLOURS, PAINTER, 14)
    assert not (image == WATCHED).all(2).sum(axis=1).max() > 1001
    with_strip = chart()
    assert (with_strip == WATCHED).all(2).sum() > (image[10:110, 20:1021] == WATCHED).all(2).sum()
