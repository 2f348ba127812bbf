"""Runs an iterator in a thread, a bounded number of items ahead of its reader."""

import threading
from collections import deque
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Generic, Self, TypeVar

Item = TypeVar("Item")


class RunAhead(Generic[Item]):
    """Iterates `items` in a thread while the reader works on what came before; at most `ahead` items wait.

    The thread starts with the first `next`. An exception of `items` is raised at the reader, after the items before it.
    Leaving the `with` block (or `close`) ends the thread after the item in hand.
    """

    def __init__(self, items: Iterable[Item], ahead: int, name: str) -> None:
        if ahead < 1:
            raise ValueError(f"ahead: expected 1 or more, found {ahead}")
        self._items = items
        self._ahead = ahead
        self._changed = threading.Condition()
        self._waiting: deque[Item] = deque()
        self._ended = False
        self._closed = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout=5.0)

    def __iter__(self) -> Iterator[Item]:
        if self._thread.ident is None and not self._closed:
            self._thread.start()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._waiting) or self._ended or self._closed)
                if self._closed or not self._waiting:
                    if self._error is not None:
                        raise self._error
                    return
                item = self._waiting.popleft()
                self._changed.notify_all()
            yield item

    def _work(self) -> None:
        try:
            for item in self._items:
                with self._changed:
                    self._changed.wait_for(lambda: len(self._waiting) < self._ahead or self._closed)
                    if self._closed:
                        return
                    self._waiting.append(item)
                    self._changed.notify_all()
        except BaseException as error:
            self._error = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()
