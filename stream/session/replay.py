"""A recorded session as a source, with the very pictures and times of its run; and is its replay the same, row by row?"""

import csv
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from av.error import FFmpegError

from model.atomic import regular_file
from model.guards import shown
from model.types import Event, Frame, FrameResult, Image, Pace
from stream.engine.model_file import BUNDLED_MODEL, ModelKind, choose_model
from stream.session.facts import contract_hash, file_hash
from stream.session.session_folder import LARGEST, SessionError, SessionFolder, is_number
from stream.session.source_recorder import HEADER
from stream.sinks.base import Sink
from stream.sinks.tables import WATCHING, csv_header, event_line, frame_rows
from stream.sources.base import FrameSource, Pacer, SourceInfo
from stream.sources.decoder import DecodedPicture, VideoDecoder
from stream.sources.file import ffmpeg_name, quiet_decoder


@dataclass(frozen=True)
class RecordedFrame:
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
        self._decoder: VideoDecoder | None = None
        self._decoded: Iterator[DecodedPicture] = iter(())
        self.facts = folder.read_facts()

    def __enter__(self) -> Self:
        require_recording(self._folder.path, self.facts)
        rows = sum(1 for _ in recorded_frames(self._folder))
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
        if self._decoder is not None:
            self._decoder.close()

    def __iter__(self) -> Iterator[Frame]:
        pacer = Pacer(self._pace, self._stopped)
        item: tuple[RecordedFrame, Image] | None = self._first
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

    def _pictures(self) -> Iterator[tuple[RecordedFrame, Image]]:
        part = 0
        short: int | None = None
        for row in recorded_frames(self._folder):
            if row.part != part:
                part, short = row.part, None
                self._open(part)
            picture = self._next_picture()
            if picture is None:
                short = part
                break
            yield row, np.ascontiguousarray(picture.image[: row.height, : row.width])
        if short is not None and self._folder.part(short + 1).exists():
            raise SessionError(f"{self._folder.part(short)} is damaged: it ends before {self._folder.times} says")

    def _open(self, part: int) -> None:
        if self._decoder is not None:
            self._decoder.close()
        self._decoder, self._decoded = None, iter(())
        path = self._folder.part(part)
        if path.exists():  # of a run that was killed the last one may not be there yet
            try:
                regular_file(path)
            except OSError as error:
                raise SessionError(f"{path} cannot be read: {error.strerror}") from error
        # The file of a run that was killed ends early, of which the decoder would speak.
        try:
            with quiet_decoder():
                self._decoder = VideoDecoder(ffmpeg_name(path))
            self._decoded = self._decoder.pictures()
        except (FFmpegError, ValueError) as error:
            if self._folder.part(part + 1).exists():
                raise SessionError(f"{path} is damaged: it cannot be opened as a video") from error

    def _next_picture(self) -> DecodedPicture | None:
        """None past the last whole one, or the first that is damaged: those after it would be of other rows."""
        try:
            picture = next(self._decoded, None)
        except (FFmpegError, ValueError):
            return None
        return None if self._decoder is None or self._decoder.damaged else picture


def recorded_frames(folder: SessionFolder) -> Iterator[RecordedFrame]:
    """The lines of times.csv that are whole. Raises `SessionError`."""
    try:
        with regular_file(folder.times).open(newline="", encoding="utf-8") as file:
            if file.readline().rstrip("\n") != HEADER:
                raise SessionError(f"{folder.times}: expected the columns {HEADER}")
            for place, cells in enumerate(csv.reader(file), start=2):
                try:
                    row = _row(cells)
                except ValueError:
                    if next(csv.reader(file), None) is not None:
                        raise SessionError(f"{folder.times}: line {place} is no row of it") from None
                    return
                yield row
    except OSError as error:
        raise SessionError(f"{folder.times} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise SessionError(f"{folder.times} cannot be read: {error}") from error


def require_recording(path: Path, facts: Mapping[str, Any]) -> None:
    """Raises `SessionError` for a session without pictures."""
    if facts.get("recording") != "source":
        why = "is anonymised" if facts.get("anonymised") else "was recorded without --record-source"
        raise SessionError(f"{path} {why}: it holds no pictures to replay")


def _row(cells: Sequence[str]) -> RecordedFrame:
    """Raises ValueError when it is none."""
    frame, time_s, restart, part, width, height = cells
    row = RecordedFrame(int(frame), float(time_s), restart == "1", int(part), int(width), int(height))
    if not (abs(row.time_s) <= LARGEST and min(row.part, row.width, row.height) >= 1):
        raise ValueError
    return row


@dataclass(frozen=True)
class RecordedSettings:
    """With what a session was made, as far as its rows depend on it; None where its facts do not say. `model` and
    `sha256`: what its file was called and held."""

    model: str | None
    sha256: str | None
    engine: ModelKind | None
    max_faces: int | None
    face_at: tuple[float, float] | None
    detect_events: bool
    sensitivity: float | None
    one_person: bool

    def require_bundled_model(self, session: Path) -> None:
        """Raises `SessionError` where the session was made with another one. Which file to load is never the session's to
        say: it may be anybody's."""
        bundled = (choose_model(BUNDLED_MODEL, self.engine or "auto"), BUNDLED_MODEL)
        if self.sha256 is None or self.sha256 not in map(file_hash, bundled):
            name = shown(Path(self.model or "unknown").name)[:100]
            raise SessionError(
                f"{session} was made with another model than the bundled one: {name}, SHA-256 "
                f"{shown(self.sha256 or 'unknown')[:64]}; give it with --model"
            )


def recorded_settings(facts: Mapping[str, Any]) -> RecordedSettings:
    made, engine = facts.get("settings", {}), facts.get("engine")
    model, max_faces = made.get("model"), made.get("max_faces")
    sha256 = facts.get("model", {}).get("sha256")
    sensitivity = made.get("sensitivity")
    return RecordedSettings(
        model if isinstance(model, str) else None,
        sha256 if isinstance(sha256, str) else None,
        engine if engine in ("streaming", "window") else None,
        max_faces if isinstance(max_faces, int) else None,
        (float(place[0]), float(place[1])) if (place := made.get("face_at")) else None,
        bool(made.get("detect_events", True)),
        sensitivity if is_number(sensitivity) and sensitivity > 0 else None,
        # Of several faces it says nothing, whatever was written.
        made.get("one_person") is True and max_faces in (None, 1),
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
    its last whole picture, and events that only the early end of the replay decides, do not count. `units`: the model's
    action units; of a recording without their columns, or without those of what was watchable, these do not count either.
    """

    def __init__(
        self, folder: SessionFolder, class_names: Sequence[str], complete: bool, units: Sequence[str] = ()
    ) -> None:
        self.rows = self.events = 0
        self.differences = 0
        self._first = ""
        self._class_names = tuple(class_names)
        self._complete = complete
        self._recorded_rows = _recorded_rows(folder)
        self._recorded_events = _recorded_events(folder)
        header = next(self._recorded_rows, [])
        self._units = tuple(units) if any(name.startswith("au_") for name in header) else ()
        self._watching = not header or set(WATCHING) <= set(header)
        expected = csv_header(class_names, self._units, self._watching)
        if header != list(expected):
            self._differs(f"columns: {', '.join(expected)}; recorded: {', '.join(header)}")

    def write(self, result: FrameResult) -> None:
        for row in frame_rows(result, self._class_names, self._units, self._watching):
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
        with regular_file(folder.frames).open(newline="", encoding="utf-8") as file:
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
        with regular_file(folder.events).open(encoding="utf-8") as file:
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
