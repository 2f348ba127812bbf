"""What the operating system knows of this process: when it began and how much memory it has needed."""

import os
import sys
import time
from pathlib import Path

_IMPORTED_S = time.monotonic()


def seconds_since_start() -> float:
    """Since the process began, its imports included; where the system does not tell, since this module was loaded."""
    try:
        # Field 22 of /proc/self/stat, counted behind the name in brackets: start after boot, in clock ticks.
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, AttributeError):
        return time.monotonic() - _IMPORTED_S


def peak_memory_mb() -> float:
    """The most memory the process has had resident, in 10^6 bytes; 0 where the system does not tell."""
    try:
        import resource
    except ImportError:
        return 0.0
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def memory_mb() -> float:
    """Memory resident now, in 10^6 bytes; 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    except (OSError, ValueError, IndexError, AttributeError):
        return 0.0
