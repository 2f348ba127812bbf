"""Learning the decision: a planted rule is learned, its trees say what scikit-learn's say, and nobody judges themselves."""

from itertools import pairwise

import numpy as np
import pytest
from sklearn import model_selection
from sklearn.ensemble import GradientBoostingClassifier

import train.spotting.decision_fit as decision_fit
from model.decision import SpottingDecision
from model.types import Event, Rejection
from stream.events.evidence import REASONS
from train.errors import TrainError
from train.spotting.decision_fit import (
    JudgedVideo,
    count_at,
    curve,
    fit_decision,
    is_hit,
    noticed,
    out_of_fold,
    probabilities,
)
from train.synth.long_video_script import TruthEvent

PEOPLE = ("anna", "ben", "cleo", "dora")


def candidate(
    apex_s: float, evidence: dict[str, float], rejected: Rejection | None = None, kind: str = "micro"
) -> Event:
    times = (apex_s - 0.1, apex_s, apex_s + 0.15)
    chance = 0.5 if kind == "micro" else None
    return Event(1, kind, "surprise", *times, 0.5, 1.0, rejected, probability=chance, evidence=evidence)  # type: ignore[arg-type]


def true_at(apex_s: float, kind: str = "micro") -> TruthEvent:
    return TruthEvent(kind, "surprise", apex_s - 0.12, apex_s, apex_s + 0.2, 1.5)  # type: ignore[arg-type]


def made_video(person: str, seed: int, count: int = 60) -> JudgedVideo:
    """A movement every 2 s; it is a micro-expression where it is large and the lids are still, most of the time."""
    rng = np.random.default_rng(seed)
    truth, events = [], []
    for number in range(count):
        apex_s = 5.0 + 2.0 * number
        evidence = dict(zip(REASONS, rng.normal(0, 1, len(REASONS)).tolist(), strict=True))
        if (evidence["size"] > 0 and evidence["lids"] < 0.8) ^ (rng.random() < 0.05):
            truth.append(true_at(apex_s))
        events.append(candidate(apex_s, evidence))
    return JudgedVideo.of(f"{person}-{seed}", person, "made", 2.0 * count / 60, truth, events)


@pytest.fixture(scope="module")
def videos() -> list[JudgedVideo]:
    return [made_video(person, seed) for seed, person in enumerate(PEOPLE)]


@pytest.fixture(scope="module")
def fitted(videos: list[JudgedVideo]) -> tuple[SpottingDecision, GradientBoostingClassifier]:
    """The decision, and scikit-learn's own model."""
    models = []

    class Kept(model_selection.GridSearchCV):
        def fit(self, *args, **named):
            models.append(self)
            return super().fit(*args, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model_selection, "GridSearchCV", Kept)
        patch.setattr(decision_fit, "_TRIED", {"n_estimators": [60], "max_depth": [2, 3]})
        return fit_decision(videos, "made up"), models[0].best_estimator_


def test_a_planted_rule_is_learned(fitted):
    decision, _ = fitted
    stranger = made_video("eve", 77, count=200)
    chance = probabilities(decision, stranger)
    assert np.mean((chance >= 0.5) == stranger.hits) > 0.85
    assert decision.features == tuple(REASONS) and decision.training_data == "made up" and decision.curve == ()


def test_its_trees_say_what_scikit_learns_say(fitted, videos):
    decision, model = fitted
    for video in videos:
        assert probabilities(decision, video) == pytest.approx(model.predict_proba(video.rows)[:, 1], abs=1e-3)


def test_a_node_adds_the_mean_of_what_passes_through(fitted, videos):
    """So that what speaks for and against starts from the mean of all candidates."""
    decision, model = fitted
    grown, tree = model.estimators_[0][0].tree_, decision.trees[0]
    leaves = [node for node in range(len(tree.value)) if tree.feature[node] < 0]
    passed = grown.n_node_samples[leaves]
    assert tree.value[0] == pytest.approx(np.average([tree.value[n] for n in leaves], weights=passed), abs=1e-4)


def test_nobody_is_judged_by_a_decision_that_has_seen_them(videos, monkeypatch):
    seen: list[set[str]] = []

    def fit(some, words):
        seen.append({video.person for video in some})
        return f"without {sorted(set(PEOPLE) - seen[-1])}"

    monkeypatch.setattr(decision_fit, "fit_decision", fit)
    monkeypatch.setattr(decision_fit, "probabilities", lambda decision, video: (decision, video.person))
    twice = [*videos, made_video("anna", 9)]
    found = out_of_fold(twice, 2)
    assert len(seen) == 2 and all(len(people) == 2 for people in seen)
    for video, (decision, person) in zip(twice, found, strict=True):  # type: ignore[misc]
        assert person == video.person and f"'{person}'" in decision
    with pytest.raises(TrainError, match="at most one for each of 4 people, found 5"):
        out_of_fold(videos, 5)


def test_too_little_to_learn_from_is_told(videos):
    with pytest.raises(TrainError, match=r"of two people or more, found .* of 1"):
        fit_decision([videos[0]], "")
    with pytest.raises(TrainError, match="10 or more candidates of either kind"):
        fit_decision([made_video(person, seed, count=3) for seed, person in enumerate(PEOPLE)], "")


def test_the_curve_goes_one_way(videos):
    rng = np.random.default_rng(2)
    chances = [np.clip(0.5 * video.hits + rng.uniform(0, 0.5, len(video.hits)), 0, 1) for video in videos]
    points = curve(videos, chances)
    assert 2 < len(points) <= 60
    for before, after in pairwise(points):
        assert before.min_probability < after.min_probability
        assert before.false_per_min >= after.false_per_min and before.recall >= after.recall
    minutes = sum(video.minutes for video in videos)
    counted = count_at(videos, chances, points[0].min_probability)
    assert points[0].recall == counted.found / counted.true == 1.0
    assert points[0].false_per_min == pytest.approx(counted.false / minutes)
    assert curve([], []) == ()


# What is a hit, and what counts


@pytest.mark.parametrize(("off_s", "hit"), [(0.0, True), (0.29, True), (-0.21, True), (0.4, False), (-0.4, False)])
def test_a_hit_is_at_the_same_time(off_s, hit):
    assert is_hit(candidate(5.0 + off_s, {}), true_at(5.0)) is hit


def test_only_candidates_that_were_seen_whole_are_learned_from():
    evidence = dict.fromkeys(REASONS, 0.0)
    told: list[Rejection | None] = [None, "speech", "overlap", "calibrating", "tracking_lost"]
    events = [candidate(5.0 + n, evidence, reason) for n, reason in enumerate(told)]
    events += [candidate(20.0, evidence, kind="macro"), candidate(21.0, {})]
    video = JudgedVideo.of("v", "anna", "made", 1.0, [true_at(5.0), true_at(20.0, "macro")], events)
    assert [event.rejected for event in video.candidates] == [None, "speech", "overlap"]
    assert [event.kind for event in video.truth] == ["micro"]
    assert video.hits.tolist() == [True, False, False] and video.rows.shape == (3, len(REASONS))
    empty = JudgedVideo.of("v", "anna", "made", 1.0, [], [])
    assert empty.rows.shape == (0, len(REASONS)) and empty.hits.shape == (0,)


def test_of_candidates_close_together_one_counts():
    """The likeliest; of equally likely ones that which stands out more, then the first: as live."""
    clear, faint = (dict.fromkeys(REASONS, 0.0) | {"over noise": value} for value in (1.0, 0.5))
    events = [candidate(5.0, faint), candidate(5.2, clear), candidate(9.0, clear), candidate(9.1, clear)]
    video = JudgedVideo.of("v", "anna", "made", 1.0, [true_at(5.0), true_at(9.0)], events)
    same = count_at([video], [np.full(4, 0.7)], 0.5)
    assert (same.true, same.found, same.false) == (2, 2, 0)
    late = count_at([video], [np.array([0.7, 0.4, 0.6, 0.8])], 0.75)
    assert (late.found, late.false) == (1, 0)


def test_what_is_noticed_is_the_median_of_what_was_found_at_its_size(videos):
    rng = np.random.default_rng(3)
    columns = [list(REASONS).index(name) for name in ("size", "over noise", "restlessness", "head speed")]
    chances = []
    for video in videos:
        size, over, restless, head = video.rows[:, columns].T
        noise = np.maximum(size - over, np.log(0.02))
        logits = 1.0 + 2.0 * size - noise - 0.5 * restless - 0.2 * head + rng.laplace(0, 0.01, len(size))
        chances.append(1 / (1 + np.exp(-np.clip(logits, -9, 9))))
    found = noticed(videos, chances)
    assert found[1] == pytest.approx(2.0, abs=0.2)
    assert noticed(videos, [1 - chance for chance in chances]) == ()  # where larger ones are found less often
