"""What the program and its capture process tell each other.

Pictures in memory that two processes share.

What readers of the capture process have in common.
"""

import mmap
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from model.errors import MicroliveError
from model.types import Image
from stream.picture_limits import PICTURE_BYTES, too_large

SLOTS = 4
"""One being written, one waiting, one being copied, and one to spare."""


class CaptureError(MicroliveError, RuntimeError):
    """Nothing can be read (any more): a few words that say why, with nothing of the address in them."""


class TooLargeError(CaptureError):
    """Its pictures are larger than those that are read."""


@dataclass(frozen=True, repr=False)
class OpenOrder:
    """To the process: open a camera (an index) or a URL. It has no repr: a URL may hold a password."""

    target: int | str
    open_timeout_s: float
    read_timeout_s: float
    size_px: tuple[int, int] | None = None
    fps: float | None = None
    backend: str = "auto"


@dataclass(frozen=True)
class FreeSlot:
    """To the process: the picture in this slot has been taken."""

    slot: int


@dataclass(frozen=True)
class Ready:
    """From the process: it takes orders."""


@dataclass(frozen=True)
class Opened:
    """From the process: the first picture follows. `fps` 0 and `frames` None where nobody knows. Not `live`: a file."""

    width_px: int
    height_px: int
    fps: float
    live: bool
    frames: int | None


@dataclass(frozen=True)
class CapturedPicture:
    """From the process: a picture lies at `offset` of the shared memory, in `slot`, until that is freed.

    `index` counts the whole pictures that have arrived since it was opened. `media_s` is the stream's own time; `captured_s` the monotonic clock at its arrival, before it was decoded in `decode_ms`.
    """

    slot: int
    offset: int
    shape: tuple[int, int, int]
    index: int
    media_s: float
    captured_s: float
    decode_ms: float


@dataclass(frozen=True)
class Damaged:
    """From the process: how many pictures since it was opened were cut off or damaged."""

    count: int


@dataclass(frozen=True)
class Lost:
    """From the process: it could not be opened, or has ended. `ended` where the other side ended it in good order;
    `too_large` where nothing is wrong with it but the size of its pictures."""

    reason: str
    ended: bool = False
    too_large: bool = False


Order = OpenOrder | FreeSlot
Message = Ready | Opened | CapturedPicture | Damaged | Lost


def shared_file() -> int:
    """A file descriptor of memory without a name: it is gone when the last process that holds it is."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("microlive-frames")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


_SLOT_BYTES = -(-PICTURE_BYTES // mmap.ALLOCATIONGRANULARITY) * mmap.ALLOCATIONGRANULARITY


class RingWriter:
    """Places pictures in slots. Each has room for the largest picture; memory is taken only by what was written, and
    given back when pictures get much smaller."""

    def __init__(self, file: int) -> None:
        os.ftruncate(file, SLOTS * _SLOT_BYTES)
        self._map = mmap.mmap(file, SLOTS * _SLOT_BYTES)
        self._memory = np.frombuffer(self._map, np.uint8)
        self._used_bytes = [0] * SLOTS

    def write(self, slot: int, image: Image) -> int:
        """Copies a uint8 picture (height, width, 3); where it lies in the file. Raises `TooLargeError`."""
        if (wrong := too_large(image.shape[1], image.shape[0])) is not None:
            raise TooLargeError(wrong)
        offset = slot * _SLOT_BYTES
        if 2 * image.nbytes < self._used_bytes[slot]:
            if hasattr(mmap, "MADV_REMOVE"):
                self._map.madvise(mmap.MADV_REMOVE, offset, self._used_bytes[slot])
            self._used_bytes[slot] = 0
        self._used_bytes[slot] = max(self._used_bytes[slot], image.nbytes)
        self._memory[offset : offset + image.nbytes].reshape(image.shape)[...] = image
        return offset


class RingReader:
    """Copies pictures out. Owns the file, which is closed with the last reference to it."""

    def __init__(self, file: int) -> None:
        self._file = os.fdopen(file, "rb")
        self._memory: NDArray[np.uint8] = np.empty(0, np.uint8)

    def read(self, offset: int, shape: tuple[int, int, int]) -> Image:
        end = offset + int(np.prod(shape))
        if end > len(self._memory):
            size = os.fstat(self._file.fileno()).st_size
            self._memory = np.frombuffer(mmap.mmap(self._file.fileno(), size, prot=mmap.PROT_READ), np.uint8)
        return self._memory[offset:end].reshape(shape).copy()


@dataclass(frozen=True, eq=False)
class Captured:
    """A whole picture, BGR uint8 (height, width, 3); the numbers are those of `messages.Picture`."""

    image: Image
    index: int
    media_s: float
    captured_s: float
    decode_ms: float


class Reader(Protocol):
    """`fps` 0 and `frames` None where nobody knows. Not `live`: a file, of which every picture is wanted."""

    fps: float
    live: bool
    frames: int | None

    def pictures(self) -> Iterator[Captured | Damaged]:
        """Until the other side ends; raises `CaptureError` when it breaks off."""
        ...
