"""Two models on the same clips: the difference, its interval over people, and when nothing is said of it."""

import numpy as np
import pytest

from train.adapt.before_after import LEAST_CLIPS, LEAST_PEOPLE, before_after
from train.clips.samples import Samples
from train.scores.metrics import confusion_matrix, scores

NAMES = ("negative", "positive")


def samples(people: int, each: int = 4) -> Samples:
    """`each` clips of both classes of everybody."""
    labels = np.tile(np.repeat([0, 1], each), people)
    who = tuple(f"lab/p{person}" for person in range(people) for _ in range(2 * each))
    return Samples(NAMES, tuple(map(str, range(len(labels)))), who, labels, (None,) * len(labels), "lab", 128)


def test_scores_and_differences_are_those_of_the_pooled_answers() -> None:
    some = samples(6)
    rng = np.random.default_rng(1)
    before, after = (rng.integers(0, 2, len(some.ids)) for _ in range(2))
    found = before_after(some, before, after)
    was, now = (scores(confusion_matrix(some.labels, answers, 2), NAMES) for answers in (before, after))
    assert (found["before"]["uf1"], found["after"]["uf1"]) == (was.uf1, now.uf1)
    assert found["difference"]["uf1"]["value"] == pytest.approx(now.uf1 - was.uf1)
    assert found["difference"]["uar"]["value"] == pytest.approx(now.uar - was.uar)
    for one in found["difference"].values():
        assert one["low"] <= one["value"] <= one["high"]


def test_better_worse_and_neither() -> None:
    some = samples(8)
    right, wrong = some.labels, 1 - some.labels
    assert before_after(some, wrong, right)["finding"] == "better"
    assert before_after(some, right, wrong)["finding"] == "worse"
    found = before_after(some, right, right)
    assert (found["finding"], found["difference"]["uf1"]) == (
        "no difference shown",
        {"value": 0.0, "low": 0.0, "high": 0.0},
    )
    # Better on half of the people, worse on the others.
    mixed = np.where(np.arange(len(right)) < len(right) // 2, right, wrong)
    assert before_after(some, mixed, mixed[::-1])["finding"] == "no difference shown"


def test_an_interval_is_wider_where_people_differ_more() -> None:
    def width(shares: list[float]) -> float:
        some = samples(len(shares), 10)
        after = some.labels.copy()
        for person, share in enumerate(shares):
            mine = np.arange(20 * person, 20 * person + 20)
            wrong = mine[: round(20 * share)]
            after[wrong] = 1 - after[wrong]
        found = before_after(some, some.labels, after)["difference"]["uf1"]
        return found["high"] - found["low"]

    assert width([0.2] * 6) == pytest.approx(0.0, abs=0.06) and width([0.0, 0.0, 0.0, 0.4, 0.4, 0.4]) > 0.2


def test_too_few_to_say_anything() -> None:
    few = samples(LEAST_PEOPLE - 1)
    found = before_after(few, 1 - few.labels, few.labels)
    assert (found["finding"], found["lacking"]) == (
        "too few",
        [f"{LEAST_PEOPLE - 1} people, fewer than {LEAST_PEOPLE}"],
    )
    scarce = samples(LEAST_PEOPLE, 1)
    found = before_after(scarce, 1 - scarce.labels, scarce.labels)
    assert f"{LEAST_PEOPLE} clips of negative, fewer than {LEAST_CLIPS}" in found["lacking"]
    alone = before_after(samples(1), samples(1).labels, samples(1).labels)
    assert alone["difference"]["uf1"]["low"] is None and alone["finding"] == "too few"
    labels = np.concatenate([np.zeros(60, int), np.ones(20, int)])
    who = tuple(f"lab/p{min(n // 12, 5)}" for n in range(80))
    lonely = Samples(NAMES, tuple(map(str, range(80))), who, labels, (None,) * 80, "lab", 128)
    assert before_after(lonely, labels, labels)["lacking"] == ["clips of positive of one person alone"]
