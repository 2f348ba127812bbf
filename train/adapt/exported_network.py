"""A Keras network again out of an exported window model.

The converter names a model's constants after the layers that they are of. Whether they were put in their places rightly is
not believed but asked: the network must answer as the exported model does.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import keras
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from model.config import FusionKind, NetworkConfig
from model.contract import ClipContract
from model.network import build_network
from model.variants import VARIANTS
from train.errors import UsageError
from train.scores.evaluate import OnnxPredictor

TOLERANCE = 1e-5
"""Of every probability, as for models that are exported."""
_CLIPS = 4

_NUMBER = r"(?:_\d+)?"
_PLACES = {
    "kernel": ("Cast/ReadVariableOp:0", "convolution/ReadVariableOp:0"),
    "bias": ("BiasAdd/ReadVariableOp:0", "Squeeze:0"),
    "recurrent_kernel": ("Cast_1/ReadVariableOp:0",),
}
"""Behind a layer's own name: where the converter has a dense layer's weights, and those of a convolution."""
_GRU_BIAS = ("Squeeze:0", "Squeeze_1:0")
"""Of the input and of the state before, one row of Keras' bias each."""


def network_of(path: Path) -> keras.Model:
    """The network of an exported window model (`model.onnx`), action units included.

    Dropout is no part of an exported model: the network has the paper's.

    Raises:
        UsageError: it is no window model of ours, or its weights cannot be told from its graph.
    """
    predictor = OnnxPredictor(path)
    contract, values = predictor.contract, _constants(path)
    clips = _random_clips(contract)
    wanted = np.concatenate(predictor.predict_units(clips), axis=1)
    closest = np.inf
    for config in _configs(contract):
        network = build_network(config)
        if not _filled(network, values):
            continue
        answer: Any = network(clips, training=False)
        parts = [answer["probabilities"], answer["action_units"]] if isinstance(answer, dict) else [answer]
        differs = float(np.abs(np.concatenate([np.asarray(part) for part in parts], axis=1) - wanted).max())
        if differs <= TOLERANCE:
            return network
        closest = min(closest, differs)
    why = "a weight is missing in its graph" if np.isinf(closest) else f"answers would differ by {closest:.1e}"
    raise UsageError(f"{path}: the network cannot be made of it again ({why}); give the run that it was exported from")


def _configs(contract: ClipContract) -> Iterator[NetworkConfig]:
    """What a network of this contract may be: the rows of the ablation, each architecture once."""
    recipe, seen = contract.input, set[NetworkConfig]()
    for row in reversed(tuple(VARIANTS.values())):
        for fusion in get_args(FusionKind):
            config = replace(
                row.config,
                depth=contract.frames,
                size_px=recipe.size_px,
                channels=recipe.channels,
                classes=len(contract.class_names),
                fusion=fusion,
                offset=recipe.offset,
                scale=recipe.scale,
                input_dtype="uint8" if recipe.dtype == "uint8" else "float32",
                action_units=len(contract.action_units.numbers) if contract.action_units else 0,
            )
            if config not in seen:
                seen.add(config)
                yield config


def _constants(path: Path) -> dict[str, NDArray[Any]]:
    return {one.name: numpy_helper.to_array(one) for one in onnx.load(str(path)).graph.initializer}


def _filled(network: keras.Model, values: Mapping[str, NDArray[Any]]) -> bool:
    """Puts the constants into the network's weights; False where one of them is not there, or of another shape."""
    found = [_weight(weight.path, len(weight.shape), values) for weight in network.weights]
    fits = [one is not None and one.shape == tuple(w.shape) for one, w in zip(found, network.weights, strict=True)]
    if not all(fits):
        return False
    network.set_weights(found)
    return True


def _weight(path: str, axes: int, values: Mapping[str, NDArray[Any]]) -> NDArray[Any] | None:
    """The value of a weight, by its path in Keras ("gru/gru_cell/kernel")."""
    *layers, name = path.split("/")
    if layers[-1] == "gru_cell" and name == "bias":
        rows = [_constant(layers, place, values) for place in _GRU_BIAS]
        return None if any(row is None for row in rows) else np.stack([row for row in rows if row is not None])
    value = next((one for place in _PLACES[name] if (one := _constant(layers, place, values)) is not None), None)
    # ONNX has a convolution's channels first, those that come out before those that go in.
    return np.moveaxis(value, (0, 1), (-1, -2)) if value is not None and axes == 5 else value


def _constant(layers: list[str], place: str, values: Mapping[str, NDArray[Any]]) -> NDArray[Any] | None:
    """The converter numbers names that occur again, whether of layers or of the whole network."""
    pattern = re.compile(
        rf"microlive{_NUMBER}/{'/'.join(re.escape(one) + _NUMBER for one in layers)}/{re.escape(place)}"
    )
    return next((value for name, value in values.items() if pattern.fullmatch(name)), None)


def _random_clips(contract: ClipContract) -> NDArray[Any]:
    """White noise over the range that the network sees."""
    recipe, rng = contract.input, np.random.default_rng(0)
    shape = (_CLIPS, *contract.input_shape)
    if recipe.dtype == "uint8":
        return rng.integers(0, 256, shape, dtype=np.uint8)
    return (recipe.offset + recipe.scale * rng.standard_normal(shape)).astype(np.float32)
