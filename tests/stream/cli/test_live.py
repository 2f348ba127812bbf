"""The live program as a user runs it, on real files, with a tiny model."""

import csv
import itertools
import os
import signal
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import run_live
from stream.engine.model_file import load_model
from stream.recognizer import Recognizer
from stream.sources.file import FileSource
from tests.helpers.clips import empty_frames, face_frames, timed_frames, write_video
from tests.helpers.models import CLASSES, save_tiny_model, tiny_contract
from tests.helpers.paths import ROOT
from tests.helpers.processes import DEADLINE_S


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model and a clip: somebody, nobody, somebody."""
    folder = tmp_path_factory.mktemp("live")
    save_tiny_model(folder / "tiny.onnx")
    write_video(folder / "clip.mp4", face_frames(50) + empty_frames(10) + face_frames(45, seed=1))
    return folder


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def run(*argv: object) -> int:
    return run_live.main([str(word) for word in argv])


def test_one_row_for_every_frame(folder: Path, tmp_path: Path) -> None:
    out, video = tmp_path / "out.csv", tmp_path / "out.mp4"
    args = ("--model", folder / "tiny.onnx", "--headless", "--pace", "fast", "--csv", out, "--record", video)
    assert run("--source", folder / "clip.mp4", *args) == 0
    rows = rows_of(out)
    assert list(rows[0]) == [
        "frame",
        "time_s",
        "face",
        "status",
        "label",
        "confidence",
        *(f"p_{c}" for c in CLASSES),
        "smallest_px",
        "watchable",
        "latency_ms",
    ]
    assert [int(row["frame"]) for row in rows] == list(range(105))
    times = [float(row["time_s"]) for row in rows]
    assert all(a < b for a, b in itertools.pairwise(times))
    statuses = [row["status"] for row in rows]
    assert statuses[:29] == ["filling"] * 29 and statuses[29:50] == ["ok"] * 21
    assert statuses[50] == "tracking_lost" and statuses[51:60] == ["no_face"] * 9
    assert statuses[60:89] == ["filling"] * 29 and statuses[89:] == ["ok"] * 16
    for row in rows:
        probabilities = [row[f"p_{c}"] for c in CLASSES]
        if row["status"] == "ok":
            values = [float(p) for p in probabilities]
            assert sum(values) == pytest.approx(1.0, abs=1e-4)
            assert row["label"] == CLASSES[int(np.argmax(values))]
            assert float(row["confidence"]) == max(values)
        else:
            assert probabilities == [""] * 4 and row["label"] == row["confidence"] == ""
    # Somebody, nobody, and the same one again.
    assert [row["face"] for row in rows] == ["1"] * 50 + ["0"] * 10 + ["1"] * 45
    recorded = cv2.VideoCapture(str(video))
    assert int(recorded.get(cv2.CAP_PROP_FRAME_COUNT)) == 105
    assert recorded.get(cv2.CAP_PROP_FPS) == pytest.approx(30.0)


def test_the_library_gives_what_the_csv_holds(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    run("--source", folder / "clip.mp4", "--model", folder / "tiny.onnx", "--headless", "--pace", "fast", "--csv", out)
    results = list(Recognizer(folder / "tiny.onnx").run(folder / "clip.mp4"))
    for row, result in zip(rows_of(out), results, strict=True):
        assert (int(row["frame"]), row["status"]) == (result.frame.index, result.status)
        assert [int(row["face"])] == [face.track for face in result.faces] or (row["face"], result.faces) == ("0", ())
        assert (row["label"] or None) == (result.prediction.label if result.prediction else None)
        if result.prediction:
            for name in CLASSES:
                assert float(row[f"p_{name}"]) == pytest.approx(result.prediction.probabilities[name], abs=1e-5)


def test_runs_repeat_and_leave_no_thread(folder: Path) -> None:
    before = threading.active_count()
    recognizer = Recognizer(folder / "tiny.onnx")
    first, second = ([r.prediction for r in recognizer.run(folder / "clip.mp4")] for _ in range(2))
    assert first == second
    for result in recognizer.run(folder / "clip.mp4"):
        if result.frame.index == 5:
            break
    assert threading.active_count() <= before


def test_leaving_a_paused_run_ends_its_threads(folder: Path) -> None:
    before = threading.active_count()
    recognizer = Recognizer(folder / "tiny.onnx")
    with FileSource(folder / "clip.mp4", "realtime") as source:
        pipeline = recognizer.pipeline(source)
        results = pipeline.results()
        next(results)
        pipeline.set_paused(True)
        results.close()
    assert threading.active_count() <= before


def test_a_gap_in_time_empties_the_window(folder: Path) -> None:
    times = [i / 30 for i in range(35)] + [10 + i / 30 for i in range(35)]
    statuses = [r.status for r in Recognizer(folder / "tiny.onnx").run(timed_frames(times))]
    assert statuses == (["filling"] * 29 + ["ok"] * 6) * 2


@pytest.mark.parametrize(("fps", "first_answer"), [(15, 15), (60, 58)])
def test_the_window_is_a_span_of_time(folder: Path, fps: int, first_answer: int) -> None:
    """29/30 s of any frame rate fill it; after that every frame has an answer."""
    times = [i / fps for i in range(first_answer + 6)]
    results = list(Recognizer(folder / "tiny.onnx").run(timed_frames(times)))  # type: ignore[arg-type]
    assert [r.status for r in results] == ["filling"] * first_answer + ["ok"] * 6


def test_max_frames(folder: Path, tmp_path: Path) -> None:
    assert (
        run(
            "--source",
            folder / "clip.mp4",
            "--model",
            folder / "tiny.onnx",
            "--headless",
            "--max-frames",
            7,
            "--csv",
            tmp_path / "o.csv",
        )
        == 0
    )
    assert len(rows_of(tmp_path / "o.csv")) == 7


def save_poisoned_model(path: Path) -> None:
    """Its weights are no numbers."""
    save_tiny_model(path)
    model = onnx.load(str(path))
    [weights] = model.graph.initializer
    weights.CopyFrom(numpy_helper.from_array(np.full(tuple(weights.dims), np.nan, np.float32), weights.name))
    onnx.save(model, str(path))


def bad_inputs(folder: Path) -> dict[str, tuple[list[str], str]]:
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "text.mp4").write_text("no video\n" * 300)
    (folder / "cut.mp4").write_bytes((folder / "clip.mp4").read_bytes()[:2000])
    (folder / "corrupt.onnx").write_bytes(b"\x00\x01corrupt" * 50)
    save_tiny_model(folder / "bare.onnx", metadata={})
    save_tiny_model(folder / "other.onnx", metadata=tiny_contract(frames=20).to_metadata())
    save_poisoned_model(folder / "poisoned.onnx")
    (folder / "network.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(64))
    with zipfile.ZipFile(folder / "renamed.onnx", "w") as keras:
        for name in ("metadata.json", "config.json", "model.weights.h5"):
            keras.writestr(name, "{}")
    (folder / "saved").mkdir(exist_ok=True)
    (folder / "saved" / "saved_model.pb").touch()
    make = "make a model of the run that it came from with `python -m export RUN --out DIR`"
    clip, model = ["--source", str(folder / "clip.mp4")], ["--model", str(folder / "tiny.onnx")]
    return {
        "missing file": (["--source", str(folder / "none.mp4"), *model], "does not exist"),
        "empty file": (["--source", str(folder / "empty.mp4"), *model], "is empty"),
        "not a video": (["--source", str(folder / "text.mp4"), *model], "holds no video"),
        "truncated": (["--source", str(folder / "cut.mp4"), *model], "holds no video"),
        "a folder": (["--source", str(folder), *model], "is a folder"),
        "no camera": (["--camera", "99", *model], "camera 99 cannot be opened"),
        "no URL": (["--source", "http://[bad/x", *model], "not a valid URL"),
        "name too long": (["--source", "a" * 300, *model], "cannot be read"),
        "no server": (["--source", "http://127.0.0.1:9/x", *model], "cannot be opened"),
        "no model": ([*clip, "--model", str(folder / "none.onnx")], "is not a model file"),
        "HDF5": (
            [*clip, "--model", str(folder / "network.h5")],
            f"(Keras .h5) and cannot be loaded as an ONNX model; {make}",
        ),
        "Keras": (
            [*clip, "--model", str(folder / "renamed.onnx")],
            f"(.keras) and cannot be loaded as an ONNX model; {make}",
        ),
        "SavedModel": (
            [*clip, "--model", str(folder / "saved")],
            f"SavedModel and cannot be loaded as an ONNX model; {make}",
        ),
        "corrupt model": ([*clip, "--model", str(folder / "corrupt.onnx")], "cannot be loaded"),
        "no metadata": ([*clip, "--model", str(folder / "bare.onnx")], "python -m export"),
        "wrong window": ([*clip, "--model", str(folder / "other.onnx")], "expected"),
        "answers that are none": ([*clip, "--model", str(folder / "poisoned.onnx")], "no probabilities"),
        "no folder for csv": ([*clip, *model, "--csv", str(folder / "no" / "o.csv")], "does not exist"),
        "csv is a folder": ([*clip, *model, "--csv", str(folder)], "is a folder"),
        "record is no mp4": ([*clip, *model, "--record", str(folder / "o.avi")], "must end in .mp4"),
    }


@pytest.mark.parametrize("case", ["missing file", "empty file", "not a video", "truncated", "a folder", "no camera", "no URL", "name too long", "no server",
                                  "no model", "HDF5", "Keras", "SavedModel", "corrupt model", "no metadata", "wrong window", "answers that are none", "no folder for csv", "csv is a folder",
                                  "record is no mp4"])  # fmt: skip
def test_bad_input_gets_one_line(case: str, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    argv, says = bad_inputs(folder)[case]
    assert run(*argv, "--headless") == 1
    error = capfd.readouterr().err.strip()
    assert error.startswith("error: ") and says in error and len(error.splitlines()) == 1


@pytest.mark.parametrize(
    "argv",
    [["--camera", "-1"], ["--camera", "x"], ["--camera", "99999999999999"], ["--camera", "0", "--source", "demo"], ["--max-frames", "0"], ["--pace", "slow"],
     ["--provider", "tpu"], ["--source", ""], ["--threads", "-2"], ["--nonsense"],
     ["--help", "nonsense"], ["--benchmark", "--csv", "out.csv"], ["--benchmark", "--camera", "0"]],
)  # fmt: skip
def test_bad_usage_exits_with_2(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run(*argv)
    assert caught.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_ctrl_c_ends_a_live_run_and_keeps_its_rows(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    command = [sys.executable, "run_live.py", "--source", str(folder / "clip.mp4"), "--pace", "realtime", "--headless",
               "--model", str(folder / "tiny.onnx"), "--csv", str(out)]  # fmt: skip
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               env={**os.environ, "PYTHONUNBUFFERED": "1"})  # fmt: skip
    with process:
        while not (out.exists() and len(out.read_text().splitlines()) > 3):
            assert process.poll() is None, process.stderr.read() if process.stderr else ""
        process.send_signal(signal.SIGINT)
        shown, errors = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0 and "Stopped." in shown and "Traceback" not in errors
    assert len(rows_of(out)) >= 3


def test_cuda_where_there_is_none(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    if load_model(folder / "tiny.onnx").provider != "CPU":
        pytest.skip("this machine has a GPU")
    assert (
        run("--source", folder / "clip.mp4", "--model", folder / "tiny.onnx", "--headless", "--provider", "cuda") == 1
    )
    assert "--provider cuda is not available" in capfd.readouterr().err


def test_no_cameras(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.cli.app.list_cameras", lambda: [])
    assert run("--list-cameras") == 1
    assert "No camera" in capsys.readouterr().out


def test_what_a_model_says_of_itself_is_no_markup(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    contract = tiny_contract(training_data="clips [of] nobody [/dim]", scores={"uf1": "high"})
    save_tiny_model(folder / "words.onnx", contract)
    args = ("--model", folder / "words.onnx", "--headless", "--max-frames", 2)
    assert run("--source", folder / "clip.mp4", *args) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "clips [of] nobody [/dim]; not scored" in shown
