"""Runs a case in a process of its own, forked from one that has everything loaded: an input costs tenths of a second.

Forking is safe here because the parent makes no threads: neither OpenCV, MediaPipe, ONNX Runtime nor TensorFlow starts
any when it is imported, which `preload` makes sure of. The child has a session of its own, files for its output, and limits.
"""

import ctypes
import faulthandler
import gc
import importlib
import os
import pkgutil
import resource
import selectors
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz.case import Case
from tests.helpers.paths import ROOT
from tests.helpers.processes import children

OUT, ERR, STACKS, LEFT = "stdout.txt", "stderr.txt", "stacks.txt", "threads-left.txt"
MEMORY_BYTES = 4 << 30
FILE_BYTES = 1 << 30
_MARK = "MICROLIVE_FUZZ_INPUT"
_GRACE_S = 3.0
_STACKS_S = 0.5
_SUBREAPER = 36
_COMMANDS = {
    "run_live": [sys.executable, str(ROOT / "run_live.py")],
    "train": [sys.executable, "-m", "train"],
    "export": [sys.executable, "-m", "export"],
}
_MODULES = (
    "run_live", "stream.cli.app", "stream.sources.mjpeg_reader", "stream.session.report", "train.__main__", "train.report.page",
    "train.scores.evaluate", "train.loso.loso", "train.experiments.left_out", "train.experiments.schedule", "train.datasets.long_videos",
    "export.__main__", "onnx", "openpyxl",
    "matplotlib.pyplot", "jinja2", "yaml", "tests.fuzz.kinds", "tests.fuzz.model_mutations",
    *(f"train.commands.{module.name}" for module in pkgutil.iter_modules([str(ROOT / "train" / "commands")])),
)  # fmt: skip


@dataclass(frozen=True)
class Ended:
    """How a command ended: `code` is None where a `signal` ended it, which is None again where it was out of time.

    `threads`: of Python, that were still there a while after the command. `orphans`: processes that outlived it.
    """

    code: int | None
    signal: int | None
    seconds: float
    peak_mb: float
    threads: tuple[str, ...] = ()
    orphans: int = 0

    @property
    def hung(self) -> bool:
        return self.code is None and self.signal is None


@dataclass
class _Running:
    number: int
    pid: int
    folder: Path
    started_s: float
    pidfd: int = field(default=-1)


def preload(modules: Sequence[str] = _MODULES, tensorflow: bool = False) -> None:
    """Imports what commands need; raises RuntimeError where that makes threads, which a fork would lose."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
    for name in modules:
        importlib.import_module(name)
    importlib.import_module("stream.face.landmarks").load_face_mesh_class()
    if tensorflow:
        from model.quiet import native_log_held_back

        with native_log_held_back():
            importlib.import_module("keras")
            importlib.import_module("export.streaming.parity")
    threads = len(os.listdir("/proc/self/task"))
    if threads > 1:
        raise RuntimeError(f"expected imports that make no threads, found {threads - 1}: forking is not safe")


def in_child(work: Callable[[], object]) -> None:
    """Calls it in a forked process, whose output goes nowhere unless it fails; raises RuntimeError then."""
    log = os.memfd_create("log")
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            _redirect({1: log, 2: log})
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            _flush()
            os._exit(code)
    if os.waitpid(pid, 0)[1] != 0:
        os.lseek(log, 0, os.SEEK_SET)
        with os.fdopen(log) as said:
            raise RuntimeError(f"it failed:\n{said.read()[-4000:]}")
    os.close(log)


class Runner:
    """Runs cases, `jobs` at a time, each no longer than `timeout_s`. `real`: as programs of their own instead (slow)."""

    def __init__(self, jobs: int, timeout_s: float, real: bool = False) -> None:
        self._jobs, self._timeout_s, self._real = jobs, timeout_s, real
        self._not_ours = frozenset(children(os.getpid()))

    def run(self, prepared: Iterator[tuple[int, Path, Case]]) -> Iterator[tuple[int, Ended]]:
        """(number, folder, case) → (number, how it ended), in the order of their ends."""
        running: dict[int, _Running] = {}
        more = True
        _adopt_orphans(True)
        with selectors.DefaultSelector() as ends:
            try:
                while more or running:
                    while more and len(running) < self._jobs:
                        found = next(prepared, None)
                        more = found is not None
                        if found is not None:
                            one = self._start(*found)
                            running[one.pid] = one
                            ends.register(one.pidfd, selectors.EVENT_READ, one)
                    if not running:
                        break
                    oldest_s = min(one.started_s for one in running.values())
                    done = ends.select(max(0.0, oldest_s + self._timeout_s - time.monotonic()))
                    now_s = time.monotonic()
                    over = [one for one in running.values() if now_s - one.started_s >= self._timeout_s]
                    for one in {one.pid: one for one in [*(key.data for key, _ in done), *over]}.values():
                        ends.unregister(one.pidfd)
                        del running[one.pid]
                        yield one.number, self._finish(one, self._not_ours | set(running))
            finally:
                for one in running.values():
                    _kill(one.pid)
                    os.waitpid(one.pid, 0)
                _adopt_orphans(False)

    def _start(self, number: int, folder: Path, case: Case) -> _Running:
        _flush()
        started_s = time.monotonic()
        pid = os.fork()
        if pid == 0:
            code = 70
            try:
                code = _child(number, folder, case, self._real)
            finally:
                os._exit(code)
        return _Running(number, pid, folder, started_s, os.pidfd_open(pid))

    def _finish(self, one: _Running, others: frozenset[int]) -> Ended:
        os.close(one.pidfd)
        pid, status, usage = os.wait4(one.pid, os.WNOHANG)
        hung = pid == 0
        if hung:
            os.kill(one.pid, signal.SIGUSR1)  # where it hangs
            deadline_s = time.monotonic() + _GRACE_S
            while not _size(one.folder / STACKS) and time.monotonic() < deadline_s:
                time.sleep(0.02)
            time.sleep(_STACKS_S)  # until the rest is written
            _kill(one.pid)
            _, status, usage = os.wait4(one.pid, 0)
        seconds = time.monotonic() - one.started_s
        left = one.folder / LEFT
        threads = tuple(left.read_text().splitlines()) if left.exists() else ()
        orphans = 0 if hung else _orphans(one.number, others)
        for child in _marked(one.number, others):
            _kill(child)
        code = None if hung or os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        ended_by = os.WTERMSIG(status) if os.WIFSIGNALED(status) and not hung else None
        return Ended(code, ended_by, seconds, usage.ru_maxrss / 1024, threads, orphans)


def command_line(case: Case, words: Mapping[str, str]) -> list[str]:
    """What somebody would type."""
    return [*_COMMANDS[case.program], *_filled(case.argv, words)]


def _child(number: int, folder: Path, case: Case, real: bool) -> int:
    os.setsid()
    os.environ[_MARK] = str(number)
    # For what is run by hand from the folder, and for the program's own children.
    os.environ["PYTHONPATH"] = str(ROOT)
    os.chdir(folder)
    _redirect({0: os.open(os.devnull, os.O_RDONLY), 1: _new(OUT), 2: _new(ERR)})
    stacks = open(STACKS, "wb")  # noqa: SIM115 (until the process ends)
    faulthandler.enable(stacks)
    faulthandler.register(signal.SIGUSR1, stacks, all_threads=True)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_BYTES, FILE_BYTES))
    before = set(threading.enumerate())
    with case.around(folder) as words:
        code = subprocess.call(command_line(case, words)) if real else _called(case, _filled(case.argv, words))
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    left = _left_threads(before)
    if left:
        Path(LEFT).write_text("\n".join(left))
    _flush()
    gc.collect()
    return code


def _called(case: Case, argv: Sequence[str]) -> int:
    main = importlib.import_module({"run_live": "run_live"}.get(case.program, f"{case.program}.__main__")).main
    try:
        return int(main(argv) or 0)
    except SystemExit as ended:
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
            return 1
        return int(ended.code or 0)
    except BaseException:
        traceback.print_exc()
        return 1


def _filled(argv: Sequence[str], words: Mapping[str, str]) -> list[str]:
    return [words.get(word, word) for word in argv]


def _left_threads(before: set[threading.Thread]) -> list[str]:
    """Names of the threads that the command left behind, after a while."""
    deadline_s = time.monotonic() + _GRACE_S
    while True:
        left = [t for t in threading.enumerate() if t not in before and not t.name.startswith("fuzz ")]
        if not left or time.monotonic() > deadline_s:
            return [thread.name for thread in left]
        left[0].join(0.05)


def _adopt_orphans(wanted: bool) -> None:
    """Whether processes whose parent ends become ours, so that they can be seen."""
    ctypes.CDLL(None).prctl(_SUBREAPER, int(wanted), 0, 0, 0)


def _orphans(number: int, others: frozenset[int]) -> int:
    deadline_s = time.monotonic() + _GRACE_S
    while (left := _marked(number, others)) and time.monotonic() < deadline_s:
        time.sleep(0.02)
    return len(left)


def _marked(number: int, others: frozenset[int]) -> list[int]:
    """Living processes of an input that have become ours; those that have ended are cleared away."""
    found = []
    for pid in children(os.getpid()):
        if pid in others:
            continue
        try:
            if os.waitpid(pid, os.WNOHANG)[0]:
                continue
            environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if f"{_MARK}={number}".encode() in environment:
            found.append(pid)
    return found


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _kill(pid: int) -> None:
    for kill in (os.killpg, os.kill):
        try:
            kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def _new(name: str) -> int:
    return os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)


def _redirect(files: Mapping[int, int]) -> None:
    for target, source in files.items():
        os.dup2(source, target)
    # Whatever stood for them in the parent.
    sys.stdout = os.fdopen(1, "w", closefd=False, encoding="utf-8")
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False, encoding="utf-8", errors="backslashreplace")


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
