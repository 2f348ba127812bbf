"""The web view's picture: the frame with its faces marked, as a JPEG of moderate size."""

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from model.types import FrameResult, Image
from stream.history import Recent
from stream.overlay_faces import draw_faces
from stream.overlay_layout import font_size
from stream.overlay_parts import TextPainter
from stream.palette import class_colours
from stream.statement import Waits

Redraw = Callable[[Image], Image]

LONGEST_SIDE_PX = 960
_QUALITY = 80
_LARGEST_FACTOR = 0.045
"""Letters no smaller than this share of a picture that a phone shows small."""


class PictureMaker:
    """For one thread. Bars, chart and words are the page's own; only what belongs to a place in the picture is drawn.

    `redraw` gives a new picture of the same size to be shown in place of a frame's own.
    """

    def __init__(self, class_names: Sequence[str], waits: Waits, redraw: Redraw | None = None) -> None:
        self._redraw: Redraw = redraw if redraw is not None else np.copy
        self._colours = class_colours(class_names)
        self._waits = waits
        self._text = TextPainter()

    def jpeg(self, result: FrameResult, recent: Recent) -> bytes:
        """The frame itself is left as it is. No side is longer than `LONGEST_SIDE_PX`."""
        image = self._redraw(result.frame.image)
        height, width = image.shape[:2]
        font_px = max(font_size(width, height), round(_LARGEST_FACTOR * min(width, height)))
        draw_faces(image, result, recent, self._waits, self._colours, self._text, font_px, ())
        scale = LONGEST_SIDE_PX / max(width, height)
        if scale < 1:
            size = max(1, round(width * scale)), max(1, round(height * scale))
            # Averaging areas costs three times as much, and only shows where several pixels become one.
            image = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale <= 0.5 else cv2.INTER_LINEAR)
        _, data = cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, _QUALITY))
        return np.asarray(data).tobytes()
