"""The outputs: rows, videos, summaries. What can go wrong with files does go wrong here."""

import csv
import io
import math
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from model.types import FrameResult, Prediction
from stream.history import ProbabilityHistory
from stream.overlay import Overlay
from stream.sinks import CsvSink, Panel, RecordSink, RunSummary, SinkError, save_snapshot
from stream.sinks.record import Timeline
from tests.results import CLASSES, HEALTH, face, prediction, result, results

FIXTURE_IS_PER_TEST = settings(
    deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
NOT_ROOT = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
FULL = Path("/dev/full")


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


# ---- CSV


@FIXTURE_IS_PER_TEST
@given(run=results())
def test_rows_hold_what_the_results_say(run, tmp_path):
    path = tmp_path / "log.csv"
    with CsvSink(path, CLASSES) as sink:
        for one in run:
            sink.write(one)
    assert sink.rows == len(run)
    found = rows(path)
    assert len(found) == len(run)
    for row, one in zip(found, run, strict=True):
        assert int(row["frame"]) == one.frame.index
        assert float(row["time_s"]) == pytest.approx(one.frame.time_s, abs=5.1e-7)
        assert row["face"] == ("1" if one.face else "0")
        assert row["status"] == one.status
        assert float(row["latency_ms"]) == pytest.approx(one.latency_ms, abs=5.1e-4)
        if one.prediction is None:
            assert {row["label"], row["confidence"], *(row[f"p_{name}"] for name in CLASSES)} == {""}
        else:
            assert row["label"] == one.prediction.label
            assert float(row["confidence"]) == pytest.approx(one.prediction.confidence, abs=5.1e-7)
            for name in CLASSES:
                assert float(row[f"p_{name}"]) == pytest.approx(one.prediction.probabilities[name], abs=5.1e-7)


def test_the_file_looks_as_promised(tmp_path):
    path = tmp_path / "log.csv"
    with CsvSink(path, ("calm, still", "surprise")) as sink:
        sink.write(result(0, 0.0, "filling", at=face(), latency_ms=3))
        answer = prediction(0.75, 0.25, names=("calm, still", "surprise"))
        sink.write(result(1, 1 / 30, "ok", answer=answer, at=face(), latency_ms=12.3456))
    assert path.read_text() == (
        'frame,time_s,face,status,label,confidence,"p_calm, still",p_surprise,latency_ms\n'
        "0,0.000000,1,filling,,,,,3.000\n"
        '1,0.033333,1,ok,"calm, still",0.750000,0.750000,0.250000,12.346\n'
    )


def test_a_killed_run_keeps_its_rows(tmp_path):
    path = tmp_path / "log.csv"
    program = (
        "import sys, time\n"
        "from stream.sinks import CsvSink\n"
        "from tests.results import CLASSES, result\n"
        "sink = CsvSink(sys.argv[1], CLASSES)\n"
        "for index in range(7):\n"
        "    sink.write(result(index, index / 30))\n"
        "print('written', flush=True)\n"
        "sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", program, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "written\n"
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert [row["frame"] for row in rows(path)] == [str(index) for index in range(7)]


def test_rows_can_be_read_while_the_run_goes_on(tmp_path):
    with CsvSink(tmp_path / "log.csv", CLASSES) as sink:
        sink.write(result(0, 0.5))
        assert [row["time_s"] for row in rows(sink.path)] == ["0.500000"]


def test_closes_after_an_error_and_lets_the_error_through(tmp_path):
    with pytest.raises(RuntimeError, match="from elsewhere"), CsvSink(tmp_path / "log.csv", CLASSES) as sink:
        sink.write(result())
        raise RuntimeError("from elsewhere")
    assert len(rows(sink.path)) == 1
    with pytest.raises(ValueError, match="closed"):
        sink.write(result())


def new_csv(path: Path) -> CsvSink:
    return CsvSink(path, CLASSES)


def new_video(path: Path, fps: float | None = 30.0, block: bool = True, overlay: Overlay | None = None) -> RecordSink:
    overlay = overlay or Overlay(CLASSES, "")
    return RecordSink(path, overlay, ProbabilityHistory(CLASSES), lambda: HEALTH, fps, block)


@pytest.mark.parametrize("new, name", [(new_csv, "log.csv"), (new_video, "video.mp4")])
def test_a_missing_folder_is_told_at_once(new, name, tmp_path):
    with pytest.raises(SinkError, match=r"cannot write the .*: the folder .*nowhere does not exist; create it first$"):
        new(tmp_path / "nowhere" / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("new, name", [(new_csv, "log.csv"), (new_video, "video.mp4")])
def test_a_folder_is_no_file(new, name, tmp_path):
    (tmp_path / name).mkdir()
    with pytest.raises(SinkError, match="it is a folder; give a file name"):
        new(tmp_path / name)


@NOT_ROOT
@pytest.mark.parametrize("new, name", [(new_csv, "log.csv"), (new_video, "video.mp4")])
def test_a_folder_without_permission_is_told_at_once(new, name, tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(SinkError, match="Permission denied"):
        new(tmp_path / name)


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full here")
def test_a_full_disk_is_told_at_once():
    with pytest.raises(SinkError, match=r"^cannot write the CSV file /dev/full: No space left on device$"):
        new_csv(FULL)


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's limit on the size of files")
def test_a_disk_that_fills_up_is_an_error_and_keeps_the_rows(tmp_path):
    path = tmp_path / "log.csv"
    program = (
        "import resource, signal, sys\n"
        "from stream.sinks import CsvSink, SinkError\n"
        "from tests.results import CLASSES, result\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try:\n"
        "    with CsvSink(sys.argv[1], CLASSES) as sink:\n"
        "        for index in range(100):\n"
        "            sink.write(result(index, index / 30))\n"
        "except SinkError as error:\n"
        "    print(sink.rows, error)\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True
    ).stdout.split(maxsplit=1)
    assert said[1] == f"cannot write the CSV file {path}: File too large\n"
    assert 10 < int(said[0]) < 100
    assert [row["frame"] for row in rows(path)][: int(said[0])] == [str(index) for index in range(int(said[0]))]


# ---- video


class PlainOverlay(Overlay):
    """Draws nothing: the picture itself tells which frame it is. Can be held up, and can fail."""

    def __init__(self, fails_at: int = -1) -> None:
        super().__init__(CLASSES, "")
        self.go = threading.Event()
        self.go.set()
        self.started = threading.Event()
        self._fails_at = fails_at

    def draw(self, result, history, health):
        self.started.set()
        self.go.wait()
        if result.frame.index == self._fails_at:
            raise ZeroDivisionError("drawing went wrong")
        return result.frame.image


def numbered(index: int, time_s: float, size: tuple[int, int] = (64, 48)) -> FrameResult:
    """A picture of eight stripes, dark or bright: the bits of its number."""
    bits = np.unpackbits(np.array([index], np.uint8))
    stripes = 40 + 170 * np.repeat(bits, -(-size[0] // 8))[: size[0]]
    return result(index, time_s, image=np.broadcast_to(stripes[None, :, None], (size[1], size[0], 3)).astype(np.uint8))


def read_video(path: Path) -> tuple[list[int], float]:
    """The numbers of the frames and the frame rate."""
    video = cv2.VideoCapture(str(path))
    numbers: list[int] = []
    while True:
        got, image = video.read()
        if not got:
            break
        bits = image.mean((0, 2)).reshape(8, -1)[:, 2:-2].mean(axis=1) > 125
        numbers.append(int(np.packbits(bits)[0]))
    fps = video.get(cv2.CAP_PROP_FPS)
    video.release()
    return numbers, fps


@FIXTURE_IS_PER_TEST
@given(
    steps_s=st.lists(st.floats(0.004, 0.25), min_size=1, max_size=30),
    fps=st.sampled_from([None, 24.0, 24.7017, 29.97, 60.0]),
    start_s=st.floats(0, 1e4),
)
def test_a_video_plays_at_the_true_speed_of_an_uneven_source(steps_s, fps, start_s, tmp_path):
    times_s = start_s + np.concatenate(([0.0], np.cumsum(steps_s)))
    with new_video(tmp_path / "video.mp4", fps, overlay=PlainOverlay()) as sink:
        for index, time_s in enumerate(times_s):
            sink.write(numbered(index, float(time_s)))
    numbers, found_fps = read_video(sink.path)
    assert found_fps == pytest.approx(fps or 30.0, abs=0.002)
    assert sink.frames_written == len(numbers)
    # The last frame lasts one frame.
    assert len(numbers) / found_fps == pytest.approx(times_s[-1] - times_s[0] + 1 / found_fps, abs=0.55 / found_fps)
    # At every moment the video shows the frame that was there, to within half a frame.
    for place, number in enumerate(numbers):
        now_s = times_s[0] + place / found_fps
        assert times_s[number] <= now_s + 0.51 / found_fps
        if number + 1 < len(times_s):
            assert times_s[number + 1] >= now_s + 0.49 / found_fps
    assert list(tmp_path.iterdir()) == [sink.path]
    sink.path.unlink()


def test_a_source_of_the_same_rate_loses_and_repeats_nothing(tmp_path):
    with new_video(tmp_path / "video.mp4", 25.0, overlay=PlainOverlay()) as sink:
        for index in range(40):
            sink.write(numbered(index, 3.0 + index / 25))
    assert read_video(sink.path)[0] == list(range(40))


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
    assert read_video(sink.path)[0] == list(range(10))
    assert list(tmp_path.iterdir()) == [sink.path]
    assert not [thread for thread in threading.enumerate() if thread.name == "recorder"]


def test_a_live_recording_drops_and_counts_what_it_cannot_take(tmp_path):
    overlay = PlainOverlay()
    overlay.go.clear()
    with new_video(tmp_path / "video.mp4", block=False, overlay=overlay) as sink:
        sink.write(numbered(0, 0.0))
        sink.write(numbered(1, 1 / 30))
        assert overlay.started.wait(10)  # frame 0 is being drawn, frame 1 is in hand, the queue is empty
        for index in range(2, 20):
            sink.write(numbered(index, index / 30))
        assert sink.dropped == 18 - 8
        overlay.go.set()
    numbers, _ = read_video(sink.path)
    assert numbers == list(range(10))


def test_a_run_without_frames_leaves_no_file(tmp_path):
    with new_video(tmp_path / "video.mp4"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_an_error_in_the_thread_reaches_the_writer_and_does_not_hang_it(tmp_path):
    with pytest.raises(SinkError, match=r"cannot write the video .*: drawing went wrong"):  # noqa: SIM117
        with new_video(tmp_path / "video.mp4", overlay=PlainOverlay(fails_at=5)) as sink:
            for index in range(200):
                sink.write(numbered(index, index / 30))
    assert read_video(sink.path)[0] == list(range(5))
    assert not [thread for thread in threading.enumerate() if thread.name == "recorder"]


def test_a_full_disk_stops_the_recording_with_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr("stream.sinks.record.MIN_FREE_BYTES", 1 << 62)
    with pytest.raises(SinkError, match="the disk is full"), new_video(tmp_path / "video.mp4") as sink:
        sink.write(numbered(0, 0.0))
    assert list(tmp_path.iterdir()) == []


def test_only_mp4(tmp_path):
    with pytest.raises(SinkError, match=r"the name must end in \.mp4"):
        new_video(tmp_path / "video.avi")


@pytest.mark.parametrize("fps", [0.0, -1.0, math.nan, math.inf])
def test_refuses_an_impossible_rate(fps, tmp_path):
    with pytest.raises(ValueError, match="fps: expected 1 to 1000"):
        new_video(tmp_path / "video.mp4", fps)


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


@given(
    times_s=st.lists(st.floats(0, 1e6), min_size=1, max_size=30),
    fps=st.floats(1, 240),
)
def test_frame_numbers_follow_the_time_whatever_the_clock_does(times_s, fps):
    timeline = Timeline(fps, max_hold_s=60.0)
    places = [timeline.place(time_s) for time_s in times_s]
    assert places[0] == 0
    for place, (before_s, after_s) in enumerate(pairwise(times_s)):
        step = places[place + 1] - places[place]
        if 0 <= after_s - before_s <= 60.0:
            assert abs(step - (after_s - before_s) * fps) <= 1.01
        else:
            assert 0 <= step <= 2


# ---- summary and panel


@given(run=results())
def test_the_summary_counts(run):
    summary = RunSummary(CLASSES)
    for one in run:
        summary.add(one)
    told = summary.as_dict()
    answered = [one for one in run if one.prediction]
    assert told["frames"] == len(run)
    assert told["frames_with_face"] == sum(one.face is not None for one in run)
    assert told["answers"] == len(answered)
    labels = Counter(one.prediction.label for one in answered)
    assert told["labels"] == {name: labels[name] for name in CLASSES}
    assert told["statuses"] == Counter(one.status for one in run)
    if answered:
        assert told["times"]["latency"]["count"] == len(answered)


def test_the_summary_times_every_stage():
    summary = RunSummary(CLASSES)
    for index in range(100):
        summary.add(result(index, index / 30, align=float(index), classify=1.0))
    told = summary.as_dict()["times"]
    assert list(told) == ["align", "classify"]
    assert told["align"]["p50_ms"] == pytest.approx(49.5)
    assert told["align"]["p95_ms"] == pytest.approx(94.05)
    assert told["classify"]["p99_ms"] == 1.0


def console(terminal: bool) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=100, color_system=None, legacy_windows=False)


def written(screen: Console) -> str:
    assert isinstance(screen.file, io.StringIO)
    return screen.file.getvalue()


ANSWER = prediction(0.05, 0.1, 0.15, 0.7)


def test_a_pipe_gets_the_summary_and_nothing_else():
    screen = console(terminal=False)
    with Panel(screen, CLASSES) as panel:
        for index in range(30):
            panel.update(result(index, index / 30, "ok", answer=ANSWER, at=face(), align=2.0), HEALTH)
        assert written(screen) == ""
    lines = [" ".join(line.split()) for line in written(screen).splitlines()]
    assert "frames 30" in lines
    assert "with a face 30 100 % of the frames" in lines
    assert "surprise 30 100 % of the answers" in lines
    assert "align 2.0 2.0 2.0 30" in lines
    assert "\x1b" not in written(screen)


def test_a_terminal_is_redrawn_eight_times_a_second_at_most():
    screen, now_s = console(terminal=True), [0.0]
    drawn = 0
    with Panel(screen, CLASSES, clock_s=lambda: now_s[0]) as panel:
        for index in range(200):
            now_s[0] = index / 100
            before = len(written(screen))
            panel.update(result(index, index / 30, "ok", answer=ANSWER), HEALTH)
            drawn += len(written(screen)) > before
    assert 14 <= drawn <= 17


def rendered(one: FrameResult) -> str:
    screen = console(terminal=False)
    screen.print(Panel(screen, CLASSES).render(one, HEALTH))
    return written(screen)


def test_the_panel_says_what_there_is():
    text = rendered(result(0, 1.0, "ok", answer=ANSWER))
    for said in ("camera 0", "CUDA", "streaming", "29.8 fps", "12.4 ms", "frame 327 of 900", "3 late", "surprise  70%"):
        assert said in text
    for share in ("5%", "10%", "15%", "70%"):
        assert share in text


@pytest.mark.parametrize(
    "status, said", [("filling", "filling 12/30"), ("no_face", "no face"), ("face_too_small", "face too small")]
)
def test_the_panel_says_why_there_is_no_label(status, said):
    text = rendered(result(0, 1.0, status, filled=12))
    assert said in text and "%" not in text


def test_the_panel_keeps_the_last_labels():
    screen = console(terminal=False)
    panel = Panel(screen, CLASSES)
    for index, lead in enumerate((0, 0, 2, 3, 3, 1, 0)):
        values = [0.1] * 4
        values[lead] = 0.7
        last = result(index, float(index), "ok", answer=Prediction(dict(zip(CLASSES, values, strict=True))))
        panel.update(last, HEALTH)
    screen.print(panel.render(last, HEALTH))
    assert "6.0 s negative   5.0 s neutral   3.0 s surprise   2.0 s positive" in written(screen)


def test_names_are_not_taken_for_markup():
    names = ("[red]", "[/bold]")
    screen = console(terminal=True)
    with Panel(screen, names) as panel:
        panel.update(result(0, 0.0, "ok", answer=prediction(0.6, 0.4, names=names)), HEALTH)
    assert "[/bold]" in written(screen)


@pytest.mark.parametrize("error, told", [(None, True), (KeyboardInterrupt, True), (RuntimeError, False)])
def test_the_summary_comes_after_ctrl_c_but_not_after_an_error(error, told):
    screen = console(terminal=False)
    try:
        with Panel(screen, CLASSES) as panel:
            panel.update(result(), HEALTH)
            if error:
                raise error
    except (KeyboardInterrupt, RuntimeError):
        pass
    assert ("Summary" in written(screen)) == told


# ---- snapshots


def test_snapshots_are_the_picture_and_never_overwrite(tmp_path):
    image = np.random.default_rng(1).integers(0, 256, (30, 40, 3), np.uint8)
    paths = [save_snapshot(image, tmp_path / "new" / "folder") for _ in range(3)]
    assert len(set(paths)) == 3
    for path in paths:
        assert np.array_equal(cv2.imread(str(path)), image)


def test_a_snapshot_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SinkError, match="cannot write a snapshot into"):
        save_snapshot(np.zeros((4, 4, 3), np.uint8), tmp_path / "file")
