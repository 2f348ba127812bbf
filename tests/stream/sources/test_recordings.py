"""Recordings as phones, lab cameras and other programs leave them: turned, late, with gaps, damaged, and as pictures."""

import gc
import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from stream.cli.options import parse_options
from stream.recognizer import Recognizer
from stream.sources.base import SourceError
from stream.sources.decoder import upright
from stream.sources.file import FileSource
from stream.sources.open import open_source
from stream.sources.pictures import PictureFileSource
from tests.helpers.clips import face_frames, write_track, write_video
from tests.helpers.paths import ROOT

Picture = NDArray[np.uint8]
EVEN_S = [i / 30 for i in range(30)]


def corners() -> Picture:
    """Bright at the upper left, half so at the upper right, dark below."""
    picture = np.full((64, 96, 3), 20, np.uint8)
    picture[:32, :48], picture[:32, 48:] = 220, 120
    return picture


def numbered(count: int = 30) -> list[Picture]:
    return [np.full((64, 96, 3), 10 + 7 * i, np.uint8) for i in range(count)]


def times_of(path: Path, fps: float | None = None) -> list[float]:
    with FileSource(path, "fast", fps) as source:
        return [frame.time_s for frame in source]


@pytest.mark.parametrize(
    ("matrix", "shown"),
    [
        ((1, 0, 0, 1), lambda picture: picture),
        ((0, 1, -1, 0), lambda picture: cv2.rotate(picture, cv2.ROTATE_90_CLOCKWISE)),
        ((-1, 0, 0, -1), lambda picture: cv2.rotate(picture, cv2.ROTATE_180)),
        ((0, -1, 1, 0), lambda picture: cv2.rotate(picture, cv2.ROTATE_90_COUNTERCLOCKWISE)),
        ((-1, 0, 0, 1), lambda picture: cv2.flip(picture, 1)),
        ((1, 0, 0, -1), lambda picture: cv2.flip(picture, 0)),
        ((0, 1, 1, 0), lambda picture: cv2.transpose(picture)),
        ((0, -1, -1, 0), lambda picture: cv2.flip(cv2.transpose(picture), -1)),
    ],
)
def test_a_turned_or_mirrored_video_is_upright(tmp_path: Path, matrix: tuple[int, int, int, int], shown) -> None:
    path = write_track(tmp_path / "phone.mp4", [corners()] * 3, EVEN_S[:3], matrix=matrix)
    expected = shown(corners())
    with FileSource(path, "fast") as source:
        assert (source.info.height_px, source.info.width_px) == expected.shape[:2]
        for frame in source:
            assert frame.image.flags.c_contiguous
            assert np.abs(frame.image.astype(int) - expected).mean() < 8


def test_a_crooked_matrix_counts_as_the_nearest_quarter_turn() -> None:
    turned = [round(65536 * value) for value in (0.2, 0.98, -0.98, 0.2)]
    a, b, c, d = turned
    expected = cv2.rotate(corners(), cv2.ROTATE_90_CLOCKWISE)
    assert np.array_equal(upright(corners(), (a, b, 0, c, d, 0, 0, 0, 1 << 30)), expected)


def test_pictures_are_those_of_opencv_to_the_last_bit(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", face_frames(5))
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    with FileSource(path, "fast") as source:
        for frame in source:
            assert np.array_equal(frame.image, capture.read()[1])
            assert frame.time_s == capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
    assert not capture.read()[0]


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_a_video_that_starts_late_has_the_times_of_its_sound(tmp_path: Path, ending: str) -> None:
    path = write_track(tmp_path / f"late.{ending}", numbered(), [2.5 + t for t in EVEN_S], sound_s=4.0)
    np.testing.assert_allclose(times_of(path), [2.5 + t for t in EVEN_S], atol=0.002)


def test_a_stream_cut_out_of_a_longer_one_begins_at_0(tmp_path: Path) -> None:
    path = write_track(tmp_path / "cut.ts", numbered(), [600 + t for t in EVEN_S])
    np.testing.assert_allclose(times_of(path), EVEN_S, atol=0.002)


def test_pictures_do_not_wait_for_the_garbage_collector(tmp_path: Path) -> None:
    """A decoded picture of an 8K file takes 50 MB that the collector knows nothing of."""
    path = write_track(tmp_path / "a.mp4", numbered(), EVEN_S, matrix=(-1, 0, 0, -1))
    gc.collect()
    gc.disable()
    try:
        with FileSource(path, "fast") as source:
            assert len(list(source)) == len(EVEN_S)
            kept = sum(isinstance(found, av.VideoFrame) for found in gc.get_objects())
    finally:
        gc.enable()
    assert kept <= 2


def test_a_camera_that_is_off_for_a_while_is_a_gap_and_not_the_end(tmp_path: Path) -> None:
    times = [t + (300 if i >= 15 else 0) for i, t in enumerate(EVEN_S)]
    path = write_track(tmp_path / "off.mkv", numbered(), times, sound_s=301.0)
    with FileSource(path, "fast") as source:
        found = [frame.time_s for frame in source]
        np.testing.assert_allclose(found, times, atol=0.002)
        assert source.remarks() == ("off.mkv: a gap without pictures from 0.5 s to 300.5 s",)


def test_a_file_that_ends_before_it_says_is_told_and_one_that_was_stopped_is_not(tmp_path: Path) -> None:
    whole = write_track(tmp_path / "whole.mkv", numbered(300), [i / 30 for i in range(300)])
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with FileSource(whole, "fast") as source:
        assert len(list(source)) == 300 and source.remarks() == ()
    with FileSource(cut, "fast") as source:
        last_s = list(source)[-1].time_s
    assert 1 < last_s < 9
    assert source.remarks() == (
        f"cut.mkv: its pictures end at {last_s + 1 / 30:.1f} s, though it says that it lasts until 10.0 s: "
        "it may be cut off",
    )
    with FileSource(cut, "fast") as source:
        next(iter(source))
        source.stop()
    assert source.remarks() == ()


def test_what_is_damaged_is_counted_and_gone_on_from(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (30, 64, 96, 3), np.uint8)
    path = write_track(tmp_path / "bad.mkv", list(noise), EVEN_S)
    data = path.read_bytes()
    with av.open(str(path)) as file:
        packets = [bytes(packet) for packet in file.demux(video=0)]
    for index in (10, 11, 20):
        data = data.replace(packets[index], bytes(len(packets[index])))
    path.write_bytes(data)
    with FileSource(path, "fast") as source:
        times = [frame.time_s for frame in source]
        assert source.losses == {"bad_frame": 3}
    np.testing.assert_allclose(times, [t for i, t in enumerate(EVEN_S) if i not in (10, 11, 20)], atol=0.002)
    assert source.remarks() == ("bad.mkv: pictures left out that cannot be decoded: 3",)


def test_what_was_odd_is_in_the_summary_and_in_the_json_and_in_the_session(tmp_path: Path) -> None:
    times = [t + (2 if i >= 15 else 0) for i, t in enumerate(EVEN_S)]
    write_track(tmp_path / "off.mkv", numbered(), times)
    asked = ["--source", "off.mkv", "--headless", "--json", "run.json", "--session", "kept"]
    done = subprocess.run(
        [sys.executable, ROOT / "run_live.py", *asked], capture_output=True, text=True, timeout=120, cwd=tmp_path
    )
    line = "off.mkv: a gap without pictures from 0.5 s to 2.5 s"
    assert done.returncode == 0 and line in done.stdout, done.stderr
    run = json.loads((tmp_path / "run.json").read_text())
    assert run["remarks"] == [line] and run["timestamps"]["gaps"] == 1
    assert json.loads((tmp_path / "kept" / "session.json").read_text())["run"]["remarks"] == [line]


def test_a_rate_of_filming_makes_times_real_and_leaves_gaps_what_they_are(tmp_path: Path) -> None:
    even = write_track(tmp_path / "even.mp4", numbered(), EVEN_S)
    assert times_of(even, 240.0) == [i / 240 for i in range(30)]
    # Milliseconds are too coarse for 30 a second: they count as what they mean.
    rounded = write_track(tmp_path / "rounded.mkv", numbered(), EVEN_S)
    assert times_of(rounded, 240.0) == [i / 240 for i in range(30)]
    holes = [t for i, t in enumerate(EVEN_S) if not 10 <= i < 14]
    gappy = write_track(tmp_path / "gappy.mp4", numbered(26), holes)
    np.testing.assert_allclose(times_of(gappy, 240.0), [t / 8 for t in holes], rtol=0.02)
    with open_source(str(even), "fast", fps=240.0) as source:
        assert source.info.fps == 240.0 and source.notice is None


@pytest.mark.parametrize("key", ["com.android.capture.fps", "com.apple.quicktime.framerate", "CaptureFrameRate"])
def test_a_rate_in_the_tags_is_offered_and_not_taken(tmp_path: Path, key: str) -> None:
    path = write_track(tmp_path / "slow.mp4", numbered(), EVEN_S, tags={key: "240.0"})
    with FileSource(path, "fast") as source:
        assert source.notice is not None and "--fps 240" in source.notice and source.info.fps == 30.0
        assert [frame.time_s for frame in source] == pytest.approx(EVEN_S)
    same = write_track(tmp_path / "same.mp4", numbered(), EVEN_S, tags={key: "29.97"})
    with FileSource(same, "fast") as source:
        assert source.notice is None


def write_pictures(folder: Path, names: Sequence[str], size_px: int = 48) -> None:
    folder.mkdir(exist_ok=True)
    for index, name in enumerate(names):
        (folder / name).parent.mkdir(exist_ok=True)
        assert cv2.imwrite(str(folder / name), np.full((size_px, size_px, 3), 10 + 10 * index, np.uint8))


@pytest.mark.parametrize("asked", ["", "img%d.png", "img*.png", "*"])
def test_pictures_come_in_the_order_of_their_numbers(tmp_path: Path, asked: str) -> None:
    write_pictures(tmp_path / "set", [f"img{number}.png" for number in range(1, 13)])
    (tmp_path / "set" / "notes.txt").write_text("no picture")
    (tmp_path / "set" / ".hidden.png").write_bytes(b"")
    with open_source(str(tmp_path / "set" / asked), "fast") as source:
        assert source.info.frames == 12 and not source.info.live
        assert source.notice is not None and "12 pictures, taken as 30 a second: give --fps" in source.notice
        frames = list(source)
    assert [frame.image[0, 0, 0] for frame in frames] == [10 + 10 * i for i in range(12)]
    assert [frame.time_s for frame in frames] == [i / 30 for i in range(12)]
    with open_source(str(tmp_path / "set" / asked), "fast", fps=200.0) as source:
        assert source.notice is None and [frame.time_s for frame in source] == [i / 200 for i in range(12)]


def test_missing_unreadable_and_resized_pictures_are_told_and_counted(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    write_pictures(folder, [f"f_{number:03}.png" for number in (0, 8, 16, 24, 48)])
    write_pictures(folder, ["f_056.png"], size_px=32)
    (folder / "f_016.png").write_bytes(b"no picture")
    with PictureFileSource(folder, "fast", 100.0) as source:
        frames = list(source)
        assert [round(100 * frame.time_s) for frame in frames] == [0, 1, 3, 6, 7]
        assert source.losses == {"bad_frame": 1}
        assert source.remarks() == (
            "set: pictures missing, going by their numbers: 2, the first after f_024.png",
            "set: pictures left out that cannot be read: 1, the first f_016.png",
            "set: pictures of another size than the first (48x48): 1",
        )


def test_names_that_do_not_count_take_their_places(tmp_path: Path) -> None:
    write_pictures(tmp_path / "set", ["a1.png", "a33.png", "a67.png", "b2.jpg"])
    with PictureFileSource(tmp_path / "set", "fast") as source:
        assert [round(30 * frame.time_s) for frame in source] == [0, 1, 2, 3] and source.remarks() == ()


def test_pictures_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    for asked, says in (("set", "is a folder without pictures"), ("set/*.png", "matches no picture")):
        with pytest.raises(SourceError, match=says), open_source(str(tmp_path / asked)):
            pass
    (tmp_path / "set" / "a.png").write_bytes(b"none")
    with pytest.raises(SourceError, match="none of 1 pictures can be read"), open_source(str(tmp_path / "set")):
        pass


def test_the_library_runs_a_folder_of_pictures(tmp_path: Path) -> None:
    for index, frame in enumerate(face_frames(4)):
        cv2.imwrite(str(tmp_path / f"face{index}.png"), frame)
    results = list(Recognizer().run(tmp_path))
    assert len(results) == 4 and all(result.face is not None for result in results)


ODD_NAMES = [
    b"12:30.mp4",
    b"concat:a|b.mp4",
    b"-x.mp4",
    b"%05d.mp4",
    b"img*[1]?.mp4",
    b"pipe:0",
    b"a\nb.mp4",
    "übung ☂.mp4".encode(),
    b"\xff\xfe.mp4",
]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems take fewer names")
@pytest.mark.parametrize("name", ODD_NAMES)
def test_any_name_that_the_file_system_takes_works(
    tmp_path: Path, name: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = write_track(tmp_path / "clip.mp4", numbered(), EVEN_S)
    (tmp_path / os.fsdecode(name)).write_bytes(clip.read_bytes())
    monkeypatch.chdir(tmp_path)
    with open_source(os.fsdecode(name), "fast") as source:
        assert len(list(source)) == 30
        source.info.name.encode()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems take fewer names")
@pytest.mark.parametrize("name", [b"12:30", b"\xff\xfe"])
def test_a_run_with_odd_names_for_source_model_and_outputs(tmp_path: Path, name: bytes) -> None:
    """In a process of its own: a library that cannot take a name must not end it."""
    where = os.fsencode(tmp_path) + b"/" + name
    write_video(tmp_path / "clip.mp4", face_frames(8)).rename(os.fsdecode(where) + ".mp4")
    model = ROOT / "model" / "bundled" / "model.stream.onnx"
    Path(os.fsdecode(where) + ".stream.onnx").write_bytes(model.read_bytes())
    asked = [sys.executable, ROOT / "run_live.py", "--headless", "--pace", "fast", "--source", where + b".mp4"]
    asked += ["--model", where + b".stream.onnx", "--csv", where + b".csv", "--record", where + b".out.mp4"]
    done = subprocess.run(asked, capture_output=True, timeout=120, cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    assert len(Path(os.fsdecode(where) + ".csv").read_text().splitlines()) == 9
    with FileSource(Path(os.fsdecode(where) + ".out.mp4"), "fast") as recorded:
        assert len(list(recorded)) == 8


@pytest.mark.skipif(sys.platform != "linux", reason="other systems take fewer names")
@pytest.mark.parametrize("name", [b"2024-01-01T12:30:00", b"s\xff"])
def test_a_session_of_any_name_is_recorded_and_replayed_or_refused_in_one_line(tmp_path: Path, name: bytes) -> None:
    write_video(tmp_path / "clip.mp4", face_frames(8))
    program = [sys.executable, ROOT / "run_live.py", "--headless"]
    asked = [*program, "--source", "clip.mp4", "--session", name, "--record-source"]
    done = subprocess.run(asked, capture_output=True, timeout=120, cwd=tmp_path)
    if done.returncode == 0:
        replay = [*program, "--replay", name, "--check"]
        done = subprocess.run(replay, capture_output=True, timeout=120, cwd=tmp_path)
        assert done.returncode == 0 and b"8 rows" in done.stdout, done.stderr
    else:
        assert done.returncode == 1 and b"no UTF-8" in done.stderr and done.stderr.count(b"\n") == 1
        assert name != b"2024-01-01T12:30:00"


def test_a_video_through_a_pipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = write_track(tmp_path / "clip.mkv", numbered(), EVEN_S)
    with clip.open("rb") as piped:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(piped))
        with open_source("-", "fast") as source:
            assert source.info.name == "standard input" and len(list(source)) == 30


@pytest.mark.skipif(os.name == "nt", reason="has no named pipes")
def test_a_named_pipe_on_which_nothing_more_comes_ends_when_it_is_stopped(tmp_path: Path) -> None:
    data = write_track(tmp_path / "clip.ts", numbered(), EVEN_S).read_bytes()
    os.mkfifo(tmp_path / "pipe")
    asked_to_end = threading.Event()

    def feed() -> None:
        with (tmp_path / "pipe").open("wb") as pipe:
            pipe.write(data)
            pipe.flush()
            asked_to_end.wait(30)

    feeder = threading.Thread(target=feed)
    feeder.start()
    try:
        source = FileSource(tmp_path / "pipe", "fast")
        stopper = threading.Timer(1.0, source.stop)
        stopper.start()
        with source:
            assert all(frame.image.shape == (64, 96, 3) for frame in source)
        stopper.join()
    except SourceError:
        pass  # stopped while it was being opened
    finally:
        asked_to_end.set()
        feeder.join()


def test_fps_is_for_cameras_files_and_pictures(capsys: pytest.CaptureFixture[str]) -> None:
    assert parse_options(["--source", "lab.avi", "--fps", "2000"]).fps == 2000
    options = parse_options(["--camera", "1", "--fps", "60"])
    assert options.fps is None and options.live.camera.fps == 60
    for asked in ("--source rtsp://host/x --fps 30", "--source demo --fps 30", "--replay x --fps 30", "--fps 5000"):
        with pytest.raises(SystemExit):
            parse_options(asked.split())
        assert "--fps" in capsys.readouterr().err
