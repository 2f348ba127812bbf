"""Results of fleets for the tests: made sessions below a folder, and what a runner tells of them."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stream.fleet.fleet_folder import FleetFolder
from stream.fleet.fleet_tables import TablesReport, write_tables
from stream.fleet.orders import FleetSource
from stream.fleet.state_log import write_told
from stream.fleet.table_files import Form
from stream.session.session_folder import SessionFolder
from tests.helpers.report_sessions import MOVED, REST, line, made, row


def made_session(out: Path, name: str, frames: int = 30, events: Sequence[dict] = (), **facts: Any) -> SessionFolder:
    """sessions/NAME in `out`, at 30 frames a second and watchable from the tenth frame on."""
    path = out / "sessions" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [
        row(number, number / 30, None if number < 5 else MOVED if number % 9 == 0 else REST, sight=None if number < 10 else 0.6)
        for number in range(frames)
    ]  # fmt: skip
    return made(path, rows, events, **facts)


def small_fleet(out: Path) -> Path:
    """Three sources: one is a session, one was started again, one is a camera with the time of day."""
    made_session(out, "talk.mp4", 40, [line(1, 0.5), line(2, 0.9, rejected="blink"), line(3, 1.1, probability=0.75)])
    made_session(out, "cam-10/001", 25, [line(1, 0.4, action_units=["4", "L12"], action_unit_confidences=[0.5, 0.25])])
    made_session(out, "cam-10/002", 20)
    made_session(out, "cam-2/001", 30, [line(1, 0.6, label="=1+1")], zero_time="2026-03-01T23:59:59.500+01:00")
    return out


def asked(out: Path, *sources: FleetSource) -> None:
    """fleet.json, as the runner writes it."""
    write_told(FleetFolder(out), sources, {})


def tell(out: Path, *happenings: Mapping[str, Any]) -> None:
    """Lines of state.jsonl."""
    with (out / "state.jsonl").open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(one) + "\n" for one in happenings)


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


def grow(session: SessionFolder, rows: int = 3, torn: bool = False) -> None:
    """As a run that goes on does."""
    with session.frames.open("a") as file:
        for number in range(rows):
            file.write(",".join(map(str, row(1000 + number, 40 + number / 30, MOVED))) + "\n")
        file.write("1003,41.0,1,ok,surpr" if torn else "")
