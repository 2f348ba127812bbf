"""The state of a run in a few numbers: its source's connection and what was lost, rates, the times of stages."""

import math
import time
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

_HEALTH_NUMBERS = (
    "fps_captured", "fps_read", "fps_aligned", "fps_classified", "fps_shown", "rate_hz", "latency_ms", "newest_age_ms",
    "crop_jitter_px",
)  # fmt: skip
"""Fields of `Health` that `as_dict` gives as they are."""

ConnectionState = Literal["opening", "connected", "reconnecting", "ended"]


@dataclass(frozen=True)
class Connection:
    """`since_s`: monotonic clock when the state began. `tries`: attempts made since then; `reason`: why it is not connected."""

    state: ConnectionState
    since_s: float
    tries: int = 0
    reason: str = ""

    def words(self, now_s: float) -> str:
        """For people, at `now_s` of the monotonic clock: "reconnecting, 3rd try, since 4.2 s: connection refused"."""
        if self.state in ("connected", "ended"):
            return self.state
        tries = f", {_ordinal(self.tries)} try" if self.tries else ""
        reason = f": {self.reason}" if self.reason else ""
        return f"{self.state}{tries}, since {max(0.0, now_s - self.since_s):.1f} s{reason}"


def _ordinal(number: int) -> str:
    if number % 100 in (11, 12, 13):
        return f"{number}th"
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') }"


@dataclass(frozen=True)
class Outage:
    """From the last picture before it to the first one after it, in seconds of the source's clock (None: not over)."""

    began_s: float
    ended_s: float | None
    reason: str


@dataclass(frozen=True)
class SourceStatus:
    """A live source in numbers.

    `fps_captured`: whole pictures a second that arrived, taken or not. `newest_age_s`: since the newest arrived, None
    before the first. `dropped`: pictures by the cause of their loss: `source` (a newer one came before it was
    wanted), `bad_frame` (cut off or damaged). `outages`: the last ones; `reconnects` counts all that are over.
    """

    connection: Connection
    fps_captured: float = 0.0
    newest_age_s: float | None = None
    dropped: Mapping[str, int] = field(default_factory=dict[str, int])
    reconnects: int = 0
    outages: tuple[Outage, ...] = ()


@dataclass(frozen=True)
class Percentiles:
    """Of `count` times in milliseconds: the median and the tail."""

    p50_ms: float
    p95_ms: float
    p99_ms: float
    count: int


def percentiles_of(times_ms: Sequence[float] | NDArray[np.float64], count: int | None = None) -> Percentiles:
    """Of at least one time; `count` where there were more than are given."""
    p50, p95, p99 = (float(p) for p in np.percentile(times_ms, (50, 95, 99)))
    return Percentiles(p50, p95, p99, len(times_ms) if count is None else count)


class _Ring:
    """The last `capacity` values and how many there ever were."""

    def __init__(self, capacity: int) -> None:
        self._values: NDArray[np.float64] = np.zeros(capacity, np.float64)
        self.count = 0

    def add(self, value: float) -> None:
        self._values[self.count % len(self._values)] = value
        self.count += 1

    def values(self) -> NDArray[np.float64]:
        """A copy, not in the order of arrival."""
        return self._values[: min(self.count, len(self._values))].copy()


class StageTimes:
    """Milliseconds by named stage. Percentiles are those of the last `capacity` times of a stage.

    One thread may add while another asks for percentiles.
    """

    def __init__(self, capacity: int = 1000) -> None:
        if capacity < 1:
            raise ValueError(f"capacity: expected 1 or more, found {capacity}")
        self._capacity = capacity
        self.reset()

    def reset(self) -> None:
        self._rings: dict[str, _Ring] = {}

    def add(self, stage: str, ms: float) -> None:
        """One time; raises ValueError when it is negative or not finite."""
        if not (math.isfinite(ms) and ms >= 0):
            raise ValueError(f"time of stage {stage!r}: expected 0 ms or more, found {ms}")
        if stage not in self._rings:
            self._rings[stage] = _Ring(self._capacity)
        self._rings[stage].add(ms)

    def add_all(self, stages_ms: Mapping[str, float]) -> None:
        for stage, ms in stages_ms.items():
            self.add(stage, ms)

    def percentiles(self) -> dict[str, Percentiles]:
        """By stage, in the order in which the stages were first seen; `count` is the number of all times ever added."""
        found: dict[str, Percentiles] = {}
        for stage, ring in list(self._rings.items()):
            values = ring.values()
            if len(values):
                found[stage] = percentiles_of(values, ring.count)
        return found


class RateMeter:
    """Events a second over the last `span_s` seconds of the monotonic clock; falls to 0 when the events stop."""

    def __init__(self, span_s: float = 2.0, capacity: int = 1000) -> None:
        if not (math.isfinite(span_s) and span_s > 0):
            raise ValueError(f"span_s: expected a finite number above 0, found {span_s}")
        if capacity < 2:
            raise ValueError(f"capacity: expected 2 or more, found {capacity}")
        self._span_s = span_s
        self._events_s: deque[float] = deque(maxlen=capacity)

    def reset(self) -> None:
        self._events_s.clear()

    def tick(self, now_s: float | None = None) -> None:
        """An event happened at `now_s` (`time.monotonic()` where none is given)."""
        self._events_s.append(time.monotonic() if now_s is None else now_s)

    def rate_hz(self, now_s: float | None = None) -> float:
        """Events a second; 0 with fewer than two events in the span."""
        now_s = time.monotonic() if now_s is None else now_s
        # In the order of time, as a clock that never goes back gives them.
        events = tuple(self._events_s)
        first, last = bisect_left(events, now_s - self._span_s), bisect_right(events, now_s) - 1
        if last <= first or events[last] <= events[first]:
            return 0.0
        intervals = last - first
        mean_s = (events[last] - events[first]) / intervals
        # An event that is overdue slows the rate down at once, not only when the span has passed.
        return intervals / max(events[last] - events[first], now_s - mean_s - events[first])


@dataclass(frozen=True)
class Health:
    """The state of a run: what a status line shows.

    `latency_ms` is None before the first answer; `dropped` counts frames by the cause of their loss;
    `frames` counts the frames read so far, `frames_total` those of a file (None where nobody knows).

    Frames a second: `fps_captured` arrived (None for files, which are read as they are wanted), `fps_read` came out of
    the live loop, `fps_aligned` had their faces placed, `fps_classified` have an answer, `fps_shown` were drawn on the
    screen. `rate_hz` is the source's effective rate by its timestamps, 0 while it is not known. `newest_age_ms`: since
    the newest frame of a live source arrived. `crop_jitter_px`: see `CropJitter`. `gaps` and `last_gap_s`: holes in the source's time and jumps of
    it (`SourceClock`). `connection` is None for sources that have none; `reconnects` counts how often it came back.
    """

    source: str
    provider: str
    engine: str
    fps_read: float = 0.0
    fps_classified: float = 0.0
    latency_ms: float | None = None
    dropped: Mapping[str, int] = field(default_factory=dict[str, int])
    frames: int = 0
    frames_total: int | None = None
    threads: str = ""
    fps_captured: float | None = None
    fps_aligned: float = 0.0
    fps_shown: float = 0.0
    rate_hz: float = 0.0
    newest_age_ms: float | None = None
    crop_jitter_px: float | None = None
    connection: Connection | None = None
    reconnects: int = 0
    gaps: int = 0
    last_gap_s: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        numbers: dict[str, float | None] = {f"dropped[{cause}]": count for cause, count in self.dropped.items()}
        for name in (*_HEALTH_NUMBERS, "frames", "frames_total", "reconnects", "gaps"):
            numbers[name] = getattr(self, name)
        for name, value in numbers.items():
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{name}: expected 0 or more, found {value}")

    @property
    def dropped_total(self) -> int:
        return sum(self.dropped.values())

    @property
    def disconnected(self) -> Connection | None:
        """The connection while there is none."""
        lost = self.connection is not None and self.connection.state in ("opening", "reconnecting")
        return self.connection if lost else None

    def as_dict(self) -> dict[str, Any]:
        """The numbers, for scripts and reports."""
        numbers: dict[str, Any] = {name: getattr(self, name) for name in _HEALTH_NUMBERS}
        connection = None if self.connection is None else self.connection.state
        return numbers | {
            "dropped": dict(self.dropped),
            "connection": connection,
            "reconnects": self.reconnects,
            "gaps": self.gaps,
        }
