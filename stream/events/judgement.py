"""Whether a candidate is a micro-expression: the contract's learned decision at the sensitivity that the user asks for."""

import math
from collections.abc import Mapping

from model.decision import DEFAULT_SENSITIVITY, SpottingDecision
from model.errors import ContractError
from model.types import Rejection
from stream.events.evidence import GROWING, LEAST_PX, REASONS

_BY_HAND: Mapping[str, tuple[float, float, float]] = {
    # What is usual of a micro-expression, the scale, the weight.
    "size": (0.0, 0.6, 0.3),
    "over noise": (2.0, 0.7, 0.8),
    "contrast before": (1.5, 0.7, 0.8),
    "contrast after": (1.5, 0.7, 0.8),
    "edge": (0.08, 0.2, -0.5),
    "step": (0.1, 0.3, -0.3),
    "lids alone": (0.0, 0.4, -1.0),
    "head speed": (1.5, 1.0, -0.5),
    "exposure": (0.5, 0.7, -0.6),
    "sharpness": (0.0, 0.3, 0.5),
    "expression": (2.0, 2.0, 1.5),
    "unanswered": (0.0, 1.0, -1.0),
}
_BIAS = 1.5
_LARGEST_PX = 20.0
"""No micro-expression is as large."""


def decision_by_hand() -> SpottingDecision:
    """For models that nobody fitted a decision to: weights set by hand, measured on nothing."""
    usual = {name: _BY_HAND.get(name, (0.0, 1.0, 0.0)) for name in REASONS}
    centres, scales, weights = zip(*usual.values(), strict=True)
    return SpottingDecision(
        tuple(usual), centres, scales, weights, _BIAS, training_data="set by hand, fitted to and measured on nothing"
    )


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
        """The peak from which on a usual micro-expression would count where a face moves so at rest, goes on so, and its head
        moves so fast; pixels of a crop with 44 between the eyes. None where none would, however large."""
        decision = self.decision
        usual = dict(zip(decision.features, decision.centres, strict=True))
        quiet = {
            "size": 0.0,
            "over noise": -math.log(max(noise_px, LEAST_PX)),
            "contrast before": -math.log(max(restless_px, LEAST_PX)),
            "contrast after": -math.log(max(restless_px, LEAST_PX)),
            "restlessness": math.log(max(restless_px, LEAST_PX)),
            "head speed": math.log1p(head_px_s),
        }
        # The logit is a straight line over the logarithm of the size.
        at_one_px = decision.logit(usual | quiet)
        slope = sum(
            weight / scale
            for name, scale, weight in zip(decision.features, decision.scales, decision.weights, strict=True)
            if name in GROWING
        )
        share = min(max(self.least_probability, 1e-6), 1 - 1e-6)
        if slope <= 0:
            return None
        px = math.exp(min((math.log(share / (1 - share)) - at_one_px) / slope, 10.0))
        return px if px <= _LARGEST_PX else None

    def rejection(self, evidence: Mapping[str, float], probability: float) -> Rejection | None:
        """Why a candidate of that probability does not count: the reason of what spoke most against it; None where it does."""
        if probability >= self.least_probability:
            return None
        against: dict[Rejection, float] = {}
        for name, share in self.decision.shares(evidence).items():
            against[REASONS[name]] = against.get(REASONS[name], 0.0) + share
        return min(against, key=lambda reason: against[reason])
