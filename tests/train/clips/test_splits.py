"""Leave-one-subject-out as rows: who trains, who chooses the epoch, who is tested."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import LeaveOneGroupOut

from train.clips.samples import leave_one_out
from train.errors import UsageError

# sub01 is in both datasets: two different people.
PEOPLE = ("one/sub01", "one/sub02", "one/sub01", "two/sub01", "two/sub02", "one/sub03", "two/sub03", "two/sub03")


def test_everybody_is_left_out_once_by_dataset_and_subject():
    folds = leave_one_out(PEOPLE)
    assert [fold.person for fold in folds] == sorted(set(PEOPLE))
    assert folds[0].test.tolist() == [0, 2]
    assert folds[0].train.tolist() == [1, 3, 4, 5, 6, 7]
    assert [len(fold.validation) for fold in folds] == [0] * 6


def test_sde_trains_on_the_same_dataset_alone():
    folds = {fold.person: fold for fold in leave_one_out(PEOPLE, "sde")}
    assert list(folds) == sorted(set(PEOPLE))
    assert folds["one/sub01"].train.tolist() == [1, 5]
    assert folds["two/sub03"].train.tolist() == [3, 4]


@given(
    sizes=st.lists(st.integers(1, 4), min_size=3, max_size=9),
    share=st.floats(0, 0.6),
    seed=st.integers(0, 99),
    shuffle=st.randoms(use_true_random=False),
)
def test_no_person_is_on_two_sides_and_no_row_is_lost(sizes, share, seed, shuffle):
    people = [f"d/{person}" for person, size in enumerate(sizes) for _ in range(size)]
    shuffle.shuffle(people)
    folds = leave_one_out(people, "cde", share, seed)
    assert sorted(np.concatenate([fold.test for fold in folds]).tolist()) == list(range(len(people)))
    for fold in folds:
        sides = [{people[row] for row in rows} for rows in (fold.train, fold.validation, fold.test)]
        assert sum(map(len, sides)) == len(set(people))
        assert set.union(*sides) == set(people)
        assert sides[1] == set(fold.validation_people)
        assert sides[2] == {fold.person}
        assert len(sides[1]) == (max(1, round(share * (len(sizes) - 1))) if share else 0)


@given(st.lists(st.sampled_from(PEOPLE), min_size=2, max_size=20).filter(lambda people: len(set(people)) > 1))
def test_folds_are_those_of_scikit_learn(people):
    told = LeaveOneGroupOut().split(people, groups=people)
    for fold, (train, test) in zip(leave_one_out(people), told, strict=True):
        assert (fold.train.tolist(), fold.test.tolist()) == (train.tolist(), test.tolist())


def test_the_validation_draw_follows_from_seed_and_person_alone():
    people = [f"d/{number:02d}" for number in range(12)]
    drawn = {fold.person: fold.validation_people for fold in leave_one_out(people, "cde", 0.25, seed=1)}
    shuffled = leave_one_out(people[::-1], "cde", 0.25, seed=1)
    assert {fold.person: fold.validation_people for fold in shuffled} == drawn
    assert len(set(drawn.values())) > 6  # not the same people in every fold
    other = leave_one_out(people, "cde", 0.25, seed=2)
    assert {fold.person: fold.validation_people for fold in other} != drawn


def test_excluded_people_are_in_no_fold():
    folds = leave_one_out(PEOPLE, excluded=["one/sub01"])
    assert "one/sub01" not in {fold.person for fold in folds}
    assert not any(set(rows) & {0, 2} for fold in folds for rows in (fold.train.tolist(), fold.test.tolist()))


@pytest.mark.parametrize(
    ("people", "scheme", "share", "message"),
    [
        (["a/x", "b/y", "b/z"], "sde", 0, "dataset 'a' with --scheme sde: expected 2 people or more .*, found 1"),
        (["a/x", "a/y"], "cde", 0.2, "the data: expected 3 people, with --select validation, or more .*, found 2"),
        (["a/x"], "cde", 0, "the data: expected 2 people or more to leave one out, found 1"),
        ([], "cde", 0, "people: expected some to leave out, found none"),
    ],
)
def test_too_few_people(people, scheme, share, message):
    with pytest.raises(UsageError, match=message):
        leave_one_out(people, scheme, share)
