"""What looking for events costs: the whole program with and without it, in turns."""

from dataclasses import dataclass
from pathlib import Path
from statistics import median

from stream.benchmark.engines import Note
from stream.benchmark.program import ProgramRun, run_program
from stream.model_file import Provider

_PAIRS = 5


@dataclass(frozen=True)
class EventsCost:
    """Frames a second and processor time a frame, medians of the runs.

    `ratio` is the median of the frame rates with over without of each pair of runs, one right after the other, so that a
    machine that slows down slows both; `ratios` are those of all pairs. Processor time hardly depends on what else the
    machine does.
    """

    fps_with: float
    fps_without: float
    ratio: float
    ratios: tuple[float, ...]
    processor_ms_with: float
    processor_ms_without: float


def measure_events_cost(
    source: str, model: Path, provider: Provider, threads: int, folder: Path, note: Note
) -> EventsCost:
    """The engine is the streaming one. Raises ModelError when a run fails."""
    runs: dict[bool, list[ProgramRun]] = {True: [], False: []}
    for pair in range(_PAIRS):
        note(f"whole program with and without events, {pair + 1} of {_PAIRS}")
        # Who comes first changes from pair to pair.
        for events in (True, False) if pair % 2 == 0 else (False, True):
            runs[events].append(run_program(source, model, provider, "streaming", threads, folder, events))
    ratios = tuple(first.fps / second.fps for first, second in zip(runs[True], runs[False], strict=True))
    return EventsCost(
        fps_with=median(run.fps for run in runs[True]),
        fps_without=median(run.fps for run in runs[False]),
        ratio=median(ratios),
        ratios=ratios,
        processor_ms_with=median(run.processor_ms for run in runs[True]),
        processor_ms_without=median(run.processor_ms for run in runs[False]),
    )
