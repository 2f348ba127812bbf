"""The learned decision about a movement: how likely it is a micro-expression, and what speaks most against it.

Small decision trees, one after the other (gradient boosting; Friedman 2001), on what is known of a candidate. Fitted by
`python -m train spot-fit`, they travel in the model's contract with the curve that was measured on people they had not seen.
Standard library only.
"""

import bisect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from model.errors import is_number, require

DEFAULT_SENSITIVITY = 0.5
"""False events a minute that one is willing to look at: of those in which a face can be read."""
_MOST_FEATURES = 500
_MOST_POINTS = 10_000
_MOST_TREES = 2_000
_MOST_NODES = 1_000
_NOTICED = 5
UNJUDGED = frozenset(
    {"calibrating", "overlap", "tracking_lost", "face_too_small", "face_turned", "not_upright", "insufficient_rate"}
)
"""Reasons for which a candidate counts at no sensitivity: it was not seen whole, or a likelier one is at the same time."""


@dataclass(frozen=True)
class CurvePoint:
    """With `min_probability` (0–1) as the least that counts, `false_per_min` events are false a minute in which a face was read, and the
    share `recall` of the true ones is found."""

    min_probability: float
    false_per_min: float
    recall: float

    def __post_init__(self) -> None:
        for name in ("min_probability", "recall"):
            value = getattr(self, name)
            require(is_number(value) and 0 <= value <= 1, f"decision.curve.{name}", "a number from 0 to 1", value)
        rate = self.false_per_min
        require(is_number(rate) and rate >= 0, "decision.curve.false_per_min", "a number of 0 or more", rate)


@dataclass(frozen=True)
class DecisionTree:
    """Nodes of a tree, the root first. At node i, a value of feature `feature[i]` up to `threshold[i]` goes on at node `left[i]`,
    a larger one at `right[i]`; both come after i. At a leaf `feature[i]` is -1. `value[i]` is what is added to the logit: at a
    leaf, and in the mean of all that pass through a node."""

    feature: tuple[int, ...]
    threshold: tuple[float, ...]
    left: tuple[int, ...]
    right: tuple[int, ...]
    value: tuple[float, ...]

    def __post_init__(self) -> None:
        parts = (self.feature, self.threshold, self.left, self.right, self.value)
        count = len(self.feature) if isinstance(self.feature, tuple) else 0
        alike = all(isinstance(part, tuple) and len(part) == count for part in parts)
        require(alike and 1 <= count <= _MOST_NODES, "decision.trees", "five lists of as many values", parts)
        require(all(map(is_number, (*self.threshold, *self.value))), "decision.trees", "finite numbers", parts)
        whole = (*self.feature, *self.left, *self.right)
        require(all(type(number) is int for number in whole), "decision.trees", "whole numbers of nodes", whole)
        for node, feature in enumerate(self.feature):
            onwards = feature == -1 or (node < self.left[node] < count and node < self.right[node] < count)
            require(feature >= -1 and onwards, "decision.trees", "nodes that lead on to later ones", parts)

    @classmethod
    def stump(cls, feature: int, threshold: float, below: float, above: float) -> "DecisionTree":
        """One question: what a value up to the threshold adds, and a larger one."""
        return cls((feature, -1, -1), (threshold, 0.0, 0.0), (1, 0, 0), (2, 0, 0), (0.0, below, above))


@dataclass(frozen=True)
class SpottingDecision:
    """p = 1 / (1 + exp(-(bias + what every tree adds))) for the features of a candidate.

    Attributes:
        features: Their names, in order (`stream.events.evidence`).
        bias: What all candidates start with.
        trees: What is asked of the features.
        noticed: What makes a true micro-expression be noticed: half of those of a size have a logit above `noticed` · (1, ln of the size,
            ln of what the face moves at rest, ln of what it goes on moving, ln of 1 + the head's speed), in pixels of a crop with 44
            between the eyes and px/s. Empty where nobody measured.
        curve: Measured on people whom the decision was not fitted on; growing `min_probability`. Empty where nobody measured.
        training_data: In words, what it was fitted on, and what the curve was measured on.

    Raises:
        ContractError: A value does not fit.
    """

    features: tuple[str, ...]
    bias: float
    trees: tuple[DecisionTree, ...]
    noticed: tuple[float, ...] = ()
    curve: tuple[CurvePoint, ...] = ()
    training_data: str = "unknown"

    def __post_init__(self) -> None:
        names, noticed = self.features, self.noticed
        require(
            isinstance(names, tuple)
            and 1 <= len(names) <= _MOST_FEATURES
            and all(isinstance(name, str) and name for name in names)
            and len(set(names)) == len(names),
            "decision.features",
            "different names",
            names,
        )
        fits = isinstance(noticed, tuple) and len(noticed) in (0, _NOTICED) and all(map(is_number, noticed))
        grows = fits and (not noticed or noticed[1] > 0)
        require(grows, "decision.noticed", f"{_NOTICED} finite numbers, that of the size above 0, or none", noticed)
        require(is_number(self.bias), "decision.bias", "a finite number", self.bias)
        require(isinstance(self.trees, tuple) and len(self.trees) <= _MOST_TREES, "decision.trees", "trees", self.trees)
        asked = max((max(tree.feature) for tree in self.trees), default=-1)
        require(asked < len(names), "decision.trees", f"questions about {len(names)} features", asked + 1)
        require(isinstance(self.training_data, str), "decision.training_data", "text", self.training_data)
        curve = self.curve
        require(
            isinstance(curve, tuple) and len(curve) <= _MOST_POINTS, "decision.curve", "points", type(curve).__name__
        )
        steps = [point.min_probability for point in curve]
        require(steps == sorted(steps), "decision.curve", "growing probabilities", "others")

    def shares(self, values: Mapping[str, float]) -> dict[str, float]:
        """What each feature adds to the logit, seen from the mean of all candidates: along a tree's way every step is its
        question's (Saabas 2014). KeyError for a feature that is missing."""
        row = [values[name] for name in self.features]
        found = dict.fromkeys(self.features, 0.0)
        for tree in self.trees:
            node = 0
            while (feature := tree.feature[node]) >= 0:
                onwards = tree.left[node] if row[feature] <= tree.threshold[node] else tree.right[node]
                found[self.features[feature]] += tree.value[onwards] - tree.value[node]
                node = onwards
        return found

    def logit(self, values: Mapping[str, float]) -> float:
        """Of a candidate's features by name; KeyError for one that is missing."""
        return self.bias + sum(tree.value[0] for tree in self.trees) + sum(self.shares(values).values())

    def probability(self, values: Mapping[str, float]) -> float:
        """That a candidate with these features is a micro-expression, 0–1."""
        return 1.0 / (1.0 + math.exp(-min(max(self.logit(values), -60.0), 60.0)))

    def least_probability(self, false_per_min: float) -> float:
        """What counts where one is willing to look at so many false events a minute; .5 without a curve."""
        return least_probability(self.curve, false_per_min)

    def smallest_px(
        self, noise_px: float, restless_px: float, head_px_s: float, least_probability: float
    ) -> float | None:
        """The size (px, of a crop with 44 between the eyes) of which half of the true movements reach the probability, of those
        that stand out at all; None where nobody measured. Sizes are above 0."""
        if not self.noticed:
            return None
        intercept, size, noise, restless, head = self.noticed
        least = math.log(max(least_probability, 1e-6) / max(1 - least_probability, 1e-6))
        around = (
            intercept + noise * math.log(noise_px) + restless * math.log(restless_px) + head * math.log1p(head_px_s)
        )
        return math.exp(min(max((least - around) / size, -20.0), 20.0))

    @classmethod
    def from_json(cls, raw: Any) -> "SpottingDecision":
        """From what `dataclasses.asdict` and JSON make of one; ContractError for anything else."""
        told = _object(raw, "decision", ("features", "bias", "trees", "noticed", "curve", "training_data"))
        lists = {name: _list(told[name], f"decision.{name}") for name in ("features", "trees", "noticed", "curve")}
        parts = ("feature", "threshold", "left", "right", "value")
        trees = [_object(tree, "decision.trees", parts) for tree in lists["trees"]]
        curve = [
            _object(point, "decision.curve", ("min_probability", "false_per_min", "recall")) for point in lists["curve"]
        ]
        return cls(
            features=tuple(lists["features"]),
            bias=told["bias"],
            trees=tuple(
                DecisionTree(**{part: tuple(_list(tree[part], f"decision.trees.{part}")) for part in parts})
                for tree in trees
            ),
            noticed=tuple(lists["noticed"]),
            curve=tuple(CurvePoint(**point) for point in curve),
            training_data=told["training_data"],
        )


def _object(raw: Any, what: str, fields: tuple[str, ...]) -> dict[str, Any]:
    fits = isinstance(raw, dict) and set(raw) == set(fields)
    require(fits, f"{what} fields", ", ".join(fields), ", ".join(map(str, raw)) if isinstance(raw, dict) else "others")
    return raw


def _list(raw: Any, what: str) -> list[Any]:
    require(isinstance(raw, list), what, "a list", type(raw).__name__)
    return raw


def least_probability(curve: Sequence[CurvePoint], false_per_min: float) -> float:
    """What counts where one is willing to look at so many false events a minute; .5 without a curve.

    Between the points of the curve it is linear; beyond its ends that of the end.
    """
    if not curve:
        return 0.5
    # Along the curve the probability grows and the rate falls: seen from its end the rate grows.
    rising = curve[::-1]
    rates = [point.false_per_min for point in rising]
    place = bisect.bisect_right(rates, false_per_min)
    if place == 0:
        return rising[0].min_probability
    if place == len(rising):
        return rising[-1].min_probability
    before, after = rising[place - 1], rising[place]
    share = (false_per_min - before.false_per_min) / (after.false_per_min - before.false_per_min)
    return before.min_probability + share * (after.min_probability - before.min_probability)


def counts(kind: str, probability: float | None, rejected: str | None, min_probability: float) -> bool:
    """Whether an event of that kind, probability and reason of rejection counts where so much probability is asked for.

    Macro-expressions have no probability: their rejection is final.
    """
    if kind != "micro" or probability is None:
        return rejected is None
    return rejected not in UNJUDGED and probability >= min_probability
