"""From the steps of a window to its answers: attention, GRU and dense layers, as few and large products.

The equations are those of model/network.py and model/attention.py. Products that follow each other without a
non-linearity between them are multiplied out beforehand, in float64.
"""

from collections.abc import Sequence

import keras
import numpy as np
from numpy.typing import NDArray

from export.streaming.graph import GraphBuilder
from model.config import GRU_UNITS, HEAD_UNITS, LEAKY_SLOPE, STEP_UNITS, TRUNK_FILTERS, UNIT_UNITS, NetworkConfig


class HeadGraph:
    """Adds the end of the network to a graph."""

    def __init__(self, graph: GraphBuilder, network: keras.Model, config: NetworkConfig) -> None:
        self._graph = graph
        self._network = network
        self._config = config

    def answers(self, steps: Sequence[str]) -> list[str]:
        """`steps` are the window's steps in order, each (batch, filters, height, width), before the trunk's activation.

        Gives the tensors of the probabilities (batch, classes) and, where the network tells them, of the action units
        (batch, 2 units).
        """
        graph, config = self._graph, self._config
        pixels = config.trunk_px**2
        joined = graph.reshape(graph.concat(steps, axis=2), (0, TRUNK_FILTERS, config.steps, pixels))
        trunk = self._leaky(joined)
        if config.channel_attention != "none":
            attended = graph.node("Mul", trunk, self._channel_attention(trunk))
            trunk = graph.node("Mul", attended, self._spatial_attention(trunk))
        # From here on a row is a step of a stream, all streams' first steps first: (steps · batch, features).
        by_step = graph.node("Transpose", trunk, perm=[2, 0, 1, 3])
        features = graph.reshape(by_step, (-1, pixels * TRUNK_FILTERS))
        kernel, bias = self._weights("step_1")
        # Keras has the filters last.
        kernel = kernel.reshape(pixels, TRUNK_FILTERS, -1).transpose(1, 0, 2).reshape(kernel.shape)
        features = self._leaky(self._gemm(features, kernel, bias))
        for i in range(2, len(STEP_UNITS) + 1):
            features = self._leaky(self._gemm(features, *self._weights(f"step_{i}")))
        hidden = self._leaky(self._first_dense(features))
        logits = [self._classes(hidden)]
        if config.action_units:
            logits.append(self._units(hidden))
        return logits

    def _classes(self, hidden: str) -> str:
        """Probabilities (batch, classes) from the head's first layer, which has that of the action units behind it."""
        kernel, bias = self._weights("head_2")
        answer = self._leaky(self._gemm(hidden, _padded(kernel, after=self._unit_width), bias))
        for i in range(3, len(HEAD_UNITS) + 1):
            answer = self._leaky(self._gemm(answer, *self._weights(f"head_{i}")))
        return self._graph.node("Softmax", self._gemm(answer, *self._weights("logits")), axis=1)

    def _units(self, hidden: str) -> str:
        kernel, bias = self._weights("action_unit_logits")
        return self._graph.node("Sigmoid", self._gemm(hidden, _padded(kernel, before=HEAD_UNITS[0]), bias))

    @property
    def _unit_width(self) -> int:
        return UNIT_UNITS if self._config.action_units else 0

    def _channel_attention(self, trunk: str) -> str:
        """Weights (batch, filters, 1, 1). Both perceptrons run as one, on maximum and average side by side."""
        graph = self._graph
        layer = self._network.get_layer("channel_attention")
        (w1_max, b1_max, w2_max, b2_max), (w1_avg, b1_avg, w2_avg, b2_avg) = (
            [np.asarray(weight, np.float64) for weight in mlp.get_weights()] for mlp in (layer.max_mlp, layer.avg_mlp)
        )
        maximum = graph.node("ReduceMax", trunk, axes=[2, 3], keepdims=0)
        average = graph.node("ReduceMean", trunk, axes=[2, 3], keepdims=0)
        both = graph.concat([maximum, average], axis=1)
        apart = np.block([[w1_max, np.zeros_like(w1_avg)], [np.zeros_like(w1_max), w1_avg]])
        hidden = self._leaky(self._gemm(both, apart, np.concatenate([b1_max, b1_avg])))
        half, sign = (0.5, -1.0) if layer.fusion == "difference" else (1.0, 1.0)
        fused = self._gemm(hidden, half * np.concatenate([w2_max, sign * w2_avg]), half * (b2_max + sign * b2_avg))
        return graph.reshape(graph.node("Sigmoid", fused), (0, TRUNK_FILTERS, 1, 1))

    def _spatial_attention(self, trunk: str) -> str:
        """Weights (batch, filters, steps, pixels), by one 2-D convolution from all steps' maps to all steps' weights."""
        graph, steps, size = self._graph, self._config.steps, self._config.trunk_px
        kernel, bias = self._network.get_layer("spatial_attention").conv.get_weights()
        maxima = graph.node("ReduceMax", trunk, axes=[1], keepdims=1)
        means = graph.node("ReduceMean", trunk, axes=[1], keepdims=1)
        maps = graph.reshape(graph.concat([maxima, means], axis=1), (0, 2 * steps, size, size))
        weights = np.zeros((TRUNK_FILTERS, steps, 2, steps, *kernel.shape[1:3]))
        reach = kernel.shape[0] // 2
        for tap in range(kernel.shape[0]):
            for step in range(steps):
                source = step + tap - reach
                if 0 <= source < steps:
                    weights[:, step, :, source] = kernel[tap].transpose(3, 2, 0, 1)
        weights = weights.reshape(TRUNK_FILTERS * steps, 2 * steps, *kernel.shape[1:3])
        scores = graph.conv(maps, weights, np.repeat(bias, steps))
        return graph.reshape(graph.node("Sigmoid", scores), (0, TRUNK_FILTERS, steps, size * size))

    def _gru(self, features: str) -> tuple[str, str]:
        """States of all steps (steps · batch, units), and the last (batch, units), from features (steps · batch, …).

        The first step has no state before it: written out, it needs no product with the recurrent weights, which are most
        of what the operator reads.
        """
        graph, steps = self._graph, self._config.steps
        kernel, recurrent, biases = self._network.get_layer("gru").get_weights()
        by_step = graph.reshape(features, (steps, -1, STEP_UNITS[-1]))
        first, later = graph.nodes("Split", 2, by_step, graph.constant([1, steps - 1], np.int64), axis=0)
        state = graph.reshape(self._first_state(graph.reshape(first, (-1, STEP_UNITS[-1]))), (1, -1, GRU_UNITS))
        weights = [kernel.T[np.newaxis], recurrent.T[np.newaxis], biases.reshape(1, -1)]
        constants = [graph.constant(part) for part in weights]
        # Keras' gates have the operator's order, and its reset gate acts after the recurrent product.
        states, last = graph.nodes("GRU", 2, later, *constants, "", state, hidden_size=GRU_UNITS, linear_before_reset=1)
        following = graph.reshape(states, (steps - 1, -1, GRU_UNITS))
        every = graph.reshape(graph.concat([state, following], axis=0), (-1, GRU_UNITS))
        return every, graph.reshape(last, (-1, GRU_UNITS))

    def _first_state(self, features: str) -> str:
        """The GRU's state (batch, units) after features (batch, …) with nothing before them."""
        graph = self._graph
        kernel, _, (bias, recurrent_bias) = self._network.get_layer("gru").get_weights()
        # Gates in Keras' order: update, reset, candidate. 1 - sigmoid(x) is sigmoid(-x).
        (update, reset, candidate), (b_update, b_reset, b_candidate) = np.split(kernel, 3, axis=1), np.split(bias, 3)
        r_update, r_reset, r_candidate = np.split(recurrent_bias, 3)
        taken = graph.node("Sigmoid", self._gemm(features, -update, np.negative(b_update + r_update)))
        kept = graph.node("Sigmoid", self._gemm(features, reset, b_reset + r_reset))
        recurrent = graph.node("Mul", kept, graph.constant(r_candidate))
        proposed = graph.node("Tanh", graph.node("Add", self._gemm(features, candidate, b_candidate), recurrent))
        return graph.node("Mul", taken, proposed)

    def _first_dense(self, features: str) -> str:
        """The first dense layer of the head, and that of the action units beside it, before their activation.

        On the temporal attention or the last state; one product for both.
        """
        states, last_state = self._gru(features)
        layers = ("head_1", "unit_1") if self._config.action_units else ("head_1",)
        kernels, biases = zip(*map(self._weights, layers), strict=True)
        weights = np.concatenate(kernels, axis=1).astype(np.float64)
        bias = np.concatenate(biases).astype(np.float64)
        if not self._config.head_sizes:
            return self._gemm(last_state, weights, bias)
        layer = self._network.get_layer("temporal_attention")
        outputs = [[np.asarray(part, np.float64) for part in output.get_weights()] for output in layer.outputs]
        rows = np.split(weights, np.cumsum(self._config.head_sizes)[:-1])
        folded = np.concatenate([output @ part for (output, _), part in zip(outputs, rows, strict=True)])
        folded_bias = bias + sum(shift @ part for (_, shift), part in zip(outputs, rows, strict=True))
        return self._gemm(self._weighted_values(layer, states), folded, folded_bias)

    def _weighted_values(self, layer: keras.layers.Layer, states: str) -> str:
        """All heads' attended values side by side (batch, sum of head sizes), before their output layers."""
        graph, sizes, steps = self._graph, self._config.head_sizes, self._config.steps
        width = sum(sizes)
        scale = np.repeat(1 / np.sqrt(sizes), sizes)
        projections, biases = [], []
        for heads, factor in ((layer.queries, scale), (layer.keys, 1), (layer.values, 1)):
            kernels, shifts = zip(*(head.get_weights() for head in heads), strict=True)
            projections.append(np.concatenate(kernels, axis=1) * factor)
            biases.append(np.concatenate(shifts) * factor)
        projected = self._gemm(states, np.concatenate(projections, axis=1), np.concatenate(biases))
        by_step = graph.reshape(projected, (steps, -1, 3 * width))
        queries, keys, values = graph.nodes("Split", 3, by_step, axis=2)
        # Element-wise products summed within each head give all heads' scores in one product with this matrix.
        member = np.repeat(np.eye(len(sizes)), sizes, axis=0)
        pairs = graph.node("Mul", graph.reshape(queries, (steps, 1, -1, width)), keys)
        scores = graph.node("MatMul", pairs, graph.constant(member))
        best = graph.node("ReduceMax", scores, axes=[0], keepdims=0)
        weights = graph.node("MatMul", graph.node("Softmax", best, axis=0), graph.constant(member.T))
        return graph.node("ReduceSum", graph.node("Mul", weights, values), graph.constant([0], np.int64), keepdims=0)

    def _weights(self, layer: str) -> tuple[NDArray, NDArray]:
        kernel, bias = self._network.get_layer(layer).get_weights()
        return kernel, bias

    def _gemm(self, tensor: str, kernel: NDArray, bias: NDArray) -> str:
        return self._graph.node("Gemm", tensor, self._graph.constant(kernel), self._graph.constant(bias))

    def _leaky(self, tensor: str) -> str:
        return self._graph.node("LeakyRelu", tensor, alpha=LEAKY_SLOPE)


def _padded(kernel: NDArray, before: int = 0, after: int = 0) -> NDArray:
    """A kernel that leaves values before and after its own out: cheaper than cutting a small tensor."""
    return np.pad(kernel, ((before, after), (0, 0)))
