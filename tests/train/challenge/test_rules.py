"""Which found event hits which true one: one to one, whatever the order, and where the looser rules differ."""

import itertools
import random
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.types import EventKind
from train.challenge.rules import RULES, Rules, best_on_itself, count_video, hits, most_pairs, overlaps
from train.challenge.scored_video import FrameEvent, ScoredVideo
from train.spotting.match import Counts


def event(
    onset: int, offset: int, kind: EventKind = "micro", probability: float | None = None, label: str | None = None
) -> FrameEvent:
    return FrameEvent(kind, onset, offset, label=label, probability=probability)


def video(truth: Sequence[FrameEvent], found: Sequence[FrameEvent], name: str = "v", subject: str = "s") -> ScoredVideo:
    return ScoredVideo(subject, name, 30.0, 0, 999, tuple(truth), tuple(found))


intervals = st.tuples(st.integers(0, 60), st.integers(0, 15)).map(lambda pair: (pair[0], pair[0] + pair[1]))
truths = st.lists(intervals.map(lambda pair: event(*pair)), max_size=7)
founds = st.lists(
    st.tuples(intervals, st.sampled_from([0.1, 0.5, 0.9])).map(lambda one: event(*one[0], probability=one[1])),
    max_size=7,
)
every_rule = st.sampled_from(list(RULES))


# --- intersection over union ----------------------------------------------------------------------------------------


def iou_of(truth: Sequence[FrameEvent], found: Sequence[FrameEvent], inclusive: bool = True) -> np.ndarray:
    """(true, found), 0 for what does not overlap."""
    iou = np.zeros((len(truth), len(found)))
    for t, f, value in overlaps(truth, found, inclusive):
        iou[t, f] = value
    return iou


def test_frames_are_counted_inclusively() -> None:
    assert iou_of([event(10, 19)], [event(10, 19)])[0, 0] == 1
    assert iou_of([event(10, 19)], [event(15, 24)])[0, 0] == 5 / 15
    assert iou_of([event(10, 19)], [event(10, 14)])[0, 0] == 0.5
    assert iou_of([event(10, 19)], [event(10, 14)], inclusive=False)[0, 0] == 4 / 9
    assert iou_of([event(10, 10)], [event(10, 10)])[0, 0] == 1
    assert iou_of([event(10, 10)], [event(10, 10)], inclusive=False)[0, 0] == 0
    assert iou_of([event(10, 19)], [event(20, 29)])[0, 0] == 0


@given(truth=truths, found=founds, inclusive=st.booleans())
def test_the_iou_is_a_symmetric_share_of_the_frames(
    truth: list[FrameEvent], found: list[FrameEvent], inclusive: bool
) -> None:
    iou = iou_of(truth, found, inclusive)
    assert iou.shape == (len(truth), len(found)) and ((iou >= 0) & (iou <= 1)).all()
    assert (iou == iou_of(found, truth, inclusive).T).all()
    for (t, true), (f, other) in itertools.product(enumerate(truth), enumerate(found)):
        ours, theirs = (set(range(one.onset, one.offset + inclusive)) for one in (true, other))
        assert iou[t, f] == (len(ours & theirs) / len(ours | theirs) if ours | theirs else 0)


# --- the proper rules -----------------------------------------------------------------------------------------------


def most(iou: np.ndarray) -> tuple[int, float]:
    """Number and sum of IoU of the best pairing, by trying all."""
    best = (0, 0.0)
    true, found = iou.shape
    for size in range(1, min(true, found) + 1):
        for rows in itertools.combinations(range(true), size):
            for columns in itertools.permutations(range(found), size):
                told = [iou[pair] for pair in zip(rows, columns, strict=True)]
                if min(told) >= 0.5:
                    best = max(best, (size, sum(told)))
    return best


@given(truth=truths.filter(lambda t: len(t) < 5), found=founds.filter(lambda f: len(f) < 5))
def test_as_many_pairs_as_there_can_be_one_to_one(truth: list[FrameEvent], found: list[FrameEvent]) -> None:
    iou = iou_of(truth, found)
    pairs = most_pairs(overlaps(truth, found))
    assert len({t for t, _ in pairs}) == len({f for _, f in pairs}) == len(pairs)
    assert all(iou[pair] >= 0.5 for pair in pairs)
    assert (len(pairs), pytest.approx(sum(iou[pair] for pair in pairs))) == most(iou)


def test_the_best_pair_gives_way_where_two_are_to_be_had() -> None:
    truth, found = [event(0, 9), event(4, 11)], [event(2, 10), event(0, 5)]
    iou = iou_of(truth, found)
    assert iou[1, 0] == 7 / 10 and iou[0, 0] == 8 / 11  # the best of all is no pair of the pairing of most pairs
    assert iou[0, 1] == 6 / 10 and iou[1, 1] < 0.5
    assert sorted(most_pairs(overlaps(truth, found))) == [(0, 1), (1, 0)]


@given(truth=truths, found=founds, rules=every_rule, seed=st.integers(0, 99))
def test_the_order_of_events_does_not_matter(
    truth: list[FrameEvent], found: list[FrameEvent], rules: Rules, seed: int
) -> None:
    shuffled = random.Random(seed)
    one = video(truth, found)
    other = video(shuffled.sample(truth, len(truth)), shuffled.sample(found, len(found)))
    assert hits(one, "micro", 0.3, rules) == hits(other, "micro", 0.3, rules)
    assert count_video(one, "micro", 0.3, rules) == count_video(other, "micro", 0.3, rules)
    assert best_on_itself([one]) == best_on_itself([other])


@given(truth=truths, found=founds)
def test_every_event_is_counted_once(truth: list[FrameEvent], found: list[FrameEvent]) -> None:
    for rules in ("pooled", "softnet"):
        told = count_video(video(truth, found), "micro", 0.0, rules)
        if truth or rules == "pooled":
            assert (told.tp + told.fn, told.tp + told.fp) == (len(truth), len(found))
        assert len(hits(video(truth, found), "micro", 0.0, rules)) == told.tp


@given(truth=truths.filter(bool), rules=every_rule)
def test_what_is_as_true_hits_all_of_it(truth: list[FrameEvent], rules: Rules) -> None:
    apart = [event(100 * number, 100 * number + one.frames) for number, one in enumerate(truth)]
    told = count_video(video(apart, apart), "micro", 1.0, rules)
    assert told == Counts(len(apart), 0, 0) and told.f1 == 1


def test_kinds_are_matched_apart_and_macro_events_have_no_least_probability() -> None:
    one = video(
        [event(0, 9), event(100, 199, "macro")],
        [event(0, 9, probability=0.2), event(100, 199, "macro", probability=0.2), event(0, 9, "macro")],
    )
    assert count_video(one, "micro", 0.3) == Counts(0, 0, 1)
    assert count_video(one, "micro", 0.2) == Counts(1, 0, 0)
    assert count_video(one, "macro", 0.9) == Counts(1, 1, 0)


def test_an_event_without_a_probability_counts_at_every_sensitivity() -> None:
    assert count_video(video([event(0, 9)], [event(0, 9)]), "micro", 1.0) == Counts(1, 0, 0)


# --- where the rules differ, counted by hand ------------------------------------------------------------------------


def counted(one: ScoredVideo) -> dict[str, tuple[int, int, int]]:
    told = {rules: count_video(one, "micro", 0.0, rules) for rules in RULES}
    return {rules: (counts.tp, counts.fp, counts.fn) for rules, counts in told.items()}


def test_a_video_without_the_wanted_kind() -> None:
    one = video([event(0, 99, "macro")], [event(5, 14), event(40, 49)])
    assert counted(one) == {"pooled": (0, 2, 0), "megc2020": (0, 2, 0), "softnet": (0, 0, 0), "abpn": (0, 2, 0)}


def test_one_found_event_on_two_true_ones() -> None:
    one = video([event(10, 21), event(14, 25)], [event(12, 23)])
    assert counted(one) == {"pooled": (1, 0, 1), "megc2020": (2, 0, 0), "softnet": (1, 0, 1), "abpn": (1, 0, 1)}


def test_two_found_events_on_one_true_one() -> None:
    one = video([event(10, 21), event(100, 111)], [event(9, 20), event(12, 23)])
    # Two hits and no miss of two true events, of which one was never found.
    assert counted(one) == {"pooled": (1, 1, 1), "megc2020": (2, 0, 1), "softnet": (1, 1, 1), "abpn": (2, 0, 0)}


def test_hit_twice_the_only_true_event_makes_more_than_all_of_them() -> None:
    told = count_video(video([event(10, 21)], [event(9, 20), event(12, 23)]), "micro", 0.0, "abpn")
    assert (told.tp, told.fp, told.fn, told.f1) == (2, 0, -1, 4 / 3)


def test_a_half_to_the_frame() -> None:
    one = video([event(10, 19)], [event(10, 14)])
    assert counted(one) == {"pooled": (1, 0, 0), "megc2020": (1, 0, 0), "softnet": (1, 0, 0), "abpn": (0, 1, 1)}


def test_first_come_takes_the_place_of_two() -> None:
    truth, found = [event(0, 9), event(4, 11)], [event(0, 9, probability=0.9), event(0, 8, probability=0.8)]
    assert counted(video(truth, found))["softnet"] == (1, 1, 1)
    # The likeliest one lies best on the true event that is the other one's only chance.
    truth, found = [event(0, 9), event(4, 11)], [event(2, 10, probability=0.9), event(0, 5, probability=0.8)]
    assert counted(video(truth, found)) == {
        "pooled": (2, 0, 0), "megc2020": (3, 0, 0), "softnet": (1, 1, 1), "abpn": (2, 0, 0)
    }  # fmt: skip


def test_the_best_sensitivity_on_the_test_subject() -> None:
    truth = [event(0, 9), event(100, 109)]
    found = [
        event(0, 9, probability=0.8), event(300, 309, probability=0.7), event(100, 109, probability=0.6),
        event(500, 509, probability=0.5), event(600, 609, probability=0.4),
    ]  # fmt: skip
    assert best_on_itself([video(truth, found)]) == 0.6  # F1 .67, .5, .8, .67, .57
    assert best_on_itself([video([], found)]) == 0.8  # nothing can be hit: what has the fewest false ones
    assert best_on_itself([video(truth, [])]) == 0.0


@given(truth=truths, found=founds)
def test_no_other_sensitivity_is_better_on_the_test_subject(truth: list[FrameEvent], found: list[FrameEvent]) -> None:
    one = video(truth, found)
    best = count_video(one, "micro", best_on_itself([one]), "abpn").f1
    assert best == max(count_video(one, "micro", least, "abpn").f1 for least in (0.0, 0.1, 0.5, 0.9))
