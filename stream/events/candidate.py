"""A movement that stands out, measured: when it begins and ends, what moved, what else went on, what the model says."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.contract import NEUTRAL
from model.types import Rejection
from stream.events.motion import EYES, SKIN, TraceView
from stream.events.settings import EventSettings

APEX_SLACK_S = 0.067
# Around a movement: what is still part of it, and what is not yet or no longer.
_DURING_S = 0.1
_APART_S = 0.07
_PART = 0.4
"""Regions that move less than this share of the one that moves farthest take no part in a movement."""
_MOST_EDGE, _EDGE_STEP = 0.6, 0.04


@dataclass(frozen=True, eq=False)
class Peak:
    """Where a movement is largest: frame `centre` of a trace, and the bump there (`stream.events.bumps`): its `half_width` and
    `shoulder` in frames, `vectors_px` (regions, 2) and `sizes_px` (regions,). `regions`: indices of those that it is about.
    `macro`: it may last as long as it does."""

    centre: int
    half_width: int
    shoulder: int
    vectors_px: NDArray[np.float32]
    sizes_px: NDArray[np.float32]
    regions: NDArray[np.intp]
    macro: bool = False


@dataclass(frozen=True, eq=False)
class Candidate:
    """A movement; times in seconds of the source's clock.

    `share` (frames,): how far along the movement the face is at every frame of its trace, 1 at the peak. `edge_share`: of the
    peak, where onset and offset are. `skin_px`, `eyes_px`: longest bump of a region without and with lids. `step_px`: the
    longest way that a region did not come back. `before_px`, `behind_px`: what the face moves within the lag before the onset
    and after the offset, `own_before_px`, `own_behind_px` what those regions do that take part. `head_px_s`: fastest head motion. `exposure`: largest change of the mean grey level within the lag.
    `sharpness_share`: sharpness during the movement against before it. `answer` (classes,): mean probabilities after the
    apex, None without an answer; `action_units` (2 units,): those of the units over the same frames. `after_s`: how much
    is known after the offset.
    """

    share: NDArray[np.float32]
    edge_share: float

    onset_s: float
    apex_s: float
    offset_s: float
    skin_px: float
    eyes_px: float
    step_px: float
    own_before_px: float
    own_behind_px: float
    before_px: float
    behind_px: float
    head_px_s: float
    exposure: float
    sharpness_share: float
    answer: NDArray[np.float32] | None
    action_units: NDArray[np.float32] | None
    after_s: float

    @property
    def duration_s(self) -> float:
        return self.offset_s - self.onset_s

    @property
    def contrast(self) -> float:
        """The peak against what the face moves before and after."""
        return self.skin_px / max(self.before_px, self.behind_px, 1e-3)

    @property
    def clarity(self) -> float:
        """Share of the peak that stands out of what the face moves before and after it, 0–1."""
        return max(0.0, 1.0 - 1.0 / max(self.contrast, 1e-3))


def measure(trace: TraceView, peak: Peak, settings: EventSettings, fps: float, end_s: float) -> Candidate:
    """The movement of a peak in a trace at `fps`; the frames after `end_s` are not the face's own (see `finish`)."""
    times_s = trace.times_s
    share = _share_of_peak(trace.motion_px, peak)
    apex = _apex(share, peak.centre, round(APEX_SLACK_S * fps))
    within_s = None if peak.macro else settings.max_s
    edge_share, (onset_s, offset_s) = _brief_edges(times_s, share, apex, settings.edge_share, within_s)
    onset_s, offset_s = min(onset_s, end_s), min(offset_s, end_s)
    apex_s = min(max(_peak_time(times_s, share, apex), onset_s), offset_s)
    lag = max(1, round(settings.quiet_lag_s * fps))
    during = (times_s >= onset_s - _DURING_S) & (times_s <= offset_s + _DURING_S)
    before = (times_s >= onset_s - settings.quiet_before_s) & (times_s < onset_s - _APART_S)
    after = (times_s > offset_s + _APART_S) & (times_s <= min(offset_s + settings.quiet_after_s, end_s))
    answer, action_units = _answer(trace, apex_s, settings)
    sizes_px = np.hypot(peak.vectors_px[:, 0], peak.vectors_px[:, 1])
    own = [index for index in peak.regions.tolist() if sizes_px[index] >= _PART * sizes_px[peak.regions].max()]
    return Candidate(
        share=share,
        edge_share=edge_share,
        onset_s=onset_s,
        apex_s=apex_s,
        offset_s=offset_s,
        skin_px=float(sizes_px[list(SKIN)].max()),
        eyes_px=float(sizes_px[list(EYES)].max()),
        step_px=float((sizes_px - peak.sizes_px)[list(SKIN)].max()) / settings.step_share,
        own_before_px=going_on_px(trace.motion_px, before, lag, settings.quiet_percentiles[0], own),
        own_behind_px=going_on_px(trace.motion_px, after, lag, settings.quiet_percentiles[1], own),
        before_px=going_on_px(trace.motion_px, before, lag, settings.quiet_percentiles[0]),
        behind_px=going_on_px(trace.motion_px, after, lag, settings.quiet_percentiles[1]),
        head_px_s=float(trace.head_px_s[during].max()),
        exposure=_exposure(trace.brightness[during], lag),
        sharpness_share=_sharpness_share(trace.sharpness, during, before),
        answer=answer,
        action_units=action_units,
        after_s=min(float(times_s[-1]), end_s) - offset_s,
    )


def _share_of_peak(motion_px: NDArray[np.float32], peak: Peak) -> NDArray[np.float32]:
    """How far along the bump the face is at every frame, the peak's regions together: 0 at rest, 1 at the centre.

    Rest moves in a straight line from where it was before the bump to where it is after it. Regions that only take a new
    pose meanwhile have no size and no say.
    """
    vectors_px = np.zeros_like(peak.vectors_px)
    vectors_px[peak.regions] = peak.vectors_px[peak.regions]
    lengths_px = np.hypot(vectors_px[:, 0], vectors_px[:, 1])
    weights = vectors_px * (peak.sizes_px / np.maximum(lengths_px, 1e-6))[:, np.newaxis]
    first, last = peak.centre - peak.half_width, peak.centre + peak.half_width
    before = motion_px[first - peak.shoulder + 1 : first + 1].mean(axis=0)
    after = motion_px[last : last + peak.shoulder].mean(axis=0)
    way = np.clip((np.arange(len(motion_px)) - first) / (last - first), 0.0, 1.0)[:, np.newaxis, np.newaxis]
    rest = before * (1.0 - way) + after * way
    return ((motion_px - rest) * weights).sum(axis=(1, 2)) / max(float((weights * vectors_px).sum()), 1e-9)


def _apex(share: NDArray[np.float32], centre: int, slack: int) -> int:
    first = max(centre - slack, 0)
    return first + int(share[first : centre + slack + 1].argmax())


def _peak_time(times_s: NDArray[np.float64], share: NDArray[np.float32], apex: int) -> float:
    """The peak of the parabola through the apex and its neighbours."""
    if not 0 < apex < len(share) - 1:
        return float(times_s[apex])
    left, middle, right = (float(v) for v in share[apex - 1 : apex + 2])
    bend = left - 2.0 * middle + right
    shift = 0.0 if bend >= -1e-6 else min(max(0.5 * (left - right) / bend, -0.5), 0.5)
    return float(np.interp(apex + shift, np.arange(len(times_s)), times_s))


def _brief_edges(
    times_s: NDArray[np.float64], share: NDArray[np.float32], apex: int, edge_share: float, within_s: float | None
) -> tuple[float, tuple[float, float]]:
    """Onset and offset at the lower threshold; on top of movement that goes on, at the lowest share of the peak at which they
    are no farther apart than `within_s`. With that share."""
    edges_s = _edges(times_s, share, apex, edge_share)
    while within_s is not None and edges_s[1] - edges_s[0] > within_s and edge_share < _MOST_EDGE:
        edge_share = min(edge_share + _EDGE_STEP, _MOST_EDGE)
        edges_s = _edges(times_s, share, apex, edge_share)
    if within_s is not None and edges_s[1] - edges_s[0] > within_s:
        half_s = within_s / 2
        edges_s = max(edges_s[0], float(times_s[apex]) - half_s), min(edges_s[1], float(times_s[apex]) + half_s)
    return edge_share, edges_s


def _edges(
    times_s: NDArray[np.float64], share: NDArray[np.float32], apex: int, edge_share: float
) -> tuple[float, float]:
    """Onset and offset: where the share crosses the lower threshold, between frames."""
    edge = edge_share * float(share[apex])
    below = share <= edge
    earlier, later = np.flatnonzero(below[:apex]), np.flatnonzero(below[apex + 1 :])
    onset_s = _crossing(times_s, share, int(earlier[-1]), 1, edge) if len(earlier) else float(times_s[0])
    offset_s = _crossing(times_s, share, apex + 1 + int(later[0]), -1, edge) if len(later) else float(times_s[-1])
    return onset_s, offset_s


def _crossing(
    times_s: NDArray[np.float64], share: NDArray[np.float32], outside: int, inwards: int, edge: float
) -> float:
    """When the share crosses the edge, between a frame outside of the movement and its neighbour (+1 or -1) inside."""
    low, high = float(share[outside]), float(share[outside + inwards])
    part = (edge - low) / (high - low) if high > edge else 0.0
    return float(times_s[outside] + part * (times_s[outside + inwards] - times_s[outside]))


def going_on_px(
    motion_px: NDArray[np.float32],
    inside: NDArray[np.bool_],
    lag: int,
    percentile: float,
    regions: Sequence[int] = SKIN,
) -> float:
    """How far the fastest of some regions moves within the lag, most of the time of a stretch; 0 for one too short to tell."""
    frames = np.flatnonzero(inside)
    frames = frames[frames >= lag]
    if len(frames) < 3:
        return 0.0
    moved = (motion_px[frames] - motion_px[frames - lag])[:, list(regions)]
    return percentile_of(np.hypot(moved[..., 0], moved[..., 1]).max(axis=1), percentile)


def percentile_of(values: NDArray[np.floating], percentile: float) -> float:
    """What `np.percentile` gives of a few values (n,), without its detours; 0 of none."""
    if not len(values):
        return 0.0
    ordered = np.sort(values)
    place = (len(ordered) - 1) * percentile / 100
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return float(ordered[below]) + (place - below) * (float(ordered[above]) - float(ordered[below]))


def _exposure(brightness: NDArray[np.float32], lag: int) -> float:
    """Over the lag and not from frame to frame: on the grid, a step of a slow source takes several frames."""
    return float(np.abs(brightness[lag:] - brightness[:-lag]).max(initial=0.0))


def _sharpness_share(sharpness: NDArray[np.float32], during: NDArray[np.bool_], before: NDArray[np.bool_]) -> float:
    usual = float(np.median(sharpness[before])) if before.any() else 0.0
    return float(sharpness[during].min()) / usual if usual > 0 else 1.0


def _answer(
    trace: TraceView, apex_s: float, settings: EventSettings
) -> tuple[NDArray[np.float32], NDArray[np.float32]] | tuple[None, None]:
    """Mean probabilities of classes and of action units over the frames after the apex that have an answer."""
    first_s, last_s = (apex_s + after_s for after_s in settings.answer_s)
    chosen = (trace.times_s >= first_s) & (trace.times_s <= last_s) & ~np.isnan(trace.probabilities).any(axis=1)
    if not chosen.any():
        return None, None
    return trace.probabilities[chosen].mean(axis=0), trace.action_units[chosen].mean(axis=0)


def artefact_of(candidate: Candidate, settings: EventSettings) -> Rejection | None:
    """What a long movement is instead of an expression of the face; None when nothing speaks against it."""
    if candidate.eyes_px > settings.blink_ratio * candidate.skin_px:
        return "blink"
    if candidate.head_px_s > settings.max_head_px_s:
        return "head_motion"
    if candidate.exposure > settings.max_exposure:
        return "exposure"
    if candidate.sharpness_share < settings.min_sharpness_share:
        return "blur"
    return "speech" if candidate.contrast < settings.min_contrast else None


def label_of(candidate: Candidate, names: Sequence[str]) -> tuple[str, float]:
    """The likeliest class that is not neutral, and its probability (0 without an answer)."""
    expressive = [index for index, name in enumerate(names) if name != NEUTRAL]
    if candidate.answer is None:
        return names[expressive[0]], 0.0
    best = expressive[int(np.argmax(candidate.answer[expressive]))]
    return names[best], float(candidate.answer[best])
