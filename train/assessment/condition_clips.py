"""Clips of an assessment: the same events of the same people under every condition, made once and kept as clip stores."""

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

import cv2
import numpy as np

import model.preprocess
import stream.face.align
import train.synth
from train.assessment.conditions import Condition
from train.clips.store import ClipRecord, ClipStore, ClipStoreWriter, StoreManifest
from train.progress import Advance
from train.synth.clip import ClipSettings, draw_clip, make_clip
from train.synth.faces import FaceSource
from train.synth.generate import FaceTurns, Made, clip_record
from train.worker_pool import WorkerPool

DATASET = "assessment"
_VERSION = 1  # of what this module itself does
_MOST_LOST_FRAMES = 3  # training redraws clips of which the alignment loses more


@dataclass(frozen=True)
class ConditionPlan:
    """Which clips to make: clip i is of class i mod classes; people take turns, and so do the photos of each.

    Clip i depends on seed, settings and faces, not on how many there are: the first clips of a longer plan are those
    of a shorter one. Unlike in training no clip is drawn anew because the alignment lost it.
    """

    class_names: tuple[str, ...]
    clips: int
    seed: int
    settings: ClipSettings

    def __post_init__(self) -> None:
        if self.clips < len(self.class_names):
            raise ValueError(f"clips: expected {len(self.class_names)} or more, one a class, found {self.clips}")
        if self.seed < 0:
            raise ValueError(f"seed: expected 0 or more, found {self.seed}")


def lost(record: ClipRecord) -> bool:
    """Whether the alignment lost more of the clip's frames than training puts up with."""
    return int(record.notes["lost_frames"]) > _MOST_LOST_FRAMES


def condition_store(
    cache: Path,
    condition: Condition,
    plan: ConditionPlan,
    faces: Sequence[FaceSource],
    workers: "WorkerPool[ConditionMaker]",
    advance: Advance,
) -> ClipStore:
    """The plan's clips under a condition, from `cache` where they are there already, else made now by `clip_workers(faces)`.

    `advance` is told how many more are there. Raises StoreError or OSError.
    """
    path = cache / f"{condition.key}-{_key(condition, plan, faces)}"
    if path.is_dir():
        store = ClipStore.open(path)
        advance(len(store))
        return store
    settings = condition.filmed(plan.settings)
    manifest = StoreManifest(
        class_names=plan.class_names,
        fps=settings.fps,
        crop=settings.geometry,
        colour=settings.colour,
        frames=settings.frames,
        lead_frames=_window_start(condition, plan),
        seed=plan.seed,
        settings=dataclasses.asdict(settings) | {"condition": dataclasses.asdict(condition)},
    )
    with ClipStoreWriter(path, manifest) as store:
        rounds = range(-(-plan.clips // len(plan.class_names)))
        tasks = [(condition, plan, number) for number in rounds]
        for record, clip in chain.from_iterable(workers.in_order(ConditionMaker.round, tasks)):
            store.add(record, clip)
            advance(1)
    return ClipStore.open(path)


def clip_workers(faces: Sequence[FaceSource], jobs: int) -> "WorkerPool[ConditionMaker]":
    """Processes that make clips of these faces."""
    return WorkerPool(jobs, partial(ConditionMaker, tuple(faces)))


class ConditionMaker:
    """Makes rounds of clips under a condition: one of each class, of one person."""

    def __init__(self, faces: tuple[FaceSource, ...]) -> None:
        self._turns = FaceTurns(faces)

    def round(self, task: tuple[Condition, ConditionPlan, int]) -> list[Made]:
        condition, plan, number = task
        model, first = self._turns.model(number), number * len(plan.class_names)
        start, settings = _window_start(condition, plan), plan.settings
        made: list[Made] = []
        for index, label in enumerate(plan.class_names[: plan.clips - first], start=first):
            seed = np.random.SeedSequence(plan.seed, spawn_key=(index,))
            spec = condition.applied(draw_clip(np.random.default_rng(seed), label, settings), settings)
            crops, truth = make_clip(model, spec, condition.filmed(settings))
            made.append((clip_record("assess", DATASET, index, plan.seed, model.face, truth, start), crops))
        return made


def _window_start(condition: Condition, plan: ConditionPlan) -> int:
    """The first frame of the window, or the one before where it starts between two."""
    settings = plan.settings
    return int(settings.lead_frames * condition.filmed(settings).fps / settings.fps + 1e-6)


def _key(condition: Condition, plan: ConditionPlan, faces: Sequence[FaceSource]) -> str:
    """Hash of all that decides the clips, the code that makes them included: 16 hexadecimal digits."""
    said = {
        "version": _VERSION,
        "condition": dataclasses.asdict(condition),
        "plan": dataclasses.asdict(plan),
        "opencv": cv2.__version__,
    }
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode())
    generator = sorted(Path(next(iter(train.synth.__path__))).glob("*.py"))
    for source in (*generator, Path(stream.face.align.__file__), Path(model.preprocess.__file__)):
        digest.update(source.read_bytes())
    for face in faces:
        digest.update(f"{face.subject}/{face.name}".encode() + face.image.tobytes() + face.landmarks.tobytes())
    return digest.hexdigest()[:16]
