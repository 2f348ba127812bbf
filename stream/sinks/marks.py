"""What an experiment may send to a run (marks, and the wish to hear of events, as JSON, one object a line), and how much:
so many messages a second, so many subscribers."""

import json
import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Generic, TypeVar

from model.errors import MicroliveError
from stream.network_address import is_loopback

MAX_DATAGRAM_BYTES = 2048
MAX_LINES = 16
MAX_MARK_LETTERS = 200
_TELL_EVERY_S = 1.0
_FORMS = '{"mark": "TEXT"} or {"subscribe": true}'
Who = TypeVar("Who")


class MessageError(MicroliveError, ValueError):
    """A message does not fit; one line that says what was expected, and holds nothing of the message."""


@dataclass(frozen=True)
class Mark:
    """Something happened in the experiment. `sent_s`: the sender's own clock, kept as it is; None where it says none."""

    text: str
    sent_s: float | None = None


@dataclass(frozen=True)
class PlacedMark:
    """A mark on the source's clock."""

    text: str
    time_s: float


@dataclass(frozen=True)
class Subscription:
    """Whether the sender wants to be told of events from now on."""

    wanted: bool


def lines_of(datagram: bytes) -> Sequence[bytes]:
    """The messages in a datagram, the empty lines left out. Raises `MessageError` when it is too large."""
    if len(datagram) > MAX_DATAGRAM_BYTES:
        raise MessageError(f"expected up to {MAX_DATAGRAM_BYTES} bytes in a datagram, found more")
    lines = [line for line in datagram.split(b"\n") if line.strip()]
    if not 1 <= len(lines) <= MAX_LINES:
        raise MessageError(f"expected 1 to {MAX_LINES} lines in a datagram, found {len(lines)}")
    return lines


def parse_message(line: bytes) -> Mark | Subscription:
    """One line; raises `MessageError` for anything but the two forms of a message."""
    raw = _object(line)
    if "mark" in raw:
        _only(raw, {"mark", "sent_s"})
        return Mark(_text(raw["mark"]), _time_s(raw.get("sent_s")))
    if "subscribe" in raw:
        _only(raw, {"subscribe"})
        if not isinstance(raw["subscribe"], bool):
            raise MessageError("subscribe: expected true or false")
        return Subscription(raw["subscribe"])
    raise MessageError(f"expected {_FORMS}")


def _object(line: bytes) -> dict[str, Any]:
    try:
        raw = json.loads(line.decode("utf-8"), parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise MessageError(f"expected JSON in UTF-8: {_FORMS}") from None
    if not isinstance(raw, dict):
        raise MessageError(f"expected {_FORMS}")
    return raw


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _only(raw: dict[str, Any], known: set[str]) -> None:
    if not set(raw) <= known:
        raise MessageError(f"expected nothing besides {', '.join(sorted(known))}")


def _text(value: object) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_MARK_LETTERS or not value.strip():
        raise MessageError(f"mark: expected a text of 1 to {MAX_MARK_LETTERS} letters")
    if any("\ud800" <= letter <= "\udfff" for letter in value):
        raise MessageError("mark: expected whole letters, found half of a surrogate pair")
    return value


def _time_s(value: object) -> float | None:
    if value is None:
        return None
    wanted = MessageError("sent_s: expected a finite number of seconds")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise wanted
    try:
        number = float(value)
    except OverflowError:
        raise wanted from None
    if not math.isfinite(number):
        raise wanted
    return number


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

    def left(self, now_s: float) -> float:
        """So many may come now."""
        if now_s > self._last_s:
            self._left = min(self._burst, self._left + (now_s - self._last_s) * self._rate_hz)
            self._last_s = now_s
        return self._left

    def allows(self, now_s: float) -> bool:
        if self.left(now_s) < 1.0:
            return False
        self._left -= 1.0
        return True


class SenderLimits:
    """A `RateLimit` for every sender, so that one that floods loses its own messages only, and one over all of them, far
    above what experiments send. Senders on other machines are told apart by address, those on this one by port too; of
    the `most` that are remembered, the one that was silent for longest is forgotten first.

    `left_out` of a sender are told to it, at most once a second: `to_tell` gives their number, 0 where it is not time.
    """

    def __init__(self, rate_hz: float, burst: int, most: int = 256, all_of_them: int = 10) -> None:
        self._rate_hz, self._burst, self._most = rate_hz, burst, most
        self._all = RateLimit(all_of_them * rate_hz, all_of_them * burst)
        self._senders: OrderedDict[Sequence[Any], _Sender] = OrderedDict()

    def allows(self, sender: Sequence[Any], now_s: float) -> bool:
        known = self._of(sender)
        if known.limit.allows(now_s) and self._all.allows(now_s):
            return True
        known.left_out += 1
        return False

    def is_flooding(self, sender: Sequence[Any], messages: int, now_s: float) -> bool:
        """Whether nothing of it would be let through now, nor told to it, found out at little cost; its messages then
        count as left out."""
        known = self._of(sender)
        if now_s - known.told_s >= _TELL_EVERY_S or known.limit.left(now_s) >= 1.0:
            return False
        known.left_out += messages
        return True

    def to_tell(self, sender: Sequence[Any], now_s: float) -> int:
        known = self._of(sender)
        if not known.left_out or now_s - known.told_s < _TELL_EVERY_S:
            return 0
        count, known.left_out, known.told_s = known.left_out, 0, now_s
        return count

    def _of(self, sender: Sequence[Any]) -> "_Sender":
        key = _who(tuple(sender))
        if key not in self._senders:
            if len(self._senders) >= self._most:
                self._senders.popitem(last=False)
            self._senders[key] = _Sender(RateLimit(self._rate_hz, self._burst))
        self._senders.move_to_end(key)
        return self._senders[key]


@lru_cache(maxsize=1024)
def _who(sender: tuple[Any, ...]) -> tuple[Any, ...]:
    return sender[:2] if is_loopback(sender[0]) else sender[:1]


@dataclass
class _Sender:
    limit: RateLimit
    left_out: int = 0
    told_s: float = -math.inf


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
