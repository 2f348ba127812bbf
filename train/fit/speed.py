"""How fast training is: the training loop beside `model.fit` on arrays in memory and beside the network's step alone.

The three take turns in one process, with the same network, loss, optimizer, clips, batch, number of steps and threads;
they differ in where clips come from. The training loop reads features from their memory map and augments them; for the
others all clips lie in memory as the network takes them. And how fast clips are made: through the live alignment, drawn
directly, and on to the network's input.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from typing import Any

import cv2
import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from model.contract import ClipContract
from model.quiet import native_log_held_back
from train.clips.augmentation import draw_transform
from train.clips.batches import plain_batches
from train.clips.flow_augmentation import draw_flow_change
from train.clips.samples import TrainingSet
from train.fit.resume import EpochResult, Position
from train.fit.trainer import Trainer
from train.fit_config import TrainConfig
from train.synth.action_units import CLASS_NAMES
from train.synth.clip import ClipSettings, draw_clip, make_clip
from train.synth.faces import FaceSource
from train.synth.fresh_clips import FreshClips, FreshPlan
from train.synth.render import FaceModel

AUGMENTATIONS: dict[str, dict[str, Any]] = {
    "none": {"flip": False},
    "mirroring": {"flip": True},
    "geometry, time": {
        "flip": True,
        "rotate": 5.0,
        "zoom": 0.05,
        "shift": 0.03,
        "time_jitter": 0.1,
        "magnify": (1.0, 2.0),
    },
}
_TRANSFORMED_CLIPS = 200

Advance = Callable[[], None]
"""Told that a round is done."""
EXACT_SHARE = 0.1
"""Of a round's clips, those that the exact path, ten times as slow, is timed on."""

AdvanceBy = Callable[[int], None]
"""Told how many more clips are made."""


@dataclass(frozen=True)
class Speed:
    """Of some rounds: the median of clips a second, what 95 % of the rounds reach, and the median of the process's
    CPU milliseconds a clip, which other programs on the machine hardly touch."""

    clips_per_s: float
    p95_clips_per_s: float
    cpu_ms: float

    @classmethod
    def of(cls, rounds: NDArray[np.float64]) -> "Speed":
        """`rounds` (n, 2): seconds and CPU seconds a clip."""
        seconds, cpu_s = rounds.T
        return cls(float(1 / np.median(seconds)), float(1 / np.percentile(seconds, 95)), float(1e3 * np.median(cpu_s)))


@dataclass(frozen=True)
class Series:
    """Rounds of the three by turns. `loop_to_fit` and `loop_to_step`: how many times as fast the
    training loop is, median over the rounds."""

    augmentation: str
    loop: Speed
    fit: Speed
    step_alone: Speed
    loop_to_fit: float
    loop_to_step: float
    augment_p50_us: float
    augment_p95_us: float

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def measure(config: TrainConfig, data: TrainingSet, augmentation: str, rounds: int, advance: Advance) -> Series:
    """One series: a round over the training rows to warm up, then `rounds` more, each without its first step.

    `augmentation` is one of `AUGMENTATIONS`. The training rows must be two or more whole batches.
    """
    config = replace(config, epochs=rounds + 1, **AUGMENTATIONS[augmentation])
    beside, loop = _InMemory(config, data), _Stopwatch(config.batch)

    class _Turns:
        """Gives the others their turn after each epoch of the training loop."""

        def step(self, epoch: int, step: int, steps: int, loss: float) -> None:
            if step == 1:
                loop.start()
            elif step == steps:
                loop.stop(steps - 1)

        def epoch(self, result: EpochResult) -> None:
            beside.fit_once()
            beside.step_alone_once()
            advance()

    Trainer(config, data, _KeepsNothing()).train(_Turns())
    ways = [np.array(watch.rounds[1:]) for watch in (loop, beside.fit, beside.step_alone)]
    augment_p50_us, augment_p95_us = _augmentation_us(config, data)
    return Series(
        augmentation,
        loop=Speed.of(ways[0]),
        fit=Speed.of(ways[1]),
        step_alone=Speed.of(ways[2]),
        loop_to_fit=_times_as_fast(ways[0], ways[1]),
        loop_to_step=_times_as_fast(ways[0], ways[2]),
        augment_p50_us=augment_p50_us,
        augment_p95_us=augment_p95_us,
    )


class _Stopwatch:
    """Seconds and CPU seconds a clip, round by round."""

    def __init__(self, batch: int) -> None:
        self._batch = batch
        self.rounds: list[tuple[float, float]] = []

    def start(self) -> None:
        self._started = time.monotonic(), time.process_time()

    def stop(self, steps: int) -> None:
        seconds, cpu_s = time.monotonic() - self._started[0], time.process_time() - self._started[1]
        self.rounds.append((seconds / (steps * self._batch), cpu_s / (steps * self._batch)))


class _InMemory:
    """`model.fit` on arrays, and the network's step on one batch, with a network and optimizer of their own."""

    def __init__(self, config: TrainConfig, data: TrainingSet) -> None:
        rows, labels, names = data.split.train, data.samples.labels, data.samples.class_names
        batches: Any = plain_batches(data.features, rows, config.batch)
        self._batch = config.batch
        self._clips = np.concatenate([np.asarray(clips) for clips in batches])
        self._targets = np.eye(len(names), dtype=np.float32)[labels[rows]]
        self._resident = tf.constant(self._clips[: self._batch]), tf.constant(self._targets[: self._batch])
        self._network = Trainer(config, data, _KeepsNothing()).compiled()
        self._steps = len(rows) // config.batch
        self.fit, self.step_alone = _Stopwatch(config.batch), _Stopwatch(config.batch)

    def fit_once(self) -> None:
        settings: dict[str, Any] = {"verbose": 0, "callbacks": [_Clock(self.fit, self._steps)]}
        with native_log_held_back():
            self._network.fit(self._clips, self._targets, batch_size=self._batch, **settings)

    def step_alone_once(self) -> None:
        with native_log_held_back():
            float(self._network.train_on_batch(*self._resident))
            self.step_alone.start()
            for _ in range(self._steps - 1):
                float(self._network.train_on_batch(*self._resident))
        self.step_alone.stop(self._steps - 1)


class _Clock(keras.callbacks.Callback):
    """Starts the watch at the end of an epoch's first step and stops it at the epoch's end."""

    def __init__(self, watch: _Stopwatch, steps: int) -> None:
        super().__init__()
        self._watch, self._steps = watch, steps

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if batch == 0:
            float(np.asarray(logs["loss"]))  # waits for a GPU
            self._watch.start()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._watch.stop(self._steps - 1)


class _KeepsNothing:
    """A keeper for training that is only timed."""

    def restore(self, network: keras.Model) -> tuple[Position, list[EpochResult]]:
        return Position(), []

    def step(self, network: keras.Model, position: Position) -> None:
        pass

    def epoch(self, network: keras.Model, answering: keras.Model, history: list[EpochResult]) -> None:
        pass


def _times_as_fast(rounds: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    return float(np.median(other[:, 0] / rounds[:, 0]))


def _augmentation_us(config: TrainConfig, data: TrainingSet) -> tuple[float, float]:
    """Median and 95th percentile of drawing and applying a transform, in microseconds a clip, on one thread."""
    times: list[float] = []
    for number in range(_TRANSFORMED_CLIPS):
        row = int(data.split.train[number % len(data.split.train)])
        clip = data.features[np.array([row])][0]
        started = time.perf_counter()
        clip = draw_transform(config, len(clip), number, row).apply(clip, config.input, data.scaling[0])
        draw_flow_change(config, number, row).apply(clip, data.samples.crop_px, config.strain_gain)
        times.append(1e6 * (time.perf_counter() - started))
    return float(np.median(times)), float(np.percentile(times, 95))


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
    contract: ClipContract, faces: Sequence[FaceSource], clips: int, rounds: int, advance: AdvanceBy
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
    made = FreshClips(FreshPlan(CLASS_NAMES, len(CLASS_NAMES), 0, (contract.fps,)), faces, contract)

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
