"""Is the exported model sound, and does it answer like the network? What fails either is refused."""

from collections.abc import Mapping
from dataclasses import dataclass

import keras
import numpy as np
import onnx
import onnxruntime
import tensorflow as tf
from numpy.typing import NDArray

from export.errors import ExportError
from export.window_model import outputs_of
from model.contract import ClipContract

TOLERANCE = 1e-5
_CONTROL_FLOW = {"Loop", "Scan", "If"}


@dataclass(frozen=True)
class Parity:
    """Largest difference of any probability, those of action units too, between network and exported model, by kind of clip."""

    max_difference: Mapping[str, float]
    clips: Mapping[str, int]
    tolerance: float = TOLERANCE

    @property
    def worst(self) -> float:
        return max(self.max_difference.values())


def check_model(model: onnx.ModelProto) -> None:
    """Raises ExportError unless the model passes ONNX's checker with standard operators and no control flow."""
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(f"the ONNX checker refused the model: {' '.join(str(error).split())}") from error
    foreign = sorted({f"{node.domain}.{node.op_type}" for node in model.graph.node if node.domain})
    domains = sorted({entry.domain for entry in model.opset_import if entry.domain})
    if foreign or domains:
        raise ExportError(f"operators: expected ONNX's own only, found {', '.join(foreign or domains)}")
    loops = sorted({node.op_type for node in model.graph.node} & _CONTROL_FLOW)
    if loops:
        raise ExportError(f"operators: expected no control flow, found {', '.join(loops)}")


def check_parity(
    network: keras.Model,
    model: onnx.ModelProto,
    contract: ClipContract,
    real_clips: NDArray | None = None,
    seed: int = 0,
) -> Parity:
    """Compares answers on random clips, on drawn moving ones and on `real_clips` (n, *contract.input_shape) if given.

    Each set is asked as one batch and its first clip alone. Both sides run on the CPU: GPUs round differently.

    Raises:
        ExportError: a probability differs by more than `TOLERANCE`, or the model cannot be run.
    """
    sets = {"random": random_clips(contract, 3, seed), "moving": moving_clips(contract, 2, seed)}
    if real_clips is not None:
        sets["real"] = real_clips.astype(contract.input.dtype)
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        differences = {name: _difference(network, session, clips) for name, clips in sets.items()}
    except Exception as error:  # ONNX Runtime raises its own many kinds
        raise ExportError(f"ONNX Runtime cannot run the model: {' '.join(str(error).split())}") from error
    parity = Parity(differences, {name: len(clips) for name, clips in sets.items()})
    if not parity.worst <= TOLERANCE:  # also when it is not a number
        told = ", ".join(f"{value:.1e} on {name} clips" for name, value in differences.items())
        raise ExportError(f"parity: expected probabilities within {TOLERANCE:g} of the network's, found {told}")
    return parity


def random_clips(contract: ClipContract, count: int, seed: int) -> NDArray:
    """White noise over the range the network sees: (count, *contract.input_shape)."""
    rng = np.random.default_rng(seed)
    shape = (count, *contract.input_shape)
    if contract.input.dtype == "uint8":
        return rng.integers(0, 256, shape, dtype=np.uint8)
    return (contract.input.offset + contract.input.scale * rng.standard_normal(shape)).astype(np.float32)


def moving_clips(contract: ClipContract, count: int, seed: int) -> NDArray:
    """A soft spot that wanders over each frame, of the input's usual size: (count, *contract.input_shape)."""
    rng = np.random.default_rng(seed)
    frames, size, _, channels = contract.input_shape
    axis = np.linspace(-1, 1, size)
    clips = np.zeros((count, *contract.input_shape))
    for clip in clips:
        start, speed = rng.uniform(-0.5, 0.5, 2), rng.uniform(-1, 1, 2)
        for index in range(frames):
            x, y = start + speed * index / frames
            spot = np.exp(-((axis[:, None] - y) ** 2 + (axis[None, :] - x) ** 2) / 0.1)
            clip[index] = spot[:, :, None] * rng.uniform(-1, 1, channels)
    values = contract.input.offset + contract.input.scale * clips
    return np.clip(values, 0, 255).astype(np.uint8) if contract.input.dtype == "uint8" else values.astype(np.float32)


def _difference(network: keras.Model, session: onnxruntime.InferenceSession, clips: NDArray) -> float:
    with tf.device("CPU:0"):
        expected = {name: np.asarray(values) for name, values in outputs_of(network(clips, training=False)).items()}
    (given,) = (port.name for port in session.get_inputs())
    differences = [
        np.abs(np.asarray(found) - wanted[: len(shown)]).max()
        for shown in (clips, clips[:1])
        for found, wanted in zip(session.run(list(expected), {given: shown}), expected.values(), strict=True)
    ]
    return float(np.max(differences))
