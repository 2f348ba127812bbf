"""The network: a two-branch 3-D convolution, attention over channels and space, a GRU, attention over time.

Fang, Liu, Liu, "Enhanced feature extraction and attention mechanisms for micro-expression recognition", MLSP 2024.
Every row of the paper's ablation is one `NetworkConfig` (model/variants.py), built here.
"""

from pathlib import Path
from typing import Any

import keras
from keras import layers, ops

from model.attention import ChannelAttention, SpatialAttention, TemporalAttention
from model.config import (
    BRANCH_FILTERS,
    BRANCH_KERNELS,
    GRU_UNITS,
    HEAD_UNITS,
    L2_WEIGHT,
    LEAKY_SLOPE,
    MH_HEAD_SIZES,
    MSMH_HEAD_SIZES,
    POOL,
    STEP_UNITS,
    TRUNK_FILTERS,
    TRUNK_KERNEL,
    UNIT_UNITS,
    NetworkConfig,
)
from model.guards import KERAS, kind_of_model

__all__ = ["InputScaling", "NetworkConfig", "build_network", "load_network", "network_config"]


@keras.saving.register_keras_serializable(package="microlive")
class InputScaling(layers.Layer):
    """(input - offset) / scale, computed in float32 from any input type, whatever the compute type is.

    Offset and scale are settings, not weights: they come from the training set and travel with the model.
    """

    def __init__(self, offset: float = 0.0, scale: float = 1.0, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        if not scale > 0:
            raise ValueError(f"input scaling: scale: expected a number above 0, found {scale!r}")
        self.offset = float(offset)
        self.scale = float(scale)

    def call(self, inputs: Any) -> Any:
        scaled = (ops.cast(inputs, "float32") - self.offset) / self.scale
        return ops.cast(scaled, self.compute_dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return tuple(input_shape)

    def compute_output_spec(self, inputs: Any) -> keras.KerasTensor:
        return keras.KerasTensor(inputs.shape, dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "offset": self.offset, "scale": self.scale}


def build_network(config: NetworkConfig) -> keras.Model:
    """The network for `config`, freshly initialised from Keras' random state.

    Input "clip": (batch, depth, size_px, size_px, channels) of `config.input_dtype`.
    Output: (batch, classes) float32 probabilities that sum to one, also under mixed precision. With action units a dict
    of those as "probabilities" and "action_units" (batch, 2 units), float32, each on its own between 0 and 1: left and
    right side of each unit in turn.
    """
    clip = keras.Input(config.input_shape, dtype=config.input_dtype, name="clip")
    scaled = InputScaling(config.offset, config.scale, name="scaling")(clip)
    branches = [
        _conv_block(scaled, BRANCH_FILTERS, kernel, f"branch_{kernel}", initializer="he_normal")
        for kernel in BRANCH_KERNELS
    ]
    joined = layers.Concatenate(name="join")(branches)
    trunk = _conv_block(joined, TRUNK_FILTERS, TRUNK_KERNEL, "trunk", initializer="glorot_uniform")
    attended = _attend_channels_and_space(trunk, config)
    recurrent = layers.GRU(
        GRU_UNITS,
        return_sequences=config.temporal_attention != "none",
        unroll=True,  # keeps the exported graph free of loops; there are only a few steps
        name="gru",
    )(_step_features(attended, config))
    seen = recurrent
    if config.head_sizes:
        seen = TemporalAttention(config.head_sizes, name="temporal_attention")(recurrent)
    answer = seen
    for i, units in enumerate(HEAD_UNITS, start=1):
        answer = layers.Dense(units, name=f"head_{i}")(answer)
        answer = layers.LeakyReLU(negative_slope=LEAKY_SLOPE, name=f"head_{i}_activation")(answer)
    logits = layers.Dense(config.classes, dtype="float32", name="logits")(answer)
    probabilities = layers.Activation("softmax", dtype="float32", name="probabilities")(logits)
    if not config.action_units:
        return keras.Model(clip, probabilities, name="microlive")
    outputs = {"probabilities": probabilities, "action_units": _action_units(seen, config.action_units)}
    return keras.Model(clip, outputs, name="microlive")


def load_network(path: str | Path) -> keras.Model:
    """Read a network saved with `network.save("….keras")`.

    Raises:
        ValueError: the file is missing, is no Keras file, or holds another kind of model.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{path}: no such file; expected a .keras file written by training")
    if (found := kind_of_model(path)) != KERAS:
        # HDF5 and folders may carry code that Keras would run.
        raise ValueError(f"{path}: not a Keras model that can be read (it is {found or 'no .keras file'})")
    try:
        network: Any = keras.models.load_model(path)
    except Exception as error:  # Keras raises many kinds for a damaged file
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ValueError(f"{path}: not a Keras model that can be read ({reason})") from error
    try:
        network_config(network)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return network


def network_config(network: keras.Model) -> NetworkConfig:
    """The config a network was built from, read off its layers.

    `fusion` has an effect, and is read, only with enhanced channel attention; otherwise it is the default.

    Raises:
        ValueError: the model was not built by `build_network`.
    """
    by_name = {layer.name: layer for layer in network.layers}
    required = ["clip", "scaling", "trunk", "step_1_dropout", "gru", "logits"]
    if missing := [name for name in required if name not in by_name]:
        raise ValueError(f"expected a network built by build_network, found a model without the layers {missing}")
    depth, height, _, channels = network.input_shape[1:]
    settings: dict[str, Any] = {"channel_attention": "none", "temporal_attention": "none"}
    if "channel_attention" in by_name:
        attention = by_name["channel_attention"]
        settings["channel_attention"] = "cbam" if attention.shared_mlp else "enhanced"
        if not attention.shared_mlp:
            settings["fusion"] = attention.fusion
    if "temporal_attention" in by_name:
        kinds = {MSMH_HEAD_SIZES: "msmh", MH_HEAD_SIZES: "mh"}
        sizes = by_name["temporal_attention"].head_sizes
        if sizes not in kinds:
            raise ValueError(f"expected head sizes {' or '.join(map(str, kinds))}, found {sizes}")
        settings["temporal_attention"] = kinds[sizes]
    return NetworkConfig(
        depth=depth,
        size_px=height,
        channels=channels,
        classes=by_name["logits"].units,
        dropout=by_name["step_1_dropout"].rate,
        offset=by_name["scaling"].offset,
        scale=by_name["scaling"].scale,
        input_dtype=network.inputs[0].dtype,
        action_units=by_name["action_unit_logits"].units // 2 if "action_unit_logits" in by_name else 0,
        **settings,
    )


def _conv_block(inputs: Any, filters: int, kernel: int, name: str, initializer: str) -> Any:
    x = layers.Conv3D(filters, kernel, padding="same", kernel_initializer=initializer, name=name)(inputs)
    x = layers.LeakyReLU(negative_slope=LEAKY_SLOPE, name=f"{name}_activation")(x)
    return layers.MaxPooling3D(POOL, padding="same", name=f"{name}_pool")(x)


def _attend_channels_and_space(trunk: Any, config: NetworkConfig) -> Any:
    """Both attentions look at the trunk's output, and both multiply it (CBAM proper runs one after the other)."""
    if config.channel_attention == "none":
        return trunk
    if config.channel_attention == "cbam":
        channel_layer = ChannelAttention(fusion="sum", shared_mlp=True, name="channel_attention")
    else:
        channel_layer = ChannelAttention(fusion=config.fusion, name="channel_attention")
    spatial = SpatialAttention(name="spatial_attention")(trunk)
    return layers.Multiply(name="attended")([trunk, channel_layer(trunk), spatial])


def _action_units(seen: Any, count: int) -> Any:
    """Probabilities (batch, 2 count): units do not exclude each other, so each has a sigmoid of its own."""
    x = layers.Dense(UNIT_UNITS, name="unit_1")(seen)
    x = layers.LeakyReLU(negative_slope=LEAKY_SLOPE, name="unit_1_activation")(x)
    logits = layers.Dense(2 * count, dtype="float32", name="action_unit_logits")(x)
    return layers.Activation("sigmoid", dtype="float32", name="action_units")(logits)


def _step_features(inputs: Any, config: NetworkConfig) -> Any:
    x = layers.Reshape((config.steps, -1), name="flatten_steps")(inputs)
    for i, units in enumerate(STEP_UNITS, start=1):
        x = layers.Dropout(config.dropout, name=f"step_{i}_dropout")(x)
        x = layers.Dense(units, kernel_regularizer=keras.regularizers.L2(L2_WEIGHT), name=f"step_{i}")(x)
        x = layers.LeakyReLU(negative_slope=LEAKY_SLOPE, name=f"step_{i}_activation")(x)
    return x
