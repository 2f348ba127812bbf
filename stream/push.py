"""The live loop for frames that a program has itself: each goes through faces and answers in the caller's thread."""

import time
from collections.abc import Callable

from model.contract import ClipContract
from model.types import Event, Frame, FrameResult, Image
from stream.clock import SourceClock
from stream.engine.engines import Engine
from stream.face.tracker import FaceTracker
from stream.given_pictures import PictureColour, TimeWatch, as_bgr, checked_time_s
from stream.pipeline import PipelineSettings
from stream.stages import ClassifyStage, FaceStage


class PushLoop:
    """Frames in order → one result each, as `LivePipeline` gives them for a source of the same frames.

    `step` after `finish` or `reset` begins anew: frames and faces are numbered from the start, times may begin anywhere.
    A `step` that fails on the way, by anything but a FrameError, does so too. The last call must be `finish` or `reset`. One thread at a time.
    """

    def __init__(self, contract: ClipContract, new_engine: Callable[[], Engine], settings: PipelineSettings) -> None:
        self._contract = contract
        self._new_engine = new_engine
        self._settings = settings
        self._tracker: FaceTracker | None = None
        self._last_s: float | None = None

    def step(self, image: Image, time_s: float, colour: PictureColour) -> FrameResult:
        """The next frame's result. Raises FrameError, and then nothing has changed."""
        captured_s = time.monotonic()
        time_s = checked_time_s(time_s, self._last_s)
        picture = as_bgr(image, colour)
        if self._tracker is None:
            self._begin()
        try:
            result = self._classify.step(self._faces.step(Frame(self._count, time_s, picture, captured_s)))
        except BaseException:
            # Some stages have seen the frame and others have not.
            self.reset()
            raise
        self._count += 1
        self._last_s = time_s
        self._watch.step(time_s)
        return result

    def finish(self) -> tuple[Event, ...]:
        """The events that are still open, decided."""
        events = () if self._tracker is None else self._classify.finish()
        self.reset()
        return events

    def reset(self) -> None:
        """Forgets everything, open events too."""
        if self._tracker is not None:
            self._tracker.close()
        self._tracker = self._last_s = None

    def _begin(self) -> None:
        contract, settings = self._contract, self._settings
        self._tracker = FaceTracker(contract, settings.validity, settings.tracker)
        clock = SourceClock(contract.max_gap_s, contract.window_s)
        self._faces = FaceStage(contract, self._tracker, clock, settings.validity, settings.detect_events)
        self._classify = ClassifyStage(contract, self._new_engine, settings.detect_events, settings.sensitivity)
        self._watch = TimeWatch()
        self._count = 0
