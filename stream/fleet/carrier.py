"""What a worker does, wherever it runs: it carries several recordings, each in a thread, and says how they stand."""

import threading
import time
from collections.abc import Mapping
from contextlib import suppress

import cv2

from model.types import FrameResult
from stream.face.landmarks import drawn_face
from stream.fleet.orders import NEWS_S, Ended, HaltOrder, News, PrepareOrder, RecordOrder, WatchedPicture, WatchOrder
from stream.fleet.recording import Models, Recording
from stream.machine import share_processor
from stream.session.anonymise import Anonymiser
from stream.sources.base import SourceError
from stream.sources.capture import CaptureStock

_PICTURE_S, _PICTURE_PX, _JPEG_QUALITY = 0.5, 320, 80
_JOIN_S = 60.0


class Carrier:
    """Takes orders and gives news, both from any thread. One of a process: it sets how the process shares the processor."""

    def __init__(self) -> None:
        share_processor()
        self._models, self._captures = Models(), CaptureStock()
        self._changed = threading.Condition()
        self._recordings: dict[str, tuple[Recording, threading.Thread]] = {}
        self._ended: list[Ended] = []
        self._tiles = _Tiles()

    def take(self, order: RecordOrder | PrepareOrder | WatchOrder | HaltOrder) -> None:
        """Comes back at once, but for the order to prepare, and that to halt, which waits until everything is closed."""
        match order:
            case RecordOrder():
                self._begin(order)
            case PrepareOrder():
                self._prepare(order)
            case WatchOrder():
                self._tiles.watched = order.watched
            case HaltOrder():
                self._halt()

    def news(self, timeout_s: float = NEWS_S) -> News:
        """As soon as something has ended, and after the time at the latest. What has ended is told once."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._ended), timeout_s)
            ended, self._ended = tuple(self._ended), []
            recordings = [recording for recording, _ in self._recordings.values()]
        standings = tuple(recording.standing() for recording in recordings)
        return News(ended, standings, self._tiles.taken())

    def _prepare(self, order: PrepareOrder) -> None:
        """What goes wrong is for the recordings to tell."""
        with suppress(SourceError):
            self._captures.fill(order.sources)
        with suppress(Exception):
            recognizer = self._models.recognizer(order.settings)
            # The first frame with a face takes seven times as long as that of any later source: models are read and
            # tables reckoned then.
            recognizer.process(drawn_face(), 0.0)
            recognizer.reset()

    def _begin(self, order: RecordOrder) -> None:
        recording = Recording(order, self._models, self._captures, self._tiles.show)
        thread = threading.Thread(target=self._run, args=(recording,), name=f"record {order.source.id}", daemon=True)
        with self._changed:
            self._recordings[order.source.id] = (recording, thread)
        thread.start()

    def _run(self, recording: Recording) -> None:
        ended = recording.run()
        with self._changed:
            self._recordings.pop(ended.source_id, None)
            self._ended.append(ended)
            self._changed.notify_all()

    def _halt(self) -> None:
        with self._changed:
            running = list(self._recordings.values())
        for recording, _ in running:
            recording.stop()
        deadline_s = time.monotonic() + _JOIN_S
        for _, thread in running:
            thread.join(max(0.0, deadline_s - time.monotonic()))


class _Tiles:
    """The newest small picture of every live source, made only while somebody looks, about twice a second."""

    def __init__(self) -> None:
        self.watched = False
        self._lock = threading.Lock()
        self._made_s: dict[str, float] = {}
        self._waiting: dict[str, WatchedPicture] = {}

    def show(self, source_id: str, result: FrameResult, drawn: Anonymiser | None) -> None:
        now_s = time.monotonic()
        if not self.watched or now_s - self._made_s.get(source_id, -1.0) < _PICTURE_S:
            return
        self._made_s[source_id] = now_s
        image = result.frame.image if drawn is None else drawn.picture(result.frame.image)
        height, width = image.shape[:2]
        size_px = (_PICTURE_PX, max(1, round(height * _PICTURE_PX / width)))
        small = cv2.resize(image, size_px, interpolation=cv2.INTER_AREA)
        done, jpeg = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
        if done:
            with self._lock:
                self._waiting[source_id] = WatchedPicture(source_id, jpeg.tobytes(), _facts(result))

    def taken(self) -> tuple[WatchedPicture, ...]:
        with self._lock:
            pictures, self._waiting = tuple(self._waiting.values()), {}
        return pictures


def _facts(result: FrameResult) -> Mapping[str, object]:
    answer = result.prediction
    return {
        "time_s": result.frame.time_s,
        "status": result.status,
        "faces": len(result.faces),
        "label": None if answer is None else answer.label,
        "confidence": None if answer is None else answer.confidence,
    }
