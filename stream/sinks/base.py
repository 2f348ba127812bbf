"""What all outputs have in common."""

from types import TracebackType
from typing import Protocol, Self

from model.types import FrameResult
from stream.output_file import SinkError, check_target, reason

__all__ = ["Sink", "SinkError", "check_target", "reason"]


class Sink(Protocol):
    """Takes every frame's result. A context manager: flushed and closed on the way out, after an error too."""

    def write(self, result: FrameResult) -> None: ...

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
