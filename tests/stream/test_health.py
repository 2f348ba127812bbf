"""Stage times, rates and the numbers of the status line."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.health import Health, RateMeter, StageTimes


@given(times=st.lists(st.floats(0, 1e4), min_size=1, max_size=60), capacity=st.integers(1, 40))
def test_percentiles_are_those_of_the_last_times(times, capacity):
    stages = StageTimes(capacity)
    for ms in times:
        stages.add("align", ms)
    found = stages.percentiles()["align"]
    expected = np.percentile(times[-capacity:], (50, 95, 99))
    assert (found.p50_ms, found.p95_ms, found.p99_ms) == pytest.approx(tuple(expected))
    assert found.count == len(times)


def test_stages_keep_the_order_in_which_they_were_seen():
    stages = StageTimes()
    stages.add_all({"decode": 1.0, "align": 2.0})
    stages.add_all({"align": 4.0, "classify": 3.0})
    assert list(stages.percentiles()) == ["decode", "align", "classify"]
    assert stages.percentiles()["align"].p50_ms == 3.0
    stages.reset()
    assert stages.percentiles() == {}


@pytest.mark.parametrize("ms", [-0.1, math.nan, math.inf])
def test_refuses_impossible_times(ms):
    with pytest.raises(ValueError, match="'align': expected 0 ms or more"):
        StageTimes().add("align", ms)


@given(rate_hz=st.floats(2, 200), start_s=st.floats(0, 1e6), count=st.integers(2, 500))
def test_a_steady_rate_is_found(rate_hz, start_s, count):
    meter = RateMeter(span_s=2.0)
    for number in range(count):
        meter.tick(start_s + number / rate_hz)
    assert meter.rate_hz(start_s + (count - 1) / rate_hz) == pytest.approx(rate_hz, rel=1e-3)


def test_the_rate_is_the_mean_of_uneven_events():
    meter = RateMeter(span_s=10.0)
    for now_s in (0.0, 0.1, 0.2, 0.9, 1.0):
        meter.tick(now_s)
    assert meter.rate_hz(1.0) == pytest.approx(4.0)


@given(st.lists(st.integers(0, 40), max_size=80), st.integers(-5, 60))
def test_the_rate_is_that_of_the_events_in_the_span(steps, ahead):
    """Counted one by one; some events come at once, and some after the moment that is asked about."""
    meter, times = RateMeter(span_s=2.0), (np.cumsum(steps) / 16).tolist()
    for time_s in times:
        meter.tick(time_s)
    now_s = (times[-1] if times else 0.0) + ahead / 16
    inside = [time_s for time_s in times if now_s - 2.0 <= time_s <= now_s]
    if len(inside) < 2 or inside[-1] == inside[0]:
        assert meter.rate_hz(now_s) == 0.0
    else:
        count, took_s = len(inside) - 1, inside[-1] - inside[0]
        assert meter.rate_hz(now_s) == count / max(took_s, now_s - took_s / count - inside[0])


def test_the_rate_falls_as_soon_as_an_event_is_overdue_and_ends_at_zero():
    meter = RateMeter(span_s=2.0)
    for number in range(61):
        meter.tick(number / 30)
    rates = [meter.rate_hz(2.0 + wait_s) for wait_s in (0.0, 0.1, 0.5, 1.0, 1.5, 2.5)]
    assert rates[0] == pytest.approx(30)
    assert all(later < earlier for earlier, later in pairwise(rates))
    assert rates[-1] == 0


def test_old_events_leave_the_span_and_memory_is_bounded():
    meter = RateMeter(span_s=1.0, capacity=50)
    for number in range(100):
        meter.tick(number / 100)
    for number in range(20):
        meter.tick(10 + number / 10)
    assert meter.rate_hz(11.9) == pytest.approx(10)
    for number in range(10_000):
        meter.tick(20 + number / 1000)
    assert meter.rate_hz(29.999) == pytest.approx(1000, rel=1e-3)
    meter.reset()
    assert meter.rate_hz(30.0) == 0


@pytest.mark.parametrize("span_s", [0, -1, math.nan, math.inf])
def test_refuses_an_impossible_span(span_s):
    with pytest.raises(ValueError, match="span_s: expected a finite number above 0"):
        RateMeter(span_s)


def test_health_adds_up_what_was_dropped():
    health = Health("camera 0", "CPU", "window", dropped={"late": 2, "decoder": 3})
    assert health.dropped_total == 5
    assert health.latency_ms is None


@pytest.mark.parametrize(
    "field, value",
    [("fps_read", math.nan), ("fps_classified", -1.0), ("latency_ms", math.inf), ("frames", -1), ("frames_total", -5)],
)
def test_health_refuses_impossible_numbers(field, value):
    with pytest.raises(ValueError, match=f"{field}: expected 0 or more, found"):
        Health("camera 0", "CPU", "window", **{field: value})


@settings(max_examples=20)
@given(count=st.integers(-5, -1))
def test_health_refuses_negative_drops(count):
    with pytest.raises(ValueError, match=r"dropped\[late\]"):
        Health("camera 0", "CPU", "window", dropped={"late": count})
