"""The parts of live sources: JPEG pictures out of bytes, shared pictures, cameras' options, what is said of them."""

import io
import itertools
import mmap
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from model.types import FaceCrop, FaceResult
from stream.benchmark.camera import FaultServer
from stream.cli.options import parse_options
from stream.face.quality import CropJitter
from stream.health import Connection
from stream.picture_limits import jpeg_size_px
from stream.screen.statement import disconnected
from stream.screen.terminal import ConnectionTeller
from stream.sources.base import CameraSettings, LiveSettings, SourceError
from stream.sources.capture import CaptureProcess, CaptureStock
from stream.sources.capture_protocol import (
    SLOTS,
    CapturedPicture,
    Opened,
    OpenOrder,
    RingReader,
    RingWriter,
    TooLargeError,
    shared_file,
)
from stream.sources.live import LiveSource
from stream.sources.mjpeg_reader import JpegSplitter

RNG = np.random.default_rng(3)


def jpeg(width: int, height: int, quality: int = 80, progressive: bool = False) -> bytes:
    noise = RNG.integers(0, 255, (height, width, 3), dtype=np.uint8)
    flags = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_PROGRESSIVE, int(progressive)]
    flags += [cv2.IMWRITE_JPEG_RST_INTERVAL, 2 if width % 3 else 0]
    return cv2.imencode(".jpg", noise, flags)[1].tobytes()


PICTURES = [jpeg(16, 16), jpeg(40, 24, 95), jpeg(64, 48, 40, progressive=True), jpeg(33, 17, 100)]


def split(data: bytes, cuts: list[int]) -> tuple[list[bytes], int]:
    """Fed in pieces, cut at the given places."""
    splitter, found = JpegSplitter(), []
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    for begin, end in itertools.pairwise(places):
        found += splitter.feed(data[begin:end])
    return found, splitter.bad


@settings(deadline=None)
@given(
    order=st.lists(st.integers(0, len(PICTURES) - 1), max_size=6),
    between=st.lists(st.binary(max_size=40).map(lambda data: data.replace(b"\xff", b"\xfe")), min_size=7, max_size=7),
    cuts=st.lists(st.integers(0, 100000), max_size=12),
)
def test_pictures_come_out_whole_however_the_bytes_come(
    order: list[int], between: list[bytes], cuts: list[int]
) -> None:
    data = between[0] + b"".join(PICTURES[n] + between[place + 1] for place, n in enumerate(order))
    assert split(data, cuts) == ([PICTURES[n] for n in order], 0)


def test_a_picture_is_whole_with_its_last_byte() -> None:
    splitter = JpegSplitter()
    assert splitter.feed(PICTURES[1][:-1]) == [] and splitter.feed(PICTURES[1][-1:]) == [PICTURES[1]]


@settings(deadline=None)
@given(share=st.floats(0.3, 0.99), cuts=st.lists(st.integers(0, 100000), max_size=6), which=st.integers(0, 3))
def test_a_cut_picture_does_not_cost_the_next_one(share: float, cuts: list[int], which: int) -> None:
    whole = PICTURES[which]
    cut = whole[: int(share * len(whole))]
    boundary = b"\r\n--frame\r\nContent-Type: image/jpeg\r\n\r\n"
    found, bad = split(PICTURES[0] + boundary + cut + boundary + PICTURES[1] + boundary + PICTURES[0], cuts)
    # A head that is cut off can take the next picture's head for its own; in the data the damage is seen at once.
    assert found[0] == PICTURES[0] and found[-1] == PICTURES[0]
    if share > 0.8 and which != 2:
        assert found == [PICTURES[0], PICTURES[1], PICTURES[0]] and bad == 1


@settings(deadline=None, max_examples=60)
@given(data=st.binary(max_size=400), places=st.lists(st.integers(0, 1 << 30), max_size=20))
def test_no_bytes_break_the_splitter_and_it_recovers(data: bytes, places: list[int]) -> None:
    damaged = bytearray(PICTURES[3] + data + PICTURES[2])
    for place in places:
        damaged[place % len(damaged)] = place >> 8 & 0xFF
    splitter = JpegSplitter()
    splitter.feed(bytes(damaged))
    # A wrong length can swallow 64 KiB at most.
    found = [picture for _ in range(300) for picture in splitter.feed(PICTURES[1])]
    assert found[-1] == PICTURES[1] and len(found) >= 50


def test_the_splitter_keeps_no_more_than_it_needs() -> None:
    splitter = JpegSplitter()
    for _ in range(50):
        splitter.feed(b"x" * 100000)
    assert len(splitter._buffer) < 10
    head = PICTURES[1][: PICTURES[1].index(b"\xff\xda") + 20]
    splitter.feed(head)
    for _ in range(70):
        splitter.feed(b"x" * (1 << 20))
    assert len(splitter._buffer) < 1 << 26 and splitter.bad == 1
    assert splitter.feed(PICTURES[1]) == [PICTURES[1]]


def test_pictures_of_any_size_are_shared() -> None:
    file = shared_file()
    writer, reader = RingWriter(os.dup(file)), RingReader(file)
    sizes = [(4, 6), (48, 64), (2, 3), (480, 640), (47, 63), (600, 800), (10, 10)]
    for turn, (height, width) in enumerate(sizes):
        written = {}
        for slot in range(SLOTS):
            image = RNG.integers(0, 255, (height + slot, width, 3), dtype=np.uint8)
            written[slot] = (image, writer.write(slot, image))
        for slot, (image, offset) in written.items():
            found = reader.read(offset, image.shape)
            np.testing.assert_array_equal(found, image, err_msg=f"{turn} {slot}")
            found[:] = 0  # a copy


def test_an_order_does_not_show_its_address() -> None:
    assert "hush" not in repr(OpenOrder("rtsp://me:hush@host/", 1.0, 1.0))


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (CameraSettings(), None),
        (CameraSettings((640, 480), 30.0), None),
        (CameraSettings((1280, 720)), "camera 2 gives 640x480, not 1280x720"),
        (CameraSettings(None, 60.0), "camera 2 gives 640x480 at 30 fps, not 60 fps"),
        (CameraSettings((1280, 720), 60.0), "camera 2 gives 640x480 at 30 fps, not 1280x720 at 60 fps"),
    ],
)
def test_what_a_camera_gives_is_compared_with_what_was_asked(asked: CameraSettings, says: str | None) -> None:
    source = LiveSource(2, LiveSettings(camera=asked))
    source.opened(Opened(640, 480, 30.0, True, None))
    source.take(None, CapturedPicture(0, 0, (480, 640, 3), 0, 0.0, 10.0, 0.0))  # type: ignore[arg-type]
    assert source.notice == says


def test_options_of_cameras_and_streams() -> None:
    live = parse_options(["--camera", "1", "--size", "1280x720", "--fps", "60", "--retry-for", "5", "--wait"]).live
    assert live == LiveSettings(retry_for_s=5.0, wait=True, camera=CameraSettings((1280, 720), 60.0))
    live = parse_options(["--source", "rtsp://host/x", "--open-timeout", "3", "--read-timeout", "0.5"]).live
    assert live == LiveSettings(3.0, 0.5)


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        ("--source x.mp4 --size 640x480", "--size is for cameras"),
        ("--source rtsp://host/ --fps 30", "--fps is for cameras"),
        ("--source demo --backend v4l2", "--backend is for cameras"),
        ("--source x.mp4 --wait", "--wait is for cameras and streams"),
        ("--source demo --retry-for 3", "--retry-for is for cameras and streams"),
        ("--backend betamax", "expected auto or one of "),
        ("--size 640", "expected a width and a height"),
        ("--size 0x480", "expected a width and a height"),
        ("--fps 0", "expected more than 0"),
        ("--read-timeout 0", "expected 0.05 to 3600 seconds"),
        ("--open-timeout nan", "expected a finite number"),
        ("--retry-for -1", "expected a finite number, 0 or more"),
    ],
)
def test_options_that_make_no_sense(argv: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse_options(argv.split())
    assert caught.value.code == 2 and says in capsys.readouterr().err


def test_the_screen_hears_of_changes_only() -> None:
    console = Console(file=io.StringIO(), width=200)
    tell = ConnectionTeller(console, "http://host/[live]")
    for connection in (
        Connection("opening", 0.0, 1),
        Connection("opening", 0.0, 1, "connection refused"),
        Connection("opening", 0.0, 2, "connection refused"),
        Connection("opening", 0.0, 3, "connection refused"),
        Connection("connected", 2.5),
        Connection("reconnecting", 10.0, 0, "no picture within 2 s"),
        Connection("reconnecting", 10.0, 1, "no picture within 2 s"),
        Connection("reconnecting", 10.0, 2, "connection refused"),
        Connection("connected", 14.2),
        Connection("ended", 20.0),
    ):
        tell(connection)
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().splitlines() == [
        "http://host/[live]: waiting for it: connection refused",
        "http://host/[live]: connected after 2.5 s",
        "http://host/[live]: lost, opening it again: no picture within 2 s",
        "http://host/[live]: connected again after 4.2 s",
    ]


def test_what_is_said_while_nothing_comes() -> None:
    said = disconnected(Connection("reconnecting", 10.0, 3, "connection refused"), 14.2)
    assert (said.headline, said.beside, said.tone) == ("reconnecting", "since 4.2 s", "warning")
    assert [line.variants for line in said.lines] == [(("3rd try",),), (("connection refused",),)]


def followed(transform: np.ndarray, rekeyed: bool = False, track: int = 1) -> FaceResult:
    outline = np.array([[90, 90], [110, 90], [110, 110], [90, 110]], np.float32)
    face = FaceCrop(np.zeros((128, 128), np.uint8), transform, outline, rekeyed)
    return FaceResult(track, "ok", 30, None, face)


def test_crop_jitter_is_what_is_not_smooth() -> None:
    """White noise of 0.3 px in both coordinates is found on a face that moves evenly."""
    rng, meter = np.random.default_rng(0), CropJitter()
    for index in range(60):
        shift = np.array([0.8 * index, -0.3 * index]) + rng.normal(0, 0.3, 2)
        meter.step(followed(np.column_stack((np.eye(2), shift))))
    assert meter.px == pytest.approx(0.3, rel=0.25)
    meter.step(followed(np.eye(2, 3), track=2))
    assert meter.px is None


def test_crop_jitter_of_a_crop_that_rests_or_starts_anew() -> None:
    meter = CropJitter()
    for index in range(60):
        place = 40.0 if index >= 30 else 0.0
        meter.step(followed(np.array([[1.0, 0, place], [0, 1, 0]]), rekeyed=index == 30))
    assert meter.px == 0.0
    meter.step(None)
    assert meter.px is None


def test_pictures_that_grow_take_the_memory_of_the_largest(tmp_path: Path) -> None:
    """And give it back when they are small again."""
    path = tmp_path / "memory"
    file = os.open(path, os.O_RDWR | os.O_CREAT) if not hasattr(os, "memfd_create") else shared_file()
    writer, reader = RingWriter(os.dup(file)), RingReader(file)
    for turn in range(40):
        image = np.full((100 * (turn + 1), 640, 3), turn, np.uint8)
        offset = writer.write(turn % SLOTS, image)
        assert (reader.read(offset, image.shape) == turn).all()
    largest = 100 * 40 * 640 * 3
    assert os.fstat(file).st_blocks * 512 <= 1.1 * SLOTS * largest
    for slot in range(SLOTS):
        writer.write(slot, np.zeros((10, 10, 3), np.uint8))
    if hasattr(mmap, "MADV_REMOVE"):
        assert os.fstat(file).st_blocks * 512 < largest / 4
    with pytest.raises(TooLargeError, match="20000 x 10 px are too large: up to 64 megapixels"):
        writer.write(0, np.broadcast_to(np.uint8(0), (10, 20000, 3)))


def test_the_size_in_a_jpeg_s_header() -> None:
    assert [jpeg_size_px(picture) for picture in PICTURES] == [(16, 16), (40, 24), (64, 48), (33, 17)]
    for rubbish in (b"", b"\xff\xd8", b"\xff\xd8\xff\xe0\x00\x00", PICTURES[0][:20], bytes(1000)):
        assert jpeg_size_px(rubbish) == (0, 0)


def claiming(picture: bytes, width: int, height: int) -> bytes:
    """The JPEG with another size in its header."""
    at = picture.index(b"\xff\xc0") + 5
    return picture[:at] + height.to_bytes(2, "big") + width.to_bytes(2, "big") + picture[at + 4 :]


def test_a_camera_of_too_many_pixels_is_one_clear_line() -> None:
    huge = claiming(PICTURES[0], 16000, 16000)
    says = "cannot be read: pictures of 16000 x 16000 px are too large: up to 64 megapixels"
    with FaultServer(lambda _: huge, 0.01) as server, pytest.raises(SourceError, match=says):
        LiveSource(server.url).__enter__()


def test_processes_that_wait_are_taken_and_those_that_died_meanwhile_are_not() -> None:
    stock = CaptureStock()
    stock.fill(2)
    stock.fill(1)  # there are
    dead, waiting = stock._waiting
    dead.kill()
    taken: list[CaptureProcess] = []

    def take() -> CaptureProcess:
        taken.append(stock.take())
        return taken[-1]

    with FaultServer(lambda _: PICTURES[1], 0.01) as server, LiveSource(server.url, new_process=take) as source:
        assert next(iter(source)).image.shape == (24, 40, 3)
    assert taken == [waiting] and not waiting.running
    new = stock.take()  # none waits any more
    assert new.running and new not in (dead, waiting)
    new.close()


def test_one_header_that_is_damaged_costs_one_picture() -> None:
    huge, whole = claiming(PICTURES[0], 16000, 16000), PICTURES[1]
    with (
        FaultServer(lambda n: huge if n % 5 == 2 else whole, 0.01) as server,
        LiveSource(server.url) as source,
    ):
        for frame in source:
            assert frame.image.shape == (24, 40, 3)
            if source.status().dropped["bad_frame"] > 2:
                break
        assert source.status().reconnects == 0
