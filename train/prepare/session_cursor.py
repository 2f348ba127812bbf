"""The frames of recorded sessions, stretch after stretch: read onwards while the next one begins later, else from the beginning."""

from collections.abc import Iterator
from pathlib import Path

from model.types import Frame
from stream.session.replay import ReplaySource
from stream.session.session_folder import SessionFolder


class SessionCursor:
    """One session is open at a time. Needs `close()`. Raises SessionError for a session that cannot be replayed."""

    def __init__(self) -> None:
        self._source: ReplaySource | None = None
        self._path: Path | None = None

    def close(self) -> None:
        if self._source is not None:
            self._source.__exit__(None, None, None)
        self._source = self._path = None

    def frames(self, path: Path, first_s: float, last_s: float) -> Iterator[Frame]:
        """From the last frame before `first_s` to the first one after `last_s`, where there are any."""
        if path != self._path or self._before.time_s > first_s:
            self._open(path)
        self._path = None  # a stretch that is not read to its end leaves its place unknown
        frame: Frame | None = self._before
        while frame is not None and frame.time_s <= last_s:
            following = next(self._frames, None)
            if following is None or following.time_s > first_s:
                yield frame
            self._before, frame = following or frame, following
        if frame is not None:
            yield frame
        self._path = path

    def _open(self, path: Path) -> None:
        self.close()
        source = ReplaySource(SessionFolder(path))
        source.__enter__()
        self._source = source
        self._frames = iter(source)
        self._before = next(self._frames)
