"""What is known of a movement, what is made of it, and how small a movement would be noticed."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.decision import CurvePoint
from model.errors import ContractError
from model.types import Event
from stream.events.detector import EventDetector
from stream.events.evidence import REASONS
from stream.events.judgement import Judge, decision_by_hand
from stream.events.motion import REGIONS
from tests.helpers.movements import (
    CLASSES,
    LIDS,
    MICRO,
    SURPRISED,
    TIMES_S,
    Movement,
    accepted,
    apart,
    events_of,
    face_rows,
    grid,
    only,
    step_all,
    talking,
)

BY_HAND = decision_by_hand()
CURVE = (CurvePoint(0.01, 10.0, 0.9), CurvePoint(0.5, 2.0, 0.7), CurvePoint(0.97, 0.0, 0.1))
GROWING = ("size", "contrast before", "contrast after", "own contrast before", "own contrast after")
"""Those that grow as the logarithm of a movement's size, everything else the same; the floor and what is usual learn a little from the
movement itself."""
USUAL = dict.fromkeys(BY_HAND.features, 0.0) | {
    "contrast before": 1.5,
    "contrast after": 1.5,
    "over noise": 2.5,
    "expression": 2.0,
    "edge": 0.08,
}


def judging(judge: Judge) -> EventDetector:
    return EventDetector(CLASSES, 30.0, judge=judge)


# Evidence


def evidence_of(*movements: Movement, noise_px: float = 0.02) -> dict[str, float]:
    return dict(only(events_of(TIMES_S, face_rows(TIMES_S, movements, noise_px))).evidence)


def test_there_is_a_reason_for_every_number():
    found = evidence_of(MICRO)
    assert list(found) == list(REASONS)
    assert all(map(math.isfinite, found.values()))


def test_twice_as_large_is_as_far_whatever_it_is_twice_of():
    small, large = (evidence_of(replace(MICRO, size_px=size_px)) for size_px in (2.0, 4.0))
    # The floor, and what is usual, learn a little from the movement itself.
    learned = {"over noise", "over usual"}
    for name in GROWING:
        assert large[name] - small[name] == pytest.approx(math.log(2), abs=0.1), name
    assert all(large[name] > small[name] for name in learned)


def test_of_two_sides_that_move_alike():
    both, one = evidence_of(MICRO), evidence_of(replace(MICRO, regions=("left inner brow",)))
    assert both["symmetry"] > 0.9 > 0.3 > one["symmetry"]
    assert both["brows"] > 2 * both["cheeks"]


def test_a_head_that_is_not_followed_explains_all_that_moves():
    assert evidence_of(MICRO)["rigid share"] < 0.7
    assert evidence_of(replace(MICRO, regions=tuple(REGIONS)))["rigid share"] > 0.95


def test_words_before_and_after_are_known_as_such():
    times_s = grid(14.0)
    events = apart(events_of(times_s, face_rows(times_s, talking(5.0, 6.0))))
    middle = [event.evidence for event in events if 7 < event.apex_s < 10]
    alone = evidence_of(MICRO)
    assert middle
    for found in middle:
        assert max(found["contrast before"], found["contrast after"]) < alone["contrast before"] - 1
        assert found["crowding"] > alone["crowding"]


def test_what_the_model_says_and_how_that_changed():
    found = evidence_of(MICRO)
    assert found["expression"] == pytest.approx(math.log(9), abs=1e-3) and found["expression risen"] == pytest.approx(0)
    assert found["class"] == pytest.approx(0.7) and found["unanswered"] == 0
    silent = only(events_of(TIMES_S, face_rows(TIMES_S, [MICRO]), None)).evidence
    assert (silent["unanswered"], silent["class"]) == (1, 0)


# Judgement


@pytest.mark.parametrize("reason", ["too_small", "speech", "not_brief", "blink", "head_motion", "exposure", "blur"])
def test_the_reason_is_what_spoke_most_against_it(reason):
    against = {
        "too_small": {"over noise": 0.0},
        "speech": {"contrast before": 0.0, "contrast after": 0.0},
        "not_brief": {"edge": 0.5},
        "blink": {"lids alone": 1.0, "contrast before": 0.0, "contrast after": 0.0},
        "head_motion": {"head speed": 5.0, "contrast before": 0.0, "contrast after": 0.0},
        "exposure": {"exposure": 4.0},
        "blur": {"sharpness": -1.0},
    }
    judge = Judge(None)
    assert judge.rejection(USUAL, judge.probability(USUAL)) is None
    found = USUAL | against[reason]
    assert judge.rejection(found, judge.probability(found)) == reason


def test_the_sensitivity_moves_what_counts_and_nothing_else():
    rows = face_rows(TIMES_S, [replace(MICRO, size_px=1.5)])
    decision = replace(BY_HAND, curve=CURVE)
    some: list[list[Event]] = []
    for sensitivity, least in ((0.0, 0.97), (2.0, 0.5), (10.0, 0.01)):
        judge = Judge(decision, sensitivity)
        assert judge.least_probability == least
        # An answer that leaves some doubt.
        some.append(events_of(TIMES_S, rows, (0.3, 0.5, 0.1, 0.1), detector=judging(judge)))
    assert [[event.rejected for event in events] for events in some] == [["no_expression"], ["no_expression"], [None]]
    assert len({only(events).probability for events in some}) == 1
    assert [replace(only(events), rejected=None) for events in some] == [only(some[2])] * 3


def test_a_decision_about_other_numbers_is_refused():
    names = BY_HAND.features[::-1]
    with pytest.raises(ContractError, match=r"decision\.features"):
        Judge(replace(BY_HAND, features=names))


def test_the_rank_of_equally_likely_ones_is_how_much_they_stand_out():
    brow, chin = replace(MICRO, size_px=1.0), replace(MICRO.later(0.2), size_px=2.0, regions=("chin",))
    events = events_of(TIMES_S, face_rows(TIMES_S, [brow, chin]))
    assert only(events).apex_s == pytest.approx(chin.apex_s, abs=0.03)


# What would be noticed

LOGS = st.floats(0.01, 3.0)


@given(LOGS, LOGS, st.floats(1.0, 4.0))
def test_noise_and_restlessness_hide_small_movements(noise_px, restless_px, times):
    judge = Judge(None)
    before = judge.smallest_px(noise_px, restless_px, 2.0)
    for more in (
        judge.smallest_px(times * noise_px, restless_px, 2.0),
        judge.smallest_px(noise_px, times * restless_px, 2.0),
    ):
        assert more is None or (before is not None and more >= before)


def test_a_head_that_moves_fast_hides_more_and_beyond_all_sizes_nothing_is_noticed():
    still, fast = (Judge(None).smallest_px(0.05, 0.1, speed) for speed in (2.0, 100.0))
    assert still is not None and fast is not None and fast > still
    assert Judge(None).smallest_px(3.0, 3.0, 2.0) is None


def test_what_is_noticed_is_what_reaches_the_probability_asked_for():
    decision = replace(BY_HAND, noticed=(0.0, 2.0, -1.0, 0.0, 0.0))
    # logit = 2 ln(size) - ln(noise): at a probability of one half the size is the root of the noise.
    assert decision.smallest_px(0.25, 1.0, 0.0, 0.5) == pytest.approx(0.5)
    assert decision.smallest_px(0.25, 1.0, 0.0, 0.9) == pytest.approx(1.5)
    assert Judge(replace(decision, noticed=())).smallest_px(0.25, 1.0, 0.0) is None


def watched(noise_px: float, seconds: float = 9.0) -> EventDetector:
    times_s = grid(seconds)
    detector = EventDetector(CLASSES, 30.0)
    step_all(detector, times_s, face_rows(times_s, noise_px=noise_px))
    return detector


def test_while_it_calibrates_nothing_is_promised():
    detector, seen = EventDetector(CLASSES, 30.0), []
    rows = face_rows(TIMES_S)
    for number in range(len(TIMES_S)):
        step_all(detector, TIMES_S[number : number + 1], rows[number : number + 1])
        seen.append((detector.smallest_px is not None, detector.watchable))
    calibrated = [time_s >= 3.0 - 1e-9 for time_s in TIMES_S]
    assert seen == [(there, there) for there in calibrated]
    detector.reset()
    assert detector.smallest_px is None and not detector.watchable


def test_the_noisier_the_larger():
    sizes = [watched(noise_px).smallest_px for noise_px in (0.01, 0.1, 0.2)]
    assert None not in sizes and sizes == sorted(sizes) and sizes[0] < sizes[2]
    assert watched(0.01).watchable and not watched(0.8).watchable


def test_words_are_not_watchable():
    times_s = grid(9.0)
    detector = EventDetector(CLASSES, 30.0)
    step_all(detector, times_s, face_rows(times_s, talking(5.0, 4.0)))
    assert not detector.watchable


@pytest.mark.parametrize("noise_px", [0.02, 0.1, 0.2])
def test_what_is_smaller_is_not_noticed_and_what_is_larger_is(noise_px):
    smallest_px = watched(noise_px).smallest_px
    assert smallest_px is not None
    for times, found in ((0.5, 0), (2.0, 1)):
        movement = replace(MICRO.later(3.0), size_px=times * smallest_px)
        events = events_of(grid(12.0), face_rows(grid(12.0), [movement], noise_px), SURPRISED)
        assert len(accepted(events)) == found, times


def test_only_lids_are_no_expression_at_any_size():
    for size_px in (1.0, 4.0, 16.0):
        lids = replace(MICRO, regions=LIDS, size_px=size_px)
        assert only(events_of(TIMES_S, face_rows(TIMES_S, [lids]))).rejected == "blink"
