"""Attention of the network: over channels, over space, and over time with heads of several sizes.

Fang, Liu, Liu, "Enhanced feature extraction and attention mechanisms for micro-expression recognition", MLSP 2024;
plain channel attention from Woo et al., "CBAM", ECCV 2018.
"""

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import layers, ops

from model.config import ATTENTION_REDUCTION, L2_WEIGHT, LEAKY_SLOPE, SPATIAL_ATTENTION_KERNEL, FusionKind

_AXES = (1, 2, 3)


@keras.saving.register_keras_serializable(package="microlive")
class ChannelAttention(layers.Layer):
    """One weight in (0, 1) for each channel, from the clip's global average and global maximum.

    Both statistics go through a two-layer perceptron (channels / 8 units, LeakyReLU, channels units); `shared_mlp`
    makes it one perceptron for both, as plain CBAM does, else each has its own.

    Call: (batch, time, height, width, channels) -> (batch, 1, 1, 1, channels).
    """

    def __init__(self, fusion: FusionKind = "difference", shared_mlp: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if fusion not in ("difference", "sum"):
            raise ValueError(f"channel attention: fusion: expected difference or sum, found {fusion!r}")
        self.fusion = fusion
        self.shared_mlp = shared_mlp

    def build(self, input_shape: Sequence[int | None]) -> None:
        channels = int(input_shape[-1] or 0)
        self.max_mlp = self._mlp("max_mlp", channels)
        self.avg_mlp = self.max_mlp if self.shared_mlp else self._mlp("avg_mlp", channels)
        self.built = True

    def call(self, inputs: Any) -> Any:
        maximum = self.max_mlp(ops.max(inputs, axis=_AXES))
        average = self.avg_mlp(ops.mean(inputs, axis=_AXES))
        fused = maximum + average if self.fusion == "sum" else 0.5 * (maximum - average)
        return ops.sigmoid(fused)[:, None, None, None, :]

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        return input_shape[0], 1, 1, 1, input_shape[-1]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "fusion": self.fusion, "shared_mlp": self.shared_mlp}

    def _mlp(self, name: str, channels: int) -> keras.Sequential:
        hidden = layers.Dense(
            channels // ATTENTION_REDUCTION,
            kernel_regularizer=keras.regularizers.L2(L2_WEIGHT),
            name="squeeze",
            dtype=self.dtype_policy,
        )
        activation = layers.LeakyReLU(negative_slope=LEAKY_SLOPE, dtype=self.dtype_policy)
        output = layers.Dense(channels, kernel_initializer="he_normal", name="excite", dtype=self.dtype_policy)
        mlp = keras.Sequential([hidden, activation, output], name=name)
        mlp.build((None, channels))
        return mlp


@keras.saving.register_keras_serializable(package="microlive")
class SpatialAttention(layers.Layer):
    """A weight in (0, 1) for each position and channel, from the maximum and the mean over the channels.

    Call: (batch, time, height, width, channels) -> the same shape.
    """

    def build(self, input_shape: Sequence[int | None]) -> None:
        self.conv = layers.Conv3D(
            int(input_shape[-1] or 0),
            SPATIAL_ATTENTION_KERNEL,
            padding="same",
            activation="sigmoid",
            name="conv",
            dtype=self.dtype_policy,
        )
        self.conv.build((*input_shape[:-1], 2))
        self.built = True

    def call(self, inputs: Any) -> Any:
        maximum = ops.max(inputs, axis=-1, keepdims=True)
        mean = ops.mean(inputs, axis=-1, keepdims=True)
        return self.conv(ops.concatenate([maximum, mean], axis=-1))

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        return tuple(input_shape)


@keras.saving.register_keras_serializable(package="microlive")
class TemporalAttention(layers.Layer):
    """Self-attention heads over time that together answer once a clip.

    A head of size d has dense layers of d units for queries, keys and values. Its scores q k^T / sqrt(d) are
    max-pooled over the queries before the softmax over the keys, so one query is left; the weighted values go through
    one more dense layer of d units. The paper pools 10 queries with padding "same": with at most 10 steps that is the
    maximum over all of them, which is what is taken here for any number of steps. Sizes that halve (256, 128, ... 2)
    give the paper's multi-scale multi-head attention.

    Call: (batch, steps, features) -> (batch, sum of the head sizes).
    """

    def __init__(self, head_sizes: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not head_sizes or any(not isinstance(size, int) or size < 1 for size in head_sizes):
            raise ValueError(f"temporal attention: expected head sizes >= 1, found {head_sizes!r}")
        self.head_sizes = tuple(head_sizes)

    def build(self, input_shape: Sequence[int | None]) -> None:
        self.queries = self._dense("query", input_shape)
        self.keys = self._dense("key", input_shape)
        self.values = self._dense("value", input_shape)
        self.outputs = [
            layers.Dense(size, name=f"output_{i}", dtype=self.dtype_policy) for i, size in enumerate(self.head_sizes)
        ]
        for layer, size in zip(self.outputs, self.head_sizes, strict=True):
            layer.build((input_shape[0], size))
        self.built = True

    def call(self, inputs: Any) -> Any:
        heads = zip(self.head_sizes, self.queries, self.keys, self.values, self.outputs, strict=True)
        return ops.concatenate([self._head(inputs, *head) for head in heads], axis=-1)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        return input_shape[0], sum(self.head_sizes)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "head_sizes": list(self.head_sizes)}

    def _dense(self, name: str, input_shape: Sequence[int | None]) -> list[layers.Dense]:
        heads = [
            layers.Dense(size, name=f"{name}_{i}", dtype=self.dtype_policy) for i, size in enumerate(self.head_sizes)
        ]
        for layer in heads:
            layer.build(input_shape)
        return heads

    def _head(self, inputs: Any, size: int, query: Any, key: Any, value: Any, output: Any) -> Any:
        scores = ops.matmul(query(inputs), ops.swapaxes(key(inputs), 1, 2)) / math.sqrt(size)
        weights = ops.softmax(ops.max(scores, axis=1, keepdims=True), axis=-1)
        return output(ops.squeeze(ops.matmul(weights, value(inputs)), axis=1))
