"""What all outputs of a run have in common: the sink, and the files that sinks write."""

import contextlib
import errno
import json
import os
import stat
import sys
from collections.abc import Mapping, Sequence
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from model.atomic import target_of, whole_file
from model.errors import MicroliveError
from model.types import Event, FrameResult


class SinkError(MicroliveError, RuntimeError):
    """An output cannot be written; the message is one line that says which and why.

    Example:
        ```python
        try:
            table = CsvSink("missing/rows.csv", recognizer.contract.class_names)
        except SinkError as error:
            print(error)  # cannot write the CSV file missing/rows.csv: the folder missing does not exist; …
        ```
    """


class Sink:
    """Takes every frame's result, then `finish`, then `close`. A context manager: closed on the way out, after an error too.

    `write`, `finish` and `close` may raise `SinkError`; after another error `close` does not, for the first error is the
    one to tell.

    Example:
        ```python
        class Labels(Sink):
            def write(self, result: FrameResult) -> None:
                print(result.prediction and result.prediction.label)
        ```
    """

    def write(self, result: FrameResult) -> None:
        """The next frame's result."""
        raise NotImplementedError

    def finish(self, events: Sequence[Event]) -> None:
        """Once, after the last frame and whatever ended the run: the events that its end decided, accepted and rejected."""

    @property
    def losses(self) -> Mapping[str, int]:
        """By cause, how many frames it had to leave out: part of `Health.dropped`. From any thread."""
        return {}

    def close(self) -> None:
        """Nothing is written after it; a second time it does nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(*([SinkError] if error is not None else [])):
            self.close()


def check_target(path: Path, what: str) -> None:
    """Raises `SinkError` when a file cannot be made at `path` because of where it is."""
    if os.path.isdir(path):
        raise SinkError(f"cannot write the {what} {path}: it is a folder; give a file name")
    try:
        folder = path.parent if os.path.exists(path) else target_of(path).parent
    except OSError as error:
        raise SinkError(f"cannot write the {what} {path}: {reason(error)}") from error
    if not os.path.isdir(folder):
        raise SinkError(f"cannot write the {what} {path}: the folder {folder} does not exist; create it first")


def reason(error: OSError) -> str:
    return error.strerror or type(error).__name__


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """A file of that name is always complete; SinkError when it cannot be written."""
    try:
        with whole_file(path) as partial:
            partial.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise SinkError(f"cannot write the JSON file {path}: {reason(error)}") from error


def open_own(path: Path, what: str) -> FileIO:
    """A file to append to, made where it is missing, with what it holds. A regular file is this run's alone until it is
    closed or the process ends, however it does. `SinkError` when it cannot be had; `what` names it in the message."""
    check_target(path, what)
    try:
        while True:
            file = FileIO(path, "ab")
            try:
                _lock(file)
                if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                    return file
            except FileNotFoundError:
                pass  # whoever had it before has just removed it
            except BaseException:
                file.close()
                raise
            file.close()
    except BlockingIOError as error:
        raise SinkError(f"cannot write the {what} {path}: another run is writing it; give another name") from error
    except OSError as error:
        raise SinkError(f"cannot write the {what} {path}: {reason(error)}") from error


def _lock(file: FileIO) -> None:
    """Raises BlockingIOError when another has it. Where files cannot be locked (some network folders) nobody has."""
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return  # a device or a FIFO has nothing to lose, and others may write there too
    try:
        if sys.platform == "win32":
            import msvcrt

            # Far behind every line: on Windows nobody could read what is locked.
            file.seek(1 << 40)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            with contextlib.suppress(ImportError):  # a POSIX system need not have it
                import fcntl

                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK):
            raise BlockingIOError(error.errno, error.strerror) from error


class LineFile:
    """A text file that grows line by line, each handed to the system as it comes, whole or not at all: what a run that is
    killed has written can be read. It belongs to one run at a time.

    What an earlier run left there stays until `begin` or the first line; then `head` comes first. Raises `SinkError` at
    construction when the file cannot be made, and from `begin` and `write` when it cannot take more; `what` names it in
    the message.
    """

    def __init__(self, path: Path | str, what: str, head: str = "") -> None:
        self.path = Path(path)
        self._what = what
        self._head = head
        self._begun = False
        self._whole_bytes = 0
        self._file = open_own(self.path, what)
        if not self._file.seekable() or not os.fstat(self._file.fileno()).st_size:
            try:
                self.begin()
            except SinkError:
                self.abandon()
                raise

    def begin(self) -> None:
        """Only once: what was there goes."""
        if self._begun:
            return
        self._begun = True
        with contextlib.suppress(OSError):  # a pipe has no end to cut
            self._file.truncate(0)
        self._append(self._head)

    def write(self, line: str) -> None:
        """A whole line with its end."""
        self.begin()
        self._append(line)

    def _append(self, text: str) -> None:
        data = text.encode()
        try:
            written = 0
            while written < len(data):
                written += self._file.write(data[written:])
        except OSError as error:
            self._cut_torn_line()
            raise SinkError(f"cannot write the {self._what} {self.path}: {reason(error)}") from error
        self._whole_bytes += len(data)

    def _cut_torn_line(self) -> None:
        """Of a line that found the disk full, the part that had room would pass for a row."""
        with contextlib.suppress(OSError):  # a pipe has no end to cut
            self._file.truncate(self._whole_bytes)

    def close(self) -> None:
        try:
            self._file.close()
        except OSError as error:
            raise SinkError(f"cannot finish the {self._what} {self.path}: {reason(error)}") from error

    def abandon(self) -> None:
        """Closes without a second complaint: the first error is the one to tell."""
        with contextlib.suppress(SinkError):
            self.close()
