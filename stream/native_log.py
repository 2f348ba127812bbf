"""Keeps what native libraries write to the error stream off the screen while one of them is being opened."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def native_log_held_back() -> Iterator[None]:
    """Drops what is written to file descriptor 2; it is shown after all when an unexpected error is raised.

    Our own errors say what is wrong in one line, so callers raise them after the block.
    """
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as log:
        os.dup2(log.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(saved, 2)
            log.seek(0)
            sys.stderr.write(log.read().decode(errors="replace"))
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)
