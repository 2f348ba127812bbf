"""Damage to what an ONNX model says: its graph, its weights, its inputs and outputs, and the contract in its metadata."""

from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from tests.fuzz.text_mutations import mutated_json

_TYPES = (TensorProto.UINT8, TensorProto.INT64, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.STRING, 99)
_SIZES = (0, 1, 2, 7, -1, 2**31, 2**62)


def mutated_model(data: bytes, rng: Random) -> tuple[bytes, str]:
    """One or two changes that leave a file of the right form."""
    model = onnx.load_model_from_string(data)
    names: list[str] = []
    for _ in range(rng.choice((1, 1, 2))):
        change = rng.choice(_CHANGES)
        names.append(f"{change.__name__.strip('_')} {change(model, rng)}".strip())
    return model.SerializeToString(), ", ".join(names)


def mutated_contract(data: bytes, rng: Random) -> tuple[bytes, str]:
    """Only what the contract in the metadata says."""
    model = onnx.load_model_from_string(data)
    how = _contract(model, rng)
    return model.SerializeToString(), f"contract {how}"


def _contract(model: onnx.ModelProto, rng: Random) -> str:
    entry = next((entry for entry in model.metadata_props if entry.key == "microlive.contract"), None)
    if entry is None:
        return "none"
    text, how = mutated_json(entry.value, rng)
    entry.value = text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    return how


def _drop_metadata(model: onnx.ModelProto, rng: Random) -> str:
    del model.metadata_props[:]
    return ""


def _drop_node(model: onnx.ModelProto, rng: Random) -> str:
    return _dropped(model.graph.node, rng)


def _drop_weights(model: onnx.ModelProto, rng: Random) -> str:
    return _dropped(model.graph.initializer, rng)


def _drop_input(model: onnx.ModelProto, rng: Random) -> str:
    return _dropped(model.graph.input, rng)


def _drop_output(model: onnx.ModelProto, rng: Random) -> str:
    return _dropped(model.graph.output, rng)


def _swap_nodes(model: onnx.ModelProto, rng: Random) -> str:
    nodes = list(model.graph.node)
    rng.shuffle(nodes)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return ""


def _rename_value(model: onnx.ModelProto, rng: Random) -> str:
    values = [*model.graph.input, *model.graph.output]
    if not values:
        return "none"
    value = rng.choice(values)
    name = rng.choice(("x", "", "frame", "clip", "state_x_1", "state_x_0", "state_x_99999999", "next_state_x"))
    if rng.random() < 0.5:  # everywhere, so that the graph stays whole
        for node in model.graph.node:
            for part in (node.input, node.output):
                for place, found in enumerate(part):
                    part[place] = name if found == value.name else found
    value.name = name
    return name


def _change_dims(model: onnx.ModelProto, rng: Random) -> str:
    values = [value for value in (*model.graph.input, *model.graph.output) if value.type.tensor_type.shape.dim]
    if not values:
        return "none"
    value = rng.choice(values)
    dims = value.type.tensor_type.shape.dim
    if rng.random() < 0.2:
        del dims[rng.randrange(len(dims))]
        return f"{value.name}: one less"
    dim = rng.choice(dims)
    size = rng.choice((*_SIZES, "batch", "n"))
    if isinstance(size, str):
        dim.dim_param = size
    else:
        dim.dim_value = size
    return f"{value.name}: {size}"


def _change_type(model: onnx.ModelProto, rng: Random) -> str:
    values = [*model.graph.input, *model.graph.output]
    if not values:
        return "none"
    value = rng.choice(values)
    value.type.tensor_type.elem_type = rng.choice(_TYPES)
    return value.name


def _poison_weights(model: onnx.ModelProto, rng: Random) -> str:
    """Numbers that make no answer."""
    floats = [tensor for tensor in model.graph.initializer if tensor.data_type == TensorProto.FLOAT]
    if not floats:
        return "none"
    tensor = rng.choice(floats)
    fill = rng.choice((np.nan, np.inf, 1e38, -1e38, 0.0))
    tensor.CopyFrom(numpy_helper.from_array(np.full(tuple(tensor.dims), fill, np.float32), tensor.name))
    return f"{tensor.name} = {fill}"


def _wrong_weight_dims(model: onnx.ModelProto, rng: Random) -> str:
    if not model.graph.initializer:
        return "none"
    tensor = rng.choice(model.graph.initializer)
    if not tensor.dims:
        return "none"
    tensor.dims[rng.randrange(len(tensor.dims))] = rng.choice(_SIZES)
    return tensor.name


def _external_weights(model: onnx.ModelProto, rng: Random) -> str:
    """Weights that are said to lie in another file."""
    if not model.graph.initializer:
        return "none"
    tensor = rng.choice(model.graph.initializer)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", rng.choice(("nothing.bin", "../../../etc/passwd", "/dev/zero", ""))
    return entry.value


def _change_operator(model: onnx.ModelProto, rng: Random) -> str:
    if not model.graph.node:
        return "none"
    node = rng.choice(model.graph.node)
    node.op_type = rng.choice(("Relu", "Identity", "Nothing", "Loop", "Reshape", "MatMul", "Cast", "Softmax", "Shape"))
    return node.op_type


def _change_version(model: onnx.ModelProto, rng: Random) -> str:
    if rng.random() < 0.5:
        model.ir_version = rng.choice((0, 1, 99, 2**40))
        return f"ir {model.ir_version}"
    for opset in model.opset_import:
        opset.version = rng.choice((0, 1, 5, 9999))
    return "opset"


def _dropped(parts: Any, rng: Random) -> str:
    """One of a repeated field's parts."""
    if not parts:
        return "none"
    place = rng.randrange(len(parts))
    name = parts[place].name
    del parts[place]
    return name


_CHANGES: tuple[Callable[[onnx.ModelProto, Random], str], ...] = (
    _contract, _contract, _drop_metadata, _drop_node, _drop_weights, _drop_input, _drop_output, _swap_nodes,
    _rename_value, _rename_value, _change_dims, _change_dims, _change_type, _poison_weights, _poison_weights,
    _wrong_weight_dims, _external_weights, _change_operator, _change_version,
)  # fmt: skip
