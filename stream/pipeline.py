"""The live loop: the only place that wires source, faces, preprocessing, engines and event detection together."""

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Generic, Self, TypeVar

from model.contract import ClipContract
from model.decision import DEFAULT_SENSITIVITY
from model.errors import is_number
from model.types import Event, Frame, FrameResult
from stream.clock import SourceClock
from stream.engine.engines import Engine
from stream.face.quality import ValiditySettings
from stream.face.tracker import FaceTracker, TrackerSettings
from stream.given_pictures import checked_frame
from stream.health import RateMeter
from stream.picture_limits import WAITING_BYTES
from stream.sources.base import FrameSource
from stream.stages import ClassifyStage, FaceStage, FollowedFrame, FrameFeatures

Item = TypeVar("Item")
_FRAMES_AHEAD = 4
"""So many frames of a file wait between two threads, fewer of large ones."""


@dataclass(frozen=True)
class PipelineSettings:
    """`max_faces`: so many are followed, the largest; the one at `face_at` whatever its size (`TrackerSettings`).
    `max_frames`: the source counts as ended after so many.

    Without `detect_events` there are labels only. `validity` says which faces can be read. `sensitivity`: false events a
    minute that one is willing to look at. `one_person`: whoever is there is always the same person.

    Raises ValueError for a sensitivity that is no finite number above 0.
    """

    max_faces: int = 1
    detect_events: bool = True
    max_frames: int | None = None
    face_at: tuple[float, float] | None = None
    validity: ValiditySettings = field(default_factory=ValiditySettings)
    sensitivity: float = DEFAULT_SENSITIVITY
    one_person: bool = False

    def __post_init__(self) -> None:
        if not (is_number(self.sensitivity) and self.sensitivity > 0):
            raise ValueError(f"sensitivity: expected a finite number above 0, found {self.sensitivity!r}")
        # Raises ValueError for what does not go together.
        _ = self.tracker

    @property
    def tracker(self) -> TrackerSettings:
        return TrackerSettings(max_faces=self.max_faces, face_at=self.face_at, one_person=self.one_person)


class LivePipeline:
    """Frames of an opened source → one FrameResult each, in order, and the events that the end decides.

    Decoding, face alignment and preprocessing run in threads of their own, a few frames ahead; classification runs in the
    reader's. Of a live source, which keeps its newest frame itself, nothing is read ahead, and one thread does all before
    classification: more would only make answers late.
    `new_engine` gives an engine with an empty window; every face needs its own. `clock` counts what is wrong with the
    source's timestamps, `aligned` tells how many frames a second have had their faces placed.
    """

    def __init__(
        self,
        source: FrameSource,
        contract: ClipContract,
        new_engine: Callable[[], Engine],
        settings: PipelineSettings | None = None,
    ) -> None:
        self._source = source
        self._contract = contract
        self._new_engine = new_engine
        self._settings = settings or PipelineSettings()
        self.clock = SourceClock(contract.max_gap_s, contract.window_s)
        self.aligned = RateMeter()
        self._reset_wanted = threading.Event()
        self._going = threading.Event()
        self._going.set()
        self._stopped = False
        self._last_events: tuple[Event, ...] = ()

    def stop(self) -> None:
        """Ends `results` soon, from any thread."""
        self._stopped = True
        self._source.stop()
        self._going.set()

    def request_reset(self) -> None:
        """Forgets the faces and their windows at the next frame, from any thread."""
        self._reset_wanted.set()

    @property
    def paused(self) -> bool:
        return not self._going.is_set()

    def set_paused(self, paused: bool) -> None:
        if paused:
            self._going.clear()
        else:
            self._going.set()

    def results(self) -> Generator[FrameResult, None, None]:
        """Every frame's result, as soon as it is known. The source must be open and stay so; threads end with the iterator.

        The end decides the events that are still open: `finish` has them.
        """
        validity = self._settings.validity
        tracker = FaceTracker(self._contract, validity, self._settings.tracker)
        faces = FaceStage(self._contract, tracker, self.clock, validity, self._settings.detect_events)
        settings = self._settings
        classify = ClassifyStage(self._contract, self._new_engine, settings.detect_events, settings.sensitivity)
        try:
            with ExitStack() as threads:
                for item in self._frame_features(faces, threads):
                    yield classify.step(item)
                    if self._stopped:
                        break
        finally:
            tracker.close()
            self._last_events = classify.finish()

    def finish(self) -> tuple[Event, ...]:
        """Once, after the last result: the events that the end of the run decided, whatever ended it."""
        events, self._last_events = self._last_events, ()
        return events

    def _frame_features(self, faces: FaceStage, threads: ExitStack) -> Iterable[FrameFeatures]:
        """Aligned frames from the threads that make them, which end with the stack."""
        if self._source.info.live:
            features = RunAhead(map(faces.read, self._followed(self._frames(), faces)), 1, "align", _bytes_of)
        else:
            frames = threads.enter_context(
                RunAhead(self._frames(), _FRAMES_AHEAD, "decode", lambda frame: frame.image.nbytes)
            )
            followed = threads.enter_context(RunAhead(self._followed(frames, faces), _FRAMES_AHEAD, "align", _bytes_of))
            features = RunAhead(map(faces.read, followed), _FRAMES_AHEAD, "preprocess", _bytes_of)
        threads.enter_context(features)
        # First of all on the way out: a thread that waits for a frame, or for the end of a pause, must wake up.
        threads.callback(self.stop)
        return features

    def _frames(self) -> Iterator[Frame]:
        name = self._source.info.name
        for count, frame in enumerate(self._source, start=1):
            self._going.wait()
            if self._stopped:
                return
            yield checked_frame(frame, name)
            if count == self._settings.max_frames:
                return

    def _followed(self, frames: Iterable[Frame], faces: FaceStage) -> Iterator[FollowedFrame]:
        for frame in frames:
            if self._reset_wanted.is_set():
                self._reset_wanted.clear()
                frame = replace(frame, restart=True)
            followed = faces.follow(frame)
            self.aligned.tick()
            yield followed


def _bytes_of(item: FollowedFrame | FrameFeatures) -> int:
    return item.frame.image.nbytes


class RunAhead(Generic[Item]):
    """Iterates `items` in a thread while the reader works on what came before; at most `ahead` items wait, and no
    more once they take `WAITING_BYTES` by `bytes_of`.

    The thread starts with the first `next`. An exception of `items` is raised at the reader, after the items before it.
    Leaving the `with` block (or `close`) ends the thread after the item in hand.
    """

    def __init__(
        self, items: Iterable[Item], ahead: int, name: str, bytes_of: Callable[[Item], int] = lambda _: 0
    ) -> None:
        if ahead < 1:
            raise ValueError(f"ahead: expected 1 or more, found {ahead}")
        self._items = items
        self._ahead = ahead
        self._changed = threading.Condition()
        self._waiting: deque[Item] = deque()
        self._bytes_of, self._waiting_bytes = bytes_of, 0
        self._ended = False
        self._closed = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout=5.0)

    def __iter__(self) -> Iterator[Item]:
        if self._thread.ident is None and not self._closed:
            self._thread.start()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._waiting) or self._ended or self._closed)
                if self._closed or not self._waiting:
                    if self._error is not None:
                        raise self._error
                    return
                item = self._waiting.popleft()
                self._waiting_bytes -= self._bytes_of(item)
                self._changed.notify_all()
            yield item

    def _has_room(self) -> bool:
        return len(self._waiting) < self._ahead and self._waiting_bytes < WAITING_BYTES

    def _work(self) -> None:
        try:
            for item in self._items:
                with self._changed:
                    self._changed.wait_for(lambda: self._has_room() or self._closed)
                    if self._closed:
                        return
                    self._waiting.append(item)
                    self._waiting_bytes += self._bytes_of(item)
                    self._changed.notify_all()
        except BaseException as error:
            self._error = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()
