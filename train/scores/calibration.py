"""Confidences that mean something: how far they are off, and the one temperature that brings them nearer.

Guo, Pleiss, Sun, Weinberger, "On calibration of modern neural networks", ICML 2017: logits are divided by a temperature
that minimises the negative log-likelihood on held-out clips. It changes no answer, only how sure it is. Here it is
folded into the network's last layer, so that the Keras model and everything exported from it give calibrated
probabilities, and nobody has to apply it a second time. No TensorFlow is imported here.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar
from scipy.special import softmax

from model.contract import Calibration

BINS = 15
MIN_CLIPS = 30
"""Fewer held-out clips than this say too little about confidences."""
LOWEST, HIGHEST = 0.1, 10.0
"""Limits of the temperature: answers that are all right, or all wrong, would have it run away."""
_TINY = 1e-30  # smaller probabilities are no longer told from 0


@dataclass(frozen=True)
class ReliabilityBin:
    """Answers whose confidence is in (low, high]: their number, mean confidence, and the share that is right (0..1)."""

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float


def reliability(probabilities: ArrayLike, truth: ArrayLike, bins: int = BINS) -> list[ReliabilityBin]:
    """The bins of equal width that hold answers, lowest first.

    Args:
        probabilities: (n, classes), rows that sum to one. truth: class indices (n,).

    Raises:
        ValueError: there is no answer, or the two do not fit.
    """
    answers, true = _checked(probabilities, truth)
    confidence, right = answers.max(axis=1), answers.argmax(axis=1) == true
    index = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    found = []
    for number in np.unique(index):
        inside = index == number
        found.append(
            ReliabilityBin(
                low=float(number / bins),
                high=float((number + 1) / bins),
                n=int(inside.sum()),
                confidence=float(confidence[inside].mean()),
                accuracy=float(right[inside].mean()),
            )
        )
    return found


def expected_calibration_error(probabilities: ArrayLike, truth: ArrayLike, bins: int = BINS) -> float:
    """Σ n_b / n · |accuracy_b − confidence_b| over the bins (Guo et al. 2017, equation 3); 0..1, 0 is best."""
    return error_of(reliability(probabilities, truth, bins))


def error_of(bins: Sequence[ReliabilityBin]) -> float:
    """The expected calibration error that these bins show."""
    return sum(b.n * abs(b.accuracy - b.confidence) for b in bins) / sum(b.n for b in bins)


def fit_temperature(probabilities: ArrayLike, truth: ArrayLike) -> float:
    """The temperature, `LOWEST` to `HIGHEST`, under which the true classes are likeliest (least mean −log p).

    Takes the probabilities, whose logarithms are the logits up to a constant of each clip, which softmax takes out.
    """
    answers, true = _checked(probabilities, truth)
    rows = np.arange(len(true))

    def loss(log_temperature: float) -> float:
        logits = _logits(answers) / np.exp(log_temperature)
        shifted = logits - logits.max(axis=1, keepdims=True)
        return float((np.log(np.exp(shifted).sum(axis=1)) - shifted[rows, true]).mean())

    found: Any = minimize_scalar(loss, bounds=(np.log(LOWEST), np.log(HIGHEST)), method="bounded")
    return float(np.exp(found.x))


def tempered(probabilities: ArrayLike, temperature: float) -> NDArray[np.float32]:
    """What the network would answer (n, classes) had its logits been divided by `temperature`."""
    return softmax(_logits(np.asarray(probabilities, np.float64)) / temperature, axis=1).astype(np.float32)


def fit_calibration(probabilities: ArrayLike, truth: ArrayLike, people: list[str]) -> Calibration | None:
    """The temperature of these clips, and the calibration error before and after; None for under `MIN_CLIPS` clips."""
    answers, true = _checked(probabilities, truth)
    if len(true) < MIN_CLIPS:
        return None
    temperature = fit_temperature(answers, true)
    return Calibration(
        temperature=round(temperature, 4),
        ece_before=round(expected_calibration_error(answers, true), 5),
        ece_after=round(expected_calibration_error(tempered(answers, round(temperature, 4)), true), 5),
        n=len(true),
        people=tuple(people),
    )


def fold_temperature(network: Any, temperature: float) -> None:
    """Divides the logits of a network of `build_network` by `temperature`, in its last layer's weights.

    Raises:
        ValueError: the temperature is not above 0.
    """
    if not temperature > 0:
        raise ValueError(f"temperature: expected a number above 0, found {temperature}")
    logits = network.get_layer("logits")
    logits.set_weights([weights / np.float32(temperature) for weights in logits.get_weights()])


def calibrate(
    network: Any, probabilities: NDArray[np.float32], truth: ArrayLike, people: list[str]
) -> tuple[NDArray[np.float32], Calibration | None]:
    """Fits a temperature on what the network answered, folds it in, and returns what it answers from now on."""
    calibration = fit_calibration(probabilities, truth, people)
    if calibration is None:
        return probabilities, None
    fold_temperature(network, calibration.temperature)
    return tempered(probabilities, calibration.temperature), calibration


def calibration_facts(probabilities: ArrayLike, truth: ArrayLike, calibration: Calibration | None) -> dict[str, Any]:
    """For a run's metrics: the calibration error of these answers, and the calibration as plain values or None."""
    return {
        "ece": expected_calibration_error(probabilities, truth),
        "calibration": asdict(calibration) if calibration else None,
    }


def _logits(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.log(np.maximum(probabilities, _TINY))


def _checked(probabilities: ArrayLike, truth: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    answers, true = np.asarray(probabilities, np.float64), np.asarray(truth, np.int64)
    if answers.ndim != 2 or not len(answers) or true.shape != answers.shape[:1]:
        raise ValueError(
            f"answers: expected probabilities (n, classes) and n true classes, found {answers.shape} and {true.shape}"
        )
    if true.min() < 0 or true.max() >= answers.shape[1]:
        raise ValueError(f"true classes: expected 0 to {answers.shape[1] - 1}, found {true.min()} to {true.max()}")
    return answers, true
