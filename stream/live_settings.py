"""How live sources are opened and how long they are waited for."""

import math
from dataclasses import dataclass, field


@dataclass(frozen=True)
class CameraSettings:
    """What a camera is asked for: `size_px` (width, height), `fps`; None leaves it to the camera. `backend` is one of
    `camera_backends()`, or `auto`."""

    size_px: tuple[int, int] | None = None
    fps: float | None = None
    backend: str = "auto"

    def __post_init__(self) -> None:
        if self.size_px is not None and min(self.size_px) < 1:
            raise ValueError(f"size_px: expected a width and a height of 1 or more, found {self.size_px}")
        if self.fps is not None and not 0 < self.fps <= 1000:
            raise ValueError(f"fps: expected more than 0 and up to 1000, found {self.fps}")


@dataclass(frozen=True)
class LiveSettings:
    """Patience with cameras and streams.

    `open_timeout_s`: until the first picture. `read_timeout_s`: until the next one. Both hold whatever the driver or the
    decoder does. `retry_for_s`: an outage may last so long before the run ends with an error (None: for ever; 0: the
    end of a stream is the end of the run, and no error). With `wait`, a source that is not there at the start is waited
    for in the same way. `camera` is for cameras only.
    """

    open_timeout_s: float = 5.0
    read_timeout_s: float = 2.0
    retry_for_s: float | None = None
    wait: bool = False
    camera: CameraSettings = field(default_factory=CameraSettings)

    def __post_init__(self) -> None:
        for name in ("open_timeout_s", "read_timeout_s"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name}: expected a finite number above 0, found {value}")
        if self.retry_for_s is not None and not self.retry_for_s >= 0:
            raise ValueError(f"retry_for_s: expected 0 or more, found {self.retry_for_s}")
