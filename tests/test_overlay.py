"""The overlay: geometry for any picture, exact drawing of its parts, and what it says."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.contract import NOT_A_LIE_DETECTOR
from stream.history import HistoryWindow, ProbabilityHistory
from stream.overlay import KEYS, Overlay
from stream.overlay_chart import NO_ANSWER, answered_runs, ribbon_colours
from stream.overlay_layout import MIN_FONT_PX, Layout, Rect, arrange, wrap
from stream.overlay_parts import PANEL_GREY, TextPainter, darken, readable
from tests.results import CLASSES, HEALTH, face, prediction, result

SIZES = [
    (320, 240),
    (640, 480),
    (480, 480),
    (1280, 720),
    (1080, 1920),
    (3840, 2160),
    (1920, 300),
    (240, 900),
    (641, 359),
]
SEVEN = ("happiness", "surprise", "anger", "disgust", "fear", "sadness", "neutral")
PAINTER = TextPainter()


def picture(width: int, height: int) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    return np.stack((rows % 256, columns % 256, (rows + columns) % 256), axis=-1).astype(np.uint8)


def history(names=CLASSES, fps: float = 30.0, until_s: float = 12.0) -> ProbabilityHistory:
    filled = ProbabilityHistory(names)
    rng = np.random.default_rng(7)
    for number in range(round(until_s * fps)):
        answer = prediction(*rng.dirichlet(np.ones(len(names))), names=names) if number % 90 > 20 else None
        filled.append(number / fps, answer and answer.probabilities, "ok" if answer else "no_face")
    return filled


class Drawn:
    """Writes down every text that is drawn and the box of its letters, also where that lies outside of the picture."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.texts: list[str] = []
        self.boxes: list[Rect] = []
        draw = TextPainter.draw

        def noted(painter, image, text, x, baseline, size_px, colour):
            draw(painter, image, text, x, baseline, size_px, colour)
            paper = np.zeros((4 * size_px, painter.width(text, size_px) + 4 * size_px, 3), np.uint8)
            draw(painter, paper, text, size_px, 2 * size_px, size_px, (255, 255, 255))
            rows, columns = np.flatnonzero(paper.any((1, 2))), np.flatnonzero(paper.any((0, 2)))
            if len(rows):
                left, top = x - size_px + int(columns[0]), baseline - 2 * size_px + int(rows[0])
                self.boxes.append(Rect(left, top, int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1))
                self.texts.append(text)

        monkeypatch.setattr(TextPainter, "draw", noted)


@pytest.mark.parametrize("width, height", SIZES)
@pytest.mark.parametrize("names", [CLASSES, SEVEN])
def test_draws_on_a_copy_at_every_size(width, height, names):
    image = picture(width, height)
    answer = prediction(*[0.9] + [0.1 / (len(names) - 1)] * (len(names) - 1), names=names)
    before = image.copy()
    overlay = Overlay(names, NOT_A_LIE_DETECTOR)
    drawn = overlay.draw(result(9, 11.9, "ok", image, answer, 30, face()), history(names), HEALTH)
    assert drawn.shape == image.shape and drawn.dtype == np.uint8
    assert np.array_equal(image, before)
    assert not np.array_equal(drawn, image)
    for special in (overlay.draw_help, overlay.draw_paused):
        shown = special(drawn)
        assert shown.shape == drawn.shape and not np.array_equal(shown, drawn)


@pytest.mark.parametrize("width, height", SIZES)
@pytest.mark.parametrize("status", ["ok", "filling", "no_face", "tracking_lost", "face_too_small"])
def test_texts_lie_inside_the_picture_and_apart(width, height, status, monkeypatch):
    noted = Drawn(monkeypatch)
    answer = prediction(0.1, 0.2, 0.1, 0.6) if status == "ok" else None
    at = face() if status in ("ok", "filling") else None
    Overlay(CLASSES, NOT_A_LIE_DETECTOR).draw(
        result(9, 11.9, status, picture(width, height), answer, 12, at), history(), HEALTH
    )
    assert len(noted.texts) > 5
    for place, box in enumerate(noted.boxes):
        assert inside(box, Rect(0, 0, width, height)), f"{noted.texts[place]!r} is cut off"
        for other in range(place):
            assert box.overlap(noted.boxes[other]) == 0, f"{noted.texts[place]!r} over {noted.texts[other]!r}"


@pytest.mark.parametrize(
    "status, said",
    [
        ("filling", "filling 12/30"),
        ("no_face", "no face"),
        ("tracking_lost", "tracking lost"),
        ("face_too_small", "face too small"),
    ],
)
def test_says_why_there_is_no_label(status, said, monkeypatch):
    noted = Drawn(monkeypatch)
    Overlay(CLASSES, "").draw(result(0, 0.0, status, picture(640, 480), filled=12), history(), HEALTH)
    assert said in noted.texts
    assert not any("confidence" in text or "%" in text for text in noted.texts)


def test_says_label_probabilities_and_health(monkeypatch):
    noted = Drawn(monkeypatch)
    answer = prediction(0.05, 0.1, 0.15, 0.7)
    Overlay(CLASSES, "not for judging").draw(result(0, 0.0, "ok", picture(640, 480), answer, 30), history(), HEALTH)
    assert noted.texts.count("surprise") == 2  # the label and its bar
    expected = {"70% confidence", "5%", "10%", "15%", "70%", "camera 0", "CUDA · streaming · 2 threads", "29.8 fps"}
    assert expected | {"12 ms", "3 dropped", "327/900", "not for judging"} <= set(noted.texts)


def test_help_names_every_key_and_the_disclaimer(monkeypatch):
    noted = Drawn(monkeypatch)
    Overlay(CLASSES, NOT_A_LIE_DETECTOR).draw_help(picture(640, 480))
    assert {text for pair in KEYS for text in pair} <= set(noted.texts)
    assert NOT_A_LIE_DETECTOR in " ".join(noted.texts)


def test_bars_are_as_long_as_the_probabilities():
    width = {}
    for share in (0.25, 0.5, 1.0):
        rest = (1 - share) / 3
        drawn = Overlay(CLASSES, "").draw(
            result(0, 0.0, "ok", np.zeros((480, 640, 3), np.uint8), prediction(share, rest, rest, rest)),
            ProbabilityHistory(CLASSES),
            HEALTH,
        )
        layout = arrange(640, 480, CLASSES, "", PAINTER.width)[0]
        assert layout.bars is not None
        row = drawn[layout.bars.y + layout.bars.height // 8, layout.bars.x : layout.bars.right].astype(int)
        width[share] = int((row[:, 2] - row[:, 0] > 100).sum())
    assert width[0.5] == pytest.approx(width[1.0] / 2, abs=1)
    assert width[0.25] == pytest.approx(width[1.0] / 4, abs=1)
    assert width[1.0] > 50


def covered(overlay: Overlay, at, time_s: float, size=(640, 480)) -> bool:
    """Whether any pixel of the face's box is darkened by the panel."""
    image = np.full((size[1], size[0], 3), 255, np.uint8)
    drawn = overlay.draw(result(0, time_s, "no_face", image, at=at), ProbabilityHistory(CLASSES), HEALTH)
    left, top = at.outline.min(axis=0).astype(int) + 8
    right, bottom = at.outline.max(axis=0).astype(int) - 8
    return bool((drawn[top + 30 : bottom - 30, (left + right) // 2] < 250).any())


@pytest.mark.parametrize("at", [face(280, 300, 90, 140), face(280, 40, 90, 140)])
def test_the_panel_makes_room_for_the_face(at):
    assert not covered(Overlay(CLASSES, NOT_A_LIE_DETECTOR), at, 0.0)


@pytest.mark.parametrize("at", [face(20, 400, 200, 260), face(1050, 400, 200, 260), face(500, 60, 300, 600)])
def test_the_card_makes_room_for_the_face(at):
    assert not covered(Overlay(CLASSES, NOT_A_LIE_DETECTOR), at, 0.0, (1280, 720))


def test_the_panel_does_not_follow_the_face_at_once():
    overlay = Overlay(CLASSES, NOT_A_LIE_DETECTOR)
    low, high = face(280, 300, 90, 140), face(280, 40, 90, 140)
    assert not covered(overlay, low, 0.0)
    assert covered(overlay, high, 0.5)
    assert not covered(overlay, high, 2.5)


def boxes_of(layout: Layout) -> tuple[list[Rect], list[Rect]]:
    outer = [rect for rect in (layout.header, layout.footer, layout.panel) if rect]
    return outer, [rect for rect in (layout.label, layout.bars, layout.chart) if rect]


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


@pytest.mark.parametrize("width, height", SIZES)
def test_common_pictures_show_label_bars_and_status(width, height):
    for layout in arrange(width, height, CLASSES, NOT_A_LIE_DETECTOR, PAINTER.width):
        assert layout.header and layout.label and layout.bars and layout.rows == len(CLASSES)
        assert layout.chart or height <= 300


@given(text=st.text("abc ", max_size=80), width=st.integers(1, 300))
def test_wrapping_keeps_the_words(text, width):
    lines = wrap(text, 12, width, PAINTER.width)
    assert " ".join(lines).split() == text.split()
    assert all(PAINTER.width(line, 12) <= width or " " not in line for line in lines)


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
    PAINTER.draw(image, "HEH 123", 50, 120, size_px, (255, 255, 255))
    rows, columns = np.flatnonzero(image.max((1, 2)) > 60), np.flatnonzero(image.max((0, 2)) > 60)
    assert rows[-1] in (118, 119, 120)
    assert columns[0] >= 50 and columns[-1] < 50 + PAINTER.width("HEH 123", size_px) + 1
    assert columns[-1] - columns[0] > 0.85 * PAINTER.width("HEH 123", size_px)


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
    for number in range(3000):
        painter.draw(image, f"{number}", 0, 15, 11, (255, 255, 255))
        painter.width(f"{number}", 11)
    assert len(painter._sprites) <= 256 and len(painter._widths) <= 2049


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


@given(answered=answers, steps_s=st.lists(st.sampled_from([0.03, 0.1, 0.49, 0.6, 2.0]), min_size=40, max_size=40))
def test_runs_are_the_stretches_without_a_gap(answered, steps_s):
    times_s = np.cumsum(steps_s)[: len(answered)]
    probabilities = np.where(np.array(answered, bool)[:, None], 0.5, np.nan).astype(np.float32).repeat(2, axis=1)
    runs = answered_runs(HistoryWindow(times_s, probabilities.reshape(-1, 2), 10.0))
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


def test_the_ribbon_shows_labels_and_gaps_in_time():
    colours = [(1, 2, 3), (4, 5, 6)]
    times_s = np.arange(0, 10.01, 0.1)
    probabilities = np.where(times_s[:, None] < 4.95, [0.9, 0.1], [0.2, 0.8]).astype(np.float32)
    probabilities[(times_s > 6.95) & (times_s < 7.95)] = np.nan
    row = ribbon_colours(HistoryWindow(times_s, probabilities, 10.0), 1000, colours)
    assert (row[5:490] == colours[0]).all()
    assert (row[505:695] == colours[1]).all()
    assert (row[705:790] == NO_ANSWER).all()
    assert (row[805:] == colours[1]).all()


def test_a_short_history_fills_the_ribbon_from_the_right():
    window = HistoryWindow(np.array([0.0, 1.0, 2.0]), np.full((3, 2), 0.5, np.float32), 10.0)
    row = ribbon_colours(window, 100, [(9, 9, 9), (8, 8, 8)])
    assert (row[:78] == NO_ANSWER).all() and (row[-1] == 9).all()
    empty = HistoryWindow(np.empty(0), np.empty((0, 2), np.float32), 10.0)
    assert (ribbon_colours(empty, 50, [(9, 9, 9), (8, 8, 8)]) == NO_ANSWER).all()


def test_drawing_takes_pictures_that_are_views():
    image = picture(640, 480)
    overlay = Overlay(CLASSES, "")
    plain = overlay.draw(result(0, 1.0, "no_face", np.ascontiguousarray(image[:, ::-1])), history(), HEALTH)
    mirrored = overlay.draw(result(0, 1.0, "no_face", image[:, ::-1]), history(), HEALTH)
    assert np.array_equal(plain, mirrored)


def test_a_picture_of_another_size_gets_another_layout():
    overlay = Overlay(CLASSES, "")
    for width, height in ((640, 480), (320, 240), (640, 480)):
        drawn = overlay.draw(result(0, 1.0, "no_face", picture(width, height)), history(), HEALTH)
        again = Overlay(CLASSES, "").draw(result(0, 1.0, "no_face", picture(width, height)), history(), HEALTH)
        assert np.array_equal(drawn, again)


def test_an_outline_far_outside_the_picture_does_no_harm():
    at = face(-1e7, -1e7, 3e7, 3e7)
    drawn = Overlay(CLASSES, "").draw(result(0, 1.0, "filling", picture(320, 240), filled=7, at=at), history(), HEALTH)
    assert drawn.shape == (240, 320, 3)
    assert cv2.countNonZero(cv2.absdiff(drawn, picture(320, 240)).max(axis=2)) < drawn.size
