"""Commands that do what no command may, through the tool: `python -m tests.fuzz.misbehaviour FOLDER` prints what it saw.

A process of its own, since a fork must find no threads: other tests have made some, and a lock that one of them holds
is never free again.
"""

import ctypes
import json
import os
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.fuzz import forked
from tests.fuzz.case import Case
from tests.fuzz.forked import Runner
from tests.fuzz.verdict import problems

_HANGS_AFTER_S, _PATIENCE_S = 5.0, 240.0


def _hang() -> int:
    threading.Event().wait()
    return 0


def _crash() -> int:
    ctypes.string_at(0)
    return 0


def _raise() -> int:
    raise KeyError("nobody expected this")


def _say_nothing() -> int:
    return 1


def _be_unclear() -> int:
    print("error: unexpected KeyError: 'x' (run again with --debug for the details)", file=sys.stderr)
    return 1


def _tear() -> int:
    Path("rows.csv").write_text("a,b\n1,2\n3")
    return 0


def _leave_a_process() -> int:
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    return 0


def _leave_a_thread() -> int:
    threading.Thread(target=time.sleep, args=(60,), daemon=True, name="forgotten").start()
    return 0


def _end_strangely() -> int:
    return 3


def _be_good() -> int:
    Path("rows.csv").write_text("a,b\n1,2\n")
    print("error: rows.csv is no video: give one", file=sys.stderr)
    return 1


WRONG: dict[str, Callable[[], int]] = {
    "hang": _hang,
    "crash": _crash,
    "traceback": _raise,
    "silent": _say_nothing,
    "unclear": _be_unclear,
    "torn": _tear,
    "orphan": _leave_a_process,
    "threads": _leave_a_thread,
    "code": _end_strangely,
}


def what_is_seen(folder: Path) -> dict[str, object]:
    """By the name of the misbehaviour: the problems found."""
    forked._GRACE_S = 0.3
    found: dict[str, object] = {}
    commands = {**WRONG, "good": _be_good}
    forked._called = lambda case, argv: _as_a_command(commands[argv[0]])
    for name in commands:
        place, case = folder / name, Case("run_live", (name,), "none", ("rows.csv",))
        place.mkdir()
        timeout_s = _HANGS_AFTER_S if name == "hang" else _PATIENCE_S
        [(_, ended)] = Runner(jobs=1, timeout_s=timeout_s).run(iter([(1, place, case)]))
        found[name] = [kind for kind, _ in problems(case, place, ended)]
    found["stacks"] = (folder / "hang" / forked.STACKS).read_text()
    forked._called = lambda case, argv: int(argv[0])
    found["side by side"] = {
        number: ended.code for number, ended in Runner(jobs=3, timeout_s=_PATIENCE_S).run(_seven(folder))
    }
    forked.in_child(lambda: (folder / "seen").write_text(str(os.getpid())))
    try:
        forked.in_child(_raise)
        failure = ""
    except RuntimeError as error:
        failure = str(error)
    found["in_child"] = [os.getpid(), int((folder / "seen").read_text()), failure]
    return found


def _seven(folder: Path) -> Iterator[tuple[int, Path, Case]]:
    for number in range(7):
        (folder / str(number)).mkdir()
        yield number, folder / str(number), Case("train", (str(number % 3),), "", ())


def _as_a_command(command: Callable[[], int]) -> int:
    try:
        return command()
    except Exception:
        traceback.print_exc()
        return 1


if __name__ == "__main__":
    print(json.dumps(what_is_seen(Path(sys.argv[1]))))
