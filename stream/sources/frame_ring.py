"""Pictures in memory that two processes share."""

import mmap
import os
import tempfile

import numpy as np
from numpy.typing import NDArray

from model.types import Image

SLOTS = 4
"""One being written, one waiting, one being copied, and one to spare."""


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
