"""Batches of clips, from a memory map as `tf.data`: shuffled and augmented for training, plain for the rest."""

import os
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from train.clips.augmentation import draw_transform
from train.clips.flow_augmentation import draw_flow_change
from train.clips.samples import FeatureRows, TrainingSet
from train.clips.unit_targets import UNITS, Targets, mirrored_targets
from train.fit_config import TrainConfig

_PARALLEL_CLIPS = min(8, os.cpu_count() or 1)


def epoch_order(rows: NDArray[np.int64], seed: int, epoch: int) -> NDArray[np.int64]:
    """The rows in the order of an epoch; it depends on seed and epoch alone, so a resumed run takes the same."""
    return np.random.default_rng([seed, epoch]).permutation(rows)


def steps_per_epoch(rows: NDArray[np.int64], batch: int) -> int:
    return -(-len(rows) // batch)


def training_batches(data: TrainingSet, config: TrainConfig, epoch: int, first_step: int = 0) -> tf.data.Dataset:
    """(clips, one-hot labels) of one epoch from `first_step` on: clips as the network takes them, augmented.

    With action units the targets are the network's outputs by name: `probabilities` (batch, classes), one-hot, and
    `action_units` (batch, 2 units), mirrored where the clip is.
    What a made clip shows, and what happens to a clip, follows from seed, epoch and its row alone, not from the batch
    that it is in.
    """
    features, labels, (mean_level, scale) = data.features, data.training_labels, data.scaling
    one_hot = np.eye(len(data.samples.class_names), dtype=np.float32)
    dtype = tf.uint8 if features.dtype == np.uint8 else tf.float32

    def load(row: np.int64) -> tuple[NDArray, NDArray, Targets]:
        transform = draw_transform(config, features.shape[1], epoch, int(row))
        clip, units = data.training_example(epoch, int(row))
        shown = transform.apply(clip, config.input, mean_level)
        shown = draw_flow_change(config, epoch, int(row)).apply(shown, data.samples.crop_px, config.strain_gain)
        return shown, one_hot[labels[row]], mirrored_targets(units) if transform.flip else units

    @tf.autograph.experimental.do_not_convert
    def prepare(row: Any) -> tuple[Any, Any]:
        loaded: Any = tf.numpy_function(load, [row], (dtype, tf.float32, tf.float32), stateful=False)
        clip, target, units = loaded
        clip.set_shape(features.shape[1:])
        target.set_shape(len(one_hot))
        units.set_shape(len(UNITS.names))
        if config.noise:
            clip = noisy(clip, config.noise * scale, tf.stack([config.seed * 1_000_003 + epoch, row]))
        return clip, {"probabilities": target, "action_units": units} if config.action_units else target

    order = epoch_order(data.training_rows, config.seed, epoch)[first_step * config.batch :]
    clips = tf.data.Dataset.from_tensor_slices(order).map(prepare, num_parallel_calls=_PARALLEL_CLIPS)
    batches = clips.batch(config.batch).prefetch(2)
    if data.fresh is None:
        return batches
    # Drawing takes as long as training: with threads of its own, neither waits for the other's.
    options = tf.data.Options()
    options.threading.private_threadpool_size = _PARALLEL_CLIPS
    options.threading.max_intra_op_parallelism = 1
    return batches.with_options(options)


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


def noisy(clip: Any, sd: float, seed: Any) -> Any:
    """A clip plus Gaussian noise that follows from the seed (2,) alone; bytes stay bytes."""
    noise: Any = tf.random.stateless_normal(tf.shape(clip), seed, stddev=sd)
    values: Any = tf.cast(clip, tf.float32) + noise
    return tf.cast(tf.clip_by_value(tf.round(values), 0, 255), tf.uint8) if clip.dtype == tf.uint8 else values
