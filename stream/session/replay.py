"""A recorded session as a source, with the very pictures and times of its run; and is its replay the same, row by row?"""

import csv
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import cv2
import numpy as np

from model.types import Event, Frame, FrameResult, Image, Pace
from stream.engine.model_file import ModelKind
from stream.picture_limits import too_large
from stream.session.facts import PROJECT, contract_hash, file_hash
from stream.session.session_folder import LARGEST, SessionError, SessionFolder
from stream.session.source_recorder import HEADER
from stream.sinks.base import Sink
from stream.sinks.tables import csv_header, event_line, frame_rows
from stream.sources.base import FrameSource, Pacer, SourceInfo
from stream.sources.file import quiet_decoder


@dataclass(frozen=True)
class _Row:
    """A line of times.csv."""

    frame: int
    time_s: float
    restart: bool
    part: int
    width: int
    height: int


class ReplaySource(FrameSource):
    """The frames of a session that was recorded with `--record-source`, until the last one that is whole.

    Raises `SessionError` when there is no such recording or it is damaged before its end.
    """

    def __init__(self, folder: SessionFolder, pace: Pace = "fast") -> None:
        super().__init__()
        self._folder = folder
        self._pace: Pace = pace
        self._capture: cv2.VideoCapture | None = None
        self.facts = folder.read_facts()

    def __enter__(self) -> Self:
        if self.facts.get("recording") != "source":
            raise SessionError(_why_not(self._folder.path, self.facts))
        rows = sum(1 for _ in self._rows())
        self._frames = self._pictures()
        first = next(self._frames, None)
        if first is None:
            raise SessionError(f"{self._folder.recording} holds no whole picture: nothing to replay")
        self._first = first
        height, width = first[1].shape[:2]
        fps = float(self.facts.get("source", {}).get("fps", 0.0))
        self.info = SourceInfo(f"replay of {self._folder.path.name}", width, height, fps, live=False, frames=rows)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        if self._capture is not None:
            self._capture.release()

    def __iter__(self) -> Iterator[Frame]:
        pacer = Pacer(self._pace, self._stopped)
        item: tuple[_Row, Image] | None = self._first
        decode_ms = 0.0
        while item is not None and not self._stopped.is_set():
            row, image = item
            pacer.wait(row.time_s)
            if self._stopped.is_set():
                return
            yield Frame(row.frame, row.time_s, image, time.monotonic(), decode_ms, row.restart)
            started_s = time.perf_counter()
            item = next(self._frames, None)
            decode_ms = 1000 * (time.perf_counter() - started_s)

    def _pictures(self) -> Iterator[tuple[_Row, Image]]:
        part = 0
        short: int | None = None
        for row in self._rows():
            if row.part != part:
                part, short = row.part, None
                self._open(part)
            assert self._capture is not None
            found, image = self._capture.read()
            if not found:
                short = part
                break
            yield row, np.ascontiguousarray(image[: row.height, : row.width])
        if short is not None and self._folder.part(short + 1).exists():
            raise SessionError(f"{self._folder.part(short)} is damaged: it ends before {self._folder.times} says")

    def _open(self, part: int) -> None:
        if self._capture is not None:
            self._capture.release()
        path = self._folder.part(part)
        # The file of a run that was killed ends early, of which the decoder would speak.
        with quiet_decoder():
            self._capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
        size_px = self._capture.get(cv2.CAP_PROP_FRAME_WIDTH), self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT)
        if (wrong := too_large(*size_px)) is not None:
            raise SessionError(f"{path}: {wrong}")
        if not self._capture.isOpened() and self._folder.part(part + 1).exists():
            raise SessionError(f"{path} is damaged: it cannot be opened as a video")

    def _rows(self) -> Iterator[_Row]:
        """The lines of times.csv that are whole."""
        try:
            with self._folder.times.open(newline="", encoding="utf-8") as file:
                if file.readline().rstrip("\n") != HEADER:
                    raise SessionError(f"{self._folder.times}: expected the columns {HEADER}")
                for place, cells in enumerate(csv.reader(file), start=2):
                    try:
                        row = _row(cells)
                    except ValueError:
                        if next(csv.reader(file), None) is not None:
                            raise SessionError(f"{self._folder.times}: line {place} is no row of it") from None
                        return
                    yield row
        except OSError as error:
            raise SessionError(f"{self._folder.times} cannot be read: {error.strerror}") from error
        except (UnicodeDecodeError, csv.Error) as error:
            raise SessionError(f"{self._folder.times} cannot be read: {error}") from error


def _why_not(path: Path, facts: Mapping[str, Any]) -> str:
    if facts.get("anonymised"):
        return f"{path} is anonymised: it holds no pictures to replay"
    return f"{path} was recorded without --record-source: it holds no pictures to replay"


def _row(cells: Sequence[str]) -> _Row:
    """Raises ValueError when it is none."""
    frame, time_s, restart, part, width, height = cells
    row = _Row(int(frame), float(time_s), restart == "1", int(part), int(width), int(height))
    if not (abs(row.time_s) <= LARGEST and min(row.part, row.width, row.height) >= 1):
        raise ValueError
    return row


@dataclass(frozen=True)
class RecordedSettings:
    """With what a session was made, as far as its rows depend on it; None where its facts do not say. `model`: a path,
    from the program's folder where it lies there."""

    model: str | None
    engine: ModelKind | None
    max_faces: int | None
    detect_events: bool

    def model_path(self) -> Path | None:
        """Raises `SessionError` for what cannot be a path."""
        if self.model is None:
            return None
        path = Path(self.model)
        try:
            return path if path.is_file() else PROJECT / path
        except OSError as error:
            raise SessionError(
                f"the session names a model that cannot be: {error.strerror}; give one with --model"
            ) from error


def recorded_settings(facts: Mapping[str, Any]) -> RecordedSettings:
    made, engine = facts.get("settings", {}), facts.get("engine")
    model, max_faces = made.get("model"), made.get("max_faces")
    return RecordedSettings(
        model if isinstance(model, str) else None,
        engine if engine in ("streaming", "window") else None,
        max_faces if isinstance(max_faces, int) else None,
        bool(made.get("detect_events", True)),
    )


def model_difference(facts: Mapping[str, Any], contract: Any, path: Path) -> str | None:
    """What is to be said when the model is not the one of the session; None when it is."""
    made = facts.get("model", {})
    if made.get("contract_sha256") != contract_hash(contract):
        return "The model is another one than the session's (its contract differs): the rows will differ."
    if made.get("sha256") != file_hash(path):
        return "The model's file is not the session's, though it says the same of itself: the rows may differ."
    return None


class ReplayCheck(Sink):
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
        header = next(self._recorded_rows, [])
        if header != list(csv_header(class_names)):
            self._differs(f"columns: {', '.join(csv_header(class_names))}; recorded: {', '.join(header)}")

    def write(self, result: FrameResult) -> None:
        for row in frame_rows(result, self._class_names):
            found, recorded = [str(cell) for cell in row[:-1]], next(self._recorded_rows, [""])[:-1]
            self.rows += 1
            if found != recorded:
                self._differs(f"row {self.rows}: {','.join(found)}; recorded: {','.join(recorded) or 'none'}")
        self._compare(result.events)

    def finish(self, events: Sequence[Event]) -> None:
        if self._complete:
            self._compare(events)
            self._count_missing()

    def verdict(self) -> str:
        """One line for a replay that is the same; raises `SessionError` with the first difference for one that is not."""
        if self.differences:
            more = f" (and {self.differences - 1} more)" if self.differences > 1 else ""
            raise SessionError(f"the replay is not the same as the recording: {self._first}{more}")
        if not self.rows:
            raise SessionError("the replay gave no row: nothing was compared")
        return f"The replay is the same as the recording: {self.rows} rows, {self.events} events."

    def _compare(self, events: Sequence[Event]) -> None:
        for event in events:
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
