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

from model.contract import MicroliveError
from model.types import Image

SLOTS = 4
"""One being written, one waiting, one being copied, and one to spare."""


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
    """From the process: it could not be opened, or has ended. `ended` where the other side ended it in good order."""

    reason: str
    ended: bool = False


Order = OpenOrder | FreeSlot
Message = Ready | Opened | CapturedPicture | Damaged | Lost


def shared_file() -> int:
    """A file descriptor of memory without a name: it is gone when the last process that holds it is."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("microlive-frames")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


class RingWriter:
    """Places pictures in slots. A slot that is too small moves to the end of the file and grows."""

    def __init__(self, file: int) -> None:
        self._file = file
        self._offsets, self._sizes = [0] * SLOTS, [0] * SLOTS
        self._end = 0

    def write(self, slot: int, image: Image) -> int:
        """Copies a uint8 picture (height, width, 3); where it lies in the file."""
        if image.nbytes > self._sizes[slot]:
            size = -(-image.nbytes // mmap.PAGESIZE) * mmap.PAGESIZE
            self._offsets[slot], self._sizes[slot] = self._end, size
            self._end += size
            os.ftruncate(self._file, self._end)
            self._memory = np.frombuffer(mmap.mmap(self._file, self._end), np.uint8)
        offset = self._offsets[slot]
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


class CaptureError(MicroliveError, RuntimeError):
    """Nothing can be read (any more): a few words that say why, with nothing of the address in them."""


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
