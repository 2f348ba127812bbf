"""Where the overlay's parts go in any picture, and that they are drawn exactly."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.contract import NOT_A_LIE_DETECTOR
from stream.history import HistoryWindow
from stream.screen.chart import answered_runs
from stream.screen.layout import MIN_FONT_PX, Layout, Rect, arrange, wrap
from stream.screen.paint import PANEL_GREY, TextPainter, darken, polyline, polyline_share, readable
from tests.helpers.results import CLASSES, SIZES, picture

PAINTER = TextPainter()


def boxes_of(layout: Layout) -> tuple[list[Rect], list[Rect]]:
    outer = [rect for rect in (layout.header, layout.footer, layout.panel) if rect]
    return outer, [rect for rect in (layout.label, layout.bars, layout.chart, layout.strip) if rect]


def inside(inner: Rect, outer: Rect) -> bool:
    return inner.overlap(outer) == inner.width * inner.height > 0


@settings(deadline=None, max_examples=300)
@given(
    width=st.integers(40, 4096),
    height=st.integers(40, 4096),
    names=st.lists(st.text("abcdefgh ", min_size=1, max_size=24), min_size=2, max_size=12, unique=True),
    disclaimer=st.sampled_from(["", "Short.", NOT_A_LIE_DETECTOR, "Unbrea" + "kable" * 40]),
)
def test_layouts_fit_into_any_picture(width, height, names, disclaimer):
    whole = Rect(0, 0, width, height)
    for layout in arrange(width, height, names, disclaimer, PAINTER.width):
        outer, parts = boxes_of(layout)
        assert all(inside(rect, whole) for rect in outer)
        assert all(inside(part, layout.panel) for part in parts)
        for group in (outer, parts):
            assert all(a.overlap(b) == 0 for place, a in enumerate(group) for b in group[:place])
        assert (layout.bars is None) == (layout.rows == 0) and layout.rows <= len(names)
        assert layout.font_px >= MIN_FONT_PX
        assert layout.chart is None or layout.strip is None


@pytest.mark.parametrize("width, height", SIZES)
def test_common_pictures_show_label_bars_and_status(width, height):
    for layout in arrange(width, height, CLASSES, NOT_A_LIE_DETECTOR, PAINTER.width):
        assert layout.header and layout.label and layout.bars and layout.rows == len(CLASSES)
        assert layout.chart or height <= 300
        # Where there is no room for the chart, there is for the marks of events.
        assert layout.chart or layout.strip


@settings(deadline=None)
@given(text=st.text("abc ", max_size=80), width=st.integers(1, 300))
def test_wrapping_keeps_the_words(text, width):
    lines = wrap(text, 12, width, PAINTER.width)
    assert " ".join(lines).split() == text.split()
    assert all(PAINTER.width(line, 12) <= width or " " not in line for line in lines)


@settings(deadline=None)
@given(x=st.integers(-60, 150), baseline=st.integers(-20, 90), size_px=st.sampled_from([11, 17, 30]))
def test_text_equals_plain_blending(x, baseline, size_px):
    image, colour = picture(120, 60), (200, 100, 30)
    mask = np.zeros((60, 120, 3), np.uint8)
    PAINTER.draw(mask, "Agf 47%", x, baseline, size_px, (255, 255, 255))
    share = mask.astype(float) / 255
    expected = image * (1 - share) + np.array(colour) * share
    PAINTER.draw(image, "Agf 47%", x, baseline, size_px, colour)
    assert np.abs(image - expected).max() <= 2.0


@pytest.mark.parametrize("size_px", [11, 14, 23, 24, 60])
def test_text_is_as_wide_as_measured_and_stands_on_its_line(size_px):
    image = np.zeros((200, 900, 3), np.uint8)
    PAINTER.draw(image, "HEH EH", 50, 120, size_px, (255, 255, 255))
    assert image[119].max() > 200 and image[120:].max() == 0
    columns = np.flatnonzero(image.max((0, 2)) > 60)
    assert columns[0] >= 50 and columns[-1] < 50 + PAINTER.width("HEH EH", size_px)
    assert columns[-1] - columns[0] > 0.85 * PAINTER.width("HEH EH", size_px)


@settings(deadline=None)
@given(text=st.text(max_size=30), width=st.integers(0, 200))
def test_shortened_texts_fit(text, width):
    short = PAINTER.shortened(text, 14, width)
    assert PAINTER.width(short, 14) <= width or short == ""
    if PAINTER.width(text, 14) <= width:
        assert short == text


def test_letters_the_font_lacks_are_replaced():
    assert readable("Überraschung é · 日本") == "Uberraschung e · ??"


def test_memory_of_texts_is_bounded():
    painter, image = TextPainter(), np.zeros((20, 60, 3), np.uint8)
    for number in range(6000):
        painter.draw(image, f"{number}", 0, 15, 11, (255, 255, 255))
        painter.width(f"{number}", 11)
    assert len(painter._sprites) <= 512 and len(painter._widths) <= 4097


def test_a_panel_darkens_its_middle_and_keeps_what_is_outside():
    image = picture(100, 80)
    before = image.astype(float)
    rect = Rect(20, 10, 50, 40)
    darken(image, rect, 0.7, radius_px=8)
    panel = before * 0.3 + 0.7 * PANEL_GREY
    assert np.abs(image[22:38, 20:70] - panel[22:38, 20:70]).max() <= 1
    assert np.array_equal(image[10, 20], before[10, 20]) and np.array_equal(image[49, 69], before[49, 69])
    mask = np.ones((80, 100), bool)
    mask[10:50, 20:70] = False
    assert np.array_equal(image[mask], before[mask])
    # Every corner is round in the same way.
    flat = np.full((80, 100, 3), 200, np.uint8)
    darken(flat, rect, 0.7, radius_px=8)
    corner = flat[10:50, 20:70]
    assert np.array_equal(corner, corner[::-1]) and np.array_equal(corner, corner[:, ::-1])


answers = st.lists(st.booleans(), max_size=40)


@settings(deadline=None)
@given(answered=answers, steps_s=st.lists(st.sampled_from([0.03, 0.1, 0.49, 0.6, 2.0]), min_size=40, max_size=40))
def test_runs_are_the_stretches_without_a_gap(answered, steps_s):
    times_s = np.cumsum(steps_s)[: len(answered)]
    probabilities = np.where(np.array(answered, bool)[:, None], 0.5, np.nan).astype(np.float32).repeat(2, axis=1)
    watched = np.zeros(len(times_s), bool)
    runs = answered_runs(HistoryWindow(times_s, probabilities.reshape(-1, 2), watched, 10.0))
    expected: list[list[int]] = []
    for place, yes in enumerate(answered):
        if not yes:
            continue
        joined = expected and expected[-1][-1] == place - 1 and times_s[place] - times_s[place - 1] <= 0.5
        if joined:
            expected[-1].append(place)
        else:
            expected.append([place])
    assert [list(range(run.start, run.stop)) for run in runs] == expected


@settings(deadline=None)
@given(share=st.floats(0.0, 1.0))
def test_a_share_of_a_closed_line_is_its_first_part(share):
    angle = np.linspace(0, 2 * np.pi, 36, endpoint=False)
    points = np.column_stack((60 + 40 * np.sin(angle), 60 - 40 * np.cos(angle))).astype(np.float32)
    whole, part = np.zeros((120, 120, 3), np.uint8), np.zeros((120, 120, 3), np.uint8)
    polyline(whole, points, (255, 255, 255), 1, closed=True)
    polyline_share(part, points, share, (255, 255, 255), 1)
    assert not (part.astype(int) > whole.astype(int) + 90).any()
    rows, columns = np.nonzero(part[..., 0] > 100)
    drawn = np.mod(np.arctan2(columns - 60, 60 - rows), 2 * np.pi) / (2 * np.pi)
    inside = drawn[(drawn > 0.02) & (drawn < 0.98)]
    assert (inside <= share + 0.02).all()
    assert len(rows) == pytest.approx(share * (whole[..., 0] > 100).sum(), abs=12)


def test_texts_in_a_row_stand_apart_and_are_as_wide_as_measured():
    image = np.zeros((30, 300, 3), np.uint8)
    PAINTER.draw_row(image, [("HEH", (255, 0, 0)), ("93 %", (0, 0, 255))], 10, 20, 14)
    first, second = np.flatnonzero(image[..., 0].max(0) > 60), np.flatnonzero(image[..., 2].max(0) > 60)
    assert first[0] >= 10 and second[0] - first[-1] >= 3
    assert second[-1] < 10 + PAINTER.row_width(["HEH", "93 %"], 14)
