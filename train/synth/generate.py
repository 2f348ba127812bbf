"""A whole data set of synthetic clips, in as many processes as wanted, the same bit for bit whatever their number."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context

import cv2
import numpy as np
from numpy.typing import NDArray

from train.clips.store import ClipRecord
from train.interrupts import ignore_interrupts, interrupts_blocked
from train.synth.clip import ClipSettings, ClipTruth, make_clip_from_seed
from train.synth.faces import FaceSource, subjects
from train.synth.render import FaceModel

DATASET = "synthetic"
# About 6 MB each.
_MODELS_KEPT = 64


@dataclass(frozen=True)
class ClipPlan:
    """Which clips to make: `clips` in turn of every class and person. Clip i depends on the plan and i alone."""

    class_names: tuple[str, ...]
    clips: int
    seed: int
    settings: ClipSettings

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
    maker = _ClipMaker(plan, tuple(faces))
    rounds = range(-(-plan.clips // len(plan.class_names)))
    if jobs == 1:
        for number in rounds:
            yield from maker.round(number)
        return
    pool = ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_start_worker, initargs=(maker,))
    waiting: deque[Future[list[Made]]] = deque()
    try:
        for number in rounds:
            with interrupts_blocked():  # the first of them start the processes
                waiting.append(pool.submit(_work, number))
            # A bounded number of finished clips waits in memory.
            if len(waiting) > 4 * jobs:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


class _ClipMaker:
    """Makes rounds of clips: one of each class, of one person. People take turns, and so do the photos of each."""

    def __init__(self, plan: ClipPlan, faces: tuple[FaceSource, ...]) -> None:
        self._plan = plan
        self._people = [[face for face in faces if face.subject == subject] for subject in subjects(faces)]
        self._model = lru_cache(maxsize=_MODELS_KEPT)(FaceModel)

    def __getstate__(self) -> tuple[ClipPlan, list[list[FaceSource]]]:
        return self._plan, self._people

    def __setstate__(self, state: tuple[ClipPlan, list[list[FaceSource]]]) -> None:
        self._plan, self._people = state
        self._model = lru_cache(maxsize=_MODELS_KEPT)(FaceModel)

    def round(self, number: int) -> list[Made]:
        plan = self._plan
        photos = self._people[number % len(self._people)]
        face = photos[number // len(self._people) % len(photos)]
        first = number * len(plan.class_names)
        made = []
        for index, label in enumerate(plan.class_names, start=first):
            if index >= plan.clips:
                break
            seed = np.random.SeedSequence(plan.seed, spawn_key=(index,))
            crops, truth = make_clip_from_seed(self._model(face), label, plan.settings, seed)
            made.append(
                (clip_record("synth", DATASET, index, plan.seed, face, truth, plan.settings.lead_frames), crops)
            )
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


# A worker process keeps its maker, with the faces' fields, from one round to the next.
_maker: _ClipMaker | None = None


def _start_worker(maker: _ClipMaker) -> None:
    global _maker
    ignore_interrupts()
    cv2.setNumThreads(1)
    _maker = maker


def _work(number: int) -> list[Made]:
    assert _maker is not None
    return _maker.round(number)
