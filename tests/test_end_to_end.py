"""The real line on small data: synth → fit → export → the live program, with both engines."""

import csv
import json
import os
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

import run_live
from stream.engine.batch_stepper import BatchStepper
from stream.engine.engines import StreamingEngine, WindowEngine, step_together
from stream.engine.model_file import load_model
from stream.recognizer import Recognizer
from tests.helpers.clips import empty_frames, face_frames, timed_frames, write_video
from train.__main__ import main as train_main

CLASSES = ["negative", "positive", "surprise", "neutral"]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def live(line: Path, source: Path | str, engine: str, out: Path) -> list[dict[str, str]]:
    model = line / "exported" / "model.onnx"
    argv = [
        "--source",
        str(source),
        "--headless",
        "--pace",
        "fast",
        "--model",
        str(model),
        "--engine",
        engine,
        "--csv",
        str(out),
    ]
    assert run_live.main(argv) == 0
    return rows(out)


def assert_same_answers(fast: list[dict[str, str]], plain: list[dict[str, str]]) -> None:
    assert [row["status"] for row in fast] == [row["status"] for row in plain]
    for a, b in zip(fast, plain, strict=True):
        for name in CLASSES:
            if a["status"] == "ok":
                assert float(a[f"p_{name}"]) == pytest.approx(float(b[f"p_{name}"]), abs=1e-4)


def test_the_demo_through_a_model_trained_just_now(line: Path, tmp_path: Path) -> None:
    report = tmp_path / "run.json"
    out = tmp_path / "demo.csv"
    model = line / "exported" / "model.onnx"
    argv = [
        "--source",
        "demo",
        "--headless",
        "--pace",
        "fast",
        "--model",
        str(model),
        "--csv",
        str(out),
        "--json",
        str(report),
    ]
    assert run_live.main([*argv, "--max-frames", "60"]) == 0
    found = rows(out)
    assert [row["status"] for row in found] == ["filling"] * 29 + ["ok"] * 31
    assert {row["label"] for row in found if row["label"]} <= set(CLASSES)
    told = json.loads(report.read_text())
    assert told["frames"] == 60 and told["answers"] == 31 and told["engine"] == "streaming"
    assert {"decode", "align", "preprocess", "classify", "latency"} <= set(told["times"])


def test_both_engines_give_the_same_rows(line: Path, tmp_path: Path) -> None:
    """Over several windows, with nobody in the middle."""
    clip = write_video(tmp_path / "clip.mp4", face_frames(100) + empty_frames(6) + face_frames(60, seed=2))
    fast = live(line, clip, "streaming", tmp_path / "fast.csv")
    plain = live(line, clip, "window", tmp_path / "plain.csv")
    assert sum(row["status"] == "ok" for row in fast) == 71 + 31
    assert_same_answers(fast, plain)


def test_both_engines_empty_their_window_on_a_gap(line: Path) -> None:
    """A hole of seconds, then frames that jitter: the same statuses and answers."""
    rng = np.random.default_rng(6)
    times = [i / 30 for i in range(45)] + [9 + i / 30 + rng.uniform(0, 0.008) for i in range(50)]
    model = line / "exported" / "model.onnx"
    fast, plain = (list(Recognizer(model, engine=kind).run(timed_frames(times))) for kind in ("streaming", "window"))
    assert [r.status for r in fast] == [r.status for r in plain]
    assert [r.status for r in fast][:46] == ["filling"] * 29 + ["ok"] * 16 + ["filling"]
    for a, b in zip(fast, plain, strict=True):
        assert (a.prediction is None) == (b.prediction is None)
        if a.prediction and b.prediction:
            values = [list(p.probabilities.values()) for p in (a.prediction, b.prediction)]
            np.testing.assert_allclose(*values, atol=1e-5)


def test_engines_agree_past_four_windows_and_after_a_reset(line: Path) -> None:
    exported = line / "exported"
    window_model, streaming_model = load_model(exported / "model.onnx"), load_model(exported / "model.stream.onnx")
    assert (window_model.kind, streaming_model.kind) == ("window", "streaming")
    assert window_model.contract == streaming_model.contract
    window, streaming = WindowEngine(window_model), StreamingEngine(streaming_model)
    rng = np.random.default_rng(3)
    scale = window_model.contract.input.scale
    for steps in (150, 70, 15, 45):
        for step in range(steps):
            frame = (scale * rng.normal(0, 1, window_model.contract.input_shape[1:])).astype(np.float32)
            expected, found = window.step(frame), streaming.step(frame)
            assert window.filled == streaming.filled == min(step + 1, 30)
            assert (expected is None) == (found is None) == (step < 29)
            if expected is not None:
                assert found is not None
                np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=1e-5)
                np.testing.assert_allclose(found.action_units, expected.action_units, atol=1e-5)
        window.reset()
        streaming.reset()


def test_streams_that_come_and_go_are_stepped_together_as_alone(line: Path) -> None:
    """Faces appear, are not seen in single frames, are lost for a while, and begin anew."""
    model = load_model(line / "exported" / "model.stream.onnx")
    stepper = BatchStepper(model, together=3)
    together, alone = ([StreamingEngine(made) for _ in range(4)] for made in (stepper, model))
    rng = np.random.default_rng(4)
    answered = 0
    for index in range(300):
        for pair in zip(together, alone, strict=True):
            if rng.random() < 0.01:
                for engine in pair:
                    engine.reset()
        # The last one is there in the middle only.
        there = [i for i in range(4) if rng.random() < 0.97 and (i < 3 or 100 <= index < 250)]
        frames = rng.normal(0, 1, (len(there), *model.contract.input_shape[1:])).astype(np.float32)
        answers = step_together([together[i] for i in there], list(frames))
        for i, frame, found in zip(there, frames, answers, strict=True):
            expected = alone[i].step(frame)
            assert (found is None) == (expected is None) and together[i].filled == alone[i].filled
            if found is not None and expected is not None:
                answered += 1
                np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=1e-5)
                np.testing.assert_allclose(found.action_units, expected.action_units, atol=1e-5)
    assert answered > 300


@pytest.mark.slow
def test_eval_of_the_exported_model_equals_that_of_the_run(line: Path, tmp_path: Path) -> None:
    scores = []
    for model in (line / "run", line / "exported" / "model.onnx"):
        out = tmp_path / f"{model.name}.json"
        assert train_main(["eval", "--data", str(line / "data"), "--model", str(model), "--json", str(out)]) == 0
        scores.append(json.loads(out.read_text()))
    assert {"n", "uf1", "uar", "accuracy", "chance_uf1", "per_class", "confusion"} <= set(scores[0])
    assert scores[0]["confusion"] == scores[1]["confusion"] and scores[0]["n"] == 40


def test_every_clip_of_a_folder_of_videos(line: Path, tmp_path: Path) -> None:
    """Users' own videos, where MICROLIVE_FACES names a folder with `videos`."""
    videos = Path(os.environ.get("MICROLIVE_FACES", "/nowhere"), "videos")
    clips = sorted(videos.glob("*.mp4"))
    if not clips:
        pytest.skip("MICROLIVE_FACES names no folder with videos")
    for clip in clips:
        fast = live(line, clip, "streaming", tmp_path / "fast.csv")
        plain = live(line, clip, "window", tmp_path / "plain.csv")
        capture, frames = cv2.VideoCapture(str(clip)), 0
        while capture.read()[0]:
            frames += 1
        assert len(fast) == frames
        times = [float(row["time_s"]) for row in fast]
        assert all(a < b for a, b in pairwise(times))
        nobody = ("no_face", "tracking_lost", "face_too_small")
        assert all((row["face"] != "0") == (row["status"] not in nobody) for row in fast)
        assert_same_answers(fast, plain)
