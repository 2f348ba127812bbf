"""A text file that grows line by line: what a run that is killed has written stays whole and readable."""

import contextlib
from pathlib import Path

from stream.sinks.base import SinkError, check_target, reason


class LineFile:
    """Every line is handed to the system as it comes, whole or not at all. Raises `SinkError` at construction when the
    file cannot be made, and from `write` when it cannot take more; `what` names it in the message."""

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
        with contextlib.suppress(OSError):
            self._file.close()
