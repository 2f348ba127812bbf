"""The events of a run in numbers."""

from collections import Counter
from typing import Any, get_args

from model.types import EventKind, FrameResult, Rejection

_LONGEST_STEP_S = 1.0
"""A longer step between two frames is a gap or a clock that was set anew, not time that somebody was watched."""


class EventTally:
    """Counts events and the time in which there could have been some."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.events: Counter[tuple[EventKind, str]] = Counter()
        self.rejected: Counter[Rejection] = Counter()
        self.watched_s = 0.0
        self._last_s: float | None = None

    def add(self, result: FrameResult) -> None:
        for event in result.events:
            if event.rejected is None:
                self.events[event.kind, event.label] += 1
            else:
                self.rejected[event.rejected] += 1
        if result.closing:
            return
        time_s = result.frame.time_s
        step_s = 0.0 if self._last_s is None else time_s - self._last_s
        self._last_s = time_s
        if 0.0 < step_s <= _LONGEST_STEP_S:
            self.watched_s += step_s * sum(face.calibrated and face.status == "ok" for face in result.faces)

    def as_dict(self) -> dict[str, Any]:
        """`found` by kind and label, `rejected` by reason, `watched_min`: minutes, added up over faces, in which a face
        was calibrated and had an answer; false events a minute are counted against these."""
        found = {
            kind: {name: n for (k, name), n in sorted(self.events.items()) if k == kind} for kind in get_args(EventKind)
        }
        return {"found": found, "rejected": dict(self.rejected.most_common()), "watched_min": self.watched_s / 60}
