"""A fleet's tables: both forms hold what the sessions hold, for pandas and for DuckDB, whatever became of the sessions."""

import csv
import json
import math
import re
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.guards import shown, table_cell
from stream.fleet import table_files
from stream.fleet.fleet_folder import FleetError
from stream.fleet.fleet_tables import EVENT_COLUMNS, write_tables
from stream.fleet.table_files import Column, open_table
from tests.helpers.fleet_folders import made_session, small_fleet
from tests.helpers.models import CLASSES
from tests.helpers.paths import ROOT
from tests.helpers.report_sessions import REST, line, made, row


def as_cells(table: list[dict[str, object]]) -> list[list[str]]:
    """What CSV has for the rows of a Parquet file."""

    def cell(value: object) -> str:
        if value is None or value is pd.NaT or (isinstance(value, float) and math.isnan(value)):
            return ""
        if isinstance(value, list):
            return " ".join(map(str, value))
        if isinstance(value, bool):
            return str(int(value))
        if isinstance(value, datetime):
            return value.isoformat(timespec="microseconds")
        return table_cell(str(value))

    return [[cell(value) for value in one.values()] for one in table]


def rows_of(path: Path) -> list[dict[str, object]]:
    """Of a Parquet file, with Python's own values."""
    return pq.read_table(path).to_pylist()


def csv_rows(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def require_same(out: Path) -> None:
    """The two forms hold the same."""
    write_tables(out)
    write_tables(out, "csv")
    pairs = [(out / "events.parquet", out / "events.csv")]
    pairs += [(path, out / "frames-csv" / f"{path.stem}.csv") for path in sorted((out / "frames").iterdir())]
    for parquet, plain in pairs:
        head, *cells = csv_rows(plain)
        assert head == pq.read_schema(parquet).names
        assert cells == as_cells(rows_of(parquet)), parquet


def test_both_forms_hold_what_the_sessions_hold(tmp_path: Path) -> None:
    out = small_fleet(tmp_path)
    report = write_tables(out)
    assert (report.sources, report.sessions, report.events, report.frames) == (3, 4, 5, 115)
    assert (report.cut_off, report.problems) == (0, [])
    require_same(out)
    frames = pd.read_parquet(out / "frames")
    assert frames.groupby("source", sort=False).size().to_dict() == {"cam-10": 45, "cam-2": 30, "talk.mp4": 40}
    written = [line.split(",") for line in (out / "sessions/talk.mp4/frames.csv").read_text().splitlines()[1:]]
    talk = frames[frames.source == "talk.mp4"]
    assert talk.frame.tolist() == [int(cells[0]) for cells in written]
    assert talk.time_s.tolist() == [float(cells[1]) for cells in written]
    assert talk.p_surprise.isna().tolist() == [not cells[8] for cells in written]
    assert talk.p_surprise.dropna().tolist() == [float(cells[8]) for cells in written if cells[8]]
    assert talk.watchable.tolist() == [cells[-2] == "1" for cells in written]
    events = pd.read_parquet(out / "events.parquet")
    # Numbers in names count as such, and the sessions of a source come in their order.
    assert events.source.tolist() == ["cam-2", "cam-10", "talk.mp4", "talk.mp4", "talk.mp4"]
    assert events.session.tolist()[:2] == ["sessions/cam-2/001", "sessions/cam-10/001"]
    assert events.number.fillna(0).tolist() == [1, 1, 1, 0, 2]
    assert events.rejected.fillna("").tolist() == ["", "", "", "blink", ""]
    assert events.label[0] == "=1+1" and csv_rows(out / "events.csv")[1][5] == "'=1+1"
    assert list(events.action_units[1]) == ["4", "L12"] and list(events.action_unit_confidences[1]) == [0.5, 0.25]
    assert events.apex_time[0] == datetime(2026, 3, 1, 23, 0, 0, 100_000, UTC) and events.apex_time[1:].isna().all()
    camera = frames[frames.source == "cam-2"]
    assert camera.time.iloc[3] == datetime(2026, 3, 1, 22, 59, 59, 600_000, UTC)
    assert csv_rows(out / "frames-csv" / "cam-2.csv")[4][4] == "2026-03-01T22:59:59.600000+00:00"


def test_duckdb_reads_both_forms_alike(tmp_path: Path) -> None:
    out = small_fleet(tmp_path)
    write_tables(out)
    write_tables(out, "csv")
    with duckdb.connect() as base:
        asked = "SELECT source, count(*), sum(watchable::INT), round(avg(p_surprise), 9), max(time) FROM {} GROUP BY ALL ORDER BY ALL"
        found = [
            base.sql(asked.format(f"{reader}('{out}/{place}')")).fetchall()
            for reader, place in (("read_parquet", "frames/*.parquet"), ("read_csv", "frames-csv/*.csv"))
        ]
        assert found[0] == found[1] and [one[:3] for one in found[0]] == [("cam-10", 45, 25), ("cam-2", 30, 20), ("talk.mp4", 40, 30)]  # fmt: skip
        joined = base.sql(
            f"SELECT e.number, count(*) FROM '{out}/events.parquet' e JOIN '{out}/frames/*.parquet' f ON e.session = f.session "
            "AND f.time_s BETWEEN e.onset_s AND e.offset_s WHERE e.rejected IS NULL AND e.source = 'talk.mp4' GROUP BY ALL ORDER BY ALL"
        )
        assert joined.fetchall() == [(1, 8), (2, 8)]
        unnested = base.sql(f"SELECT unnest(action_units) FROM '{out}/events.parquet'").fetchall()
        assert unnested == [("4",), ("L12",)]


def test_the_same_sessions_give_the_same_bytes_and_the_version_is_in_them(tmp_path: Path) -> None:
    out = small_fleet(tmp_path)
    write_tables(out)
    before = {path: path.read_bytes() for path in (out / "events.parquet", *(out / "frames").iterdir())}
    write_tables(out)
    assert {path: path.read_bytes() for path in before} == before
    for path in before:
        assert pq.read_metadata(path).metadata[b"microlive_schema"] == b"1"


def test_every_column_is_documented_in_its_order(tmp_path: Path) -> None:
    out = small_fleet(tmp_path)
    write_tables(out)
    text = (ROOT / "docs" / "TABLES.md").read_text(encoding="utf-8")
    tables = [re.findall(r"^\| `([^`]+)` \| (\w+)", part, re.M) for part in text.split("\n## ")]
    events, frames = (found for found in tables if found)
    assert [name for name, _ in events] == [column.name for column in EVENT_COLUMNS]
    named = [name for name in pq.read_schema(out / "frames" / "cam-2.parquet").names if not name.startswith("p_")]
    assert [name for name, _ in frames if name not in ("p_CLASS", "au_N_l, au_N_r")] == named
    kinds = {"text": "string", "whole": "int64", "number": "double", "yes_no": "bool", "time": "timestamp"}
    told = dict([*events, *frames])
    for column in EVENT_COLUMNS:
        assert told[column.name] == kinds.get(column.kind, "list"), column


def test_what_killed_runs_leave_is_left_out_and_counted(tmp_path: Path) -> None:
    session = made_session(tmp_path, "cam/001", 30, [line(1, 0.5), line(2, 0.8)])
    whole = session.frames.read_text()
    # Three digits of the last latency are gone: what is left would pass for a row.
    session.frames.write_text(whole[:-4])
    session.events.write_text(session.events.read_text()[:-20])
    report = write_tables(tmp_path)
    assert (report.frames, report.events, report.cut_off, report.problems) == (29, 1, 2, [])
    assert "2 last lines" in " ".join(report.lines())
    assert pd.read_parquet(tmp_path / "frames").frame.max() == 28


def test_damaged_sessions_stop_nobody_and_are_told(tmp_path: Path) -> None:
    small_fleet(tmp_path)
    middle = made_session(tmp_path, "broken/001", 30)
    lines = middle.frames.read_text().splitlines(keepends=True)
    middle.frames.write_text("".join([*lines[:11], "not a row\n", *lines[11:]]))
    factless = made_session(tmp_path, "broken/002", 4)
    factless.facts.write_text("{")
    made_session(tmp_path, "broken/003", 4).frames.unlink()
    (tmp_path / "sessions" / "broken" / "notes").mkdir()
    report = write_tables(tmp_path)
    assert report.frames == 115 + 10 + 4 and report.sessions == 7
    assert [problem.split(": ")[0].split("/")[-2:] for problem in report.problems] == [
        ["001", "frames.csv"],
        ["002", "session.json"],
        ["003", "frames.csv cannot be read"],
    ]
    assert all(problem in list(report.lines()) for problem in report.problems)
    require_same(tmp_path)


def test_sessions_of_several_models_share_their_columns(tmp_path: Path) -> None:
    made_session(tmp_path, "a", 8)
    other = made_session(tmp_path, "b", 1)
    other.frames.write_text(
        "frame,time_s,face,status,label,confidence,p_neutral,p_anger,au_4_l,au_4_r,smallest_px,watchable,latency_ms\n"
        "0,0.000000,1,ok,anger,0.900000,0.100000,0.900000,0.250000,0.750000,,0,3.000\n"
    )
    write_tables(tmp_path)
    frames = pd.read_parquet(tmp_path / "frames")
    assert [name for name in frames.columns if name[:2] in ("p_", "au")] == [*(f"p_{name}" for name in CLASSES), "p_anger", "au_4_l", "au_4_r"]  # fmt: skip
    last = frames.iloc[-1]
    assert (last.p_neutral, last.p_anger, last.au_4_l, last.au_4_r) == (0.1, 0.9, 0.25, 0.75)
    assert math.isnan(last.p_surprise) and frames.p_anger.isna().sum() == 8
    require_same(tmp_path)


def test_long_sessions_are_written_in_groups_of_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_files, "ROWS_A_GROUP", 16)
    made_session(tmp_path, "a/1", 30)
    made_session(tmp_path, "a/2", 10)
    write_tables(tmp_path)
    file = pq.ParquetFile(tmp_path / "frames" / "a.parquet")
    assert [file.metadata.row_group(place).num_rows for place in range(file.num_row_groups)] == [16, 16, 8]
    assert [path.name for path in (tmp_path / "frames").iterdir()] == ["a.parquet"]


def test_tables_are_whole_or_as_before(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    for form in ("parquet", "csv"):
        path = tmp_path / f"table.{form}"
        with open_table(path, form, [Column("n", "whole")]) as table:
            table.add((1,))
        before = path.read_bytes()
        with pytest.raises(KeyError), open_table(path, form, [Column("n", "whole")]) as table:
            table.add((2,))
            raise KeyError
        assert path.read_bytes() == before
    assert sorted(one.name for one in tmp_path.iterdir()) == ["table.csv", "table.parquet"]


def test_a_source_that_is_gone_has_no_table(tmp_path: Path) -> None:
    out = small_fleet(tmp_path)
    write_tables(out)
    for one in (out / "sessions" / "talk.mp4").iterdir():
        one.unlink()
    (out / "sessions" / "talk.mp4").rmdir()
    write_tables(out)
    assert sorted(path.name for path in (out / "frames").iterdir()) == ["cam-10.parquet", "cam-2.parquet"]


def test_without_pyarrow_one_line_says_what_to_do_and_csv_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = small_fleet(tmp_path)
    for name in [name for name in sys.modules if name.split(".")[0] == "pyarrow"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(FleetError, match=r"pip install -r requirements-fleet.txt, or write CSV"):
        write_tables(out)
    assert not (out / "frames").exists() and not (out / "events.parquet").exists()
    assert write_tables(out, "csv").frames == 115


def test_what_is_no_fleet_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(FleetError, match=r"holds no sessions: .*; give the folder of a fleet"):
        write_tables(tmp_path)
    small_fleet(tmp_path)
    (tmp_path / "frames").write_text("")
    with pytest.raises(FleetError, match=r"cannot make the folder .*frames"):
        write_tables(tmp_path)


TEXT: st.SearchStrategy[Any] = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=12) | st.sampled_from(["=1+1", "-0", "a,b", '"', "\n", "'x", "NaN", " "])  # fmt: skip
NUMBER: st.SearchStrategy[Any] = st.floats(-1e12, 1e12) | st.integers(-(10**12), 10**12)
MORE: dict[str, st.SearchStrategy[Any]] = {
    "rejected": TEXT,
    "probability": st.floats(0, 1),
    "action_units": st.lists(st.from_regex(r"\A[LR]?[0-9][0-9]?\Z"), max_size=3),
    "action_unit_confidences": st.lists(NUMBER, max_size=3),
    "more": NUMBER,
}
EVENT = st.fixed_dictionaries(
    {"kind": TEXT, "label": TEXT, "track": st.integers(-(10**12), 10**12)}
    | dict.fromkeys(("onset_s", "apex_s", "offset_s", "confidence", "peak_px"), NUMBER),
    optional=MORE,
)


@settings(max_examples=25, deadline=None)
@given(st.lists(EVENT, max_size=4), st.lists(st.tuples(NUMBER, TEXT), max_size=4), st.sampled_from([None, "2026-01-01T00:00:00+00:00", "0001-01-01T00:00:00+14:00", "yesterday"]))  # fmt: skip
def test_odd_values_are_the_same_in_both_forms(events: list, rows: list, zero: str | None) -> None:
    with tempfile.TemporaryDirectory() as name:
        out = Path(name)
        (out / "sessions").mkdir()
        made_rows = [row(number, time_s, REST, status) for number, (time_s, status) in enumerate(rows)]
        folder = made(out / "sessions" / "one", made_rows, zero_time=zero)
        folder.events.write_text("".join(json.dumps(one) + "\n" for one in events))
        report = write_tables(out)
        assert (report.events, report.frames, report.problems) == (len(events), len(rows), [])
        require_same(out)
        found = rows_of(out / "events.parquet")
        assert [one["label"] for one in found] == [shown(one["label"]) for one in events]
        assert [one["peak_px"] for one in found] == [float(one["peak_px"]) for one in events]
        assert [one["status"] for one in rows_of(out / "frames" / "one.parquet")] == [shown(one) for _, one in rows]
