"""Events and several faces through the whole live program."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import run_live
from model.types import Event
from stream.benchmark.faults import transport_stream
from stream.cli.options import parse_options
from stream.recognizer import Recognizer
from stream.sources.base import SourceInfo
from stream.sources.pictures import PictureSource
from tests.helpers.clips import face_frames, write_video
from tests.helpers.models import save_tiny_model
from tests.helpers.people import At, picture, two_people
from train.synth.demo_clip import DemoClip


def demo_at(times_s: NDArray[np.float64]) -> PictureSource:
    """A stretch of the demo, with its second micro-expression, as a camera with other times would see it."""
    clip = DemoClip()
    info = SourceInfo("demo", clip.size_px, clip.size_px, 0.0, live=False)

    def pictures() -> Iterator[tuple[float, NDArray[np.uint8]]]:
        clip.frames = len(times_s) + 1
        for index, time_s in enumerate(times_s.tolist(), start=1):
            # Frame n is drawn as of n / fps seconds.
            clip.fps = index / time_s
            yield time_s, clip.frame(index)

    return PictureSource(info, pictures())


def demo_event(fps: float, jitter: float = 0.0) -> Event:
    """The only accepted one between 3.5 and 8.2 s."""
    count = round(4.7 * fps)
    late = np.random.default_rng(3).uniform(-jitter, jitter, count)
    events = [
        event
        for result in Recognizer().run(demo_at(3.5 + (np.arange(count) + late) / fps))
        for event in result.events
        if event.rejected is None
    ]
    assert len(events) == 1, events
    return events[0]


@pytest.fixture(scope="module")
def event_at_30() -> Event:
    return demo_event(30)


def test_the_demos_event_is_where_it_is(event_at_30: Event) -> None:
    truth = next(event for event in DemoClip().events if 6.0 < event.apex_s < 8.0)
    assert (event_at_30.kind, event_at_30.label, event_at_30.track) == ("micro", truth.label, 1)
    assert event_at_30.apex_s == pytest.approx(truth.apex_s, abs=0.06)
    assert event_at_30.onset_s == pytest.approx(truth.onset_s, abs=0.08)


@pytest.mark.parametrize(("fps", "jitter"), [(15, 0.0), (60, 0.0), (30, 0.4), (120, 0.0)])
def test_every_frame_rate_gives_the_same_event(fps: float, jitter: float, event_at_30: Event) -> None:
    found = demo_event(fps, jitter)
    assert (found.kind, found.label) == (event_at_30.kind, event_at_30.label)
    assert (found.onset_s, found.apex_s) == pytest.approx((event_at_30.onset_s, event_at_30.apex_s), abs=0.04)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_two_people_through_the_program(tmp_path: Path) -> None:
    save_tiny_model(tmp_path / "tiny.onnx")
    anna, ben = two_people()
    pictures = [picture([At(anna, 150.0, iod_px=60)] + [At(ben, 490.0)] * (i < 40), i) for i in range(50)]
    clip = write_video(tmp_path / "two.mp4", pictures)
    out, events, report = (tmp_path / name for name in ("out.csv", "events.jsonl", "run.json"))
    argv = ["--source", clip, "--model", tmp_path / "tiny.onnx", "--headless", "--max-faces", 2]
    argv += ["--csv", out, "--events", events, "--json", report]
    assert run_live.main([str(word) for word in argv]) == 0
    rows = rows_of(out)
    assert [(int(row["frame"]), row["face"]) for row in rows[:80]] == [(i // 2, "12"[i % 2]) for i in range(80)]
    assert [(int(row["frame"]), row["face"]) for row in rows[80:]] == [(i, "1") for i in range(40, 50)]
    assert [row["status"] for row in rows if row["face"] == "2"] == ["filling"] * 29 + ["ok"] * 11
    assert events.exists()
    told = json.loads(report.read_text())
    assert told["frames"] == 50 and told["timestamps"]["rate_hz"] == pytest.approx(30, rel=0.01)
    assert (told["timestamps"]["gaps"], told["timestamps"]["repeated_or_backward"]) == (0, 0)
    assert set(told["events"]) == {"found", "rejected", "watched_min", "whole_min", "smallest_px"}


def test_options() -> None:
    options = parse_options(["--source", "demo"])
    assert (options.max_faces, options.detect_events, options.events) == (1, True, None)
    options = parse_options(["--source", "demo", "--max-faces", "3", "--events", "e.jsonl"])
    assert (options.max_faces, options.detect_events, options.events) == (3, True, Path("e.jsonl"))
    assert not parse_options(["--no-events"]).detect_events
    assert options.face_at is None and parse_options(["--face", "0.5,120"]).face_at == (0.5, 120.0)


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["--max-faces", "0"], "expected 1 or more, found 0"),
        (
            ["--face", "left"],
            "expected X,Y in pixels or as shares of the picture, such as 320,180 or 0.5,0.4, found 'left'",
        ),
        (["--face", "-1,3"], "--face"),
        (["--max-faces", "17"], "expected up to 16 faces, found 17"),
        (["--no-events", "--events", "e.jsonl"], "--no-events leaves nothing to write to --events"),
        (["--events", "same", "--csv", "same"], "name the same file twice"),
    ],
)
def test_bad_usage(argv: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse_options(argv)
    assert caught.value.code == 2 and says in capsys.readouterr().err


def test_a_jump_in_time_is_told_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Forwards and back again: told while the run goes on, in the summary and in the report."""
    save_tiny_model(tmp_path / "tiny.onnx")
    path, out, report = tmp_path / "jump.ts", tmp_path / "out.csv", tmp_path / "run.json"
    images = [frame[: frame.shape[0] & ~1, : frame.shape[1] & ~1] for frame in face_frames(30)]
    starts_s = (5.0, 7205.0, 3.0)
    path.write_bytes(b"".join(transport_stream(images[10 * n : 10 * n + 10], s) for n, s in enumerate(starts_s)))
    argv = ["--source", path, "--model", tmp_path / "tiny.onnx", "--headless", "--pace", "realtime"]
    assert run_live.main([str(word) for word in (*argv, "--csv", out, "--json", report)]) == 0
    shown = capsys.readouterr().out
    assert "jump.ts: its time jumps from 0.3 s to 7200.0 s, which counts as a gap" in shown
    assert "gaps in time" in shown and len(out.read_text().splitlines()) >= 31
    told = json.loads(report.read_text())
    assert told["timestamps"]["gaps"] == told["health"]["gaps"] >= 2 and told["frames"] == 30
