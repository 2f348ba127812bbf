"""Clips of an assessment: the same events of the same people under every condition, made once and kept as clip stores."""

import dataclasses
import hashlib
import json
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from types import TracebackType
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

import model.preprocess
import stream.face.align
import train.synth
from train.assessment.conditions import Condition
from train.clips.store import ClipRecord, ClipStore, ClipStoreWriter, StoreManifest
from train.interrupts import ignore_interrupts, interrupts_blocked
from train.progress import Advance
from train.synth.clip import ClipSettings, draw_clip, make_clip
from train.synth.faces import FaceSource, subjects
from train.synth.generate import clip_record
from train.synth.render import FaceModel

DATASET = "assessment"
_VERSION = 1  # of what this module itself does
_FACES_KEPT = 64
_MOST_LOST_FRAMES = 3  # training redraws clips of which the alignment loses more


@dataclass(frozen=True)
class ClipPlan:
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
    cache: Path, condition: Condition, plan: ClipPlan, workers: "ClipWorkers", advance: Advance
) -> ClipStore:
    """The plan's clips under a condition, from `cache` where they are there already, else made now.

    `advance` is told how many more are there. Raises StoreError or OSError.
    """
    path = cache / f"{condition.key}-{_key(condition, plan, workers.faces)}"
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
        for record, clip in workers.made(condition, plan):
            store.add(record, clip)
            advance(1)
    return ClipStore.open(path)


Made = tuple[ClipRecord, NDArray[np.uint8]]


class ClipWorkers:
    """Makes clips of these faces in `jobs` processes, which are started when first needed and end with the block."""

    def __init__(self, faces: Sequence[FaceSource], jobs: int) -> None:
        self.faces, self._jobs = tuple(faces), jobs
        self._pool: ProcessPoolExecutor | None = None
        self._here: _Maker | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def made(self, condition: Condition, plan: ClipPlan) -> Iterator[Made]:
        """Records and clips in the order of their numbers."""
        rounds = range(-(-plan.clips // len(plan.class_names)))
        if self._jobs == 1:
            self._here = self._here or _Maker(self.faces)
            for number in rounds:
                yield from self._here.round(condition, plan, number)
            return
        waiting: deque[Future[list[Made]]] = deque()
        for number in rounds:
            with interrupts_blocked():  # the first of them start the processes
                waiting.append(self._started().submit(_work, condition, plan, number))
            if len(waiting) > 4 * self._jobs:  # a bounded number of finished clips waits in memory
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            context = get_context("spawn")
            self._pool = ProcessPoolExecutor(self._jobs, context, _start_worker, (self.faces,))
        return self._pool


class _Maker:
    """Makes rounds of clips: one of each class, of one person."""

    def __init__(self, faces: tuple[FaceSource, ...]) -> None:
        self._people = [[face for face in faces if face.subject == subject] for subject in subjects(faces)]
        self._model = lru_cache(maxsize=_FACES_KEPT)(FaceModel)

    def round(self, condition: Condition, plan: ClipPlan, number: int) -> list[Made]:
        photos = self._people[number % len(self._people)]
        face = photos[number // len(self._people) % len(photos)]
        first = number * len(plan.class_names)
        start = _window_start(condition, plan)
        made: list[Made] = []
        for index, label in enumerate(plan.class_names, start=first):
            if index >= plan.clips:
                break
            seed = np.random.SeedSequence(plan.seed, spawn_key=(index,))
            spec = condition.applied(draw_clip(np.random.default_rng(seed), label, plan.settings), plan.settings)
            crops, truth = make_clip(self._model(face), spec, condition.filmed(plan.settings))
            made.append((clip_record("assess", DATASET, index, plan.seed, face, truth, start), crops))
        return made


def _window_start(condition: Condition, plan: ClipPlan) -> int:
    """The first frame of the window, or the one before where it starts between two."""
    settings = plan.settings
    return int(settings.lead_frames * condition.filmed(settings).fps / settings.fps + 1e-6)


def _key(condition: Condition, plan: ClipPlan, faces: Sequence[FaceSource]) -> str:
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


# A worker process keeps its maker, with the faces' fields, from one round to the next.
_maker: _Maker | None = None


def _start_worker(faces: tuple[FaceSource, ...]) -> None:
    global _maker
    ignore_interrupts()
    cv2.setNumThreads(1)
    _maker = _Maker(faces)


def _work(condition: Condition, plan: ClipPlan, number: int) -> list[Made]:
    assert _maker is not None
    return _maker.round(condition, plan, number)
