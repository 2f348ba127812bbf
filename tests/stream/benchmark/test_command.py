"""The benchmark measures what it says, where it says it can run; how fast it is, no test asserts."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import run_live
from stream.benchmark import command
from stream.benchmark.__main__ import main
from stream.benchmark.command import BenchmarkSettings, SpeedSettings
from stream.benchmark.results import show
from stream.benchmark.soak import LoopedFile, soak
from stream.benchmark.stage_costs import STAGES
from stream.recognizer import Recognizer
from tests.helpers.clips import face_frames, write_video
from tests.helpers.paths import ROOT
from tests.helpers.processes import DEADLINE_S


def test_engines_alone_need_neither_opencv_nor_mediapipe_nor_tensorflow_nor_rich(line: Path, tmp_path: Path) -> None:
    out = tmp_path / "bench.json"
    argv = ["--stages", "engine", "--steps", "5", "--batch", "1,3", "--threads", "1",
            "--model", str(line / "exported" / "model.onnx"), "--json", str(out)]  # fmt: skip
    code = (
        "import sys\n"
        "for name in ('cv2', 'mediapipe', 'tensorflow', 'keras', 'rich', 'matplotlib'): sys.modules[name] = None\n"
        f"from stream.benchmark.__main__ import main; sys.exit(main({argv!r}))"
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


@pytest.mark.slow
def test_the_whole_benchmark_on_a_file(line: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip = write_video(tmp_path / "clip.mp4", face_frames(45))
    out, chart = tmp_path / "bench.json", tmp_path / "bench.png"
    argv = [
        "--source",
        str(clip),
        "--steps",
        "3",
        "--threads",
        "1",
        "--model",
        str(line / "exported" / "model.onnx"),
    ]
    argv += ["--beside", str(ROOT)]
    assert main([*argv, "--json", str(out), "--chart", str(chart)]) == 0
    report = json.loads(out.read_text())
    assert report["engine"]["tensorflow_ms"] > 0
    assert report["pipeline"]["fps"] > 0 and report["pipeline"]["frames"] == 45
    # Beside itself: what is measured of a version is measured of the other one, too.
    for stages in (report["stages"], report["stages_beside"]):
        assert stages["frames"] == 44 and set(stages["stages_ms"]) == set(STAGES)
        assert stages["total_ms"] == pytest.approx(sum(stages["stages_ms"].values()), rel=0.2)
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
    assert main(["--stages", "engine", "--model", str(tmp_path / "model.onnx")]) == 1
    error = capfd.readouterr().err.splitlines()
    assert error[-1].startswith("error: ") and "model.stream.onnx does not exist" in error[-1]


def test_a_clip_too_short_for_a_label_has_its_table(capsys: pytest.CaptureFixture[str]) -> None:
    times = {"p50_ms": 1.0, "p95_ms": 2.0, "p99_ms": 3.0}
    run = {"threads": 1, "streaming": times, "window": times, "tensorflow": None}
    events = {"fps_with": 9.0, "fps_without": 9.0, "ratio": 1.0, "ratios": [1.0]}
    show(
        {
            "machine": {"processor": "some", "cores": 2},
            "provider": "CPU",
            "engine": {"by_threads": [run], "max_abs_diff": 0.0},
            "stages": {"stages_ms": {"align": 1.25}, "total_ms": 9.5},
            "pipeline": {"source": "clip.mp4", "fps": 9.0, "processor_ms": 9.75, "stages_ms": {}, "runs": []},
            "events": events | {"processor_ms_with": 1.0, "processor_ms_without": 1.0},
            "startup": {"first_frame_s": 0.5, "first_label_s": None},
            "memory": {"peak_mb": 200.0},
        }
    )
    assert "no frame had a label" in capsys.readouterr().out


def test_the_live_programs_short_form_is_the_plain_benchmark(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[BenchmarkSettings, SpeedSettings]] = []
    monkeypatch.setattr(command, "run_speed", lambda *settings: asked.append(settings) or 0)
    argv = ["--model", "m.onnx", "--provider", "cpu", "--threads", "2", "--source", "clip.mp4", "--json", "out.json"]
    assert run_live.main(["--benchmark", *argv]) == run_live.main(["--benchmark"]) == 0
    given = BenchmarkSettings(Path("m.onnx"), "cpu", 2, "clip.mp4", Path("out.json"))
    assert asked == [(given, SpeedSettings()), (BenchmarkSettings(), SpeedSettings())]


def test_commands_pass_on_what_they_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[object, ...]] = []
    for name in ("run_speed", "run_soak", "run_faults", "run_latency"):
        monkeypatch.setattr(
            f"stream.benchmark.__main__.{name}", lambda *given, _name=name: asked.append((_name, *given)) or 0
        )
    for line in (
        "",
        "speed --stages engine --batch 1,8 --steps 7 --chart c.png",
        "--stages engine --threads 3",
        "soak --frames 20000 --engine window --source c.mp4",
        "faults --minutes 0.5 --provider cpu",
        "latency --seconds 5 --viewers 3 --json o.json",
    ):
        assert main(line.split()) == 0
    assert asked == [
        ("run_speed", BenchmarkSettings(), SpeedSettings()),
        ("run_speed", BenchmarkSettings(), SpeedSettings("engine", 7, (1, 8), Path("c.png"))),
        ("run_speed", BenchmarkSettings(threads=3), SpeedSettings("engine")),
        ("run_soak", BenchmarkSettings(engine="window", source="c.mp4"), 20000),
        ("run_faults", BenchmarkSettings(provider="cpu"), 0.5),
        ("run_latency", BenchmarkSettings(json=Path("o.json")), 5.0, 3),
    ]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("--help", "latency --seconds 60 --viewers 3"),
        ("speed --help", "--stages {all,engine}"),
        ("soak -h", "--frames N"),
        ("faults --help", "--minutes M"),
        ("latency --help", "--viewers N"),
    ],
)
def test_every_command_has_a_help(line: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(line.split())
    assert caught.value.code == 0 and says in capsys.readouterr().out


@pytest.mark.parametrize(
    "line",
    ["nonsense", "--frames 20000", "soak --frames 100", "soak --stages engine", "--threads 2 soak", "faults --minutes 0",
     "latency --seconds 0", "latency --viewers 16", "latency --source x.mp4", "--batch 1,0", "--provider tpu", "--steps 0"],
)  # fmt: skip
def test_bad_usage_exits_with_2(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(line.split())
    assert caught.value.code == 2 and "error:" in capsys.readouterr().err


def test_what_cannot_be_written_is_said_before_anything_is_measured(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("speed", "soak", "faults", "latency"):
        assert main([name, "--json", str(tmp_path / "no" / "out.json")]) == 1
        error = capfd.readouterr().err.strip()
        assert error.startswith("error: ") and "does not exist" in error and len(error.splitlines()) == 1


@pytest.mark.parametrize("name", ["speed", "soak", "faults", "latency"])
def test_ctrl_c_ends_a_measurement_without_a_word(name: str, tmp_path: Path) -> None:
    """To the whole group, as a terminal sends it, a second into the measurement."""
    process = subprocess.Popen(
        [sys.executable, "-m", "stream.benchmark", name, "--json", str(tmp_path / "out.json")],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    with process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("measuring: ")
        time.sleep(1)
        os.killpg(process.pid, signal.SIGINT)
        shown, errors = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 130 and "Traceback" not in errors + shown
    assert all(line.startswith("measuring: ") for line in errors.splitlines()), errors
    assert not (tmp_path / "out.json").exists()
