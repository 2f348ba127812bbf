"""The learned decision about a movement: how likely it is a micro-expression, and what speaks most against it.

A logistic regression on what is known of a candidate. Fitted by `python -m train spot-fit`, it travels in the model's contract
with the curve that was measured on people it had not seen. Standard library only.
"""

import bisect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from model.errors import is_number, require

DEFAULT_SENSITIVITY = 0.5
"""False events a watchable minute that one is willing to look at."""
_MOST_FEATURES = 500
_MOST_POINTS = 10_000
UNJUDGED = frozenset(
    {"calibrating", "overlap", "tracking_lost", "face_too_small", "face_turned", "not_upright", "insufficient_rate"}
)
"""Reasons for which a candidate counts at no sensitivity: it was not seen whole, or a likelier one is at the same time."""


@dataclass(frozen=True)
class CurvePoint:
    """With `min_probability` (0–1) as the least that counts, `false_per_min` events a watchable minute are false, and the
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
class SpottingDecision:
    """p = 1 / (1 + exp(-(bias + Σ weightᵢ (xᵢ - centreᵢ) / scaleᵢ))) for the features x of a candidate.

    Attributes:
        features: Their names, in order (`stream.events.evidence`).
        centres: What is usual of true micro-expressions: what deviates from there speaks for or against.
        scales: Of each feature, above 0.
        weights: Of the scaled features.
        bias: Of a candidate with everything at its centre.
        curve: Measured on people whom the decision was not fitted on; growing `min_probability`. Empty where nobody measured.
        training_data: In words, what it was fitted on, and what the curve was measured on.

    Raises:
        ContractError: A value does not fit.
    """

    features: tuple[str, ...]
    centres: tuple[float, ...]
    scales: tuple[float, ...]
    weights: tuple[float, ...]
    bias: float
    curve: tuple[CurvePoint, ...] = ()
    training_data: str = "unknown"

    def __post_init__(self) -> None:
        names = self.features
        require(
            isinstance(names, tuple)
            and 1 <= len(names) <= _MOST_FEATURES
            and all(isinstance(name, str) and name for name in names)
            and len(set(names)) == len(names),
            "decision.features",
            "different names",
            names,
        )
        for field in ("centres", "scales", "weights"):
            values = getattr(self, field)
            fits = isinstance(values, tuple) and len(values) == len(names) and all(map(is_number, values))
            require(fits, f"decision.{field}", f"{len(names)} finite numbers", values)
        require(min(self.scales) > 0, "decision.scales", "numbers above 0", min(self.scales))
        require(is_number(self.bias), "decision.bias", "a finite number", self.bias)
        require(isinstance(self.training_data, str), "decision.training_data", "text", self.training_data)
        curve = self.curve
        require(
            isinstance(curve, tuple) and len(curve) <= _MOST_POINTS, "decision.curve", "points", type(curve).__name__
        )
        steps = [point.min_probability for point in curve]
        require(steps == sorted(steps), "decision.curve", "growing probabilities", "others")

    def logit(self, values: Mapping[str, float]) -> float:
        """Of a candidate's features by name; KeyError for one that is missing."""
        return self.bias + sum(self.shares(values).values())

    def probability(self, values: Mapping[str, float]) -> float:
        """That a candidate with these features is a micro-expression, 0–1."""
        return 1.0 / (1.0 + math.exp(-min(max(self.logit(values), -60.0), 60.0)))

    def shares(self, values: Mapping[str, float]) -> dict[str, float]:
        """What each feature adds to the logit, against what is usual of micro-expressions."""
        parts = zip(self.features, self.centres, self.scales, self.weights, strict=True)
        return {name: weight * (values[name] - centre) / scale for name, centre, scale, weight in parts}

    def least_probability(self, false_per_min: float) -> float:
        """What counts where one is willing to look at so many false events a watchable minute; .5 without a curve."""
        return least_probability(self.curve, false_per_min)

    @classmethod
    def from_json(cls, raw: Any) -> "SpottingDecision":
        """From what `dataclasses.asdict` and JSON make of one; ContractError for anything else."""
        fields = {"features", "centres", "scales", "weights", "bias", "curve", "training_data"}
        require(isinstance(raw, dict) and set(raw) == fields, "decision fields", ", ".join(sorted(fields)), "others")
        lists = {name: raw[name] for name in ("features", "centres", "scales", "weights", "curve")}
        for name, value in lists.items():
            require(isinstance(value, list), f"decision.{name}", "a list", type(value).__name__)
        keys = {"min_probability", "false_per_min", "recall"}
        for point in raw["curve"]:
            require(isinstance(point, dict) and set(point) == keys, "decision.curve", "points", "something else")
        curve = tuple(CurvePoint(**point) for point in raw["curve"])
        plain = {name: tuple(value) for name, value in lists.items() if name != "curve"}
        return cls(**plain, bias=raw["bias"], curve=curve, training_data=raw["training_data"])


def least_probability(curve: Sequence[CurvePoint], false_per_min: float) -> float:
    """What counts where one is willing to look at so many false events a watchable minute; .5 without a curve.

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
