"""A shallow network on one optical-flow picture, in the manner of STSTNet, as a row of experiments.

Liong, Gan, See, Khor, Huang, "Shallow triple stream three-dimensional CNN (STSTNet) for micro-expression recognition",
FG 2019: three streams of one 3x3 convolution each (3, 5 and 8 filters) on 28x28 pictures of u, v and strain from onset to
apex; ReLU, batch normalisation, max pooling by 3 and dropout in each, joined, average pooling by 2, one dense layer. For
three classes that makes 1,715 parameters. Here the picture is taken from the clip itself, as `LargestMotion` says, so
that the network trains on the same clips, in the same loop, as the paper's network.
"""

from typing import Any

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from model.config import NetworkConfig
from model.network import InputScaling
from train.clips.samples import (
    TrainingSet,
    load_features,
    open_stores,
    run_contract,
    samples_of,
    scaling,
    split_by_people,
)
from train.errors import UsageError
from train.experiments.rows import Answers, RowAnswers, RowTask
from train.fit.resume import EpochResult, Position, best_epoch
from train.fit.trainer import Trainer, TrainingProgress, predict
from train.progress import clip_progress

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
    return keras.Model(clip, shallow_streams(picture, config.classes, config.dropout), name="shallow_flow")


def shallow_streams(picture: Any, classes: int, dropout: float) -> Any:
    """Probabilities (batch, classes) of pictures (batch, 28, 28, 3): the network itself."""
    padded = layers.ZeroPadding2D(2, name="padding")(picture)
    streams = [_stream(padded, filters, dropout) for filters in STREAM_FILTERS]
    joined = layers.AveragePooling2D(2, name="join_pool")(layers.Concatenate(name="join")(streams))
    logits = layers.Dense(classes, dtype="float32", name="logits")(layers.Flatten(name="flatten")(joined))
    return layers.Activation("softmax", dtype="float32", name="probabilities")(logits)


def _stream(picture: Any, filters: int, dropout: float) -> Any:
    """Convolution to 30x30, ReLU, batch normalisation, max pooling to 10x10, dropout."""
    name = f"stream_{filters}"
    x = layers.Conv2D(filters, 3, activation="relu", name=name)(picture)
    x = layers.BatchNormalization(name=f"{name}_norm")(x)
    x = layers.MaxPooling2D(3, padding="same", name=f"{name}_pool")(x)
    return layers.Dropout(dropout, name=f"{name}_dropout")(x)


def flow_answers(task: RowTask) -> RowAnswers:
    """Trains on the training people, and answers with the epoch that was best on the validation people (else the last).

    Raises:
        UsageError: the row's input is no flow, or the stores do not fit together.
    """
    config = task.config
    if config.made is not None:
        raise UsageError(f"{config.out}: made: expected none in a baseline's row, which learns from the stores' clips")
    if config.input != "flow":
        raise UsageError(f"{config.out}: a shallow flow row: expected input flow, found {config.input}")
    stores = open_stores((*config.data, *task.test))
    trained, tested = stores[: len(config.data)], stores[len(config.data) :]
    contract = run_contract(config, trained)
    samples = samples_of(trained)
    split = split_by_people(samples, config)
    with clip_progress(task.console, "preparing clips", sum(map(len, stores))) as advance:
        features = load_features(trained, contract, config, advance)
        test_features = [load_features((store,), contract, config, advance) for store in tested]
    data = TrainingSet(features, samples, split, scaling(features, split.train))
    keeper = BestWeights()
    trainer = Trainer(config, data, keeper, build=build_shallow_flow)
    with TrainingProgress(task.console, config.epochs) as progress:
        trainer.train(progress)
    network = trainer.fresh_network()
    network.set_weights(keeper.weights)
    validation = tuple(samples.ids[row] for row in split.validation)
    return RowAnswers(
        parameters=network.count_params(),
        validation=Answers(validation, predict(network, features, split.validation, config.batch)),
        test={
            path: Answers(samples_of((store,)).ids, predict(network, rows, np.arange(len(rows)), config.batch))
            for path, store, rows in zip(task.test, tested, test_features, strict=True)
        },
    )


class BestWeights:
    """The trainer's keeper of a short training: keeps no files, but the `weights` of the chosen epoch so far."""

    weights: list[NDArray]

    def restore(self, network: keras.Model) -> tuple[Position, list[EpochResult]]:
        return Position(), []

    def step(self, network: keras.Model, position: Position) -> None:
        pass

    def epoch(self, network: keras.Model, answering: keras.Model, history: list[EpochResult]) -> None:
        if best_epoch(history) is history[-1]:
            self.weights = answering.get_weights()
