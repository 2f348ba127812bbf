"""Keeps what native libraries write to the error stream off the terminal. Standard library only."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def native_log_held_back(shown_on_error: bool = False) -> Iterator[None]:
    """Drops what native code writes to file descriptor 2 inside the block; Python exceptions pass as always.

    TensorFlow reports harmless things (plugins registered twice, a graph rewrite that did not apply) as errors, before
    and beside its own log level; MediaPipe and FFmpeg talk too. With `shown_on_error` it is shown after all when the
    block raises: our own errors say what is wrong in one line, so callers raise them after the block. The environment
    variable MICROLIVE_NATIVE_LOG=1 lets everything through.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if os.environ.get("MICROLIVE_NATIVE_LOG") == "1":
        yield
        return
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as log:
        os.dup2(log.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(kept, 2)
            if shown_on_error:
                log.seek(0)
                sys.stderr.write(log.read().decode(errors="replace"))
            raise
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
