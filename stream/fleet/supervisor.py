"""Who records what: sources are handed out, what dies is begun again, and what happened is written down."""

import contextlib
import math
import shutil
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from stream.fleet.crew import Crew, DeathError, Worker
from stream.fleet.fleet_folder import FleetFolder
from stream.fleet.orders import (
    Ended,
    FleetSource,
    HaltOrder,
    News,
    PrepareOrder,
    RecordOrder,
    Standing,
    WatchedPicture,
    WatchOrder,
)
from stream.fleet.state_log import SourceState, StateLog, end_killed
from stream.sources.base import Backoff, BackoffSettings

_BACKOFF = BackoffSettings(first_s=0.2, max_s=60.0)
_WELL_S = 10.0
"""A source that gave rows for so long is well: the next wait is a short one again."""
_FILE_DEATHS = 3
"""A file over which so many workers died is left."""
_SUSPECT_DEATHS, _CLEARED_S = 2, 30.0
"""A camera or stream with which so many workers died may be what kills them, until it gave rows for so long."""
_APART = 4
"""So many more workers at most for suspects."""
_PREPARED = 6
"""For so many cameras and streams at most the worker that waits has capture processes started, of 30 MB each."""
_SILENT_S, _START_S = 45.0, 120.0
_SPARE_AFTER_S = 4.0
_LOOK_S = 0.5
_HALT_S = 75.0


@dataclass(eq=False)
class Charge:
    """A source and how it stands. `frames` of its sessions that have ended, `standing` of the one that is running. `deaths`:
    workers that died with it since it was last well; `culprit`: one of them had no other suspect with it, and nothing else."""

    source: FleetSource
    state: SourceState = "waiting"
    reason: str = ""
    attempt: int = 0
    restarts: int = 0
    deaths: int = 0
    culprit: bool = False
    frames: int = 0
    folder: Path | None = None
    worker: Worker | None = None
    standing: Standing | None = None
    begun_s: float = 0.0
    due_s: float = -math.inf
    backoff: Backoff = field(default_factory=lambda: Backoff(_BACKOFF))

    @property
    def frames_now(self) -> int:
        return self.frames + (0 if self.standing is None else self.standing.frames)

    @property
    def apart(self) -> bool:
        """Whether it is to have a worker of its own, so that it takes no other source along when that dies."""
        return self.source.endless and (self.culprit or self.deaths >= _SUSPECT_DEATHS)

    @property
    def over(self) -> bool:
        return self.state in ("done", "failed", "skipped")


class Onlooker(Protocol):
    """Who looks on."""

    def update(self, charges: Sequence[Charge]) -> None:
        """Twice a second or more often."""
        ...

    def said(self, line: str) -> None:
        """Something worth a line has happened."""
        ...


class PictureBoard(Protocol):
    """Where small pictures of live sources go; `watched`: whether anybody looks."""

    @property
    def watched(self) -> bool: ...

    def post(self, picture: WatchedPicture) -> None: ...


@dataclass
class _Team:
    """Workers for one kind of source: at most `size`, each with `room` for so many at a time."""

    endless: bool
    size: int
    room: int
    workers: list[Worker] = field(default_factory=list)
    waiting: deque[Charge] = field(default_factory=deque)


class Supervisor:
    """Runs until every source is over, which those that never end are not. `live_workers` share the cameras and streams,
    `file_workers` take one file after the other. A context manager: leaving it ends the workers."""

    def __init__(
        self,
        folder: FleetFolder,
        log: StateLog,
        sources: Sequence[FleetSource],
        crew: Crew,
        live_workers: int,
        file_workers: int,
        onlooker: Onlooker,
        board: PictureBoard | None = None,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder, self._log, self._crew, self._onlooker, self._board = folder, log, crew, onlooker, board
        self._clock_s = clock_s
        self.charges = [Charge(source) for source in sources]
        self._by_id = {charge.source.id: charge for charge in self.charges}
        live = [charge for charge in self.charges if charge.source.endless]
        files = [charge for charge in self.charges if not charge.source.endless]
        self._live = _Team(True, min(live_workers, len(live)), math.ceil(len(live) / max(1, live_workers)))
        self._files = _Team(False, min(file_workers, len(files)), 1)
        self._live.waiting.extend(live)
        self._files.waiting.extend(files)
        self._spare: Worker | None = None
        self._spare_due_s = self._clock_s() + _SPARE_AFTER_S
        self._heard_s: dict[Worker, float] = {}
        self._carried: dict[Worker, dict[str, Charge]] = {}
        self._open = len(self.charges)
        self._halting = False
        self._watched = False

    def __enter__(self) -> "Supervisor":
        return self

    def __exit__(self, *_: object) -> None:
        for worker in list(self._heard_s):
            self._dismiss(worker)

    def run(self) -> None:
        """Ends early with KeyboardInterrupt; then `halt` is still to be called."""
        for charge in self.charges:
            self._log.add(charge.source.id, "waiting")
        while self._open:
            self._hand_out()
            self._keep_spare()
            self._listen(self._wait_s())
            self._end_the_silent()
            self._onlooker.update(self.charges)

    def halt(self) -> None:
        """Closes every session that is open. What was not at its end is waiting again."""
        self._halting = True
        self._dismiss_idle(list(self._heard_s))
        for worker in self._heard_s:
            worker.send(HaltOrder())
        deadline_s = self._clock_s() + _HALT_S
        while any(charge.worker is not None for charge in self.charges) and self._clock_s() < deadline_s:
            self._listen(_LOOK_S)
            self._onlooker.update(self.charges)
        for charge in self.charges:
            if charge.worker is not None:
                self._died(charge, "it could not be closed in time")
            elif not charge.over and charge.source.endless:
                self._say(charge, "done" if charge.frames else "failed", charge.reason or "stopped", None)

    # Handing out

    def _hand_out(self) -> None:
        now_s = self._clock_s()
        for team in (self._live, self._files):
            for _ in range(len(team.waiting)):
                if team.waiting[0].due_s > now_s:
                    team.waiting.rotate(-1)
                    continue
                worker = (self._alone(team) if team.waiting[0].apart else None) or self._free(team)
                if worker is None:
                    break
                self._begin(team.waiting.popleft(), worker)
        if not self._files.waiting:
            self._dismiss_idle(list(self._files.workers))

    def _free(self, team: _Team) -> Worker | None:
        """The worker with the least to do; a new one while there are too few; None where all are full. That of a source that
        is apart only where there is no other."""
        taken = {one for one in team.workers if [charge.apart for charge in self._carried[one].values()] == [True]}
        if len(team.workers) - len(taken) < team.size and len(team.workers) < self._most(team):
            self._hire(team)
        free = [one for one in team.workers if len(self._carried[one]) < team.room]
        return min(free, key=lambda one: (one in taken, len(self._carried[one])), default=None)

    def _alone(self, team: _Team) -> Worker | None:
        """A worker with nothing to do, or a new one; None where there are too many already."""
        idle = next((one for one in team.workers if not self._carried[one]), None)
        return self._hire(team) if idle is None and len(team.workers) < self._most(team) else idle

    def _most(self, team: _Team) -> int:
        return team.size + (_APART if team.endless and self._crew.spares else 0)

    def _hire(self, team: _Team) -> Worker:
        worker = self._new(team)
        team.workers.append(worker)
        return worker

    def _new(self, team: _Team) -> Worker:
        if team.endless and self._spare is not None:
            worker, self._spare = self._spare, None
            self._spare_due_s = self._clock_s() + _SPARE_AFTER_S
            return worker
        return self._hired(aside=not team.endless and self._live.size > 0, endless=team.endless)

    def _hired(self, aside: bool, endless: bool) -> Worker:
        worker = self._crew.hire(aside, endless)
        self._heard_s[worker], self._carried[worker] = self._clock_s() + _START_S, {}
        worker.send(WatchOrder(self._watched))
        return worker

    def _keep_spare(self) -> None:
        """One worker waits, loaded, to take the place of one that dies: rows are missed for as long as that takes."""
        wanted = self._crew.spares and self._live.size > 0
        if wanted and self._spare is None and self._clock_s() >= self._spare_due_s:
            self._spare = self._hired(aside=False, endless=True)
            live = (charge.source.settings for charge in self.charges if charge.source.endless)
            for settings in {tuple(one.of_model.values()): one for one in live}.values():
                self._spare.send(PrepareOrder(settings, min(self._live.room, _PREPARED)))

    def _begin(self, charge: Charge, worker: Worker) -> None:
        if not charge.source.endless:
            # A file that was not at its end is recorded anew, whole.
            for part in self._folder.parts(charge.source.id):
                shutil.rmtree(part)
        charge.attempt += 1
        charge.folder, charge.worker, charge.standing = self._folder.next_part(charge.source.id), worker, None
        charge.begun_s = self._clock_s()
        self._carried[worker][charge.source.id] = charge
        worker.send(RecordOrder(charge.source, charge.folder, charge.attempt))

    # What is heard

    def _wait_s(self) -> float:
        waiting = [charge.due_s for charge in self._live.waiting]
        return min(_LOOK_S, max(0.01, min(waiting, default=math.inf) - self._clock_s()))

    def _listen(self, timeout_s: float) -> None:
        watched = self._board is not None and self._board.watched
        if watched != self._watched:
            self._watched = watched
            for worker in self._heard_s:
                worker.send(WatchOrder(watched))
        for worker, news in self._crew.news(list(self._heard_s), timeout_s):
            if isinstance(news, DeathError):
                self._bury(worker, str(news))
            else:
                self._heard_s[worker] = self._clock_s()
                self._take(worker, news)

    def _take(self, worker: Worker, news: News) -> None:
        for standing in news.standings:
            charge = self._by_id[standing.source_id]
            if charge.worker is worker:
                charge.standing = standing
                if charge.source.endless and standing.frames and self._clock_s() - charge.begun_s >= _CLEARED_S:
                    charge.deaths = 0
                if standing.frames and charge.state != "running":
                    self._say(charge, "running", "", charge.folder)
        for ended in news.ended:
            charge = self._by_id[ended.source_id]
            if charge.worker is worker:
                self._close(charge, ended)
        for picture in news.pictures if self._board is not None else ():
            self._board.post(picture)  # type: ignore[union-attr]

    def _close(self, charge: Charge, ended: Ended) -> None:
        """Its session is closed."""
        self._leave(charge, ended.frames)
        session = charge.folder if ended.kept else None
        if ended.outcome in ("done", "failed", "skipped"):
            self._say(charge, ended.outcome, ended.reason, session, ended.frames)  # type: ignore[arg-type]
        elif self._halting and charge.source.endless:
            self._say(charge, "done" if charge.frames else "failed", ended.reason or "stopped", session, ended.frames)
        elif self._halting:
            self._say(charge, "waiting", "stopped before its end", session, ended.frames)
        else:
            self._again(charge, ended.reason, session, ended.frames)

    def _bury(self, worker: Worker, why: str) -> None:
        """It is gone, and what it recorded with it."""
        carried = list(self._carried[worker].values())
        self._dismiss(worker)
        if carried or not self._halting:
            self._onlooker.said(f"a worker died: {why}")
        for charge in carried:
            charge.culprit |= charge.apart and len(carried) == 1
            charge.deaths += not charge.source.endless or self._crew.spares
            self._died(charge, f"{why}; begun again apart from others" if charge.apart else why)

    def _died(self, charge: Charge, why: str) -> None:
        assert charge.folder is not None
        frames = 0 if charge.standing is None else charge.standing.frames
        session = charge.folder if end_killed(charge.folder) else None
        self._leave(charge, frames)
        if self._halting:
            state = ("done" if charge.frames else "failed") if charge.source.endless else "waiting"
            self._say(charge, state, why, session, frames)
        elif not charge.source.endless and charge.deaths >= _FILE_DEATHS:
            self._say(charge, "failed", f"{why}; so it was {charge.deaths} times", session, frames)
        else:
            self._again(charge, why, session, frames)

    def _leave(self, charge: Charge, frames: int) -> None:
        if charge.worker is not None:
            self._carried.get(charge.worker, {}).pop(charge.source.id, None)
        charge.worker = charge.standing = None
        charge.frames += frames

    def _again(self, charge: Charge, why: str, session: Path | None, frames: int) -> None:
        now_s = self._clock_s()
        if frames and now_s - charge.begun_s >= _WELL_S:
            charge.backoff.reset()
        charge.due_s = now_s + charge.backoff.next_s()
        if charge.frames or charge.deaths:
            charge.restarts += 1
            self._say(charge, "restarted", why, session, frames)
        elif charge.reason != why:
            # It has never been there: once is enough to say so.
            self._say(charge, "waiting", why, session, frames)
        (self._live if charge.source.endless else self._files).waiting.append(charge)

    def _say(self, charge: Charge, state: SourceState, why: str, session: Path | None, frames: int = 0) -> None:
        charge.state, charge.reason = state, why
        self._open -= charge.over
        self._log.add(charge.source.id, state, why, charge.attempt, frames, session)
        if state in ("failed", "skipped", "restarted") or (state == "waiting" and why and not self._halting):
            self._onlooker.said(f"{charge.source.id}: {state}: {why}")

    # Workers that go

    def _end_the_silent(self) -> None:
        now_s = self._clock_s()
        for worker, heard_s in list(self._heard_s.items()):
            if now_s - heard_s > _SILENT_S:
                self._bury(worker, f"it gave no sign of life for {_SILENT_S:g} s")

    def _dismiss_idle(self, workers: Sequence[Worker]) -> None:
        for worker in workers:
            if not self._carried[worker]:
                self._dismiss(worker)

    def _dismiss(self, worker: Worker) -> None:
        self._heard_s.pop(worker, None)
        self._carried.pop(worker, None)
        for team in (self._live, self._files):
            if worker in team.workers:
                team.workers.remove(worker)
        if worker is self._spare:
            self._spare, self._spare_due_s = None, self._clock_s() + _SPARE_AFTER_S
        with contextlib.suppress(OSError):
            worker.close()
