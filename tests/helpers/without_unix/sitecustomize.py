"""Python loads this first in every process that has its folder on PYTHONPATH, and in those that these start: what one system has and
another has not is gone. Nobody forks or asks for memory without a name; the rest is gone for the project's own code, for libraries
know how to do without, each in its own way.

With the name of a file in MICROLIVE_TEST_PROCESSES every such process adds its command line to it.
"""

import builtins
import io
import os
import signal
import socket
import sys
import types
from typing import Any

MODULES = ("fcntl", "resource", "termios", "tty", "pty", "grp", "pwd")
FOR_ALL = "fork forkpty memfd_create sched_getaffinity posix_fallocate"
FOR_OURS = {
    os: "getuid geteuid setsid killpg uname sysconf",
    socket: "SO_REUSEPORT AF_UNIX",
    signal: "SIGKILL SIGHUP SIGUSR1 pthread_sigmask",
}
OURS = ("__main__", "__mp_main__", "run_live", "model", "stream", "train", "export", "microlive")

for name in FOR_ALL.split():
    if hasattr(os, name):
        delattr(os, name)
plain_import, plain_open = builtins.__import__, io.open
poorer = {module.__name__: types.ModuleType(module.__name__) for module in FOR_OURS}
for module, names in FOR_OURS.items():
    kept = {name: value for name, value in vars(module).items() if name not in names.split()}
    vars(poorer[module.__name__]).update(kept)


def import_without(name: str, scope: Any = None, *args: Any, **kwargs: Any) -> Any:
    """What our modules get, and what they do not get."""
    if str((scope or {}).get("__name__")).split(".")[0] in OURS:
        if name in MODULES:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        if name in poorer:
            return poorer[name]
    return plain_import(name, scope, *args, **kwargs)


def open_without(file: Any, *args: Any, **kwargs: Any) -> Any:
    """What a path opens. psutil has its own ways, on every system."""
    if str(file).startswith("/proc"):
        raise FileNotFoundError(2, "No such file or directory", str(file))
    return plain_open(file, *args, **kwargs)


builtins.__import__, io.open = import_without, open_without
if record := os.environ.get("MICROLIVE_TEST_PROCESSES"):
    with plain_open(record, "a", encoding="utf-8") as file:
        file.write(" ".join(sys.orig_argv) + "\n")
