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
        """`steps` are the window's steps in order, each (batch, height, width, filters).

        Gives the tensors of the probabilities (batch, classes) and, where the network tells them, of the action units
        (batch, 2 units).
        """
        graph, config = self._graph, self._config
        pixels = config.trunk_px**2
        # (batch, pixels, steps, filters): steps lie beside each other, so maps of all steps are one feature map.
        trunk = graph.reshape(graph.concat(steps, axis=3), (-1, pixels, config.steps, TRUNK_FILTERS))
        if config.channel_attention != "none":
            attended = graph.node("Mul", trunk, self._channel_attention(trunk))
            trunk = graph.node("Mul", attended, self._spatial_attention(trunk))
        by_step = graph.node("Transpose", trunk, perm=[0, 2, 1, 3])
        features = graph.reshape(by_step, (-1, config.steps, pixels * TRUNK_FILTERS))
        for i in range(1, len(STEP_UNITS) + 1):
            features = self._leaky(self._dense(features, *self._weights(f"step_{i}")))
        hidden = self._leaky(self._first_dense(*self._gru(features)))
        if not config.action_units:
            return [self._classes(hidden)]
        halves = graph.constant([HEAD_UNITS[0], UNIT_UNITS], np.int64)
        of_classes, of_units = graph.nodes("Split", 2, hidden, halves, axis=1)
        logits = self._gemm(of_units, *self._weights("action_unit_logits"))
        return [self._classes(of_classes), graph.node("Sigmoid", logits)]

    def _classes(self, hidden: str) -> str:
        """Probabilities (batch, classes) from the head's first layer."""
        answer = hidden
        for i in range(2, len(HEAD_UNITS) + 1):
            answer = self._leaky(self._gemm(answer, *self._weights(f"head_{i}")))
        return self._graph.node("Softmax", self._gemm(answer, *self._weights("logits")), axis=1)

    def _channel_attention(self, trunk: str) -> str:
        """Weights (batch, 1, 1, filters). Both perceptrons run as one, on maximum and average side by side."""
        graph = self._graph
        layer = self._network.get_layer("channel_attention")
        (w1_max, b1_max, w2_max, b2_max), (w1_avg, b1_avg, w2_avg, b2_avg) = (
            [np.asarray(weight, np.float64) for weight in mlp.get_weights()] for mlp in (layer.max_mlp, layer.avg_mlp)
        )
        flat = graph.reshape(trunk, (0, -1, TRUNK_FILTERS))
        maximum = graph.node("ReduceMax", flat, axes=[1], keepdims=0)
        average = graph.node("ReduceMean", flat, axes=[1], keepdims=0)
        both = graph.concat([maximum, average], axis=1)
        apart = np.block([[w1_max, np.zeros_like(w1_avg)], [np.zeros_like(w1_max), w1_avg]])
        hidden = self._leaky(self._gemm(both, apart, np.concatenate([b1_max, b1_avg])))
        half, sign = (0.5, -1.0) if layer.fusion == "difference" else (1.0, 1.0)
        fused = self._gemm(hidden, half * np.concatenate([w2_max, sign * w2_avg]), half * (b2_max + sign * b2_avg))
        return graph.reshape(graph.node("Sigmoid", fused), (-1, 1, 1, TRUNK_FILTERS))

    def _spatial_attention(self, trunk: str) -> str:
        """Weights (batch, pixels, steps, filters), by one 2-D convolution from all steps' maps to all steps' weights."""
        graph, steps, size = self._graph, self._config.steps, self._config.trunk_px
        kernel, bias = self._network.get_layer("spatial_attention").conv.get_weights()
        maxima = graph.node("ReduceMax", trunk, axes=[3], keepdims=0)
        means = graph.node("ReduceMean", trunk, axes=[3], keepdims=0)
        maps = graph.node("Transpose", graph.concat([maxima, means], axis=2), perm=[0, 2, 1])
        weights = np.zeros((steps, TRUNK_FILTERS, 2, steps, *kernel.shape[1:3]))
        reach = kernel.shape[0] // 2
        for tap in range(kernel.shape[0]):
            for step in range(steps):
                source = step + tap - reach
                if 0 <= source < steps:
                    weights[step, :, :, source] = kernel[tap].transpose(3, 2, 0, 1)
        weights = weights.reshape(steps * TRUNK_FILTERS, 2 * steps, *kernel.shape[1:3])
        scores = graph.conv(graph.reshape(maps, (-1, 2 * steps, size, size)), weights, np.tile(bias, steps))
        attention = graph.to_nhwc(graph.node("Sigmoid", scores))
        return graph.reshape(attention, (-1, size * size, steps, TRUNK_FILTERS))

    def _gru(self, features: str) -> list[str]:
        """The operator's two results: states of all steps (steps, 1, batch, units), and the last (1, batch, units)."""
        kernel, recurrent, biases = self._network.get_layer("gru").get_weights()
        weights = [kernel.T[np.newaxis], recurrent.T[np.newaxis], biases.reshape(1, -1)]
        steps_first = self._graph.node("Transpose", features, perm=[1, 0, 2])
        constants = [self._graph.constant(part) for part in weights]
        # Keras' gates have the operator's order, and its reset gate acts after the recurrent product.
        return self._graph.nodes("GRU", 2, steps_first, *constants, hidden_size=GRU_UNITS, linear_before_reset=1)

    def _first_dense(self, states: str, last_state: str) -> str:
        """The first dense layer of the head, and that of the action units beside it, before their activation.

        On the temporal attention or the last state; one product for both.
        """
        layers = ("head_1", "unit_1") if self._config.action_units else ("head_1",)
        kernels, biases = zip(*map(self._weights, layers), strict=True)
        weights = np.concatenate(kernels, axis=1).astype(np.float64)
        bias = np.concatenate(biases).astype(np.float64)
        if not self._config.head_sizes:
            return self._gemm(self._graph.reshape(last_state, (-1, GRU_UNITS)), weights, bias)
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
        sequence = graph.node("Transpose", states, perm=[2, 1, 0, 3])
        sequence = graph.reshape(sequence, (-1, steps, GRU_UNITS))
        projected = self._dense(sequence, np.concatenate(projections, axis=1), np.concatenate(biases))
        queries, keys, values = graph.nodes("Split", 3, projected, axis=2)
        # Element-wise products summed within each head give all heads' scores in one product with this matrix.
        member = np.repeat(np.eye(len(sizes)), sizes, axis=0)
        pairs = graph.node(
            "Mul", graph.reshape(queries, (-1, steps, 1, width)), graph.reshape(keys, (-1, 1, steps, width))
        )
        scores = graph.node("MatMul", pairs, graph.constant(member))
        best = graph.node("ReduceMax", scores, axes=[1], keepdims=0)
        weights = graph.node("MatMul", graph.node("Softmax", best, axis=1), graph.constant(member.T))
        return graph.node("ReduceSum", graph.node("Mul", weights, values), graph.constant([1], np.int64), keepdims=0)

    def _weights(self, layer: str) -> tuple[NDArray, NDArray]:
        kernel, bias = self._network.get_layer(layer).get_weights()
        return kernel, bias

    def _dense(self, tensor: str, kernel: NDArray, bias: NDArray) -> str:
        product = self._graph.node("MatMul", tensor, self._graph.constant(kernel))
        return self._graph.node("Add", product, self._graph.constant(bias))

    def _gemm(self, tensor: str, kernel: NDArray, bias: NDArray) -> str:
        return self._graph.node("Gemm", tensor, self._graph.constant(kernel), self._graph.constant(bias))

    def _leaky(self, tensor: str) -> str:
        return self._graph.node("LeakyRelu", tensor, alpha=LEAKY_SLOPE)
