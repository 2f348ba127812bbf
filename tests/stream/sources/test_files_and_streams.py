"""Real files, a real stream on the loopback, and what goes wrong with both."""

import contextlib
import itertools
import socket
import time
from pathlib import Path
from urllib.parse import quote

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.benchmark.faults import transport_stream
from stream.sources.base import FileTimes, LiveSettings, SourceError, SourceInfo, source_name, without_credentials
from stream.sources.demo import DemoSource
from stream.sources.file import FileSource
from stream.sources.live import LiveSource
from stream.sources.open import open_source
from stream.sources.pictures import PictureSource
from tests.helpers.clips import write_video
from tests.helpers.mjpeg_server import mjpeg_server


def numbered(count: int) -> list[np.ndarray]:
    """Pictures that carry their number in their brightness."""
    return [np.full((120, 160, 3), 10 + 4 * i, np.uint8) for i in range(count)]


def test_a_file_gives_every_frame_at_its_time(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", numbered(40), fps=25.0)
    with FileSource(path, "fast") as source:
        assert (source.info.width_px, source.info.height_px) == (160, 120)
        assert source.info.fps == pytest.approx(25.0) and source.info.frames == 40 and not source.info.live
        frames = list(source)
    assert [frame.index for frame in frames] == list(range(40))
    np.testing.assert_allclose([frame.time_s for frame in frames], np.arange(40) / 25, atol=1e-3)
    brightness = [frame.image.mean() for frame in frames]
    np.testing.assert_allclose(brightness, [10 + 4 * i for i in range(40)], atol=5)
    assert (np.diff(brightness) > 0).all()


def test_stopping_ends_a_file_that_waits_for_its_pace(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", numbered(30), fps=1.0)
    with FileSource(path, "realtime") as source:
        seen = 0
        for _ in source:
            seen += 1
            source.stop()
    assert seen == 1


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "does not exist"), (b"", "is empty"), (b"no video" * 400, "holds no video"), ("folder", "is a folder")],
)
def test_files_that_are_no_video(tmp_path: Path, content: object, says: str) -> None:
    path = tmp_path / "clip.mp4"
    if content == "folder":
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)  # type: ignore[arg-type]
    with pytest.raises(SourceError, match=says), open_source(str(path)):
        pass


def test_a_truncated_file_is_refused_or_read_as_far_as_it_goes(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "clip.mp4", numbered(40)).read_bytes()
    for share in (0.1, 0.5, 0.95):
        (tmp_path / "cut.mp4").write_bytes(whole[: int(share * len(whole))])
        try:
            with FileSource(tmp_path / "cut.mp4", "fast") as source:
                assert len(list(source)) <= 40
        except SourceError as error:
            assert "cut off" in str(error)


def test_a_stream_over_http_gives_growing_times_and_counts_what_it_drops() -> None:
    once = LiveSettings(retry_for_s=0.0)
    with mjpeg_server(numbered(50)) as url, LiveSource(url, once) as source:
        assert source.info.live and source.info.frames is None
        frames = list(source)
        dropped = source.dropped
    assert len(frames) >= 2 and all(a.time_s < b.time_s for a, b in itertools.pairwise(frames))
    assert all(a.index < b.index for a, b in itertools.pairwise(frames))
    # The newest frame may still wait when the stream ends; everything else was given out or counted.
    assert frames[-1].index + 1 == len(frames) + dropped
    assert dropped < 50
    assert frames[-1].image.mean() > frames[0].image.mean()


def test_a_stream_that_nobody_serves() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with (
            pytest.raises(SourceError, match="cannot be opened"),
            open_source(f"http://user:secret@127.0.0.1:{port}/x"),
        ):
            pass


def test_a_camera_that_is_not_there() -> None:
    with pytest.raises(SourceError, match="camera 99 cannot be opened: see --list-cameras"), LiveSource(99):
        pass


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://me:secret@host:554/live?x=1", "rtsp://host:554/…"),
        ("http://me:se@cret@host/live#secret", "http://host/…"),
        ("http://host/v.cgi?user=me&pwd=secret&res=2", "http://host/…"),
        ("http://host/v?accessToken=secret;size=3", "http://host/…"),
        ("http://host/v?ApiKey=secret", "http://host/…"),
        ("http://host:8080/user=admin&password=secret", "http://host:8080/…"),
        ("http://host/v?u=me&p=secret", "http://host/…"),
        ("http://host/v?pw=secret&jwt=secret&sid=secret&session=secret&code=secret", "http://host/…"),
        ("https://bucket.example/v.mp4?X-Amz-Signature=secret&sig=secret", "https://bucket.example/…"),
        ("rtmp://host/app/secret", "rtmp://host/…"),
        ("rtmp://host/app playpath=secret", "rtmp://host/…"),
        ("rtsp://me:12/secret@host/stream", "rtsp://…"),
        ("rtsp://me/secret@host/stream", "rtsp://…"),
        ("rtsp://me?secret@host/stream", "rtsp://…"),
        ("me:secret@rtsp://host/stream", "the address given"),
        ("secret://host/stream", "the address given"),
        ("rtsp://[::1]:554/secret", "rtsp://[::1]:554/…"),
        ("http://host", "http://host"),
    ],
)
def test_credentials_are_never_shown(url: str, shown: str) -> None:
    assert without_credentials(url) == shown
    assert "secret" not in repr(vars(LiveSource(url)))


@pytest.mark.parametrize("url", ["http://me:secret@[bad/x", "rtsp://me:se/cret@host/x", "http://me:secret@ho\u2100st/"])
def test_an_address_that_is_none_is_not_repeated(url: str) -> None:
    with pytest.raises(SourceError, match="not a valid URL") as caught:
        LiveSource(url)
    assert "cret" not in str(caught.value)


@settings(deadline=None)
@given(user=st.text(min_size=1, max_size=8), password=st.text(min_size=5, max_size=12), rest=st.text(max_size=12))
def test_no_password_is_shown_whatever_it_is(user: str, password: str, rest: str) -> None:
    url = f"rtsp://{quote(user, safe='')}:{quote(password, safe='')}@host/{quote(rest)}?t=1"
    assert f":{quote(password, safe='')}@" not in without_credentials(url)
    assert without_credentials(url).startswith("rtsp://host/")


@settings(deadline=None)
@given(before=st.text(max_size=8), after=st.text(max_size=8), scheme=st.sampled_from(["rtsp", "http", "rtmp", "x"]))
def test_what_is_not_the_host_is_shown_nowhere(before: str, after: str, scheme: str) -> None:
    for url in (f"{scheme}://host/{before}zebra{after}", f"{scheme}://{before}zebra{after}@host/x"):
        with contextlib.suppress(SourceError):
            assert "zebra" not in without_credentials(url)


@pytest.mark.parametrize(
    "word",
    ["me:zebra@host/stream", "zebra@host", "host:554/zebra", "host.local/zebra", "rtsp:/me:zebra@host/x", "v?pw=zebra"],
)
def test_an_address_without_its_scheme_is_not_repeated(word: str) -> None:
    for ask in (source_name, open_source):
        with pytest.raises(SourceError, match="without its scheme") as caught:
            ask(word)
        assert "zebra" not in str(caught.value)


def test_files_keep_their_names(tmp_path: Path) -> None:
    for name in ("plain.mp4", "a@b=c.mp4"):
        (tmp_path / name).touch()
        assert source_name(str(tmp_path / name)) == str(tmp_path / name)
    assert (
        source_name("missing.mp4") == "missing.mp4" and source_name("demo") == "demo" and source_name(2) == "camera 2"
    )


def test_the_demo_tells_its_truth() -> None:
    with DemoSource("fast") as source:
        assert {event.label for event in source.events} == {"negative", "positive", "surprise"}
        first = next(iter(source))
        assert first.image.shape == (source.info.height_px, source.info.width_px, 3) and first.time_s == 0.0


@pytest.mark.parametrize(("first_s", "then_s"), [(10.0, 7210.0), (20.0, 15.0)])
def test_a_jump_of_the_times_is_not_waited_for(tmp_path: Path, first_s: float, then_s: float) -> None:
    """At its own pace: every picture at once after the jump, at the file's own time."""
    path = tmp_path / "jump.ts"
    pictures = numbered(20)
    path.write_bytes(transport_stream(pictures[:10], first_s) + transport_stream(pictures[10:], then_s))
    with FileSource(path, "realtime") as source:
        began_s = time.monotonic()
        times_s = [frame.time_s for frame in source]
        assert time.monotonic() - began_s < 30.0
    expected = np.concatenate([np.arange(10) / 30, then_s - first_s + np.arange(10) / 30])
    np.testing.assert_allclose(times_s, expected, atol=1e-3)


def test_times_that_a_file_does_not_have_are_stood_in_for() -> None:
    times = FileTimes(0.1)
    told_s = [0.0, 0.1, 0.1, 0.05, 0.4, 0.0, *[0.0] * 30, 5.0, 0.0, 0.2, -8.0, -7.9]
    found = [times.step(time_s) for time_s in told_s]
    np.testing.assert_allclose(found[:6], [0.0, 0.1, 0.2, 0.3, 0.4, 0.5])
    np.testing.assert_allclose(found[6:36], 0.6 + 0.1 * np.arange(30))
    assert found[36:] == [5.0, 0.0, 0.2, -8.0, -7.9]


def test_a_file_of_too_many_pixels_is_refused_by_its_header(tmp_path: Path) -> None:
    path = tmp_path / "wide.avi"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("mjpeg", rate=30)
        stream.width, stream.height, stream.pix_fmt = 20000, 16, "yuvj420p"
        file.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((16, 20000, 3), np.uint8), format="bgr24")))
        file.mux(stream.encode(None))
    with pytest.raises(SourceError, match="pictures of 20000 x 16 px are too large"), FileSource(path):
        pass


def test_made_pictures_are_limited_too() -> None:
    huge = np.broadcast_to(np.uint8(0), (9000, 9000, 3))
    info = SourceInfo("made", 9000, 9000, 30.0, live=False)
    with pytest.raises(SourceError, match="made, picture 0: pictures of 9000 x 9000 px are too large"):
        list(PictureSource(info, [(0.0, huge)]))
