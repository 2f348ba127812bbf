"""RTSP from a real server, and what a real server can do to it. Skipped where GStreamer's is not installed."""

from collections.abc import Iterator

import numpy as np
import pytest

from stream.sources.base import LiveSettings, SourceError
from stream.sources.live import LiveSource
from tests.helpers.rtsp_server import RtspServer
from tests.helpers.watched import Watched

QUICK = LiveSettings(open_timeout_s=10.0, read_timeout_s=1.0)
PATIENT = LiveSettings(open_timeout_s=60.0, read_timeout_s=30.0)
"""Where no connection may be lost, however busy the machine is."""


@pytest.fixture
def server() -> Iterator[RtspServer]:
    with RtspServer() as server:
        yield server


def test_a_stream_over_rtsp(server: RtspServer) -> None:
    with Watched(LiveSource(server.url.replace("//", "//me:hush@"), PATIENT)) as watched:
        info = watched.source.info
        assert info.live and info.frames is None and (info.width_px, info.height_px) == (160, 120)
        assert "hush" not in info.name
        watched.more(20)
    times_s = np.array([time_s for _, time_s, _ in watched.frames])
    assert (np.diff(times_s) > 0).all() and {shape for _, _, shape in watched.frames} == {(120, 160, 3)}


def test_a_server_that_is_killed_and_comes_back_with_another_size(server: RtspServer) -> None:
    with Watched(LiveSource(server.url, PATIENT)) as watched:
        watched.more(5)
        server.kill()
        watched.until(lambda: watched.state == "reconnecting" and watched.source.status().connection.tries >= 2)
        server.start("320x240")
        watched.more(5)
        assert watched.state == "connected" and watched.source.status().reconnects == 1
        assert watched.frames[-1][2] == (240, 320, 3)
    assert watched.error is None


def test_a_server_that_falls_silent(server: RtspServer) -> None:
    with Watched(LiveSource(server.url, QUICK)) as watched:
        watched.more(5)
        server.freeze(True)
        watched.until(lambda: watched.state == "reconnecting" and watched.source.status().connection.tries >= 1)
        server.freeze(False)
        watched.until(lambda: watched.state == "connected")
        watched.more(5)
        assert watched.source.status().reconnects >= 1


def test_a_path_that_is_not_served(server: RtspServer) -> None:
    with pytest.raises(SourceError, match="cannot be opened: no answer, or no video in it; check the address"):
        LiveSource(server.url + "/other", PATIENT).__enter__()
