"""The decision which movements are micro-expressions, learned from candidates that the live program had in videos whose
truth is known.

Gradient boosting (scikit-learn) of small trees on the candidates' evidence. How good it is, and the curve that a sensitivity is read from, come
from folds over people: nobody is judged by a decision that has seen them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.decision import UNJUDGED, CurvePoint, DecisionTree, SpottingDecision
from model.types import Event
from stream.events.evidence import LEAST_PX, REASONS
from stream.events.judgement import Judge
from stream.events.settings import EventSettings
from train.errors import TrainError
from train.spotting.match import iou
from train.synth.long_video_script import TruthEvent

_TRIED = {"n_estimators": [60, 120, 200], "max_depth": [2, 3]}
_DIGITS = 5
_CURVE_POINTS = 60
_LEAST_HITS = 10
_HIT_IOU = 0.5
_APEX_SLACK_S = 0.1

Rows = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class JudgedVideo:
    """A video that was watched: `events` are all candidates of the live program with their evidence, accepted or not.

    `group` says what kind of video it is, `person` whom it shows; `minutes` of it count for rates: those in which the face was read.
    `verdicts`: of each candidate, whether it is a micro-expression, where coders said so; None where the truth says it.
    """

    name: str
    person: str
    group: str
    minutes: float
    truth: tuple[TruthEvent, ...]
    candidates: tuple[Event, ...]
    verdicts: tuple[bool, ...] | None = None

    @classmethod
    def of(
        cls, name: str, person: str, group: str, minutes: float, truth: Sequence[TruthEvent], events: Sequence[Event]
    ) -> "JudgedVideo":
        """Leaves out what is no candidate: long movements, and what was not seen whole."""
        kept = [event for event in events if is_candidate(event)]
        return cls(name, person, group, minutes, tuple(e for e in truth if e.kind == "micro"), tuple(kept))

    @property
    def rows(self) -> Rows:
        """(candidates, features)"""
        values = [[event.evidence[name] for name in REASONS] for event in self.candidates]
        return np.array(values, np.float64).reshape(len(values), len(REASONS))

    @property
    def hits(self) -> NDArray[np.bool_]:
        """(candidates,) Whether each is at a true micro-expression."""
        if self.verdicts is not None:
            return np.array(self.verdicts, bool)
        return np.array([any(is_hit(event, true) for true in self.truth) for event in self.candidates], bool)


def is_candidate(event: Event) -> bool:
    """Whether it can be learned from: of a micro-expression's length, and seen whole."""
    return event.kind == "micro" and bool(event.evidence) and event.rejected not in UNJUDGED - {"overlap"}


def is_hit(event: Event, true: TruthEvent) -> bool:
    """Whether they overlap by half, or the one's apex is within the other, a tenth of a second more or less."""
    near = true.onset_s - _APEX_SLACK_S <= event.apex_s <= true.offset_s + _APEX_SLACK_S
    return near or iou(true, event) >= _HIT_IOU


def fit_decision(videos: Sequence[JudgedVideo], training_data: str) -> SpottingDecision:
    """The decision that all of these videos teach, without a curve. How many trees there are, and how deep, is chosen by
    folds over people. Raises TrainError when there are too few candidates of either kind to learn from."""
    # Takes a second to load, and every command of `train` loads this file.
    from sklearn.ensemble import GradientBoostingClassifier
    from sklearn.metrics import log_loss, make_scorer
    from sklearn.model_selection import GridSearchCV, GroupKFold

    rows = np.concatenate([video.rows for video in videos])
    hits = np.concatenate([video.hits for video in videos])
    people = np.concatenate([np.full(len(video.candidates), video.person) for video in videos])
    if min(hits.sum(), (~hits).sum()) < _LEAST_HITS or len(set(people)) < 2:
        raise TrainError(
            f"expected {_LEAST_HITS} or more candidates of either kind, of two people or more, found {hits.sum()} at true "
            f"micro-expressions and {(~hits).sum()} others, of {len(set(people))}: more videos help"
        )
    model = GradientBoostingClassifier(
        learning_rate=0.06, subsample=0.6, min_samples_leaf=15, max_features=0.5, random_state=0
    )
    folds = list(GroupKFold(min(4, len(set(people)))).split(rows, hits, people))
    if any(len(set(hits[taught].tolist())) < 2 for taught, _ in folds):
        raise TrainError(
            "expected candidates at true micro-expressions, and others, of several people, found either of a few alone: more videos help"
        )
    # Of the people in a fold perhaps nobody shows one.
    loss = make_scorer(log_loss, response_method="predict_proba", greater_is_better=False, labels=[False, True])
    search = GridSearchCV(model, _TRIED, scoring=loss, cv=folds, error_score="raise")  # type: ignore[arg-type]
    search.fit(rows, hits)
    best: GradientBoostingClassifier = search.best_estimator_
    share = float(hits.mean())
    return SpottingDecision(
        features=tuple(REASONS),
        bias=math.log(share / (1 - share)),
        trees=tuple(_tree(stage[0].tree_, best.learning_rate) for stage in best.estimators_),
        training_data=training_data,
    )


def _tree(grown: Any, rate: float) -> DecisionTree:
    """A tree of scikit-learn's; what passes through a node adds the mean of the leaves that it reaches."""
    values = rate * grown.value[:, 0, 0]
    passed = grown.weighted_n_node_samples
    for node in reversed(range(grown.node_count)):
        left, right = grown.children_left[node], grown.children_right[node]
        if left >= 0:
            values[node] = (values[left] * passed[left] + values[right] * passed[right]) / passed[node]
    return DecisionTree(
        feature=tuple(max(int(number), -1) for number in grown.feature),
        threshold=tuple(map(float, grown.threshold)),
        left=tuple(max(int(number), 0) for number in grown.children_left),
        right=tuple(max(int(number), 0) for number in grown.children_right),
        value=tuple(round(float(value), _DIGITS) for value in values),
    )


def probabilities(decision: SpottingDecision, video: JudgedVideo) -> Rows:
    """(candidates,)"""
    return np.array([decision.probability(event.evidence) for event in video.candidates], np.float64)


def out_of_fold(videos: Sequence[JudgedVideo], folds: int) -> list[Rows]:
    """Probabilities of each video's candidates by a decision that was learned from other people. Raises TrainError for fewer
    people than folds."""
    people = sorted({video.person for video in videos})
    if len(people) < folds:
        raise TrainError(f"--folds: expected at most one for each of {len(people)} people, found {folds}")
    found: list[Rows] = [np.empty(0)] * len(videos)
    for fold in range(folds):
        held = set(people[fold::folds])
        decision = fit_decision([video for video in videos if video.person not in held], "a fold")
        for number, video in enumerate(videos):
            if video.person in held:
                found[number] = probabilities(decision, video)
    return found


def noticed(videos: Sequence[JudgedVideo], chances: Sequence[Rows]) -> tuple[float, ...]:
    """`SpottingDecision.noticed`: median regression of the logits of candidates at true micro-expressions (probabilities of a decision that
    has not seen their people) on what hides them. Empty where they are too few, or do not grow with the size."""
    from sklearn.linear_model import QuantileRegressor

    columns = [list(REASONS).index(name) for name in ("size", "over noise", "restlessness", "head speed")]
    rows = np.concatenate([video.rows[video.hits][:, columns] for video in videos])
    chance = np.clip(np.concatenate([c[video.hits] for video, c in zip(videos, chances, strict=True)]), 1e-4, 1 - 1e-4)
    if len(rows) < _LEAST_HITS:
        return ()
    rows[:, 1] = np.maximum(rows[:, 0] - rows[:, 1], math.log(LEAST_PX))
    model = QuantileRegressor(quantile=0.5, alpha=0.0).fit(rows, np.log(chance / (1 - chance)))
    found = tuple(round(float(value), _DIGITS) for value in (model.intercept_, *model.coef_))
    return found if found[1] > 0 else ()


def watchable_shares(
    decision: SpottingDecision, videos: Sequence[JudgedVideo], chances: Sequence[Rows]
) -> dict[str, dict[str, float | int]]:
    """Of the candidates at true micro-expressions, where the face was watchable and where it was not: their number `n`, and the share
    `counts` of them that count at the default sensitivity. `chances` as `noticed` takes them."""
    judge, limit_px = Judge(decision), EventSettings().watchable_px
    counting: dict[str, list[bool]] = {"watchable": [], "not watchable": []}
    for video, chance in zip(videos, chances, strict=True):
        for event, likely, hit in zip(video.candidates, chance, video.hits, strict=True):
            if not hit:
                continue
            known = event.evidence
            noise_px = math.exp(known["size"] - known["over noise"])
            px = judge.smallest_px(noise_px, math.exp(known["restlessness"]), math.expm1(known["head speed"]))
            where = "watchable" if px is not None and px <= limit_px else "not watchable"
            counting[where].append(bool(likely >= judge.least_probability))
    return {
        where: {"n": len(counts), "counts": float(np.mean(counts)) if counts else 0.0}
        for where, counts in counting.items()
    }


@dataclass(frozen=True)
class Counted:
    """What counts at a threshold: true micro-expressions, those found, and false events."""

    true: int
    found: int
    false: int


def count_at(videos: Sequence[JudgedVideo], chances: Sequence[Rows], least: float) -> Counted:
    """At the least probability; of candidates with apexes close together only the likeliest counts, as live."""
    true = found = false = 0
    for video, chance in zip(videos, chances, strict=True):
        counted = [video.candidates[n] for n in likeliest(video, chance) if chance[n] >= least]
        used: set[int] = set()
        for event in video.truth:
            near = [n for n, candidate in enumerate(counted) if n not in used and is_hit(candidate, event)]
            if near:
                used.add(near[0])
        true, found, false = true + len(video.truth), found + len(used), false + len(counted) - len(used)
    return Counted(true, found, false)


def likeliest(video: JudgedVideo, chance: Rows) -> list[int]:
    """Places of the candidates that no other one nearby is likelier than; of equally likely ones that which stands out more, then the first."""
    apexes_s = np.array([event.apex_s for event in video.candidates])
    clear = np.array([event.evidence["over noise"] for event in video.candidates])
    rival_s = EventSettings().rival_s
    order = np.lexsort((-np.arange(len(chance)), clear, chance))
    rank = np.empty(len(order), int)
    rank[order] = np.arange(len(order))
    return [n for n in range(len(rank)) if rank[np.abs(apexes_s - apexes_s[n]) <= rival_s].max() == rank[n]]


def curve(videos: Sequence[JudgedVideo], chances: Sequence[Rows]) -> tuple[CurvePoint, ...]:
    """False events a minute and recall at every threshold that makes a difference, thinned out; from the lowest on."""
    minutes = sum(video.minutes for video in videos)
    if minutes <= 0:
        return ()
    thresholds = np.unique(np.concatenate([np.round(chance, 4) for chance in chances]))
    if len(thresholds) > _CURVE_POINTS:
        # Close together where few candidates are left: that is where people choose.
        share = 1 - np.linspace(1, 0, _CURVE_POINTS) ** 2
        thresholds = thresholds[np.unique((share * (len(thresholds) - 1)).round().astype(int))]
    points = []
    for least in map(float, thresholds):
        counted = count_at(videos, chances, least)
        recall = counted.found / counted.true if counted.true else 0.0
        points.append(CurvePoint(min(max(least, 0.0), 1.0), counted.false / minutes, recall))
    return tuple(points)
