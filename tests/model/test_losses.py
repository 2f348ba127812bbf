"""Weighted cross-entropy against a plain numpy reference."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.losses import KnownBinaryCrossentropy, WeightedCategoricalCrossentropy


def reference(y: np.ndarray, p: np.ndarray, weights: np.ndarray, smoothing: float) -> float:
    target = y * (1 - smoothing) + smoothing / len(weights)
    return float(-(weights * target * np.log(np.clip(p, 1e-7, 1))).sum(axis=1).mean())


@settings(deadline=None, max_examples=60)
@given(
    classes=st.integers(2, 7),
    batch=st.integers(1, 9),
    smoothing=st.floats(0, 0.9),
    sharpness=st.floats(0, 30),
    seed=st.integers(0, 2**32 - 1),
)
def test_equals_the_reference(classes, batch, smoothing, sharpness, seed):
    rng = np.random.default_rng(seed)
    weights = rng.uniform(0.01, 5, classes)
    y = np.eye(classes, dtype=np.float32)[rng.integers(0, classes, batch)]
    logits = sharpness * rng.normal(size=(batch, classes))
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p = (p / p.sum(axis=1, keepdims=True)).astype(np.float32)
    loss = WeightedCategoricalCrossentropy(weights, label_smoothing=smoothing)
    assert float(loss(y, p)) == pytest.approx(reference(y, p, weights, smoothing), rel=1e-4, abs=1e-5)


def test_equal_weights_of_one_are_plain_cross_entropy():
    rng = np.random.default_rng(5)
    y = np.eye(3, dtype=np.float32)[rng.integers(0, 3, 8)]
    p = rng.dirichlet(np.ones(3), 8).astype(np.float32)
    weighted = WeightedCategoricalCrossentropy([1, 1, 1], label_smoothing=0.1)
    plain = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)
    assert float(weighted(y, p)) == pytest.approx(float(plain(y, p)), rel=1e-5)


def test_stays_finite_when_the_truth_has_probability_zero():
    loss = WeightedCategoricalCrossentropy([0.3, 0.35, 0.35])
    value = float(loss(np.array([[1.0, 0.0, 0.0]], np.float32), np.array([[0.0, 1.0, 0.0]], np.float32)))
    assert value == pytest.approx(-0.3 * np.log(1e-7), rel=1e-4)


def test_survives_serialisation():
    loss = WeightedCategoricalCrossentropy([0.3, 0.35, 0.35], label_smoothing=0.2)
    copy = keras.losses.deserialize(keras.losses.serialize(loss))
    assert isinstance(copy, WeightedCategoricalCrossentropy)
    assert copy.get_config() == loss.get_config()


def test_a_compiled_network_is_saved_with_its_loss(tmp_path):
    network = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, activation="softmax")])
    network.compile(loss=WeightedCategoricalCrossentropy([0.4, 0.6]))
    network.save(tmp_path / "network.keras")
    loaded = keras.models.load_model(tmp_path / "network.keras")
    assert loaded.loss.class_weights == (0.4, 0.6)


@pytest.mark.parametrize("weights", [[], [1.0], [1.0, 0.0], [1.0, -1.0], [1.0, float("nan")], [1.0, float("inf")]])
def test_refuses_bad_weights(weights):
    with pytest.raises(ValueError, match="class weights: expected at least 2"):
        WeightedCategoricalCrossentropy(weights)


@pytest.mark.parametrize("smoothing", [-0.1, 1.0, float("nan")])
def test_refuses_bad_smoothing(smoothing):
    with pytest.raises(ValueError, match="label smoothing"):
        WeightedCategoricalCrossentropy([1, 1], label_smoothing=smoothing)


def test_refuses_another_number_of_classes():
    loss = WeightedCategoricalCrossentropy([1, 1])
    with pytest.raises(ValueError, match="expected 2 classes"):
        loss(np.eye(3, dtype=np.float32), np.eye(3, dtype=np.float32))


@settings(deadline=None, max_examples=40)
@given(batch=st.integers(1, 6), values=st.integers(1, 8), unknown=st.floats(0, 1), seed=st.integers(0, 2**32 - 1))
def test_only_what_is_known_counts(batch, values, unknown, seed):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, (batch, values)).astype(np.float32)
    y[rng.random(y.shape) < unknown] = np.nan
    p = rng.random((batch, values)).astype(np.float32)
    by_hand = []
    for truth, answer in zip(y, np.clip(p.astype(np.float64), 1e-7, 1 - 1e-7), strict=True):
        losses = -np.where(truth == 1, np.log(answer), np.log(1 - answer))[~np.isnan(truth)]
        by_hand.append(losses.mean() if len(losses) else 0.0)
    assert float(KnownBinaryCrossentropy()(y, p)) == pytest.approx(np.mean(by_hand), rel=1e-4, abs=1e-5)


def test_what_is_not_known_has_no_gradient_and_never_makes_one_nan():
    import tensorflow as tf

    p = tf.Variable([[0.3, 0.6, 0.0], [0.2, 0.9, 1.0]])
    y = np.array([[1, np.nan, np.nan], [np.nan, np.nan, np.nan]], np.float32)
    with tf.GradientTape() as tape:
        loss = KnownBinaryCrossentropy()(y, p)
    gradient = np.asarray(tape.gradient(loss, p))
    assert gradient[0, 0] == pytest.approx(-1 / 0.3 / 2, rel=1e-4)
    assert np.count_nonzero(gradient) == 1


def test_the_loss_of_what_is_known_reads_back():
    loss = KnownBinaryCrossentropy()
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert isinstance(again, KnownBinaryCrossentropy)
