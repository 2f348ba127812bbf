"""The decision learned anew for each subject from all others."""

from typing import Any

import numpy as np
import pytest

import train.spotting.decision_fit as decision_fit
from stream.events.evidence import REASONS
from train.challenge.challenge_scores import score
from train.challenge.refit import RefitVideos, refitted
from train.challenge.scored_video import FrameEvent, ScoredVideo
from train.challenge.spot_folder import as_watched, scored_video, video_line
from train.challenge.watch_recorded import FoundCandidate, WatchedVideo
from train.datasets.source import SourceVideo
from train.errors import TrainError

SUBJECTS = ("anna", "ben", "cleo", "dora")
MACRO = FrameEvent("macro", 4000, 4060, 4020, "positive")


@pytest.fixture(autouse=True)
def few_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decision_fit, "_TRIED", {"n_estimators": [5], "max_depth": [2]})


def line(subject: str, seed: int, count: int = 60) -> dict[str, Any]:
    """A movement every two seconds, all of the same probability; those are true that are large while the lids are still."""
    rng = np.random.default_rng(seed)
    truth, candidates = [], []
    for number in range(count):
        onset = 1294 + 150 + 60 * number
        evidence = dict(zip(REASONS, rng.normal(0, 1, len(REASONS)).round(4).tolist(), strict=True))
        event = FrameEvent("micro", onset, onset + 9, onset + 4, "surprise", 0.5)
        if evidence["size"] > 0 and evidence["lids"] < 0.8:
            truth.append(FrameEvent("micro", onset - 1, onset + 10, onset + 4, "surprise"))
        candidates.append(FoundCandidate(event, evidence))
    found = tuple(one.event for one in candidates)
    scored = ScoredVideo(subject, "a", 30.0, 1294, 5400, tuple(truth), (*found, MACRO), 100.0)
    source = SourceVideo("made", subject, "a", 30.0, None)
    return video_line(source, WatchedVideo(scored, {"ok": 4000}, candidates=tuple(candidates)))


@pytest.fixture(scope="module")
def lines() -> list[dict[str, Any]]:
    return [line(subject, seed) for seed, subject in enumerate(SUBJECTS)]


@pytest.mark.slow
def test_strangers_are_judged_by_what_the_others_taught(
    lines: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decision_fit, "_TRIED", {"n_estimators": [60], "max_depth": [2]})
    told: list[int] = []
    anew, least = refitted(lines, "pooled", 1, told.append)
    assert sum(told) == 4 and set(least) == set(SUBJECTS)
    before = score([scored_video(line) for line in lines], 0.5, draws=1)
    after = score([scored_video(line) for line in anew], least, draws=1)
    assert before["micro"]["f1"] < 0.65 and after["micro"]["f1"] > 0.8
    assert after["macro"]["fp"] == 4  # as they were
    assert [as_watched(line) for line in anew] == lines
    for line, old in zip(anew, lines, strict=True):
        assert {**line, "found": 0} == {**old, "found": 0, "found_live": old["found"]}


def test_a_subjects_own_truth_teaches_nobody_who_judges_them(lines: list[dict[str, Any]]) -> None:
    blind = [{**line, "truth": line["truth"][::2]} if line["subject"] == "ben" else line for line in lines]
    found, least = RefitVideos(lines, "pooled").without("ben")
    assert RefitVideos(blind, "pooled").without("ben") == (found, least)
    assert set(found) == {1} and MACRO in found[1]
    others = RefitVideos(blind, "pooled").without("anna")
    assert others != RefitVideos(lines, "pooled").without("anna")


def test_true_ones_of_one_person_alone_are_too_few(lines: list[dict[str, Any]]) -> None:
    alone = [line if line["subject"] == "ben" else {**line, "truth": []} for line in lines]
    with pytest.raises(TrainError, match=r"--refit, without anna: expected candidates at true .* of several people"):
        RefitVideos(alone, "pooled").without("anna")


def test_of_two_close_together_the_likelier_counts(lines: list[dict[str, Any]]) -> None:
    (one,) = [line for line in lines if line["subject"] == "dora"]
    twice = [
        told
        for first in one["candidates"]
        for told in (
            first,
            {**first, "onset": first["onset"] + 2, "apex": first["apex"] + 2, "offset": first["offset"] + 2},
        )
    ]
    found, _ = RefitVideos([*lines[:3], {**one, "candidates": twice}], "pooled").without("dora")
    assert len(found[3]) == len(one["candidates"]) + 1


def test_too_few_to_learn_from_is_said(lines: list[dict[str, Any]]) -> None:
    with pytest.raises(TrainError, match=r"--refit, without anna: expected 10 or more candidates of either kind"):
        RefitVideos(lines[:2], "pooled").without("anna")
