"""Steps of the sensitivity along a model's curve: what is seen afterwards at another one than the run's own.

Every candidate is kept with its probability, so a reader can ask for more events or for surer ones without a new run.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from model.decision import CurvePoint, counts, least_probability

_STEPS_PER_MIN = (0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 7.0, 10.0)
UNLIKELY = "less likely than asked for"
"""Why an event of the run does not count at a lower sensitivity than the run's."""


@dataclass(frozen=True)
class SensitivityStep:
    """`false_per_min`: false events a minute (in which a face is read) that one is willing to look at. From `min_probability` (0–1) on a
    candidate then counts, and the share `recall` of true micro-expressions was found so where the curve was measured."""

    false_per_min: float
    min_probability: float
    recall: float


@dataclass(frozen=True)
class SensitivitySteps:
    """What can be asked for, the surest first; `own` is the place of the run's own sensitivity.

    Without any step there is nothing to choose: what the run accepted counts.
    """

    steps: tuple[SensitivityStep, ...] = ()
    own: int = 0

    @property
    def choices(self) -> int:
        """The number of settings, 1 without steps."""
        return max(1, len(self.steps))

    def first(self, kind: str, probability: float | None, rejected: str | None) -> int | None:
        """The place of the first step at which an event counts, as it does at all after it; None where it counts at none.

        At the run's own the run's verdict stands: what is written down is rounded.
        """
        found = next(
            (i for i, step in enumerate(self.steps) if counts(kind, probability, rejected, step.min_probability)), None
        )
        if rejected is None:
            return min(self.own if found is None else found, self.own)
        if found is None or found > self.own:
            return found
        return self.own + 1 if self.own + 1 < len(self.steps) else None

    def place(self, false_per_min: float) -> int:
        """Of a step that was asked for; 0 without steps."""
        return next((i for i, step in enumerate(self.steps) if step.false_per_min == false_per_min), 0)


def sensitivity_steps(curve: Sequence[CurvePoint], own: float, others: Iterable[float] = ()) -> SensitivitySteps:
    """Round steps as far as the curve goes, with the run's `own` sensitivity and those of `others` that are asked for.

    All in false events a minute. Without a curve there are none.
    """
    if not curve:
        return SensitivitySteps()
    rates = [point.false_per_min for point in curve]
    asked = {rate for rate in _STEPS_PER_MIN if min(rates) <= rate <= max(rates)} | {own, *others}
    # What is surer never counts later: a curve that is not quite even must not take back what a step before had.
    steps: list[SensitivityStep] = []
    for rate in sorted(asked):
        least = least_probability(curve, rate)
        least = min(least, steps[-1].min_probability) if steps else least
        steps.append(SensitivityStep(rate, least, _recall(curve, least)))
    return SensitivitySteps(tuple(steps), sorted(asked).index(own))


def rate_words(step: SensitivityStep) -> str:
    return f"{step.false_per_min:g} false event{'' if step.false_per_min == 1 else 's'} a minute"


def step_words(step: SensitivityStep) -> str:
    """What counts with it, and what was found so."""
    return (
        f"a probability of {step.min_probability:.2f} or more counts, which found {100 * step.recall:.0f} % of the true ones "
        "where it was measured"
    )


def _recall(curve: Sequence[CurvePoint], min_probability: float) -> float:
    """Linear between the points of the curve; beyond its ends that of the end."""
    before = next((point for point in reversed(curve) if point.min_probability <= min_probability), curve[0])
    after = next((point for point in curve if point.min_probability > min_probability), curve[-1])
    span = after.min_probability - before.min_probability
    share = min(max((min_probability - before.min_probability) / span, 0.0), 1.0) if span > 0 else 0.0
    return before.recall + share * (after.recall - before.recall)
