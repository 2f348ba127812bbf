"""What is written of a fleet line by line, and what a worker that died left."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.fleet.fleet_folder import FleetError, FleetFolder
from stream.fleet.orders import FleetSource
from stream.fleet.state_log import StateLog, end_killed, mend, read_states, read_told, write_told
from stream.sinks.base import SinkError


@settings(max_examples=50)
@given(st.binary(max_size=40).map(lambda data: data.replace(b"x", b"\n")), st.integers(0, 3))
def test_only_whole_lines_stay(tmp_path_factory: pytest.TempPathFactory, data: bytes, large: int) -> None:
    path = tmp_path_factory.getbasetemp() / "lines"
    data += b"y" * 70_000 * large
    path.write_bytes(data)
    mend(path)
    assert path.read_bytes() == data[: data.rfind(b"\n") + 1]


def test_lines_are_appended_by_one_fleet_at_a_time_and_read_back(tmp_path: Path) -> None:
    folder = FleetFolder(tmp_path)
    with StateLog(folder) as log:
        log.add("door", "running", "", 1, 0, folder.next_part("door"))
        with pytest.raises(SinkError, match="another run is writing it"):
            StateLog(folder)
    with folder.state.open("ab") as file:
        file.write(b'{"time": "cut o')
    assert len(list(read_states(folder))) == 1
    with StateLog(folder) as log:
        log.add("door", "done", "stopped", 1, 7)
    first, last = read_states(folder)
    assert first["session"] == "sessions/door/0001" and last["session"] is None
    assert (last["state"], last["reason"], last["frames"]) == ("done", "stopped", 7)
    folder.state.write_text('{"source": 5}\n')
    with pytest.raises(FleetError, match=r"state\.jsonl: line 1: "):
        list(read_states(folder))


def test_fleet_json_keeps_what_was_known_of_sources_of_earlier_runs(tmp_path: Path) -> None:
    folder = FleetFolder(tmp_path)
    assert read_told(folder) == {}
    write_told(folder, [FleetSource("door", "camera", 0), FleetSource("talk", "file", "talk.mp4", size_bytes=5)], {})
    write_told(folder, [FleetSource("talk", "file", "talk.mp4", size_bytes=6)], {})
    told = read_told(folder)
    assert set(told) == {"door", "talk"} and told["talk"]["size_bytes"] == 6 and told["door"]["kind"] == "camera"
    folder.settings.write_text("{}")
    with pytest.raises(FleetError, match="give another --out"):
        read_told(folder)


def test_what_a_dead_worker_left_is_ended_or_taken_away(tmp_path: Path) -> None:
    facts = {"schema_version": 1, "state": "running"}
    for name, rows in (("rows", "frame,time_s\n0,0.0\n1,0.0"), ("none", "frame,time_s\n"), ("empty", "")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "frames.csv").write_text(rows)
        (tmp_path / name / "session.json").write_text(json.dumps(facts) if name != "empty" else "")
    assert end_killed(tmp_path / "rows") and not end_killed(tmp_path / "none") and not end_killed(tmp_path / "empty")
    assert (tmp_path / "rows" / "frames.csv").read_text() == "frame,time_s\n0,0.0\n"
    assert json.loads((tmp_path / "rows" / "session.json").read_text())["state"] == "killed"
    assert not (tmp_path / "none").exists() and not (tmp_path / "empty").exists()
    # One that ended by itself is left as it is.
    (tmp_path / "rows" / "session.json").write_text(json.dumps(facts | {"state": "failed: gone"}))
    assert end_killed(tmp_path / "rows")
    assert json.loads((tmp_path / "rows" / "session.json").read_text())["state"] == "failed: gone"
