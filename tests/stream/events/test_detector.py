"""The event detector: what counts, when it was, and why the rest does not count."""

from dataclasses import replace

import numpy as np
import pytest

from model.contract import ActionUnits
from stream.events.detector import EventDetector
from stream.events.settings import EventSettings
from tests.helpers.movements import (
    BROWS,
    CLASSES,
    HEAD,
    LIDS,
    LIGHT,
    LONG,
    MICRO,
    MOUTH,
    SHARPNESS,
    SURPRISED,
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

# What counts


@pytest.mark.parametrize("regions", [BROWS, MOUTH, ("left mouth corner",), ("left cheek", "right cheek")])
@pytest.mark.parametrize("movement", [MICRO, Movement(5.01, 5.11, 5.21), Movement(4.98, 5.22, 5.5)])
def test_a_micro_expression_is_one_event(movement, regions):
    movement = replace(movement, regions=regions)
    event = only(events_of(TIMES_S, face_rows(TIMES_S, [movement])))
    assert (event.rejected, event.kind, event.label) == (None, "micro", "surprise")
    assert_timed(event, movement, 0.06)
    assert event.apex_s == pytest.approx(movement.apex_s, abs=0.02)
    assert event.peak_px == pytest.approx(1.5, abs=0.15)
    assert 0.6 < event.confidence < 0.69


@pytest.mark.parametrize("apex_s", [5.14, 5.15, 5.16])
def test_times_are_finer_than_the_grid(apex_s):
    event = only(events_of(TIMES_S, face_rows(TIMES_S, [Movement(5.0, apex_s, 5.3)], noise_px=0.002)))
    assert event.apex_s == pytest.approx(apex_s, abs=0.006)


def test_of_equal_peaks_the_first_counts():
    rows = face_rows(TIMES_S, noise_px=0.0)
    rows[149:153, 1] = (0.5, 1.0, 1.0, 0.5)
    assert only(events_of(TIMES_S, rows)).rejected is None


def test_confidence_falls_with_what_else_the_face_does():
    fidgets = [Movement(s, s + 0.3, s + 0.9, 0.4, back=False, regions=("chin",)) for s in (4.2, 5.6)]
    quiet, busy = (only(events_of(TIMES_S, face_rows(TIMES_S, [MICRO, *also]))) for also in ([], fidgets))
    assert (quiet.label, quiet.rejected) == (busy.label, busy.rejected)
    assert busy.confidence < 0.95 * quiet.confidence


def test_what_stays_moved_does_not_blur_the_times():
    """A new pose of the mouth at the same time, and lids that take longer."""
    pose = Movement(5.2, 5.4, 9.0, 2.0, MOUTH, back=False)
    lids = Movement(4.8, 5.15, 5.6, 1.5, LIDS)
    detector = EventDetector(CLASSES, 30.0, settings=EventSettings(min_contrast=0.0))
    events = events_of(TIMES_S, face_rows(TIMES_S, [MICRO, pose, lids]), detector=detector)
    assert_timed(only(accepted(events)), MICRO)


@pytest.mark.parametrize("size_px, found", [(0.12, 0), (0.4, 1), (40.0, 1)])
def test_it_has_to_be_long_enough(size_px, found):
    rows = face_rows(TIMES_S, [replace(MICRO, size_px=size_px)], noise_px=0.01)
    assert len(accepted(events_of(TIMES_S, rows))) == found


def test_the_label_is_the_likeliest_class_after_the_apex():
    detector, found = EventDetector(CLASSES, 30.0, track=7, settings=UNSURE), []
    for time_s, row in zip(TIMES_S, face_rows(TIMES_S, [MICRO]), strict=True):
        after = MICRO.apex_s + 0.1 < time_s < MICRO.apex_s + 0.5
        answer = (0.1, 0.2, 0.6, 0.1) if after else (0.9, 0.02, 0.05, 0.03)
        found += detector.step(motion_of(time_s, row), np.array(answer, np.float32))
    event = only(found)
    assert (event.label, event.track) == ("positive", 7)
    assert 0.5 < event.confidence < 0.6


def test_action_units_are_those_of_the_frames_that_decide_the_class():
    """A side counts from the threshold on; a unit of both sides has the mean of both."""
    units = ActionUnits((4, 12, 25), threshold=0.4)
    detector, found = EventDetector(CLASSES, 30.0, settings=UNSURE, units=units), []
    for time_s, row in zip(TIMES_S, face_rows(TIMES_S, [MICRO]), strict=True):
        after = MICRO.apex_s + 0.1 < time_s < MICRO.apex_s + 0.5
        told = (0.9, 0.7, 0.6, 0.39, 0.1, 0.2) if after else (0.0, 0.0, 0.0, 0.0, 1.0, 1.0)
        found += detector.step(motion_of(time_s, row), np.array(SURPRISED, np.float32), np.array(told, np.float32))
    event = only(found)
    assert event.action_units == ("4", "L12")
    assert event.action_unit_confidences == pytest.approx((0.8, 0.6), abs=1e-6)
    assert event.to_dict()["action_units"] == ["4", "L12"]
    assert event.to_dict()["action_unit_confidences"] == [0.8, 0.6]


def test_without_an_answer_no_action_unit_is_told():
    rows = face_rows(TIMES_S, [MICRO])
    detector = EventDetector(CLASSES, 30.0, settings=UNSURE, units=ActionUnits((4,)))
    found = [event for t, row in zip(TIMES_S, rows, strict=True) for event in detector.step(motion_of(t, row), None)]
    assert only(found).action_units == () and "action_units" not in only(found).to_dict()


def test_once_what_came_after_is_known_it_is_told():
    detector, rows = EventDetector(CLASSES, 30.0, settings=UNSURE), face_rows(TIMES_S, [MICRO])
    decided_s = [
        float(time_s)
        for time_s, row in zip(TIMES_S, rows, strict=True)
        if detector.step(motion_of(time_s, row), np.array(SURPRISED, np.float32))
    ]
    assert decided_s == [pytest.approx(MICRO.apex_s + 1.43, abs=0.07)]
    assert detector.finish() == ()


@pytest.mark.parametrize(
    "rest",
    [
        [],
        [Movement(5.0, 5.1, 6.0, back=False)],
        [Movement(5.0, 5.5, 6.0, size_px=6.0, back=False)],
        [Movement(2.0, 8.9, 9.0, size_px=4.0, back=False)],
        [Movement(5.0, 5.06, 6.0, regions=LIDS, back=False), Movement(6.5, 6.6, 7.0, regions=LIDS, back=False)],
    ],
    ids=["rest", "step", "slow step", "drift", "gaze"],
)
def test_what_does_not_come_back_is_nothing(rest):
    assert events_of(TIMES_S, face_rows(TIMES_S, rest)) == []


def test_a_long_movement_has_to_be_longer():
    event = only(events_of(TIMES_S, face_rows(TIMES_S, [replace(LONG, size_px=0.7)])))
    assert (event.kind, event.rejected) == ("micro", "not_brief")


def test_longer_than_half_a_second_is_macro():
    events = events_of(TIMES_S, face_rows(TIMES_S, [LONG]))
    assert [event.rejected for event in events if event.kind == "micro"] == ["not_brief"]
    event = only(accepted(events))
    assert (event.kind, event.label) == ("macro", "surprise")
    assert_timed(event, LONG, 0.12)
    assert event.duration_s > 0.5


@pytest.mark.parametrize("duration_s", np.arange(0.4, 1.0, 0.05))
def test_whatever_its_length_it_is_one_or_the_other(duration_s):
    movement = Movement(5.0, 5.0 + 0.4 * duration_s, 5.0 + duration_s)
    events = events_of(TIMES_S, face_rows(TIMES_S, [movement]))
    event = only(accepted(events))
    # The ease at either end cannot be seen: a movement seems shorter than it is.
    assert event.kind == ("micro" if duration_s < 0.68 else "macro")
    assert {e.rejected for e in events if e is not event} <= {"overlap", "not_brief"}


@pytest.mark.parametrize("fps", [25.0, 50.0, 60.0])
def test_grids_of_other_rates(fps):
    times_s = grid(16.0, fps)
    movements = [MICRO, LONG.later(5.0)]
    events = events_of(times_s, face_rows(times_s, movements), detector=EventDetector(CLASSES, fps, settings=UNSURE))
    micro, macro = accepted(events)
    assert (micro.kind, macro.kind) == ("micro", "macro")
    assert_timed(micro, movements[0])
    assert_timed(macro, movements[1], 0.12)


# Why others do not count


def test_a_blink_is_rejected_and_timed():
    blink = Movement(5.0, 5.1, 5.25, size_px=2.0, regions=LIDS)
    event = only(events_of(TIMES_S, face_rows(TIMES_S, [blink])))
    assert (event.kind, event.rejected) == ("micro", "blink")
    assert_timed(event, blink, 0.035)


def test_a_blink_that_pulls_the_skin_along_is_rejected():
    blink = Movement(5.0, 5.1, 5.25, size_px=3.0, regions=LIDS)
    brows = replace(blink, size_px=1.0, regions=BROWS)
    assert only(events_of(TIMES_S, face_rows(TIMES_S, [blink, brows]))).rejected == "blink"


@pytest.mark.parametrize("earlier_s", [0.0, 0.05])
def test_lids_may_move_with_an_expression(earlier_s):
    lids = MICRO.later(-earlier_s, regions=LIDS, size_px=1.6)
    assert only(events_of(TIMES_S, face_rows(TIMES_S, [MICRO, lids]))).rejected is None


def test_rest_between_two_movements_is_no_long_one():
    movements = [MICRO, MICRO.later(2.5), MICRO.later(5.0)]
    events = events_of(grid(14.0), face_rows(grid(14.0), movements))
    assert [event.kind for event in accepted(events)] == ["micro"] * 3
    assert {event.rejected for event in events if event.kind == "macro"} <= {"speech"}


@pytest.mark.parametrize("movement", [MICRO, LONG])
@pytest.mark.parametrize(
    "column, value, reason", [(HEAD, 60.0, "head_motion"), (LIGHT, 135.0, "exposure"), (SHARPNESS, 4.0, "blur")]
)
def test_what_else_goes_on_is_the_reason(movement, column, value, reason):
    rows = face_rows(TIMES_S, [movement])
    rows[round(movement.apex_s * 30) :, column] = value
    events = events_of(TIMES_S, rows)
    assert {event.rejected for event in events} == {reason}
    assert_timed(events[-1], movement, 0.12)


def test_light_that_changes_slowly_is_no_exposure_step():
    rows = face_rows(TIMES_S, [MICRO])
    rows[:, LIGHT] += 20 * TIMES_S
    assert only(events_of(TIMES_S, rows)).rejected is None


def test_a_light_step_of_a_slow_source_is_seen_in_full():
    """At 15 fps the grid puts a frame halfway up the step."""
    rows = face_rows(TIMES_S, [MICRO])
    rows[154, LIGHT] += 4.0
    rows[155:, LIGHT] += 8.0
    assert only(events_of(TIMES_S, rows)).rejected == "exposure"


def test_speech_is_rejected_and_what_comes_after_is_not():
    times_s, micro = grid(20.0), MICRO.later(10.0)
    events = events_of(times_s, face_rows(times_s, [*talking(5.0, 6.0), micro]))
    during = apart([event for event in events if event.apex_s < 12])
    assert len(during) >= 5
    assert {event.rejected for event in during} == {"speech"}
    assert_timed(only(accepted(events)), micro)


def test_the_first_and_last_words_are_speech_too():
    for lone in (talking(5.0, 1.0), talking(6.0, 3.0)):
        assert accepted(events_of(grid(12.0), face_rows(grid(12.0), lone))) == []


def test_a_neutral_answer_is_no_expression():
    rows = face_rows(TIMES_S, [MICRO])
    assert only(events_of(TIMES_S, rows, (0.2, 0.55, 0.2, 0.05))).rejected == "no_expression"
    assert only(events_of(TIMES_S, rows, (0.8, 0.1, 0.05, 0.05))).rejected is None


def test_the_less_the_model_is_sure_the_less_likely():
    answers = [(0.8, 0.1, 0.05, 0.05), (0.2, 0.55, 0.2, 0.05)]
    sure, unsure = (only(events_of(TIMES_S, face_rows(TIMES_S, [MICRO]), answer)) for answer in answers)
    assert sure.probability is not None and unsure.probability is not None
    assert unsure.probability < 0.5 < sure.probability and unsure.evidence["class"] < sure.evidence["class"]


def test_without_an_answer_it_is_no_expression():
    event = only(events_of(TIMES_S, face_rows(TIMES_S, [MICRO]), None))
    assert (event.rejected, event.confidence) == ("no_expression", 0.0)


def test_a_model_without_a_neutral_class_needs_motion():
    certain, names = (0.98, 0.01, 0.01), ("negative", "positive", "surprise")
    moving = events_of(TIMES_S, face_rows(TIMES_S, [MICRO]), certain, detector=EventDetector(names, 30.0))
    assert (only(moving).label, only(moving).rejected) == ("negative", None)
    assert events_of(TIMES_S, face_rows(TIMES_S), certain, detector=EventDetector(names, 30.0)) == []


@pytest.mark.parametrize("gap_s, reasons", [(0.1, ["overlap", None]), (0.5, [None, None])])
def test_two_events_are_apart(gap_s, reasons):
    """What follows at once makes the first look like speech: the second is the likelier one."""
    first = Movement(5.0, 5.08, 5.16)
    second = first.later(0.16 + gap_s)
    detector = EventDetector(CLASSES, 30.0, settings=EventSettings(min_contrast=0.0))
    events = events_of(TIMES_S, face_rows(TIMES_S, [first, second]), detector=detector)
    near = [min(events, key=lambda e: abs(e.apex_s - movement.apex_s)) for movement in (first, second)]
    assert [event.rejected for event in near] == reasons
    assert accepted(events) == accepted(near)
    for event, movement in zip(near, (first, second), strict=True):
        assert_timed(event, movement)


def test_the_side_of_something_larger_does_not_count():
    """Though it came first."""
    small, large = Movement(5.0, 5.1, 5.5, 1.0, ("chin",)), Movement(5.3, 5.38, 5.46, 4.0, ("left inner brow",))
    first, second = events_of(TIMES_S, face_rows(TIMES_S, [small, large]))
    assert (first.rejected, second.rejected) == ("overlap", None)
    assert_timed(first, small, 0.06)
    assert_timed(second, large)


def test_a_short_movement_soon_after_a_long_one_counts_too():
    long, short = Movement(5.0, 5.5, 5.8), Movement(6.1, 6.18, 6.28, regions=("chin",))
    detector = EventDetector(CLASSES, 30.0, settings=EventSettings(min_contrast=0.0))
    events = accepted(events_of(TIMES_S, face_rows(TIMES_S, [long, short]), detector=detector))
    assert sorted(event.kind for event in events) == ["macro", "micro"]


def test_a_twitch_on_a_smile_is_one_event():
    smile, twitch = Movement(5.0, 6.0, 7.0, 3.0, MOUTH), Movement(6.45, 6.55, 6.65, 2.0, BROWS)
    events = events_of(grid(12.0), face_rows(grid(12.0), [smile, twitch]))
    assert only(accepted(events)).kind == "macro"
    (short,) = (e for e in events if (e.kind, e.rejected) == ("micro", "overlap"))
    assert_timed(short, twitch)


def test_a_twitch_after_the_smile_was_decided_is_no_second_event():
    """It is known later than the long movement, and lies in it."""
    smile, twitch = Movement(5.0, 5.6, 7.2, 4.0, MOUTH), Movement(6.75, 6.85, 6.95, 3.0, BROWS)
    detector = EventDetector(CLASSES, 30.0, settings=EventSettings(min_contrast=0.0))
    events = events_of(grid(12.0), face_rows(grid(12.0), [smile, twitch]), detector=detector)
    assert only(accepted(events)).kind == "macro"
    assert ("micro", "overlap") in {(e.kind, e.rejected) for e in events}


# Out of sight for a moment


def test_an_interruption_decides_what_is_open_and_keeps_the_calibration():
    detector = EventDetector(CLASSES, 30.0, settings=UNSURE)
    rows = face_rows(TIMES_S, [MICRO])
    lost_s = MICRO.offset_s + 0.1
    before = lost_s >= TIMES_S
    events = step_all(detector, TIMES_S[before], rows[before]) + list(detector.interrupt("tracking_lost"))
    assert only(about(events, MICRO)).rejected == "tracking_lost"
    assert detector.calibrated and detector.interrupt("tracking_lost") == ()
    # Back after two seconds: a movement counts as soon as it is known what was before it.
    later = Movement(11.0, 11.15, 11.35)
    times_s = lost_s + 2.0 + grid(8.0)
    found = step_all(detector, times_s, face_rows(times_s, [later], seed=1)) + list(detector.finish())
    assert_timed(only(accepted(found)), later)
    assert not detector.calibrated


def test_right_after_an_interruption_nothing_counts():
    detector = EventDetector(CLASSES, 30.0, settings=UNSURE)
    step_all(detector, TIMES_S, face_rows(TIMES_S))
    detector.interrupt("face_turned")
    early = Movement(10.6, 10.75, 10.95)
    times_s = 10.0 + grid(6.0)
    found = step_all(detector, times_s, face_rows(times_s, [early], seed=1)) + list(detector.finish())
    assert only(about(found, early)).rejected == "tracking_lost"


def test_the_noise_of_a_restless_face_is_known_after_an_interruption():
    """What is made up for the time after its last frame is no rest of it."""
    detector = EventDetector(CLASSES, 30.0, settings=UNSURE)
    step_all(detector, TIMES_S, face_rows(TIMES_S, noise_px=0.2))
    known_px = detector._noise.mean_px.copy()
    detector.interrupt("tracking_lost")
    np.testing.assert_array_equal(detector._noise.mean_px, known_px)
