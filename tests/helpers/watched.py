"""A source that is read while a test does something to it."""

import threading
from collections.abc import Callable
from typing import Self

from stream.sources.base import SourceError
from stream.sources.live import LiveSource
from tests.helpers.processes import DEADLINE_S


class Watched:
    """Reads a source in a thread of its own and lets the test wait for what it looks for.

    `frames`: index, time and shape of each; `error`: what ended the source.
    """

    def __init__(self, source: LiveSource) -> None:
        self.source = source
        self.frames: list[tuple[int, float, tuple[int, ...]]] = []
        self.error: Exception | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._read, daemon=True)

    @property
    def state(self) -> str:
        return self.source.status().connection.state

    def __enter__(self) -> Self:
        self.source.__enter__()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.source.__exit__(None, None, None)
        self._thread.join(DEADLINE_S)
        assert not self._thread.is_alive()

    def _read(self) -> None:
        try:
            for frame in self.source:
                with self._changed:
                    self.frames.append((frame.index, frame.time_s, frame.image.shape))
                    self._changed.notify_all()
        except SourceError as error:
            self.error = error

    def more(self, count: int) -> None:
        """Waits for so many more frames."""
        with self._changed:
            wanted = len(self.frames) + count
            assert self._changed.wait_for(lambda: len(self.frames) >= wanted, DEADLINE_S), self.source.status()

    def until(self, condition: Callable[[], bool]) -> None:
        pause = threading.Event()
        for _ in range(int(DEADLINE_S / 0.02)):
            if condition():
                return
            pause.wait(0.02)
        raise AssertionError(self.source.status())

    def ended(self) -> None:
        self._thread.join(DEADLINE_S)
        assert not self._thread.is_alive()
