"""Keeps TensorFlow's start-up chatter off the terminal. Standard library only."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def native_stderr_silenced() -> Iterator[None]:
    """Drops what native code writes to standard error inside the block; Python exceptions pass as always.

    TensorFlow reports harmless things (plugins registered twice, a graph rewrite that did not apply) as errors, before
    and beside its own log level. Set MICROLIVE_NATIVE_LOG=1 to see them.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if os.environ.get("MICROLIVE_NATIVE_LOG") == "1":
        yield
        return
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
