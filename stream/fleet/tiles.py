"""All live sources of a fleet side by side: the newest picture and word of each, for the browsers that look on."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from model.guards import shown
from stream.fleet.fleet_folder import FleetFolder
from stream.fleet.orders import WatchedPicture
from stream.fleet.state_log import name_of, read_told, without_address
from stream.session.session_folder import SessionFolder

WATCHED_S = 3.0
"""So long after it last asked a page still counts as looking on."""
MOST_TILES = 10_000
_LARGEST_BYTES = 1 << 20
_TAIL_BYTES = 1 << 16
_REFRESH_S = 2.0
"""So often files are looked at for what is new in them."""
MOST_EVENTS = 50
_EVENT_FIELDS = ("kind", "label", "onset_s", "apex_s", "offset_s", "confidence", "probability", "track", "rejected")


@dataclass
class _Tile:
    """`told`: the number of the last change to anything but the picture; `picture`: that of the picture, 0 for none."""

    name: str
    address: str = ""
    state: str = "waiting"
    reason: str = ""
    event: Mapping[str, Any] | None = None
    told: int = 0
    picture: int = 0
    jpeg: bytes = field(default=b"", repr=False)
    facts: Mapping[str, Any] = field(default_factory=lambda: dict[str, Any]())
    looked_s: float = float("-inf")
    seen: tuple[Path, int] | None = None


class TileBoard:
    """Thread-safe. Of every source it keeps one picture, the newest; changes are numbered, so that a page is sent what it lacks.

    Pictures come from `post`; states and events are read from the fleet's folder, while somebody looks on.
    """

    def __init__(self, folder: FleetFolder, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._folder, self._clock_s = folder, clock_s
        self._lock = threading.Lock()
        self._tiles: dict[str, _Tile] = {}
        self._number = 0
        self._asked_s = float("-inf")
        self._read_bytes = 0
        self._read_s = float("-inf")
        self._listeners: list[Callable[[], None]] = []

    @property
    def watched(self) -> bool:
        """Whether anybody looks on: pictures are for nobody else."""
        return self._clock_s() - self._asked_s < WATCHED_S

    def post(self, picture: WatchedPicture) -> None:
        """The newest picture of a source takes the place of the one before. What is no picture for a tile is left out."""
        if not picture.jpeg or len(picture.jpeg) > _LARGEST_BYTES:
            return
        with self._lock:
            tile = self._tile(picture.source_id)
            if tile is None:
                return
            self._number += 1
            tile.jpeg, tile.facts, tile.picture = picture.jpeg, dict(picture.facts), self._number
        for listener in self._listeners:
            listener()

    def on_post(self, listener: Callable[[], None]) -> None:
        """Called after every picture, in the thread that posts it."""
        self._listeners.append(listener)

    def asked(self) -> None:
        """Somebody looks on."""
        self._asked_s = self._clock_s()

    def refresh(self, visible: Sequence[str]) -> None:
        """Reads what is new of states, and of the events of what is visible; not more often than is worth it."""
        now_s = self._clock_s()
        with self._lock:
            if now_s - self._read_s >= _REFRESH_S:
                self._read_s = now_s
                self._read_states()
            stale = [
                name for name in visible if name in self._tiles and now_s - self._tiles[name].looked_s >= _REFRESH_S
            ]
            for name in stale:
                self._tiles[name].looked_s = now_s
        for name in stale:
            self._read_event(name)

    def newer(self, since: int, visible: Mapping[str, int]) -> tuple[int, list[dict[str, Any]], list[bytes]]:
        """The number of the newest change; tiles that changed after `since`, or have a picture after the one that is given for
        them in `visible`, by id; and those pictures, in their order."""
        found: list[dict[str, Any]] = []
        pictures: list[bytes] = []
        with self._lock:
            for source_id, tile in self._tiles.items():
                with_picture = source_id in visible and tile.picture > visible[source_id]
                if not with_picture and tile.told <= since:
                    continue
                told: dict[str, Any] = {
                    "id": source_id,
                    "name": tile.name,
                    "address": tile.address,
                    "state": tile.state,
                    "reason": tile.reason,
                }
                told |= {"event": tile.event, "facts": tile.facts}
                if with_picture:
                    told |= {"picture": tile.picture, "bytes": len(tile.jpeg)}
                    pictures.append(tile.jpeg)
                found.append(told)
            return self._number, found, pictures

    def events(self, source_id: str) -> list[dict[str, Any]]:
        """The last ones of a source's newest session, the newest first; none of a source that is not known."""
        session = self._newest(source_id)
        return [] if session is None else list(_last_events(session.events))[:MOST_EVENTS]

    def _newest(self, source_id: str) -> SessionFolder | None:
        """A page says which source: a name that no tile has never becomes a path."""
        with self._lock:
            if source_id not in self._tiles:
                return None
        parts = self._folder.parts(source_id)
        return SessionFolder(parts[-1]) if parts else None

    def _tile(self, source_id: str) -> _Tile | None:
        if source_id not in self._tiles and len(self._tiles) < MOST_TILES:
            self._number += 1
            self._tiles[source_id] = _Tile(shown(source_id), told=self._number)
        return self._tiles.get(source_id)

    def _read_states(self) -> None:
        """The whole lines that have come to state.jsonl; names, with the first of them."""
        if not self._read_bytes:
            for source_id, told in read_told(self._folder).items():
                tile = self._tile(source_id)
                if tile is not None:
                    tile.name, tile.address = shown(name_of(told)), shown(str(told["source"]))
        try:
            with self._folder.state.open("rb") as file:
                file.seek(self._read_bytes)
                new = file.read()
        except OSError:
            return
        whole = new[: new.rfind(b"\n") + 1]
        self._read_bytes += len(whole)
        for line in _objects(whole):
            tile = self._tile(str(line.get("source", "")))
            if tile is not None:
                self._number += 1
                tile.state, tile.reason = shown(str(line.get("state", ""))), shown(str(line.get("reason") or ""))
                tile.reason = without_address(tile.reason, tile.address)
                tile.told = self._number

    def _read_event(self, source_id: str) -> None:
        session = self._newest(source_id)
        if session is None:
            return
        try:
            seen = (session.events, session.events.stat().st_size)
        except OSError:
            return
        if seen == self._tiles[source_id].seen:
            return
        newest = next((one for one in _last_events(session.events) if one["rejected"] is None), None)
        with self._lock:
            tile = self._tiles[source_id]
            tile.seen = seen
            if newest != tile.event:
                self._number += 1
                tile.event, tile.told = newest, self._number


def _last_events(path: Path) -> Iterator[dict[str, Any]]:
    """From the end of a file that grows, the newest first."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _TAIL_BYTES))
            tail = file.read(_TAIL_BYTES)
    except OSError:
        return
    # The first line may have begun before.
    lines = tail if size <= _TAIL_BYTES else tail[tail.find(b"\n") + 1 :]
    for event in reversed(list(_objects(lines[: lines.rfind(b"\n") + 1]))):
        told = {name: event.get(name) for name in _EVENT_FIELDS}
        yield {name: shown(value) if isinstance(value, str) else value for name, value in told.items()}


def _objects(lines: bytes) -> Iterator[dict[str, Any]]:
    for line in lines.splitlines():
        try:
            value = json.loads(line, parse_constant=lambda _: None)  # what is no number is nothing
        except ValueError:
            continue
        if isinstance(value, dict):
            yield value
