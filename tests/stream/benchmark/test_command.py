"""The benchmark measures what it says, where it says it can run; how fast it is, no test asserts."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import run_live
from stream.benchmark.soak import LoopedFile, soak
from stream.recognizer import Recognizer
from tests.helpers.clips import face_frames, write_video
from tests.helpers.paths import ROOT


def test_engines_alone_need_neither_opencv_nor_mediapipe_nor_tensorflow_nor_rich(line: Path, tmp_path: Path) -> None:
    out = tmp_path / "bench.json"
    argv = ["--benchmark", "--stages", "engine", "--steps", "5", "--batch", "1,3", "--threads", "1",
            "--model", str(line / "exported" / "model.onnx"), "--json", str(out)]  # fmt: skip
    code = (
        "import sys\n"
        "for name in ('cv2', 'mediapipe', 'tensorflow', 'keras', 'rich', 'matplotlib'): sys.modules[name] = None\n"
        f"import run_live; sys.exit(run_live.main({argv!r}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    report = json.loads(out.read_text())
    engine = report["engine"]
    assert engine["ratio"] == pytest.approx(engine["window_ms"] / engine["streaming_ms"])
    assert 0 <= engine["max_abs_diff"] <= 1e-5
    assert engine["by_threads"][0]["streaming"]["count"] == 5 and engine["tensorflow_ms"] is None
    assert [run["batch"] for run in report["batches"]] == [1, 3]
    assert report["provider"] == "CPU" and report["machine"]["versions"]["numpy"]


def test_the_whole_benchmark_on_a_file(line: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip = write_video(tmp_path / "clip.mp4", face_frames(45))
    out, chart = tmp_path / "bench.json", tmp_path / "bench.png"
    argv = [
        "--benchmark",
        "--source",
        str(clip),
        "--steps",
        "3",
        "--threads",
        "1",
        "--model",
        str(line / "exported" / "model.onnx"),
    ]
    assert run_live.main([*argv, "--json", str(out), "--chart", str(chart)]) == 0
    report = json.loads(out.read_text())
    assert report["engine"]["tensorflow_ms"] > 0
    assert report["pipeline"]["fps"] > 0 and report["pipeline"]["frames"] == 45
    for stage in ("decode", "align", "preprocess", "classify", "latency"):
        assert set(report["pipeline"]["stages_ms"][stage]) == {"p50", "p95", "p99"}
    assert {run["engine"] for run in report["pipeline"]["runs"]} == {"streaming", "window"}
    events = report["events"]
    assert events["fps_with"] > 0 and events["fps_without"] > 0
    assert events["ratio"] == sorted(events["ratios"])[len(events["ratios"]) // 2]
    assert 0 < report["startup"]["first_frame_s"] < report["startup"]["first_label_s"]
    assert report["memory"]["peak_mb"] > 0
    assert chart.read_bytes().startswith(b"\x89PNG")
    assert "frames/s" in capsys.readouterr().out


def test_a_looped_file_goes_on_in_time(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.mp4", face_frames(7))
    with LoopedFile(clip, 24) as source:
        frames = list(source)
    assert [frame.index for frame in frames] == list(range(24))
    assert [round(30 * frame.time_s) for frame in frames] == list(range(24))


def test_a_soak_too_short_to_say_anything_is_refused(line: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected 10000 frames or more"):
        soak(Recognizer(line / "exported" / "model.onnx"), tmp_path / "clip.mp4", 100, print)


def test_a_missing_half_of_the_pair_is_one_line(tmp_path: Path, line: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "model.onnx").write_bytes((line / "exported" / "model.onnx").read_bytes())
    assert run_live.main(["--benchmark", "--stages", "engine", "--model", str(tmp_path / "model.onnx")]) == 1
    assert "model.stream.onnx does not exist" in capfd.readouterr().err
