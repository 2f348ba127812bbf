"""How a live source stands with its camera or server: the state, how long it has lasted, what was lost and when."""

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

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


@dataclass(frozen=True)
class Outage:
    """From the last picture before it to the first one after it, in seconds of the source's clock (None: not over)."""

    began_s: float
    ended_s: float | None
    reason: str


def _nothing() -> Mapping[str, int]:
    return {}


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
    dropped: Mapping[str, int] = field(default_factory=_nothing)
    reconnects: int = 0
    outages: tuple[Outage, ...] = ()


@runtime_checkable
class WatchedSource(Protocol):
    """A source that can lose what it reads from."""

    def status(self) -> SourceStatus:
        """From any thread."""
        ...


@dataclass(frozen=True)
class BackoffSettings:
    """Waits grow from `first_s` by `factor` to `max_s`; each is shortened by up to the share `jitter`, at random, so
    that many clients of a server do not come back all at once (M. Brooker, "Exponential backoff and jitter", 2015)."""

    first_s: float = 0.1
    factor: float = 2.0
    max_s: float = 1.0
    jitter: float = 0.5

    def __post_init__(self) -> None:
        if not (0 < self.first_s <= self.max_s and math.isfinite(self.max_s)):
            raise ValueError(f"backoff: expected 0 < first_s <= max_s, found {self.first_s} and {self.max_s}")
        if not (self.factor >= 1 and 0 <= self.jitter < 1):
            raise ValueError(
                f"backoff: expected factor >= 1 and jitter in [0, 1), found {self.factor} and {self.jitter}"
            )


class Backoff:
    """How long to wait before the next try; `reset()` after a success."""

    def __init__(self, settings: BackoffSettings | None = None, rng: random.Random | None = None) -> None:
        self._settings = settings or BackoffSettings()
        self._rng = rng or random.Random()
        self.reset()

    def reset(self) -> None:
        self._longest_s = self._settings.first_s

    def next_s(self) -> float:
        wait_s = self._longest_s * (1 - self._settings.jitter * self._rng.random())
        self._longest_s = min(self._longest_s * self._settings.factor, self._settings.max_s)
        return wait_s


def _ordinal(number: int) -> str:
    if number % 100 in (11, 12, 13):
        return f"{number}th"
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') }"
