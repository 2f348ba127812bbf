"""A picture of every accepted event, written by a thread of its own."""

import queue
import threading
from collections.abc import Sequence
from pathlib import Path

import cv2

from model.atomic import whole_file
from model.contract import ClipContract
from model.types import Event, FrameResult, Image
from stream.session.event_sheet import EventMoments, EventSheet, RecentCrops
from stream.session.session_folder import SessionFolder
from stream.sinks.base import Sink, SinkError, reason

_WAITING = 16
"""So many events wait to be drawn."""


class EventPictures(Sink):
    """A sink: keeps the last seconds of every face, and draws an event when it is decided.

    The number of a picture is that of the accepted event in events.jsonl. Drawing does not hold up the run: events that
    come while `_WAITING` others wait to be drawn get no picture and are counted in `missed`. Raises `SinkError` from
    `write` or `close` when a picture cannot be written.
    """

    def __init__(self, folder: SessionFolder, contract: ClipContract, faceless: bool = False) -> None:
        self.written = 0
        self.missed = 0
        self._folder = folder
        self._crops = RecentCrops()
        self._sheet = EventSheet(contract, faceless)
        self._accepted = 0
        self._error: SinkError | None = None
        self._queue: queue.Queue[tuple[int, EventMoments] | None] = queue.Queue(_WAITING)
        self._thread = threading.Thread(target=self._work, name="event pictures", daemon=True)
        self._closed = False
        try:
            folder.pictures.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise SinkError(f"cannot make the folder {folder.pictures}: {reason(error)}") from error
        self._thread.start()

    def write(self, result: FrameResult) -> None:
        self._crops.add(result)
        self._take(result.events)

    def finish(self, events: Sequence[Event]) -> None:
        self._take(events)

    def _take(self, events: Sequence[Event]) -> None:
        if self._error is not None:
            raise self._error
        for event in events:
            if event.rejected is None:
                self._accepted += 1
                try:
                    self._queue.put_nowait((self._accepted, self._crops.of(event)))
                except queue.Full:
                    self.missed += 1

    def close(self) -> None:
        """Draws what waits."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
            self._thread.join()
            if self._error is not None:
                raise self._error

    def _work(self) -> None:
        for number, moments in iter(self._queue.get, None):
            if self._error is None:
                path = self._folder.picture(number)
                try:
                    write_png(path, self._sheet.draw(moments))
                    self.written += 1
                except SinkError as error:
                    self._error = error
                except Exception as error:  # whatever it is, it must reach the thread that writes
                    self._error = SinkError(f"cannot draw the event picture {path}: {error}")
                    self._error.__cause__ = error


def write_png(path: Path, picture: Image) -> None:
    """Whole or not at all; SinkError when it cannot be written."""
    found, data = cv2.imencode(".png", picture)
    if not found:
        raise SinkError(f"cannot write the picture {path}: OpenCV cannot encode it")
    try:
        with whole_file(path) as partial:
            partial.write_bytes(data.tobytes())
    except OSError as error:
        raise SinkError(f"cannot write the picture {path}: {reason(error)}") from error
