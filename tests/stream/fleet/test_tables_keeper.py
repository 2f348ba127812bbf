"""Tables made anew while a fleet runs, and on the command line: when, by whom, and what becomes of them when somebody is killed."""

import json
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import cv2
import duckdb
import pandas as pd
import psutil
import pyarrow.parquet as pq
import pytest

from stream.cli.fleet import main
from stream.fleet import tables_keeper
from stream.fleet.fleet_folder import FleetFolder
from stream.fleet.fleet_tables import write_tables
from stream.fleet.state_log import StateLog
from stream.fleet.tables_keeper import TablesKeeper
from tests.helpers.clips import face_frames, write_video
from tests.helpers.fleet_folders import files_of, grow, made_session, require_as_if_new, small_fleet, tell
from tests.helpers.mjpeg_server import endless_server
from tests.helpers.models import save_tiny_model
from tests.helpers.paths import ROOT
from tests.helpers.processes import ended, until

# While a fleet runs


def parts(out: Path) -> list[Path]:
    """What is being written."""
    return [path for path in out.rglob(".*.part*")]


def makers() -> list[psutil.Process]:
    return [one for one in psutil.Process().children() if "spawn_main" in " ".join(one.cmdline())]


@pytest.fixture
def without_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables_keeper, "_REST", 0.0)


@pytest.mark.usefixtures("without_rest")
def test_they_are_made_again_and_again_until_the_fleet_ends(tmp_path: Path) -> None:
    out = small_fleet(tmp_path / "out")
    running = made_session(out, "cam-3/0001", 5, state="running")
    tell(
        out,
        {"time": "t", "source": "cam-3", "state": "running", "reason": "", "attempt": 1, "frames": 0, "session": None},
    )
    said: list[str] = []
    with TablesKeeper(out, "parquet", 0.01, said.append):
        until(lambda: (out / "index.html").exists())
        page, grown = (out / "index.html").read_text(), out / "frames" / "cam-3.parquet"
        assert len(pd.read_parquet(grown)) == 5 and "while 1 of the sources was being recorded" in page
        grow(running, 4)
        until(lambda: len(pd.read_parquet(grown)) == 9)
    assert said == [] and parts(out) == [] and makers() == []
    assert "tables" not in [thread.name for thread in threading.enumerate()]
    assert duckdb.sql(f"SELECT count(*) FROM '{out}/frames/*.parquet'").fetchall() == [(124,)]


def test_a_fleet_that_ends_meanwhile_does_not_wait_for_them(tmp_path: Path) -> None:
    out = small_fleet(tmp_path / "out")
    write_tables(out)
    before = files_of(out, "parquet")
    long = made_session(out, "cam-2/002", 20_000)
    said: list[str] = []
    with TablesKeeper(out, "parquet", 0.01, said.append):
        until(lambda: any("cam-2" in path.name for path in parts(out)))
        (child,) = makers()
        assert child.nice() > psutil.Process().nice()
    assert not child.is_running() and parts(out) == [] and said == []
    assert files_of(out, "parquet") == before and not (out / "index.html").exists()
    assert long.frames.exists()


@pytest.mark.usefixtures("without_rest")
def test_what_cannot_be_made_is_told_once_and_tried_again(tmp_path: Path) -> None:
    out = small_fleet(tmp_path / "out")
    (out / "state.jsonl").write_text("x\n{}\n")
    said: list[str] = []
    with TablesKeeper(out, "csv", 0.01, said.append):
        until(lambda: said)
        (out / "frames-csv" / "cam-2.csv").unlink()
        until(lambda: (out / "frames-csv" / "cam-2.csv").exists())
        (out / "state.jsonl").unlink()
        until(lambda: (out / "index.html").exists())
    assert len(said) == 1 and said[0].startswith("tables: ") and "state.jsonl: line 1" in said[0]


@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
def test_a_fleet_with_a_camera_can_be_looked_at_while_it_runs(tmp_path: Path, ending: signal.Signals) -> None:
    save_tiny_model(tmp_path / "tiny.onnx")
    small = [cv2.resize(frame, (256, 256)) for frame in face_frames(30)]
    write_video(tmp_path / "talk.mp4", small)
    sources, out = tmp_path / "sources.yaml", tmp_path / "out"
    hall, talk = (out / "frames" / f"{name}.parquet" for name in ("hall", "talk"))
    with endless_server(small, 1 / 15) as camera:
        options = f"{{model: {tmp_path / 'tiny.onnx'}}}"
        sources.write_text(f"defaults: {options}\nsources:\n  hall: {camera.url}\n  talk: talk.mp4\n")
        command = [
            sys.executable,
            "-m",
            "stream.fleet",
            sources,
            "--out",
            out,
            "--jobs",
            "2",
            "--tables-every",
            "0.005",
        ]
        with (
            subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process,
            ended(process),
        ):
            stamps = FleetFolder(out).stamps("parquet")
            until(
                lambda: stamps.exists() and '"talk":' in stamps.read_text() and (out / "index.html").exists(), process
            )
            until(hall.exists, process)
            before = pq.read_metadata(hall).num_rows
            until(lambda: pq.read_metadata(hall).num_rows > before + 10, process)
            until(lambda: "being recorded" in (out / "index.html").read_text(), process)  # made after the tables
            assert main(["--tables-of", str(out)]) == 0  # by somebody else, meanwhile
            kept, family = talk.stat().st_ino, psutil.Process(process.pid).children(recursive=True)
            process.send_signal(ending)
            said, _ = process.communicate(timeout=120)
    assert process.returncode == (-ending if ending == signal.SIGKILL else 0), said
    assert psutil.wait_procs(family, timeout=60)[1] == []
    assert "Traceback" not in said and "tables: " not in said and parts(out) == []
    report = write_tables(out)
    assert report.problems == [] and report.frames > before + 10 + 30
    require_as_if_new(out, "parquet", report)
    # The file came to its end while the fleet ran: nobody had to write its table again.
    assert talk.stat().st_ino == kept and report.unchanged >= (1 if ending == signal.SIGKILL else 2)


# On the command line


def of_fleet(*argv: object) -> int:
    return main([str(word) for word in argv])


def test_tables_of_a_fleet_elsewhere(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    out, told = small_fleet(tmp_path / "out"), tmp_path / "told.json"
    with StateLog(FleetFolder(out)):
        assert of_fleet("--tables-of", out, "--json", told) == 0
    assert json.loads(told.read_text())["frames"] == 115 and (out / "index.html").exists()
    assert "5 events and 115 rows of frames, of 3 sources in 4 sessions" in capfd.readouterr().out
    copied = tmp_path / "elsewhere"
    shutil.copytree(out, copied)
    assert of_fleet("--tables-of", copied) == 0
    assert "3 of 3 tables" in capfd.readouterr().out  # copied with their times, nothing is written
    (copied / "sessions/cam-2/001/session.json").write_text("{")
    assert of_fleet("--tables-of", copied, "--tables", "csv") == 1
    assert "session.json" in capfd.readouterr().out and (copied / "frames-csv" / "cam-2.csv").exists()


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--tables-of", "OUT", "--out", "OUT"], "--out does not go with it"),
        (["lab.yaml", "--tables-of", "OUT"], "it takes no sources"),
        (["--tables-of", "OUT", "--tables", "none"], "--tables none does not go with it"),
        (["--tables-of", "OUT", "--serve", "8080"], "--serve does not go with it"),
        (["lab.yaml", "--out", "OUT", "--tables", "none", "--tables-every", "3"], "does not go with --tables none"),
        (["lab.yaml", "--out", "OUT", "--tables-every", "-1"], "expected a finite number, 0 or more"),
        (
            ["--tables-of", "OUT"],
            "OUT/sessions holds no sessions: No such file or directory; give the folder of a fleet",
        ),
        ([], "give sources and --out DIR, or --tables-of DIR"),
    ],
)
def test_wrong_usage_in_one_line(tmp_path: Path, argv: list[str], said: str, capfd) -> None:
    words = [str(tmp_path / "out") if word == "OUT" else word for word in argv]
    try:
        code = main(words)
    except SystemExit as ended:
        code = ended.code
    error = capfd.readouterr().err
    assert code in (1, 2) and said.replace("OUT", str(tmp_path / "out")) in error and "Traceback" not in error


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
def test_killed_in_the_middle_every_table_is_whole_and_the_next_time_makes_the_rest(
    tmp_path: Path, ending: signal.Signals
) -> None:
    out = small_fleet(tmp_path / "out")
    write_tables(out)
    before = files_of(out, "parquet")
    made_session(out, "cam-10/003", 20_000)
    command = [sys.executable, "-m", "stream.fleet", "--tables-of", str(out)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        until(lambda: any("cam-10" in path.name for path in parts(out)), process)
        process.send_signal(ending)
        said, _ = process.communicate()
    assert process.returncode == (-ending if ending == signal.SIGKILL else 130), said
    left = parts(out)
    assert bool(left) == (ending == signal.SIGKILL) and "Traceback" not in said
    # What is left of a kill is in nobody's way.
    assert len(pd.read_parquet(out / "frames")) == 115
    assert duckdb.sql(f"SELECT count(*) FROM '{out}/frames/*.parquet'").fetchall() == [(115,)]
    for path in left:
        path.unlink()
    assert files_of(out, "parquet") == before
    report = write_tables(out)
    assert report.unchanged == 2
    require_as_if_new(out, "parquet", report)
