"""A source's clock: gaps, timestamps that do not go on, and whether frames come often enough."""

from collections import deque
from dataclasses import dataclass
from itertools import accumulate
from statistics import median
from typing import Literal

_ACROSS = 4

Tick = Literal["next", "gap", "repeated"]
"""How a timestamp follows the one before: in time, after a hole (or a jump back), or not at all."""


@dataclass(frozen=True)
class RateSettings:
    """When frames come too seldom to see a micro-expression.

    `min_rate_hz`: the median micro-expression rises for about 165 ms and lasts for about 360 (CASME II and SAMM); at 12
    frames a second that leaves two frames in the rise and four in all, the fewest in which it differs from a step of
    noise. Cameras that are asked for 15 frames a second, and jitter, stay above it; 10 are too few.
    `max_late_share`: share of the time that may pass in intervals longer than `late_factor` of the slowest rate's; one
    hold-up as long as a gap may be is less than that of a window of one second, two are more.
    `min_intervals`: so many say what the rate is.
    """

    min_rate_hz: float = 12.0
    max_late_share: float = 0.3
    late_factor: float = 1.5
    min_intervals: int = _ACROSS

    def __post_init__(self) -> None:
        for name in ("min_rate_hz", "max_late_share", "late_factor", "min_intervals"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}: expected more than 0, found {getattr(self, name)}")
        if self.min_intervals < _ACROSS:
            raise ValueError(f"min_intervals: expected {_ACROSS} or more, found {self.min_intervals}")


class SourceClock:
    """Follows the timestamps of a source. `gaps` and `repeated` count what was wrong with them, `last_gap_s` is from
    where to where the last gap was.

    `max_gap_s`: a longer step is a gap, and so is a jump back by more than that. A timestamp that stands still or goes
    back by less is `repeated`: its frame says nothing about time. The rate is that of the last `span_s` seconds, the
    median, so that a hold-up does not change it; of a gap `max_gap_s` counts.
    """

    def __init__(self, max_gap_s: float, span_s: float, settings: RateSettings | None = None) -> None:
        self._max_gap_s, self._span_s = max_gap_s, span_s
        self._settings = settings or RateSettings()
        self._late_s = self._settings.late_factor / self._settings.min_rate_hz
        self.reset()

    def reset(self) -> None:
        self.gaps = 0
        self.repeated = 0
        self.last_gap_s: tuple[float, float] | None = None
        self._last_s: float | None = None
        self._intervals_s: deque[float] = deque()

    def step(self, time_s: float) -> Tick:
        """How the next frame's timestamp follows."""
        last_s = self._last_s
        if last_s is None:
            self._last_s = time_s
            return "next"
        if not (time_s > last_s or time_s < last_s - self._max_gap_s):
            self.repeated += 1
            return "repeated"
        self._last_s = time_s
        passed_s = time_s - last_s
        gap = not 0 < passed_s <= self._max_gap_s
        if gap:
            self.gaps += 1
            self.last_gap_s = (last_s, time_s)
        self._intervals_s.append(passed_s if passed_s > 0 else self._max_gap_s)
        self._forget_old()
        return "gap" if gap else "next"

    @property
    def rate_hz(self) -> float:
        """Frames a second; 0 while too few have been seen."""
        if len(self._intervals_s) < self._settings.min_intervals:
            return 0.0
        return 1.0 / median(self._intervals_s)

    @property
    def sufficient(self) -> bool:
        """Whether frames come often enough; True while too few have been seen to tell."""
        if 0.0 < self.rate_hz < self._settings.min_rate_hz > self._rate_across_hz():
            return False
        covered_s = [min(interval_s, self._max_gap_s) for interval_s in self._intervals_s]
        late_s = sum(interval_s for interval_s in covered_s if interval_s > self._late_s)
        total_s = sum(covered_s)
        return total_s < self._span_s or late_s <= self._settings.max_late_share * total_s

    def _rate_across_hz(self) -> float:
        """By the time that `_ACROSS` intervals take together, the median: where late and early frames take turns, most of the
        single intervals may be long ones."""
        ends_s = [0.0, *accumulate(self._intervals_s)]
        return _ACROSS / median(last_s - first_s for first_s, last_s in zip(ends_s, ends_s[_ACROSS:], strict=False))

    def _forget_old(self) -> None:
        covered_s = sum(min(interval_s, self._max_gap_s) for interval_s in self._intervals_s)
        while len(self._intervals_s) > self._settings.min_intervals:
            covered_s -= min(self._intervals_s[0], self._max_gap_s)
            if covered_s < self._span_s:
                return
            self._intervals_s.popleft()
