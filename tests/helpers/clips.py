"""Small video files for the tests."""

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import av
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


def write_track(
    path: Path,
    frames: Iterable[NDArray[np.uint8]],
    times_s: Sequence[float],
    sound_s: float = 0.0,
    tags: Mapping[str, str] | None = None,
    matrix: tuple[int, int, int, int] | None = None,
) -> Path:
    """A video whose frames have times of their own, with silence of `sound_s` beside it, tags, and, for MP4, a display
    matrix (a, b, c, d): what is at (x, y) is shown at (a·x + c·y, b·x + d·y)."""
    with av.open(str(path), "w", options={"movflags": "use_metadata_tags"}) as file:
        file.metadata.update(tags or {})
        stream = file.add_stream("mpeg4", rate=30)
        sound = file.add_stream("aac", rate=16000, layout="mono") if sound_s else None
        stream.time_base = stream.codec_context.time_base = Fraction(1, 600)
        stream.pix_fmt, stream.bit_rate = "yuv420p", 4_000_000
        for index, (frame, time_s) in enumerate(zip(frames, times_s, strict=True)):
            if not index:
                stream.height, stream.width = frame.shape[:2]
            picture = av.VideoFrame.from_ndarray(frame, "bgr24")
            picture.pts, picture.time_base = round(600 * time_s), Fraction(1, 600)
            file.mux(stream.encode(picture))
        file.mux(stream.encode(None))
        for start in range(0, round(16000 * sound_s), 1024) if sound is not None else ():
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            silence.sample_rate, silence.pts = 16000, start
            file.mux(sound.encode(silence))
        if sound is not None:
            file.mux(sound.encode(None))
    if matrix is not None:
        data = bytearray(path.read_bytes())
        a, b, c, d = (65536 * part for part in matrix)
        place = data.index(b"tkhd") + 44
        data[place : place + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
        path.write_bytes(data)
    return path
