"""Batches from memory-mapped features, as `tf.data`: shuffled and augmented for training, plain for the rest."""

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from train.config import TrainConfig
from train.data import FeatureRows, TrainingSet


def epoch_order(rows: NDArray[np.int64], seed: int, epoch: int) -> NDArray[np.int64]:
    """The rows in the order of an epoch; it depends on seed and epoch alone, so a resumed run takes the same."""
    return np.random.default_rng([seed, epoch]).permutation(rows)


def steps_per_epoch(rows: NDArray[np.int64], batch: int) -> int:
    return -(-len(rows) // batch)


def training_batches(data: TrainingSet, config: TrainConfig, epoch: int, first_step: int = 0) -> tf.data.Dataset:
    """(clips, one-hot labels) of one epoch from `first_step` on: clips as the network takes them, augmented."""
    features, labels = data.features, data.samples.labels
    order = epoch_order(data.split.train, config.seed, epoch)
    one_hot = np.eye(len(data.samples.class_names), dtype=np.float32)

    def load(step: np.int64) -> tuple[NDArray, NDArray]:
        chosen = order[step * config.batch : (step + 1) * config.batch]
        clips = features[chosen]
        if config.flip:
            coins = np.random.default_rng([config.seed, epoch, int(step)]).random(len(clips)) < 0.5
            mirror(clips, np.flatnonzero(coins), config.input == "flow")
        return clips, one_hot[labels[chosen]]

    @tf.autograph.experimental.do_not_convert
    def prepare(step: Any) -> tuple[Any, Any]:
        loaded: Any = tf.numpy_function(load, [step], (tf.as_dtype(features.dtype), tf.float32), stateful=False)
        clips, targets = loaded
        clips.set_shape((None, *features.shape[1:]))
        targets.set_shape((None, len(one_hot)))
        return vary(clips, config, data.scaling, tf.stack([config.seed * 1_000_003 + epoch, step])), targets

    steps = tf.data.Dataset.range(first_step, steps_per_epoch(order, config.batch))
    return steps.map(prepare, num_parallel_calls=2, deterministic=True).prefetch(2)


def plain_batches(features: FeatureRows, rows: NDArray[np.int64], batch: int) -> tf.data.Dataset:
    """The clips of these rows in their order, as the network takes them."""

    def load(step: np.int64) -> NDArray:
        return features[rows[step * batch : (step + 1) * batch]]

    @tf.autograph.experimental.do_not_convert
    def prepare(step: Any) -> Any:
        clips: Any = tf.numpy_function(load, [step], tf.as_dtype(features.dtype), stateful=False)
        clips.set_shape((None, *features.shape[1:]))
        return clips if features.dtype == np.uint8 else tf.cast(clips, tf.float32)

    return tf.data.Dataset.range(steps_per_epoch(rows, batch)).map(prepare, num_parallel_calls=2).prefetch(2)


def mirror(clips: NDArray, which: NDArray[np.int64], is_flow: bool) -> None:
    """Mirrors clips (n, frames, height, width, channels) left to right in place; flow's horizontal part changes sign.

    In NumPy on the small stored type, which costs a sixth of the same in TensorFlow on float32.
    """
    for index in which:
        clips[index] = clips[index, :, :, ::-1].copy()
        if is_flow:
            np.negative(clips[index, ..., 0], out=clips[index, ..., 0])


def vary(clips: Any, config: TrainConfig, scaling: tuple[float, float], seed: Any) -> Any:
    """Clips (n, frames, size, size, channels) times the config's gain, plus its noise, as the network takes them.

    One gain a clip, about the offset; noise in units of the scale; both follow from the seed (2,) alone.
    """
    is_pixels = clips.dtype == tf.uint8
    if not (config.gain or config.noise):
        return clips if is_pixels else tf.cast(clips, tf.float32)
    offset, scale = scaling
    values: Any = tf.cast(clips, tf.float32)
    count: Any = tf.shape(clips)
    if config.gain:
        shift: Any = tf.random.stateless_uniform(tf.stack([count[0], 1, 1, 1, 1]), seed)
        values = offset + (values - offset) * (1.0 + config.gain * (2.0 * shift - 1.0))
    if config.noise:
        values += tf.random.stateless_normal(count, seed + 1, stddev=config.noise * scale)
    return tf.cast(tf.clip_by_value(tf.round(values), 0, 255), tf.uint8) if is_pixels else values
