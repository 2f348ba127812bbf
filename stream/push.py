"""The live loop for frames that a program has itself: each goes through faces and answers in the caller's thread."""

import math
import time
from collections.abc import Callable
from numbers import Real
from typing import Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from model.contract import ClipContract, MicroliveError
from model.types import Event, Frame, FrameResult, Image
from stream.clock import SourceClock
from stream.engine.engines import Engine
from stream.face.tracker import FaceTracker
from stream.picture_limits import too_large
from stream.pipeline import PipelineSettings
from stream.stages import ClassifyStage, FaceStage

PictureColour = Literal["bgr", "rgb", "grey"]
"""The order of a picture's channels: (height, width, 3) for bgr and rgb, (height, width) for grey."""


class FrameError(MicroliveError, ValueError):
    """A pushed frame cannot be taken: the picture or its time does not fit.

    Example:
        ```python
        try:
            result = recognizer.process(picture, time_s)
        except FrameError as error:
            print(error)  # nothing has changed: the next frame can be pushed
        ```
    """


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
        time_s = _checked_time_s(time_s, self._last_s)
        picture = _as_bgr(image, colour)
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
        self._classify = ClassifyStage(contract, self._new_engine, settings.detect_events)
        self._count = 0


def _checked_time_s(time_s: float, last_s: float | None) -> float:
    # What comes from untyped callers and from cameras' drivers can be anything.
    if not isinstance(time_s, Real) or isinstance(time_s, bool) or not math.isfinite(time_s) or time_s < 0:
        raise FrameError(f"time_s: expected seconds, a finite number of 0 or more, found {time_s!r}")
    if last_s is not None and not time_s > last_s:
        raise FrameError(
            f"time_s: expected more than that of the frame before, {last_s:g} s, found {time_s:g} s; "
            "call finish() or reset() where another video begins"
        )
    return float(time_s)


def _as_bgr(image: Image, colour: PictureColour) -> NDArray[np.uint8]:
    """A copy of its own, contiguous: callers fill the same array again and again."""
    if colour not in get_args(PictureColour):
        raise FrameError(f"colour: expected {', '.join(get_args(PictureColour))}, found {colour!r}")
    shape = "(height, width)" if colour == "grey" else "(height, width, 3)"
    if not isinstance(image, np.ndarray):
        raise FrameError(f"image: expected a NumPy array {shape} of uint8, found {type(image).__name__}")
    if image.dtype != np.uint8:
        raise FrameError(f"image: expected uint8 values from 0 to 255, found {image.dtype}")
    if image.ndim != (2 if colour == "grey" else 3) or image.shape[2:] not in ((), (3,)):
        raise FrameError(f'image: expected {shape} for colour="{colour}", found {image.shape}')
    height, width = image.shape[:2]
    if not (height and width):
        raise FrameError(f"image: expected sides of 1 px or more, found {width} x {height}")
    if (wrong := too_large(width, height)) is not None:
        raise FrameError(f"image: {wrong}")
    picture = np.array(image, order="C")
    if colour == "bgr":
        return picture
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR if colour == "rgb" else cv2.COLOR_GRAY2BGR), np.uint8)
