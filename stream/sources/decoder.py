"""A video's pictures out of a container: upright, each at the file's own time, past what is damaged."""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain

import av
import cv2
from av.error import FFmpegError, InvalidDataError

from model.types import Image
from stream.picture_limits import too_large

_MOST_FAILURES = 100
"""So often in a row reading may fail where the container is damaged."""
_SMALL_PX = 512 * 1024
"""Pictures of so many pixels or fewer are decoded in one thread, beside which the program's other stages run."""
_NO_TIMES = 0x80
"""AVFMT_NOTIMESTAMPS: of such files FFmpeg guesses how long they last."""
_RATE_TAG = re.compile(r"(fps|frame[._-]?rate)$", re.IGNORECASE)
_MOST_STORED_HZ, _MOST_FILMED_HZ = 1000.0, 100_000.0


@dataclass(frozen=True, eq=False)
class DecodedPicture:
    """`image` BGR uint8 (height, width, 3); `time_s` from where the file begins, None where it has none; it `lasts_s`, 0
    where nobody knows."""

    image: Image
    time_s: float | None
    lasts_s: float


class VideoDecoder:
    """Opens at once; needs `close()`. `target`: what FFmpeg takes, or something with `read(size)`.

    `size_px` (width, height) as stored, 0 where nobody knows; `fps`, the mean, `stored_fps`, the rate between two pictures where none is missing, 0 where nobody knows; `frames` None
    there. `stated_end_s`: when the last picture ends, as the container has it.
    `filmed_fps`: the rate at which it was filmed, where its tags say that this is another one. `damaged` counts what could
    not be decoded. Raises `FFmpegError`, also from `pictures`, ValueError without a video in it.
    """

    def __init__(self, target: object) -> None:
        self.damaged = 0
        # Tags need not be UTF-8.
        self._container = av.open(target, "r", metadata_errors="replace")
        stream = self._container.streams.best("video")
        if not isinstance(stream, av.VideoStream):
            self._container.close()
            raise ValueError("no video in it")
        self.size_px = (stream.width or 0, stream.height or 0)
        # A small picture takes a third more processor time where it is passed on between threads.
        small = 0 < self.size_px[0] * self.size_px[1] <= _SMALL_PX
        stream.thread_type = "NONE" if small else "AUTO"
        self._stream = stream
        self.stored_fps = _usable(stream.guessed_rate)
        self.fps = _usable(stream.average_rate) or self.stored_fps
        began_s = Fraction(self._container.start_time or 0, av.time_base)
        first_s = (stream.start_time or 0) * (stream.time_base or 0)
        # Sound that a player leaves out lies before 0; pictures there are shown.
        self._began_s = float(max(began_s, min(first_s, Fraction(0))))
        lasts_s = self._container.duration and self._container.duration / av.time_base
        counted = stream.frames or (round(lasts_s * self.fps) if lasts_s else 0)
        self.frames = counted if counted > 0 else None
        self.stated_end_s = self._stated_end_s(lasts_s)
        self.filmed_fps = self._filmed_fps()

    def close(self) -> None:
        self._container.close()

    def pictures(self) -> Iterator[DecodedPicture]:
        matrix: tuple[int, ...] | None = None
        turned_deg: int | None = None
        for frame in self._frames():
            if (wrong := too_large(frame.width, frame.height)) is not None:
                raise ValueError(wrong)
            # As OpenCV converts, to the last bit.
            image: Image = frame.to_ndarray(format="bgr24", interpolation="BICUBIC")
            if turned_deg != frame.rotation:
                # A frame that was asked for side data keeps itself, and its picture, until garbage is collected.
                turned_deg = frame.rotation
                data = frame.side_data.get("DISPLAYMATRIX")
                matrix = None if data is None else struct.unpack("=9i", bytes(data))
            if matrix is not None:
                image = upright(image, matrix)
            tick_s = frame.time_base or Fraction(0)
            time_s = None if frame.pts is None else self._time_s(frame.pts, tick_s)
            yield DecodedPicture(image, time_s, float((frame.duration or 0) * tick_s))

    def times_s(self) -> list[float] | None:
        """When its pictures are shown, in that order, as the container tells it: nothing is decoded. None where it does not
        tell all of them. Reads from the beginning, where `pictures` then begins anew."""
        self._container.seek(self._stream.start_time or 0, stream=self._stream)
        told: list[float] = []
        tick_s = self._stream.time_base or Fraction(0)
        for packet in self._container.demux(self._stream):
            if packet.size == 0 or packet.is_discard:
                continue
            if packet.pts is None:
                return None
            told.append(self._time_s(packet.pts, tick_s))
        self._container.seek(self._stream.start_time or 0, stream=self._stream)
        return sorted(told)

    def pictures_from(self, time_s: float) -> Iterator[DecodedPicture]:
        """The pictures from one on that needs none before it and is shown at `time_s` or earlier."""
        tick_s = float(self._stream.time_base or 0)
        first = self._stream.start_time or 0
        # Containers look keys up by when they are decoded, which is before they are shown.
        for back_s in (0.0, 1.0, 10.0):
            wanted = int((time_s - back_s + self._began_s) / tick_s) if tick_s else first
            if wanted <= first:
                break
            self._container.seek(wanted, stream=self._stream)
            pictures = self.pictures()
            picture = next(pictures, None)
            if picture is not None and picture.time_s is not None and picture.time_s <= time_s:
                return chain((picture,), pictures)
        self._container.seek(first, stream=self._stream)
        return self.pictures()

    def _time_s(self, pts: int, tick_s: Fraction) -> float:
        # By way of milliseconds, as OpenCV has them: rows are the same to the last digit.
        return 1000 * (pts * float(tick_s)) / 1000 - self._began_s

    def _frames(self) -> Iterator[av.VideoFrame]:
        packets, failures = self._container.demux(self._stream), 0
        while failures < _MOST_FAILURES:
            try:
                packet = next(packets, None)
            except InvalidDataError:
                failures += 1
                packets = self._container.demux(self._stream)
                continue
            if packet is None:
                return
            failures = 0
            try:
                frames = packet.decode()
            except FFmpegError:
                self.damaged += 1
                continue
            yield from (frame for frame in frames if isinstance(frame, av.VideoFrame))

    def _stated_end_s(self, lasts_s: float | None) -> float | None:
        if self._container.format.flags & _NO_TIMES:
            return None
        stream = self._stream
        if stream.duration and stream.time_base:
            return float((stream.duration + (stream.start_time or 0)) * stream.time_base) - self._began_s
        # Matroska keeps in a tag what it says of a single stream.
        told = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", stream.metadata.get("DURATION", ""))
        if told is not None:
            return 3600 * int(told[1]) + 60 * int(told[2]) + float(told[3]) - self._began_s
        return lasts_s or None

    def _filmed_fps(self) -> float | None:
        for key, value in (self._container.metadata | self._stream.metadata).items():
            if _RATE_TAG.search(key):
                try:
                    fps = float(Fraction(value.strip()))
                except (ValueError, ZeroDivisionError, OverflowError):
                    continue
                if 1 <= fps <= _MOST_FILMED_HZ and abs(fps - self.stored_fps) > 0.05 * self.stored_fps:
                    return fps
        return None


def _usable(rate: Fraction | None) -> float:
    fps = float(rate or 0)
    return fps if 0 < fps <= _MOST_STORED_HZ else 0.0


def upright(image: Image, matrix: tuple[int, ...]) -> Image:
    """A picture as it is to be shown. `matrix` is the container's display matrix (a, b, u, c, d, v, x, y, w): what is at
    (x, y) is shown at (a·x + c·y, b·x + d·y). The nearest quarter turn counts."""
    a, b, _, c, d = matrix[:5]
    if abs(a) + abs(d) < abs(b) + abs(c):
        image = cv2.transpose(image)
        a, d = c, b
    if a < 0 or d < 0:
        image = cv2.flip(image, -1 if a < 0 and d < 0 else 1 if a < 0 else 0)
    return image
