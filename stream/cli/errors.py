"""How a program ends: its exit code, and one line for an error."""

import sys
from collections.abc import Callable

from model.errors import MicroliveError
from model.guards import shown
from model.signals import EndSignals
from stream.screen.writer import ScreenWriter


def exit_code(run: Callable[[EndSignals], int], debug: bool, interrupted: int) -> int:
    """Of `run`; 1 and a line on the error stream when it raises, `interrupted` after Ctrl-C, SIGTERM or SIGHUP. With `debug`
    errors pass."""
    with EndSignals() as signals:
        try:
            return run(signals)
        except KeyboardInterrupt:
            return interrupted
        except Exception as error:
            if debug:
                raise
            signals.finishing()
            if sys.stderr is not None:
                writer = ScreenWriter(sys.stderr)
                writer.write(f"error: {shown(_one_line(error))}\n")
                writer.close()
            return 1


def _one_line(error: Exception) -> str:
    """Our own errors say what to do; anything else is told by its kind."""
    if isinstance(error, MicroliveError):
        return str(error)
    if isinstance(error, ImportError):
        return (
            f"{error}. Run `make install`; OpenCV also needs, on Debian and Ubuntu: apt-get install libgl1 libglib2.0-0"
        )
    return f"unexpected {type(error).__name__}: {' '.join(str(error).split())} (run again with --debug for the details)"
