"""A small builder for ONNX graphs of standard operators, and the values of earlier frames in a graph that sees one frame.

Earlier values are named states, inputs and outputs of the graph, instead of recomputation.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike, NDArray
from onnx import TensorProto, helper, numpy_helper

from model.config import POOL, pooled

OPSET = 17
IR_VERSION = 8

Dims = Sequence[int | str]
BATCH = "batch"
_STATE = re.compile(r"state_(?P<name>.+)_(?P<age>\d+)")


class GraphBuilder:
    """Collects nodes, constants, inputs and outputs; tensors are known by their names.

    Feature maps are "NCHW" (batch, channels, height, width).
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[tuple[str, tuple[int, ...], bytes], onnx.TensorProto] = {}
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._renamed: dict[str, str] = {}

    def constant(self, values: ArrayLike, dtype: Any = np.float32) -> str:
        """A constant tensor; equal ones are stored once."""
        array = np.ascontiguousarray(values, dtype=dtype)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            self._constants[key] = numpy_helper.from_array(array, f"constant_{len(self._constants)}")
        return self._constants[key].name

    def node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """One operator of the default domain with one output."""
        return self.nodes(operator, 1, *inputs, **attributes)[0]

    def nodes(self, operator: str, outputs: int, *inputs: str, **attributes: Any) -> list[str]:
        """One operator of the default domain with several outputs."""
        name = f"{operator.lower()}_{len(self._nodes)}"
        names = [name] if outputs == 1 else [f"{name}_{i}" for i in range(outputs)]
        self._nodes.append(helper.make_node(operator, list(inputs), names, name=f"{name}_node", **attributes))
        return names

    def input(self, name: str, shape: Dims, dtype: int = TensorProto.FLOAT) -> str:
        self._inputs.append(helper.make_tensor_value_info(name, dtype, list(shape)))
        return name

    def output(self, tensor: str, name: str, shape: Dims) -> None:
        """Makes a computed tensor a float32 output called `name`, without a copy."""
        if tensor in self._renamed:
            raise ValueError(f"graph output {name}: expected a tensor that is no output yet, found {tensor}")
        self._renamed[tensor] = name
        self._outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape)))

    def model(self, producer: str) -> onnx.ModelProto:
        """The checked model."""
        for node in self._nodes:
            for names in (node.input, node.output):
                names[:] = [self._renamed.get(name, name) for name in names]
        constants = list(self._constants.values())
        graph = helper.make_graph(self._nodes, self._name, self._inputs, self._outputs, constants)
        imports = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=imports, ir_version=IR_VERSION, producer_name=producer)
        onnx.checker.check_model(model, full_check=True)
        return model

    # Shorthands for the operators used most.

    def reshape(self, tensor: str, shape: Sequence[int]) -> str:
        """0 keeps a dimension, -1 is what is left."""
        return self.node("Reshape", tensor, self.constant(shape, np.int64))

    def conv(self, tensor: str, weights: NDArray, bias: NDArray | None = None, stride_w: int = 1) -> str:
        """2-D convolution of an NCHW tensor that keeps height and width (width / stride_w).

        `weights` is (outputs, inputs, kernel height, kernel width), with odd kernel height and kernel width an odd
        multiple of stride_w.
        """
        height, width = weights.shape[2:]
        rows, columns = height // 2, (width // stride_w // 2) * stride_w
        inputs = [tensor, self.constant(weights)]
        if bias is not None:
            inputs.append(self.constant(bias))
        return self.node(
            "Conv", *inputs, kernel_shape=[height, width], strides=[1, stride_w], pads=[rows, columns, rows, columns]
        )

    def max_pool(self, tensor: str, size: int) -> str:
        """Spatial max pooling of an NCHW tensor of that height and width, window and stride 3, padding "same"."""
        padding = POOL * pooled(size) - size
        before, after = padding // 2, padding - padding // 2
        return self.node(
            "MaxPool", tensor, kernel_shape=[POOL, POOL], strides=[POOL, POOL], pads=[before, before, after, after]
        )

    def concat(self, tensors: Sequence[str], axis: int) -> str:
        return tensors[0] if len(tensors) == 1 else self.node("Concat", *tensors, axis=axis)

    def maximum(self, tensors: Sequence[str]) -> str:
        return tensors[0] if len(tensors) == 1 else self.node("Max", *tensors)


@dataclass(frozen=True)
class StreamState:
    """A quantity whose past values a streaming graph needs.

    The graph gives this frame's value as the output `next_state_<name>`, and takes the value of `age` frames ago as the
    input `state_<name>_<age>`, for each age in `ages` (ascending, in frames). `shape` leaves the batch out. Before the
    first frame, and after a reset, all values are zero.
    """

    name: str
    shape: tuple[int, ...]
    ages: tuple[int, ...]

    @property
    def output(self) -> str:
        return f"next_state_{self.name}"

    def input(self, age: int) -> str:
        return f"state_{self.name}_{age}"


def stream_states(model: onnx.ModelProto) -> tuple[StreamState, ...]:
    """The states of a streaming graph, by name."""
    ages: dict[str, list[int]] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    for tensor in model.graph.input:
        if match := _STATE.fullmatch(tensor.name):
            ages.setdefault(match["name"], []).append(int(match["age"]))
            shapes[match["name"]] = tuple(dim.dim_value for dim in tensor.type.tensor_type.shape.dim[1:])
    return tuple(StreamState(name, shapes[name], tuple(sorted(ages[name]))) for name in sorted(ages))


@dataclass
class _Stream:
    shape: tuple[int, ...]
    compute: Callable[[], str]
    tensor: str | None = None
    inputs: dict[int, str] = field(default_factory=dict)


class Streams:
    """Quantities that have one value a frame. `value(name, age)` is the value `name` had `age` frames ago.

    Nothing is computed, stored or passed that is not asked for. An age of 0 is this frame's value. A larger age becomes
    the graph input `state_<name>_<age>`, and the stream's value of this frame becomes the output `next_state_<name>`:
    the caller keeps the last values and binds them by age, so nothing is copied or shifted inside the graph.
    """

    def __init__(self, graph: GraphBuilder) -> None:
        self._graph = graph
        self._streams: dict[str, _Stream] = {}

    def define(self, name: str, shape: tuple[int, ...], compute: Callable[[], str]) -> None:
        """A stream of float32 tensors (batch, *shape); `compute` adds the nodes for this frame's value."""
        if name in self._streams:
            raise ValueError(f"stream {name}: expected a new name, found one that is defined")
        self._streams[name] = _Stream(shape, compute)

    def value(self, name: str, age: int = 0) -> str:
        """The tensor that holds the value of `age` frames ago. Before the first frame it is zero."""
        stream = self._streams[name]
        if age < 0:
            raise ValueError(f"stream {name}: expected an age >= 0, found {age}")
        if age == 0:
            if stream.tensor is None:
                stream.tensor = stream.compute()
            return stream.tensor
        if age not in stream.inputs:
            stream.inputs[age] = self._graph.input(f"state_{name}_{age}", (BATCH, *stream.shape))
        return stream.inputs[age]

    def add_outputs(self) -> None:
        """Makes this frame's value of every stream that is remembered an output."""
        done: set[str] = set()
        # Computing one stream may ask for the past of another.
        while pending := [name for name, s in self._streams.items() if s.inputs and name not in done]:
            for name in pending:
                self._graph.output(self.value(name), f"next_state_{name}", (BATCH, *self._streams[name].shape))
                done.add(name)
