"""A long run: does memory grow, does the answer drift?"""

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from model.types import Frame
from stream.benchmark.engine_times import Note
from stream.engine.engines import Answer, Engine
from stream.machine import memory_mb
from stream.recognizer import Recognizer
from stream.sources.base import FrameSource, SourceError
from stream.sources.file import FileSource

_SETTLED_FRAMES = 5000


@dataclass(frozen=True)
class Soak:
    """`growth_mb` is memory at the end less memory after the first 5,000 frames; `drift` the largest difference of a
    probability between the last answer and that of a fresh engine given the last window alone."""

    frames: int
    answers: int
    seconds: float
    settled_mb: float
    end_mb: float
    growth_mb: float
    memory_mb: tuple[float, ...]
    drift: float


class LoopedFile(FrameSource):
    """A file over and over, with times that go on growing, for `frames` frames."""

    def __init__(self, path: Path, frames: int) -> None:
        super().__init__()
        self._path = path
        self._frames = frames

    def __enter__(self) -> Self:
        with FileSource(self._path, "fast") as first:
            self.info = replace(first.info, frames=self._frames)
        return self

    def __iter__(self) -> Iterator[Frame]:
        index, offset_s, step_s = 0, 0.0, 1.0 / (self.info.fps or 30.0)
        while True:
            last_s = 0.0
            with FileSource(self._path, "fast") as source:
                for frame in source:
                    if index == self._frames or self._stopped.is_set():
                        return
                    last_s = frame.time_s
                    yield replace(frame, index=index, time_s=offset_s + frame.time_s)
                    index += 1
            offset_s += last_s + step_s


class _Remembering:
    """An engine that keeps what it was asked last."""

    def __init__(self, engine: Engine, frames: int) -> None:
        self._engine = engine
        self.last: deque[NDArray[Any]] = deque(maxlen=frames)

    @property
    def filled(self) -> int:
        return self._engine.filled

    def reset(self) -> None:
        self._engine.reset()
        self.last.clear()

    def step(self, features: NDArray[Any]) -> Answer | None:
        self.last.append(features)
        return self._engine.step(features)


def soak(recognizer: Recognizer, clip: Path, frames: int, note: Note) -> Soak:
    """Runs the live pipeline over a looped clip. Raises ValueError when the run is too short to say anything, `SourceError`
    when it ends without an answer to compare."""
    if frames < 2 * _SETTLED_FRAMES:
        raise ValueError(f"soak: expected {2 * _SETTLED_FRAMES} frames or more, found {frames}")
    remembering = _Remembering(recognizer.engine(), recognizer.contract.frames)
    every = max(frames // 20, 1)
    memory: list[float] = []
    settled_mb, answers, answer = 0.0, 0, None
    started_s = time.monotonic()
    with LoopedFile(clip, frames) as source:
        for result in recognizer.pipeline(source, lambda: remembering).results():
            seen = result.frame.index + 1
            answer = result.prediction
            answers += answer is not None
            if seen == _SETTLED_FRAMES:
                settled_mb = memory_mb()
            if seen % every == 0:
                memory.append(round(memory_mb(), 1))
                note(f"soak: {seen} of {frames} frames, {memory[-1]:.0f} MB")
    if answer is None or len(remembering.last) < recognizer.contract.frames:
        raise SourceError("the last frame has no answer to compare: use a clip that ends with a face in view")
    end_mb = memory_mb()
    fresh = recognizer.engine()
    expected = [fresh.step(features) for features in remembering.last][-1]
    assert expected is not None
    found = np.array(list(answer.probabilities.values()))
    return Soak(
        frames=frames,
        answers=answers,
        seconds=time.monotonic() - started_s,
        settled_mb=settled_mb,
        end_mb=end_mb,
        growth_mb=end_mb - settled_mb,
        memory_mb=tuple(memory),
        drift=float(np.abs(found - expected.probabilities).max()),
    )
