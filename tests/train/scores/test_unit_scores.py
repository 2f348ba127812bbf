"""Scores of action units, against scikit-learn and by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_fscore_support

from train.scores.unit_scores import LEAST_ACTING, choose_threshold, unit_scores

NAN = float("nan")


def drawn(seed: int, n: int, units: int, unknown: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = (rng.random((n, 2 * units)) < 0.3).astype(np.float32)
    answers = np.clip(0.4 * truth + rng.random(truth.shape) * 0.6, 0, 1)
    truth[rng.random(truth.shape) < unknown] = np.nan
    return truth, answers


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 30), threshold=st.sampled_from([0.2, 0.5, 0.8]))
def test_scores_are_scikit_learns_over_the_known_sides(seed, n, threshold):
    truth, answers = drawn(seed, n, 3)
    found = unit_scores(truth, answers, (1, 4, 12), threshold)
    for place, score in enumerate(found.units.values()):
        true, answer = (values[:, 2 * place : 2 * place + 2].ravel() for values in (truth, answers))
        known = ~np.isnan(true)
        assert (score.known, score.n) == (known.sum(), np.nansum(true))
        if known.any():
            expected = precision_recall_fscore_support(
                true[known], answer[known] >= threshold, pos_label=1, average="binary", zero_division=0
            )[:3]
            assert (score.precision, score.recall, score.f1) == pytest.approx(expected)
            always = precision_recall_fscore_support(
                true[known], np.ones(known.sum()), pos_label=1, average="binary", zero_division=0
            )[2]
            assert score.chance_f1 == pytest.approx(always)
    counted = [score for score in found.units.values() if score.n >= LEAST_ACTING]
    assert len(found.macro_units) == len(counted)
    if counted:
        assert found.macro_f1 == pytest.approx(np.mean([score.f1 for score in counted]))


def test_sides_are_scored_where_one_acts_and_the_unit_was_found():
    truth = [[1, 0], [0, 1], [1, 0], [1, 1], [1, 0], [0, 1], [1, NAN], [0, 0]]
    answers = [[0.9, 0.6], [0.7, 0.2], [0.4, 0.3], [0.2, 0.9], [0.2, 0.8], [0.5, 0.5], [0.9, 0.1], [0.9, 0.1]]
    found = unit_scores(truth, answers, (12,), 0.5)
    # Right; wrong; not found; both sides; wrong; undecided; one side not known; no unit.
    assert (found.units[12].side_right, found.units[12].side_n) == (0.25, 4)
    assert (found.side_right, found.side_n) == (0.25, 4)
    nothing = unit_scores(truth, np.zeros((8, 2)), (12,), 0.5)
    assert (nothing.units[12].side_right, nothing.side_n, nothing.side_right) == (None, 0, None)


@given(seed=st.integers(0, 2**32 - 1))
def test_the_threshold_is_the_best_of_the_grid(seed):
    truth, answers = drawn(seed, 40, 3)
    chosen = choose_threshold(truth, answers)
    best = unit_scores(truth, answers, (1, 2, 4), chosen).macro_f1
    assert best is not None
    for threshold in np.arange(1, 20) / 20:
        other = unit_scores(truth, answers, (1, 2, 4), float(threshold)).macro_f1
        assert other is not None and other <= best + 1e-9


def test_units_that_hardly_act_do_not_choose_and_equals_take_the_middle():
    truth = np.zeros((20, 4))
    truth[:4, 0] = 1
    assert choose_threshold(truth, np.full((20, 4), 0.2)) == 0.5
    truth[:10, 2] = 1  # of the second unit, told apart at any threshold up to .95
    assert choose_threshold(truth, np.where(truth > 0, 0.99, 0.01)) == 0.5
    assert choose_threshold(truth, np.where(truth > 0, 0.31, 0.01)) == 0.3


@pytest.mark.parametrize("answers", [np.zeros((3, 2)), np.zeros((2, 4)), np.zeros(4)])
def test_what_does_not_fit_is_refused(answers):
    with pytest.raises(ValueError, match="action units: expected"):
        unit_scores(np.zeros((3, 4)), answers, (1, 2), 0.5)
    with pytest.raises(ValueError, match="expected 3 on both sides, found 2"):
        unit_scores(np.zeros((3, 4)), np.zeros((3, 4)), (1, 2, 4), 0.5)
