"""What readers of the capture process have in common."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from model.types import Image
from stream.sources.messages import Damaged


class CaptureError(RuntimeError):
    """Nothing can be read (any more): a few words that say why, with nothing of the address in them."""


@dataclass(frozen=True, eq=False)
class Captured:
    """A whole picture, BGR uint8 (height, width, 3); the numbers are those of `messages.Picture`."""

    image: Image
    index: int
    media_s: float
    captured_s: float
    decode_ms: float


class Reader(Protocol):
    """`fps` 0 and `frames` None where nobody knows. Not `live`: a file, of which every picture is wanted."""

    fps: float
    live: bool
    frames: int | None

    def pictures(self) -> Iterator[Captured | Damaged]:
        """Until the other side ends; raises `CaptureError` when it breaks off."""
        ...
