"""What is known of a movement, as numbers that a decision can weigh: how large and how clear it is, its course and where it is,
lids, head and light, what the face did before and after, and what the network makes of it.

Sizes are logarithms of ratios, so that twice as much is as far whatever it is twice of. Each number belongs to a reason: that
of the number which spoke most against a candidate is why it is none.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from model.contract import NEUTRAL
from model.types import Rejection
from stream.events.candidate import Candidate, Peak, percentile_of
from stream.events.motion import REGIONS, SKIN, TraceView

REASONS: Mapping[str, Rejection] = MappingProxyType(
    {
        "size": "too_small",
        "over noise": "too_small",
        "over usual": "speech",
        "contrast before": "speech",
        "contrast after": "speech",
        "own contrast before": "speech",
        "own contrast after": "speech",
        "restlessness": "speech",
        "habit": "speech",
        "other swings": "speech",
        "crowding": "speech",
        "jaw": "speech",
        "roughness": "speech",
        "duration": "not_brief",
        "duration off usual": "not_brief",
        "rise": "not_brief",
        "edge": "not_brief",
        "step": "not_brief",
        "brows": "no_expression",
        "cheeks": "no_expression",
        "spread": "no_expression",
        "symmetry": "no_expression",
        "fit": "not_brief",
        "rigid share": "head_motion",
        "lids": "blink",
        "lids alone": "blink",
        "head speed": "head_motion",
        "head jerk": "head_motion",
        "exposure": "exposure",
        "sharpness": "blur",
        "expression": "no_expression",
        "expression risen": "no_expression",
        "class": "no_expression",
        "units": "no_expression",
        "units risen": "no_expression",
        "unanswered": "no_expression",
    }
)
"""Of the numbers by name, in their order, the reason that each stands for."""

_BROWS = [index for index, name in enumerate(REGIONS) if "brow" in name]
_CHEEKS = [index for index, name in enumerate(REGIONS) if "cheek" in name or "nostril" in name]
_JAW = [index for index, name in enumerate(REGIONS) if name in ("lower lip", "chin")]
_LEFT = [index for index, name in enumerate(REGIONS) if name.startswith("left") and not name.endswith("eye")]
_RIGHT = [index for index, name in enumerate(REGIONS) if name.startswith("right") and not name.endswith("eye")]
_SKIN = list(SKIN)
_PLACES = np.array([(x, y) for x, y, _, _ in REGIONS.values()])[_SKIN]
_GROUND = np.column_stack([_PLACES, np.ones(len(_PLACES))])
_AFFINE = _GROUND @ np.linalg.pinv(_GROUND)
"""Takes movements of the skin's regions to the nearest that are affine in their places."""
_USUAL_S = 0.3
_MOST_SWING = 3.0
LEAST_PX = 0.02
"""Less is taken for so much, since sizes are logarithms."""
_CONFIDENT = 5.0
_AROUND_S, _HABIT_S = 1.0, 0.3
_BEFORE_S = (0.6, 0.1)
"""Of the answers before an onset: from so long to so long before it."""


@dataclass(frozen=True)
class Surroundings:
    """What is known of a face when a candidate comes: the candidate's peak in units of what its region moves at rest, and of what it
    moves on the whole, and how many other candidates there were in the seconds before."""

    over_noise: float
    over_usual: float
    crowding: int


def evidence(
    trace: TraceView, peak: Peak, found: Candidate, seen: Surroundings, names: Sequence[str]
) -> dict[str, float]:
    """All numbers of `REASONS` of a candidate in its trace."""
    vectors_px = peak.vectors_px[_SKIN]
    sizes_px = np.hypot(vectors_px[:, 0], vectors_px[:, 1])
    largest_px = max(float(sizes_px.max()), LEAST_PX)
    times_s = trace.times_s
    share = found.share
    aside = (np.abs(times_s - found.apex_s) <= _AROUND_S) & (
        (times_s < found.onset_s - 0.03) | (times_s > found.offset_s + 0.03)
    )
    bend = np.abs(np.diff(share[(times_s >= found.onset_s - 0.1) & (times_s <= found.offset_s + 0.1)], 2))
    during = (times_s >= found.onset_s - 0.05) & (times_s <= found.offset_s + 0.05)
    head_px_s = trace.head_px_s[during]
    rise_s, fall_s = found.apex_s - found.onset_s, found.offset_s - found.apex_s
    values = {
        "size": math.log(largest_px),
        "over noise": math.log(max(seen.over_noise, 0.1)),
        "over usual": math.log(max(seen.over_usual, 0.1)),
        "contrast before": -_ratio(found.before_px, largest_px),
        "contrast after": -_ratio(found.behind_px, largest_px),
        "own contrast before": -_ratio(found.own_before_px, largest_px),
        "own contrast after": -_ratio(found.own_behind_px, largest_px),
        "restlessness": math.log(max(found.before_px, found.behind_px, LEAST_PX)),
        "other swings": min(_MOST_SWING, percentile_of(np.abs(share[aside]), 90)),
        "habit": min(_MOST_SWING, float(np.abs(share[times_s < found.onset_s - _HABIT_S]).max(initial=0.0))),
        "crowding": math.log1p(seen.crowding),
        "jaw": _mean(peak.vectors_px, _JAW) / largest_px,
        "roughness": math.log(float(bend.mean()) + 0.01) if len(bend) else 0.0,
        "duration": found.duration_s,
        "duration off usual": abs(found.duration_s - _USUAL_S),
        "rise": rise_s / max(rise_s + fall_s, 1e-3),
        "edge": found.edge_share,
        "step": min(found.step_px / largest_px, 2.0),
        "brows": _mean(peak.vectors_px, _BROWS) / largest_px,
        "cheeks": _mean(peak.vectors_px, _CHEEKS) / largest_px,
        "spread": float(sizes_px.mean()) / largest_px,
        "symmetry": _symmetry(peak.vectors_px),
        "fit": _fit(share, times_s, found),
        "rigid share": _rigid_share(vectors_px),
        "lids": _ratio(found.eyes_px, largest_px),
        "lids alone": max(0.0, _ratio(found.eyes_px, largest_px)),
        "head speed": math.log1p(float(head_px_s.max(initial=0.0))),
        "head jerk": math.log1p(float(np.abs(np.diff(head_px_s)).max(initial=0.0))),
        "exposure": math.log1p(found.exposure),
        "sharpness": max(-2.0, min(0.5, math.log(max(found.sharpness_share, 0.05)))),
        **_answers(trace, found, names),
    }
    return {name: float(values[name]) for name in REASONS}


def _answers(trace: TraceView, found: Candidate, names: Sequence[str]) -> dict[str, float]:
    """What the network says after the apex, and how that differs from before the onset."""
    first_s, last_s = (found.onset_s - ahead for ahead in _BEFORE_S)
    before = (trace.times_s >= first_s) & (trace.times_s <= last_s) & ~np.isnan(trace.probabilities).any(axis=1)
    if found.answer is None:
        return {
            "expression": -_CONFIDENT, "expression risen": 0.0, "class": 0.0,
            "units": 0.0, "units risen": 0.0, "unanswered": 1.0,
        }  # fmt: skip
    neutral = names.index(NEUTRAL) if NEUTRAL in names else None
    after = _expression(found.answer, neutral)
    units = 0.0 if found.action_units is None or not len(found.action_units) else float(found.action_units.max())
    risen = units_risen = 0.0
    if before.any():
        risen = after - _expression(trace.probabilities[before].mean(axis=0), neutral)
        if units and found.action_units is not None:
            units_risen = float((found.action_units - trace.action_units[before].mean(axis=0)).max())
    expressive = [share for index, share in enumerate(found.answer.tolist()) if index != neutral]
    return {
        "expression": after, "expression risen": risen, "class": max(expressive), "units": units,
        "units risen": units_risen, "unanswered": 0.0,
    }  # fmt: skip


def _expression(probabilities: NDArray[np.float32], neutral: int | None) -> float:
    """The logit of any expression, within ±5; of a network without a neutral class that of its surest class."""
    share = float(probabilities.max()) if neutral is None else 1.0 - float(probabilities[neutral])
    share = min(max(share, 1e-4), 1 - 1e-4)
    return max(-_CONFIDENT, min(_CONFIDENT, math.log(share / (1 - share))))


def _ratio(px: float, of_px: float) -> float:
    return math.log(max(px, LEAST_PX) / of_px)


def _mean(vectors_px: NDArray[np.float32], regions: list[int]) -> float:
    chosen = vectors_px[regions]
    return float(np.hypot(chosen[:, 0], chosen[:, 1]).mean())


def _fit(share: NDArray[np.float32], times_s: NDArray[np.float64], found: Candidate) -> float:
    """How much of the movement's course, with half a second on either side, is a rise from rest to the apex and a fall back to it
    (R², 0 to 1)."""
    inside = (times_s >= found.onset_s - 0.5) & (times_s <= found.offset_s + 0.5)
    course, at_s = share[inside], times_s[inside]
    rise = (at_s - found.onset_s) / max(found.apex_s - found.onset_s, 1e-3)
    fall = (found.offset_s - at_s) / max(found.offset_s - found.apex_s, 1e-3)
    usual = 0.5 - 0.5 * np.cos(np.pi * np.clip(np.minimum(rise, fall), 0.0, 1.0))
    gain = float((course * usual).sum() / max(float((usual**2).sum()), 1e-9))
    return max(0.0, 1.0 - float(((course - gain * usual) ** 2).sum() / max(float((course**2).sum()), 1e-9)))


def _symmetry(vectors_px: NDArray[np.float32]) -> float:
    """How alike the two sides of the face move, mirrored, -1 to 1."""
    left, right = vectors_px[_LEFT], vectors_px[_RIGHT] * np.array([-1.0, 1.0], np.float32)
    return float(2 * (left * right).sum() / max(float((left**2).sum() + (right**2).sum()), 1e-9))


def _rigid_share(vectors_px: NDArray[np.float32]) -> float:
    """The share of the movement that one affine motion of the whole face explains, 0 to 1: of a head that is not followed."""
    fitted = _AFFINE @ vectors_px
    return 1.0 - float(((vectors_px - fitted) ** 2).sum() / max(float((vectors_px**2).sum()), 1e-9))
