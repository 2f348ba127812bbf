"""How fast clips are made: through the live alignment, drawn directly, and on to the network's input."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from model.contract import ClipContract
from train.made import MadeClips, MadePlan
from train.synth.clip import ClipSettings, draw_clip, make_clip
from train.synth.faces import FaceSource
from train.synth.recipes import CLASS_NAMES
from train.synth.render import FaceModel

EXACT_SHARE = 0.1
"""Of a round's clips, those that the exact path, ten times as slow, is timed on."""

Advance = Callable[[int], None]
"""Told how many more clips are made."""


@dataclass(frozen=True)
class GeneratorSpeed:
    """Of one way to make clips: `exact` (camera frames, aligned as live), `fast` (aligned crops drawn directly) or fast
    and on to the network's input, in threads. Clips a second, median and slowest round; CPU milliseconds a clip, median,
    which other programs on the machine touch less."""

    way: str
    workers: int
    clips_per_s: float
    slowest_clips_per_s: float
    cpu_ms: float

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def measure_generator(
    contract: ClipContract, faces: Sequence[FaceSource], clips: int, rounds: int, advance: Advance
) -> list[GeneratorSpeed]:
    """All ways, each `rounds` times over `clips` clips, by turns, with one thread of OpenCV a worker.

    The exact path makes `EXACT_SHARE` of them, in one thread (it scales with processes).
    """
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        ways = _ways(contract, faces)
        taken: list[list[tuple[float, float]]] = [[] for _ in ways]
        for number in range(rounds + 1):
            for way, times in zip(ways, taken, strict=True):
                count = max(len(CLASS_NAMES), round(clips * way.share))
                spent = _timed(way, count if number else len(CLASS_NAMES))
                if number:  # the first round makes the faces ready
                    times.append(spent)
                    advance(count)
    finally:
        cv2.setNumThreads(threads)
    return [_speed(way, np.array(times)) for way, times in zip(ways, taken, strict=True)]


@dataclass(frozen=True)
class _Way:
    name: str
    workers: int
    make: Callable[[int], object]
    share: float = 1.0


def _ways(contract: ClipContract, faces: Sequence[FaceSource]) -> list[_Way]:
    settings = ClipSettings(geometry=contract.crop, colour=contract.input.colour, window_frames=contract.frames)
    models = [FaceModel(face) for face in faces]
    made = MadeClips(MadePlan(CLASS_NAMES, len(CLASS_NAMES), 0, (contract.fps,)), faces, contract)

    def exact(index: int) -> object:
        spec = draw_clip(np.random.default_rng(index), CLASS_NAMES[index % len(CLASS_NAMES)], settings)
        return make_clip(models[index % len(models)], spec, settings)

    def crops(index: int) -> object:
        return made.drawn(index // len(CLASS_NAMES), index % len(CLASS_NAMES))

    def features(index: int) -> object:
        return made.clip(index // len(CLASS_NAMES), index % len(CLASS_NAMES))

    both = f"fast, and {contract.input.kind}"
    return [
        _Way("exact", 1, exact, EXACT_SHARE),
        *(_Way("fast", workers, crops) for workers in (1, 2)),
        *(_Way(both, workers, features) for workers in (1, 2)),
    ]


def _timed(way: _Way, count: int) -> tuple[float, float]:
    """Seconds and CPU seconds a clip."""
    started = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(way.workers) as pool:
        for _ in pool.map(way.make, range(count)):
            pass
    return (time.perf_counter() - started[0]) / count, (time.process_time() - started[1]) / count


def _speed(way: _Way, times: NDArray[np.float64]) -> GeneratorSpeed:
    seconds, cpu_s = times.T
    return GeneratorSpeed(
        way.name, way.workers, float(1 / np.median(seconds)), float(1 / seconds.max()), float(1e3 * np.median(cpu_s))
    )
