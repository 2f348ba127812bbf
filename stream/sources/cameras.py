"""Which cameras there are."""

import contextlib

from stream.sources.base import SourceInfo
from stream.sources.capture_process import CaptureProcess
from stream.sources.messages import Opened, OpenOrder, Ready
from stream.sources.reading import CaptureError

_MAX_CAMERAS = 10
_START_TIMEOUT_S, _OPEN_TIMEOUT_S = 20.0, 5.0


def list_cameras() -> list[SourceInfo]:
    """Cameras that open and give a picture, index 0 to 9."""
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
