"""Fleets that run: real processes, files and cameras on the loopback."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import psutil
import pytest

from stream.benchmark.fleet_files import make_clips, tables
from stream.cli.fleet import main
from stream.fleet.fleet_folder import FleetFolder
from stream.fleet.state_log import read_states
from tests.helpers.clips import face_frames, write_video
from tests.helpers.mjpeg_server import endless_server
from tests.helpers.models import save_tiny_model
from tests.helpers.paths import ROOT
from tests.helpers.processes import until
from tests.helpers.sessions import cells_of, facts_of, run

FRAMES = 40


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model and a folder of two clips, one deeper, and a file that is no video."""
    folder = tmp_path_factory.mktemp("fleet")
    save_tiny_model(folder / "tiny.onnx")
    (folder / "clips" / "deep").mkdir(parents=True)
    small = [cv2.resize(frame, (256, 256)) for frame in face_frames(FRAMES + 5)]
    write_video(folder / "clips" / "one.mp4", small[:FRAMES])
    write_video(folder / "clips" / "deep" / "two.mp4", small[5:])
    (folder / "clips" / "bad.mp4").write_bytes(b"no video")
    return folder


def fleet(*argv: object) -> int:
    return main([str(word) for word in argv])


def last_states(out: Path) -> dict[str, str]:
    return {line["source"]: line["state"] for line in read_states(FleetFolder(out))}


def test_a_folder_becomes_sessions_as_the_live_program_records_them_and_is_gone_on_with(
    clips: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model = ("--model", clips / "tiny.onnx")
    out, report = tmp_path / "out", tmp_path / "report.json"
    argv = (clips / "clips", "--out", out, "--jobs", 2, *model)
    assert fleet(*argv, "--json", report, "--tables", "csv") == 1  # one is no video
    assert last_states(out) == {"bad.mp4": "skipped", "one.mp4": "done", "deep__two.mp4": "done"}
    told = json.loads(report.read_text())
    assert told["counts"] == {"done": 2, "skipped": 1} and told["frames"] == 2 * FRAMES and not told["interrupted"]
    assert "bad.mp4: skipped: " in capfd.readouterr().out
    assert len((out / "events.csv").read_text().splitlines()) >= 1

    session = out / "sessions" / "one.mp4" / "0001"
    alone = tmp_path / "alone"
    assert run("--source", clips / "clips" / "one.mp4", "--headless", "--pace", "fast", *model, "--session", alone) == 0
    assert cells_of(session / "frames.csv") == cells_of(alone / "frames.csv")
    assert (session / "events.jsonl").read_bytes() == (alone / "events.jsonl").read_bytes()
    assert {path.name for path in session.iterdir()} == {path.name for path in alone.iterdir()}
    facts, ordinary = facts_of(session), facts_of(alone)
    assert facts["state"] == "finished" and facts["model"] == ordinary["model"]
    assert facts["settings"]["fleet"] == {"source": "one.mp4", "attempt": 1}
    assert facts["settings"]["model"] == ordinary["settings"]["model"]

    # Again: finished ones are not done twice, and one that has changed is told and done anew.
    before = session.stat().st_ino
    os.utime(clips / "clips" / "deep" / "two.mp4", ns=(1, 1))
    (clips / "clips" / "bad.mp4").rename(clips / "bad")
    capfd.readouterr()
    assert fleet(*argv, "--tables", "none") == 0
    said = capfd.readouterr().out
    assert "1 finished file was changed since, and recorded anew: deep__two.mp4" in said and "1 finished before" in said
    assert session.stat().st_ino == before
    assert [path.name for path in (out / "sessions" / "deep__two.mp4").iterdir()] == ["0001"]

    # Other settings are not mixed in without a word.
    assert fleet(*argv, "--sensitivity", 3) == 1
    assert "2 finished files were recorded with other settings, the first" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["nowhere.yaml", "--out", "OUT"], "nowhere.yaml: No such file"),
        (["FOLDER", "--out", "FOLDER"], "is not empty, and no fleet's"),
        (["FOLDER", "--out", "OUT", "--model", "none.onnx"], "none.onnx is not a model file"),
        (["FOLDER", "--out", "OUT", "--jobs", "0"], "--jobs"),
        (["FOLDER"], "--out"),
    ],
)
def test_wrong_usage_in_one_line(clips: Path, tmp_path: Path, argv: list[str], said: str, capfd) -> None:
    words = [{"FOLDER": str(clips / "clips"), "OUT": str(tmp_path / "out")}.get(word, word) for word in argv]
    try:
        code = main(words)
    except SystemExit as ended:
        code = ended.code
    error = capfd.readouterr().err
    assert code in (1, 2) and said in error and "Traceback" not in error


@contextmanager
def program(*argv: object) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "stream.fleet", *map(str, argv)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def rows(session: Path) -> int:
    path = session / "frames.csv"
    return path.read_bytes().count(b"\n") - 1 if path.exists() else -1


def carrying(pid: int) -> list[psutil.Process]:
    """Workers that write rows."""
    return [
        one
        for one in psutil.Process(pid).children()
        if any(Path(file.path).name == "frames.csv" for file in one.open_files())
    ]


@pytest.mark.slow
def test_cameras_and_workers_that_die_are_begun_again_and_all_is_closed_at_the_end(clips: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    small = [cv2.resize(frame, (256, 256)) for frame in face_frames(30)]
    with endless_server(small, 1 / 15) as door, endless_server(small, 1 / 15) as hall:
        sources = tmp_path / "sources.yaml"
        options = f"{{model: {clips / 'tiny.onnx'}, retry_for_s: 1}}"
        sources.write_text(f"defaults: {options}\nsources:\n  door: {door.url}\n  hall: {hall.url}\n")
        with program(
            sources, "--out", out, "--jobs", 2, "--tables", "none", "--json", tmp_path / "end.json"
        ) as process:
            first = {name: out / "sessions" / name / "0001" for name in ("door", "hall")}
            second = {name: out / "sessions" / name / "0002" for name in first}
            until(lambda: all(rows(session) > 5 for session in first.values()), process)

            # A camera goes for longer than is waited: its session ends, and another begins when it is back.
            door.fault = "gone"
            until(lambda: last_states(out)["door"] == "restarted", process)
            door.fault = None
            until(lambda: rows(second["door"]) > 5, process)
            assert facts_of(first["door"])["state"].startswith("failed: ") and not second["hall"].exists()

            # Both workers are killed.
            seen = rows(first["hall"])
            for worker in carrying(process.pid):
                worker.kill()
            until(lambda: rows(second["hall"]) > 5 and rows(out / "sessions" / "door" / "0003") > 5, process)
            assert rows(first["hall"]) >= seen and facts_of(first["hall"])["state"] == "killed"

            family = psutil.Process(process.pid).children(recursive=True)
            process.send_signal(signal.SIGTERM)
            said, _ = process.communicate(timeout=120)
        assert process.returncode == 0, said
    assert said.count("Stopping") == 1 and "Traceback" not in said
    assert psutil.wait_procs(family, timeout=10)[1] == []
    assert facts_of(second["hall"])["state"] == "finished" and (second["hall"] / "report.html").exists()
    told: dict[str, Any] = json.loads((tmp_path / "end.json").read_text())
    assert told["restarts"] >= 3 and told["counts"] == {"done": 2}
    assert [line["state"] for line in read_states(FleetFolder(out)) if line["source"] == "hall"] == [
        "waiting", "running", "restarted", "running", "done",
    ]  # fmt: skip


@pytest.mark.slow
def test_killed_in_the_middle_and_gone_on_with_the_tables_are_the_same_as_on_ray(clips: Path, tmp_path: Path) -> None:
    make_clips(tmp_path / "clips", 8, 15)
    common = (tmp_path / "clips", "--jobs", 2, "--tables", "none", "--model", clips / "tiny.onnx")
    whole, killed, on_ray = (tmp_path / name for name in ("whole", "killed", "ray"))
    assert fleet(*common, "--out", whole) == 0
    with program(*common, "--out", killed) as process:
        until(lambda: (killed / "state.jsonl").exists() and "done" in last_states(killed).values(), process)
        family = psutil.Process(process.pid).children(recursive=True)
        process.kill()
    assert psutil.wait_procs(family, timeout=10)[1] == []  # workers end with the program
    done = [name for name, state in last_states(killed).items() if state == "done"]
    kept = {name: (killed / "sessions" / name / "0001" / "frames.csv").stat().st_ino for name in done}
    assert 0 < len(done) < 8
    assert fleet(*common, "--out", killed) == 0
    assert all((killed / "sessions" / name / "0001" / "frames.csv").stat().st_ino == ino for name, ino in kept.items())
    assert fleet(*common, "--out", on_ray, "--ray", "local") == 0
    assert tables(whole) == tables(killed) == tables(on_ray)
    assert tables(whole)[1:] == (8, 8 * 15)
