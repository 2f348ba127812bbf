"""What a fleet's sessions come to: of every source how much could be seen, what was found, and how it fared."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stream.fleet.fleet_folder import FleetFolder, FleetSession
from stream.fleet.state_log import name_of, read_states, read_told, without_address
from stream.session.frame_rows import read_events, read_rows
from stream.session.report_text import model_line
from stream.session.session_folder import SessionError, is_number, zero_of

MOST_BINS = 120


class TimeCounts:
    """How many there are in at most `MOST_BINS` stretches of equal length, whatever they span: seconds that are doubled."""

    def __init__(self) -> None:
        self.step_s = 1
        self.total = 0
        self._counts: Counter[int] = Counter()

    def add(self, time_s: float) -> None:
        self.total += 1
        self._counts[int(time_s // self.step_s)] += 1
        while max(self._counts) - min(self._counts) >= MOST_BINS:
            self.step_s *= 2
            merged: Counter[int] = Counter()
            for place, count in self._counts.items():
                merged[place // 2] += count
            self._counts = merged

    def bins(self) -> list[tuple[float, int]]:
        """Beginning in seconds and count of every stretch, empty ones too, in the order of time."""
        places = range(min(self._counts), max(self._counts) + 1) if self._counts else ()
        return [(float(place * self.step_s), self._counts[place]) for place in places]


@dataclass
class SourceSummary:
    """A source over all its sessions. `name`: for people; `address`: what is recorded, a path or a URL; `state` and `reason`: the last that its runner told, or of its last
    session. `watchable_min`: minutes, added up over faces; None where nobody told. `sessions`: folder, state, and whether it has
    a report, in their order. `timed_frames` took `busy_s` to analyse. `troubles`: reasons of restarts and failures, and how often."""

    id: str
    name: str = ""
    address: str = ""
    kind: str = ""
    state: str = "unknown"
    reason: str = ""
    restarts: int = 0
    frames: int = 0
    timed_frames: int = 0
    busy_s: float = 0.0
    watchable_min: float | None = None
    events: int = 0
    rejected: int = 0
    gaps: int = 0
    reconnects: int = 0
    dropped: int = 0
    started: str = ""
    sessions: list[tuple[str, str, bool]] = field(default_factory=lambda: list[tuple[str, str, bool]]())
    troubles: Counter[str] = field(default_factory=lambda: Counter[str]())

    @property
    def fps(self) -> float | None:
        """Frames analysed a second: what a camera gave and was kept up with, and how fast a file went. None where it is not
        known."""
        return self.timed_frames / self.busy_s if self.busy_s > 0 else None

    @property
    def per_min(self) -> float | None:
        """Events a watchable minute; None where there was none."""
        return self.events / self.watchable_min if self.watchable_min else None


@dataclass
class FleetSummary:
    """`models`, `disclaimers` and `sensitivities` (false events a minute): those of the sessions, and of how many. `wall`: events
    of live sources by the time of day, seconds since 1970; `inside`: all others by the time in their recording. `unread`: a line
    for every session, or part of it, that cannot be read."""

    sources: dict[str, SourceSummary] = field(default_factory=lambda: dict[str, SourceSummary]())
    models: Counter[str] = field(default_factory=lambda: Counter[str]())
    disclaimers: Counter[str] = field(default_factory=lambda: Counter[str]())
    sensitivities: Counter[float] = field(default_factory=lambda: Counter[float]())
    wall: TimeCounts = field(default_factory=TimeCounts)
    inside: TimeCounts = field(default_factory=TimeCounts)
    unread: list[str] = field(default_factory=lambda: list[str]())

    @property
    def watchable_min(self) -> float:
        return sum(source.watchable_min or 0.0 for source in self.sources.values())

    @property
    def events(self) -> int:
        return sum(source.events for source in self.sources.values())

    def source(self, source_id: str) -> SourceSummary:
        return self.sources.setdefault(source_id, SourceSummary(source_id, name=source_id))


def summarise(folder: FleetFolder) -> FleetSummary:
    """Sessions that came to their end say themselves how much was watchable, as do those that run, at most ten seconds ago; of
    killed ones the rows are read.

    Raises FleetError where there are no sessions, or what the runner told is damaged.
    """
    found = FleetSummary()
    for source_id, told in read_told(folder).items():
        summary = found.source(source_id)
        summary.name, summary.address, summary.kind = name_of(told), str(told["source"]), str(told["kind"])
    for source_id, sessions in folder.sources().items():
        for session in sessions:
            _Session(found, found.source(source_id), session).add()
    for line in read_states(folder):
        summary = found.source(line["source"])
        why = without_address(line["reason"], summary.address)
        summary.state, summary.reason = line["state"], why
        summary.restarts += line["state"] == "restarted"
        if line["state"] in ("restarted", "failed", "skipped"):
            summary.troubles[why or line["state"]] += 1
    return found


class _Session:
    """Adds a session to what is known of its source."""

    def __init__(self, found: FleetSummary, summary: SourceSummary, session: FleetSession) -> None:
        self._found, self._summary, self._session = found, summary, session
        self._facts: Mapping[str, Any] = {}

    def add(self) -> None:
        folder, summary = self._session.folder, self._summary
        for add in (self._add_facts, self._add_run, self._add_events):
            try:
                add()
            except SessionError as error:
                self._found.unread.append(str(error))
        state = str(self._facts.get("state", "unreadable"))
        summary.state, _, summary.reason = state.partition(": ")
        summary.sessions.append((self._session.name, state, folder.report.is_file()))

    def _add_facts(self) -> None:
        facts = self._facts = self._session.folder.read_facts()
        found, summary = self._found, self._summary
        summary.started = str(facts.get("started", ""))
        summary.kind = summary.kind or ("live" if (facts.get("source") or {}).get("live") else "recording")
        summary.address = summary.address or str((facts.get("source") or {}).get("name", ""))
        found.models[model_line(facts)] += 1
        found.disclaimers[str(facts.get("model", {}).get("disclaimer", ""))] += 1
        sensitivity = (facts.get("decision") or {}).get("sensitivity")
        if sensitivity is not None:
            found.sensitivities[float(sensitivity)] += 1

    def _add_run(self) -> None:
        summary, run = self._summary, self._facts.get("run") or {}
        health = _mapping(run.get("health"))
        # A killed run is told as it was some seconds before its end, and its events until that. One that runs is told anew by the
        # next page, and may have been running for days.
        whole = self._facts.get("state") not in ("killed", None)
        watched, frames = _mapping(run.get("events")).get("watched_min"), run.get("frames")
        if not (whole and is_number(watched) and is_number(frames)):
            rows = read_rows(self._session.folder)
            frames, watched = rows.frames, None if rows.sight is None else rows.sight.watchable_min
        summary.frames += int(frames)
        if watched is not None:
            summary.watchable_min = (summary.watchable_min or 0.0) + watched
        fps = run.get("fps")
        if is_number(fps) and fps > 0:
            summary.timed_frames += int(frames)
            summary.busy_s += frames / fps
        summary.gaps += _count(health.get("gaps"))
        summary.reconnects += _count(health.get("reconnects"))
        summary.dropped += sum(map(_count, _mapping(run.get("dropped")).values()))

    def _add_events(self) -> None:
        summary, zero = self._summary, zero_of(self._facts)
        for event in read_events(self._session.folder):
            if "rejected" in event:
                summary.rejected += 1
                continue
            summary.events += 1
            if zero is None:
                self._found.inside.add(event["apex_s"])
            else:
                self._found.wall.add(zero.timestamp() + event["apex_s"])


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _count(value: object) -> int:
    return int(value) if is_number(value) else 0
