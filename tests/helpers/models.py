"""A tiny ONNX model with the real interface, so that live tests need no training."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from model.contract import ClipContract, NetworkInput, Reference

CLASSES = ("negative", "positive", "surprise", "neutral")


def tiny_contract(**changes: object) -> ClipContract:
    values: dict = {
        "class_names": CLASSES,
        "input": NetworkInput("flow", 32),
        "reference": Reference("ema", time_constant_s=2.0),
        "training_data": "nothing, a model for tests",
    }
    return ClipContract(**(values | changes))


def save_tiny_model(
    path: Path, contract: ClipContract | None = None, metadata: dict[str, str] | None = None
) -> ClipContract:
    """Softmax of a fixed random map of the clip's mean over time, and of another the sigmoid where the contract tells action
    units. `metadata` replaces the contract's."""
    contract = contract or tiny_contract()
    frames, height, width, channels = contract.input_shape
    rng = np.random.default_rng(7)
    weights = rng.normal(0, 0.02, (height * width * channels, len(contract.class_names))).astype(np.float32)
    kind = TensorProto.UINT8 if contract.input.dtype == "uint8" else TensorProto.FLOAT
    nodes = [
        helper.make_node("Cast", ["clip"], ["x"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["x"], ["mean"], axes=[1], keepdims=0),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    outputs = [_numbers("probabilities", len(contract.class_names))]
    initializers = [numpy_helper.from_array(weights, "weights")]
    if contract.action_units is not None:
        units = len(contract.action_units.names)
        initializers.append(numpy_helper.from_array(_unit_weights(height * width * channels, units), "unit_weights"))
        nodes += [
            helper.make_node("MatMul", ["flat", "unit_weights"], ["unit_logits"]),
            helper.make_node("Sigmoid", ["unit_logits"], ["action_units"]),
        ]
        outputs.append(_numbers("action_units", units))
    clip = helper.make_tensor_value_info("clip", kind, ["batch", frames, height, width, channels])
    graph = helper.make_graph(nodes, "tiny", [clip], outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    for key, value in (contract.to_metadata() if metadata is None else metadata).items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    onnx.save(model, str(path))
    return contract


def save_tiny_streaming_model(path: Path, contract: ClipContract | None = None) -> ClipContract:
    """The same answers as those of `save_tiny_model`: means of logits of each frame, the earlier ones of which are its
    states."""
    contract = contract or tiny_contract()
    frames, height, width, channels = contract.input_shape
    classes, earlier = len(contract.class_names), frames - 1
    weights = np.random.default_rng(7).normal(0, 0.02, (height * width * channels, classes)).astype(np.float32)
    heads = [
        ("logits", "probabilities", weights, helper.make_node("Softmax", ["mean_logits"], ["probabilities"], axis=1))
    ]
    if contract.action_units is not None:
        unit_weights = _unit_weights(height * width * channels, len(contract.action_units.names))
        sigmoid = helper.make_node("Sigmoid", ["mean_units"], ["action_units"])
        heads.append(("units", "action_units", unit_weights, sigmoid))
    nodes = [helper.make_node("Flatten", ["frame"], ["flat"])]
    inputs = [helper.make_tensor_value_info("frame", TensorProto.FLOAT, ["batch", height, width, channels])]
    outputs, initializers = [], []
    for state, output, of_frame, last in heads:
        states = [f"state_{state}_{age}" for age in range(1, earlier + 1)]
        nodes += [
            helper.make_node("MatMul", ["flat", f"weights_{state}"], [f"next_state_{state}"]),
            helper.make_node("Mean", [f"next_state_{state}", *states], [f"mean_{state}"]),
            last,
        ]
        inputs += [_numbers(name, of_frame.shape[1]) for name in states]
        outputs += [_numbers(name, of_frame.shape[1]) for name in (output, f"next_state_{state}")]
        initializers.append(numpy_helper.from_array(of_frame, f"weights_{state}"))
    graph = helper.make_graph(nodes, "tiny streaming", inputs, outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    for key, value in contract.to_metadata().items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    onnx.save(model, str(path))
    return contract


def _unit_weights(inputs: int, units: int) -> np.ndarray:
    return np.random.default_rng(8).normal(0, 0.05, (inputs, units)).astype(np.float32)


def _numbers(name: str, count: int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", count])
