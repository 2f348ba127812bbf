"""The source's clock: what is a gap, what is no time at all, and which frame rates are enough."""

import math
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stream.clock import RateSettings, SourceClock

GAP_S, SPAN_S = 0.25, 29 / 30
QUICK = settings(max_examples=40, deadline=None)


def times_s(fps: float, seconds: float = 2.0, jitter: float = 0.0, seed: int = 0) -> list[float]:
    count = int(seconds * fps)
    return list((np.arange(count) + np.random.default_rng(seed).uniform(-jitter, jitter, count)) / fps)


def clock_after(times: Iterable[float]) -> SourceClock:
    clock = SourceClock(GAP_S, SPAN_S)
    for time_s in times:
        clock.step(time_s)
    return clock


def verdicts(times: Iterable[float]) -> list[bool]:
    clock = SourceClock(GAP_S, SPAN_S)
    found = []
    for time_s in times:
        clock.step(time_s)
        found.append(clock.sufficient)
    return found


@QUICK
@given(fps=st.floats(15, 240), jitter=st.floats(0, 0.45), seed=st.integers(0, 99))
@example(fps=15.0, jitter=0.4453125, seed=32)
def test_fifteen_frames_a_second_and_more_are_enough_however_they_jitter(fps, jitter, seed):
    assert all(verdicts(times_s(fps, jitter=jitter, seed=seed)))


def test_frames_that_are_late_and_early_in_turns_are_enough():
    late_s = np.tile([0.0, 0.3], 20) / 15
    assert all(verdicts(np.arange(40) / 15 + late_s))


@QUICK
@given(fps=st.floats(0.2, 10.0), jitter=st.floats(0, 0.2), seed=st.integers(0, 99))
def test_ten_and_fewer_are_not(fps, jitter, seed):
    found = verdicts(times_s(fps, 30 / fps, jitter, seed))
    assert not any(found[10:])


@QUICK
@given(fps=st.floats(5, 240))
def test_the_rate_is_that_of_the_timestamps(fps):
    assert clock_after(times_s(fps)).rate_hz == pytest.approx(fps, rel=1e-6)


def test_the_rate_is_not_known_at_once():
    clock = clock_after(times_s(5)[:4])
    assert clock.rate_hz == 0.0 and clock.sufficient


def test_it_recovers_by_itself():
    slow = times_s(8, 2.0)
    fast = [slow[-1] + 1 / 30 + time_s for time_s in times_s(30, 2.0)]
    found = verdicts(slow + fast)
    assert not found[len(slow) - 1] and all(found[len(slow) + 30 :])


def test_one_hold_up_is_forgiven_and_two_a_second_are_not():
    steps = [1 / 30] * 60 + [0.24] + [1 / 30] * 60
    assert all(verdicts(np.cumsum(steps)))
    stalling = ([1 / 30] * 5 + [0.24]) * 12
    assert not any(verdicts(np.cumsum(stalling))[30:])


def test_a_gap_is_no_low_rate():
    before = times_s(30, 2.0)
    after = [before[-1] + 10 + time_s for time_s in times_s(30, 2.0)]
    assert all(verdicts(before + after))
    clock = clock_after(before + after)
    assert (clock.gaps, clock.repeated) == (1, 0)


def test_how_timestamps_follow():
    clock = SourceClock(GAP_S, SPAN_S)
    given_s = [5.0, 5.1, 5.1, 5.05, 5.2, 6.0, 1.0, 1.1, math.nan, 1.2]
    ticks = ["next", "next", "repeated", "repeated", "next", "gap", "gap", "next", "repeated", "next"]
    assert [clock.step(time_s) for time_s in given_s] == ticks
    assert (clock.gaps, clock.repeated) == (2, 3)
    clock.reset()
    assert (clock.gaps, clock.repeated, clock.step(0.0)) == (0, 0, "next")


@QUICK
@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=50))
def test_no_timestamps_break_it(given_s):
    clock = clock_after(given_s)
    assert clock.rate_hz >= 0 and clock.sufficient in (True, False)
    assert clock.gaps + clock.repeated <= max(len(given_s) - 1, 0)


def test_settings_are_checked():
    with pytest.raises(ValueError, match="min_rate_hz: expected more than 0, found 0"):
        RateSettings(min_rate_hz=0.0)
    with pytest.raises(ValueError, match="min_intervals: expected 4 or more, found 3"):
        RateSettings(min_intervals=3)
