"""The network's convolutions and poolings, one frame at a time: the first of each branch, then the trunk's.

A convolution over time is a sum over its taps, one 2-D convolution each, and zero padding leaves taps out. Each frame
completes one slice, and gives the slices at the edges of the windows that begin and end near it. Slices are pooled in
space at once, and in time when their group is ready.

The trunk goes on from pooled groups to the GRU's steps.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from export.streaming.graph import BATCH, GraphBuilder, Streams
from export.streaming.plan import Edge, SliceRef, StreamPlan
from model.config import LEAKY_SLOPE, POOL, NetworkConfig, pooled

PREVIOUS, SAME, NEXT = range(3)
"""Taps of the trunk's convolution: slice j = previous·group j-1 + same·group j + next·group j+1."""
_TAPS_OF = {Edge.LEFT: (PREVIOUS, SAME), Edge.INNER: (PREVIOUS, SAME, NEXT), Edge.RIGHT: (SAME, NEXT)}
"""No slice lies before the first group, nor after the last."""


class Frames:
    """The input, and what the network sees of the last frames.

    The graph input "frame" is (batch, height, width, channels); the stream "frame" is (batch, 1, height,
    width·channels), less the offset. Colours stay interleaved: a kernel `channels` times as wide, with that stride, sees
    them all, and nothing has to be transposed.
    """

    def __init__(self, graph: GraphBuilder, streams: Streams, config: NetworkConfig) -> None:
        self._graph = graph
        self._streams = streams
        self._config = config
        self._stacks: dict[int, str] = {}
        size, channels = config.size_px, config.channels
        dtype = TensorProto.UINT8 if config.input_dtype == "uint8" else TensorProto.FLOAT
        self._input = graph.input("frame", (BATCH, size, size, channels), dtype)
        self._shape = (1, size, size * channels)
        streams.define("frame", self._shape, self._centred)

    def at(self, age: int) -> str:
        """The frame of `age` frames ago."""
        return self._streams.value("frame", age)

    def stack(self, count: int) -> str:
        """The last `count` frames as channels, the oldest first."""
        if count not in self._stacks:
            self._stacks[count] = self._graph.concat([self.at(age) for age in reversed(range(count))], axis=1)
        return self._stacks[count]

    def _centred(self) -> str:
        values = self._graph.reshape(self._input, (-1, *self._shape))
        if self._config.input_dtype == "uint8":
            values = self._graph.node("Cast", values, to=TensorProto.FLOAT)
        offset = self._config.offset
        return self._graph.node("Sub", values, self._graph.constant(offset)) if offset else values


class Branch:
    """One of the two first convolutions, with its pooling and activation.

    Args:
        kernel: (time, height, width, channels, filters), as Keras keeps it.
        bias: (filters,).
    """

    def __init__(
        self,
        graph: GraphBuilder,
        streams: Streams,
        frames: Frames,
        plan: StreamPlan,
        config: NetworkConfig,
        kernel: NDArray,
        bias: NDArray,
    ) -> None:
        self._graph = graph
        self._streams = streams
        self._frames = frames
        self._channels = config.channels
        self._size_px = config.size_px
        size, filters = kernel.shape[0], kernel.shape[-1]
        # One 2-D kernel (filters, 1, height, width·channels) a tap. Being linear, it takes the input's scale in.
        self._taps = kernel.transpose(0, 4, 1, 2, 3).reshape(size, filters, 1, size, -1) / config.scale
        self._bias = bias
        self._reach = size // 2
        self._name = f"branch{size}"
        self._maps: dict[tuple[Edge, int], str] = {}
        self._groups: dict[Edge, list[SliceRef]] = {
            Edge.LEFT: plan.left_group(self._reach),
            Edge.INNER: plan.inner_group(self._reach),
            Edge.RIGHT: plan.right_group(self._reach),
        }
        pixels = pooled(config.size_px)
        group_shape = (filters, pixels, pixels)
        map_shape = (filters, config.size_px, config.size_px)
        for edge, distance in self._slices():
            name = self._slice_name(edge, distance)
            streams.define(name, group_shape, lambda e=edge, d=distance: self._pooled(e, d))
            streams.define(f"{name}_map", map_shape, lambda e=edge, d=distance: self._map(e, d))

    def group(self, edge: Edge) -> str:
        """The group of that edge which is ready with this frame, (batch, filters, height, width) before activation."""
        slices = [self._streams.value(self._slice_name(ref.edge, ref.distance), ref.age) for ref in self._groups[edge]]
        return self._graph.maximum(slices)

    def _slices(self) -> list[tuple[Edge, int]]:
        edges = [(edge, distance) for edge in (Edge.LEFT, Edge.RIGHT) for distance in range(self._reach)]
        return [(Edge.INNER, 0), *edges]

    def _slice_name(self, edge: Edge, distance: int) -> str:
        return f"{self._name}_{edge.value}{distance}"

    def _pooled(self, edge: Edge, distance: int) -> str:
        return self._graph.max_pool(self._map(edge, distance), self._size_px)

    def _map(self, edge: Edge, distance: int) -> str:
        """A slice before pooling and activation, (batch, filters, height, width)."""
        key = edge, distance
        if key not in self._maps:
            if edge is Edge.LEFT:
                self._maps[key] = self._left_map(distance)
            else:
                missing = self._reach - distance if edge is Edge.RIGHT else 0
                self._maps[key] = self._right_map(taps=len(self._taps) - missing)
        return self._maps[key]

    def _right_map(self, taps: int) -> str:
        """The slice whose `taps`-th tap is this frame's; all taps make the complete slice."""
        if taps == self._reach + 1:
            return self._convolve(self._frames.stack(taps), np.concatenate(self._taps[:taps], axis=1), self._bias)
        shorter = self._slice_name(Edge.RIGHT, taps - self._reach - 2)
        # A pooling by 1 changes nothing, but makes ONNX Runtime's CPU provider take the sum into the convolution.
        earlier = self._graph.node("MaxPool", self._streams.value(f"{shorter}_map", 1), kernel_shape=[1, 1])
        return self._graph.node("Add", self._convolve(self._frames.at(0), self._taps[taps - 1]), earlier)

    def _left_map(self, distance: int) -> str:
        """The complete slice less the taps of frames before the window in which it is `distance` from the start."""
        tap = self._reach - distance - 1
        longer = (Edge.LEFT, distance + 1) if tap else (Edge.INNER, 0)
        removed = self._convolve(self._frames.at(len(self._taps) - 1 - tap), -self._taps[tap])
        return self._graph.node("Add", removed, self._map(*longer))

    def _convolve(self, frames: str, weights: NDArray, bias: NDArray | None = None) -> str:
        return self._graph.conv(frames, weights, bias, stride_w=self._channels)


class Trunk:
    """Partial products of each group with each tap, summed to slices, pooled to steps.

    Inner groups of a window are three frames apart, so what belongs to the group before is three frames old.

    Args:
        kernel: (3, height, width, channels of both branches, filters), as Keras keeps it.
        bias: (filters,).
    """

    def __init__(
        self,
        graph: GraphBuilder,
        streams: Streams,
        branches: Sequence[Branch],
        plan: StreamPlan,
        config: NetworkConfig,
        kernel: NDArray,
        bias: NDArray,
    ) -> None:
        self._graph = graph
        self._streams = streams
        self._branches = branches
        self._plan = plan
        self._size_px = pooled(config.size_px)
        self._taps = kernel.transpose(0, 4, 3, 1, 2)
        self._bias = bias
        self._products: dict[Edge, dict[int, str]] = {}
        filters = kernel.shape[-1]
        slice_shape = (filters, self._size_px, self._size_px)
        step_shape = (filters, config.trunk_px, config.trunk_px)
        for edge in Edge:
            for tap, name in enumerate(("previous", "same", "next")):
                streams.define(f"{edge.value}_{name}", slice_shape, lambda edge=edge, tap=tap: self._product(edge, tap))
        streams.define("inner_open", slice_shape, lambda: self._add("inner_same", 0, "inner_previous", POOL))
        streams.define("inner_slice", step_shape, self._inner_slice)
        streams.define("first_slice", step_shape, lambda: self._pool(self._add("inner_next", 0, "left_same", POOL)))
        streams.define("second_open", slice_shape, lambda: self._add("inner_same", 0, "left_previous", POOL))
        streams.define("first_two_slices", step_shape, self._first_two_slices)
        streams.define("left_step", step_shape, self._left_step)
        streams.define("inner_step", step_shape, self._inner_step)

    def steps(self) -> list[str]:
        """The steps of the window that ends with this frame, each (batch, filters, height, width), in order; before their
        activation, which rises monotonically and so may come after the maximum."""
        left = self._streams.value("left_step", self._plan.step_age(0))
        inner = [self._streams.value("inner_step", self._plan.step_age(q)) for q in range(1, self._plan.steps - 1)]
        return [left, *inner, self._right_step()]

    def _product(self, edge: Edge, tap: int) -> str:
        """One tap times the group of that edge; all taps that the edge needs come of one convolution."""
        if edge not in self._products:
            graph, taps = self._graph, _TAPS_OF[edge]
            joined = graph.concat([branch.group(edge) for branch in self._branches], axis=1)
            group = graph.node("LeakyRelu", joined, alpha=LEAKY_SLOPE)
            bias = np.concatenate([self._bias if tap == SAME else np.zeros_like(self._bias) for tap in taps])
            products = graph.conv(group, np.concatenate(self._taps[list(taps)]), bias)
            self._products[edge] = dict(zip(taps, graph.nodes("Split", len(taps), products, axis=1), strict=True))
        return self._products[edge][tap]

    def _add(self, name: str, age: int, other: str, other_age: int) -> str:
        return self._graph.node("Add", self._streams.value(name, age), self._streams.value(other, other_age))

    def _pool(self, nchw: str) -> str:
        return self._graph.max_pool(nchw, self._size_px)

    def _inner_slice(self) -> str:
        return self._pool(self._add("inner_next", 0, "inner_open", POOL))

    def _first_two_slices(self) -> str:
        """The window's second slice, ready with its third group, joined with the first, ready with its second."""
        second = self._pool(self._add("inner_next", 0, "second_open", POOL))
        return self._graph.maximum([self._streams.value("first_slice", POOL), second])

    def _last_two_slices(self) -> str:
        """The window's last two slices together."""
        age = self._plan.last_inner_group_age
        before_last = self._add("right_next", 0, "inner_open", age)
        last = self._add("right_same", 0, "inner_previous", age)
        return self._pool(self._graph.maximum([before_last, last]))

    def _left_step(self) -> str:
        if self._plan.first_step_slices == 2:
            return self._streams.value("first_two_slices")
        return self._graph.maximum([self._streams.value("first_two_slices", POOL), self._streams.value("inner_slice")])

    def _inner_step(self) -> str:
        return self._graph.maximum([self._streams.value("inner_slice", age) for age in range(0, POOL * POOL, POOL)])

    def _right_step(self) -> str:
        slices = [self._last_two_slices()]
        if self._plan.last_step_slices == 3:
            slices.append(self._streams.value("inner_slice", self._plan.last_inner_group_age))
        return self._graph.maximum(slices)
