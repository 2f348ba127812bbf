"""What the benchmarks' network camera shows: the demo's face at 640x480, with a number that a program can read."""

import cv2
import numpy as np

from model.types import Image
from stream.sources.demo import DemoSource

SIZE_PX = (640, 480)
_BITS = 12
_SQUARE_PX = 16
_DARK, _BRIGHT = 32, 224
MAX_PICTURES = 1 << _BITS


def camera_pictures(count: int, size_px: tuple[int, int] = SIZE_PX) -> list[bytes]:
    """JPEGs of the demo there and back, so that they can be shown over and over; numbered from 0 in their bottom left."""
    if not 2 <= count <= MAX_PICTURES:
        raise ValueError(f"count: expected 2 to {MAX_PICTURES}, found {count}")
    forth: list[Image] = []
    with DemoSource("fast") as source:
        for frame in source:
            forth.append(_fitted(frame.image, size_px))
            if len(forth) == count // 2 + 1:
                break
    images = [*forth, *forth[-2:0:-1]]
    return [_encoded(image, number) for number, image in enumerate(images[:count])]


def read_number(image: Image) -> int:
    """The number of a picture of any size, decoded from JPEG."""
    row = image.shape[0] - _SQUARE_PX // 2
    columns = _SQUARE_PX * np.arange(_BITS) + _SQUARE_PX // 2
    bits = image[row, columns].mean(axis=1) > (_DARK + _BRIGHT) / 2
    return int(sum(1 << place for place, bit in enumerate(bits) if bit))


def _fitted(image: Image, size_px: tuple[int, int]) -> Image:
    """The square picture of the demo in the middle."""
    width, height = size_px
    canvas = np.full((height, width, 3), 90, np.uint8)
    left = (width - height) // 2
    canvas[:, left : left + height] = cv2.resize(image, (height, height), interpolation=cv2.INTER_AREA)
    return canvas


def _encoded(image: Image, number: int) -> bytes:
    image = image.copy()
    for place in range(_BITS):
        value = _BRIGHT if number >> place & 1 else _DARK
        image[-_SQUARE_PX:, place * _SQUARE_PX : (place + 1) * _SQUARE_PX] = value
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()
