"""Scores of long videos: pooled over all of them, STRS, timing, chance, intervals, and the looser rules beside them."""

import dataclasses
import json
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from train.challenge.challenge_scores import PARTS, UNNAMED, curve, elsewhere, recognition, score
from train.challenge.rules import RULES, Rules
from train.challenge.scored_video import FrameEvent, ScoredVideo


def micro(onset: int, offset: int, label: str | None = None, probability: float | None = None, apex: int | None = None):
    return FrameEvent("micro", onset, offset, apex, label, probability)


def macro(onset: int, offset: int) -> FrameEvent:
    return FrameEvent("macro", onset, offset)


def video(
    truth: Sequence[FrameEvent],
    found: Sequence[FrameEvent],
    subject: str = "s1",
    name: str = "v",
    fps: float = 30.0,
    last: int = 1799,
    watchable_s: float | None = None,
) -> ScoredVideo:
    return ScoredVideo(subject, name, fps, 0, last, tuple(truth), tuple(found), watchable_s)


def made(subjects: int = 4, seed: int = 0) -> list[ScoredVideo]:
    """Videos of a minute: hits that are a frame late, misses, and false events with probabilities; every third is empty."""
    rng = np.random.default_rng(seed)
    videos = []
    for subject in range(subjects):
        for number in range(3):
            starts = 200 * np.arange(8) + rng.integers(0, 100, 8)
            truth = [
                micro(int(s), int(s) + 12, ("negative", "positive")[i % 2], apex=int(s) + 5)
                for i, s in enumerate(starts[:4])
            ]
            found = [
                micro(t.onset + 1, t.offset + 1, "negative", float(rng.uniform(0.4, 1)), t.onset + 7)
                for t in truth
                if rng.random() < 0.6
            ]
            found += [micro(int(s), int(s) + 9, "positive", float(rng.uniform(0, 0.8))) for s in starts[4:]]
            truth.append(macro(1700, 1779))
            videos.append(video(truth if number else [], found, f"s{subject}", f"v{number}", watchable_s=45.0))
    return videos


def test_the_scores_of_a_case_counted_by_hand() -> None:
    videos = [
        video([micro(100, 111), micro(300, 311), macro(500, 599)], [micro(100, 111), micro(700, 709), macro(505, 604)]),
        video([], [micro(50, 59), macro(200, 299)], name="w"),
        video([micro(10, 19)], [], "s2", "v"),
    ]
    told = score(videos, 0.0, draws=5)
    assert [told[part]["n"] for part in PARTS] == [3, 1, 4]
    assert [(told[part]["tp"], told[part]["fp"], told[part]["fn"]) for part in PARTS] == [
        (1, 2, 2),
        (1, 1, 0),
        (2, 3, 2),
    ]
    assert told["micro"]["f1"] == pytest.approx(2 / 6) and told["overall"]["f1"] == pytest.approx(4 / 9)
    assert told["overall"]["precision"] == 2 / 5 and told["overall"]["recall"] == 2 / 4
    assert (told["videos_n"], told["subjects_n"], told["minutes"]) == (3, 2, pytest.approx(3))
    assert told["false"]["micro"] == {"events": 2, "per_min": pytest.approx(2 / 3), "per_watchable_min": None}
    assert (
        told["by_subject"]["s1"]["micro"]["f1"] == pytest.approx(0.4) and told["by_subject"]["s2"]["micro"]["f1"] == 0
    )
    assert [one["micro"]["fp"] for one in told["by_video"]] == [1, 1, 0]
    # Without the video in which there is nothing.
    assert (told["under_rules"]["softnet"]["micro"]["fp"], told["under_rules"]["softnet"]["macro"]["fp"]) == (1, 0)
    assert score(videos, 0.0, "softnet", draws=5)["micro"]["f1"] == pytest.approx(2 / 5)
    assert told["recognition"] is None and told["strs"] is None
    json.dumps(told, allow_nan=False)


def test_strs_is_spotting_times_recognition_of_the_hits_alone() -> None:
    truth = [micro(100 * n, 100 * n + 11, label) for n, label in enumerate(["a", "a", "b", "b", "c", "a"])]
    answers = ["a", "b", "b", None]
    found = [micro(100 * n, 100 * n + 11, label) for n, label in enumerate(answers)] + [micro(950, 959, "a")]
    told = score([video(truth, found)], 0.0, draws=2)
    # Four hits: a as a, a as b, b as b, b as nothing; F1 of a 2/3, of b 1/2, of c (no hit) 0.
    uf1 = (2 / 3 + 1 / 2 + 0) / 3
    spotting = 2 * 4 / (6 + 5)
    assert told["micro"]["f1"] == pytest.approx(spotting)
    assert told["recognition"]["uf1"] == pytest.approx(uf1) and told["strs"] == pytest.approx(spotting * uf1)
    assert told["recognition"]["uar"] == pytest.approx((1 / 2 + 1 / 2) / 2)
    assert told["recognition"]["confusion"] == [[1, 1, 0, 0], [0, 1, 0, 1], [0, 0, 0, 0]]
    assert told["recognition"]["answers"] == ["a", "b", "c", UNNAMED]
    precision, recall = (1 + 1 / 2 + 0) / 3, (1 / 2 + 1 / 2 + 0) / 3
    of_means = 2 * precision * recall / (precision + recall)
    assert told["strs_of_means"] == pytest.approx(spotting * of_means) and told["strs_of_means"] > told["strs"]


def test_hits_of_a_true_event_without_a_class_are_no_question_of_recognition() -> None:
    pairs = [(micro(0, 9, None), micro(0, 9, "a")), (micro(20, 29, "a"), micro(20, 29, "a"))]
    told = recognition(pairs, ("a", "b"))
    assert told is not None and (told["n"], told["uf1"], told["uar"]) == (1, 0.5, 1.0)
    assert recognition(pairs, ()) is None
    nothing = recognition([], ("a", "b"))
    assert nothing is not None and (nothing["n"], nothing["uf1"], nothing["f1_of_means"]) == (0, 0, 0)


def test_timing_is_told_in_frames_and_in_milliseconds_of_each_video() -> None:
    videos = [
        video([micro(100, 111, apex=105)], [micro(102, 111, apex=104)], fps=30.0),
        video([micro(100, 179)], [micro(104, 179, apex=120)], "s2", fps=200.0),
    ]
    told = score(videos, 0.0, draws=2)["timing"]["micro"]
    assert told["n"] == 2 and told["onset"]["bias_frames"] == 3
    assert told["onset"]["bias_ms"] == pytest.approx((2000 / 30 + 4000 / 200) / 2)
    assert told["apex"] == {
        "n": 1, "median_ms": pytest.approx(1000 / 30), "p95_ms": pytest.approx(1000 / 30), "bias_ms": pytest.approx(-1000 / 30),
        "median_frames": 1, "p95_frames": 1, "bias_frames": -1,
    }  # fmt: skip
    assert score(videos[:1], 0.0, draws=2)["timing"]["macro"] == {"n": 0, "onset": None, "apex": None, "offset": None}


@given(seed=st.integers(0, 30), rules=st.sampled_from(list(RULES)))
@settings(max_examples=20, deadline=None)
def test_what_is_pooled_is_the_sum_whatever_the_order_of_the_videos(seed: int, rules: Rules) -> None:
    videos = made(2, seed)
    told, turned = score(videos, 0.5, rules, draws=2), score(videos[::-1], 0.5, rules, draws=2)
    for part in PARTS:
        for key in ("tp", "fp", "fn"):
            assert told[part][key] == sum(one[part][key] for one in told["by_video"])
            assert told[part][key] == sum(one[part][key] for one in told["by_subject"].values())
            assert told[part][key] == turned[part][key]
            assert told["under_rules"][rules][part][key] == told[part][key]
        assert told["overall"]["tp"] == told["micro"]["tp"] + told["macro"]["tp"]
    assert told["recognition"] == turned["recognition"] and told["timing"] == turned["timing"]


@pytest.mark.parametrize("rules", RULES)
def test_what_is_as_true_scores_one_and_nothing_scores_nothing(rules: Rules) -> None:
    videos = [dataclasses.replace(one, found=one.truth) for one in made()]
    told = score(videos, 1.0, rules, draws=2)
    assert [told[part]["f1"] for part in PARTS] == [1, 1, 1] and told["strs"] == 1 == told["strs_of_means"]
    assert told["micro"]["interval"] == {"low": 1, "high": 1}
    none = score([dataclasses.replace(one, found=()) for one in made()], 0.5, rules, draws=2)
    assert [none[part]["f1"] for part in PARTS] == [0, 0, 0] and none["micro"]["chance"]["f1"] == 0


def test_sensitivity_by_subject() -> None:
    videos = made()
    least = {f"s{number}": 0.25 * number for number in range(4)}
    told = score(videos, least, draws=2)
    alone = [score([one for one in videos if one.subject == subject], p, draws=2) for subject, p in least.items()]
    assert told["micro"]["tp"] == sum(one["micro"]["tp"] for one in alone) and told["min_probability"] == least
    assert [told["by_subject"][subject]["min_probability"] for subject in least] == list(least.values())
    with pytest.raises(ValueError, match="every subject, found none for s3"):
        score(videos, {"s0": 0.1, "s1": 0.1, "s2": 0.1})


def test_false_events_a_minute_are_those_of_the_curve() -> None:
    videos = made()
    told = score(videos, 0.0, draws=2)
    assert told["watchable_minutes"] == pytest.approx(12 * 45 / 60)
    assert told["false"]["micro"]["per_watchable_min"] == pytest.approx(told["micro"]["fp"] / 9)
    first, last = told["curve"][0], told["curve"][-1]
    assert first["min_probability"] == 0 and first["f1"] == told["micro"]["f1"]
    assert first["per_watchable_min"] == told["false"]["micro"]["per_watchable_min"] > last["per_watchable_min"]
    for point in told["curve"]:
        again = score(videos, point["min_probability"], draws=1)
        assert again["micro"]["f1"] == point["f1"] and again["micro"]["recall"] == point["recall"]


def test_chance_is_what_as_many_and_as_long_intervals_score_elsewhere() -> None:
    videos = made(3)
    told = score(videos, 0.5, draws=60)
    guess = told["micro"]["chance"]
    assert guess["low"] <= guess["f1"] <= guess["high"] < told["micro"]["f1"] and guess["draws"] == 60
    assert (
        score(videos, 0.5, draws=60)["micro"]["chance"]
        == guess
        != score(videos, 0.5, seed=1, draws=60)["micro"]["chance"]
    )
    # A video that an event fills leaves it nowhere else to be.
    full = [video([micro(0, 9)], [micro(0, 9)], last=9)]
    assert score(full, 0.0, draws=10)["micro"]["chance"] == {"f1": 1, "low": 1, "high": 1, "draws": 10}


def test_chance_knows_how_often_an_interval_of_ten_lies_well() -> None:
    videos = [video([micro(50, 59)], [micro(10, 19)], last=99)]
    chance = score(videos, 0.0, draws=3000)["micro"]["chance"]["f1"]
    # Of the 91 places those from 47 to 53 share 7 of 13 frames or more with the true one.
    assert chance == pytest.approx(7 / 91, abs=0.015)


def test_the_best_sensitivity_on_the_test_subject_lifts_chance_as_well() -> None:
    rng = np.random.default_rng(5)
    videos = [
        video(
            [micro(60, 69)],
            [micro(int(s), int(s) + 9, probability=float(rng.random())) for s in rng.integers(0, 150, 12)],
            f"s{number}", last=159,
        )
        for number in range(8)
    ]  # fmt: skip
    proper, tuned = score(videos, 0.5, draws=100), score(videos, 0.5, "abpn", draws=100)
    assert tuned["micro"]["chance"]["f1"] > 1.5 * proper["micro"]["chance"]["f1"]
    assert set(tuned["min_probability"]) == {f"s{number}" for number in range(8)}


@given(seed=st.integers(0, 1000))
def test_events_elsewhere_are_as_many_and_as_long_and_within_the_video(seed: int) -> None:
    one = made(1, seed)[1]
    placed = elsewhere([one], np.random.default_rng(seed))[0].found
    assert [(e.kind, e.frames, e.probability) for e in placed] == [(e.kind, e.frames, e.probability) for e in one.found]
    assert all(one.first <= e.onset and e.offset <= one.last for e in placed)


def test_the_interval_is_over_subjects() -> None:
    videos = made(6)
    interval = score(videos, 0.5, draws=1)["micro"]["interval"]
    assert interval["low"] < score(videos, 0.5, draws=1)["micro"]["f1"] < interval["high"]
    assert score(videos[:3], 0.5, draws=1)["micro"]["interval"] is None
    same = [dataclasses.replace(one, subject=f"t{number}") for number in range(3) for one in videos[:3]]
    alike = score(same, 0.5, draws=1)["micro"]["interval"]
    assert alike["low"] == pytest.approx(alike["high"])


def test_a_curve_without_candidates_is_one_point() -> None:
    assert [point["f1"] for point in curve([video([micro(0, 9)], [])])] == [0]


def test_what_cannot_be_scored_says_so() -> None:
    with pytest.raises(ValueError, match="expected one or more, found none"):
        score([], 0.5)
    with pytest.raises(ValueError, match="s1/v 2 times"):
        score([video([], []), video([], [])], 0.5)
