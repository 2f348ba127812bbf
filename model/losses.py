"""Losses for unbalanced classes, and for answers of which not all are known."""

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="microlive")
class WeightedCategoricalCrossentropy(keras.losses.Loss):
    """Weighted categorical cross-entropy, -sum_c w_c y_c log p_c, averaged over the batch (MLSP 2024).

    `y_true` is one-hot and `y_pred` holds probabilities, both (batch, classes). Probabilities are clipped away from
    zero by Keras' epsilon, so the loss stays finite. Label smoothing s replaces y by y (1 - s) + s / classes.

    Args:
        class_weights: one positive weight a class (the paper, for negative/positive/surprise: 0.3, 0.35, 0.35).
        label_smoothing: 0 <= s < 1.

    Raises:
        ValueError: a weight or the smoothing is out of range, or a batch has another number of classes.
    """

    def __init__(
        self,
        class_weights: Sequence[float],
        label_smoothing: float = 0.0,
        reduction: str = "sum_over_batch_size",
        name: str = "weighted_categorical_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        weights = [float(weight) for weight in class_weights]
        if len(weights) < 2 or not all(math.isfinite(weight) and weight > 0 for weight in weights):
            raise ValueError(f"class weights: expected at least 2 finite numbers above 0, found {weights}")
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"label smoothing: expected 0 <= s < 1, found {label_smoothing!r}")
        self.class_weights = tuple(weights)
        self.label_smoothing = float(label_smoothing)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        y_pred = ops.convert_to_tensor(y_pred)
        y_true = ops.cast(y_true, y_pred.dtype)
        classes = len(self.class_weights)
        if y_pred.shape[-1] != classes or y_true.shape[-1] != classes:
            found = f"{y_pred.shape[-1]} (predicted) and {y_true.shape[-1]} (true)"
            raise ValueError(f"weighted cross-entropy: expected {classes} classes as there are weights, found {found}")
        target = y_true * (1.0 - self.label_smoothing) + self.label_smoothing / classes
        log_p = ops.log(ops.clip(y_pred, keras.config.epsilon(), 1.0))
        return -ops.sum(ops.convert_to_tensor(self.class_weights, y_pred.dtype) * target * log_p, axis=-1)

    def get_config(self) -> dict[str, Any]:
        own = {"class_weights": list(self.class_weights), "label_smoothing": self.label_smoothing}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="microlive")
class KnownBinaryCrossentropy(keras.losses.Loss):
    """Binary cross-entropy of the targets that are known: of each clip the mean over those, averaged over the batch.

    `y_true` holds 0, 1 or NaN (not known: does not count), `y_pred` probabilities, both (batch, values). A clip of which
    nothing is known counts 0. Probabilities are kept off 0 and 1 by Keras' epsilon, so the loss stays finite.
    """

    def __init__(
        self, reduction: str = "sum_over_batch_size", name: str = "known_binary_crossentropy", dtype: Any = None
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        y_pred = ops.convert_to_tensor(y_pred)
        y_true = ops.cast(y_true, y_pred.dtype)
        unknown: Any = ops.isnan(y_true)
        known: Any = ops.cast(ops.logical_not(unknown), y_pred.dtype)
        # Not left to the product below: NaN times 0 is NaN, in the gradient too.
        target: Any = ops.where(unknown, ops.zeros_like(y_pred), y_true)
        p: Any = ops.clip(y_pred, keras.config.epsilon(), 1.0 - keras.config.epsilon())
        losses = -known * (target * ops.log(p) + (1.0 - target) * ops.log(1.0 - p))
        return ops.sum(losses, axis=-1) / ops.maximum(ops.sum(known, axis=-1), 1.0)
