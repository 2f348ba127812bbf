"""Pictures and times out of somebody else's program: what they have to be, and how to make them so."""

import math
import warnings
from dataclasses import replace
from numbers import Real
from typing import Any, Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from model.errors import MicroliveError
from model.types import Frame, Image
from stream.picture_limits import too_large
from stream.sources.base import SourceError

PictureColour = Literal["bgr", "rgb", "grey"]
"""The order of a picture's channels: (height, width, 3) for bgr and rgb, (height, width) for grey."""

_FAR_APART_S, _FAR_STEPS = 1.0, 8


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


def checked_time_s(time_s: float, last_s: float | None) -> float:
    if not _is_finite(time_s) or time_s < 0:
        raise FrameError(f"time_s: expected seconds, a finite number of 0 or more, found {time_s!r}")
    if last_s is not None and not time_s > last_s:
        raise FrameError(
            f"time_s: expected more than that of the frame before, {last_s:g} s, found {time_s:g} s; "
            "call finish() or reset() where another video begins"
        )
    return float(time_s)


def as_bgr(image: Image, colour: PictureColour) -> NDArray[np.uint8]:
    """A copy of its own, contiguous: callers fill the same array again and again. Raises FrameError."""
    if (wrong := _unfit(image, colour)) is not None:
        raise FrameError(wrong)
    picture = np.array(image, order="C")
    if colour == "bgr":
        return picture
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR if colour == "rgb" else cv2.COLOR_GRAY2BGR), np.uint8)


def checked_frame(frame: Frame, source: str) -> Frame:
    """A frame of a source, which anybody can write: its picture a plain array in one piece. Raises SourceError."""
    if not isinstance(frame, Frame):
        raise SourceError(f"{source}: expected Frame(index, time_s, image, captured_s), found {type(frame).__name__}")
    wrong = _unfit(frame.image, "bgr", "")
    if wrong is None and not _is_finite(frame.time_s):
        wrong = f"time_s: expected seconds, a finite number, found {frame.time_s!r}"
    if wrong is not None:
        raise SourceError(f"{source}, frame {frame.index}: {wrong}")
    if type(frame.image) is np.ndarray and frame.image.flags.c_contiguous:
        return frame
    return replace(frame, image=np.array(frame.image, order="C"))


class TimeWatch:
    """Warns once of frames that are too far apart for seconds: a face is never seen in such a video."""

    def __init__(self) -> None:
        self._last_s: float | None = None
        self._far = 0

    def step(self, time_s: float) -> None:
        passed_s = 0.0 if self._last_s is None else time_s - self._last_s
        self._last_s = time_s
        self._far = self._far + 1 if passed_s >= _FAR_APART_S else 0
        if self._far == _FAR_STEPS:
            text = (
                f"the last {_FAR_STEPS} frames are {passed_s:g} s apart, too far to see a micro-expression: time_s counts "
                "seconds; divide milliseconds by 1000, numbers of frames by the frame rate"
            )
            warnings.warn(text, stacklevel=4)


def _is_finite(value: Any) -> bool:
    # What comes from untyped callers and from cameras' drivers can be anything.
    try:
        return isinstance(value, Real) and not isinstance(value, bool | np.timedelta64) and math.isfinite(value)
    except OverflowError:
        return False


def _unfit(image: Any, colour: PictureColour, for_colour: str | None = None) -> str | None:
    """What is wrong with a picture, and what makes it right."""
    if colour not in get_args(PictureColour):
        return f"colour: expected {', '.join(get_args(PictureColour))}, found {colour!r}"
    shape = "(height, width)" if colour == "grey" else "(height, width, 3)"
    if not isinstance(image, np.ndarray):
        return f"image: expected a NumPy array {shape} of uint8, found {type(image).__name__}{_as_array(image)}"
    if image.dtype != np.uint8:
        return f"image: expected uint8 values from 0 to 255, found {image.dtype}{_as_uint8(image)}"
    if image.ndim != (2 if colour == "grey" else 3) or image.shape[2:] not in ((), (3,)):
        for_colour = f' for colour="{colour}"' if for_colour is None else for_colour
        return f"image: expected {shape}{for_colour}, found {image.shape}{_as_shape(image, colour, for_colour)}"
    height, width = image.shape[:2]
    if not (height and width):
        return f"image: expected sides of 1 px or more, found {width} x {height}"
    if (large := too_large(width, height)) is not None:
        return f"image: {large}"
    return None


def _as_array(image: Any) -> str:
    library = type(image).__module__.partition(".")[0]
    if library == "torch":
        return "; give image.cpu().numpy(), with the channels last"
    if library == "PIL":
        return '; give np.asarray(image.convert("RGB")) with colour="rgb"'
    if isinstance(image, list | tuple):
        return "; give np.array(image, np.uint8)"
    return "; give np.asarray(image)" if hasattr(image, "__array__") else ""


def _as_uint8(image: NDArray[Any]) -> str:
    if image.dtype.kind not in "fiu":
        return ""
    largest = image.max(initial=0)
    if image.dtype.kind == "f" and not largest > 1:
        return "; give (255 * image).clip(0, 255).astype(np.uint8)"
    if image.dtype == np.uint16 and largest > 255:
        return "; give (image >> 8).astype(np.uint8) where it has 16 bits"
    return "; give image.clip(0, 255).astype(np.uint8)"


def _as_shape(image: NDArray[Any], colour: PictureColour, pushed: str) -> str:
    shape = image.shape
    if len(shape) == 4:
        return "; give the pictures one by one" if pushed else "; give a frame for each picture"
    if len(shape) == 3 and shape[2] == 4:
        return "; leave out the fourth channel: image[..., :3]"
    if len(shape) == 3 and shape[2] == 1:
        return '; give image[..., 0] with colour="grey"' if pushed else "; give image.repeat(3, axis=2)"
    if len(shape) == 3 and shape[0] == 3:
        return "; the channels come last: image.transpose(1, 2, 0)"
    if len(shape) == 2 and colour != "grey":
        return '; say colour="grey"' if pushed else "; give cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)"
    return '; say colour="bgr" or "rgb"' if len(shape) == 3 and shape[2] == 3 and pushed else ""
