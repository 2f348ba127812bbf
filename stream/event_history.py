"""The events that were decided lately, and how many there were since the start, for drawing."""

import math
import threading
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from model.types import Event, FrameResult, Rejection

FRESH_S = 3.0
"""So long after it was decided an event is shown at its face."""
_LATEST = 4
_MOST = 512


def _no_events() -> Mapping[int, Event]:
    return {}


def _no_rejections() -> Mapping[Rejection, int]:
    return {}


@dataclass(frozen=True)
class EventWindow:
    """Everything in the order in which it was decided.

    `recent`: accepted and rejected events that end in the last seconds. `fresh`: by track, the newest accepted event that
    was decided in the last `FRESH_S`. The `latest` accepted events and the `last_rejected` one may be older than both.
    `micro`, `macro` and `rejected`, by reason, count since the start.
    """

    recent: tuple[Event, ...] = ()
    fresh: Mapping[int, Event] = field(default_factory=_no_events)
    latest: tuple[Event, ...] = ()
    last_rejected: Event | None = None
    micro: int = 0
    macro: int = 0
    rejected: Mapping[Rejection, int] = field(default_factory=_no_rejections)

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
            for event in result.events:
                self._events.append((self._now_s, event))
                if event.rejected is not None:
                    self._last_rejected = event
                    self._rejected[event.rejected] += 1
                    continue
                self._latest.append(event)
                self._micro += event.kind == "micro"
                self._macro += event.kind == "macro"
            while self._events and self._events[0][0] < self._now_s - self._span_s:
                self._events.popleft()

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
