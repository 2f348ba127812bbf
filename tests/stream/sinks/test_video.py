"""Recordings: true speed, whatever the source's clock does, and a file that plays, however the run ends."""

import math
import subprocess
import sys
import threading
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model.types import FrameResult
from stream.history import LiveHistory
from stream.screen.overlay import Overlay
from stream.sinks.base import SinkError
from stream.sinks.video import RecordSink, SteadyClock
from tests.helpers.happenings import event
from tests.helpers.paths import ROOT
from tests.helpers.processes import DEADLINE_S
from tests.helpers.results import CLASSES, HEALTH, prediction, result


def new_video(path: Path, fps: float | None = 30.0, block: bool = True, overlay: Overlay | None = None) -> RecordSink:
    overlay = overlay or Overlay(CLASSES, "")
    return RecordSink(path, overlay, LiveHistory(CLASSES), lambda: HEALTH, fps, block)


class PlainOverlay(Overlay):
    """Draws nothing: the picture itself tells which frame it is. Can be held up, and can fail."""

    def __init__(self, fails_at: int = -1) -> None:
        super().__init__(CLASSES, "")
        self.go = threading.Event()
        self.go.set()
        self.started = threading.Event()
        self.newest_s: list[float] = []
        self.events: list[int] = []
        self._fails_at = fails_at

    def draw(self, result, history, health):
        self.started.set()
        self.newest_s.append(float(history.recent().probabilities.times_s[-1]))
        self.events.append(history.recent().events.micro)
        self.go.wait()
        if result.frame.index == self._fails_at:
            raise ZeroDivisionError("drawing went wrong")
        return result.frame.image


def numbered(index: int, time_s: float, size: tuple[int, int] = (64, 48)) -> FrameResult:
    """A picture of eight stripes, dark or bright: the bits of its number."""
    bits = np.unpackbits(np.array([index], np.uint8))
    stripes = 40 + 170 * np.repeat(bits, -(-size[0] // 8))[: size[0]]
    return result(index, time_s, image=np.broadcast_to(stripes[None, :, None], (size[1], size[0], 3)).astype(np.uint8))


def read_video(path: Path, fps: float = 30.0) -> list[int]:
    """The number of the picture that is shown at every frame of the rate."""
    video = cv2.VideoCapture(str(path))
    numbers: list[int] = []
    while True:
        got, image = video.read()
        if not got:
            break
        begin = video.get(cv2.CAP_PROP_POS_MSEC) / 1000 * fps
        assert begin == pytest.approx(round(begin), abs=0.05) and (numbers or begin == 0)
        numbers += numbers[-1:] * (round(begin) - len(numbers))
        bits = image.mean((0, 2)).reshape(8, -1)[:, 2:-2].mean(axis=1) > 125
        numbers.append(int(np.packbits(bits)[0]))
    video.release()
    return numbers


def pictures_at(path: Path) -> tuple[list[tuple[float, int]], float]:
    """Time and number of every picture in the file, and the time at which the last one ends."""
    with av.open(str(path)) as video:
        found = [
            (float(frame.time), int(np.packbits(frame.to_ndarray(format="bgr24").mean((0, 2)).reshape(8, -1)[:, 2:-2].mean(1) > 125)[0]))
            for frame in video.decode(video=0)
        ]  # fmt: skip
    with av.open(str(path)) as video:
        *_, last = (packet for packet in video.demux(video=0) if packet.size)
    return found, float(((last.pts or 0) + (last.duration or 0)) * last.time_base)


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps_s=st.lists(st.floats(0.001, 0.25), min_size=1, max_size=30),
    fps=st.sampled_from([None, 24.0, 24.7017, 29.97, 60.0]),
    start_s=st.floats(0, 1e4),
)
def test_a_video_has_every_frame_of_an_uneven_source_at_its_own_time(steps_s, fps, start_s, tmp_path):
    times_s = start_s + np.concatenate(([0.0], np.cumsum(steps_s)))
    with new_video(tmp_path / "video.mp4", fps, overlay=PlainOverlay()) as sink:
        for index, time_s in enumerate(times_s):
            sink.write(numbered(index, float(time_s)))
    found, end_s = pictures_at(sink.path)
    assert sink.frames_written == len(times_s)
    assert [number for _, number in found] == list(range(len(times_s)))
    assert np.allclose([time_s for time_s, _ in found], times_s - times_s[0], rtol=0, atol=2e-5)
    # The last frame lasts one frame.
    assert end_s == pytest.approx(times_s[-1] - times_s[0] + 1 / (fps or 30.0), abs=4e-5)
    assert list(tmp_path.iterdir()) == [sink.path]
    sink.path.unlink()


def test_frames_for_the_same_time_are_all_kept(tmp_path):
    with new_video(tmp_path / "video.mp4", 30.0, overlay=PlainOverlay()) as sink:
        for index, time_s in enumerate((0.0, 0.1, 0.1, 0.1, 0.05, 0.2)):
            sink.write(numbered(index, time_s))
    found, _ = pictures_at(sink.path)
    assert [number for _, number in found] == list(range(6)) and sink.losses == {"recorder": 0}


def test_a_recording_of_an_earlier_run_stays_until_the_first_frame(tmp_path, monkeypatch):
    path = tmp_path / "video.mp4"
    path.write_bytes(b"yesterday's")
    with new_video(path):
        pass
    assert path.read_bytes() == b"yesterday's"
    with monkeypatch.context() as patch:
        patch.setattr("stream.sinks.video.MIN_FREE_BYTES", 1 << 62)
        with pytest.raises(SinkError, match="the disk is full"), new_video(path) as sink:
            sink.write(numbered(0, 0.0))
    assert path.read_bytes() == b"yesterday's"
    with new_video(path, overlay=PlainOverlay()) as sink:
        sink.write(numbered(7, 0.0))
    assert read_video(path) == [7]


def test_a_recording_belongs_to_one_run(tmp_path):
    with new_video(tmp_path / "video.mp4", overlay=PlainOverlay()) as sink:
        sink.write(numbered(3, 0.0))
        with pytest.raises(
            SinkError, match=r"cannot write the video .*: another run is writing it; give another name$"
        ):
            new_video(sink.path)
    assert read_video(sink.path) == [3]


def test_a_name_with_a_colon_is_no_address(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with new_video(Path("12:30.mp4"), overlay=PlainOverlay()) as sink:
        sink.write(numbered(3, 0.0))
    assert read_video(tmp_path / "12:30.mp4") == [3]


def test_a_source_of_the_same_rate_loses_and_repeats_nothing(tmp_path):
    overlay = PlainOverlay()
    with new_video(tmp_path / "video.mp4", 25.0, overlay=overlay) as sink:
        for index in range(40):
            sink.write(numbered(index, 3.0 + index / 25))
    assert read_video(sink.path, 25.0) == list(range(40))
    assert cv2.VideoCapture(str(sink.path)).get(cv2.CAP_PROP_FPS) == pytest.approx(25.0)
    # Every picture is drawn with the history up to itself, and no further.
    assert overlay.newest_s == [3.0 + index / 25 for index in range(40)]


def test_what_the_end_decides_is_in_the_last_picture_and_no_frame_more(tmp_path):
    overlay = PlainOverlay()
    with new_video(tmp_path / "video.mp4", 30.0, overlay=overlay) as sink:
        for index in range(5):
            sink.write(numbered(index, index / 30))
        sink.finish((event(0.0, lasts_s=0.1),))
    assert read_video(sink.path) == list(range(5))
    assert overlay.events == [0, 0, 0, 0, 1]


def test_the_overlay_is_in_the_video(tmp_path):
    image = np.full((240, 320, 3), 255, np.uint8)
    with new_video(tmp_path / "video.mp4") as sink:
        for index in range(3):
            sink.write(result(index, index / 30, "ok", image, prediction(0.1, 0.2, 0.3, 0.4)))
    got, frame = cv2.VideoCapture(str(sink.path)).read()
    assert got and frame[5, 5].max() < 150 and frame[120, 20].min() > 240


def test_an_aborted_run_keeps_a_video_that_plays(tmp_path):
    with pytest.raises(KeyboardInterrupt), new_video(tmp_path / "video.mp4", overlay=PlainOverlay()) as sink:
        for index in range(10):
            sink.write(numbered(index, index / 30))
        raise KeyboardInterrupt
    assert read_video(sink.path) == list(range(10))
    assert list(tmp_path.iterdir()) == [sink.path]
    assert not [thread for thread in threading.enumerate() if thread.name == "recorder"]


def test_what_was_recorded_can_be_played_at_any_moment(tmp_path):
    """So also after a run that was killed: but for the queue, and what is being encoded."""
    with new_video(tmp_path / "video.mp4", 20.0, overlay=PlainOverlay()) as sink:
        for index in range(100):
            sink.write(numbered(index, index / 20))
        (tmp_path / "killed.mp4").write_bytes(sink.path.read_bytes())
    numbers = read_video(tmp_path / "killed.mp4", 20.0)
    assert numbers == list(range(len(numbers))) and len(numbers) >= 100 - 8 - 4
    assert read_video(sink.path, 20.0) == list(range(100))


def test_a_disk_that_is_full_in_the_middle_keeps_what_was_written(tmp_path):
    """In a process of its own, which may write 30,000 bytes into a file."""
    code = (
        "import resource, sys, numpy as np\n"
        "from pathlib import Path\n"
        "from stream.sinks.base import SinkError\n"
        "from tests.stream.sinks.test_video import PlainOverlay, new_video, result\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (30000, 30000))\n"
        "rng = np.random.default_rng(0)\n"
        "try:\n"
        "    with new_video(Path(sys.argv[1]), overlay=PlainOverlay()) as sink:\n"
        "        for index in range(200):\n"
        "            noise = rng.integers(0, 255, (48, 64, 3), dtype=np.uint8)\n"
        "            sink.write(result(index, index / 30, image=noise))\n"
        "except SinkError as error:\n"
        "    print(error)\n"
    )
    path = tmp_path / "video.mp4"
    done = subprocess.run([sys.executable, "-c", code, str(path)], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == f"cannot write the video {path}: File too large\n", done.stderr
    assert path.stat().st_size <= 30000
    assert cv2.VideoCapture(str(path)).read()[0]


def test_a_live_recording_drops_and_counts_what_it_cannot_take(tmp_path):
    overlay = PlainOverlay()
    overlay.go.clear()
    with new_video(tmp_path / "video.mp4", block=False, overlay=overlay) as sink:
        sink.write(numbered(0, 0.0))
        sink.write(numbered(1, 1 / 30))
        assert overlay.started.wait(DEADLINE_S)  # frame 0 is being drawn, frame 1 is in hand, the queue is empty
        for index in range(2, 20):
            sink.write(numbered(index, index / 30))
        assert sink.dropped == 18 - 8
        overlay.go.set()
    numbers = read_video(sink.path)
    assert numbers == list(range(10))


def test_a_run_without_frames_leaves_no_file(tmp_path):
    with new_video(tmp_path / "video.mp4"):
        pass
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "link.mp4").symlink_to("far.mp4")
    with new_video(tmp_path / "link.mp4"):
        pass
    assert list(tmp_path.iterdir()) == [tmp_path / "link.mp4"]


def test_an_error_in_the_thread_reaches_the_writer_and_does_not_hang_it(tmp_path):
    with pytest.raises(SinkError, match=r"cannot write the video .*: drawing went wrong"):  # noqa: SIM117
        with new_video(tmp_path / "video.mp4", overlay=PlainOverlay(fails_at=5)) as sink:
            for index in range(200):
                sink.write(numbered(index, index / 30))
    assert read_video(sink.path) == list(range(5))
    assert not [thread for thread in threading.enumerate() if thread.name == "recorder"]


def test_a_full_disk_stops_the_recording_with_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr("stream.sinks.video.MIN_FREE_BYTES", 1 << 62)
    with pytest.raises(SinkError, match="the disk is full"), new_video(tmp_path / "video.mp4") as sink:
        sink.write(numbered(0, 0.0))
    assert list(tmp_path.iterdir()) == []


def test_only_mp4(tmp_path):
    with pytest.raises(SinkError, match=r"the name must end in \.mp4"):
        new_video(tmp_path / "video.avi")


@pytest.mark.parametrize("fps", [None, 0.0, -1.0, 0.4, 1000.0, 90000.0, math.nan, math.inf])
def test_a_rate_that_no_camera_has_becomes_thirty(fps, tmp_path):
    with new_video(tmp_path / "video.mp4", fps, overlay=PlainOverlay()) as sink:
        for index in range(4):
            sink.write(numbered(index, index / 10))
    assert read_video(sink.path) == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3]


def test_a_closed_recorder_takes_no_more(tmp_path):
    with new_video(tmp_path / "video.mp4", overlay=PlainOverlay()) as sink:
        sink.write(numbered(0, 0.0))
    with pytest.raises(ValueError, match="is closed"):
        sink.write(numbered(1, 0.1))
    sink.close()
    assert read_video(sink.path) == [0]


def test_odd_sizes_and_sizes_that_change(tmp_path):
    with new_video(tmp_path / "video.mp4", overlay=PlainOverlay()) as sink:
        sink.write(numbered(0, 0.0, (65, 49)))
        sink.write(numbered(1, 1 / 30, (64, 48)))
        sink.write(numbered(255, 2 / 30, (128, 48)))
        sink.write(numbered(3, 3 / 30, (65, 49)))
    video = cv2.VideoCapture(str(sink.path))
    frames = [video.read()[1] for _ in range(4)]
    assert {frame.shape for frame in frames} == {(48, 64, 3)}
    # The wide picture keeps its shape, with black above and below.
    assert frames[2][:8].max() < 25 and frames[2][20:28].min() > 150


@settings(deadline=None)
@given(
    times_s=st.lists(st.floats(0, 1e6), min_size=1, max_size=30),
    fps=st.floats(1, 240),
)
def test_frame_numbers_follow_the_time_whatever_the_clock_does(times_s, fps):
    timeline = SteadyClock(fps, max_hold_s=60.0)
    places = [timeline.place(time_s) for time_s in times_s]
    assert places[0] == 0
    for place, (before_s, after_s) in enumerate(pairwise(times_s)):
        step = places[place + 1] - places[place]
        if 0 <= after_s - before_s <= 60.0:
            assert abs(step - (after_s - before_s) * fps) <= 1.01
        else:
            assert 0 <= step <= 2
