"""What the program says, on its way to a terminal that perhaps nobody reads."""

import io
import os
import select
import threading
import time
from typing import TextIO

_MOST_BYTES = 64 * 1024
_PIECE_BYTES = 4096
_STUCK_S = 1.0
_LAST_WAIT_S = 5.0


class ScreenWriter(io.TextIOBase):
    """A text stream whose `write` never waits: a thread hands on what is written.

    A terminal that is stopped (Ctrl-S), a hung ssh or a pipe that nobody reads holds up that thread alone. At most 64 KiB
    wait, and what finds no room is left out; of a terminal or pipe that is gone, everything is. A stream without a file
    (a test's) is written to at once.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        try:
            # One of its own: others turn the process's aside (`model.quiet`).
            self._file = os.dup(stream.fileno())
        except (OSError, ValueError):
            self._file = -1
        self._changed = threading.Condition()
        self._waiting = bytearray()
        self._gone = self._ending = False
        self._thread = threading.Thread(target=self._work, name="screen", daemon=True)

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._stream.encoding or "utf-8"

    @property
    def behind(self) -> bool:
        """Whether something still waits: no time for pictures that the next one replaces."""
        return len(self._waiting) > 0

    def isatty(self) -> bool:
        return self._stream.isatty()

    def writable(self) -> bool:
        return True

    def write(self, text: str, /) -> int:
        if self._file < 0:
            return self._stream.write(text)
        data = text.encode(self.encoding, "replace")
        with self._changed:
            if not self._gone and not self._ending and len(self._waiting) + len(data) <= _MOST_BYTES:
                self._waiting += data
                self._changed.notify_all()
                if self._thread.ident is None:
                    self._thread.start()
        return len(text)

    def flush(self) -> None:
        if self._file < 0:
            self._stream.flush()

    def close(self) -> None:
        """Waits for what is still to be written, as long as it goes on; not for a terminal that takes nothing for a second."""
        if self._file < 0 or self._ending:
            return
        until_s = time.monotonic() + _LAST_WAIT_S
        with self._changed:
            self._ending = True
            self._changed.notify_all()
            left_bytes = len(self._waiting) + 1
            while 0 < len(self._waiting) < left_bytes and time.monotonic() < until_s:
                left_bytes = len(self._waiting)
                self._changed.wait(_STUCK_S)
        # In a write that hangs it goes on holding the file, and ends with the process.
        if not self._waiting:
            os.close(self._file)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._ending)
                data = bytes(self._waiting[:_PIECE_BYTES])
            if not data:
                return
            try:
                taken = os.write(self._file, data)
            except BlockingIOError:  # somebody has made the terminal one that does not wait
                select.select([], [self._file], [], _STUCK_S)
                taken = 0
            except OSError:
                taken = 0
                self._gone = True
            with self._changed:
                del self._waiting[: len(self._waiting) if self._gone else taken]
                self._changed.notify_all()
