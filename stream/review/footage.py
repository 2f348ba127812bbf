"""The pictures of a recorded session or a video, from any moment on: the very frames, at the very times, that a run from the
beginning sees."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

from model.atomic import regular_file
from model.guards import shown
from model.types import Frame, Image
from stream.labels.label_log import LabelError
from stream.labels.reviewable import Reviewable
from stream.session.replay import RecordedFrame, recorded_frames
from stream.session.session_folder import SessionFolder
from stream.sinks.base import reason
from stream.sources.base import FileTimes
from stream.sources.decoder import DecodedPicture, VideoDecoder
from stream.sources.file import ffmpeg_name, quiet_decoder


@dataclass(frozen=True, eq=False)
class _Part:
    """A video file that holds the frames from number `first` on."""

    path: Path
    first: int

    @cached_property
    def told_s(self) -> list[float]:
        """The times of its pictures as its container has them, in the order in which they are shown."""
        with _opened(self.path) as decoder:
            told = decoder.times_s()
        if told is None or len(set(told)) < len(told):
            raise LabelError(
                f"{shown(str(self.path))} does not tell when its pictures are shown: rewrap it as .mp4 or .mkv"
            )
        return told

    @cached_property
    def fps(self) -> float:
        with _opened(self.path) as decoder:
            return decoder.fps or 30.0

    def pictures(self, first: int, stop: int) -> Iterator[tuple[int, DecodedPicture]]:
        """Places and pictures from `first` to `stop` (not included); what is damaged is left out."""
        places = {time_s: place for place, time_s in enumerate(self.told_s[first:stop], start=first)}
        if not places:
            return
        last_s = self.told_s[min(stop, len(self.told_s)) - 1]
        with _opened(self.path) as decoder:
            for picture in decoder.pictures_from(self.told_s[first]):
                if picture.time_s is None or picture.time_s > last_s:
                    return
                if picture.time_s in places:
                    yield places[picture.time_s], picture


@contextmanager
def _opened(path: Path) -> Iterator[VideoDecoder]:
    """A decoder of a file; what it cannot read is told in one line."""
    try:
        regular_file(path)
        with quiet_decoder():
            decoder = VideoDecoder(ffmpeg_name(path))
    except OSError as error:
        raise LabelError(f"{shown(str(path))} cannot be read: {reason(error)}") from error
    except (FFmpegError, ValueError) as error:
        raise LabelError(f"{shown(str(path))} holds no video that can be decoded") from error
    try:
        yield decoder
    except (FFmpegError, ValueError) as error:
        raise LabelError(f"{shown(str(path))}: reading broke off: {error}") from error
    finally:
        decoder.close()


class Footage:
    """`times_s` (n,): of every frame, by its number. Raises `LabelError` and `SessionError` for what cannot be read."""

    def __init__(
        self, parts: Sequence[_Part], times_s: NDArray[np.float64], recorded: Sequence[RecordedFrame] = ()
    ) -> None:
        self._parts = tuple(parts)
        self.times_s = times_s
        self._recorded = recorded

    @classmethod
    def of(cls, material: Reviewable) -> "Footage | None":
        """None where no pictures are kept."""
        if material.video is not None:
            return cls._of_video(material.video)
        session = material.session
        if session is None or session.read_facts().get("recording") != "source":
            return None
        return cls._of_session(session)

    @classmethod
    def _of_video(cls, path: Path) -> "Footage":
        part = _Part(path, 0)
        times = FileTimes(1 / part.fps)
        return cls([part], np.array([times.step(told_s) for told_s in part.told_s], np.float64))

    @classmethod
    def _of_session(cls, folder: SessionFolder) -> "Footage":
        rows = list(recorded_frames(folder))
        firsts = [place for place, row in enumerate(rows) if place == 0 or row.part != rows[place - 1].part]
        parts = [_Part(folder.part(rows[first].part), first) for first in firsts]
        return cls(parts, np.array([row.time_s for row in rows], np.float64), rows)

    def around(self, from_s: float, to_s: float) -> range:
        """Numbers of the frames between two times. Where a clock was set anew, and the times come twice, the first ones."""
        inside = np.flatnonzero((self.times_s >= from_s) & (self.times_s <= to_s))
        if not len(inside):
            return range(0)
        gaps = np.flatnonzero(np.diff(inside) > 1)
        last = inside[gaps[0]] if len(gaps) else inside[-1]
        return range(int(inside[0]), int(last) + 1)

    def frames(self, wanted: range) -> Iterator[Frame]:
        """In their order, as far as they can be decoded."""
        ends = [part.first for part in self._parts[1:]] + [len(self.times_s)]
        for part, end in zip(self._parts, ends, strict=True):
            first, stop = max(wanted.start, part.first), min(wanted.stop, end)
            if first < stop:
                for place, picture in part.pictures(first - part.first, stop - part.first):
                    yield self._frame(part.first + place, picture.image)

    def _frame(self, number: int, image: Image) -> Frame:
        restart = False
        if self._recorded:
            row = self._recorded[number]
            restart = row.restart
            image = np.ascontiguousarray(image[: row.height, : row.width])
        return Frame(number, float(self.times_s[number]), image, 0.0, 0.0, restart)
