"""Spotting scores: intervals matched one to one, pooled, by class, in time, over thresholds, and against chance."""

import dataclasses
import json
import random
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.types import Event, EventKind, Rejection
from train.spotting.curves import MicroCandidates, curve
from train.spotting.event_scores import RateRun, chance, compare_rates, score, score_group
from train.spotting.match import (
    Counts,
    SpottedVideo,
    count,
    count_classes,
    false_per_minute,
    iou,
    match,
    recall_by_peak,
    rejections,
    timing_errors,
)
from train.synth.long_video_script import TruthEvent

CLASSES = ("negative", "positive", "surprise")


def true(onset_s: float, offset_s: float, label: str = "negative", kind: EventKind = "micro", peak_px: float = 2.0):
    return TruthEvent(kind, label, onset_s, (onset_s + offset_s) / 2, offset_s, peak_px)


def found(
    onset_s: float,
    offset_s: float,
    label: str = "negative",
    kind: EventKind = "micro",
    probability: float | None = 0.8,
    rejected: Rejection | None = None,
) -> Event:
    apex_s = (onset_s + offset_s) / 2
    return Event(0, kind, label, onset_s, apex_s, offset_s, 0.5, 2.0, rejected, probability=probability)


def video(
    truth: Sequence[TruthEvent],
    events: Sequence[Event],
    seconds: float = 60.0,
    name: str = "v",
    watchable_s: float | None = None,
) -> SpottedVideo:
    return SpottedVideo(name, seconds, truth, events, seconds if watchable_s is None else watchable_s)


times = st.floats(0, 60, allow_nan=False)
intervals = st.tuples(times, st.floats(0.04, 0.6)).map(lambda t: (t[0], t[0] + t[1]))
truths = st.lists(st.tuples(intervals, st.sampled_from(CLASSES)).map(lambda t: true(*t[0], t[1])), max_size=12)
events = st.lists(
    st.tuples(intervals, st.sampled_from(CLASSES), st.floats(0, 1)).map(
        lambda t: found(*t[0], t[1], probability=t[2])
    ),
    max_size=12,
)  # fmt: skip


# --- intersection over union and matching ---------------------------------------------------------------------------


@given(first=intervals, second=intervals)
def test_iou_is_a_symmetric_share(first: tuple[float, float], second: tuple[float, float]) -> None:
    a, b = true(*first), true(*second)
    assert 0 <= iou(a, b) <= 1 and iou(a, b) == iou(b, a) and iou(a, a) == pytest.approx(1)
    if first[1] <= second[0]:
        assert iou(a, b) == 0


@given(st.lists(st.integers(0, 200), min_size=4, max_size=4), st.sampled_from((25, 30, 100, 200)))
def test_inclusive_frames_are_intervals_with_the_last_frames_time(frames: list[int], fps: int) -> None:
    (a, b), (c, d) = sorted(frames[:2]), sorted(frames[2:])
    shared = max(0, min(b, d) - max(a, c) + 1)
    in_frames = shared / ((b - a + 1) + (d - c + 1) - shared)
    assert iou(true(a / fps, (b + 1) / fps), true(c / fps, (d + 1) / fps)) == pytest.approx(in_frames, abs=1e-9)


@given(truth=truths, events=events)
def test_matches_are_one_to_one_and_overlap(truth: list[TruthEvent], events: list[Event]) -> None:
    pairs = match(truth, events)
    assert len({t for t, _ in pairs}) == len({f for _, f in pairs}) == len(pairs)
    assert all(iou(truth[t], events[f]) >= 0.5 for t, f in pairs)
    free = [(t, f) for t in range(len(truth)) for f in range(len(events)) if iou(truth[t], events[f]) >= 0.5]
    taken_true, taken_found = {t for t, _ in pairs}, {f for _, f in pairs}
    assert all(t in taken_true or f in taken_found for t, f in free)


def test_the_best_overlap_is_matched_first() -> None:
    # The first found event overlaps the true one by more than half too, but the second is nearer.
    assert match([true(1.0, 1.4)], [found(1.1, 1.4), found(1.0, 1.38)]) == [(0, 1)]


def test_labels_may_have_to_agree() -> None:
    truth, events = [true(1.0, 1.4, "positive")], [found(1.0, 1.4, "negative"), found(1.0, 1.3, "positive")]
    assert match(truth, events) == [(0, 0)]
    assert match(truth, events, with_label=True) == [(0, 1)]


# --- scores ---------------------------------------------------------------------------------------------------------


@given(truth=truths, events=events, seed=st.integers(0, 1000))
def test_scores_do_not_depend_on_any_order(truth: list[TruthEvent], events: list[Event], seed: int) -> None:
    videos = [video(truth, events), video([true(3, 3.3)], [found(3.05, 3.3)], name="w")]
    shuffled = random.Random(seed)
    mixed = [
        dataclasses.replace(v, truth=shuffled.sample(list(v.truth), len(v.truth)),
                            found=shuffled.sample(list(v.found), len(v.found)))
        for v in reversed(videos)
    ]  # fmt: skip
    assert count(mixed, "micro", with_label=True) == count(videos, "micro", with_label=True)
    assert count(mixed, "micro").tp + count(mixed, "micro").fn == len(truth) + 1


@given(truth=truths, events=events)
def test_counts_add_up_and_ratios_are_shares(truth: list[TruthEvent], events: list[Event]) -> None:
    videos = [video(truth, events)]
    anywhere, classed = count(videos, "micro"), count(videos, "micro", with_label=True)
    for counts in (anywhere, classed, *count_classes(videos, "micro", CLASSES).values()):
        assert 0 <= counts.precision <= 1 and 0 <= counts.recall <= 1 and 0 <= counts.f1 <= 1
    assert anywhere.tp + anywhere.fn == len(truth) and anywhere.tp + anywhere.fp == len(events)
    by_class = count_classes(videos, "micro", CLASSES)
    assert sum(by_class.values(), Counts(0, 0, 0)) == classed


@given(truth=truths)
def test_the_truth_itself_is_perfect(truth: list[TruthEvent]) -> None:
    events = [found(e.onset_s, e.offset_s, e.label) for e in truth]
    counts = count([video(truth, events)], "micro", with_label=True)
    assert (counts.tp, counts.fp, counts.fn) == (len(truth), 0, 0)
    if truth:
        assert counts.f1 == 1
        timing = timing_errors([video(truth, events)], "micro")
        assert all(row["median_ms"] == row["p95_ms"] == row["bias_ms"] == 0 for row in timing.values())


def test_nothing_scores_nothing() -> None:
    scores = score([video([], [])], [], CLASSES)
    assert scores["micro"]["localised"]["f1"] == 0 and scores["micro"]["timing"]["onset"] is None
    assert scores["quiet"] is None and scores["chance"]["f1"] == 0
    assert scores["recall_at"]["1"] == 0 and score([], [], CLASSES)["micro"]["false_per_min"] is None
    assert count([video([true(1, 1.3)], [])], "micro") == Counts(0, 0, 1)
    assert json.dumps(score([], [], CLASSES))


def test_counts_are_pooled_before_f1_is_taken() -> None:
    good = video([true(1, 1.3)], [found(1, 1.3)])
    bad = video([true(t, t + 0.3) for t in (1, 3, 5)], [])
    assert count([good, bad], "micro") == Counts(1, 0, 3)
    assert count([good, bad], "micro").f1 == pytest.approx(2 / 5)


def test_kinds_are_apart_and_rejected_candidates_do_not_count() -> None:
    v = video(
        [true(1, 1.3), true(10, 12, kind="macro")],
        [found(1, 1.3, kind="macro"), found(10, 12, kind="macro"), found(1, 1.3, rejected="blink"), found(11, 11.3)],
    )
    assert count([v], "micro") == Counts(0, 1, 1)
    assert count([v], "macro") == Counts(1, 1, 0)
    assert rejections([v]) == {"blink": {"n": 1, "true": 1}}
    scores = score([v], [], CLASSES)
    assert scores["micro_found_in_macro"] == 1


def test_a_wrong_class_is_found_where_it_is_but_not_right() -> None:
    scores = score([video([true(1, 1.3, "positive")], [found(1, 1.3, "surprise")])], [], CLASSES)["micro"]
    assert scores["localised"]["f1"] == 1 and scores["with_class"]["f1"] == 0
    assert scores["right_class"] == {"n": 1, "share": 0.0}
    assert scores["per_class"]["positive"]["fn"] == 1 and scores["per_class"]["surprise"]["fp"] == 1


def test_errors_in_time_are_those_of_matched_events() -> None:
    truth = [true(1.0, 1.4), true(5.0, 5.4), true(9.0, 9.4)]
    timing = timing_errors([video(truth, [found(1.02, 1.44), found(5.04, 5.44), found(20, 20.4)])], "micro")
    assert timing["onset"] == {
        "median_ms": pytest.approx(30),
        "p95_ms": pytest.approx(39),
        "bias_ms": pytest.approx(30),
    }
    assert timing["offset"]["bias_ms"] == pytest.approx(40)


def test_false_events_are_counted_a_watchable_minute() -> None:
    truth, events = [true(1, 1.3)], [found(1, 1.3), found(20, 20.3), found(30, 30.3)]
    assert false_per_minute([video(truth, events, seconds=30)]) == pytest.approx(4)
    assert false_per_minute([video(truth, events, seconds=30, watchable_s=15)]) == pytest.approx(8)
    assert false_per_minute([video(truth, events, seconds=30)], min_probability=0.9) == 0
    assert false_per_minute([video(truth, events, watchable_s=0)]) is None and false_per_minute([]) is None


def test_a_threshold_lets_rejected_candidates_count_but_for_those_that_nobody_saw_whole() -> None:
    events = [
        found(1, 1.3, probability=0.4, rejected="speech"),
        found(3, 3.3, probability=0.9, rejected="overlap"),
        found(5, 5.3, probability=0.9, rejected="calibrating"),
        found(7, 7.3, probability=0.6),
        found(9, 10, kind="macro", probability=None, rejected="blink"),
    ]
    v = video([true(1, 1.3), true(3, 3.3)], events)
    assert count([v], "micro") == Counts(0, 1, 2)
    assert count([v], "micro", min_probability=0.4) == Counts(1, 1, 1)
    assert count([v], "micro", min_probability=0.5) == Counts(0, 1, 2)
    assert count([v], "micro", min_probability=0.7) == Counts(0, 0, 2)
    assert v.found_events("macro", 0.0) == []


@given(truth=truths, events=events, threshold=st.floats(0, 1))
def test_candidates_matched_once_count_as_those_matched_at_every_threshold(
    truth: list[TruthEvent], events: list[Event], threshold: float
) -> None:
    videos = [video(truth, events), video([true(3, 3.3)], [found(3.05, 3.3, probability=None)], name="w")]
    candidates = MicroCandidates(videos)
    for with_label in (False, True):
        assert candidates.counts(threshold, with_label) == count(videos, "micro", with_label, threshold)
    assert candidates.false_per_min(threshold) == false_per_minute(videos, threshold)


def test_recall_is_told_by_false_events_a_watchable_minute() -> None:
    truth = [true(1, 1.3), true(3, 3.3), true(5, 5.3), true(7, 7.3)]
    events = [found(20, 20.3, probability=0.7), found(30, 30.3, probability=0.3), found(40, 40.3, probability=0.2)]
    events += [found(e.onset_s, e.offset_s, probability=p) for e, p in zip(truth, (0.9, 0.8, 0.5, 0.25), strict=True)]
    two_minutes = MicroCandidates([video(truth, events, seconds=300, watchable_s=120)])
    recalls = [two_minutes.recall_at(rate) for rate in (0.25, 0.5, 1.0, 2.0)]
    assert recalls == [0.5, 0.75, 1.0, 1.0]
    assert MicroCandidates([video(truth, events, watchable_s=0)]).recall_at(4.0) is None


def test_a_kind_of_videos_is_told_whole() -> None:
    v = video([true(1, 1.3)], [found(1, 1.3), found(9, 9.3, probability=0.2, rejected="speech")], watchable_s=30)
    still = video([], [found(2, 2.3)], name="as it is", watchable_s=15)
    group = score_group([v, v], [still], ["b", "a", "b"], 12.0, [0.4, None])
    assert group["people"] == ["a", "b"] and (group["minutes"], group["watchable_minutes"]) == (2.0, 1.0)
    assert group["own_minutes"] == pytest.approx(0.2) and group["smallest_px"] == 0.4
    assert (group["n"], group["recall"], group["false_per_min"]) == (2, 1.0, 0.0)
    assert group["quiet"]["false_per_min"] == pytest.approx(4) and group["right_class"] == {"n": 2, "share": 1.0}
    assert group["recall_at"] == {"0.25": 1.0, "0.5": 1.0, "1": 1.0, "2": 1.0, "4": 1.0}
    assert [point["false_per_min"] for point in group["curve"]] == [2.0, 2.0, 0.0]
    assert json.dumps(group) and score_group([], [], [], 0.0, [])["smallest_px"] is None


def test_recall_is_told_by_size() -> None:
    truth = [true(1, 1.3, peak_px=0.9), true(3, 3.3, peak_px=1.5), true(5, 5.3, peak_px=2.9)]
    assert recall_by_peak([video(truth, [found(5, 5.3)])]) == {
        "under 1.2 px": {"n": 1, "recall": 0},
        "1.2 to 2 px": {"n": 1, "recall": 0},
        "2 px or more": {"n": 1, "recall": 1},
    }


@given(truth=truths, events=events)
def test_a_higher_threshold_never_finds_more(truth: list[TruthEvent], events: list[Event]) -> None:
    points = curve([video(truth, events)], [video([], events, name="quiet")])
    for lower, higher in pairwise(points):
        assert lower.min_probability < higher.min_probability
        assert lower.recall >= higher.recall
        assert (lower.quiet_false_per_min or 0) >= (higher.quiet_false_per_min or 0)
    assert points[0].f1 == count([video(truth, events)], "micro").f1


def test_chance_is_far_below_a_detector_that_sees() -> None:
    rng = np.random.default_rng(0)
    onsets = np.cumsum(rng.uniform(4, 12, 12))
    truth = [true(float(t), float(t) + 0.3) for t in onsets]
    v = video(truth, [found(e.onset_s, e.offset_s) for e in truth], seconds=120)
    drawn = chance([v], seed=1)
    assert drawn == chance([v], seed=1) and 0 <= drawn["f1"] < 0.3


def test_clips_without_annotations_hold_false_events_only() -> None:
    scores = score([], [video([], [found(1, 1.3), found(2, 3, kind="macro")], seconds=30)], CLASSES)
    assert scores["quiet"]["events"] == 1 and scores["quiet"]["false_per_min"] == pytest.approx(2)
    assert scores["quiet"]["per_video"]["v"]["macro_events"] == 1


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [{"onset_s": 2.0}, {"apex_s": 0.0}, {"kind": "nano"}])
def test_truth_is_checked(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="true event: expected"):
        dataclasses.replace(true(1, 1.3), **wrong)  # type: ignore[arg-type]


def test_a_video_has_a_duration() -> None:
    with pytest.raises(ValueError, match="duration"):
        video([], [], seconds=0)
    with pytest.raises(ValueError, match="watchable"):
        video([], [], watchable_s=-1.0)


# --- frame rates ----------------------------------------------------------------------------------------------------


def test_rates_are_compared_event_by_event() -> None:
    truth = [true(t, t + 0.4) for t in (1, 5, 9)]
    reference = RateRun("30 fps", [video(truth, [found(1, 1.4), found(5, 5.4), found(9, 9.4)])])
    other = RateRun("60 fps", [video(truth, [found(1.01, 1.41), found(5.06, 5.46, "positive"), found(30, 30.4)])])
    same, changed = compare_rates(reference, [reference, other])
    assert same["within"] == 1 and same["same"] == 3 and same["only_here"] == same["only_there"] == 0
    assert (changed["same"], changed["only_here"], changed["only_there"]) == (2, 1, 1)
    assert changed["within"] == 0.5 and changed["same_label"] == 0.5
    assert changed["onset_ms"]["max"] == pytest.approx(60)


def test_rates_of_other_videos_are_refused() -> None:
    with pytest.raises(ValueError, match="expected the videos of 30 fps"):
        compare_rates(RateRun("30 fps", [video([], [])]), [RateRun("60 fps", [video([], [], name="w")])])
