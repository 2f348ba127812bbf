"""The overlay: what it says, at every size, and where it stands."""

import dataclasses

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.contract import NOT_A_LIE_DETECTOR, ActionUnits
from model.types import Prediction
from stream.history import LiveHistory
from stream.screen.chart import TICK, WATCHED
from stream.screen.layout import Rect, arrange
from stream.screen.overlay import Overlay
from stream.screen.paint import CALM, DIM, TEXT, TextPainter, class_colours, track_colour
from stream.screen.readout import KEYS, MARKS
from tests.helpers.happenings import event, moment, seen, watched
from tests.helpers.results import CLASSES, HEALTH, SIZES, face, picture, prediction, result

SEVEN = ("happiness", "surprise", "anger", "disgust", "fear", "sadness", "neutral")
PAINTER = TextPainter()


COLOURS = class_colours(CLASSES)
HAPPENED = (
    event(3.4),
    event(6.0, "positive", 1.2, "macro"),
    event(8.2, "negative", 0.3),
    event(4.6, rejected="blink"),
    event(7.1, rejected="speech"),
    event(10.6, track=2),
)
"""On the strip of 12 s: two of the first face and a long one, two rejected; the last one is the second face's."""


def history(names=CLASSES, fps: float = 30.0, until_s: float = 12.0) -> LiveHistory:
    filled = LiveHistory(names)
    rng = np.random.default_rng(7)
    for number in range(round(until_s * fps)):
        answer = prediction(*rng.dirichlet(np.ones(len(names))), names=names) if number % 90 > 20 else None
        filled.record(result(number, number / fps, "ok" if answer else "no_face", answer=answer))
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
@pytest.mark.parametrize("who", ["nobody", "calibrating", "two", "turned", "crowd"])
def test_texts_lie_inside_the_picture_and_apart(width, height, who, monkeypatch):
    noted = Drawn(monkeypatch)
    left, right = (face(at * width, 0.2 * height, 0.3 * width, 0.4 * height) for at in (0.1, 0.6))
    faces = {
        "nobody": (),
        "calibrating": (seen(at=left, calibrated=False),),
        "two": (seen(1, at=left), seen(2, at=right)),
        "turned": (seen(1, "insufficient_rate", left), seen(2, "face_turned", right)),
        "crowd": tuple(seen(track, at=(left, right)[track % 2]) for track in range(1, 17)),
    }[who]
    happened = watched(*HAPPENED)
    happened.record(moment(12.1, *faces))
    Overlay(CLASSES, NOT_A_LIE_DETECTOR).draw(moment(12.1, *faces, image=picture(width, height)), happened, HEALTH)
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
        ("face_too_small", "come closer"),
        ("face_turned", "look into the camera"),
        ("blurred", "hold still; more light"),
        ("insufficient_rate", "more light, faster camera"),
    ],
)
def test_says_why_there_is_no_label_and_what_to_do(status, said, monkeypatch):
    noted = Drawn(monkeypatch)
    now = result(0, 0.0, status, picture(640, 480), filled=12)
    Overlay(CLASSES, "").draw(now, watched(until_s=0.0), HEALTH)
    assert said in noted.texts
    assert not any("window:" in text or "%" in text or "visible" in text for text in noted.texts)


def test_says_the_last_event_probabilities_and_health(monkeypatch):
    noted = Drawn(monkeypatch)
    answer = prediction(0.05, 0.1, 0.15, 0.7)
    now = moment(12.0, seen(answer=answer), image=picture(640, 480))
    Overlay(CLASSES, "not for judging").draw(now, watched(*HAPPENED[:5]), HEALTH)
    assert "negative" in noted.texts and "micro" in noted.texts
    expected = {"2 micro · 1 macro · 2 rejected", "rejected: speech at 7.1 s", "smallest visible 0.6 px"}
    assert expected | {"0.30 s at 8.2 s · class 87 % · 1.3 px", "not for judging"} <= set(noted.texts)
    assert {"5 %", "10 %", "15 %", "70 %", "camera 0", "CUDA · streaming · 2 threads", "29.8 fps"} <= set(noted.texts)
    assert {"12 ms", "3 dropped", "327/900"} <= set(noted.texts)


def test_without_events_the_label_of_the_window_is_the_headline(monkeypatch):
    noted = Drawn(monkeypatch)
    image = np.zeros((480, 640, 3), np.uint8)
    now = moment(12.0, seen(answer=prediction(0.1, 0.1, 0.1, 0.7), calibrated=False), image=image)
    drawn = Overlay(CLASSES, "", with_events=False).draw(now, watched(*HAPPENED), HEALTH)
    assert noted.texts.count("surprise") == 2  # the headline and its bar
    assert "window: 70 %" in noted.texts and not any("rejected" in text for text in noted.texts)
    assert not (drawn == WATCHED).all(2).any()
    assert (Overlay(CLASSES, "").draw(now, watched(*HAPPENED), HEALTH) == WATCHED).all(2).any()


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


@pytest.mark.parametrize("size", [(640, 480), (320, 240), (1920, 1080)])
def test_help_names_every_key_the_marks_and_the_disclaimer(size, monkeypatch):
    noted = Drawn(monkeypatch)
    drawn = Overlay(CLASSES, NOT_A_LIE_DETECTOR).draw_help(np.zeros((size[1], size[0], 3), np.uint8))
    assert {text for pair in KEYS for text in pair} <= set(noted.texts)
    assert {meaning for _, meaning in MARKS} <= set(noted.texts)
    assert NOT_A_LIE_DETECTOR in " ".join(noted.texts)
    assert ("a second and a half later" in " ".join(noted.texts)) == (size != (320, 240))
    for colour in (TICK, CALM, WATCHED):
        assert (drawn == colour).all(2).any()


def test_bars_are_as_long_as_the_probabilities():
    width = {}
    for share in (0.25, 0.5, 1.0):
        rest = (1 - share) / 3
        drawn = Overlay(CLASSES, "").draw(
            result(0, 0.0, "ok", np.zeros((480, 640, 3), np.uint8), prediction(share, rest, rest, rest)),
            LiveHistory(CLASSES),
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
    drawn = overlay.draw(result(0, time_s, "no_face", image, at=at), LiveHistory(CLASSES), HEALTH)
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


def outline_colours(drawn: np.ndarray, at) -> set[tuple[int, int, int]]:
    """Colours right on a face's oval, at its sides."""
    left, top = at.outline.min(axis=0)
    right, bottom = at.outline.max(axis=0)
    rows = slice(round((top + bottom) / 2) - 2, round((top + bottom) / 2) + 3)
    found = [drawn[rows, round(x) - 1 : round(x) + 2].reshape(-1, 3) for x in (left, right)]
    return {(int(blue), int(green), int(red)) for blue, green, red in np.concatenate(found)}


def drawn_with(*faces, happened: LiveHistory, size=(1280, 960), time_s: float = 12.1) -> np.ndarray:
    image = np.full((size[1], size[0], 3), 60, np.uint8)
    happened.record(moment(time_s, *faces))
    return Overlay(CLASSES, "").draw(moment(time_s, *faces, image=image), happened, HEALTH)


LEFT, RIGHT = face(160, 160, 240, 320), face(840, 160, 240, 320)


def test_an_outline_is_calm_until_an_event_was_decided():
    calm = drawn_with(seen(at=LEFT), happened=watched(event(3.0)))
    assert CALM in outline_colours(calm, LEFT) and COLOURS["surprise"] not in outline_colours(calm, LEFT)
    lively = drawn_with(seen(at=LEFT), happened=watched(event(10.5)))
    assert COLOURS["surprise"] in outline_colours(lively, LEFT)
    rejected = drawn_with(seen(at=LEFT), happened=watched(event(10.5, rejected="blink")))
    assert COLOURS["surprise"] not in outline_colours(rejected, LEFT)


def test_several_faces_have_colours_numbers_and_words_of_their_own(monkeypatch):
    noted = Drawn(monkeypatch)
    happened = watched(event(10.8, "positive", track=2, probability=0.83))
    drawn = drawn_with(seen(1, at=LEFT), seen(2, at=RIGHT), happened=happened)
    assert track_colour(1) in outline_colours(drawn, LEFT)
    assert COLOURS["positive"] in outline_colours(drawn, RIGHT)
    tags = {text: box for text, box in zip(noted.texts, noted.boxes, strict=True) if 50 < box.y < 200}
    assert {"1", "2", "micro 83 %"} <= set(tags)
    assert 160 < tags["1"].x < 400 and 840 < tags["2"].right < tags["micro 83 %"].x < 1080
    assert noted.texts.count("positive") == 3  # at the face, the headline, the bar
    assert "face 2 micro 83 %" in noted.texts and "face 1" in noted.texts
    # The strip is the first face's: the second one's event is not on it.
    chart = arrange(1280, 960, CLASSES, "", PAINTER.width)[0].chart
    assert chart is not None
    assert not (drawn[chart.y : chart.bottom, chart.x : chart.right] == COLOURS["positive"]).all(2).any()
    later = drawn_with(seen(1, at=LEFT), seen(2, at=RIGHT), happened=happened, time_s=16.0)
    assert track_colour(2) in outline_colours(later, RIGHT) and track_colour(2) != track_colour(1)


def test_one_face_has_no_number_and_no_words_for_a_window(monkeypatch):
    noted = Drawn(monkeypatch)
    drawn_with(seen(5, at=LEFT), happened=watched(track=5))
    assert "5" not in noted.texts and not any("face 5" in text for text in noted.texts)
    assert sum("window" in text for text in noted.texts) == 1


def test_calibration_is_seen_at_the_face_and_in_words(monkeypatch):
    noted = Drawn(monkeypatch)
    happened = LiveHistory(CLASSES)
    for now_s in (0.0, 1.5):
        drawn = drawn_with(seen(at=LEFT, calibrated=False), happened=happened, time_s=now_s)
    assert {"calibrating", "rest for 2 s"} <= set(noted.texts)
    # Half of it is done: the right half of the oval, which starts at the top and runs clockwise.
    half = (drawn[150:500, 150:420] == TEXT).all(2)
    columns = np.flatnonzero(half.any(0))
    assert columns[0] >= 125 and half.sum() > 1000
    layout = arrange(1280, 960, CLASSES, "", PAINTER.width)[0]
    assert layout.label is not None
    inside = drawn[layout.label.y : layout.label.bottom, layout.label.x : layout.label.right]
    bar = (inside == TEXT).all(2).sum(axis=1).max()
    assert bar == pytest.approx(layout.label.width / 2, abs=1)


@pytest.mark.parametrize("size", [(320, 240), (640, 480), (1280, 720), (1920, 1080)])
def test_marks_of_events_are_in_every_picture(size):
    at = face(0.4 * size[0], 0.2 * size[1], 0.2 * size[0], 0.3 * size[1])
    drawn = drawn_with(seen(at=at), happened=watched(*HAPPENED[:5]), size=size)
    lower = drawn[size[1] // 3 :]
    for name in ("surprise", "negative"):
        block = (lower == COLOURS[name]).all(2)
        # More than the sliver of its bar, and side by side.
        assert block.any(0).sum() >= 3 and block.sum() > 20
    assert (lower == TICK).all(2).any() and (lower == WATCHED).all(2).any()


@pytest.mark.parametrize("width, height", SIZES)
def test_action_units_have_a_line_of_their_own(width, height, monkeypatch):
    noted = Drawn(monkeypatch)
    units = ActionUnits((1, 4, 12), threshold=0.4)
    shares = dict(zip(units.names, (0.5, 0.3, 0.0, 0.0, 0.1, 0.9), strict=True))
    answer = Prediction(prediction(0.1, 0.1, 0.1, 0.7).probabilities, shares)
    overlay = Overlay(CLASSES, NOT_A_LIE_DETECTOR, units=units)
    overlay.draw(moment(12.1, seen(answer=answer), image=picture(width, height)), watched(), HEALTH)
    assert noted.texts.count("AU L1 · R12") == 1
    place = noted.texts.index("AU L1 · R12")
    for other, box in enumerate(noted.boxes):
        assert other == place or not box.overlap(noted.boxes[place]), f"over {noted.texts[other]!r}"


def test_the_last_event_tells_its_action_units(monkeypatch):
    noted = Drawn(monkeypatch)
    told = dataclasses.replace(event(11.3), action_units=("4", "L12"), action_unit_confidences=(0.9, 0.6))
    Overlay(CLASSES, "").draw(moment(12.4, seen(), image=picture(1280, 720)), watched(told, until_s=12.4), HEALTH)
    assert "0.20 s at 11.3 s · class 87 % · AU 4+L12" in noted.texts


def test_what_is_not_watchable_is_said_and_its_outline_is_dim(monkeypatch):
    noted = Drawn(monkeypatch)
    alone = drawn_with(seen(at=LEFT, smallest_px=2.4, watchable=False), happened=watched())
    assert {"not watchable", "moves too much, visible from 2.4 px"} <= set(noted.texts)
    assert DIM in outline_colours(alone, LEFT) and CALM not in outline_colours(alone, LEFT)
    seen_well = drawn_with(seen(at=LEFT), happened=watched())
    assert "smallest visible 0.6 px" in noted.texts and CALM in outline_colours(seen_well, LEFT)
    drawn_with(seen(smallest_px=2.4, watchable=False), happened=watched(), size=(320, 240))
    assert noted.texts.count("not watchable") == 2 and "moves too much" in noted.texts
    noted.texts.clear()
    both = drawn_with(seen(1, at=LEFT), seen(2, at=RIGHT, watchable=False), happened=watched())
    assert noted.texts.count("not watchable") == 1 and "face 1 smallest visible 0.6 px" in noted.texts
    assert track_colour(2) in outline_colours(both, RIGHT)


def test_labels_only_say_nothing_of_what_was_watchable(monkeypatch):
    noted = Drawn(monkeypatch)
    now = moment(12.0, seen(1, at=LEFT, watchable=False), seen(2, at=RIGHT, watchable=False), image=picture(1280, 960))
    Overlay(CLASSES, "", with_events=False).draw(now, watched(), HEALTH)
    assert not any("watchable" in text or "visible" in text for text in noted.texts)
