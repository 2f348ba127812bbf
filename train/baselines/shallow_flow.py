"""A shallow network on one optical-flow picture, in the manner of STSTNet.

Liong, Gan, See, Khor, Huang, "Shallow triple stream three-dimensional CNN (STSTNet) for micro-expression recognition",
FG 2019: three streams of one 3x3 convolution each (3, 5 and 8 filters) on 28x28 pictures of u, v and strain from onset to
apex; ReLU, batch normalisation, max pooling by 3 and dropout in each, joined, average pooling by 2, one dense layer. For
three classes that makes 1,715 parameters. Here the picture is taken from the clip itself, as `LargestMotion` says, so
that the network trains on the same clips, in the same loop, as all others.
"""

from typing import Any

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from model.config import NetworkConfig
from model.network import InputScaling

PICTURE_PX = 28
STREAM_FILTERS = (3, 5, 8)
_CHANNELS = 3  # u, v, strain


@keras.saving.register_keras_serializable(package="microlive")
class LargestMotion(layers.Layer):
    """The frame of a clip in which most moves: flow (batch, frames, size, size, 3) → (batch, size, size, 3).

    That is the largest mean of u² + v². The flow is that from the resting face, so this is the apex of the largest
    motion in the clip, whatever it is: a blink or a word may be larger than the micro-expression.
    """

    def call(self, clip: Any) -> Any:
        energy = ops.mean(ops.square(clip[..., :2]), axis=(2, 3, 4))
        chosen = ops.one_hot(ops.argmax(energy, axis=1), clip.shape[1], dtype=clip.dtype)
        return ops.einsum("bt,bthwc->bhwc", chosen, clip)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (input_shape[0], *input_shape[2:])


@keras.saving.register_keras_serializable(package="microlive")
class AreaAverage(layers.Layer):
    """Pictures (batch, size, size, channels) brought to `target_px`, every pixel the mean over the area it stands for."""

    def __init__(self, target_px: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target_px = target_px

    def call(self, pictures: Any) -> Any:
        shares = ops.convert_to_tensor(area_shares(pictures.shape[1], self.target_px), dtype=pictures.dtype)
        return ops.einsum("ih,jw,bhwc->bijc", shares, shares, pictures)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (input_shape[0], self.target_px, self.target_px, input_shape[3])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "target_px": self.target_px}


def area_shares(size_px: int, target_px: int) -> NDArray[np.float32]:
    """Shares (target, size) of the old pixels in each new one; every row sums to 1. `target_px` is at most `size_px`."""
    if not 0 < target_px <= size_px:
        raise ValueError(f"area average: expected a size of {target_px} px or more, found {size_px} px")
    edges = np.arange(target_px + 1) * size_px / target_px
    old = np.arange(size_px)
    overlap = np.minimum(edges[1:, None], old + 1) - np.maximum(edges[:-1, None], old)
    return (np.clip(overlap, 0, None) * target_px / size_px).astype(np.float32)


def build_shallow_flow(config: NetworkConfig) -> keras.Model:
    """The network for flow clips, freshly initialised from Keras' random state.

    Takes and gives what `build_network` does; of the config it uses the clip's shape, classes, dropout and scaling.

    Raises:
        ValueError: the input is no flow.
    """
    if config.channels != _CHANNELS or config.input_dtype != "float32":
        found = f"{config.channels} channels of {config.input_dtype}"
        raise ValueError(f"shallow flow network: expected flow (3 channels of float32), found {found}")
    clip = keras.Input(config.input_shape, dtype=config.input_dtype, name="clip")
    scaled = InputScaling(config.offset, config.scale, name="scaling")(clip)
    picture = AreaAverage(PICTURE_PX, name="picture")(LargestMotion(name="largest_motion")(scaled))
    padded = layers.ZeroPadding2D(2, name="padding")(picture)
    streams = [_stream(padded, filters, config.dropout) for filters in STREAM_FILTERS]
    joined = layers.AveragePooling2D(2, name="join_pool")(layers.Concatenate(name="join")(streams))
    logits = layers.Dense(config.classes, dtype="float32", name="logits")(layers.Flatten(name="flatten")(joined))
    probabilities = layers.Activation("softmax", dtype="float32", name="probabilities")(logits)
    return keras.Model(clip, probabilities, name="shallow_flow")


def _stream(picture: Any, filters: int, dropout: float) -> Any:
    """Convolution to 30x30, ReLU, batch normalisation, max pooling to 10x10, dropout."""
    name = f"stream_{filters}"
    x = layers.Conv2D(filters, 3, activation="relu", name=name)(picture)
    x = layers.BatchNormalization(name=f"{name}_norm")(x)
    x = layers.MaxPooling2D(3, padding="same", name=f"{name}_pool")(x)
    return layers.Dropout(dropout, name=f"{name}_dropout")(x)
