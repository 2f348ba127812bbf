"""The events that are drawn: those of the last seconds, and counts since the start."""

import math
from collections import Counter
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.types import Rejection
from stream.history import FRESH_S, EventHistory
from tests.happenings import event, moment

REASONS = st.sampled_from((None, *get_args(Rejection)))


def test_nothing_has_happened_yet():
    window = EventHistory().window()
    assert window.recent == () and window.fresh == {} and window.last is None and window.last_rejected is None
    assert (window.micro, window.macro, window.rejected_total) == (0, 0, 0)
    assert not window.last_is_recent


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0.05, 3.0), st.sampled_from(("micro", "macro")), REASONS), max_size=60))
def test_counts_everything_and_keeps_the_last_seconds(steps):
    history = EventHistory(span_s=10.0)
    now_s, decided = 1.0, []
    for step_s, kind, reason in steps:
        now_s += step_s
        decided.append(event(now_s - 0.8, kind=kind, rejected=reason))
        history.record(moment(now_s, events=(decided[-1],)))
    window = history.window()
    accepted = [one for one in decided if one.rejected is None]
    rejected = [one for one in decided if one.rejected is not None]
    assert window.recent == tuple(one for one in decided if one.offset_s >= now_s - 10.0)
    assert (window.micro, window.macro) == tuple(
        sum(one.kind == kind for one in accepted) for kind in ("micro", "macro")
    )
    assert dict(window.rejected) == Counter(one.rejected for one in rejected)
    assert window.latest == tuple(accepted[-4:])
    assert window.last == (accepted[-1] if accepted else None)
    assert window.last_rejected == (rejected[-1] if rejected else None)
    assert window.last_is_recent == bool(accepted and accepted[-1] in window.recent)


def test_an_event_is_fresh_at_its_face_for_a_while_after_it_was_decided():
    history = EventHistory()
    one, two, blink = event(3.0), event(3.5, track=2), event(3.9, rejected="blink")
    history.record(moment(4.0, events=(one,)))
    history.record(moment(4.5, events=(two, blink)))
    assert history.window().fresh == {1: one, 2: two}
    history.record(moment(4.0 + FRESH_S + 0.1))
    assert history.window().fresh == {2: two}
    assert history.window().recent == (one, two, blink)
    history.record(moment(4.5 + FRESH_S + 0.1))
    assert history.window().fresh == {}


def test_the_newer_of_two_events_of_a_face_is_the_fresh_one():
    history = EventHistory()
    history.record(moment(4.0, events=(event(3.0, "negative"), event(3.4, "positive"))))
    assert history.window().fresh[1].label == "positive"


def test_memory_is_bounded_however_much_happens():
    history = EventHistory(capacity=50)
    for number in range(1000):
        history.record(moment(5.0 + number / 1000, events=(event(4.0), event(4.1, rejected="blink"))))
    window = history.window()
    assert len(history) == 50 and len(window.recent) == 50 and len(window.latest) == 4
    assert window.micro == 1000 and window.rejected_total == 1000
    # And what is no longer drawn is not kept either.
    history.record(moment(60.0))
    assert len(history) == 0 and history.window().last is not None


def test_a_file_that_starts_over_clears_the_marks_and_keeps_the_counts():
    history = EventHistory()
    history.record(moment(9.0, events=(event(8.0),)))
    history.record(moment(0.0))
    window = history.window()
    assert window.recent == () and window.micro == 1 and window.last is not None


def test_reset_forgets_everything():
    history = EventHistory()
    history.record(moment(9.0, events=(event(8.0), event(8.0, rejected="speech"))))
    history.reset()
    assert history.window() == EventHistory().window()
    history.record(moment(1.0, events=(event(0.5),)))
    assert history.window().micro == 1


def test_a_window_is_a_snapshot():
    history = EventHistory()
    history.record(moment(9.0, events=(event(8.0, rejected="blink"),)))
    before = history.window()
    history.record(moment(9.5, events=(event(8.5, rejected="blink"),)))
    assert len(before.recent) == 1 and before.rejected == {"blink": 1}


@pytest.mark.parametrize("span_s, capacity", [(0.0, 1), (math.nan, 1), (math.inf, 1), (10.0, 0)])
def test_refuses_impossible_sizes(span_s, capacity):
    with pytest.raises(ValueError, match="expected"):
        EventHistory(span_s, capacity)
