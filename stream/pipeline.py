"""The live loop: the only place that wires source, face, preprocessing and engine together."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack

from model.contract import ClipContract
from model.types import Frame, FrameResult
from stream.engine import Engine
from stream.face import FaceTracker
from stream.run_ahead import RunAhead
from stream.sources import FrameSource
from stream.stages import ClassifyStage, FaceFeatures, FaceStage

_FRAMES_AHEAD = 4


class LivePipeline:
    """Frames of an opened source → one FrameResult each, in order.

    Decoding and face alignment run in threads of their own, a few frames ahead; classification runs in the reader's.
    Of a live source, which keeps its newest frame itself, nothing is read ahead: that would only make answers late.
    """

    def __init__(self, source: FrameSource, contract: ClipContract, engine: Engine) -> None:
        self._source = source
        self._contract = contract
        self._engine = engine
        self._reset_wanted = threading.Event()
        self._going = threading.Event()
        self._going.set()
        self._stopped = False

    def stop(self) -> None:
        """Ends `results` soon, from any thread."""
        self._stopped = True
        self._source.stop()
        self._going.set()

    def request_reset(self) -> None:
        """Forgets the face and the window at the next frame, from any thread."""
        self._reset_wanted.set()

    @property
    def paused(self) -> bool:
        return not self._going.is_set()

    def set_paused(self, paused: bool) -> None:
        if paused:
            self._going.clear()
        else:
            self._going.set()

    def results(self) -> Iterator[FrameResult]:
        """Every frame's result. The source must be open and stay so; threads end with the iterator."""
        tracker = FaceTracker(self._contract)
        classify = ClassifyStage(self._contract, self._engine)
        classify.reset()
        try:
            with ExitStack() as threads:
                frames: Iterable[Frame] = self._frames()
                ahead = 1
                if not self._source.info.live:
                    ahead = _FRAMES_AHEAD
                    frames = threads.enter_context(RunAhead(frames, ahead, name="decode"))
                faces = threads.enter_context(RunAhead(self._faces(frames, tracker), ahead, name="align"))
                # First of all on the way out: a thread that waits for a frame, or for the end of a pause, must wake up.
                threads.callback(self.stop)
                for item in faces:
                    yield classify.step(item)
                    if self._stopped:
                        return
        finally:
            tracker.close()

    def _frames(self) -> Iterator[Frame]:
        for frame in self._source:
            self._going.wait()
            if self._stopped:
                return
            yield frame

    def _faces(self, frames: Iterable[Frame], tracker: FaceTracker) -> Iterator[FaceFeatures]:
        stage = FaceStage(self._contract, tracker)
        for frame in frames:
            if self._reset_wanted.is_set():
                self._reset_wanted.clear()
                stage.reset()
            yield stage.step(frame)
