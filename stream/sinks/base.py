"""What all outputs have in common."""

from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from model.types import FrameResult


class SinkError(RuntimeError):
    """An output cannot be written; the message is one line that says which and why."""


class Sink(Protocol):
    """Takes every frame's result. A context manager: flushed and closed on the way out, after an error too."""

    def write(self, result: FrameResult) -> None: ...

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def check_target(path: Path, what: str) -> None:
    """Raises `SinkError` when a file cannot be made at `path` because of where it is."""
    if path.is_dir():
        raise SinkError(f"cannot write the {what} {path}: it is a folder; give a file name")
    if not path.parent.is_dir():
        raise SinkError(f"cannot write the {what} {path}: the folder {path.parent} does not exist; create it first")


def reason(error: OSError) -> str:
    return error.strerror or type(error).__name__
