"""The overlay: what it says, at every size, and where it stands."""

import dataclasses

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.contract import NOT_A_LIE_DETECTOR
from stream.history import ProbabilityHistory
from stream.overlay import KEYS, Overlay
from stream.overlay_layout import Rect, arrange
from stream.overlay_parts import TextPainter
from tests.results import CLASSES, HEALTH, SIZES, face, picture, prediction, result

SEVEN = ("happiness", "surprise", "anger", "disgust", "fear", "sadness", "neutral")
PAINTER = TextPainter()


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
        assert box.overlap(Rect(0, 0, width, height)) == box.width * box.height, f"{noted.texts[place]!r} is cut off"
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


def test_a_full_status_line_gives_up_what_matters_least(monkeypatch):
    noted = Drawn(monkeypatch)
    crowded = dataclasses.replace(HEALTH, source="interview.mp4", threads="model 2, decode 1, face 1")
    for width in (1280, 640, 480, 320):
        Overlay(CLASSES, "").draw(result(0, 0.0, "no_face", picture(width, 240)), history(), crowded)
    said = [text for text in noted.texts if "CUDA" in text or "interview" in text]
    assert said == [
        "CUDA · streaming · model 2, decode 1, face 1",
        "interview.mp4",
        "CUDA · streaming · model 2, decode 1, face 1",
        "interview.mp4",
        "CUDA · streaming",
        "interview.mp4",
        "interview.mp4",
    ]
    assert noted.texts.count("29.8 fps") == 4


@given(width=st.integers(1, 120), height=st.integers(1, 120))
@settings(deadline=None, max_examples=60)
def test_tiny_pictures_are_no_error(width, height):
    image = picture(width, height)
    overlay = Overlay(CLASSES, NOT_A_LIE_DETECTOR)
    drawn = overlay.draw(result(0, 0.0, "filling", image, filled=9, at=face(1, 1, 9, 9)), history(), HEALTH)
    for shown in (drawn, overlay.draw_help(drawn), overlay.draw_paused(drawn)):
        assert shown.shape == image.shape


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
