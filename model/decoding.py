"""Pictures of others, decoded."""

from pathlib import Path

import cv2
import numpy as np

from model.atomic import regular_file
from model.guards import picture_kind
from model.types import Image


def decode_picture(data: bytes, flags: int = cv2.IMREAD_COLOR) -> Image | None:
    """BGR uint8 (height, width, 3), or what OpenCV's `flags` ask for; None for what is no JPEG, PNG, BMP, TIFF or WebP, is
    damaged, or names a size beyond all limits."""
    if picture_kind(data) is None:
        return None
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), flags)  # type: ignore[return-value]
    except cv2.error:
        return None


def read_picture(path: Path, flags: int = cv2.IMREAD_COLOR) -> Image | None:
    """As `decode_picture`, of a file; None for one that cannot be read."""
    try:
        return decode_picture(regular_file(path).read_bytes(), flags)
    except OSError:
        return None
