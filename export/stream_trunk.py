"""The trunk's convolution and the second pooling, one frame at a time: the GRU's steps from pooled groups."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from export.graph import GraphBuilder
from export.stream_front import Branch
from export.stream_plan import Edge, StreamPlan
from export.streams import Streams
from model.config import LEAKY_SLOPE, POOL, NetworkConfig, pooled

PREVIOUS, SAME, NEXT = range(3)
"""Taps of the trunk's convolution: slice j = previous·group j-1 + same·group j + next·group j+1."""


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
        self._groups: dict[Edge, list[str]] = {}
        filters = kernel.shape[-1]
        slice_shape = (self._size_px, self._size_px, filters)
        step_shape = (config.trunk_px, config.trunk_px, filters)
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
        """The steps of the window that ends with this frame, each (batch, height, width, filters), in order."""
        left = self._streams.value("left_step", self._plan.step_age(0))
        inner = [self._streams.value("inner_step", self._plan.step_age(q)) for q in range(1, self._plan.steps - 1)]
        return [left, *inner, self._right_step()]

    def _product(self, edge: Edge, tap: int) -> str:
        """One tap times the group of that edge; each branch's part is added as it comes, so they need not be joined."""
        if edge not in self._groups:
            self._groups[edge] = [self._graph.to_nchw(branch.group(edge)) for branch in self._branches]
        parts = np.split(self._taps[tap], len(self._branches), axis=1)
        bias = self._bias if tap == SAME else None
        product = self._graph.conv(self._groups[edge][0], parts[0], bias)
        for group, part in zip(self._groups[edge][1:], parts[1:], strict=True):
            product = self._graph.node("Add", self._graph.conv(group, part), product)
        return self._graph.to_nhwc(product)

    def _add(self, name: str, age: int, other: str, other_age: int) -> str:
        return self._graph.node("Add", self._streams.value(name, age), self._streams.value(other, other_age))

    def _pool(self, nhwc: str) -> str:
        return self._graph.to_nhwc(self._graph.max_pool(self._graph.to_nchw(nhwc), self._size_px))

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
            return self._activate([self._streams.value("first_two_slices")])
        return self._activate([self._streams.value("first_two_slices", POOL), self._streams.value("inner_slice")])

    def _inner_step(self) -> str:
        return self._activate([self._streams.value("inner_slice", age) for age in range(0, POOL * POOL, POOL)])

    def _right_step(self) -> str:
        slices = [self._last_two_slices()]
        if self._plan.last_step_slices == 3:
            slices.append(self._streams.value("inner_slice", self._plan.last_inner_group_age))
        return self._activate(slices)

    def _activate(self, slices: list[str]) -> str:
        return self._graph.node("LeakyRelu", self._graph.maximum(slices), alpha=LEAKY_SLOPE)
