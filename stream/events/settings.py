"""The thresholds of the event detector."""

import math
from dataclasses import dataclass

_POSITIVE = (
    "min_peak_px",
    "macro_min_peak_px",
    "noise_factor",
    "shoulder_s",
    "max_s",
    "decide_s",
    "rival_s",
    "micro_noise_factor",
    "blink_ratio",
    "max_head_px_s",
    "max_exposure",
    "habit_s",
    "quiet_before_s",
    "quiet_after_s",
    "quiet_lag_s",
    "watchable_px",
)
_NOT_NEGATIVE = ("refractory_s", "min_contrast", "calibration_s")
_SHARES = ("edge_share", "step_share", "min_sharpness_share")


@dataclass(frozen=True)
class EventSettings:
    """Lengths in pixels of a crop with 44 px between the eyes; times in seconds. Raises ValueError for what cannot be.

    Chosen on made videos of people apart from those that scores are reported on.

    Attributes:
        min_peak_px, micro_noise_factor: a short movement must be so long, and so many times its region's noise at rest (the
            upper threshold), to be a candidate. macro_min_peak_px, noise_factor: for long movements.
        edge_share: onset and offset are where the movement has this share of its peak (the lower threshold).
        half_widths_s, macro_half_widths_s: widths that are looked for, from the apex to either side.
        shoulder_s: time on either side of those that says where the face rests.
        step_share: share of what does not come back that is taken off a movement's size.
        max_s: longest micro-expression. Longer is `macro`.
        refractory_s: least time between the offset of an event that counts and the onset of the next; the one that is told
            first counts.
        decide_s: how long after the apex a candidate is judged. rival_s: of candidates with apexes so close the likeliest
            counts; so much later a micro-expression is told.
        answer_s: the model's answers from so long to so long after the apex are averaged.
        blink_ratio: lids that move so much more than the skin are a blink: of macro-expressions, as the next ones.
        max_head_px_s, max_exposure, min_sharpness_share: more head motion, more change of mean grey level within
            `quiet_lag_s`, or less sharpness (against the person's own) is no basis for an event.
        quiet_before_s, quiet_after_s, quiet_lag_s, quiet_percentiles, min_contrast: speech and other going-on movement:
            the peak must be so many times what the face moves within the lag, in the busiest part (beyond these
            percentiles) of the time before the onset and after the offset.
        watchable_px: a face is watchable where a micro-expression so large would rather be noticed than not. Of made ones in
            real clips that stand out, six times as many count where it is than where it is not (model card).
        habit_s: whether a movement has been seen before is looked for so far back.
        calibration_s: at rest, after a face appeared; nothing counts before.
    """

    min_peak_px: float = 0.12
    micro_noise_factor: float = 2.0
    macro_min_peak_px: float = 0.9
    noise_factor: float = 4.0
    edge_share: float = 0.08
    half_widths_s: tuple[float, ...] = tuple(frames / 30 for frames in range(2, 10))
    macro_half_widths_s: tuple[float, ...] = (0.4, 0.53, 0.73, 1.0, 1.33)
    shoulder_s: float = 4 / 30
    step_share: float = 0.6
    max_s: float = 0.5
    refractory_s: float = 0.2
    decide_s: float = 0.9
    rival_s: float = 0.4
    answer_s: tuple[float, float] = (0.1, 0.5)
    blink_ratio: float = 1.2
    max_head_px_s: float = 30.0
    max_exposure: float = 6.0
    min_sharpness_share: float = 0.6
    habit_s: float = 4.0
    quiet_before_s: float = 1.2
    quiet_after_s: float = 0.6
    quiet_lag_s: float = 0.1
    quiet_percentiles: tuple[float, float] = (85.0, 75.0)
    min_contrast: float = 2.5
    watchable_px: float = 5.0
    calibration_s: float = 3.0

    def __post_init__(self) -> None:
        for name in _POSITIVE:
            self._require(name, 0 < getattr(self, name) < math.inf, "a finite number above 0")
        for name in _NOT_NEGATIVE:
            self._require(name, 0 <= getattr(self, name) < math.inf, "a finite number of 0 or more")
        for name in _SHARES:
            self._require(name, 0 <= getattr(self, name) <= 1, "a share from 0 to 1")
        for name in ("half_widths_s", "macro_half_widths_s"):
            widths_s = getattr(self, name)
            self._require(name, len(widths_s) > 0 and all(0 < s < math.inf for s in widths_s), "times above 0")
        self._require("step_share", self.step_share > 0, "a share above 0")
        self._require(
            "answer_s",
            len(self.answer_s) == 2 and self.answer_s[0] < self.answer_s[1] <= self.decide_s,
            f"two growing times up to decide_s, {self.decide_s:g}",
        )
        self._require(
            "quiet_percentiles",
            len(self.quiet_percentiles) == 2 and all(0 <= p <= 100 for p in self.quiet_percentiles),
            "two numbers from 0 to 100",
        )

    def _require(self, name: str, holds: bool, expected: str) -> None:
        if not holds:
            raise ValueError(f"{name}: expected {expected}, found {getattr(self, name)}")
