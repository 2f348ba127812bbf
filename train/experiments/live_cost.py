"""What rows cost live: preprocessing and model on the same aligned crops, all rows in turn, in one process.

Everything runs on the calling thread, whose CPU time is what counts. The network's rows are measured with random weights
in the streaming engine that the live program uses: what a frame costs depends on the network's size, not on what it has
learned.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from model.preprocess import Preprocessor
from model.quiet import native_log_held_back
from model.types import FaceCrop, Image
from stream.engine.engines import Engine, StreamingEngine, WindowEngine
from stream.engine.model_file import RuntimeSettings, choose_model, load_model
from stream.events.motion import MotionMeter
from stream.health import Percentiles, percentiles_of
from train.clips.samples import open_stores, run_contract
from train.clips.store import ClipStore
from train.errors import TrainError
from train.experiments.rows import LiveLine, RowTask

CAMERA_FPS = 30.0

# Of this thread's CPU where that is counted finely: what else runs on the machine then hardly matters.
_FINE = time.get_clock_info("thread_time").resolution <= 1e-6
_clock: Callable[[], float] = time.thread_time if _FINE else time.perf_counter

_ROOT = Path(__file__).resolve().parents[2]
_WARM_UP = 40
_CROPS = 60


@dataclass(frozen=True)
class LiveCost:
    """Of one row: times a camera frame for preprocessing and a network frame for the model.

    `load`: the share of one core at `CAMERA_FPS`, by the medians: preprocessing sees every camera frame, the model is
    asked as often as its time grid says.
    """

    preprocess: Percentiles
    model: Percentiles
    parameters: int
    fps: float

    @property
    def sum_ms(self) -> float:
        return self.preprocess.p50_ms + self.model.p50_ms

    @property
    def load(self) -> float:
        return (CAMERA_FPS * self.preprocess.p50_ms + self.fps * self.model.p50_ms) / 1000

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"sum_ms": self.sum_ms, "load": self.load}


def network_live(task: RowTask) -> LiveLine:
    """The network of the row's settings, untrained, exported; preprocessing with the motion that events are found by,
    for which inputs without flow to a resting face need a flow of their own."""
    config = task.config
    contract = run_contract(config, open_stores(config.data))
    preprocessor, meter = Preprocessor(contract), MotionMeter(contract)
    transform, outline = np.eye(2, 3), np.zeros((0, 2), np.float32)

    def preprocess(crop: Image, time_s: float) -> Any:
        features = preprocessor.step(crop, time_s)
        meter.step(FaceCrop(crop, transform, outline, False), features, time_s)
        return features

    engine, parameters = _engine(task)
    return LiveLine(preprocess, engine.step, contract, parameters)


def _engine(task: RowTask) -> tuple[Engine, int]:
    """The streaming engine where the network can be streamed, else the window engine; one thread.

    Exported as users export, by the command: nothing of the training side is a caller of the exporter.
    """
    contract = run_contract(task.config, open_stores(task.config.data))
    with tempfile.TemporaryDirectory() as folder:
        run, out = Path(folder) / "run", Path(folder) / "exported"
        run.mkdir()
        with native_log_held_back():
            from model.network import build_network

            network = build_network(task.config.network_config(contract.frames, len(contract.class_names), (0.0, 1.0)))
            network.save(run / "model.keras")
        (run / "contract.json").write_text(contract.to_json(), encoding="utf-8")
        command = [sys.executable, "-m", "export", str(run), "--out", str(out)]
        done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True)
        if done.returncode:
            raise TrainError(f"the network of a row cannot be exported: {done.stderr.strip()}")
        loaded = load_model(choose_model(out / "model.onnx", "auto"), RuntimeSettings("cpu", threads=1))
    engine = StreamingEngine(loaded) if loaded.kind == "streaming" else WindowEngine(loaded)
    return engine, network.count_params()


def measure_live(
    lines: Mapping[str, LiveLine], store: ClipStore, frames: int, advance: Callable[[int], None]
) -> dict[str, LiveCost]:
    """Times of `frames` frames of the store's clips after a warm-up; every line gets each frame in turn, one thread each."""
    crops = {colour: _crops(store, colour) for colour in {line.contract.input.colour for line in lines.values()}}
    times: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in lines}
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        for number in range(_WARM_UP + frames):
            for name, line in lines.items():
                crop = crops[line.contract.input.colour][number % _CROPS]
                started_s = _clock()
                features = line.preprocess(crop, number / CAMERA_FPS)
                between_s = _clock()
                line.answer(features)
                if number >= _WARM_UP:
                    times[name][0].append(1000 * (between_s - started_s))
                    times[name][1].append(1000 * (_clock() - between_s))
            advance(1)
    finally:
        cv2.setNumThreads(threads)
    return {
        name: LiveCost(
            percentiles_of(times[name][0]), percentiles_of(times[name][1]), line.parameters, line.contract.fps
        )
        for name, line in lines.items()
    }


def _crops(store: ClipStore, colour: str) -> Sequence[Image]:
    """`_CROPS` aligned crops, one clip after the other."""
    a_clip = store.manifest.frames
    found: list[Image] = []
    for number in range(_CROPS):
        crop = np.asarray(store.clips[number // a_clip % len(store), number % a_clip])
        if crop.shape[-1] == 1:
            crop = crop[..., 0]
        elif colour == "grey":
            crop = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
        found.append(crop)
    return found
