"""How large a picture may be, and how many bytes of pictures may wait for a thread."""

import queue

from model.types import FrameResult

MOST_SIDE_PX = 16_384
MOST_PIXELS = 8192 * 8192
"""64 megapixels: the largest sensors of video cameras have fewer, and a picture takes 200 MB."""
PICTURE_BYTES = 3 * MOST_PIXELS
WAITING_BYTES = 64 * 1024 * 1024
"""A thread that has so much waiting for it, or more by one picture, is given no more: two 4K pictures and a part, one of
any larger size."""
# Start of frame, with the size, in every kind of JPEG; 0xC4, 0xC8 and 0xCC are other things.
_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def too_large(width_px: float, height_px: float) -> str | None:
    """What is wrong with pictures of that size, in words; None for those that are read."""
    if width_px <= MOST_SIDE_PX and height_px <= MOST_SIDE_PX and width_px * height_px <= MOST_PIXELS:
        return None
    return (
        f"pictures of {width_px:.0f} x {height_px:.0f} px are too large: up to 64 megapixels (8192 x 8192) are read, and "
        f"sides of up to {MOST_SIDE_PX} px"
    )


def jpeg_size_px(jpeg: bytes) -> tuple[int, int]:
    """(width, height) as a JPEG's header tells them, (0, 0) where it tells none."""
    at = 2
    while at + 9 <= len(jpeg) and jpeg[at] == 0xFF:
        code = jpeg[at + 1]
        if code in _SIZES:
            return int.from_bytes(jpeg[at + 7 : at + 9], "big"), int.from_bytes(jpeg[at + 5 : at + 7], "big")
        at += 1 if code == 0xFF else 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
    return 0, 0


class PictureQueue(queue.Queue[FrameResult | None]):
    """At most `most` results wait in it, and no more once their pictures take `WAITING_BYTES`. None: the end."""

    def __init__(self, most: int) -> None:
        self._bytes = 0
        super().__init__(most)

    def _qsize(self) -> int:
        return self.maxsize if self._bytes >= WAITING_BYTES else super()._qsize()

    def _put(self, item: FrameResult | None) -> None:
        self._bytes += 0 if item is None else item.frame.image.nbytes
        super()._put(item)

    def _get(self) -> FrameResult | None:
        item = super()._get()
        self._bytes -= 0 if item is None else item.frame.image.nbytes
        return item
