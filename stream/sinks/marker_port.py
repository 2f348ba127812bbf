"""The marker port: an experiment's time marks come in over UDP and are kept on the source's clock; events go out."""

import json
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from model.types import Event, FrameResult
from stream.network_address import NetworkAddress, bound_to, open_socket
from stream.sinks.base import LineFile, Sink, SinkError
from stream.sinks.marks import (
    MAX_DATAGRAM_BYTES,
    Mark,
    MessageError,
    PlacedMark,
    SenderLimits,
    Subscribers,
    lines_of,
    parse_message,
)
from stream.sinks.tables import event_message

MAX_SUBSCRIBERS = 16
SUBSCRIBED_S = 60.0
RATE_HZ, BURST = 200.0, 400
_AT_ONCE = 500
_FLOODED_S = 0.001
"""A flood is read away at once, for what fills the system's buffer takes the place of everybody's marks; a pause between
two such rounds leaves the processor to the run."""
_BUFFER_BYTES = 1 << 20
_MAX_WAITING, _MAX_WAITING_EACH = 1000, 250
"""Marks that came before the first frame, of all senders and of one."""
_RECENT = 50

Sender = tuple[Any, ...]
"""A socket's address."""


@dataclass(frozen=True)
class MarkerCounts:
    """`marks` kept, messages that were `malformed`, messages `over_rate` and left out, event messages `sent` to
    subscribers, answers and events `unsent` because the system would not take them."""

    marks: int = 0
    malformed: int = 0
    over_rate: int = 0
    sent: int = 0
    unsent: int = 0


@dataclass(frozen=True)
class _Arrived:
    mark: Mark
    monotonic_s: float
    unix_s: float
    sender: Sender


class MarkerPort(Sink):
    """A sink of a run: learns the source's clock from its frames and passes accepted events on to subscribers.

    Marks are taken by a thread of its own, so that their time does not wait for a frame, and written as JSON lines:
    `mark`, `time_s` on the source's clock, `unix_s` of their arrival, `sender`, and the sender's own `sent_s` if it gave
    one. `time_s` is the time of arrival less what lies between the monotonic clock and the source's clock at the newest
    frame; marks before the first frame wait for it (a time below 0 is before the first frame) and have null for a time if
    none comes. It has to be a source with a pace of its own: a live one, or a file in real time.

    Listens from construction on, entering starts the thread, leaving ends it. Raises `SinkError` at construction when the
    port or the file cannot be had, and from `write` and `finish` when the file cannot take more.
    """

    def __init__(self, address: NetworkAddress, path: Path | None = None) -> None:
        self._lines = LineFile(path, "markers file") if path is not None else None
        try:
            self._socket = open_socket(address, socket.SOCK_DGRAM, "the marker port")
        except SinkError:
            if self._lines is not None:
                self._lines.abandon()
            raise
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        self.address = bound_to(self._socket)
        self._woken, self._waker = socket.socketpair()
        self._lock = threading.Lock()
        self._counts = MarkerCounts()
        self._offset_s: float | None = None
        self._waiting: deque[_Arrived] = deque()
        self._recent: deque[PlacedMark] = deque(maxlen=_RECENT)
        self._subscribers: Subscribers[Sender] = Subscribers(MAX_SUBSCRIBERS, SUBSCRIBED_S)
        self._limits = SenderLimits(RATE_HZ, BURST)
        self._flood = 0
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="markers", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None and self._error is None:
            self.close()
            return
        self._end()
        if self._lines is not None:
            self._lines.abandon()
        if error is None and self._error is not None:
            # It came after the last frame: nothing else would tell of it.
            raise self._error

    @property
    def counts(self) -> MarkerCounts:
        return self._counts

    def recent(self) -> tuple[PlacedMark, ...]:
        """The last marks that were kept, the newest last, for drawing. From any thread."""
        with self._lock:
            return tuple(self._recent)

    def write(self, result: FrameResult) -> None:
        if self._error is not None:
            raise self._error
        with self._lock:
            if self._lines is not None:
                self._lines.begin()
            self._offset_s = result.frame.captured_s - result.frame.time_s
            while self._waiting:
                self._keep(self._waiting.popleft())
            self._tell(result.events)

    def finish(self, events: Sequence[Event]) -> None:
        if self._error is not None:
            raise self._error
        with self._lock:
            self._tell(events)

    def close(self) -> None:
        self._end()
        while self._waiting:
            self._keep(self._waiting.popleft())
        if self._lines is not None:
            self._lines.close()

    def _tell(self, events: Sequence[Event]) -> None:
        """Accepted events to all subscribers."""
        accepted = [event for event in events if event.rejected is None]
        present = self._subscribers.present(time.monotonic()) if accepted else ()
        for event in accepted:
            for who in present:
                self._send({"event": event_message(event)}, who, counted=True)

    def _end(self) -> None:
        if self._waker.fileno() < 0:
            return
        self._waker.close()
        if self._thread.is_alive():
            self._thread.join()
        self._woken.close()
        self._socket.close()

    def _work(self) -> None:
        try:
            with selectors.DefaultSelector() as waiting:
                waiting.register(self._socket, selectors.EVENT_READ)
                # The other end is closed when the run ends, which wakes this one.
                waiting.register(self._woken, selectors.EVENT_READ)
                while all(key.fileobj is not self._woken for key, _ in waiting.select()):
                    for _ in range(_AT_ONCE):
                        if not self._receive():
                            break
                    if self._flood:
                        with self._lock:
                            self._count(over_rate=self._flood)
                        self._flood = 0
                        time.sleep(_FLOODED_S)
        except BaseException as error:
            self._error = error

    def _receive(self) -> bool:
        """Whether there may be more."""
        try:
            datagram, sender = self._socket.recvfrom(MAX_DATAGRAM_BYTES + 1)
        except BlockingIOError:
            return False
        except ConnectionError:
            return True  # word that an earlier answer found nobody
        arrived_s, unix_s = time.monotonic(), time.time()
        messages = datagram.count(b"\n") + 1
        if self._limits.is_flooding(sender, messages, arrived_s):
            self._flood += messages
            return True
        with self._lock:
            try:
                lines = lines_of(datagram)
            except MessageError as error:
                self._answer_malformed(error, sender, arrived_s)
                return True
            for line in lines:
                if self._limits.allows(sender, arrived_s):
                    self._take(line, sender, arrived_s, unix_s)
                else:
                    self._leave_out(sender, arrived_s)
        return True

    def _leave_out(self, sender: Sender, now_s: float) -> None:
        self._count(over_rate=1)
        if count := self._limits.to_tell(sender, now_s):
            self._send({"error": f"up to {RATE_HZ:g} messages a second: {count} left out"}, sender)

    def _take(self, line: bytes, sender: Sender, arrived_s: float, unix_s: float) -> None:
        try:
            message = parse_message(line)
        except MessageError as error:
            self._count(malformed=1)
            self._send({"error": str(error)}, sender)
            return
        if isinstance(message, Mark):
            self._send(self._mark(_Arrived(message, arrived_s, unix_s, sender)), sender)
        elif not message.wanted:
            self._subscribers.remove(sender)
            self._send({"subscribed": False}, sender)
        elif self._subscribers.add(sender, arrived_s):
            self._send({"subscribed": True, "lasts_s": SUBSCRIBED_S}, sender)
        else:
            self._send({"error": f"{MAX_SUBSCRIBERS} subscribers are the most"}, sender)

    def _answer_malformed(self, error: MessageError, sender: Sender, now_s: float) -> None:
        if self._limits.allows(sender, now_s):
            self._count(malformed=1)
            self._send({"error": str(error)}, sender)
        else:
            self._leave_out(sender, now_s)

    def _mark(self, arrived: _Arrived) -> Mapping[str, Any]:
        """Keeps a mark, or puts it by until the first frame; the answer to it."""
        if self._lines is None:
            return {"error": "marks are not kept: start with --markers OUT.jsonl"}
        if self._offset_s is not None:
            return {"marked": arrived.mark.text, "time_s": self._keep(arrived)}
        own = sum(1 for one in self._waiting if one.sender == arrived.sender)
        if len(self._waiting) >= _MAX_WAITING or own >= _MAX_WAITING_EACH:
            return {"error": "too many marks before the first frame"}
        self._waiting.append(arrived)
        return {"marked": arrived.mark.text, "time_s": None}

    def _keep(self, arrived: _Arrived) -> float | None:
        """Writes a mark; its time on the source's clock, None where there was no frame to tell it."""
        time_s = None if self._offset_s is None else round(arrived.monotonic_s - self._offset_s, 4)
        sender = str(NetworkAddress(*arrived.sender[:2]))
        fields = {"mark": arrived.mark.text, "time_s": time_s, "unix_s": round(arrived.unix_s, 4), "sender": sender}
        if arrived.mark.sent_s is not None:
            fields["sent_s"] = arrived.mark.sent_s
        assert self._lines is not None
        self._lines.write(json.dumps(fields) + "\n")
        self._count(marks=1)
        if time_s is not None:
            self._recent.append(PlacedMark(arrived.mark.text, time_s))
        return time_s

    def _send(self, message: Mapping[str, Any], to: Sender, counted: bool = False) -> None:
        """Without waiting: what the system does not take is counted and lost, as UDP may lose it anyway."""
        try:
            self._socket.sendto(json.dumps(message).encode() + b"\n", to)
        except OSError:
            self._count(unsent=1)
        else:
            self._count(sent=int(counted))

    def _count(self, **more: int) -> None:
        self._counts = replace(self._counts, **{name: getattr(self._counts, name) + n for name, n in more.items()})
