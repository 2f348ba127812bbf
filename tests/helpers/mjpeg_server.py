"""Cameras on the network: JPEG pictures over HTTP on the loopback."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.benchmark.camera import FaultServer


def jpegs(frames: Sequence[NDArray[np.uint8]]) -> list[bytes]:
    return [cv2.imencode(".jpg", frame)[1].tobytes() for frame in frames]


def endless_server(
    frames: Sequence[NDArray[np.uint8]],
    interval_s: float = 0.02,
    resized: Sequence[NDArray[np.uint8]] | None = None,
) -> FaultServer:
    """Serves the frames over and over."""
    pictures, others = jpegs(frames), jpegs(resized or frames)
    return FaultServer(lambda n: pictures[n % len(pictures)], interval_s, lambda n: others[n % len(others)])


@contextmanager
def mjpeg_server(frames: Sequence[NDArray[np.uint8]], interval_s: float = 0.02) -> Iterator[str]:
    """Serves the frames once to every client, then closes the connection; yields the URL."""
    pictures = jpegs(frames)
    with FaultServer(lambda n: pictures[n] if n < len(pictures) else None, interval_s) as server:
        yield server.url
