"""The last ten seconds: probabilities, and who calibrates.

The events that are drawn: those of the last seconds, and counts since the start.
"""

import math
import sys
from collections import Counter
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.types import Rejection
from stream.history import FRESH_S, EventHistory, LiveHistory, ProbabilityHistory
from tests.helpers.happenings import event, moment, rekeyed, seen
from tests.helpers.results import CLASSES, face, prediction, result

EVEN = dict.fromkeys(CLASSES, 0.25)
REASONS = st.sampled_from((None, *get_args(Rejection)))


@settings(deadline=None)
@given(
    steps_s=st.lists(st.floats(0.02, 3.0), max_size=80),
    answered=st.lists(st.booleans(), min_size=80, max_size=80),
    start_s=st.floats(0, 1e5),
)
def test_holds_what_lies_in_the_last_seconds(steps_s, answered, start_s):
    history = ProbabilityHistory(CLASSES, span_s=10.0)
    times_s = start_s + np.cumsum(steps_s)
    for place, time_s in enumerate(times_s):
        history.append(time_s, EVEN if answered[place] else None, "ok" if answered[place] else "no_face")
    window = history.window()
    inside = [place for place, time_s in enumerate(times_s) if time_s >= times_s[-1] - 10.0]
    assert window.times_s.tolist() == [times_s[place] for place in inside]
    assert (~np.isnan(window.probabilities[:, 0])).tolist() == [answered[place] for place in inside]


@pytest.mark.parametrize("fps", [1, 30, 119.9, 240, 5000])
def test_memory_is_bounded_whatever_the_frame_rate(fps):
    history = ProbabilityHistory(CLASSES, span_s=10.0, capacity=1200)
    for number in range(round(25 * fps)):
        history.append(number / fps, EVEN, "ok")
        assert len(history) <= 1202
    times_s = history.window().times_s
    assert len(times_s) == pytest.approx(min(fps, 120) * 10, abs=2)
    # The whole span is there, with its newest sample, however many came.
    assert times_s[-1] == (round(25 * fps) - 1) / fps
    assert times_s[-1] - times_s[0] == pytest.approx(10, abs=max(0.02, 1 / fps))
    assert np.all(np.diff(times_s) > 0)


def test_probabilities_keep_the_order_of_the_classes():
    history = ProbabilityHistory(CLASSES)
    values = dict(zip(CLASSES, (0.1, 0.2, 0.3, 0.4), strict=True))
    history.append(1.0, dict(reversed(values.items())), "ok")
    assert history.window().probabilities[0] == pytest.approx([0.1, 0.2, 0.3, 0.4])


def test_records_results():
    history = LiveHistory(CLASSES)
    history.record(result(0, 0.0, "filling"))
    history.record(result(1, 0.1, "ok", answer=prediction(0.7, 0.1, 0.1, 0.1)))
    window = history.recent().probabilities
    assert window.times_s.tolist() == [0.0, 0.1]
    assert np.isnan(window.probabilities[0]).all()
    assert window.probabilities[1, 0] == pytest.approx(0.7)


def test_time_that_runs_backwards_starts_anew():
    history = ProbabilityHistory(CLASSES)
    for time_s in (5.0, 6.0, 0.5):
        history.append(time_s, EVEN, "ok")
    assert history.window().times_s.tolist() == [0.5]


def test_reset_forgets_everything_and_a_window_is_a_copy():
    history = ProbabilityHistory(CLASSES)
    history.append(1.0, EVEN, "ok")
    before = history.window()
    history.reset()
    history.append(0.2, None, "no_face")
    assert before.times_s.tolist() == [1.0]
    assert history.window().times_s.tolist() == [0.2]


def test_an_empty_history_has_an_empty_window():
    window = ProbabilityHistory(CLASSES).window()
    assert window.times_s.shape == (0,)
    assert window.probabilities.shape == (0, len(CLASSES))


def test_refuses_other_classes_and_bad_times():
    history = ProbabilityHistory(CLASSES)
    with pytest.raises(ValueError, match="probabilities: expected negative, neutral, positive, surprise, found joy"):
        history.append(0.0, {"joy": 1.0}, "ok")
    for time_s in (math.nan, math.inf, -sys.float_info.max * 10):
        with pytest.raises(ValueError, match="time_s: expected a finite number"):
            history.append(time_s, None, "no_face")
    assert len(history) == 0


def test_watched_is_where_the_first_face_is_watchable():
    history = LiveHistory(CLASSES)
    history.record(moment(0.0))
    history.record(moment(1.0, seen(calibrated=False)))
    history.record(moment(2.0, seen()))
    history.record(moment(3.0, seen(status="blurred")))
    history.record(moment(4.0, seen(watchable=False), seen(2)))
    assert history.recent().probabilities.watched.tolist() == [False, False, True, False, False]


def test_another_first_face_starts_the_probabilities_anew():
    history = LiveHistory(CLASSES)
    one, two = event(0.2, track=1), event(0.3, track=2)
    history.record(moment(1.0, seen(1), seen(2), events=(one, two)))
    history.record(moment(1.1))
    recent = history.recent()
    assert recent.track == 1 and recent.probabilities.times_s.tolist() == [1.0, 1.1] and recent.marks == (one,)
    history.record(moment(1.2, seen(2), seen(1)))
    recent = history.recent()
    assert recent.track == 2 and recent.probabilities.times_s.tolist() == [1.2] and recent.marks == (two,)
    assert recent.events.recent == (one, two)


def test_tells_how_long_each_face_has_been_calibrating():
    history = LiveHistory(CLASSES)
    history.record(moment(1.0, seen(1, "filling", calibrated=False)))
    history.record(moment(2.0, seen(1, calibrated=False), seen(2, "filling", calibrated=False)))
    history.record(moment(3.5, seen(1, "blurred", calibrated=False), seen(2, calibrated=False)))
    assert history.recent().calibrating_s == {1: 2.5, 2: 1.5}
    history.record(moment(4.0, seen(1), seen(2, "face_turned", calibrated=False)))
    assert history.recent().calibrating_s == {}
    # What could not be read, or was found anew, is calibrated from the start.
    history.record(moment(4.5, seen(1, "filling", at=rekeyed(face()), calibrated=False), seen(2, calibrated=False)))
    history.record(moment(5.0, seen(1, calibrated=False), seen(2, at=rekeyed(face()), calibrated=False)))
    assert history.recent().calibrating_s == {1: 0.5, 2: 0.0}
    history.record(moment(0.5, seen(1, calibrated=False)))
    assert history.recent().calibrating_s == {1: 0.0}


def test_the_end_brings_events_and_no_sample():
    history = LiveHistory(CLASSES)
    history.record(moment(5.0, seen()))
    history.finish((event(4.8),))
    recent = history.recent()
    assert recent.probabilities.times_s.tolist() == [5.0] and recent.events.micro == 1


def test_a_reset_of_everything():
    history = LiveHistory(CLASSES)
    history.record(moment(5.0, seen(calibrated=False), events=(event(4.0),)))
    history.reset()
    recent = history.recent()
    assert len(recent.probabilities.times_s) == 0 and recent.events.micro == 0
    assert recent.track is None and recent.calibrating_s == {}


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
