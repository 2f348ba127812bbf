"""What a run writes line by line: a CSV of its frames and faces, and its events as JSON lines."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from model.guards import table_cell
from model.types import Event, FaceResult, FrameResult
from stream.sinks.base import LineFile, Sink

WATCHING = ("smallest_px", "watchable")
"""Columns that tables of earlier versions are without."""


class LineSink(Sink):
    """A sink that writes one file line by line. Every line is handed to the system as it comes, so that a run that is
    killed keeps what it wrote; what an earlier run left stays until the first frame. Raises `SinkError` at construction
    when the file cannot be made, and from `write` and `finish` when it cannot take more. `what` names the file in
    messages, `head` is its first line.
    """

    def __init__(self, path: Path | str, what: str, head: str = "") -> None:
        self.path = Path(path)
        self._lines = LineFile(self.path, what, head)

    def close(self) -> None:
        self._lines.close()


class CsvSink(LineSink):
    """Writes `frame,time_s,face,status,label,confidence,p_<class>…,smallest_px,watchable,latency_ms`, and after the classes
    `au_<n>_l,au_<n>_r` for every action unit where they are wanted (subject's left and right): a row for every frame and
    face, and one for every frame without faces, with the frame's own time.

    `face` is the number of the followed face, 0 in the row of a frame without any; label, confidence and probabilities
    are empty where there is no answer. `smallest_px`: from which size on a micro-expression would rather be
    noticed now, in pixels of a crop with 44 between the eyes, empty where none would be; `watchable`: 1 where one of 5 px
    would be noticed, else 0. A class that a spreadsheet would take for a formula stands in `label` with a ' before it
    (`model.guards.table_cell`). Every row is handed to the system as it comes.

    Args:
        path: The file; one that is there is written over with the first frame.
        class_names: The classes, in the order of the columns.
        units: The sides of action units that get a column, by the names of the contract's `ActionUnits.names`.

    Raises:
        SinkError: The file cannot be made; from `write`, it cannot take more.

    Example:
        ```python
        with CsvSink("rows.csv", recognizer.contract.class_names) as table:
            for result in recognizer.run("talk.mp4"):
                table.write(result)
        ```
    """

    def __init__(self, path: Path | str, class_names: Sequence[str], units: Sequence[str] = ()) -> None:
        self.rows = 0
        self._class_names, self._units = tuple(class_names), tuple(units)
        head = io.StringIO()
        csv.writer(head, lineterminator="\n").writerow(csv_header(self._class_names, self._units))
        super().__init__(path, "CSV file", head.getvalue())
        self._writer = csv.writer(self._lines, lineterminator="\n")

    def write(self, result: FrameResult) -> None:
        for row in frame_rows(result, self._class_names, self._units):
            self._writer.writerow(row)
            self.rows += 1


class EventsSink(LineSink):
    """Writes accepted and rejected events, one JSON object a line (`Event.to_dict`), as soon as they are decided.

    Args:
        path: The file; one that is there is written over with the first frame.

    Raises:
        SinkError: The file cannot be made; from `write` and `finish`, it cannot take more.

    Example:
        ```python
        with EventsSink("events.jsonl") as events:
            for picture, time_s in my_camera():
                events.write(recognizer.process(picture, time_s))
            events.finish(recognizer.finish())
        ```
    """

    def __init__(self, path: Path | str) -> None:
        super().__init__(path, "events file")
        self.events = 0

    def write(self, result: FrameResult) -> None:
        self._lines.begin()
        self._write(result.events)

    def finish(self, events: Sequence[Event]) -> None:
        self._write(events)

    def _write(self, events: Sequence[Event]) -> None:
        for event in events:
            self._lines.write(event_line(event))
            self.events += 1


def csv_header(class_names: Sequence[str], units: Sequence[str] = (), watching: bool = True) -> tuple[str, ...]:
    """`units`: as in `ActionUnits.names`; L12 is called au_12_l. `watching`: with the columns `WATCHING`."""
    probabilities = (f"p_{name}" for name in class_names)
    sides = (f"au_{name[1:]}_{name[0].lower()}" for name in units)
    told = ("frame", "time_s", "face", "status", "label", "confidence", *probabilities, *sides)
    return (*told, *(WATCHING if watching else ()), "latency_ms")


def frame_rows(
    result: FrameResult, class_names: Sequence[str], units: Sequence[str] = (), watching: bool = True
) -> Iterator[tuple[object, ...]]:
    """The rows of one frame, under `csv_header`: largest face first, one row without a face."""
    for face in result.faces or (None,):
        yield _row(result, face, class_names, units, watching)


def _row(
    result: FrameResult, face: FaceResult | None, class_names: Sequence[str], units: Sequence[str], watching: bool
) -> tuple[object, ...]:
    track, status = (0, result.absence) if face is None else (face.track, face.status)
    answer = None if face is None else face.prediction
    if answer is None:
        answer_cells = ("",) * (2 + len(class_names) + len(units))
    else:
        probabilities = (f"{answer.probabilities[name]:.6f}" for name in class_names)
        sides = (f"{answer.action_units[name]:.6f}" for name in units)
        answer_cells = (table_cell(answer.label), f"{answer.confidence:.6f}", *probabilities, *sides)
    smallest_px = None if face is None else face.smallest_px
    sight = ("" if smallest_px is None else f"{smallest_px:.3f}", int(face is not None and face.watchable))
    frame = result.frame
    told = (frame.index, f"{frame.time_s:.6f}", track, status, *answer_cells)
    return (*told, *(sight if watching else ()), f"{result.latency_ms:.3f}")


def event_line(event: Event) -> str:
    """With its end."""
    return json.dumps(event.to_dict()) + "\n"


def event_message(event: Event) -> dict[str, Any]:
    """For those who are told over a network: without what its probability was reckoned from, which is for files."""
    return {name: value for name, value in event.to_dict().items() if name != "evidence"}
