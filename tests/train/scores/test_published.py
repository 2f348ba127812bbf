"""The published scoring and its chance: by hand, against an exact calculation, and on the folds of MEGC 2019."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.helpers.composite_counts import CASME2, COMPOSITE, SAMM, SMIC
from train.scores.metrics import chance, confusion_matrix
from train.scores.published import FoldAnswers, epoch_scores, published_chance, published_scores

EPOCHS = 200

pairs = hnp.arrays(np.int64, st.tuples(st.integers(1, 12), st.just(2)), elements=st.integers(0, 2))


def fold(truth, *answers) -> FoldAnswers:
    return FoldAnswers(np.array(truth), np.array(answers))


def plain_scores(truth, answers) -> tuple[float, float, float]:
    """One epoch of one fold, clip by clip as the module's text defines it."""
    hits = sum(t == a for t, a in zip(truth, answers, strict=True))
    if hits == len(truth):
        return 1.0, 1.0, 1.0
    f1, recall = [], []
    for c in range(max(*truth, *answers) + 1):
        tp = sum(t == c == a for t, a in zip(truth, answers, strict=True))
        n, given_c = list(truth).count(c), list(answers).count(c)
        f1.append(2 * tp / (n + given_c) if n + given_c else 0.0)
        recall.append(tp / n if n else 0.0)
    return sum(f1) / len(f1), sum(recall) / len(recall), hits / len(truth)


def exact_chance(supports, draws: int) -> np.ndarray:
    """Expected (UF1, UAR, accuracy) of the best of `draws` guesses a fold, by going through every possible guess.

    The best score is at most s with the probability that all draws are; the first draw that reaches it has the UAR
    that guesses of this UF1 have on average.
    """
    counts = np.asarray(supports)
    prior = counts.sum(axis=0) / counts.sum()
    of_folds = []
    for support in counts:
        matrices, weights = np.zeros((1, 0, len(prior)), int), np.ones(1)
        for n in support:
            rows = np.array([row for row in product(range(n + 1), repeat=len(prior)) if sum(row) == n])
            ways = [math.factorial(n) / math.prod(map(math.factorial, row)) * (prior**row).prod() for row in rows]
            grown = np.repeat(matrices, len(rows), axis=0), np.tile(rows, (len(matrices), 1))[:, None]
            matrices, weights = np.concatenate(grown, axis=1), np.outer(weights, ways).ravel()
        uf1, uar, accuracy = epoch_scores(matrices)
        of_folds.append([_best(uf1, uf1, weights, draws), _best(uf1, uar, weights, draws)])
        of_folds[-1].append(_best(accuracy, accuracy, weights, draws))
    return np.mean(of_folds, axis=0)


def _best(chosen_by, kept, weights, draws: int) -> float:
    levels, level = np.unique(chosen_by.round(12), return_inverse=True)
    probability = np.bincount(level, weights, len(levels))
    best = np.diff(np.minimum(probability.cumsum(), 1.0) ** draws, prepend=0.0)
    mean = np.bincount(level, weights * kept, len(levels)) / np.maximum(probability, 1e-300)
    return float((best * mean).sum())


def test_the_counts_are_those_of_the_composite():
    sizes = [tuple(np.sum(part, axis=0)) for part in (SMIC, CASME2, SAMM, COMPOSITE)]
    assert sizes == [(70, 51, 43), (88, 32, 25), (92, 26, 15), (250, 109, 83)]
    assert [len(part) for part in (SMIC, CASME2, SAMM, COMPOSITE)] == [16, 24, 28, 68]
    assert sum(np.count_nonzero(one) == 1 for one in COMPOSITE) == 23
    assert sum(sum(one) == 1 for one in COMPOSITE) == 8


@given(pairs)
def test_an_epoch_of_a_fold_is_scored_as_defined(pairs):
    found = epoch_scores(confusion_matrix(pairs[:, 0], pairs[:, 1], 3))
    assert found == pytest.approx(plain_scores(pairs[:, 0].tolist(), pairs[:, 1].tolist()))


@pytest.mark.parametrize(
    ("truth", "answers", "expected"),
    [
        ([0, 0], [0, 0], (1.0, 1.0, 1.0)),  # one class only and no mistake: 1, not 1/3
        ([0, 0, 1], [0, 0, 0], (0.8 / 2, 1 / 2, 2 / 3)),  # class 2 does not occur: not counted
        ([0, 0, 2], [0, 0, 0], (0.8 / 3, 1 / 3, 2 / 3)),  # class 1 does not occur but lies below 2: counts 0
        ([0, 0, 1], [0, 0, 2], (1 / 3, 1 / 3, 2 / 3)),  # an answer makes its class count
    ],
)
def test_classes_up_to_the_highest_that_occurs_are_counted(truth, answers, expected):
    found = published_scores([fold(truth, answers)], 3)
    assert (found.uf1, found.uar, found.accuracy) == pytest.approx(expected)


def test_the_first_epoch_of_the_highest_uf1_is_kept_with_its_uar_and_accuracy_is_the_highest_of_any():
    truth = [0, 0, 0, 0, 0, 0, 1, 2]
    epochs = [[0, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 1, 1, 1, 1, 0], [0, 0, 0, 1, 1, 2, 1, 2], [2, 2, 2, 2, 2, 1, 1, 2]]
    each = [plain_scores(truth, answers) for answers in epochs]
    best = max(range(4), key=lambda epoch: each[epoch][0])
    found = published_scores([fold(truth, *epochs)], 3)
    assert best == 2
    assert (found.uf1, found.uar) == pytest.approx(each[2][:2])
    assert found.accuracy == each[0][2] > each[2][2]


def test_of_epochs_with_equal_uf1_the_first_is_kept():
    truth, one, other = [0, 0, 1, 1, 2], [0, 0, 0, 2, 2], [0, 0, 1, 2, 0]
    assert plain_scores(truth, one)[0] == pytest.approx(plain_scores(truth, other)[0])
    for first, second in ((one, other), (other, one)):
        assert published_scores([fold(truth, first, second)], 3).uar == pytest.approx(plain_scores(truth, first)[1])
    assert plain_scores(truth, one)[1] == pytest.approx(2 / 3)
    assert plain_scores(truth, other)[1] == pytest.approx(1 / 2)


@given(st.lists(pairs, min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_folds_count_alike_in_any_order(parts, random):
    folds = [fold(part[:, 0], part[:, 1], part[::-1, 1]) for part in parts]
    found = published_scores(folds, 3)
    assert found.uf1 == pytest.approx(np.mean([published_scores([one], 3).uf1 for one in folds]))
    random.shuffle(folds)
    again = published_scores(folds, 3)
    assert (found.uf1, found.uar, found.accuracy) == pytest.approx((again.uf1, again.uar, again.accuracy))


@given(pairs, st.integers(1, 4), st.integers(0, 99))
def test_more_epochs_to_choose_from_never_score_less(pairs, epochs, seed):
    answers = np.random.default_rng(seed).integers(0, 3, (epochs, len(pairs)))
    one = published_scores([fold(pairs[:, 0], pairs[:, 1])], 3)
    more = published_scores([fold(pairs[:, 0], pairs[:, 1], *answers)], 3)
    assert more.uf1 >= one.uf1
    assert more.accuracy >= one.accuracy


def test_always_negative_scores_574_631_on_samm():
    folds = [fold(np.repeat([0, 1, 2], support), np.zeros(sum(support), int)) for support in SAMM]
    found = published_scores(folds, 3)
    assert (round(found.uf1, 3), round(found.uar, 3)) == (0.574, 0.631)


KNOWN = [(SMIC, 0.741, 0.740), (SAMM, 0.942, 0.949), (CASME2, 0.900, 0.905)]
"""UF1 and UAR known of the best of 200 guesses; themselves means of simulations, whose single runs scatter by .02."""


@pytest.mark.parametrize(("supports", "uf1", "uar"), KNOWN, ids=["SMIC", "SAMM", "CASME II"])
def test_chance_under_the_published_protocol_on_megc_folds(supports, uf1, uar):
    exact = exact_chance(supports, EPOCHS)
    # What a simulation of some runs leaves open: .02 / sqrt(16) = .005.
    assert exact[:2] == pytest.approx([uf1, uar], abs=0.005)
    # 200 runs: standard error .0015 on SMIC, .0011 on CASME II, .0008 on SAMM; four of the largest.
    drawn = published_chance(supports, EPOCHS)
    assert [drawn.uf1, drawn.uar, drawn.accuracy] == pytest.approx(exact, abs=0.006)
    assert [drawn.uf1, drawn.uar] == pytest.approx([uf1, uar], abs=0.01)
    assert drawn.uf1 > chance(np.sum(supports, axis=0)).uf1 + 0.3


@pytest.mark.parametrize("draws", [1, 3, 20])
@pytest.mark.parametrize("supports", [[(2, 1, 0), (0, 3, 1)], [(1, 0), (4, 3), (2, 2)], [(1, 1, 1, 1), (2, 0, 0, 3)]])
def test_drawn_chance_is_the_exact_one(supports, draws):
    drawn = published_chance(supports, draws, repeats=4000)
    # Scores of a run have an sd of .25 at most: standard error .004.
    assert [drawn.uf1, drawn.uar, drawn.accuracy] == pytest.approx(exact_chance(supports, draws), abs=0.016)


def test_chance_equals_scoring_drawn_answers():
    rng, supports, draws = np.random.default_rng(8), [(3, 2, 1), (4, 0, 1), (0, 2, 0)], 5
    prior = np.sum(supports, axis=0) / np.sum(supports)
    runs = []
    for _ in range(800):
        truths = [np.repeat([0, 1, 2], support) for support in supports]
        found = published_scores([FoldAnswers(t, rng.choice(3, (draws, t.size), p=prior)) for t in truths], 3)
        runs.append((found.uf1, found.uar, found.accuracy))
    expected = np.mean(runs, axis=0)
    drawn = published_chance(supports, draws, repeats=2000)
    margin = 4 * np.std(runs, axis=0).max() * math.sqrt(1 / 800 + 1 / 2000)
    assert [drawn.uf1, drawn.uar, drawn.accuracy] == pytest.approx(expected, abs=margin)
    assert drawn == published_chance(supports, draws, repeats=2000)
    assert drawn != published_chance(supports, draws, repeats=2000, seed=1)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="expected one fold or more"):
        published_scores([], 3)
    with pytest.raises(ValueError, match="expected 2 answers in every epoch, found 3"):
        fold([0, 1], [0, 1, 2])
    with pytest.raises(ValueError, match="found \\(0,\\)"):
        FoldAnswers(np.array([], int), np.zeros((1, 0), int))
    with pytest.raises(ValueError, match="found 0 to 3"):
        published_scores([fold([0, 1], [0, 3])], 3)
    with pytest.raises(ValueError, match="a clip or more a fold"):
        published_chance([(1, 2, 0), (0, 0, 0)], 5)
    with pytest.raises(ValueError, match="found 0 and 200"):
        published_chance([(1, 2, 0)], 0)
