"""What the program and its capture process tell each other."""

from dataclasses import dataclass


@dataclass(frozen=True, repr=False)
class OpenOrder:
    """To the process: open a camera (an index) or a URL. It has no repr: a URL may hold a password."""

    target: int | str
    open_timeout_s: float
    read_timeout_s: float
    size_px: tuple[int, int] | None = None
    fps: float | None = None
    backend: str = "auto"


@dataclass(frozen=True)
class FreeSlot:
    """To the process: the picture in this slot has been taken."""

    slot: int


@dataclass(frozen=True)
class Ready:
    """From the process: it takes orders."""


@dataclass(frozen=True)
class Opened:
    """From the process: the first picture follows. `fps` 0 and `frames` None where nobody knows. Not `live`: a file."""

    width_px: int
    height_px: int
    fps: float
    live: bool
    frames: int | None


@dataclass(frozen=True)
class Picture:
    """From the process: a picture lies at `offset` of the shared memory, in `slot`, until that is freed.

    `index` counts the whole pictures that have arrived since it was opened. `media_s` is the stream's own time; `captured_s` the monotonic clock at its arrival, before it was decoded in `decode_ms`.
    """

    slot: int
    offset: int
    shape: tuple[int, int, int]
    index: int
    media_s: float
    captured_s: float
    decode_ms: float


@dataclass(frozen=True)
class Damaged:
    """From the process: how many pictures since it was opened were cut off or damaged."""

    count: int


@dataclass(frozen=True)
class Lost:
    """From the process: it could not be opened, or has ended. `ended` where the other side ended it in good order."""

    reason: str
    ended: bool = False


Order = OpenOrder | FreeSlot
Message = Ready | Opened | Picture | Damaged | Lost
