"""Streaming and window engines side by side on the same frames, ten steps of each in turn: a machine that slows down slows all,
and most steps find the caches as the engine's own step before left them, which one step of each in turn would not show.

Needs numpy, psutil and ONNX Runtime alone, so that a bare machine with a GPU can run it. Where TensorFlow is installed, the
window in a compiled function of it takes its turns too, in a process of its own: the live process never loads TensorFlow.
"""

import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from model.contract import ClipContract
from stream.engine.batch_stepper import BatchStepper
from stream.engine.engines import Engine, StreamingEngine, WindowEngine
from stream.engine.model_file import LoadedModel, ModelError, Provider, RuntimeSettings, choose_model, load_model
from stream.health import Percentiles, percentiles_of

ROOT = Path(__file__).resolve().parent.parent.parent
"""The folder of the program."""
Note = Callable[[str], None]
"""Is told what is being measured."""
_FRAMES = 64
_IN_A_ROW = 10
_WARM_UP = 30


@dataclass(frozen=True)
class EngineTimes:
    """Milliseconds a step. `ratio` is median window over median streaming; `max_abs_diff` of their probabilities, those of
    action units too."""

    threads: int
    provider: str
    streaming: Percentiles
    window: Percentiles
    tensorflow: Percentiles | None
    ratio: float
    max_abs_diff: float


@dataclass(frozen=True)
class BatchTimes:
    """`batch` independent streams stepped together: milliseconds a step of all, frames a second in total, and so many streams
    at the model's own rate. `processor_ms`: median processor time a frame of one stream, of all threads together.

    `gain`: frames a second over those of one stream; above 1 it pays."""

    batch: int
    provider: str
    step: Percentiles
    frames_per_s: float
    live_streams: float
    processor_ms: float
    gain: float


def measure_engines(
    model: Path, provider: Provider, threads: int, steps: int, with_tensorflow: bool, note: Note
) -> EngineTimes:
    """`steps` full windows, every engine asked once at each, for ten in a row. Raises ModelError when a model is missing."""
    settings = RuntimeSettings(provider, threads)
    window_model = _load(model, "window", settings)
    streaming_model = _load(model, "streaming", settings)
    contract = window_model.contract
    note(f"engines, {threads} thread{'s' if threads > 1 else ''}, {streaming_model.provider}")
    streaming, window = StreamingEngine(streaming_model), WindowEngine(window_model)
    frames = _frames(contract)
    times: dict[str, list[float]] = {"streaming": [], "window": [], "tensorflow": []}
    largest = 0.0
    tensorflow = TensorflowWindow.start(contract, threads) if with_tensorflow else None
    try:
        # The first windows warm up caches and, on a GPU, kernels.
        unmeasured = contract.frames - 1 + contract.frames + 5
        for turn in _turns(unmeasured + steps):
            shown = [frames[step % _FRAMES] for step in turn]
            answers: list[list[NDArray[np.float32]]] = []
            for name, engine in (("streaming", streaming), ("window", window)):
                steps_ms, told = _answers(engine, shown)
                times[name] += [ms for step, ms in zip(turn, steps_ms, strict=True) if step >= unmeasured]
                answers.append(told)
            for fast, plain in zip(*answers, strict=True):
                largest = max(largest, float(np.abs(fast - plain).max(initial=0.0)))
            for step in turn:
                if tensorflow is not None and (ms := tensorflow.step_ms()) is not None and step >= unmeasured:
                    times["tensorflow"].append(ms)
    finally:
        if tensorflow is not None:
            tensorflow.close()
    fast_times, plain_times = percentiles_of(times["streaming"]), percentiles_of(times["window"])
    return EngineTimes(
        threads=threads,
        provider=streaming_model.provider,
        streaming=fast_times,
        window=plain_times,
        tensorflow=percentiles_of(times["tensorflow"]) if times["tensorflow"] else None,
        ratio=plain_times.p50_ms / fast_times.p50_ms,
        max_abs_diff=largest,
    )


def measure_batches(
    model: Path, provider: Provider, threads: int, batches: Sequence[int], steps: int, note: Note
) -> list[BatchTimes]:
    """The streaming engine with several independent streams at once, ten steps of each number of streams in turn."""
    loaded = _load(model, "streaming", RuntimeSettings(provider, threads))
    frames = _frames(loaded.contract)
    note(f"streams together: {', '.join(map(str, batches))}")
    steppers = {batch: BatchStepper(loaded, batch) for batch in sorted({1, *batches})}
    slots = {batch: [stepper.new_slot() for _ in range(batch)] for batch, stepper in steppers.items()}
    steps_ms: dict[int, list[float]] = {batch: [] for batch in steppers}
    processor_ms: dict[int, list[float]] = {batch: [] for batch in steppers}
    # The first steps make the bindings of all phases.
    for turn in _turns(_WARM_UP + steps):
        for batch, stepper in steppers.items():
            for step in turn:
                together = [frames[(step + stream) % _FRAMES] for stream in range(batch)]
                before_s = time.process_time()
                step_ms, _ = _timed(partial(stepper.step, slots[batch], together))
                if step >= _WARM_UP:
                    steps_ms[batch].append(step_ms)
                    processor_ms[batch].append(1000 * (time.process_time() - before_s) / batch)
    times = {batch: percentiles_of(found) for batch, found in steps_ms.items()}
    rates = {batch: 1000 * batch / found.p50_ms for batch, found in times.items()}
    return [
        BatchTimes(
            batch,
            loaded.provider,
            times[batch],
            rates[batch],
            rates[batch] / loaded.contract.fps,
            median(processor_ms[batch]),
            rates[batch] / rates[1],
        )
        for batch in steppers
    ]


class TensorflowWindow:
    """Asks the other process for one step at a time, so that its steps alternate with those measured here."""

    @classmethod
    def start(cls, contract: ClipContract, threads: int) -> Self | None:
        """None where TensorFlow is not installed or does not start."""
        if importlib.util.find_spec("tensorflow") is None:
            return None
        process = cls(contract, threads)
        if process._answer() is None:
            process.close()
            return None
        return process

    def __init__(self, contract: ClipContract, threads: int) -> None:
        frames, size_px, _, channels = contract.input_shape
        settings = {
            "depth": frames, "size_px": size_px, "channels": channels,
            "classes": len(contract.class_names), "input_dtype": contract.input.dtype, "threads": threads,
        }  # fmt: skip
        self._process = subprocess.Popen(
            [sys.executable, "-m", "model.time_window", json.dumps(settings)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"},
        )

    def step_ms(self) -> float | None:
        """Milliseconds of one call on one window; None when the process has ended."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write("step\n")
            self._process.stdin.flush()
        except OSError:
            return None
        return self._answer()

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _answer(self) -> float | None:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        return float(line) if line else None


def _load(model: Path, kind: str, settings: RuntimeSettings) -> LoadedModel:
    path = choose_model(model, "streaming") if kind == "streaming" else _window_of(model)
    loaded = load_model(path, settings)
    if loaded.kind != kind:
        raise ModelError(
            f"{path} is a {loaded.kind} model; the benchmark needs model.onnx and model.stream.onnx side by side"
        )
    return loaded


def _window_of(model: Path) -> Path:
    return model.with_name(model.name.replace(".stream.onnx", ".onnx"))


def _frames(contract: ClipContract) -> NDArray[Any]:
    """Network frames of the contract's shape and range, (64, size, size, channels); seeded."""
    rng = np.random.default_rng(0)
    shape = (_FRAMES, *contract.input_shape[1:])
    if contract.input.dtype == "uint8":
        return rng.integers(0, 256, shape, np.uint8)
    return (contract.input.offset + contract.input.scale * rng.normal(0, 1, shape)).astype(np.float32)


def _turns(steps: int) -> Iterator[range]:
    """The numbers of the steps, those in a row together."""
    for first in range(0, steps, _IN_A_ROW):
        yield range(first, min(first + _IN_A_ROW, steps))


def _answers(engine: Engine, frames: Sequence[NDArray[Any]]) -> tuple[list[float], list[NDArray[np.float32]]]:
    """Milliseconds of each step, and what it told, probabilities and action units in one; empty while the window fills."""
    times_ms: list[float] = []
    told: list[NDArray[np.float32]] = []
    for frame in frames:
        step_ms, answer = _timed(partial(engine.step, frame))
        times_ms.append(step_ms)
        # The next step may write over it.
        parts = () if answer is None else (answer.probabilities, answer.action_units)
        told.append(np.concatenate([np.zeros(0, np.float32), *parts]))
    return times_ms, told


def _timed(call: Callable[[], Any]) -> tuple[float, Any]:
    started_s = time.perf_counter()
    answer = call()
    return 1000 * (time.perf_counter() - started_s), answer
