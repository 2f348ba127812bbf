"""From a video to its scores: what is watched, kept, drawn and said; with a detector that says what it is told to."""

import argparse
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from model.contract import ClipContract
from model.types import Event, Prediction
from stream.sources.base import FrameSource
from train.commands import spot_eval as command_spot_eval
from train.commands import spot_rates as command_spot_rates
from train.commands.spot_eval import choose_faces
from train.errors import TrainError, UsageError
from train.spotting.event_tables import draw_curves
from train.spotting.watch import KeptFiles, Watcher
from train.synth.drawn import drawn_face
from train.synth.faces import FaceError
from train.synth.long_video import Sampling, make_long_video
from train.synth.long_video_script import ScriptSettings

NAMES = ("negative", "positive", "surprise", "neutral")
SETTINGS = ScriptSettings(duration_s=12.0, lead_s=1.0)


class FakeRecognizer:
    """Sees a face in every frame but the first; reports the events it was given once they are over."""

    def __init__(self, events: tuple[Event, ...] = ()) -> None:
        self.contract = ClipContract(NAMES)
        self._events = events

    def run(self, source: FrameSource) -> Iterator[Any]:
        size = self.contract.crop.size_px
        face = SimpleNamespace(transform=np.eye(2, 3), rekeyed=False, crop=np.full((size, size), 7, np.uint8))
        with source:
            last_s = -1.0
            for frame in source:
                over = tuple(event for event in self._events if last_s < event.offset_s <= frame.time_s)
                last_s = frame.time_s
                first = frame.index == 0
                answer = None if first else Prediction(dict(zip(NAMES, (0.25, 0.25, 0.0, 0.5), strict=True)))
                # Nothing would be noticed in the first two seconds.
                smallest_px = None if frame.time_s < 2.0 else 0.4
                seen = SimpleNamespace(
                    smallest_px=smallest_px, watchable=smallest_px is not None, calibrated=True, status="ok"
                )
                yield SimpleNamespace(
                    frame=frame, status="no_face" if first else "ok", prediction=answer, events=over, filled=3,
                    face=None if first else face, faces=() if first else (seen,),
                )  # fmt: skip


@pytest.fixture(scope="module")
def video():
    return make_long_video([drawn_face(0)], 3, 0, SETTINGS)


def reports_of(video: Any) -> tuple[Event, ...]:
    """The truth as a perfect detector would report it, and a rejected candidate."""
    right = [
        Event(
            0, e.kind, e.label, e.onset_s, e.apex_s, e.offset_s, 0.9, e.peak_px,
            probability=0.8 if e.kind == "micro" else None,
        )
        for e in video.events
    ]  # fmt: skip
    return (*right, Event(0, "micro", "negative", 0.2, 0.3, 0.5, 0.3, 1.0, "blink", probability=0.1))


def parsed(command: Any, *argv: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())
    name = command.__name__.rpartition(".")[2].replace("_", "-")
    return parser.parse_args([name, *argv], argparse.Namespace(argv=[name, *argv]))


def run_with(monkeypatch: pytest.MonkeyPatch, command: Any, recognizer: FakeRecognizer, *argv: str) -> int:
    monkeypatch.setattr(command, "open_recognizer", lambda model, **_: recognizer)
    args = parsed(command, *argv)
    return args.run(args)


# --- watching -------------------------------------------------------------------------------------------------------


def test_what_is_asked_for_is_kept(tmp_path: Path, video: Any) -> None:
    outputs = KeptFiles(*(tmp_path / name for name in ("events", "videos")))
    for folder in outputs.folders():
        folder.mkdir()
    seen = Watcher(FakeRecognizer(reports_of(video)), outputs).made(video, Sampling(10.0))  # type: ignore[arg-type]
    assert seen.run.frames == 120 and seen.run.statuses == {"no_face": 1, "ok": 119}
    assert seen.run.seconds == pytest.approx(12.0)
    assert seen.run.watchable_s == seen.spotted.watchable_s == pytest.approx(10.0) and seen.run.smallest_px == 0.4

    lines = (tmp_path / "events" / f"{video.name}.jsonl").read_text().splitlines()
    told = [json.loads(line) for line in lines]
    read = [Event(**{name: tuple(v) if isinstance(v, list) else v for name, v in one.items()}) for one in told]
    assert read == sorted(reports_of(video), key=lambda event: event.onset_s)

    assert np.isnan(seen.run.probabilities[0]).all() and seen.run.probabilities[1].tolist() == [0.25, 0.25, 0.0, 0.5]
    np.testing.assert_allclose(seen.run.times_s, np.arange(120) / 10)
    assert [e["apex_s"] for e in seen.as_dict()["truth"]] == pytest.approx([e.apex_s for e in video.events], abs=1e-3)
    unseen = dataclasses.replace(seen.run.events[0], rejected="overlap", evidence={"size": 1.0})
    told = dataclasses.replace(seen, run=dataclasses.replace(seen.run, events=(unseen, *seen.run.events))).as_dict()
    assert told["found"] == seen.as_dict()["found"] and "evidence" not in told["found"][0]
    assert set(seen.as_dict()["distractions"]) <= {"blink", "talk", "gaze", "head", "light"}
    assert seen.people == ("drawn00",)
    assert cv2.VideoCapture(str(tmp_path / "videos" / f"{video.name}.mp4")).get(cv2.CAP_PROP_FRAME_COUNT) == 120


def test_the_trace_is_how_sure_the_model_is_of_an_expression(video: Any) -> None:
    seen = Watcher(FakeRecognizer()).made(video, Sampling(5.0))  # type: ignore[arg-type]
    trace = seen.timeline(NAMES).trace
    assert np.isnan(trace[0]) and trace[1] == 0.5


def test_a_clip_that_cannot_be_read_is_said_so(tmp_path: Path) -> None:
    path = tmp_path / "broken.mp4"
    path.write_bytes(b"no video")
    with pytest.raises(TrainError, match=r"broken\.mp4"):
        Watcher(FakeRecognizer()).clip(path)  # type: ignore[arg-type]


# --- commands -------------------------------------------------------------------------------------------------------


def test_spot_eval_scores_what_the_detector_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    video = make_long_video([drawn_face(0)], 5, 0, ScriptSettings(duration_s=18.0))
    assert any(event.kind == "micro" for event in video.events)
    argv = ["--drawn", "1", "--people", "drawn00", "--minutes", "0.3", "--video-minutes", "0.3", "--rest", "0.02"]
    argv += ["--seed", "5", "--fps", "10", "--json", str(tmp_path / "out.json"), "--chart", str(tmp_path / "time.png")]
    status = run_with(monkeypatch, command_spot_eval, FakeRecognizer(reports_of(video)), *argv)
    assert status == 0
    scores = json.loads((tmp_path / "out.json").read_text())
    micro = [e for e in video.events if e.kind == "micro"]
    assert scores["micro"]["n"] == len(micro) and scores["micro"]["with_class"]["f1"] == 1.0
    assert scores["rejections"] == {"blink": {"n": 1, "true": 0}}
    assert [len(v["truth"]) for v in scores["made_videos"]] == [len(video.events)]
    assert scores["rest"]["events"] == 0 and scores["clips"] == [] and "--seed 5" in scores["command"]
    assert scores["rest"]["false_per_min"] is None  # too short to be watchable
    assert scores["watchable_minutes"] == pytest.approx(16 / 60) and scores["recall_at"]["0.25"] == 1.0
    assert list(scores["groups"]) == ["made videos"] and scores["groups"]["made videos"]["recall"] == 1.0
    for name in ("time.png", "time-curve.png"):
        assert cv2.imread(str(tmp_path / name)).shape[0] > 100
    said = capsys.readouterr().out
    assert "by chance" in said and "SAMM-LV" in said and "– a watchable minute" in said


def test_spot_rates_compares_rates(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    video = make_long_video([drawn_face(0)], 5, 0, ScriptSettings(duration_s=18.0))
    argv = ["--drawn", "1", "--people", "drawn00", "--minutes", "0.3", "--video-minutes", "0.3", "--seed", "5"]
    argv += ["--rates", "10,20~0.3", "--json", "-"]
    assert run_with(monkeypatch, command_spot_rates, FakeRecognizer(reports_of(video)), *argv) == 0
    rows = json.loads(capsys.readouterr().out)["rates"]
    assert [row["sampling"] for row in rows] == ["10 fps", "20 fps ± 30 %"]
    assert all(row["within"] == 1.0 and row["only_here"] == row["only_there"] == 0 for row in rows)


@pytest.mark.parametrize(
    "argv",
    [
        ["--minutes", "1"], ["--video-minutes", "0"], ["--rest", "-1"], ["--fps", "0"], ["--jitter", "0.6"],
        ["--minutes", "0.05", "--video-minutes", "0.05"], ["--videos", "/nowhere"], ["--json", "/nowhere/out.json"],
        ["--drawn", "-1"], ["--people", "nobody"], ["--clip-minutes", "0.05"], ["--clip-people", "anna"],
    ],
)  # fmt: skip
def test_values_that_do_not_fit_are_usage_errors(argv: list[str]) -> None:
    args = parsed(command_spot_eval, *argv)
    with pytest.raises(UsageError):
        args.run(args)


def test_a_model_that_is_none_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"")
    args = parsed(command_spot_eval, "--drawn", "0", "--model", str(tmp_path / "model.onnx"))
    with pytest.raises(UsageError, match=r"model\.onnx"):
        args.run(args)


def test_faces_are_those_asked_for(tmp_path: Path) -> None:
    assert [face.subject for face in choose_faces(None, ("drawn01", "astronaut"), 2)] == ["astronaut", "drawn01"]
    with pytest.raises(FaceError):
        choose_faces(tmp_path, (), 0)


@pytest.mark.parametrize("text", ["", "30,", "abc", "30~0.6", "0", "30~"])
def test_rates_are_checked(text: str) -> None:
    with pytest.raises(SystemExit):
        parsed(command_spot_rates, "--rates", text)


def test_curves_can_be_drawn_of_little(tmp_path: Path) -> None:
    point = {"recall": 0.0, "false_per_min": 0.0}
    group = {"n": 0, "watchable_minutes": 1.0, "recall": 0.0, "false_per_min": 0.0, "curve": [point]}
    unseen = group | {"watchable_minutes": 0.0, "false_per_min": None, "curve": [point | {"false_per_min": None}]}
    draw_curves({"made videos": group, "moving clips": unseen}, tmp_path / "curve.png")
    assert (tmp_path / "curve.png").stat().st_size > 1000


@pytest.mark.slow
def test_the_live_program_watches_a_made_video(tmp_path: Path) -> None:
    argv = [
        "--drawn",
        "0",
        "--minutes",
        "0.2",
        "--video-minutes",
        "0.2",
        "--rest",
        "0",
        "--json",
        str(tmp_path / "out.json"),
    ]
    args = parsed(command_spot_eval, *argv)
    assert args.run(args) == 0
    (seen,) = json.loads((tmp_path / "out.json").read_text())["made_videos"]
    assert seen["frames"] == 360 and seen["statuses"]["ok"] > 300
