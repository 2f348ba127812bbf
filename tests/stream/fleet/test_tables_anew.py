"""Tables of fleets that run, and made again: what has changed is written, and the result is what a full write gives."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any, Self, TextIO
from unittest import mock

import cv2
import duckdb
import pandas as pd
import psutil
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.cli.fleet import main
from stream.fleet import table_files, tables_keeper
from stream.fleet.fleet_folder import FleetFolder
from stream.fleet.fleet_tables import TablesReport, write_tables
from stream.fleet.state_log import StateLog
from stream.fleet.table_files import Form
from stream.fleet.tables_keeper import TablesKeeper
from stream.session.frame_rows import Columns
from stream.session.session_folder import SessionFolder
from stream.sinks.base import write_json
from tests.helpers.clips import face_frames, write_video
from tests.helpers.fleet_folders import made_session, small_fleet, tell
from tests.helpers.mjpeg_server import endless_server
from tests.helpers.models import save_tiny_model
from tests.helpers.paths import ROOT
from tests.helpers.processes import ended, until
from tests.helpers.report_sessions import MOVED, REST, line, row

FORMS: tuple[Form, ...] = ("parquet", "csv")
OTHER_MODEL = (
    "frame,time_s,face,status,label,confidence,p_neutral,p_anger,smallest_px,watchable,latency_ms\n"
    "0,0.000000,1,ok,anger,0.900000,0.100000,0.900000,,0,3.000\n"
)


def files_of(out: Path, form: Form) -> dict[str, bytes]:
    """All tables of a form."""
    folder = FleetFolder(out)
    paths = [folder.events(form), *sorted(folder.frames(form).iterdir())]
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in paths}


def require_as_if_new(out: Path, form: Form, report: TablesReport) -> None:
    """Byte for byte, and in all that is told but for what was left as it is."""
    fresh = out.parent / f"{out.name}-fresh"
    shutil.copytree(out / "sessions", fresh / "sessions")  # with the times of its files
    whole = write_tables(fresh, form)
    assert files_of(out, form) == files_of(fresh, form)
    told = [line.replace(str(fresh), str(out)) for line in whole.problems]
    assert (report.events, report.frames, report.sessions, report.cut_off) == (
        whole.events, whole.frames, whole.sessions, whole.cut_off,
    )  # fmt: skip
    assert report.problems == told and whole.unchanged == 0
    shutil.rmtree(fresh)


def inodes(out: Path) -> dict[str, int]:
    return {path.stem: path.stat().st_ino for path in (out / "frames").iterdir()}


def grow(session: SessionFolder, rows: int = 3, torn: bool = False) -> None:
    """As a run that goes on does."""
    with session.frames.open("a") as file:
        for number in range(rows):
            file.write(",".join(map(str, row(1000 + number, 40 + number / 30, MOVED))) + "\n")
        file.write("1003,41.0,1,ok,surpr" if torn else "")


def test_only_what_has_changed_is_written_again(tmp_path: Path) -> None:
    out = small_fleet(tmp_path / "out")
    assert write_tables(out).unchanged == 0
    before = inodes(out)
    again = write_tables(out)
    assert again.unchanged == 3 and inodes(out) == before
    assert "3 of 3 tables of frames have not changed" in " ".join(again.lines())
    require_as_if_new(out, "parquet", again)

    made_session(out, "cam-2/002", 5)
    report = write_tables(out)
    assert report.unchanged == 2 and report.frames == 120
    assert {name for name, inode in inodes(out).items() if inode != before[name]} == {"cam-2"}
    require_as_if_new(out, "parquet", report)

    # One form knows nothing of the other.
    assert write_tables(out, "csv").unchanged == 0 and write_tables(out, "csv").unchanged == 3
    # A table that somebody wrote over, or that is gone, is made again.
    (out / "frames" / "talk.mp4.parquet").write_bytes(b"mine")
    (out / "frames" / "cam-10.parquet").unlink()
    report = write_tables(out)
    assert report.unchanged == 1
    require_as_if_new(out, "parquet", report)


def test_other_columns_are_written_into_all_tables(tmp_path: Path) -> None:
    out = small_fleet(tmp_path / "out")
    write_tables(out)
    made_session(out, "new", 1).frames.write_text(OTHER_MODEL)
    report = write_tables(out)
    assert report.unchanged == 0
    require_as_if_new(out, "parquet", report)
    assert pd.read_parquet(out / "frames").p_anger.notna().sum() == 1
    assert write_tables(out).unchanged == 4
    shutil.rmtree(out / "sessions" / "new")
    report = write_tables(out)
    assert report.unchanged == 0
    require_as_if_new(out, "parquet", report)


@pytest.mark.parametrize(
    "memory", ["", "{}", "[1]", '{"made_by": {}, "columns": [], "tables": {"cam-2": 3}}', "\0" * 9]
)
def test_a_damaged_memory_costs_time_and_no_more(tmp_path: Path, memory: str) -> None:
    out = small_fleet(tmp_path / "out")
    write_tables(out)
    FleetFolder(out).stamps("parquet").write_text(memory)
    report = write_tables(out)
    assert report.unchanged == 0
    require_as_if_new(out, "parquet", report)
    assert write_tables(out).unchanged == 3


def test_what_an_earlier_version_wrote_is_not_taken_for_ours(tmp_path: Path) -> None:
    out = small_fleet(tmp_path / "out")
    write_tables(out)
    stamps = FleetFolder(out).stamps("parquet")
    known = json.loads(stamps.read_text())
    known["made_by"]["microlive"] = "0.0.9"
    stamps.write_text(json.dumps(known))
    assert write_tables(out).unchanged == 0


def test_a_session_that_is_being_recorded_is_read_as_far_as_it_is(tmp_path: Path) -> None:
    out = small_fleet(tmp_path / "out")
    running = made_session(out, "cam-2/002", 10, [line(1, 0.2)], state="running")
    held = running.hold()
    try:
        with StateLog(FleetFolder(out)):  # a fleet has the folder
            report = write_tables(out)
            assert (report.frames, report.unchanged, report.problems) == (125, 0, [])
            grow(running, 3, torn=True)
            with running.events.open("a") as file:
                file.write(json.dumps(line(2, 0.4))[:40])
            report = write_tables(out)
            assert (report.frames, report.events, report.unchanged, report.cut_off) == (128, 6, 2, 2)
            require_as_if_new(out, "parquet", report)
            # However its files stand, nobody can know that they will not change.
            assert write_tables(out).unchanged == 2
    finally:
        os.close(held)
    write_json(running.facts, json.loads(running.facts.read_text()) | {"state": "killed"})
    assert write_tables(out).unchanged == 2 and write_tables(out).unchanged == 3


def test_of_a_session_that_goes_on_only_new_rows_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A week of a camera is not read again every ten minutes."""
    monkeypatch.setattr(table_files, "ROWS_A_GROUP", 16)
    out = tmp_path / "out"
    made_session(out, "cam/0001", 20, [line(1, 0.2)])
    running = made_session(out, "cam/0002", 30, state="running", zero_time="2026-03-01T23:59:59.500+01:00")
    held = running.hold()  # a run has it
    read = list[int]()
    plain = Columns.row
    monkeypatch.setattr(Columns, "row", lambda self, cells: read.append(1) or plain(self, cells))

    def rows_read() -> int:
        read.clear()
        report = write_tables(out)
        count = len(read)
        require_as_if_new(out, "parquet", report)
        return count

    # Three groups of 16, the third of which ends behind the 28th row of the second session.
    assert [rows_read(), rows_read()] == [50, 2]
    grow(running, 5, torn=True)
    assert rows_read() == 7
    with running.frames.open("a") as file:
        file.write("ise,0.9\n")
    assert rows_read() == 8  # the last one is no row
    running.frames.write_text(running.frames.read_text().rpartition("1003,")[0])
    grow(running, 20)
    assert [rows_read(), rows_read()] == [27, 11]
    # In another session nothing is where it was; and what was before it is not what it was.
    running.frames.write_text(running.frames.read_text().replace(",ok,", ",ok ,"))
    assert rows_read() == 75
    made_session(out, "cam/0001", 21)
    assert rows_read() == 76
    made_session(out, "cam/0003", 10, state="running")
    assert rows_read() == 86 - 64
    # Another zero time is another time in every row.
    write_json(running.facts, json.loads(running.facts.read_text()) | {"zero_time": None})
    assert rows_read() == 86
    os.close(held)


def test_a_table_that_cannot_be_read_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_files, "ROWS_A_GROUP", 16)
    out = tmp_path / "out"
    held = made_session(out, "cam/0001", 40, state="running").hold()
    write_tables(out)
    table = out / "frames" / "cam.parquet"
    found, data = table.stat(), bytearray(table.read_bytes())
    data[4:200] = bytes(196)
    table.write_bytes(data)
    os.utime(table, ns=(found.st_atime_ns, found.st_mtime_ns))
    require_as_if_new(out, "parquet", write_tables(out))
    os.close(held)


def test_damage_is_told_every_time(tmp_path: Path) -> None:
    out = small_fleet(tmp_path / "out")
    with (out / "sessions/cam-2/001/frames.csv").open("a") as file:
        file.write("no row\nno row\n")
    first, second = write_tables(out), write_tables(out)
    assert first.problems == second.problems and len(second.problems) == 1 and second.unchanged == 2


class Growing:
    """A file to which its writer adds `rest` between the look that found half a line and the next one."""

    def __init__(self, file: TextIO, path: Path, rest: str) -> None:
        self._file, self._path, self._rest = file, path, rest

    def readline(self) -> str:
        line = self._file.readline()
        if line and not line.endswith("\n"):
            with open(self._path, "a") as file:
                file.write(self._rest)
        return line

    def __next__(self) -> str:
        if line := self.readline():
            return line
        raise StopIteration

    def __iter__(self) -> Self:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def test_rows_that_are_just_being_written_are_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    session = made_session(out, "cam/0001", 3, [line(1, 0.2)], state="running")
    event = json.dumps(line(2, 0.5)) + "\n"
    rests: dict[str, str] = {}
    for path, text in ((session.frames, ",".join(map(str, row(3, 0.1, REST))) + "\n"), (session.events, event)):
        with path.open("a") as file:
            file.write(text[:9])
        rests[path.name] = text[9:] + text
    plain = Path.open

    def growing(path: Path, *args: Any, **kwargs: Any) -> Any:
        file = plain(path, *args, **kwargs)
        return Growing(file, path, rests[path.name]) if path.name in rests and "b" not in str(args) else file

    monkeypatch.setattr(Path, "open", growing)
    report = write_tables(out, "csv")
    assert (report.problems, report.frames, report.events) == ([], 3, 1)
    monkeypatch.undo()
    report = write_tables(out, "csv")
    assert (report.problems, report.frames, report.events) == ([], 5, 3)


HAPPENINGS = ("session", "grow", "end", "torn", "broken", "gone", "table", "columns", "touch", "again")


@settings(max_examples=15, deadline=None)
@given(st.lists(st.sampled_from(HAPPENINGS), min_size=1, max_size=7), st.sampled_from(FORMS), st.integers(0, 2**32))
def test_whatever_happens_in_between_it_is_as_a_full_write(happenings: list[str], form: Form, seed: int) -> None:
    chance = random.Random(seed)
    # Groups of a few rows, so that there are whole ones.
    with (
        tempfile.TemporaryDirectory() as name,
        mock.patch.object(table_files, "ROWS_A_GROUP", chance.choice((3, 5, 100))),
    ):
        out = Path(name) / "out"
        made_session(out, "a/0001", 4, [line(1, 0.1)])
        made_session(out, "b", 6)
        for number, happening in enumerate(happenings):
            sessions = [session for parts in FleetFolder(out).sources().values() for session in parts]
            folder = chance.choice(sessions).folder if sessions else None
            tables = [*FleetFolder(out).frames(form).glob("*")]
            match happening:
                case "session":
                    state = chance.choice(("running", "finished", "failed: no light"))
                    made_session(out, f"{chance.choice('ac')}/{number + 2:04d}", 5, state=state)
                case "columns":
                    made_session(out, f"d/{number:04d}", 1).frames.write_text(OTHER_MODEL)
                case "table" if tables:
                    chance.choice(tables).unlink()
                case _ if folder is None:
                    pass
                case "grow" | "torn":
                    grow(folder, chance.choice((2, 7)), torn=happening == "torn")
                case "end":
                    write_json(folder.facts, {"schema_version": 1, "state": "finished"})
                case "broken":
                    folder.facts.write_text("{")
                case "gone":
                    shutil.rmtree(folder.path)
                case "touch":
                    os.utime(folder.frames, ns=(number, number))
            require_as_if_new(out, form, write_tables(out, form))


def test_one_more_source_costs_one_more_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = made_session(tmp_path, "cam-0/0001", 12, [line(1, 0.3)])
    for number in range(1, 60):
        folder = tmp_path / "sessions" / f"cam-{number}" / "0001"
        folder.mkdir(parents=True)
        for path in (first.facts, first.frames, first.events):
            (folder / path.name).hardlink_to(path)
    write_tables(tmp_path)
    opened: list[Path] = []
    plain = Path.open

    def counting(path: Path, *args: object, **kwargs: object) -> object:
        opened.append(path)
        return plain(path, *args, **kwargs)

    monkeypatch.setattr(Path, "open", counting)
    made_session(tmp_path, "cam-60/0001", 12)
    opened.clear()
    assert write_tables(tmp_path).unchanged == 60
    assert [path.name for path in opened if ".part" in path.name and "cam" in path.name] == [
        f".{os.getpid()}.part.cam-60.parquet.part"
    ]


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
