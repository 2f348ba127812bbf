"""The event detector over time: calibration, ends and new faces, frame rates, and whatever else may come."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.preprocess import TimeResampler
from model.types import Event
from stream.events.detector import EventDetector
from stream.events.motion import REGIONS
from stream.events.settings import EventSettings
from tests.helpers.movements import (
    BROWS,
    CLASSES,
    LIDS,
    LIGHT,
    LONG,
    MICRO,
    MOUTH,
    TIMES_S,
    UNSURE,
    Movement,
    about,
    accepted,
    apart,
    assert_timed,
    events_of,
    face_rows,
    grid,
    motion_of,
    only,
    step_all,
    talking,
)

# Calibration


def test_nothing_counts_in_the_first_three_seconds():
    for onset_s, reason in ((0.8, "calibrating"), (2.9, "calibrating"), (3.1, None)):
        movement = Movement(onset_s, onset_s + 0.15, onset_s + 0.35)
        events = events_of(TIMES_S + 100, face_rows(TIMES_S, [movement]))
        assert only(events).rejected == reason


def test_it_says_when_it_is_calibrated():
    detector = EventDetector(CLASSES, 30.0, settings=UNSURE)
    assert not detector.calibrated
    known = []
    for time_s, row in zip(TIMES_S + 50, face_rows(TIMES_S), strict=True):
        detector.step(motion_of(time_s, row), None)
        known.append(detector.calibrated)
    assert known == [time_s >= 3.0 - 1e-9 for time_s in TIMES_S]
    detector.finish()
    assert not detector.calibrated


@pytest.mark.parametrize("noise_px", [0.0, 0.02, 0.07, 0.3, 2.0])
def test_noise_alone_is_no_event_and_hides_nothing_that_stands_out(noise_px):
    times_s = grid(120.0)
    movement = Movement(110.0, 110.15, 110.35, size_px=max(1.0, 14 * noise_px), regions=BROWS)
    events = events_of(times_s, face_rows(times_s, [movement], noise_px, seed=2))
    assert_timed(only(accepted(events)), movement, 0.12)


@pytest.mark.parametrize("level, after_s", [(0.0, 7.0), (40.0, 3.0)], ids=["of itself", "with the light"])
def test_a_face_that_gets_noisier_is_learned_anew(level, after_s):
    times_s, known = grid(45.0), round((20 + after_s) * 30)
    rows = face_rows(times_s, noise_px=0.02)
    rows[600:] = face_rows(times_s, noise_px=0.5, seed=1)[600:]
    rows[600:, LIGHT] -= level
    detector = EventDetector(CLASSES, 30.0, settings=UNSURE)
    settling = step_all(detector, times_s[:known], rows[:known])
    assert accepted(settling) == []
    assert accepted(step_all(detector, times_s[known:], rows[known:])) == []


def test_a_change_of_light_is_learned_once():
    times_s = grid(25.0)
    rows = face_rows(times_s, [Movement(20.0, 20.24, 20.48)])
    rows[240:, LIGHT] += 30.0
    assert only(events_of(times_s, rows)).rejected is None


def test_flickering_light_does_not_blind_it():
    times_s, movement = grid(30.0), MICRO.later(20.0)
    rows = face_rows(times_s, [movement])
    rows[90:600:2, LIGHT] += 30.0
    assert only(accepted(events_of(times_s, rows))).onset_s > 24


# The end


@pytest.mark.parametrize("movement, reach_s", [(MICRO, 1.2), (LONG, 2.4)])
@pytest.mark.parametrize("reason", [None, "tracking_lost"])
def test_what_is_open_is_decided_at_the_end_once(movement, reach_s, reason):
    last = round((movement.offset_s + reach_s) * 30)
    rows = face_rows(TIMES_S, [movement])
    kinds = {"micro", "macro"}
    for count in range(round(movement.offset_s * 30) + 3, last, 5):
        events = apart(about(events_of(TIMES_S[:count], rows[:count], reason=reason), movement))
        # Of a long one there is a short candidate too, of its middle.
        event = max(events, key=lambda event: event.duration_s)
        assert len(events) == (1 if movement is MICRO else 2) and len(accepted(events)) <= 1
        kinds &= {event.kind}
        assert event.offset_s <= TIMES_S[count - 1]
        assert_timed(event, movement, 0.12)
        known_s = TIMES_S[count - 1] - event.offset_s
        if reason is None or known_s > 0.61:
            assert event.rejected is None
        elif known_s < 0.59:
            assert event.rejected == reason
    assert len(kinds) == 1


def test_an_end_on_the_way_up_is_no_event():
    rows = face_rows(TIMES_S, [MICRO])
    for count in range(145, round(MICRO.apex_s * 30) + 1):
        assert events_of(TIMES_S[:count], rows[:count]) == []


def test_what_is_not_known_is_not_taken_for_quiet():
    """The face is on its way when the video ends; it did not stop there."""
    rows = face_rows(TIMES_S, [MICRO, Movement(5.36, 5.48, 5.6, 2.0, MOUTH)])
    assert {event.rejected for event in events_of(TIMES_S[:165], rows[:165])} == {"speech"}


def test_what_was_decided_is_not_decided_again_at_the_end():
    rows = face_rows(TIMES_S, [MICRO])
    for count in range(183, 212, 3):
        detector = EventDetector(CLASSES, 30.0, settings=UNSURE)
        before = step_all(detector, TIMES_S[:count], rows[:count])
        assert len(apart(before)) + len(apart(detector.finish("tracking_lost"))) == 1


def test_an_end_without_a_beginning_is_nothing():
    detector = EventDetector(CLASSES, 30.0, settings=UNSURE)
    assert detector.finish() == detector.finish("face_turned") == ()
    detector.step(motion_of(0.0, face_rows(grid(1 / 30))[0]), None)
    assert detector.finish("tracking_lost") == ()


@pytest.mark.parametrize("ended", [lambda d: d.reset(), lambda d: d.finish(), lambda d: d.finish("tracking_lost")])
def test_after_an_end_it_is_as_new(ended):
    """Longer than its memory, noisier in another light, with events; the next face moves at once."""
    times_s = grid(25.0)
    movements = [
        Movement(1.4, 1.55, 1.75),
        MICRO,
        LONG.later(3.0),
        *talking(12.0, 2.0),
        MICRO.later(15.0, regions=LIDS),
    ]
    rows = face_rows(times_s, [*movements, MICRO.later(17.2)], seed=4)
    thresholds = EventSettings(calibration_s=0.0)
    fresh = events_of(times_s, rows, detector=EventDetector(CLASSES, 30.0, settings=thresholds))
    assert {event.rejected for event in fresh} >= {None, "blink", "speech"}
    assert fresh[0].onset_s < 2
    used = EventDetector(CLASSES, 30.0, settings=thresholds)
    before = face_rows(times_s, [Movement(s, s + 0.2, s + 0.4, 9.0) for s in (1.4, 5.0, 24.5)], noise_px=0.6, seed=5)
    before[:, LIGHT] = 20.0
    assert accepted(step_all(used, times_s, before, (0.7, 0.1, 0.1, 0.1)))
    ended(used)
    assert events_of(times_s, rows, detector=used) == fresh


def test_the_next_face_may_move_at_once():
    rows = face_rows(TIMES_S, [Movement(0.6, 0.75, 0.95)])
    detector = EventDetector(CLASSES, 30.0, settings=EventSettings(noise_factor=0.5))
    first = events_of(TIMES_S, rows, detector=detector)
    assert first[0].onset_s < 1
    assert events_of(TIMES_S, rows, detector=detector) == first


def test_it_sees_the_same_wherever_it_is_in_its_memory():
    times_s = grid(60.0)
    movements = [Movement(s, s + 0.15, s + 0.35) for s in np.arange(5, 59, 2.9)]
    events = accepted(events_of(times_s, face_rows(times_s, movements, noise_px=0.0)))
    assert len(events) == len(movements)
    for event, movement in zip(events, movements, strict=True):
        assert_timed(event, movement)


# Frame rates


@pytest.mark.parametrize("jitter", [0.0, 0.3])
@pytest.mark.parametrize("fps", [15, 30, 60, 120])
def test_the_same_performance_gives_the_same_events_at_any_rate(fps, jitter):
    movements = [
        Movement(5.02, 5.17, 5.37, 1.5, BROWS),
        Movement(9.11, 9.33, 9.52, 2.0, MOUTH),
        Movement(13.49, 13.62, 13.84, 1.2, ("left mouth corner",)),
        Movement(18.23, 18.36, 18.51, 2.5, LIDS),
        Movement(22.0, 22.5, 23.0, 2.5, MOUTH),
    ]
    rng = np.random.default_rng(fps)
    taken_s = np.arange(round(28 * fps)) / fps
    taken_s[1:] += rng.uniform(-jitter, jitter, len(taken_s) - 1) / fps
    rows = face_rows(taken_s, movements, noise_px=0.01)
    resampler = TimeResampler(30.0)
    on_grid = np.array(
        [row for time_s, taken in zip(taken_s, rows, strict=True) for row in resampler.step(taken, time_s)]
    )
    events = events_of(np.arange(len(on_grid)) / 30, on_grid)
    events = [event for event in apart(events) if event.rejected != "not_brief"]
    assert [(e.kind, e.rejected) for e in events] == [("micro", None)] * 3 + [("micro", "blink"), ("macro", None)]
    for event, movement in zip(events[:3], movements[:3], strict=True):
        assert (event.onset_s, event.apex_s) == pytest.approx((movement.onset_s, movement.apex_s), abs=0.04)


# Whatever comes


@st.composite
def faces(draw: st.DrawFn) -> tuple[float, np.ndarray, np.ndarray, list[np.ndarray | None]]:
    """(fps, times, rows, answers): smooth movements and arbitrary values of any size, with answers missing."""
    fps = draw(st.sampled_from([5.0, 15.0, 25.0, 30.0, 50.0]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    times_s = draw(st.sampled_from([0.0, 3e4])) + grid(rng.uniform(0, 9), fps)
    starts = rng.uniform(0.2, 9, draw(st.integers(0, 12)))
    movements = [
        Movement(
            s, s + rise, s + rise + fall, size, tuple(rng.choice(list(REGIONS), rng.integers(1, 6))), rng.random() < 0.9
        )
        for s, rise, fall, size in zip(
            starts, *rng.uniform(0.02, 0.6, (2, len(starts))), rng.lognormal(0.5, 1, len(starts)), strict=True
        )
    ]
    rows = face_rows(
        times_s - times_s[0] if len(times_s) else times_s, movements, draw(st.sampled_from([0.0, 0.02, 0.5]))
    )
    wild = rng.random(rows.shape) < draw(st.sampled_from([0.0, 0.0, 0.001, 0.05]))
    rows[wild] = rng.choice([-1e6, -1.0, 0.0, 1e-30, 300.0, 1e6], wild.sum())
    answers = [None if rng.random() < 0.2 else rng.dirichlet((0.5, 0.2, 0.5, 0.5)).astype(np.float32) for _ in times_s]
    return fps, times_s, rows, answers


EAGER = EventSettings(min_contrast=0.0, calibration_s=0.5, refractory_s=0.0, blink_ratio=3.0, rival_s=0.1)


@settings(max_examples=60, deadline=None)
@given(faces(), st.sampled_from([EventSettings(), EAGER]), st.sampled_from([None, "tracking_lost"]))
def test_whatever_comes_events_make_sense(face, thresholds, reason):
    fps, times_s, rows, answers = face
    detector = EventDetector(CLASSES, fps, track=3, settings=thresholds)
    events: list[Event] = []
    for time_s, row, answer in zip(times_s, rows, answers, strict=True):
        events += detector.step(motion_of(time_s, row), answer)
    events += detector.finish(reason)
    for event in events:
        assert event.track == 3 and event.label in CLASSES and event.label != "neutral"
        assert times_s[0] <= event.onset_s <= event.apex_s <= event.offset_s <= times_s[-1]
        assert 0 <= event.confidence <= 1 and math.isfinite(event.peak_px)
        assert event.duration_s <= 0.5 + 1e-9 if event.kind == "micro" else event.duration_s > 0.5
        assert (event.probability is None) == (event.kind == "macro") and all(
            map(math.isfinite, event.evidence.values())
        )
    counted = sorted(accepted(events), key=lambda event: event.onset_s)
    for event in counted:
        assert event.onset_s - times_s[0] >= thresholds.calibration_s
    for earlier, later in pairwise(counted):
        assert later.onset_s >= earlier.offset_s + thresholds.refractory_s


# What cannot be


def test_refuses_what_is_no_motion():
    detector, row = EventDetector(CLASSES, 30.0, settings=UNSURE), face_rows(grid(1 / 30))[0]
    detector.step(motion_of(1.0, row), None)
    for time_s in (1.0, 0.5, math.nan):
        with pytest.raises(ValueError, match=r"timestamps: expected more than 1\.0000 s, found"):
            detector.step(motion_of(time_s, row), None)
    for value in (np.nan, np.inf):
        broken = row.copy()
        broken[4] = value
        with pytest.raises(ValueError, match=f"motion: expected finite values, found {value}"):
            detector.step(motion_of(2.0, broken), None)
    # What was refused left no trace.
    assert detector.step(motion_of(1.1, row), None) == ()


@pytest.mark.parametrize(
    "change, message",
    [
        ({"min_peak_px": 0.0}, "min_peak_px: expected a finite number above 0, found 0"),
        ({"max_head_px_s": math.inf}, "max_head_px_s: expected a finite number above 0, found inf"),
        ({"quiet_lag_s": math.nan}, "quiet_lag_s: expected a finite number above 0, found nan"),
        ({"refractory_s": -0.1}, "refractory_s: expected a finite number of 0 or more, found -0.1"),
        ({"min_contrast": math.nan}, "min_contrast: expected a finite number of 0 or more, found nan"),
        ({"step_share": 1.5}, "step_share: expected a share from 0 to 1, found 1.5"),
        ({"step_share": 0.0}, "step_share: expected a share above 0, found 0"),
        ({"rival_s": 0.0}, "rival_s: expected a finite number above 0, found 0"),
        ({"half_widths_s": ()}, r"half_widths_s: expected times above 0, found \(\)"),
        ({"macro_half_widths_s": (0.5, 0.0)}, r"macro_half_widths_s: expected times above 0, found \(0.5, 0.0\)"),
        ({"answer_s": (0.5, 0.1)}, r"answer_s: expected two growing times up to decide_s, 0.9, found \(0.5, 0.1\)"),
        ({"answer_s": (0.1, 1.5)}, r"answer_s: expected two growing times up to decide_s, 0.9, found \(0.1, 1.5\)"),
        ({"quiet_percentiles": (90.0, 101.0)}, r"quiet_percentiles: expected two numbers from 0 to 100, found \(90"),
    ],
)
def test_settings_that_cannot_be(change, message):
    with pytest.raises(ValueError, match=message):
        EventSettings(**change)


def test_settings_at_their_limits():
    thresholds = EventSettings(calibration_s=0.0, refractory_s=0.0, step_share=1e-6, edge_share=1.0)
    events = events_of(TIMES_S, face_rows(TIMES_S, [MICRO]), detector=EventDetector(CLASSES, 30.0, settings=thresholds))
    assert len(about(events, MICRO)) >= 1
