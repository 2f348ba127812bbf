"""All scores of a spotting run as plain values for JSON: localisation, classes, timing, false events, curve, chance.

And whether the same events come out of the same made videos at other frame rates.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from model.types import Event, EventKind
from train.spotting.curves import RATES_PER_MIN, MicroCandidates, curve
from train.spotting.match import (
    SpottedVideo,
    count,
    count_classes,
    false_per_minute,
    match,
    recall_by_peak,
    rejections,
    timing_errors,
    watchable_minutes,
)

_CHANCE_DRAWS = 100
WITHIN_MS = 40.0


def score(
    videos: Sequence[SpottedVideo], quiet: Sequence[SpottedVideo], class_names: Sequence[str], seed: int = 0
) -> dict[str, Any]:
    """Scores of annotated `videos`, and of `quiet` ones in which every micro event counts as false (None without any).

    `class_names` are those that a micro-expression can have; `seed` draws what chance scores. False events are told a
    watchable minute, None where nothing was watchable.
    """
    return {
        "videos": len(videos),
        **_minutes(videos),
        "micro": {**score_kind(videos, "micro", class_names), "false_per_min": false_per_minute(videos)},
        "macro": score_kind(videos, "macro", class_names),
        "recall_by_peak": recall_by_peak(videos),
        "micro_found_in_macro": _micro_in_macro(videos),
        "rejections": rejections(videos),
        "chance": chance(videos, seed),
        "quiet": score_quiet(quiet) if quiet else None,
        **_trade(videos, quiet),
    }


def score_group(
    videos: Sequence[SpottedVideo],
    quiet: Sequence[SpottedVideo],
    people: Sequence[str],
    own_s: float,
    smallest_px: Sequence[float | None],
) -> dict[str, Any]:
    """What matters most of one kind of annotated videos, to be set beside another kind.

    `own_s`: the seconds that were filmed; what is shown to and fro is shown more often. `smallest_px`: of each video the
    smallest movement that would have been noticed, in pixels of a crop with 44 between the eyes.
    """
    micro = count(videos, "micro")
    seen_px = [value for value in smallest_px if value is not None]
    return {
        "videos": len(videos),
        "people": sorted(set(people)),
        **_minutes(videos),
        "own_minutes": own_s / 60,
        "smallest_px": float(np.median(seen_px)) if seen_px else None,
        "n": micro.tp + micro.fn,
        "recall": micro.recall,
        "f1": micro.f1,
        "false_per_min": false_per_minute(videos),
        "right_class": _right_class(videos, "micro"),
        "recall_by_peak": recall_by_peak(videos, (1.2, 2.0, 3.0)),
        "quiet": {**_minutes(quiet), "false_per_min": false_per_minute(quiet)} if quiet else None,
        **_trade(videos, quiet),
    }


def _minutes(videos: Sequence[SpottedVideo]) -> dict[str, float]:
    return {
        "minutes": sum(video.duration_s for video in videos) / 60,
        "watchable_minutes": watchable_minutes(videos),
    }


def _trade(videos: Sequence[SpottedVideo], quiet: Sequence[SpottedVideo]) -> dict[str, Any]:
    """Recall by false events a watchable minute, and the whole curve."""
    candidates = MicroCandidates(videos)
    return {
        "recall_at": {f"{rate:g}": candidates.recall_at(rate) for rate in RATES_PER_MIN},
        "curve": [vars(point) for point in curve(videos, quiet)],
    }


def score_kind(videos: Sequence[SpottedVideo], kind: EventKind, class_names: Sequence[str]) -> dict[str, Any]:
    """Scores of one kind of event: where (`localised`), where and what (`with_class`), by class, and when."""
    return {
        "n": sum(len(video.true_events(kind)) for video in videos),
        "localised": count(videos, kind).as_dict(),
        "with_class": count(videos, kind, with_label=True).as_dict(),
        "per_class": {
            name: counts.as_dict() for name, counts in count_classes(videos, kind, class_names).items()
        },
        "right_class": _right_class(videos, kind),
        "timing": timing_errors(videos, kind),
    }  # fmt: skip


def chance(videos: Sequence[SpottedVideo], seed: int, draws: int = _CHANCE_DRAWS) -> dict[str, float]:
    """Mean F1 of the same events, as many and as long, at other times: each video's are moved round by one random span."""
    rng = np.random.default_rng(seed)
    moved: list[tuple[float, float]] = []
    for _ in range(draws):
        drawn = [replace(video, found=_moved_round(video, rng.uniform(0, video.duration_s))) for video in videos]
        moved.append((count(drawn, "micro").f1, count(drawn, "micro", with_label=True).f1))
    f1, f1_with_class = np.mean(moved, axis=0) if moved else (0.0, 0.0)
    return {"f1": float(f1), "f1_with_class": float(f1_with_class), "draws": draws}


def _moved_round(video: SpottedVideo, by_s: float) -> list[Event]:
    moved = []
    for event in video.found_events("micro"):
        shift_s = (event.onset_s + by_s) % video.duration_s - event.onset_s
        times = {name: getattr(event, name) + shift_s for name in ("onset_s", "apex_s", "offset_s")}
        moved.append(replace(event, **times))
    return moved


def _right_class(videos: Sequence[SpottedVideo], kind: EventKind) -> dict[str, float | int]:
    """Of the localised events, how many carry the right class."""
    right = total = 0
    for video in videos:
        truth, found = video.true_events(kind), video.found_events(kind)
        pairs = match(truth, found)
        total += len(pairs)
        right += sum(truth[t].label == found[f].label for t, f in pairs)
    return {"n": total, "share": right / total if total else 0.0}


def _micro_in_macro(videos: Sequence[SpottedVideo]) -> int:
    """False micro events that lie, by half of their length or more, in a true macro-expression."""
    inside = 0
    for video in videos:
        found = video.found_events("micro")
        hits = {f for _, f in match(video.true_events("micro"), found)}
        for number, event in enumerate(found):
            half_s = (event.offset_s - event.onset_s) / 2
            inside += number not in hits and any(
                min(event.offset_s, macro.offset_s) - max(event.onset_s, macro.onset_s) >= half_s
                for macro in video.true_events("macro")
            )
    return inside


def score_quiet(videos: Sequence[SpottedVideo]) -> dict[str, Any]:
    """Videos without annotated events: every micro-expression found there counts as false."""
    return {
        **_minutes(videos),
        "events": sum(len(video.found_events("micro")) for video in videos),
        "false_per_min": false_per_minute(videos),
        "per_video": {
            video.name: {
                "seconds": video.duration_s,
                "watchable_s": video.watchable_s,
                "events": len(video.found_events("micro")),
                "macro_events": len(video.found_events("macro")),
                "false_per_min": false_per_minute([video]),
            }
            for video in videos
        },
        "rejections": rejections(videos),
    }


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
