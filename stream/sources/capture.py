"""Watches over the capture process: opens, times out, ends what hangs, and opens again.

The program's end of the capture process.
"""

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from multiprocessing import Pipe
from multiprocessing import connection as pipes
from pathlib import Path
from typing import Protocol

from model.signals import signals_blocked
from model.types import Image
from stream.health import Connection, ConnectionState, Outage
from stream.picture_limits import MOST_PIXELS
from stream.sources.base import Backoff, LiveSettings, SourceError
from stream.sources.capture_protocol import (
    CapturedPicture,
    CaptureError,
    Damaged,
    FreeSlot,
    Lost,
    Message,
    Opened,
    OpenOrder,
    Order,
    Ready,
    RingReader,
    shared_file,
)

_ROOT = Path(__file__).resolve().parent.parent.parent
_CHILD = "stream.sources.capture_child"
_DECODER = {
    # FFmpeg's log has a switch of its own. A picture must come out as soon as it is in.
    "OPENCV_FFMPEG_LOGLEVEL": "-8",
    "OPENCV_FFMPEG_CAPTURE_OPTIONS": "rtsp_transport;tcp|fflags;nobuffer|flags;low_delay",
    "OPENCV_LOG_LEVEL": "SILENT",
    # What a damaged picture claims to be would fill the memory.
    "OPENCV_IO_MAX_IMAGE_PIXELS": str(MOST_PIXELS),
}
_LAST_WAIT_S = 2.0
_START_TIMEOUT_S = 20.0
_GRACE_S = 0.25
"""The decoder has the same limits and may keep them itself; a process that has to be ended costs a new one."""
_QUICK_S, _QUICK_SHARE, _FULL_EVERY = 1.0, 2.0, 5
"""A source that opened quickly before is given twice that time (1 s at least) when it is opened again, so that a try
that falls silent does not keep the next from finding it well again; every fifth try has the full time."""
_OUTAGES = 1000


class CaptureProcess:
    """A process that reads a camera or a stream, started on construction and ended by `kill`.

    In a session of its own and born without signals that end programs, so that those reach the program only, which then
    ends it. Addresses go through the
    connection, never through the command line, which everybody on the machine can read. Raises SourceError where no
    file descriptors can be handed on.
    """

    def __init__(self) -> None:
        if sys.platform == "win32":
            raise SourceError("cameras and network streams are not read on Windows yet: record a file and give that")
        ours, theirs = Pipe()
        memory = shared_file()
        self._ring = RingReader(memory)
        self._connection: pipes.Connection = ours
        self._sending = threading.Lock()
        path = os.pathsep.join(part for part in (str(_ROOT), os.environ.get("PYTHONPATH")) if part)
        with theirs, signals_blocked():
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", _CHILD, str(theirs.fileno()), str(memory)],
                pass_fds=(theirs.fileno(), memory),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                env={**_DECODER, **os.environ, "PYTHONPATH": path},
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def send(self, order: Order) -> None:
        """From any thread; to a process that has ended it is lost, which `receive` will tell."""
        with self._sending, contextlib.suppress(OSError):
            self._connection.send(order)

    def receive(self, timeout_s: float) -> Message | None:
        """The next message, None when there is none for so long. CaptureError when the process has ended."""
        try:
            return self._connection.recv() if self._connection.poll(max(0.0, timeout_s)) else None
        except (EOFError, OSError):
            raise CaptureError(self._death()) from None

    def copy(self, picture: CapturedPicture) -> Image:
        """A copy of a picture that it has placed; its slot is free again. Also when the process has ended since."""
        image = self._ring.read(picture.offset, picture.shape)
        self.release(picture)
        return image

    def release(self, picture: CapturedPicture) -> None:
        """The picture is not wanted."""
        self.send(FreeSlot(picture.slot))

    def kill(self) -> None:
        """Ends it whatever it does; from any thread, more than once."""
        self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            # In a driver that hangs, not even the kernel can end it.
            self._process.wait(_LAST_WAIT_S)

    def close(self) -> None:
        """Ends it and gives the connection back; by the thread that receives."""
        self.kill()
        with self._sending:
            self._connection.close()

    def _death(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_LAST_WAIT_S)
        code = self._process.returncode
        return f"the capture process was ended by signal {-code}" if code and code < 0 else "the capture process ended"


class CaptureStock:
    """Capture processes that wait, started, for sources that come: starting one takes a third of a second of processor
    time, which on a busy machine is seconds. Any thread may use it. They end with this program, however that ends."""

    def __init__(self) -> None:
        self._waiting: deque[CaptureProcess] = deque()

    def fill(self, count: int) -> None:
        """So many wait. Raises SourceError where none can be started."""
        while len(self._waiting) < count:
            self._waiting.append(CaptureProcess())

    def take(self) -> CaptureProcess:
        """One that waits, or a new one; it is the taker's. Raises SourceError where none can be started."""
        with contextlib.suppress(IndexError):
            while not (process := self._waiting.popleft()).running:
                process.close()
            return process
        return CaptureProcess()


class Taker(Protocol):
    """Whom the watch tells, in its own thread."""

    def opened(self, opened: Opened) -> None:
        """A picture follows; after every reconnection too."""
        ...

    def take(self, process: CaptureProcess, picture: CapturedPicture) -> None:
        """Must release it, or take it from the process."""
        ...

    def is_behind(self) -> bool:
        """Whether pictures wait to be read, so that nothing new can come of a file."""
        ...

    def finished(self, error: Exception | None) -> None:
        """Nothing more will come."""
        ...


class CaptureWatch(threading.Thread):
    """The thread that owns the capture process. `stop` ends both, from any thread."""

    def __init__(
        self,
        target: int | str,
        name: str,
        settings: LiveSettings,
        taker: Taker,
        on_change: Callable[[Connection], None] | None = None,
        new_process: Callable[[], CaptureProcess] = CaptureProcess,
    ) -> None:
        super().__init__(name="capture", daemon=True)
        self._target, self._source_name = target, name
        self._settings = settings
        self._taker = taker
        self._on_change = on_change
        self._new_process = new_process
        self._stopped = threading.Event()
        self._starting = threading.Lock()
        self._process: CaptureProcess | None = None
        self._ready = False
        self._live = True
        self._opened_in_s: float | None = None
        self._newest_s: float | None = None
        self._damaged_before = self._damaged_now = 0
        self._outages: deque[Outage] = deque(maxlen=_OUTAGES)
        self.reconnects = 0
        self.connection = Connection("opening", time.monotonic())

    @property
    def damaged(self) -> int:
        """Pictures that were cut off or damaged."""
        return self._damaged_before + self._damaged_now

    def outages(self) -> tuple[Outage, ...]:
        """On the monotonic clock."""
        return tuple(self._outages)

    def stop(self) -> None:
        self._stopped.set()
        with self._starting:
            process = self._process
        if process is not None:
            process.kill()

    def run(self) -> None:
        error: Exception | None = None
        try:
            error = self._keep_connected()
        except Exception as unexpected:  # whatever it is, whoever reads the source must hear of it
            error = unexpected
        finally:
            self._end_process()
            self._change("ended", 0, "" if error is None else str(error))
            self._taker.finished(error)

    def _keep_connected(self) -> SourceError | None:
        """Until the source ends or is stopped (None), or is given up."""
        backoff = Backoff()
        tries = 0
        while not self._stopped.is_set():
            tries += 1
            self._change(self.connection.state, tries, self.connection.reason)
            lost = self._read_once(tries)
            if self._stopped.is_set():
                return None
            if self.connection.state == "connected":
                backoff.reset()
                tries = 0
                if lost.ended and (not self._live or self._settings.retry_for_s == 0):
                    return None
                self._begin_outage(lost.reason)
            error = self._given_up(lost)
            if error is not None:
                return error
            self._change(self.connection.state, tries, lost.reason)
            # A new process, where one is needed, starts during the wait.
            self._start_process()
            self._stopped.wait(min(backoff.next_s(), self._left_s()))
        return None

    def _read_once(self, tries: int) -> Lost:
        """Opens the source and reads it until it is lost; why."""
        try:
            process = self._start_process()
            if process is None:
                return Lost("stopped")
            if not self._ready and not isinstance(process.receive(_START_TIMEOUT_S), Ready):
                raise CaptureError(f"the capture process did not start within {_START_TIMEOUT_S:g} s")
            self._ready = True
            return self._converse(process, self._open_timeout_s(tries))
        except CaptureError as error:
            self._end_process()
            return Lost(str(error))

    def _converse(self, process: CaptureProcess, open_timeout_s: float) -> Lost:
        """Raises CaptureError when the process is of no more use."""
        settings, camera = self._settings, self._settings.camera
        process.send(
            OpenOrder(self._target, open_timeout_s, settings.read_timeout_s, camera.size_px, camera.fps, camera.backend)
        )
        self._damaged_before, self._damaged_now = self.damaged, 0
        asked_s = time.monotonic()
        deadline_s, limit_s = asked_s + open_timeout_s + _GRACE_S, open_timeout_s
        connected = False
        while True:
            message = process.receive(deadline_s - time.monotonic())
            match message:
                case Lost():
                    return message
                case Opened():
                    self._live = message.live
                    self._taker.opened(message)
                case Damaged():
                    self._damaged_now = message.count
                case CapturedPicture():
                    if not connected:
                        connected = True
                        self._opened_in_s = time.monotonic() - asked_s
                        self._connected(message.captured_s)
                    self._newest_s = message.captured_s
                    limit_s = settings.read_timeout_s
                    deadline_s = time.monotonic() + limit_s + _GRACE_S
                    self._taker.take(process, message)
                case _ if connected and not self._live and self._taker.is_behind():
                    deadline_s = time.monotonic() + limit_s + _GRACE_S
                case _:
                    what = "whole picture" if self._damaged_now else "picture"
                    raise CaptureError(f"no {what} within {limit_s:g} s")

    def _open_timeout_s(self, tries: int) -> float:
        full_s = self._settings.open_timeout_s
        if self._opened_in_s is None or tries % _FULL_EVERY == 0:
            return full_s
        return min(full_s, max(_QUICK_S, _QUICK_SHARE * self._opened_in_s))

    def _given_up(self, lost: Lost) -> SourceError | None:
        name = self._source_name
        if not self._live:
            return SourceError(f"{name} broke off before its end: {lost.reason}")
        if self._newest_s is None and not self._settings.wait:
            if lost.too_large:
                return SourceError(f"{name} cannot be read: {lost.reason}")
            if isinstance(self._target, int):
                return SourceError(f"{name} cannot be opened: see --list-cameras")
            return SourceError(f"{name} cannot be opened: {lost.reason}; check the address and that the server is up")
        if self._left_s() > 0:
            return None
        return SourceError(
            f"{name} is gone: {lost.reason}; given up after {self._settings.retry_for_s:g} s (--retry-for)"
        )

    def _left_s(self) -> float:
        """For how long a lost source is still tried."""
        if self._settings.retry_for_s is None:
            return float("inf")
        return self._settings.retry_for_s - (time.monotonic() - self.connection.since_s)

    def _connected(self, now_s: float) -> None:
        if self._outages and self._outages[-1].ended_s is None:
            self._outages[-1] = replace(self._outages[-1], ended_s=now_s)
            self.reconnects += 1
        self._change("connected", 0, "", now_s)

    def _begin_outage(self, reason: str) -> None:
        assert self._newest_s is not None
        self._outages.append(Outage(self._newest_s, None, reason))
        self._change("reconnecting", 0, reason, self._newest_s)

    def _change(self, state: ConnectionState, tries: int, reason: str, since_s: float | None = None) -> None:
        if since_s is None:
            since_s = self.connection.since_s if state == self.connection.state else time.monotonic()
        self.connection = Connection(state, since_s, tries, reason)
        if self._on_change is not None:
            self._on_change(self.connection)

    def _start_process(self) -> CaptureProcess | None:
        """The process, a new one where there is none; None when the source has been stopped."""
        with self._starting:
            if self._process is None and not self._stopped.is_set():
                self._process, self._ready = self._new_process(), False
            return self._process

    def _end_process(self) -> None:
        with self._starting:
            process, self._process = self._process, None
        if process is not None:
            process.close()
