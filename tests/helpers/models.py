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
    """Softmax of a fixed random map of the clip's mean and spread over time. `metadata` replaces the contract's."""
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
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("clip", kind, ["batch", frames, height, width, channels])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", len(contract.class_names)])],
        [numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    for key, value in (contract.to_metadata() if metadata is None else metadata).items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    onnx.save(model, str(path))
    return contract


def save_tiny_streaming_model(path: Path, contract: ClipContract | None = None) -> ClipContract:
    """Softmax of the window's mean logits, of a fixed random map of each frame: the earlier frames' logits are its states."""
    contract = contract or tiny_contract()
    frames, height, width, channels = contract.input_shape
    classes, earlier = len(contract.class_names), frames - 1
    weights = np.random.default_rng(7).normal(0, 0.02, (height * width * channels, classes)).astype(np.float32)
    states = [f"state_logits_{age}" for age in range(1, earlier + 1)]
    nodes = [
        helper.make_node("Flatten", ["frame"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["next_state_logits"]),
        helper.make_node("Mean", ["next_state_logits", *states], ["mean"]),
        helper.make_node("Softmax", ["mean"], ["probabilities"], axis=1),
    ]
    frame = helper.make_tensor_value_info("frame", TensorProto.FLOAT, ["batch", height, width, channels])
    logits = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", classes]) for name in states]
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", classes])
        for name in ("probabilities", "next_state_logits")
    ]
    graph = helper.make_graph(
        nodes, "tiny streaming", [frame, *logits], outputs, [numpy_helper.from_array(weights, "weights")]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    for key, value in contract.to_metadata().items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    onnx.save(model, str(path))
    return contract
