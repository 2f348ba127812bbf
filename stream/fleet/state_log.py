"""A fleet's folder: what was asked (fleet.json), what happened (state.jsonl), and the sessions of every source.

Schema 1. fleet.json: `schema_version`, `program`, `started`, `placed` (where it runs) and `sources`, each with id, kind,
source (its name), size_bytes, changed_ns and settings. state.jsonl: a line an event, appended: time, source, state
(waiting, running, done, failed, restarted, skipped), reason, attempt, frames, and session, a path in this folder. The sessions
of a source lie in sessions/ID/0001, 0002, …: of a camera or stream one for every time that it was begun, of a file one.
"""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import TypeAdapter, with_config
from typing_extensions import TypedDict

from model.atomic import regular_file
from model.checked import STRICT, MisfitError, checked_json
from stream.fleet.fleet_folder import FleetError, FleetFolder
from stream.fleet.orders import FleetSource
from stream.machine import VERSION
from stream.session.session_folder import SessionError, SessionFolder
from stream.sinks.base import SinkError, open_own, reason, write_json

FLEET_SCHEMA = 1
SourceState = Literal["waiting", "running", "done", "failed", "restarted", "skipped"]


class StateLine(TypedDict):
    """A line of state.jsonl. `reason` is empty where there is none; `session` is None where nothing was kept."""

    time: str
    source: str
    state: SourceState
    reason: str
    attempt: int
    frames: int
    session: str | None


class _ToldSource(TypedDict):
    id: str
    kind: str
    source: str
    size_bytes: int | None
    changed_ns: int | None
    settings: dict[str, Any]


class _Told(TypedDict):
    schema_version: Literal[1]
    program: dict[str, Any]
    started: str
    placed: dict[str, Any]
    sources: list[_ToldSource]


_STATE = TypeAdapter(with_config(STRICT)(StateLine))
_TOLD = TypeAdapter(_Told)


def read_told(folder: FleetFolder) -> dict[str, dict[str, Any]]:
    """What fleet.json says of every source, by its id; nothing where there is none. Raises FleetError."""
    try:
        text = regular_file(folder.settings).read_bytes()
        return {source["id"]: dict(source) for source in checked_json(_TOLD, text)["sources"]}
    except FileNotFoundError:
        return {}
    except (OSError, MisfitError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise FleetError(f"{folder.settings}: {why}; give another --out") from None


def name_of(told: Mapping[str, Any]) -> str:
    """What a source of fleet.json is called for people: its label, or as the list of sources calls it. Its address, which a label
    stands in for, may be long, and the same for all but its end."""
    return str(told["settings"].get("label") or told["id"])


def without_address(reason_given: str, address: str) -> str:
    """A reason beside the address that it begins with: what is wrong, which is what there is room for."""
    rest = reason_given.removeprefix(address)
    return rest.lstrip(": ") if address and rest != reason_given else reason_given


def read_states(folder: FleetFolder) -> Iterator[StateLine]:
    """The lines of state.jsonl, but for a last one that was cut off. Raises FleetError for what is no such line."""
    try:
        with regular_file(folder.state).open("rb") as file:
            for place, line in enumerate(file, start=1):
                if not line.endswith(b"\n"):
                    return
                try:
                    yield checked_json(_STATE, line)
                except MisfitError as error:
                    raise FleetError(f"{folder.state}: line {place}: {error}; give another --out") from None
    except FileNotFoundError:
        return
    except OSError as error:
        raise FleetError(f"{folder.state} cannot be read: {error.strerror}") from error


class StateLog:
    """Appends to state.jsonl, which is this program's alone until it is closed: two fleets never share a folder. A last line
    that was cut off is taken away first. Raises SinkError."""

    def __init__(self, folder: FleetFolder) -> None:
        self._folder = folder
        self._file = open_own(folder.state, "fleet's states")
        with contextlib.suppress(OSError):
            mend(folder.state)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(
        self,
        source_id: str,
        state: SourceState,
        reason_given: str = "",
        attempt: int = 0,
        frames: int = 0,
        session: Path | None = None,
    ) -> None:
        line: StateLine = {
            "time": datetime.now().astimezone().isoformat(timespec="milliseconds"),
            "source": source_id,
            "state": state,
            "reason": reason_given,
            "attempt": attempt,
            "frames": frames,
            "session": None if session is None else self._folder.inside(session),
        }
        try:
            self._file.write(json.dumps(line).encode() + b"\n")
        except OSError as error:
            raise SinkError(f"cannot write {self._folder.state}: {reason(error)}") from error


def write_told(folder: FleetFolder, sources: Sequence[FleetSource], placed: dict[str, Any]) -> None:
    """fleet.json, whole or not at all; of sources of earlier runs that are not asked for any more what was known stays."""
    told = read_told(folder) | {source.id: source.told() for source in sources}
    values: _Told = {
        "schema_version": FLEET_SCHEMA,
        "program": {"name": "microlive", "version": VERSION},
        "started": datetime.now().astimezone().isoformat(timespec="milliseconds"),
        "placed": placed,
        "sources": list(told.values()),  # type: ignore[typeddict-item]
    }
    write_json(folder.settings, values)


def end_killed(path: Path) -> bool:
    """Ends the session of a worker that died: a last line that was cut off goes, and session.json says "killed". Whether it
    had a row; without one nothing of it stays. One that ended by itself is left as it is. It takes no time to speak of,
    however long the session is."""
    session = SessionFolder(path)
    facts: dict[str, Any] | None = None
    with contextlib.suppress(SessionError):
        facts = session.read_facts()
        if facts.get("state") not in ("running", "killed"):
            return True
    for file in (session.frames, session.events, session.markers):
        with contextlib.suppress(OSError):
            mend(file)
    try:
        with session.frames.open("rb") as file:
            begun = bool(file.readline() and file.readline())
    except OSError:
        begun = False
    if not begun:
        shutil.rmtree(path, ignore_errors=True)
        return False
    if facts is not None:
        with contextlib.suppress(SinkError):  # rows are rows, whatever becomes of the facts
            write_json(session.facts, facts | {"state": "killed"})
    return True


def is_finished(path: Path) -> bool:
    """Whether the session says itself that it came to its end."""
    try:
        return SessionFolder(path).read_facts().get("state") == "finished"
    except SessionError:
        return False


def mend(path: Path) -> None:
    """Takes away what stands behind the last whole line."""
    with path.open("r+b") as file:
        file.seek(0, os.SEEK_END)
        end = file.tell()
        step = 65536
        at = end
        while at > 0:
            start = max(0, at - step)
            file.seek(start)
            found = file.read(at - start).rfind(b"\n")
            if found >= 0:
                if start + found + 1 < end:
                    file.truncate(start + found + 1)
                return
            at = start
        file.truncate(0)
