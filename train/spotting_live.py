"""The live line over a video, and the events that came of it."""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.types import Event, FrameResult
from stream.recognizer import Recognizer
from stream.sources.base import FrameSource
from train.spotting_dump import Dump

Advance = Callable[[int], Any]


@dataclass(frozen=True, eq=False)
class LiveRun:
    """What the live line said of a video. `events` holds rejected candidates too.

    `times_s` (n,) and `probabilities` (n, classes), NaN where there was no answer, are those of every frame;
    `statuses` counts frames by status. `seconds` is the video's length, `took_s` how long it took, drawing included.
    """

    events: tuple[Event, ...]
    seconds: float
    took_s: float
    times_s: NDArray[np.float64]
    probabilities: NDArray[np.float32]
    statuses: dict[str, int]

    @property
    def frames(self) -> int:
        return len(self.times_s)


def run_live(
    recognizer: Recognizer,
    source: FrameSource,
    dump: Dump | None = None,
    advance: Advance = lambda frames: None,
) -> LiveRun:
    """Runs a source that is not open yet through the live program to its end. `advance` is called for every frame."""
    return collect(recognizer.run(source), recognizer.contract.class_names, dump, advance)


def collect(
    results: Iterable[FrameResult],
    class_names: tuple[str, ...],
    dump: Dump | None = None,
    advance: Advance = lambda frames: None,
) -> LiveRun:
    """A LiveRun from a stream of results."""
    started_s = time.perf_counter()
    events: list[Event] = []
    times: list[float] = []
    rows: list[list[float]] = []
    statuses: Counter[str] = Counter()
    for result in results:
        answer = result.prediction
        times.append(result.frame.time_s)
        rows.append([answer.probabilities[name] for name in class_names] if answer else [np.nan] * len(class_names))
        statuses[result.status] += 1
        events += result.events
        if dump:
            dump.add(result)
        advance(1)
    times_s = np.array(times, np.float64)
    return LiveRun(
        events=tuple(sorted(events, key=lambda event: event.onset_s)),
        seconds=float(times_s[-1] - times_s[0] + np.median(np.diff(times_s))) if len(times_s) > 1 else 0.0,
        took_s=time.perf_counter() - started_s,
        times_s=times_s,
        probabilities=np.array(rows, np.float32).reshape(len(rows), len(class_names)),
        statuses=dict(statuses),
    )
