"""Tables of fleets that run, and made again: what has changed is written, and the result is what a full write gives."""

import json
import os
import random
import shutil
import tempfile
from pathlib import Path
from typing import Any, Self, TextIO
from unittest import mock

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.fleet import table_files
from stream.fleet.fleet_folder import FleetFolder
from stream.fleet.fleet_tables import write_tables
from stream.fleet.state_log import StateLog
from stream.fleet.table_files import Form
from stream.session.frame_rows import Columns
from stream.sinks.base import write_json
from tests.helpers.fleet_folders import grow, made_session, require_as_if_new, small_fleet
from tests.helpers.report_sessions import REST, line, row

FORMS: tuple[Form, ...] = ("parquet", "csv")
OTHER_MODEL = (
    "frame,time_s,face,status,label,confidence,p_neutral,p_anger,smallest_px,watchable,latency_ms\n"
    "0,0.000000,1,ok,anger,0.900000,0.100000,0.900000,,0,3.000\n"
)


def inodes(out: Path) -> dict[str, int]:
    return {path.stem: path.stat().st_ino for path in (out / "frames").iterdir()}


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
