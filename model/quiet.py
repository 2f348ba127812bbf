"""Keeps what native libraries write to the error stream off the terminal. Standard library only."""

import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager


def hold_standard_streams() -> None:
    """Where standard input, output or error is closed, the null device takes its place; to be called before anything else.

    Otherwise the first files that are opened get their numbers, and take what was meant for a screen.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(number, True)
    os.close(number)
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


@contextmanager
def native_log_held_back(shown_on_error: bool = False) -> Iterator[None]:
    """Drops what native code writes to file descriptor 2 inside the block; Python exceptions pass as always.

    TensorFlow reports harmless things (plugins registered twice, a graph rewrite that did not apply) as errors, before
    and beside its own log level; MediaPipe and FFmpeg talk too. With `shown_on_error` it is shown after all when the
    block raises: our own errors say what is wrong in one line, so callers raise them after the block. The environment
    variable MICROLIVE_NATIVE_LOG=1 lets everything through. Blocks may overlap, in several threads too.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if os.environ.get("MICROLIVE_NATIVE_LOG") == "1":
        yield
        return
    with tempfile.TemporaryFile() as log:
        _DESCRIPTOR.hold(log.fileno())
        try:
            yield
        except BaseException:
            _DESCRIPTOR.release()
            if shown_on_error:
                log.seek(0)
                said = log.read().decode(errors="replace")
                # It may repeat names from files of others, in which a terminal would find orders.
                sys.stderr.write("".join(c if c.isprintable() or c == "\n" else "?" for c in said))
            raise
        else:
            _DESCRIPTOR.release()


class _ErrorDescriptor:
    """File descriptor 2, of which a process has one: the first block that holds it turns it aside, the last one that lets
    it go puts it back. Of blocks that overlap, the first one's log takes what all of them write."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holders = 0
        self._kept = -1

    def hold(self, target: int) -> None:
        with self._lock:
            if self._holders == 0:
                sys.stderr.flush()
                self._kept = os.dup(2)
                os.dup2(target, 2)
            self._holders += 1

    def release(self) -> None:
        with self._lock:
            self._holders -= 1
            if self._holders == 0:
                sys.stderr.flush()
                os.dup2(self._kept, 2)
                os.close(self._kept)


_DESCRIPTOR = _ErrorDescriptor()
