"""Clips with made-up answers, for tests of scores."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from model.contract import NEUTRAL
from train.assessment.condition_scores import Answered

NAMES = ("negative", "positive", "surprise", NEUTRAL)


def one_hot(guesses: Sequence[int], classes: int) -> NDArray[np.float32]:
    return np.eye(classes, dtype=np.float32)[list(guesses)]


def answered(labels: Sequence[int], peaks_px: Sequence[float], *models: Sequence[int]) -> Answered:
    """One model for each list of guesses, all of them certain."""
    probabilities = [one_hot(guesses, len(NAMES)) for guesses in models]
    return Answered(NAMES, np.array(labels, np.int64), np.array(peaks_px, np.float64), probabilities)
