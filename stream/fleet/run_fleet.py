"""A fleet from its beginning to its end: what is left to do, who does it, and how it went."""

import json
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from stream.engine.model_file import BUNDLED_MODEL, EngineChoice, Provider, RuntimeSettings, choose_model, load_model
from stream.fleet.crew import Crew, LocalCrew
from stream.fleet.fleet_folder import FleetError, FleetFolder
from stream.fleet.fleet_progress import FleetProgress
from stream.fleet.orders import FleetSource
from stream.fleet.state_log import StateLine, StateLog, end_killed, is_finished, read_states, read_told, write_told
from stream.fleet.supervisor import Charge, PictureBoard, Supervisor
from stream.machine import usable_cores
from stream.web.access import ServeSettings

_LIVE_A_WORKER = 4
"""More processes than cores, where there are so many cameras: one that dies takes no more than these along. Twelve cameras on
two cores took 13.8 ms of processor time a frame with six a process, 13.1 with four, 13.0 with three and 15.7 with two."""
_TOLD = 5


@dataclass(frozen=True)
class FleetSettings:
    """`jobs`: processes, None for as many as there are cores. `ray`: the address of a cluster, or "local"; None: this
    machine's processes. `anew`: record files again that are finished, with other settings. `serve`: where all live sources are shown."""

    out: Path
    jobs: int | None = None
    ray: str | None = None
    anew: bool = False
    serve: ServeSettings | None = None


@dataclass(frozen=True)
class FleetReport:
    """How it went: `sources` as they stand, those of earlier runs left out but counted in `finished_before`."""

    seconds: float
    finished_before: int
    interrupted: bool
    sources: tuple[dict[str, Any], ...]

    @property
    def counts(self) -> Counter[str]:
        return Counter(source["state"] for source in self.sources)

    @property
    def exit_code(self) -> int:
        """1 where something failed or was skipped, 130 where files were not reached; else 0."""
        if self.counts["failed"] or self.counts["skipped"]:
            return 1
        return 130 if self.interrupted and self.counts["done"] < len(self.sources) else 0

    def to_dict(self) -> dict[str, Any]:
        frames = sum(source["frames"] for source in self.sources)
        return {
            "seconds": self.seconds,
            "frames": frames,
            "fps": frames / self.seconds if self.seconds > 0 else 0.0,
            "finished_before": self.finished_before,
            "interrupted": self.interrupted,
            "restarts": sum(source["restarts"] for source in self.sources),
            "counts": dict(self.counts),
            "sources": list(self.sources),
        }


@dataclass(frozen=True)
class _Plan:
    to_do: tuple[FleetSource, ...]
    finished: int
    remarks: tuple[str, ...]


def run_fleet(settings: FleetSettings, sources: Sequence[FleetSource], console: Console) -> FleetReport:
    """Records the sources and says how it went; Ctrl-C ends it with every session closed.

    Raises:
        FleetError: the folder is no fleet's, or files in it are finished with other settings. SinkError: it cannot be
            written. ModelError, ContractError: a model cannot be loaded. ClusterError: there is no Ray, or no cluster.
    """
    folder = _prepared(settings.out)
    with ExitStack() as stack:
        log = stack.enter_context(StateLog(folder))
        plan = _plan(folder, sources, settings.anew)
        for line in plan.remarks:
            console.print(line, style="yellow", markup=False, highlight=False, soft_wrap=True)
        crew, live_workers, file_workers = _crew(settings, plan.to_do, stack)
        placed = {"ray": settings.ray, "live_workers": live_workers, "file_workers": file_workers}
        write_told(folder, sources, placed)
        board = _board(settings, folder, console, stack)
        progress = stack.enter_context(FleetProgress(console, plan.finished))
        supervisor = stack.enter_context(
            Supervisor(folder, log, plan.to_do, crew, live_workers, file_workers, progress, board)
        )
        began_s, interrupted = time.monotonic(), False
        try:
            supervisor.run()
        except KeyboardInterrupt:
            interrupted = True
            console.print("Stopping: sessions are being closed.", highlight=False)
            supervisor.halt()
        seconds = time.monotonic() - began_s
        told = tuple(_told(charge) for charge in supervisor.charges)
    return FleetReport(seconds, plan.finished, interrupted, told)


def _prepared(path: Path) -> FleetFolder:
    """The folder, made where it is missing."""
    folder = FleetFolder(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        strange = not folder.settings.exists() and not folder.state.exists() and any(path.iterdir())
    except OSError as error:
        raise FleetError(f"--out {path}: {error.strerror}; give a folder") from error
    if strange:
        raise FleetError(f"--out {path} is not empty, and no fleet's: give a new folder")
    return folder


def _plan(folder: FleetFolder, sources: Sequence[FleetSource], anew: bool) -> _Plan:
    """What is left to do; sessions that a killed run left open are ended."""
    before = read_told(folder)
    states: dict[str, StateLine] = {line["source"]: line for line in read_states(folder)}
    to_do: list[FleetSource] = []
    changed, other = list[str](), list[str]()
    for source in sources:
        known, state = before.get(source.id), states.get(source.id)
        if source.endless:
            for part in folder.parts(source.id)[-1:]:
                end_killed(part)
            to_do.append(source)
            continue
        if known is None or state is None or state["state"] != "done" or not _is_whole(folder, state):
            to_do.append(source)
            continue
        told = json.loads(json.dumps(source.told()))
        if told["settings"] != known["settings"]:
            other.append(f"{source.id} ({_difference(known['settings'], told['settings'])})")
            to_do.append(source)
        elif any(told[name] != known[name] for name in ("source", "size_bytes", "changed_ns")):
            changed.append(source.id)
            to_do.append(source)
    if other and not anew:
        raise FleetError(
            f"{folder.path}: {len(other)} finished {_files(len(other))} recorded with other settings, the first {other[0]}: "
            "give another --out, or --anew to record them again"
        )
    remarks = (
        [f"{len(changed)} finished {_files(len(changed))} changed since, and recorded anew: {_some(changed)}"]
        if changed
        else []
    )
    remarks += [f"Recorded anew with other settings: {_some(other)}"] if other else []
    finished = len(sources) - len(to_do)
    remarks += [f"{finished} finished before"] if finished else []
    return _Plan(tuple(to_do), finished, tuple(remarks))


def _is_whole(folder: FleetFolder, state: StateLine) -> bool:
    return state["session"] is not None and is_finished(folder.path / state["session"])


def _difference(before: dict[str, Any], now: dict[str, Any]) -> str:
    name = next(name for name in sorted(before.keys() | now.keys()) if before.get(name) != now.get(name))
    return f"{name} {before.get(name)} then, {now.get(name)} now"


def _files(count: int) -> str:
    return "file was" if count == 1 else "files were"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_TOLD]) + (f" and {len(names) - _TOLD} more" if len(names) > _TOLD else "")


def _crew(settings: FleetSettings, sources: Sequence[FleetSource], stack: ExitStack) -> tuple[Crew, int, int]:
    """With how many workers it has for what never ends, and for files."""
    live = sum(source.endless for source in sources)
    files = len(sources) - live
    if settings.ray is None:
        _check_models(sources)
        cores = settings.jobs or usable_cores()
        live_workers = settings.jobs or max(cores, -(-live // _LIVE_A_WORKER))
        return LocalCrew(), min(live, live_workers), min(files, cores)
    # Ray, and what it carries to the nodes, only here: nobody else has to have it.
    from stream.fleet.ray_crew import RayCrew, joined_cluster

    ray, cpus, gpus = stack.enter_context(joined_cluster(settings.ray, settings.jobs or 0))
    jobs = settings.jobs or cpus
    live_workers, file_workers = min(live, jobs), min(files, jobs)
    workers = max(1, live_workers + file_workers)
    # Cameras and files side by side share a processor rather than wait for what never ends.
    share = min(1.0, cpus / workers)
    wants_gpu = any(source.settings.provider != "cpu" for source in sources)
    return RayCrew(ray, share, min(1.0, gpus / workers) if wants_gpu else 0.0), live_workers, file_workers


def _board(settings: FleetSettings, folder: FleetFolder, console: Console, stack: ExitStack) -> PictureBoard | None:
    """In a browser, where that is asked for; what it needs is loaded only then."""
    if settings.serve is None:
        return None
    from stream.fleet.board_server import BoardServer
    from stream.fleet.tiles import TileBoard
    from stream.web.access import open_listener

    board = TileBoard(folder)
    listener = stack.enter_context(open_listener(settings.serve))
    stack.enter_context(BoardServer(board, listener))
    console.print(f"Board: {listener.url}", soft_wrap=True, markup=False, highlight=False)
    return board


def _check_models(sources: Sequence[FleetSource]) -> None:
    """A model that cannot be loaded is told once, and not by every source."""
    asked: set[tuple[Path | None, Provider, EngineChoice]] = {
        (source.settings.model, source.settings.provider, source.settings.engine) for source in sources
    }
    for model, provider, engine in asked:
        load_model(choose_model(model or BUNDLED_MODEL, engine), RuntimeSettings(provider, 1))


def _told(charge: Charge) -> dict[str, Any]:
    return {
        "id": charge.source.id,
        "state": charge.state,
        "reason": charge.reason,
        "attempt": charge.attempt,
        "restarts": charge.restarts,
        "apart": charge.apart,
        "frames": charge.frames,
    }
