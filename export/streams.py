"""Values of earlier frames inside a graph that sees one frame: named states instead of recomputation."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

import onnx

from export.graph import GraphBuilder

BATCH = "batch"
_STATE = re.compile(r"state_(?P<name>.+)_(?P<age>\d+)")


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
