"""Pictures that are made as they are wanted, that somebody has already, or that lie in files."""

import glob
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Self

from model.decoding import read_picture
from model.guards import shown
from model.types import Frame, Image, Pace
from stream.picture_limits import too_large
from stream.sources.base import FrameSource, Pacer, SourceError, SourceInfo

PICTURES = (".bmp", ".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp")
USUAL_FPS = 30.0
_NUMBER_FIELD = re.compile(r"%0?([0-9]*)d")


class PictureSource(FrameSource):
    """Pictures BGR uint8 (height, width, 3) with their times, as pairs (time_s, picture), numbered from 0.

    Nothing is dropped, nothing is paced. With `info.live` it is treated as a camera: its last events come by
    `LivePipeline.finish`. One that is too large raises `SourceError`.
    """

    def __init__(self, info: SourceInfo, pictures: Iterable[tuple[float, Image]]) -> None:
        super().__init__()
        self.info = info
        self._pictures = pictures

    def __iter__(self) -> Iterator[Frame]:
        started_s = time.perf_counter()
        for index, (time_s, picture) in enumerate(self._pictures):
            if self._stopped.is_set():
                return
            now_s = time.perf_counter()
            if (wrong := too_large(picture.shape[1], picture.shape[0])) is not None:
                raise SourceError(f"{self.info.name}, picture {index}: {wrong}")
            yield Frame(index, time_s, picture, time.monotonic(), 1000 * (now_s - started_s))
            started_s = time.perf_counter()


class PictureFileSource(FrameSource):
    """Pictures in files, in the order of the numbers in their names, as a video of `fps` pictures a second (None: 30).

    `asked`: a folder (all pictures in it), a picture, or several of a folder by their number (`img%05d.jpg`) or by a glob
    (`*.png`). Where the names differ in one number alone, a number that is missing is a picture that is missing: its time
    passes. A picture that cannot be read is left out, and its time passes too.
    """

    def __init__(self, asked: Path, pace: Pace = "realtime", fps: float | None = None) -> None:
        super().__init__()
        self._asked = asked
        self._pace: Pace = pace
        self._fps = fps
        self._unreadable: list[str] = []
        self._resized = 0

    def __enter__(self) -> Self:
        try:
            self._files = find_pictures(self._asked)
        except OSError as error:
            raise SourceError(f"{shown(str(self._asked))} cannot be read: {error.strerror}") from error
        if not self._files:
            what = "is a folder without pictures" if self._asked.is_dir() else "matches no picture"
            raise SourceError(
                f"{shown(str(self._asked))} {what} ({', '.join(PICTURES)}): give a video file, or pictures"
            )
        self._places = _places(self._files)
        first = next((image for path in self._files if (image := read_picture(path)) is not None), None)
        if first is None:
            raise SourceError(f"{shown(str(self._asked))}: none of {len(self._files)} pictures can be read")
        self._size_px = first.shape[:2]
        height, width = self._size_px
        fps, name = self._fps or USUAL_FPS, shown(self._asked.name or self._asked.resolve().name)
        self.info = SourceInfo(name, width, height, fps, live=False, frames=len(self._files))
        return self

    @property
    def notice(self) -> str | None:
        if self._fps:
            return None
        return f"{self.info.name}: {len(self._files)} pictures, taken as {USUAL_FPS:g} a second: give --fps for another rate"

    @property
    def losses(self) -> dict[str, int]:
        return {"bad_frame": len(self._unreadable)} if self._unreadable else {}

    def remarks(self) -> tuple[str, ...]:
        found: list[str] = []
        missing = [(before, after) for before, after in pairwise(range(len(self._places))) if self._passed(after) > 1]
        if missing:
            count, after = sum(self._passed(after) - 1 for _, after in missing), self._files[missing[0][0]]
            found.append(f"pictures missing, going by their numbers: {count}, the first after {shown(after.name)}")
        if self._unreadable:
            found.append(
                f"pictures left out that cannot be read: {len(self._unreadable)}, the first {self._unreadable[0]}"
            )
        if self._resized:
            height, width = self._size_px
            found.append(f"pictures of another size than the first ({width}x{height}): {self._resized}")
        return tuple(f"{self.info.name}: {line}" for line in found)

    def _passed(self, index: int) -> int:
        return self._places[index] - self._places[index - 1]

    def __iter__(self) -> Iterator[Frame]:
        pacer = Pacer(self._pace, self._stopped)
        for index, (place, path) in enumerate(zip(self._places, self._files, strict=True)):
            started_s = time.perf_counter()
            image = read_picture(path)
            decode_ms = 1000 * (time.perf_counter() - started_s)
            if image is None:
                self._unreadable.append(shown(path.name))
                continue
            self._resized += image.shape[:2] != self._size_px
            time_s = place / self.info.fps
            pacer.wait(time_s)
            if self._stopped.is_set():
                return
            yield Frame(index, time_s, image, time.monotonic(), decode_ms)


def find_pictures(asked: Path) -> list[Path]:
    """The files that a user's word stands for, see `PictureFileSource`; nothing for what is neither there nor a pattern."""
    if asked.is_dir():
        found = [path for path in asked.iterdir() if not path.name.startswith(".")]
    elif asked.exists():
        found = [asked]
    elif _NUMBER_FIELD.search(asked.name):
        pattern = re.compile("".join(_as_regex(part) for part in re.split(r"(%0?[0-9]*d)", asked.name)))
        found = (
            [path for path in asked.parent.iterdir() if pattern.fullmatch(path.name)] if asked.parent.is_dir() else []
        )
    elif glob.has_magic(str(asked)):
        found = [Path(path) for path in glob.glob(str(asked))]
    else:
        found = []
    return sorted(
        (path for path in found if path.suffix.casefold() in PICTURES and path.is_file()), key=_in_number_order
    )


def _as_regex(part: str) -> str:
    field = _NUMBER_FIELD.fullmatch(part)
    return re.escape(part) if field is None else f"[0-9]{{{max(1, int(field[1] or 1))},}}"


def _in_number_order(path: Path) -> tuple[object, ...]:
    """img2 before img10."""
    parts = re.split(r"([0-9]+)", path.name)
    return (*(int(part) if part.isdigit() else part.casefold() for part in parts), path.name)


def _places(files: Sequence[Path]) -> Sequence[int]:
    """When each picture was taken, in pictures after the first: by its number, where the names differ in that alone and
    the numbers count in equal steps, else by its place among the others."""
    named = [re.fullmatch(r"(.*?)([0-9]+)", path.stem) for path in files]
    numbers = [int(name[2]) for name in named if name is not None]
    if len(numbers) == len(files) > 1 and len({name[1] for name in named if name is not None}) == 1:
        step = min(after - before for before, after in pairwise(numbers))
        if step > 0 and all((number - numbers[0]) % step == 0 for number in numbers):
            return [(number - numbers[0]) // step for number in numbers]
    return range(len(files))
