"""UF1, UAR and the rest: the field's vectors, and properties that must hold for any confusion matrix."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import balanced_accuracy_score, precision_recall_fscore_support
from sklearn.metrics import confusion_matrix as confusion_matrix_of_sklearn

from train.scores.metrics import by_peak, chance, confusion_matrix, join, scores, summary

NAMES = ("negative", "positive", "surprise")
counts = hnp.arrays(np.int64, (3, 3), elements=st.integers(0, 40))
full_counts = counts.filter(lambda c: (c.sum(axis=1) > 0).all())
clips = st.dictionaries(st.text(max_size=4), st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=25)
"""Sample ids, each with its true and its answered class."""


def scored(pairs):
    """Scores of (id, (truth, answer)) pairs as an evaluation takes them: joined by id, pooled."""
    truth, answers = ([(i, both[side]) for i, both in pairs] for side in (0, 1))
    return scores(confusion_matrix(*join(truth, answers), classes=3), NAMES)


def plainly(pairs) -> tuple[float, float, float]:
    """UF1, UAR and accuracy counted clip by clip, as the protocol is written down."""
    f1, recall = [], []
    for c in range(3):
        tp = sum(t == c and a == c for _, (t, a) in pairs)
        fp = sum(t != c and a == c for _, (t, a) in pairs)
        fn = sum(t == c and a != c for _, (t, a) in pairs)
        f1.append(2 * tp / (2 * tp + fp + fn) if tp + fp + fn else 0.0)
        if tp + fn:
            recall.append(tp / (tp + fn))
    return sum(f1) / 3, sum(recall) / len(recall), sum(t == a for _, (t, a) in pairs) / len(pairs)


@pytest.mark.parametrize(
    ("confusion", "accuracy", "uf1", "uar"),
    [
        ([[219, 22, 9], [40, 62, 7], [21, 3, 59]], 0.7692, 0.7353, 0.7186),
        ([[54, 10, 6], [17, 30, 4], [14, 1, 28]], 0.6829, 0.6801, 0.6703),
        ([[82, 7, 3], [11, 13, 2], [5, 2, 8]], 0.7744, 0.6588, 0.6415),
        ([[83, 5, 0], [12, 19, 1], [2, 0, 23]], 0.8621, 0.8382, 0.8190),
        ([[237, 3, 10], [25, 76, 8], [12, 4, 67]], 0.8597, 0.8313, 0.8175),
        ([[250, 0, 0], [109, 0, 0], [83, 0, 0]], 0.5656, 0.2408, 0.3333),
    ],
)
def test_known_matrices(confusion, accuracy, uf1, uar):
    result = scores(confusion, NAMES)
    assert result.accuracy == pytest.approx(accuracy, abs=1e-4)
    assert result.uf1 == pytest.approx(uf1, abs=1e-4)
    assert result.uar == pytest.approx(uar, abs=1e-4)
    assert result.n == np.sum(confusion)
    assert result.absent == ()


def test_per_class_scores_are_those_of_the_definition():
    result = scores([[3, 1, 0], [2, 4, 0], [0, 0, 5]], NAMES)
    negative = result.per_class["negative"]
    assert (negative.precision, negative.recall, negative.n) == (3 / 5, 3 / 4, 4)
    assert negative.f1 == pytest.approx(2 * 3 / (2 * 3 + 2 + 1))
    assert result.per_class["surprise"].f1 == 1.0


def test_absent_class_counts_zero_in_uf1_and_is_left_out_of_uar_with_a_warning_value():
    result = scores([[4, 0, 0], [0, 6, 0], [0, 0, 0]], NAMES)
    assert result.uf1 == pytest.approx(2 / 3)
    assert result.uar == 1.0
    assert result.absent == ("surprise",)


def test_nothing_at_all_scores_zero():
    result = scores(np.zeros((3, 3)), NAMES)
    assert (result.n, result.uf1, result.uar, result.accuracy, result.absent) == (0, 0.0, 0.0, 0.0, NAMES)


@given(clips)
def test_scores_are_those_counted_clip_by_clip(clips):
    found = scored(clips.items())
    assert (found.uf1, found.uar, found.accuracy) == pytest.approx(plainly(clips.items()))


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true", "ignore:A single label was found")
@given(clips)
def test_scores_are_those_of_scikit_learn(clips):
    """Macro F1 over all classes, those that nobody shows too; balanced accuracy over those that somebody shows."""
    truth, answers = ([both[side] for both in clips.values()] for side in (0, 1))
    found = scored(clips.items())
    assert np.array_equal(found.confusion, confusion_matrix_of_sklearn(truth, answers, labels=range(3)))
    told = precision_recall_fscore_support(truth, answers, labels=range(3), zero_division=0)
    ours = [(one.precision, one.recall, one.f1, one.n) for one in found.per_class.values()]
    np.testing.assert_allclose(np.transpose(ours), told)
    assert found.uf1 == pytest.approx(np.mean(told[2]))
    assert found.uar == pytest.approx(balanced_accuracy_score(truth, answers))


@given(clips, st.randoms(use_true_random=False))
def test_scores_do_not_depend_on_the_order_of_clips_or_answers(clips, random):
    truth, answers = ([(i, both[side]) for i, both in clips.items()] for side in (0, 1))
    random.shuffle(truth)
    random.shuffle(answers)
    assert scores(confusion_matrix(*join(truth, answers), classes=3), NAMES) == scored(clips.items())


@given(clips, st.permutations(range(3)))
def test_other_numbers_for_the_classes_change_nothing(clips, order):
    names = [NAMES[order.index(k)] for k in range(3)]
    other = [(i, (order[t], order[a])) for i, (t, a) in clips.items()]
    truth, answers = ([(i, both[side]) for i, both in other] for side in (0, 1))
    first, second = scored(clips.items()), scores(confusion_matrix(*join(truth, answers), classes=3), names)
    assert (first.uf1, first.uar, first.accuracy) == pytest.approx((second.uf1, second.uar, second.accuracy))
    assert first.per_class == second.per_class
    assert set(first.absent) == set(second.absent)


@given(clips, st.lists(st.integers(0, 5), min_size=25, max_size=25))
def test_merging_folds_is_pooling(clips, folds):
    """However the clips are cut into folds, the sum of the folds' matrices is scored, never a mean of their scores."""
    whole = scored(clips.items())
    total = np.zeros((3, 3), np.int64)
    for fold in range(6):
        part = [pair for pair, of in zip(clips.items(), folds, strict=False) if of == fold]
        total += np.array(scored(part).confusion) if part else 0
    assert scores(total, NAMES) == whole


@given(clips, st.integers(0, 2))
def test_a_class_without_clips_is_named_counts_zero_in_uf1_and_not_in_uar(clips, absent):
    without = {i: both for i, both in clips.items() if both[0] != absent}
    if not without:
        return
    found = scored(without.items())
    assert NAMES[absent] in found.absent
    assert found.per_class[NAMES[absent]].f1 == 0
    present = [one for one in found.per_class.values() if one.n]
    assert found.uar == pytest.approx(np.mean([one.recall for one in present]))
    assert found.uf1 == pytest.approx(sum(one.f1 for one in present) / 3)


@given(clips, st.data())
def test_an_id_that_comes_twice_is_refused_on_either_side(clips, data):
    truth, answers = ([(i, both[side]) for i, both in clips.items()] for side in (0, 1))
    again = data.draw(st.sampled_from(truth + answers))
    place = data.draw(st.integers(0, len(truth)))
    with pytest.raises(ValueError, match="twice"):
        join([*truth[:place], again, *truth[place:]], answers)
    with pytest.raises(ValueError, match="in the predictions"):
        join(truth, [*answers[:place], again, *answers[place:]])


@given(full_counts, st.permutations(range(3)))
def test_scores_do_not_depend_on_the_order_of_the_classes(confusion, order):
    names = [NAMES[i] for i in order]
    first, second = scores(confusion, NAMES), scores(confusion[np.ix_(order, order)], names)
    assert (first.uf1, first.uar, first.accuracy) == pytest.approx((second.uf1, second.uar, second.accuracy))
    assert first.per_class == second.per_class


@given(counts)
def test_scores_lie_between_zero_and_one_and_f1_between_precision_and_recall(confusion):
    result = scores(confusion, NAMES)
    assert all(0 <= value <= 1 for value in (result.uf1, result.uar, result.accuracy))
    for one in result.per_class.values():
        low, high = sorted((one.precision, one.recall))
        assert (one.f1 == 0) if low == 0 else (low - 1e-12 <= one.f1 <= high + 1e-12)


@given(hnp.arrays(np.int64, (20, 2), elements=st.integers(0, 2)), st.integers(0, 20))
def test_pooling_parts_equals_counting_the_whole(pairs, cut):
    parts = [confusion_matrix(part[:, 0], part[:, 1], 3) for part in (pairs[:cut], pairs[cut:])]
    whole = confusion_matrix(pairs[:, 0], pairs[:, 1], 3)
    np.testing.assert_array_equal(parts[0] + parts[1], whole)
    assert whole.sum() == 20


@given(full_counts, st.integers(2, 5))
def test_uar_does_not_change_when_a_class_is_repeated(confusion, times):
    repeated = confusion * np.array([[times], [1], [1]])
    assert scores(repeated, NAMES).uar == pytest.approx(scores(confusion, NAMES).uar)


@given(full_counts)
def test_perfect_answers_score_one(confusion):
    result = scores(np.diag(confusion.sum(axis=1)), NAMES)
    assert (result.uf1, result.uar, result.accuracy) == (1.0, 1.0, 1.0)


@given(
    st.permutations([("a", 0), ("b", 1), ("c", 2), ("d", 1)]), st.permutations([("a", 0), ("b", 2), ("c", 2), ("d", 1)])
)
def test_labels_join_by_id_whatever_their_order(truth, predicted):
    np.testing.assert_array_equal(
        confusion_matrix(*join(truth, predicted), classes=3), [[1, 0, 0], [0, 1, 1], [0, 0, 1]]
    )


@pytest.mark.parametrize(
    ("truth", "predicted", "message"),
    [
        ([("a", 0), ("a", 0)], [("a", 0)], "'a' twice"),
        ([("a", 0)], [("a", 0), ("a", 1)], "in the predictions"),
        ([("a", 0), ("b", 1)], [("a", 0), ("c", 1)], "one side only"),
    ],
)
def test_duplicate_and_unmatched_ids_are_refused(truth, predicted, message):
    with pytest.raises(ValueError, match=message):
        join(truth, predicted)


@pytest.mark.parametrize(
    ("truth", "predicted", "message"),
    [([0, 1], [0], "found 1 and 2"), ([0, 3], [0, 1], "found 0 to 3"), ([0, 1], [0, -1], "found -1 to 1")],
)
def test_bad_labels_are_refused(truth, predicted, message):
    with pytest.raises(ValueError, match=message):
        confusion_matrix(truth, predicted, 3)


def test_bad_matrices_and_supports_are_refused():
    with pytest.raises(ValueError, match="expected 3x3"):
        scores([[1, 0], [0, 1]], NAMES)
    with pytest.raises(ValueError, match="expected two or more counts"):
        chance([0, 0, 0])


def test_chance_is_what_guessing_by_frequency_scores():
    balanced = chance([400, 400, 400])
    assert balanced.uf1 == pytest.approx(1 / 3, abs=0.01)
    assert balanced.uar == pytest.approx(1 / 3, abs=0.01)
    # By frequency q the expected recall of every class is q itself, so accuracy is the sum of the squares.
    composite = chance([250, 109, 83])
    assert composite.accuracy == pytest.approx((250**2 + 109**2 + 83**2) / 442**2, abs=0.01)
    assert composite.uar == pytest.approx(1 / 3, abs=0.01)
    assert composite == chance([250, 109, 83])
    assert composite != chance([250, 109, 83], seed=1)


def test_chance_equals_drawing_clip_by_clip():
    truth = np.repeat([0, 1, 2], [8, 5, 3])
    rng = np.random.default_rng(5)
    drawn = [
        scores(confusion_matrix(truth, rng.choice(3, 16, p=[8 / 16, 5 / 16, 3 / 16]), 3), NAMES).uf1
        for _ in range(3000)
    ]
    assert chance([8, 5, 3], draws=3000).uf1 == pytest.approx(np.mean(drawn), abs=0.01)


def test_summary_is_json_and_says_chance_beside_the_score():
    found = json.loads(json.dumps(summary([0, 0, 1, 2], [0, 1, 1, 2], NAMES)))
    assert found["n"] == 4
    assert found["confusion"] == [[1, 1, 0], [0, 1, 0], [0, 0, 1]]
    assert found["per_class"]["positive"] == {"precision": 0.5, "recall": 1.0, "f1": pytest.approx(2 / 3), "n": 1}
    assert 0 < found["chance_uf1"] < 0.6


def test_bins_of_peak_motion_leave_out_what_does_not_move():
    names = ("neutral", *NAMES)
    truth, predicted = [1, 2, 3, 1, 2, 0, 0], [1, 1, 3, 1, 2, 0, 1]
    peaks = [0.7, 1.19, 1.2, 2.0, 2.1, 0.0, None]
    found = by_peak(truth, predicted, peaks, names)
    assert {name: row["n"] for name, row in found.items()} == {"< 1.2 px": 2, "1.2-2 px": 2, "> 2 px": 1}
    assert found["< 1.2 px"]["accuracy"] == 0.5
    assert found["< 1.2 px"]["uf1"] == pytest.approx((2 / 3 + 0) / 2)
    assert found["> 2 px"]["uf1"] == 1.0
    assert by_peak([0], [0], [None], names) == {}
