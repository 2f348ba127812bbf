"""How much strangers may ask of the marker port: so many messages a second, so many subscribers."""

import math
from collections.abc import Sequence
from typing import Generic, TypeVar

Who = TypeVar("Who")


class RateLimit:
    """Lets through `rate_hz` messages a second in the mean and up to `burst` at once (a token bucket).

    Times are those of a monotonic clock.
    """

    def __init__(self, rate_hz: float, burst: int) -> None:
        if not (math.isfinite(rate_hz) and rate_hz > 0):
            raise ValueError(f"rate_hz: expected a finite number above 0, found {rate_hz}")
        if burst < 1:
            raise ValueError(f"burst: expected 1 or more, found {burst}")
        self._rate_hz = rate_hz
        self._burst = burst
        self._left = float(burst)
        self._last_s = -math.inf

    def allows(self, now_s: float) -> bool:
        if now_s > self._last_s:
            self._left = min(self._burst, self._left + (now_s - self._last_s) * self._rate_hz)
            self._last_s = now_s
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True


class Subscribers(Generic[Who]):
    """Up to `most` at a time, each for `lasts_s` seconds after its last word. Times are those of a monotonic clock."""

    def __init__(self, most: int, lasts_s: float) -> None:
        if most < 1:
            raise ValueError(f"most: expected 1 or more, found {most}")
        if not (math.isfinite(lasts_s) and lasts_s > 0):
            raise ValueError(f"lasts_s: expected a finite number above 0, found {lasts_s}")
        self._most = most
        self.lasts_s = lasts_s
        self._until_s: dict[Who, float] = {}

    def add(self, who: Who, now_s: float) -> bool:
        """Adds or prolongs; False when there is no room."""
        if who not in self.present(now_s) and len(self._until_s) >= self._most:
            return False
        self._until_s[who] = now_s + self.lasts_s
        return True

    def remove(self, who: Who) -> None:
        self._until_s.pop(who, None)

    def present(self, now_s: float) -> Sequence[Who]:
        """Those whose time has not run out; the others are forgotten."""
        self._until_s = {who: until_s for who, until_s in self._until_s.items() if until_s > now_s}
        return tuple(self._until_s)
