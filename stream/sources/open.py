"""From a user's word to a source.

Which cameras there are.
"""

import contextlib
import os
import re
from collections.abc import Callable
from numbers import Integral
from pathlib import Path
from typing import get_args

from model.types import Pace
from stream.health import Connection
from stream.sources.base import FrameSource, LiveSettings, SourceError, SourceInfo, source_name
from stream.sources.capture import CaptureProcess
from stream.sources.capture_protocol import CaptureError, Opened, OpenOrder, Ready
from stream.sources.demo import DemoSource
from stream.sources.file import FileSource
from stream.sources.live import LiveSource
from stream.sources.pictures import PICTURES, PictureFileSource

_MAX_CAMERAS = 10
_PATTERN = re.compile(r"%0?[0-9]*d|[*?\[]")
_START_TIMEOUT_S, _OPEN_TIMEOUT_S = 20.0, 5.0


def open_source(
    source: str | os.PathLike[str] | int,
    pace: Pace = "realtime",
    settings: LiveSettings | None = None,
    on_change: Callable[[Connection], None] | None = None,
    fps: float | None = None,
) -> FrameSource:
    """The source that a user's word stands for.

    Args:
        source: A camera's index, "demo", a URL, "-" (a video through standard input), a video file, or pictures: a
            folder of them, `img%05d.jpg`, or `folder/*.png`, in the order of their numbers.
        pace: Of a file: "realtime" no faster than it was taken, "fast" as soon as frames are wanted.
        settings: Patience with a camera or stream, and what a camera is asked for.
        on_change: Called with every change of a camera's or stream's connection, in a thread of the source.
        fps: Of a file: the frames a second at which it was filmed, where it is stored at another rate. Of pictures: how
            many are a second (30 where nobody says).

    Returns:
        A source that is not yet open: open it with `with`, or give it to `Recognizer.run`.

    Raises:
        SourceError: It is no source or no pace at all; the address is no URL; when it is opened, it cannot be.

    Example:
        ```python
        with open_source("talk.mp4", "fast") as source:
            print(source.info.fps, sum(1 for frame in source))
        ```
    """
    source = _word(source)
    if pace not in get_args(Pace):
        raise SourceError(f"pace: expected {' or '.join(get_args(Pace))}, found {pace!r}")
    source_name(source)
    if isinstance(source, int) or "://" in source:
        return LiveSource(source, settings, pace, on_change)
    if source == "demo":
        return DemoSource(pace)
    if source == "-":
        return FileSource(None, pace, fps)
    path = Path(source).expanduser()
    if _is_of_pictures(path):
        return PictureFileSource(path, pace, fps)
    return FileSource(path, pace, fps)


def _is_of_pictures(path: Path) -> bool:
    """A file that is there is that file, whatever its name looks like."""
    with contextlib.suppress(OSError):
        if path.exists():
            return path.is_dir() or path.suffix.casefold() in PICTURES
        return bool(_PATTERN.search(str(path)))
    return False


def _word(source: object) -> str | int:
    """What a user's program gave, as a user types it."""
    if isinstance(source, Integral) and not isinstance(source, bool):
        return int(source)
    word = os.fspath(source) if isinstance(source, str | os.PathLike) else None
    if not isinstance(word, str):
        raise SourceError(
            f'source: expected a camera\'s index, a file, a URL, "demo" or a FrameSource, found {type(source).__name__}; '
            "give pictures that a program has itself to Recognizer.process(image, time_s), one by one, and then call finish()"
        )
    return word


def list_cameras() -> list[SourceInfo]:
    """Cameras that open and give a picture, index 0 to 9.

    Returns:
        What each says of itself; `name` has its index.

    Example:
        ```python
        for info in list_cameras():
            print(info.name, info.width_px, info.height_px, info.fps)
        ```
    """
    found: list[SourceInfo] = []
    process: CaptureProcess | None = None
    for index in range(_MAX_CAMERAS):
        if process is None:
            process = CaptureProcess()
            ready = None
            with contextlib.suppress(CaptureError):
                ready = process.receive(_START_TIMEOUT_S)
            if not isinstance(ready, Ready):
                break
        process.send(OpenOrder(index, _OPEN_TIMEOUT_S, _OPEN_TIMEOUT_S))
        answer = None
        with contextlib.suppress(CaptureError):
            answer = process.receive(_OPEN_TIMEOUT_S)
        if isinstance(answer, Opened):
            found.append(SourceInfo(f"camera {index}", answer.width_px, answer.height_px, answer.fps, live=True))
        if answer is None or isinstance(answer, Opened):
            # One that streams or hangs goes on doing so.
            process.close()
            process = None
    if process is not None:
        process.close()
    return found
