"""Micro-expression events as JSON lines, one object a line, as soon as they are decided."""

import json
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from model.types import Event, FrameResult
from stream.sinks.lines import LineFile


class EventsSink:
    """Writes accepted and rejected events. Every line is handed to the system as it comes, so that a run that is killed
    keeps its events. Raises `SinkError` at construction when the file cannot be made, and from `write` when it cannot
    take more.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.events = 0
        self._lines = LineFile(self.path, "events file")

    def write(self, result: FrameResult) -> None:
        for event in result.events:
            self._lines.write(event_line(event))
            self.events += 1

    def close(self) -> None:
        self._lines.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._lines.close()
        else:
            self._lines.abandon()


def event_line(event: Event) -> str:
    """With its end."""
    return json.dumps(event_fields(event)) + "\n"


def event_fields(event: Event) -> dict[str, Any]:
    """An event as it is written: times in seconds of the source's clock, and `rejected` only where it is."""
    fields: dict[str, Any] = {
        "kind": event.kind,
        "label": event.label,
        "onset_s": round(event.onset_s, 4),
        "apex_s": round(event.apex_s, 4),
        "offset_s": round(event.offset_s, 4),
        "confidence": round(event.confidence, 4),
        "peak_px": round(event.peak_px, 3),
        "track": event.track,
    }
    return fields if event.rejected is None else fields | {"rejected": event.rejected}
