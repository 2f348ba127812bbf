"""Is a replay the same as what was recorded? Row by row, while it runs."""

import csv
import json
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self

from model.types import FrameResult
from stream.session.folder import SessionError, SessionFolder
from stream.sinks.csv_sink import csv_header, frame_rows
from stream.sinks.events_sink import event_line


class ReplayCheck:
    """A sink that compares results with a session's frames.csv (but for latency_ms) and events.jsonl.

    `complete`: the session came to its end, so nothing may be missing on either side. Of one that was killed, rows after
    its last whole picture, and events that only the early end of the replay decides, do not count.
    """

    def __init__(self, folder: SessionFolder, class_names: Sequence[str], complete: bool) -> None:
        self.rows = self.events = 0
        self.differences = 0
        self._first = ""
        self._class_names = tuple(class_names)
        self._complete = complete
        self._recorded_rows = _recorded_rows(folder)
        self._recorded_events = _recorded_events(folder)
        self._pending: FrameResult | None = None
        header = next(self._recorded_rows, [])
        if header != list(csv_header(class_names)):
            self._differs(f"columns: {', '.join(csv_header(class_names))}; recorded: {', '.join(header)}")

    def write(self, result: FrameResult) -> None:
        # One result late: the last one also has what the end of the source decides.
        if self._pending is not None:
            self._compare(self._pending, with_events=True)
        self._pending = result

    def close(self) -> None:
        if self._pending is not None:
            self._compare(self._pending, with_events=self._complete)
            self._pending = None
            if self._complete:
                self._count_missing()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def verdict(self) -> str:
        """One line for a replay that is the same; raises `SessionError` with the first difference for one that is not."""
        if self.differences:
            more = f" (and {self.differences - 1} more)" if self.differences > 1 else ""
            raise SessionError(f"the replay is not the same as the recording: {self._first}{more}")
        if not self.rows:
            raise SessionError("the replay gave no row: nothing was compared")
        return f"The replay is the same as the recording: {self.rows} rows, {self.events} events."

    def _compare(self, result: FrameResult, with_events: bool) -> None:
        for row in frame_rows(result, self._class_names):
            found, recorded = [str(cell) for cell in row[:-1]], next(self._recorded_rows, [""])[:-1]
            self.rows += 1
            if found != recorded:
                self._differs(f"row {self.rows}: {','.join(found)}; recorded: {','.join(recorded) or 'none'}")
        for event in result.events if with_events else ():
            line, recorded_line = event_line(event).strip(), next(self._recorded_events, "")
            self.events += 1
            if line != recorded_line:
                self._differs(f"event {self.events}: {line}; recorded: {recorded_line or 'none'}")

    def _differs(self, how: str) -> None:
        self._first = self._first or how
        self.differences += 1

    def _count_missing(self) -> None:
        for what, rest in (("rows", self._recorded_rows), ("events", self._recorded_events)):
            missing = sum(1 for _ in rest)
            if missing:
                self._differs(f"{missing} {what} more were recorded")


def _recorded_rows(folder: SessionFolder) -> Iterator[list[str]]:
    try:
        with folder.frames.open(newline="", encoding="utf-8") as file:
            yield from csv.reader(file)
    except OSError as error:
        raise SessionError(f"{folder.frames} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise SessionError(f"{folder.frames} cannot be read: {error}") from error


def _recorded_events(folder: SessionFolder) -> Iterator[str]:
    """Whole lines; a session without events has no such file."""
    if not folder.events.exists():
        return
    try:
        with folder.events.open(encoding="utf-8") as file:
            for line in file:
                try:
                    json.loads(line)
                except (ValueError, RecursionError):
                    return
                yield line.strip()
    except OSError as error:
        raise SessionError(f"{folder.events} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SessionError(f"{folder.events} cannot be read: {error}") from error
