"""Cameras, RTSP and files over HTTP, read by OpenCV."""

import math
import os
import time
from collections.abc import Iterator

import cv2

from stream.picture_limits import too_large
from stream.sources.capture_protocol import Captured, CaptureError, OpenOrder, TooLargeError


class OpenCvReader:
    """Reads as fast as pictures come, so that none waits in a buffer."""

    def __init__(self, order: OpenOrder) -> None:
        self._order = order
        try:
            self._capture = _camera(order) if isinstance(order.target, int) else _stream(order, order.target)
        except cv2.error as error:
            raise CaptureError(f"OpenCV cannot open it ({error.code})") from error
        if not self._capture.isOpened():
            raise CaptureError(
                "it cannot be opened" if isinstance(order.target, int) else "no answer, or no video in it"
            )
        size_px = self._capture.get(cv2.CAP_PROP_FRAME_WIDTH), self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT)
        if (wrong := too_large(*size_px)) is not None:
            raise TooLargeError(wrong)
        fps = float(self._capture.get(cv2.CAP_PROP_FPS))
        self.fps = fps if math.isfinite(fps) and 0 < fps <= 1000 else 0.0
        count = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self.frames = int(count) if isinstance(order.target, str) and math.isfinite(count) and count > 0 else None
        self.live = self.frames is None

    def pictures(self) -> Iterator[Captured]:
        index, begins_s = 0, 0.0
        while True:
            started_s = time.perf_counter()
            found, image = self._capture.read()
            captured_s = time.monotonic()
            if not found or image is None:
                if self.live or index == 0:
                    raise CaptureError("it gives no pictures" if index == 0 else "the connection broke off")
                return
            # Of a live source, reading is mostly waiting.
            decode_ms = 0.0 if self.live else 1000 * (time.perf_counter() - started_s)
            media_s = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000.0
            if index == 0 and not self.live and self.fps:
                # OpenCV counts from the first picture, which may come after the sound. Its time stamp counts frames.
                begins_s = self._capture.get(cv2.CAP_PROP_PTS) / self.fps - media_s
                begins_s = begins_s if begins_s > 0.5 / self.fps else 0.0
            media_s += begins_s
            yield Captured(image, index, media_s, captured_s, decode_ms)
            index += 1


def _stream(order: OpenOrder, url: str) -> cv2.VideoCapture:
    settings = [
        cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, round(1000 * order.open_timeout_s),
        cv2.CAP_PROP_READ_TIMEOUT_MSEC, round(1000 * order.read_timeout_s),
        # Several decoder threads take a picture each, and answer that many pictures later.
        cv2.CAP_PROP_N_THREADS, 1,
    ]  # fmt: skip
    # Of a file whose camera is off for a while, so many packets of sound may come before the next picture.
    os.environ.setdefault("OPENCV_FFMPEG_READ_ATTEMPTS", "1000000")
    capture = cv2.VideoCapture(url, cv2.CAP_FFMPEG, settings)
    capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
    return capture


def _camera(order: OpenOrder) -> cv2.VideoCapture:
    assert isinstance(order.target, int)
    capture = cv2.VideoCapture(order.target, backend_number(order.backend))
    if order.size_px is not None:
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, order.size_px[0])
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, order.size_px[1])
    if order.fps is not None:
        capture.set(cv2.CAP_PROP_FPS, order.fps)
    return capture


def camera_backends() -> tuple[str, ...]:
    """What OpenCV can read cameras with on this machine, in small letters."""
    registry = cv2.videoio_registry
    return tuple(registry.getBackendName(b).lower() for b in registry.getCameraBackends() if registry.hasBackend(b))


def backend_number(name: str) -> int:
    """OpenCV's number of a backend; ValueError when there is none of that name."""
    if name == "auto":
        return cv2.CAP_ANY
    registry = cv2.videoio_registry
    for backend in registry.getCameraBackends():
        if registry.hasBackend(backend) and registry.getBackendName(backend).lower() == name:
            return backend
    raise ValueError(f"backend: expected auto or one of {', '.join(camera_backends())}, found {name}")
