"""Keras network → ONNX window model, in half precision too: a whole clip in, its answers out, the contract in it."""

import logging
from typing import Any

import keras
import onnx
import tensorflow as tf
import tf2onnx
from onnxruntime.transformers.float16 import convert_float_to_float16

from export.errors import ExportError
from export.stamp import store_contract
from model.contract import ClipContract
from model.network import network_config

OPSET = 17
INPUT_NAME, OUTPUT_NAME, UNITS_NAME = "clip", "probabilities", "action_units"
# The converter takes names as well as a bool, which its annotation does not say.
_OUTSIDE: Any = ["clip", "frame", "probabilities", "action_units"]


def build_window_model(network: keras.Model, contract: ClipContract) -> onnx.ModelProto:
    """The network as ONNX, opset 17.

    Input `clip` (batch, frames, size, size, channels) of the contract's dtype, not scaled: scaling is in the graph.
    Output `probabilities` (batch, classes) float32, and where the network tells action units `action_units` (batch,
    2 units) float32. The batch is dynamic.

    Raises:
        ExportError: network and contract do not fit, or the conversion failed.
    """
    require_fit(network, contract)
    for name in ("tf2onnx", "tensorflow"):
        logging.getLogger(name).setLevel(logging.ERROR)
    call: Any = network
    spec: Any = tf.TensorSpec  # its stub knows no arguments
    signature = (spec((None, *contract.input_shape), contract.input.dtype, name=INPUT_NAME),)

    @tf.function(input_signature=signature)
    def answer(clip: Any) -> Any:
        return [tf.identity(values, name=name) for name, values in outputs_of(call(clip, training=False)).items()]

    try:
        model, _ = tf2onnx.convert.from_function(answer, input_signature=signature, opset=OPSET)
    except Exception as error:  # tf2onnx raises many kinds
        raise ExportError(f"conversion to ONNX failed: {' '.join(str(error).split())}") from error
    names = (OUTPUT_NAME, UNITS_NAME) if contract.action_units else (OUTPUT_NAME,)
    for output, name in zip(model.graph.output, names, strict=True):
        _name_output(model.graph, output, name)
    for port in (*model.graph.input, *model.graph.output):
        port.type.tensor_type.shape.dim[0].dim_param = "batch"
    standard = [entry for entry in model.opset_import if not entry.domain]  # the converter lists unused ones
    del model.opset_import[:]
    model.opset_import.extend(standard)
    model.graph.name = network.name
    store_contract(model, contract)
    return model


def require_fit(network: keras.Model, contract: ClipContract) -> None:
    """Raises ExportError when the network is not the one that the contract describes."""
    config = network_config(network)
    pairs = (
        ("input shape", contract.input_shape, config.input_shape),
        ("input type", contract.input.dtype, config.input_dtype),
        ("classes", len(contract.class_names), config.classes),
        ("action units", len(contract.action_units.numbers) if contract.action_units else 0, config.action_units),
        ("scaling (offset, scale)", (contract.input.offset, contract.input.scale), (config.offset, config.scale)),
    )
    for what, expected, found in pairs:
        if expected != found:
            raise ExportError(f"{what}: expected {expected} as in the contract, found {found} in the network")


def outputs_of(answer: Any) -> dict[str, Any]:
    """What a network answered, by the names of the exported model's outputs, in their order."""
    if not isinstance(answer, dict):
        return {OUTPUT_NAME: answer}
    return {name: answer[name] for name in (OUTPUT_NAME, UNITS_NAME)}


def _name_output(graph: onnx.GraphProto, output: onnx.ValueInfoProto, name: str) -> None:
    """Gives one of the graph's outputs its name; the converter's own are the layers', or have a suffix."""
    old = output.name
    for node in graph.node:
        for names in (node.output, node.input):
            names[:] = [name if known == old else known for known in names]
    output.name = name


def half_precision(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with float16 arithmetic and states; what goes in and the answers stay as they are."""
    halved = convert_float_to_float16(model, keep_io_types=_OUTSIDE, op_block_list=[])
    assert isinstance(halved, onnx.ModelProto)
    return halved
