"""What all outputs of a run have in common: the sink, and the files that sinks write."""

import contextlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from model.atomic import whole_file
from model.contract import MicroliveError
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
    if path.is_dir():
        raise SinkError(f"cannot write the {what} {path}: it is a folder; give a file name")
    if not path.parent.is_dir():
        raise SinkError(f"cannot write the {what} {path}: the folder {path.parent} does not exist; create it first")


def reason(error: OSError) -> str:
    return error.strerror or type(error).__name__


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """A file of that name is always complete; SinkError when it cannot be written."""
    try:
        with whole_file(path) as partial:
            partial.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise SinkError(f"cannot write the JSON file {path}: {reason(error)}") from error


class LineFile:
    """A text file that grows line by line, each handed to the system as it comes, whole or not at all: what a run that is
    killed has written can be read.

    Raises `SinkError` at construction when the file cannot be made, and from `write` when it cannot take more; `what`
    names it in the message.
    """

    def __init__(self, path: Path | str, what: str) -> None:
        self.path = Path(path)
        self._what = what
        self._whole_bytes = 0
        check_target(self.path, what)
        try:
            self._file = self.path.open("wb", buffering=0)
        except OSError as error:
            raise SinkError(f"cannot write the {what} {self.path}: {reason(error)}") from error

    def write(self, line: str) -> None:
        """A whole line with its end."""
        data = line.encode()
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
