"""Whether a candidate is a micro-expression: the contract's learned decision at the sensitivity that the user asks for."""

import math
from collections.abc import Mapping

from model.decision import DEFAULT_SENSITIVITY, DecisionTree, SpottingDecision
from model.errors import ContractError
from model.types import Rejection
from stream.events.evidence import LEAST_PX, REASONS

_BY_HAND: Mapping[str, tuple[float, float, float]] = {
    # Up to which value it adds the first number, beyond it the second.
    "over noise": (math.log(4.0), -3.0, 0.5),
    "contrast before": (math.log(2.5), -3.0, 0.5),
    "contrast after": (math.log(2.5), -3.0, 0.5),
    "edge": (0.13, 0.0, -5.0),
    # More than both contrasts together, since it explains them.
    "lids alone": (math.log(1.2), 0.0, -8.0),
    "head speed": (math.log1p(30.0), 0.0, -8.0),
    "exposure": (math.log1p(6.0), 0.0, -8.0),
    "sharpness": (math.log(0.6), -8.0, 0.0),
    "expression": (0.0, -4.0, 1.0),
}
_NOTICED_BY_HAND = (-3.3, 3.0, 0.0, -3.0, -0.3)
_LARGEST_PX = 8.0
"""Hardly any micro-expression is larger, and beyond it what is told of smaller ones was measured on nothing."""


def decision_by_hand() -> SpottingDecision:
    """For models that nobody fitted a decision to: questions and weights set by hand, measured on nothing."""
    names = tuple(REASONS)
    trees = [DecisionTree.stump(names.index(name), *values) for name, values in _BY_HAND.items()]
    said = "set by hand, fitted to and measured on nothing"
    return SpottingDecision(names, bias=0.0, trees=tuple(trees), noticed=_NOTICED_BY_HAND, training_data=said)


class Judge:
    """Raises ContractError for a decision about other numbers than this program reckons (`stream.events.evidence`)."""

    def __init__(self, decision: SpottingDecision | None, sensitivity: float = DEFAULT_SENSITIVITY) -> None:
        self.decision = decision or decision_by_hand()
        if self.decision.features != tuple(REASONS):
            raise ContractError(
                "decision.features", f"those of this version ({', '.join(REASONS)})", ", ".join(self.decision.features)
            )
        self.least_probability = self.decision.least_probability(sensitivity)

    def probability(self, evidence: Mapping[str, float]) -> float:
        return self.decision.probability(evidence)

    def smallest_px(self, noise_px: float, restless_px: float, head_px_s: float) -> float | None:
        """The size from which on a true micro-expression would rather be noticed than not where a face moves so at rest, goes on
        so, and its head moves so fast; pixels of a crop with 44 between the eyes. None where none would be, however large."""
        noise_px, restless_px = max(noise_px, LEAST_PX), max(restless_px, LEAST_PX)
        px = self.decision.smallest_px(noise_px, restless_px, head_px_s, self.least_probability)
        return None if px is None or px > _LARGEST_PX else px

    def rejection(self, evidence: Mapping[str, float], probability: float) -> Rejection | None:
        """Why a candidate of that probability does not count: the reason of what spoke most against it; None where it does."""
        if probability >= self.least_probability:
            return None
        shares = self.decision.shares(evidence)
        return REASONS[min(shares, key=lambda name: shares[name])]
