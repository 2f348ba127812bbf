"""Small video files for the tests."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from model.types import Frame
from stream.sources.base import FrameSource, SourceInfo
from stream.sources.pictures import PictureSource
from tests.helpers.faces import moved, noisy, portrait


def write_video(path: Path, frames: Iterable[NDArray[np.uint8]], fps: float = 30.0) -> Path:
    writer: cv2.VideoWriter | None = None
    for frame in frames:
        if writer is None:
            height, width = frame.shape[:2]
            writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), fps, (width, height))
            assert writer.isOpened()
        writer.write(frame)
    assert writer is not None
    writer.release()
    return path


def face_frames(count: int, seed: int = 0) -> list[NDArray[np.uint8]]:
    """The portrait with a little head motion and noise."""
    rng = np.random.default_rng(seed)
    return [noisy(moved(portrait(), 2 * np.sin(i / 9), np.cos(i / 7))[0], rng, 2.0) for i in range(count)]


def empty_frames(count: int) -> list[NDArray[np.uint8]]:
    return [np.full((512, 512, 3), 90, np.uint8)] * count


class Frames(FrameSource):
    """The given frames, as a live source of a user's own making."""

    def __init__(self, frames: Iterable[Frame]) -> None:
        super().__init__()
        self._frames = list(frames)
        self.info = SourceInfo("frames", 512, 512, 30.0, live=True)

    def __iter__(self) -> Iterator[Frame]:
        yield from self._frames


def timed_frames(times_s: Sequence[float]) -> PictureSource:
    """One face at the given times."""
    info = SourceInfo("frames", 512, 512, 30.0, live=False)
    return PictureSource(info, zip(times_s, face_frames(len(times_s)), strict=True))
