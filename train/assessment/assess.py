"""An assessment: several models on made clips of people they never saw, as made, at other frame rates, filmed badly, still."""

import dataclasses
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from train.assessment.answers import AssessedModel, answers
from train.assessment.condition_clips import ConditionPlan, clip_workers, condition_store, lost
from train.assessment.condition_scores import (
    METRICS,
    Answered,
    by_band,
    by_group,
    model_probe,
    picture_probe,
    standing_still,
    whole,
)
from train.assessment.conditions import PLAIN, Condition
from train.assessment.unit_table import by_unit
from train.clips.store import ClipRecord, ClipStore
from train.progress import Advance
from train.scores.calibration import reliability
from train.synth.clip import ClipSettings
from train.synth.faces import FaceSource

WINDOW_FRAMES = 30
"""Of the clips, at 30 a second, at least: models of other windows then see the same clips."""


class Told(Protocol):
    """Who is told how it goes: a context for each piece of work over so many clips."""

    def __call__(self, what: str, total: int) -> AbstractContextManager[Advance]: ...


@dataclass(frozen=True)
class AssessPlan:
    """What is assessed: `clips` as made, of which the first `condition_clips` come back under each of `conditions`."""

    clips: int
    condition_clips: int
    seed: int
    settings: ClipSettings
    conditions: tuple[Condition, ...]

    def __post_init__(self) -> None:
        if not 0 <= self.condition_clips <= self.clips:
            raise ValueError(
                f"clips under conditions: expected 0 to all {self.clips} clips, found {self.condition_clips}"
            )

    @property
    def start_s(self) -> float:
        """When windows start, after the clips' first frames."""
        return self.settings.lead_frames / self.settings.fps


@dataclass(frozen=True, eq=False)
class Assessment:
    """What came out: `report` for JSON, and the plain clips with the models' answers for pictures."""

    report: dict[str, Any]
    store: ClipStore
    probabilities: list[NDArray[np.float32]]


def clip_settings(candidates: Sequence[AssessedModel], peaks_px: tuple[float, float]) -> ClipSettings:
    """Clips that every candidate can be asked about."""
    contracts = [candidate.contract for candidate in candidates]
    colour = "rgb" if any(contract.input.colour == "rgb" for contract in contracts) else "grey"
    longest_s = max(contract.window_s for contract in contracts)
    smallest_px, largest_px = peaks_px
    settings = ClipSettings(contracts[0].crop, colour, peak_min_px=smallest_px, peak_max_px=largest_px)
    frames = max(WINDOW_FRAMES, int(np.ceil(longest_s * settings.fps - 1e-6)) + 1)
    return dataclasses.replace(settings, window_frames=frames)


def assess(
    candidates: Sequence[AssessedModel],
    faces: Sequence[FaceSource],
    plan: AssessPlan,
    cache: Path,
    jobs: int,
    told: Told,
) -> Assessment:
    """Makes the clips that `cache` lacks in `jobs` processes, has every model answer them, and scores the answers.

    Raises:
        UsageError, StoreError: models, clips and cache do not fit. OSError: the cache cannot be written.
    """
    with clip_workers(faces, jobs) as workers:

        def made(condition: Condition, clips: ConditionPlan, advance: Advance) -> ClipStore:
            return condition_store(cache, condition, clips, faces, workers, advance)

        return _assessed(candidates, made, plan, jobs, told)


def _assessed(
    candidates: Sequence[AssessedModel],
    made: Callable[[Condition, ConditionPlan, Advance], ClipStore],
    plan: AssessPlan,
    jobs: int,
    told: Told,
) -> Assessment:
    names = candidates[0].contract.class_names
    start_s = plan.start_s

    def answered(condition: Condition, clips: int) -> tuple[ClipStore, Answered, list[NDArray[np.float32]]]:
        """The clips, the classes that were answered, and the action units (clips, 2 units)."""
        with told(f"{condition.name}: making clips", clips) as advance:
            store = made(condition, ConditionPlan(names, clips, plan.seed, plan.settings), advance)
        with told(f"{condition.name}: answers", clips) as advance:
            classes, units = _apart(answers(candidates, store, start_s, jobs, advance), len(names))
            return store, _answered(store, classes), units

    plain_store, plain, units = answered(PLAIN, plan.clips)
    people = plain_store.subjects
    report: dict[str, Any] = {
        "models": [candidate.name for candidate in candidates],
        "people": sorted(set(people)),
        "known_people": sorted(set(people) & {name for candidate in candidates for name in candidate.known}),
        "photos": len({str(record.notes["photo"]) for record in plain_store.records}),
        "seed": plan.seed,
        "peaks_px": [plan.settings.peak_min_px, plan.settings.peak_max_px],
        "class_names": list(names),
        "lost": _lost(plain_store),
        "plain": whole(plain),
        "by_peak": by_band(plain),
        "by_person": by_group(plain, people),
        "by_difficulty": by_group(plain, [_difficulty(record) for record in plain_store.records]),
        "reliability": [
            [dataclasses.asdict(found) for found in reliability(probabilities, plain.labels)]
            for probabilities in plain.probabilities
        ],
        "conditions": [],
    }
    if all(candidate.contract.action_units for candidate in candidates):
        report["action_units"] = by_unit(plain_store, [candidate.contract for candidate in candidates], units)
    shown = plan.condition_clips
    if shown:
        subset = plain.rows(np.arange(len(plain)) < shown)
        report["conditions"].append(_row(PLAIN, plain_store.records[:shown], subset))
        for condition in plan.conditions:
            store, found, _ = answered(condition, shown)
            report["conditions"].append(_row(condition, store.records, found))
        with told("still frames", shown) as advance:
            frozen = ("still", lambda row, crops: standing_still(plain_store, row, crops))
            still, _ = _apart(answers(candidates, plain_store, start_s, jobs, advance, frozen, shown), len(names))
        report["still"] = {
            "model": model_probe(dataclasses.replace(subset, probabilities=still)),
            "picture": picture_probe(plain_store, people, names),
            "first": picture_probe(plain_store, people, names, first=True),
        }
    return Assessment(report, plain_store, list(plain.probabilities))


def _apart(
    answered: Sequence[NDArray[np.float32]], classes: int
) -> tuple[list[NDArray[np.float32]], list[NDArray[np.float32]]]:
    """Of each model the probabilities of the classes, and those of the action units."""
    return [found[:, :classes] for found in answered], [found[:, classes:] for found in answered]


def _answered(store: ClipStore, probabilities: list[NDArray[np.float32]]) -> Answered:
    peaks = np.array([record.peak_px or 0.0 for record in store.records])
    return Answered(store.manifest.class_names, store.labels, peaks, probabilities)


def _row(condition: Condition, records: Sequence[Any], answered: Answered) -> dict[str, Any]:
    found = whole(answered)
    return {
        "key": condition.key,
        "group": condition.group,
        "name": condition.name,
        "n": found["n"],
        "lost": sum(map(lost, records)),
        **{name: found[name] for name in (*METRICS, "ece", "chance")},
    }


def _difficulty(record: ClipRecord) -> str:
    return "hard" if "hard" in record.notes["confounders"] else "ordinary"


def _lost(store: ClipStore) -> int:
    return sum(map(lost, store.records))
