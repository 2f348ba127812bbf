"""A whole data set of synthetic clips, in as many processes as wanted, the same bit for bit whatever their number."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from train.clips.store import ClipRecord
from train.synth.clip import ClipSettings, ClipTruth, make_clip_from_seed
from train.synth.faces import FaceSource, subjects
from train.synth.individual import individual
from train.synth.render import FaceModel
from train.worker_pool import WorkerPool

DATASET = "synthetic"
_MODELS_KEPT = 64  # about 6 MB each


@dataclass(frozen=True)
class ClipPlan:
    """Which clips to make: `clips` in turn of every class and person. Clip i depends on the plan and i alone.

    `own_recipes`: people have expressions and strengths of their own, other than the generator's usual ones.
    """

    class_names: tuple[str, ...]
    clips: int
    seed: int
    settings: ClipSettings
    own_recipes: bool = False

    def __post_init__(self) -> None:
        if self.clips < 1:
            raise ValueError(f"clips: expected 1 or more, found {self.clips}")
        if self.seed < 0:
            raise ValueError(f"seed: expected 0 or more, found {self.seed}")
        if self.settings.frame_rates:
            raise ValueError(f"frame rates: expected none, a store has one; found {self.settings.frame_rates}")


Made = tuple[ClipRecord, NDArray[np.uint8]]


def generate(plan: ClipPlan, faces: Sequence[FaceSource], jobs: int) -> Iterator[Made]:
    """Records and clips in the order of their numbers. With `jobs` of 1 everything happens in this process."""
    rounds = range(-(-plan.clips // len(plan.class_names)))
    with WorkerPool(jobs, partial(_ClipMaker, plan, tuple(faces))) as pool:
        for of_round in pool.in_order(_ClipMaker.round, rounds):
            yield from of_round


class FaceTurns:
    """Whose turn it is in a round: people take turns, and so do the photos of each."""

    def __init__(self, faces: Sequence[FaceSource]) -> None:
        self._people = [[face for face in faces if face.subject == subject] for subject in subjects(faces)]
        self._model = lru_cache(maxsize=_MODELS_KEPT)(FaceModel)

    def model(self, number: int) -> FaceModel:
        photos = self._people[number % len(self._people)]
        return self._model(photos[number // len(self._people) % len(photos)])


class _ClipMaker:
    """Makes rounds of clips: one of each class, of one person."""

    def __init__(self, plan: ClipPlan, faces: Sequence[FaceSource]) -> None:
        self._plan, self._turns = plan, FaceTurns(faces)

    def round(self, number: int) -> list[Made]:
        plan, model = self._plan, self._turns.model(number)
        first, lead, settings = number * len(plan.class_names), plan.settings.lead_frames, plan.settings
        if plan.own_recipes:
            settings = individual(settings, plan.seed, model.face.subject)
        made: list[Made] = []
        for index, label in enumerate(plan.class_names[: plan.clips - first], start=first):
            seed = np.random.SeedSequence(plan.seed, spawn_key=(index,))
            crops, truth = make_clip_from_seed(model, label, settings, seed)
            made.append((clip_record("synth", DATASET, index, plan.seed, model.face, truth, lead), crops))
        return made


def clip_record(
    prefix: str, dataset: str, index: int, seed: int, face: FaceSource, truth: ClipTruth, window_start: int
) -> ClipRecord:
    """The record of clip `index` of the run with `seed`. `window_start`: the first frame of its window."""
    return ClipRecord(
        id=f"{prefix}-{seed}-{index:06d}",
        subject=face.subject,
        label=truth.label,
        dataset=dataset,
        action_units=truth.action_units,
        onset_frame=truth.onset_frame,
        apex_frame=truth.apex_frame,
        offset_frame=truth.offset_frame,
        peak_px=round(truth.peak_px, 4),
        window_start=window_start,
        seed=seed,
        notes={"photo": face.name, "index": index, "lost_frames": truth.lost_frames, **truth.notes},
    )
