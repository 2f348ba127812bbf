"""What happened in the last seconds, for drawing: events, probabilities, calibration; and a run's events in numbers."""

import math
import threading
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from model.types import Event, EventKind, FrameResult, Rejection, Status
from stream.face.memory import MemorySettings
from stream.sight import SmallestMovements

FRESH_S = 3.0
"""So long after it was decided an event is shown at its face."""
_LATEST = 4
"""So many accepted events are kept, however old they are."""
_MOST = 512
"""No more events are kept for drawing, however many are decided."""
_READ: tuple[Status, ...] = ("ok", "filling", "blurred")
"""With these a face is measured, so that its calibration goes on."""
_LONGEST_STEP_S = 1.0
"""A longer step between two frames is a gap or a clock that was set anew, not time that somebody was watched."""


@dataclass(frozen=True)
class EventWindow:
    """Everything in the order in which it was decided.

    `recent`: accepted and rejected events that end in the last seconds. `fresh`: by track, the newest accepted event that
    was decided in the last `FRESH_S`. The `latest` accepted events and the `last_rejected` one may be older than both.
    `micro`, `macro` and `rejected`, by reason, count since the start.
    """

    recent: tuple[Event, ...] = ()
    fresh: Mapping[int, Event] = field(default_factory=dict[int, Event])
    latest: tuple[Event, ...] = ()
    last_rejected: Event | None = None
    micro: int = 0
    macro: int = 0
    rejected: Mapping[Rejection, int] = field(default_factory=dict[Rejection, int])

    @property
    def last(self) -> Event | None:
        return self.latest[-1] if self.latest else None

    @property
    def last_is_recent(self) -> bool:
        return self.last is not None and self.last in self.recent

    @property
    def rejected_total(self) -> int:
        return sum(self.rejected.values())


class EventHistory:
    """Keeps the events of the last `span_s` seconds of the source's clock, `capacity` at most, the newest ones.

    Time that runs backwards (a file that starts over) clears what was drawn, not the counts. One thread may record while
    another draws.
    """

    def __init__(self, span_s: float = 10.0, capacity: int = _MOST) -> None:
        if not (math.isfinite(span_s) and span_s > 0):
            raise ValueError(f"span_s: expected a finite number above 0, found {span_s}")
        if capacity < 1:
            raise ValueError(f"capacity: expected 1 or more, found {capacity}")
        self._span_s = span_s
        self._lock = threading.Lock()
        # With the time at which each was decided.
        self._events: deque[tuple[float, Event]] = deque(maxlen=capacity)
        self.reset()

    def __len__(self) -> int:
        return len(self._events)

    def reset(self) -> None:
        with self._lock:
            self._events.clear()
            self._now_s = -math.inf
            self._latest: deque[Event] = deque(maxlen=_LATEST)
            self._last_rejected: Event | None = None
            self._micro = self._macro = 0
            self._rejected: Counter[Rejection] = Counter()

    def record(self, result: FrameResult) -> None:
        """Takes up the events that were decided with a frame."""
        with self._lock:
            if result.frame.time_s < self._now_s:
                self._events.clear()
            self._now_s = result.frame.time_s
            self._take(result.events)
            while self._events and self._events[0][0] < self._now_s - self._span_s:
                self._events.popleft()

    def finish(self, events: Sequence[Event]) -> None:
        """Takes up the events that the end of the run decided."""
        with self._lock:
            self._take(events)

    def _take(self, events: Sequence[Event]) -> None:
        for event in events:
            self._events.append((self._now_s, event))
            if event.rejected is not None:
                self._last_rejected = event
                self._rejected[event.rejected] += 1
                continue
            self._latest.append(event)
            self._micro += event.kind == "micro"
            self._macro += event.kind == "macro"

    def window(self) -> EventWindow:
        """As it stands after the newest frame."""
        with self._lock:
            since_s = self._now_s - self._span_s
            recent = tuple(event for _, event in self._events if event.offset_s >= since_s)
            fresh = {
                event.track: event
                for decided_s, event in self._events
                if event.rejected is None and decided_s >= self._now_s - FRESH_S
            }
            latest, rejected = tuple(self._latest), dict(self._rejected.most_common())
            return EventWindow(recent, fresh, latest, self._last_rejected, self._micro, self._macro, rejected)


@dataclass(frozen=True, eq=False)
class HistoryWindow:
    """Samples in the order of time: `times_s` (n,) and `probabilities` (n, classes), a row of NaN where no answer was.

    `watched` (n,) bool says where a large micro-expression would have been noticed.
    """

    times_s: NDArray[np.float64]
    probabilities: NDArray[np.float32]
    watched: NDArray[np.bool_]
    span_s: float


class ProbabilityHistory:
    """Keeps the last `span_s` seconds of the source's clock in at most `capacity` samples.

    Of samples that come closer together than span / capacity only the newest is kept, so that memory does not grow
    with the frame rate. Time that runs backwards (a file that starts over) clears the history.
    One thread may append while another draws.
    """

    def __init__(self, class_names: Sequence[str], span_s: float = 10.0, capacity: int = 1200) -> None:
        if not class_names:
            raise ValueError("class_names: expected one or more, found none")
        if not (math.isfinite(span_s) and span_s > 0):
            raise ValueError(f"span_s: expected a finite number above 0, found {span_s}")
        if capacity < 2:
            raise ValueError(f"capacity: expected 2 or more, found {capacity}")
        self.class_names = tuple(class_names)
        self.span_s = span_s
        self._lock = threading.Lock()
        # Two samples more than fit into the span: its first and last slot may both be cut in part.
        self._slot_s = span_s / capacity
        self._times_s: NDArray[np.float64] = np.zeros(capacity + 2, np.float64)
        self._probabilities: NDArray[np.float32] = np.zeros((capacity + 2, len(self.class_names)), np.float32)
        self._watched: NDArray[np.bool_] = np.zeros(capacity + 2, np.bool_)
        self._count = 0

    def __len__(self) -> int:
        return min(self._count, len(self._times_s))

    def reset(self) -> None:
        with self._lock:
            self._count = 0

    def append(
        self, time_s: float, probabilities: Mapping[str, float] | None, status: Status, watchable: bool = False
    ) -> None:
        """`probabilities` by class name, or None; they count only where the status is `ok`.

        `watchable`: as in `FaceResult`. Raises ValueError for a time that is not finite and for probabilities of other
        classes.
        """
        if not math.isfinite(time_s):
            raise ValueError(f"time_s: expected a finite number, found {time_s}")
        if probabilities is None or status != "ok":
            row = [math.nan] * len(self.class_names)
        else:
            if set(probabilities) != set(self.class_names):
                raise ValueError(
                    f"probabilities: expected {', '.join(self.class_names)}, found {', '.join(probabilities)}"
                )
            row = [probabilities[name] for name in self.class_names]
        with self._lock:
            newest_s = self._times_s[(self._count - 1) % len(self._times_s)] if self._count else -math.inf
            if time_s < newest_s:
                self._count = 0
            elif self._count and math.floor(time_s / self._slot_s) == math.floor(newest_s / self._slot_s):
                self._count -= 1
            place = self._count % len(self._times_s)
            self._times_s[place] = time_s
            self._probabilities[place] = row
            self._watched[place] = watchable
            self._count += 1

    def window(self) -> HistoryWindow:
        """What lies in the last `span_s` seconds before the newest sample (copies)."""
        with self._lock:
            size = len(self._times_s)
            kept = min(self._count, size)
            order = np.arange(self._count - kept, self._count) % size
            times_s, probabilities = self._times_s[order], self._probabilities[order]
            watched = self._watched[order]
        if kept:
            inside = times_s >= times_s[-1] - self.span_s
            times_s, probabilities, watched = times_s[inside], probabilities[inside], watched[inside]
        return HistoryWindow(times_s, probabilities, watched, self.span_s)


@dataclass(frozen=True, eq=False)
class Recent:
    """What there is to draw besides a frame's own result: of the first face its `probabilities`, of all faces `events`.

    `track` is the number of the first face, or of the one that was it last; None before there was any. `calibrating_s`: by
    track, how long each face has been calibrating; without those that are calibrated or cannot be read.
    """

    probabilities: HistoryWindow
    events: EventWindow
    track: int | None = None
    calibrating_s: Mapping[int, float] = field(default_factory=dict[int, float])

    @property
    def marks(self) -> tuple[Event, ...]:
        """The events of the first face that end within the time of its probabilities."""
        return tuple(event for event in self.events.recent if event.track == self.track)


class LiveHistory:
    """Takes every result of a run; `recent` is what is drawn with the newest one.

    Probabilities are those of the first face: when another one takes its place, they start anew. One thread may record
    while another draws.
    """

    def __init__(self, class_names: Sequence[str], span_s: float = 10.0) -> None:
        self.probabilities = ProbabilityHistory(class_names, span_s)
        self.events = EventHistory(span_s)
        self.reset()

    def reset(self) -> None:
        self.probabilities.reset()
        self.events.reset()
        self._track: int | None = None
        self._calibrating_s: Mapping[int, float] = {}
        # By track, how much of its calibration was seen, and when last.
        self._seen_s: dict[int, tuple[float, float]] = {}
        self._last_s = -math.inf

    def record(self, result: FrameResult) -> None:
        """Appends what a frame's result says."""
        self.events.record(result)
        now_s = result.frame.time_s
        first = result.faces[0] if result.faces else None
        if first is not None and first.track != self._track:
            if self._track is not None:
                self.probabilities.reset()
            self._track = first.track
        answer = result.prediction.probabilities if result.prediction is not None else None
        self.probabilities.append(now_s, answer, result.status, first is not None and first.watchable)
        self._watch_calibration(result)

    def _watch_calibration(self, result: FrameResult) -> None:
        """What was seen of a face counts on when it comes back after a moment."""
        now_s = result.frame.time_s
        seen = {
            track: (s, at_s)
            for track, (s, at_s) in self._seen_s.items()
            if 0 <= now_s - at_s <= MemorySettings.remember_s
        }
        calibrating_s: dict[int, float] = {}
        for face in result.faces:
            if face.calibrated:
                seen.pop(face.track, None)
            if face.calibrated or face.status not in _READ:
                continue
            so_far_s, last_s = seen.get(face.track, (0.0, now_s))
            if last_s == self._last_s:
                so_far_s += now_s - last_s
            seen[face.track], calibrating_s[face.track] = (so_far_s, now_s), so_far_s
        self._seen_s, self._last_s = seen, now_s
        # In one step, so that a reader in another thread sees the old or the new one.
        self._calibrating_s = calibrating_s

    def finish(self, events: Sequence[Event]) -> None:
        """Takes up the events that the end of the run decided."""
        self.events.finish(events)

    def recent(self) -> Recent:
        return Recent(self.probabilities.window(), self.events.window(), self._track, self._calibrating_s)


class EventCounts:
    """A run's events by kind and label, or by why they are none, and the time in which there could have been some.

    `watched_s`: in which a face was watchable, of `whole_s`; both add up over faces, and time without any face counts once
    in the whole. `calibrated_s`: in which movements could have become events, noticed or not. `smallest`: the smallest
    visible movements of the watchable time.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.accepted: Counter[tuple[EventKind, str]] = Counter()
        self.rejected: Counter[Rejection] = Counter()
        self.watched_s = self.whole_s = self.calibrated_s = 0.0
        self.smallest = SmallestMovements()
        self._last_s: float | None = None

    def add(self, result: FrameResult) -> None:
        """The next frame: what was decided with it, and the time since the one before."""
        self.finish(result.events)
        time_s = result.frame.time_s
        step_s = 0.0 if self._last_s is None else time_s - self._last_s
        self._last_s = time_s
        if not 0.0 < step_s <= _LONGEST_STEP_S:
            return
        self.whole_s += step_s * max(len(result.faces), 1)
        for face in result.faces:
            self.calibrated_s += step_s if face.calibrated else 0.0
            if face.watchable:
                self.watched_s += step_s
                if face.smallest_px is not None:
                    self.smallest.add(face.smallest_px, step_s)

    def finish(self, events: Sequence[Event]) -> None:
        """Events without a frame: those that the end of the run decided."""
        for event in events:
            if event.rejected is None:
                self.accepted[event.kind, event.label] += 1
            else:
                self.rejected[event.rejected] += 1

    def as_dict(self) -> dict[str, Any]:
        """`found` by kind and label, `rejected` by reason, `watched_min`: minutes, added up over faces, in which a face
        was watchable (false events a minute are counted against these), of `whole_min`; `smallest_px`: the median of the
        smallest visible movements in them, None where nothing was watchable."""
        found = {
            kind: {name: n for (k, name), n in sorted(self.accepted.items()) if k == kind}
            for kind in get_args(EventKind)
        }
        return {
            "found": found,
            "rejected": dict(self.rejected.most_common()),
            "watched_min": self.watched_s / 60,
            "whole_min": self.whole_s / 60,
            "smallest_px": self.smallest.median_px(),
        }
