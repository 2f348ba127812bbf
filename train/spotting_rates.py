"""Do the same events come out at other frame rates? The same made videos, sampled otherwise."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from model.types import Event
from train.spotting import SpottedVideo, count, match

WITHIN_MS = 40.0


@dataclass(frozen=True, eq=False)
class RateRun:
    """The videos as seen at one sampling, e.g. "60 fps" or "30 fps ± 30 %", in the same order in every run."""

    name: str
    videos: Sequence[SpottedVideo]


def compare_rates(reference: RateRun, runs: Sequence[RateRun]) -> list[dict[str, Any]]:
    """A row of values a run: its scores, and how its micro events agree with those of the reference run.

    `same` events overlap by half with one of the reference; `only_here` and `only_there` have no partner.
    `onset_ms` and `apex_ms` give the median and largest difference of the same events, `within` the share of them
    in which both are at most 40 ms apart, `same_label` the share with the same class.
    """
    rows = []
    for run in runs:
        if [video.name for video in run.videos] != [video.name for video in reference.videos]:
            raise ValueError(f"{run.name}: expected the videos of {reference.name}, found others")
        pairs: list[tuple[Event, Event]] = []
        only_here = only_there = 0
        for there, here in zip(reference.videos, run.videos, strict=True):
            old, new = there.found_events("micro"), here.found_events("micro")
            matched = match(old, new)
            pairs += [(old[o], new[n]) for o, n in matched]
            only_there += len(old) - len(matched)
            only_here += len(new) - len(matched)
        differences = {
            name: np.array([1000 * abs(getattr(new, f"{name}_s") - getattr(old, f"{name}_s")) for old, new in pairs])
            for name in ("onset", "apex")
        }
        close = (differences["onset"] <= WITHIN_MS) & (differences["apex"] <= WITHIN_MS)
        rows.append(
            {
                "sampling": run.name,
                "f1": count(run.videos, "micro").f1,
                "f1_with_class": count(run.videos, "micro", with_label=True).f1,
                "same": len(pairs),
                "only_here": only_here,
                "only_there": only_there,
                "same_label": _share([old.label == new.label for old, new in pairs]),
                "within": _share(close),
                **{
                    f"{name}_ms": {"median": float(np.median(values)), "max": float(values.max())} if pairs else None
                    for name, values in differences.items()
                },
            }
        )
    return rows


def _share(values: Any) -> float | None:
    return float(np.mean(values)) if len(values) else None
