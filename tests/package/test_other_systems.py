"""Modules and functions that one system has and another has not: every module loads, and files, a camera and a fleet run, without them."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest

from stream.sources.base import SourceError
from stream.sources.live import LiveSource
from stream.sources.open import list_cameras
from tests.helpers.clips import face_frames, write_video
from tests.helpers.mjpeg_server import endless_server
from tests.helpers.models import save_tiny_model
from tests.helpers.paths import ROOT
from tests.helpers.sessions import cells_of, facts_of

WITHOUT = Path(__file__).resolve().parent.parent / "helpers" / "without_unix"
LOAD = """
import importlib, os, pathlib, sys
assert not hasattr(os, "fork")
root = pathlib.Path(sys.argv[1])
for folder in sys.argv[2:]:
    for path in sorted((root / folder).rglob("*.py")):
        name = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
        if path.name != "__main__.py":
            importlib.import_module(name)
            print(name)
"""
ASKED = """
import os, pathlib, signal
from stream import machine
try:
    import fcntl
except ImportError:
    fcntl = None
gone = [hasattr(os, "fork"), hasattr(os, "memfd_create"), hasattr(machine.os, "sysconf"), hasattr(signal, "SIGKILL")]
assert fcntl is None and not any(gone)
assert machine.usable_cores() == os.cpu_count() and machine.seconds_since_start() > 0
try:
    pathlib.Path("/proc/self/stat").read_text()
except FileNotFoundError:
    print("gone")
"""
CAMERA_FRAMES = 40


def python(
    *argv: object, without: bool, processes: Path | None = None, fails: bool = False
) -> subprocess.CompletedProcess[str]:
    """A program from its beginning to its end; `without`: it and all its processes lack what only Unix has, and those who do
    are in the file `processes`."""
    path = os.pathsep.join([str(WITHOUT), str(ROOT)] if without else [str(ROOT)])
    environment = (
        os.environ | {"PYTHONPATH": path} | ({"MICROLIVE_TEST_PROCESSES": str(processes)} if processes else {})
    )
    command = [sys.executable, *map(str, argv)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == int(fails), done.stdout[-800:] + done.stderr[-800:]
    return done


def test_what_is_taken_away_is_gone() -> None:
    assert python("-c", ASKED, without=True).stdout == "gone\n"
    assert "AssertionError" in python("-c", ASKED, without=False, fails=True).stderr


@pytest.mark.slow
def test_the_whole_line_is_the_same_without_what_only_unix_has(tmp_path: Path) -> None:
    """The demo to the last frame with session, rows and events: what is taken away changes no value."""
    said = {}
    for without in (False, True):
        out = tmp_path / str(without)
        python("run_live.py", "--source", "demo", "--headless", "--pace", "fast", "--session", out, without=without)
        said[without] = (cells_of(out / "frames.csv"), (out / "events.jsonl").read_text(), facts_of(out)["state"])
    assert said[False] == said[True] and said[True][2] == "finished"
    assert len(said[True][0]) > 400 and said[True][1]


@pytest.fixture(scope="module")
def camera(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A folder with a small model and two clips, and the address of a camera."""
    folder = tmp_path_factory.mktemp("other")
    save_tiny_model(folder / "tiny.onnx")
    small = [cv2.resize(frame, (256, 256)) for frame in face_frames(45)]
    for name, images in (("one", small[:40]), ("two", small[5:])):
        write_video(folder / f"{name}.mp4", images)
    with endless_server(small, 1 / 30) as server:
        yield folder, server.url


@pytest.mark.slow
def test_the_live_program_reads_a_camera_without_them_and_ends_by_itself(
    camera: tuple[Path, str], tmp_path: Path
) -> None:
    (folder, url), processes = camera, tmp_path / "processes"
    argv = ("--source", url, "--model", folder / "tiny.onnx", "--headless", "--max-frames", CAMERA_FRAMES)
    python("run_live.py", *argv, "--session", tmp_path / "out", without=True, processes=processes)
    assert facts_of(tmp_path / "out")["state"] == "finished"
    assert len({cells[0] for cells in cells_of(tmp_path / "out" / "frames.csv")[1:]}) == CAMERA_FRAMES
    assert "stream.sources.capture_child" in processes.read_text()


@pytest.mark.slow
def test_a_fleet_of_files_and_a_camera_is_the_same_without_them(camera: tuple[Path, str], tmp_path: Path) -> None:
    (folder, url), processes = camera, tmp_path / "processes"
    sources = tmp_path / "sources.yaml"
    files = "".join(f"  {name}: {folder / name}.mp4\n" for name in ("one", "two"))
    sources.write_text(
        f"defaults: {{model: {folder / 'tiny.onnx'}}}\n"
        f"sources:\n{files}  door: {{source: '{url}', max_frames: {CAMERA_FRAMES}}}\n"
    )
    said = {}
    for without in (False, True):
        out = tmp_path / str(without)
        argv = ("-m", "stream.fleet", sources, "--out", out, "--jobs", 2, "--tables", "csv")
        python(*argv, without=without, processes=processes if without else None)
        sessions = {name: out / "sessions" / name / "0001" for name in ("one", "two", "door")}
        assert [facts_of(session)["state"] for session in sessions.values()] == ["finished"] * 3
        assert len({cells[0] for cells in cells_of(sessions["door"] / "frames.csv")[1:]}) == CAMERA_FRAMES
        rows = {name: cells_of(sessions[name] / "frames.csv") for name in ("one", "two")}
        events = {name: (sessions[name] / "events.jsonl").read_text() for name in rows}
        said[without] = (rows, events, [cells_of(out / "frames-csv" / f"{name}.csv") for name in rows])
    assert said[False] == said[True] and all(len(rows) >= 40 for rows in said[True][0].values())
    # Workers, and the camera's own process.
    started = processes.read_text()
    assert started.count("spawn_main") >= 2 and "stream.sources.capture_child" in started


@pytest.mark.parametrize(
    "folder",
    [
        "stream",
        "microlive",
        pytest.param("train", marks=pytest.mark.slow),
        pytest.param("export", marks=pytest.mark.slow),
    ],
)
def test_every_module_loads_without_what_only_unix_has(folder: str) -> None:
    assert f"{folder}\n" in python("-c", LOAD, ROOT, folder, without=True).stdout


def test_where_no_descriptors_can_be_handed_on_cameras_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from stream.sources import capture

    class Windows:
        platform = "win32"

    monkeypatch.setattr(capture, "sys", Windows)
    with pytest.raises(SourceError, match="not read on Windows yet"), LiveSource(0):
        pass
    with pytest.raises(SourceError, match="not read on Windows yet"):
        list_cameras()
