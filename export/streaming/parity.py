"""Does the streaming model answer like the window? Asked through the engine that runs live, past several windows."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import tensorflow as tf
from numpy.typing import NDArray

from export.errors import ExportError
from export.verify import TOLERANCE, moving_clips, random_clips
from export.window_model import outputs_of
from model.contract import ClipContract
from stream.engine.engines import StreamingEngine, WindowEngine
from stream.engine.model_file import RuntimeSettings, load_model

WINDOWS = 4
HALF_TOLERANCE = 2e-2
_BATCH = 8


@dataclass(frozen=True)
class StreamingParity:
    """Largest difference of any probability, those of action units too, by kind of clip, against the network and against the
    window model.

    `steps` frames are stepped, then as many again after a reset.
    """

    steps: int
    to_network: Mapping[str, float]
    to_window_model: Mapping[str, float]
    tolerance: float

    @property
    def worst(self) -> float:
        return max(*self.to_network.values(), *self.to_window_model.values())


def check_streaming_parity(
    network: keras.Model,
    window: onnx.ModelProto,
    streaming: onnx.ModelProto,
    contract: ClipContract,
    real_clips: NDArray[Any] | None = None,
    tolerance: float = TOLERANCE,
) -> StreamingParity:
    """Steps a random clip and a moving one (and real clips one after the other) through both engines and the network.

    Raises:
        ExportError: a probability differs by more than `tolerance`.
    """
    clips = WINDOWS + 1
    videos = {
        "random": np.concatenate(random_clips(contract, clips, seed=1)),
        "moving": np.concatenate(moving_clips(contract, clips, seed=1)),
    }
    if real_clips is not None:
        enough = [real_clips[i % len(real_clips)] for i in range(clips)]
        videos["real"] = np.concatenate(enough).astype(contract.input.dtype)
    steps = WINDOWS * contract.frames
    to_network: dict[str, float] = {}
    to_window: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        engines = _engines(window, streaming, Path(folder))
        for name, video in videos.items():
            video = video[:steps]
            expected = _network_answers(network, contract, video)
            to_network[name] = to_window[name] = 0.0
            for _ in range(2):
                plain, fast = (_engine_answers(engine, video) for engine in engines)
                to_network[name] = max(to_network[name], float(np.abs(fast - expected).max()))
                to_window[name] = max(to_window[name], float(np.abs(fast - plain).max()))
    parity = StreamingParity(steps, to_network, to_window, tolerance)
    if not parity.worst <= tolerance:  # also when it is not a number
        raise ExportError(
            f"streaming parity: expected probabilities within {tolerance:g} of the window's, found {parity.worst:.1e}"
        )
    return parity


def _engines(window: onnx.ModelProto, streaming: onnx.ModelProto, folder: Path) -> tuple[WindowEngine, StreamingEngine]:
    # GPUs round differently: what is compared is the graph.
    settings = RuntimeSettings(provider="cpu")
    onnx.save(window, str(folder / "model.onnx"))
    onnx.save(streaming, str(folder / "model.stream.onnx"))
    return (
        WindowEngine(load_model(folder / "model.onnx", settings)),
        StreamingEngine(load_model(folder / "model.stream.onnx", settings)),
    )


def _engine_answers(engine: WindowEngine | StreamingEngine, video: NDArray[Any]) -> NDArray[np.float32]:
    """(windows, classes + values of action units, of which there may be none)"""
    engine.reset()
    answers = (engine.step(frame) for frame in video)
    # Each is put into an array of its own before the next step overwrites it.
    return np.stack([np.concatenate([a.probabilities, a.action_units]) for a in answers if a is not None])


def _network_answers(network: keras.Model, contract: ClipContract, video: NDArray[Any]) -> NDArray[np.float32]:
    windows = np.lib.stride_tricks.sliding_window_view(video, contract.frames, axis=0)
    windows = np.moveaxis(windows, -1, 1)
    parts: list[NDArray[np.float32]] = []
    with tf.device("CPU:0"):
        for first in range(0, len(windows), _BATCH):
            told = outputs_of(network(np.ascontiguousarray(windows[first : first + _BATCH]), training=False))
            parts.append(np.concatenate([np.asarray(values) for values in told.values()], axis=1))
    return np.concatenate(parts)
