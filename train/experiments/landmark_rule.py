"""A rule on how far landmarks move as a row of experiments: four thresholds, set on the training people, and no other learning.

Brows, lids, cheeks and mouth corners are measured at a clip's largest motion, by Face Mesh's landmarks. Pixels are those
of a crop with 44 between the eyes, as everywhere (`stream.events.motion.UNIT_IOD_PX`).
"""

import hashlib
import itertools
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from model.contract import NEUTRAL
from stream.events.motion import UNIT_IOD_PX
from stream.face.landmarks import LEFT_EYE_CORNERS, RIGHT_EYE_CORNERS, FaceMeshDetector
from train.clips.samples import Samples, open_stores, samples_of, split_by_people, window_frames
from train.clips.store import ClipStore
from train.errors import UsageError
from train.experiments.rows import Answers, RowAnswers, RowTask
from train.files import write_with
from train.fit_config import TrainConfig
from train.progress import Advance, clip_progress
from train.scores.metrics import confusion_matrix, scores
from train.worker_pool import WorkerPool

PARTS = ("inner brow", "outer brow", "upper lid", "cheek", "mouth corner")
"""What is measured, in the order of the first axis of a motion."""
TELLING = (0, 1, 4)
"""Parts that choose the frame: lids and cheeks move with every blink."""

RATE_HZ = 15.0
"""Frames are taken at about this rate: Face Mesh costs more than 3 ms a frame."""

# Face Mesh ids by part, of the picture's left and right side.
_POINTS = (
    ((107, 66, 55, 65), (336, 296, 285, 295)),
    ((63, 105, 53, 52, 70, 46), (293, 334, 283, 282, 300, 276)),
    ((159, 158, 160), (386, 385, 387)),
    ((50, 101, 117, 118, 205), (280, 330, 346, 347, 425)),
    ((61, 57, 185, 146), (291, 287, 409, 375)),
)
_BRIDGE = (168, 6, 197, 195, 5)
_STILL = (*_BRIDGE, *LEFT_EYE_CORNERS, *RIGHT_EYE_CORNERS)
_CLIPS_A_TASK = 64
_MAX_WORKERS = 8
_VERSION = 1  # of what this module does to a clip

Motion = NDArray[np.float32]
"""(parts, sides, 2): outward and down in pixels, the picture's left side first."""
MOTION_SHAPE = (len(PARTS), 2, 2)
NEGATIVE, POSITIVE, SURPRISE = "negative", "positive", "surprise"
_BROW_PX = (0.2, 0.3, 0.4, 0.5, 0.7, 0.9, 1.2, 1.6)
_CORNER_PX = (0.3, 0.4, 0.5, 0.6, 0.7, 0.9, 1.2, 1.6, 2.2)
_ANY_PX = (0.3, 0.5, 0.65, 0.8, 1.0, 1.2, 1.5, 1.9, 2.4, 3.2)
_RATIO = (0.5, 0.75, 1.0, 1.3, 1.7)


def store_motions(
    store: ClipStore, rows: NDArray[np.int64], config: TrainConfig, advance: Advance
) -> NDArray[np.float32]:
    """Motions (clips, parts, sides, 2) of these clips, zeros where no face was found.

    Measured in `config.workers` processes (0: one a core, at most 8; 1: this one), and kept where the features are.
    """
    path = Path(config.cache_dir or store.path / "features") / f"landmarks-{_key(store, rows)}.npy"
    if path.is_file():
        advance(len(rows))
        return np.load(path)
    tasks = [rows[start : start + _CLIPS_A_TASK] for start in range(0, len(rows), _CLIPS_A_TASK)]
    workers = config.workers or min(os.cpu_count() or 1, _MAX_WORKERS)
    motions = np.concatenate([np.zeros((0, *MOTION_SHAPE), np.float32), *_measured(store, tasks, workers, advance)])
    with suppress(OSError):  # they only save time
        path.parent.mkdir(parents=True, exist_ok=True)
        write_with(path, lambda temporary: np.save(temporary, motions))
    return motions


def largest_motion(landmarks: NDArray[np.float32], lead: int) -> Motion:
    """The motion of the frame in which brows and mouth corners moved farthest, of landmarks (frames, 468, 2) in pixels.

    Motion is counted from the median of the first `lead` frames, less that of the bridge of the nose and of the corners
    of the eyes, which is the head's. The frames after them are looked at.
    """
    moved = landmarks - np.median(landmarks[:lead], axis=0)
    moved -= moved[:, _STILL].mean(axis=1, keepdims=True)
    parts = np.stack([np.stack([moved[lead:, side].mean(axis=1) for side in part], axis=1) for part in _POINTS], axis=1)
    parts[:, :, 0, 0] *= -1  # outward is to the left on the left
    farthest = np.square(parts[:, TELLING]).sum(axis=(1, 2, 3)).argmax()
    return parts[farthest].astype(np.float32)


def clip_motion(store: ClipStore, row: int, detector: FaceMeshDetector) -> Motion:
    """The largest motion in one clip's window; zeros when a face is missing in it or in the frames before."""
    manifest, start = store.manifest, store.records[row].window_start
    step = max(1, round(manifest.fps / RATE_HZ))
    lead = max(1, start // step)  # a window with nothing before it is compared with its first frame
    landmarks = _landmarks(store.clips[row, start % step : start + window_frames(store) : step], detector)
    if landmarks is None or len(landmarks) <= lead:
        return np.zeros(MOTION_SHAPE, np.float32)
    return largest_motion(landmarks, lead) * np.float32(UNIT_IOD_PX / manifest.crop.iod_px)


def _landmarks(crops: NDArray[np.uint8], detector: FaceMeshDetector) -> NDArray[np.float32] | None:
    """Landmarks (frames, 468, 2) of the face in crops (frames, size, size, 1 or 3); None where it is not always found."""
    detector.detect(np.zeros((*crops.shape[1:3], 3), np.uint8))  # so that the clip before is not followed on
    found = []
    for crop in crops:
        faces = detector.detect(cv2.cvtColor(crop, cv2.COLOR_GRAY2BGR if crop.shape[-1] == 1 else cv2.COLOR_RGB2BGR))
        if not faces:
            return None
        found.append(faces[0])
    return np.stack(found)


def _measured(
    store: ClipStore, tasks: list[NDArray[np.int64]], workers: int, advance: Advance
) -> list[NDArray[np.float32]]:
    """The tasks' motions in their order."""
    done: list[NDArray[np.float32]] = []
    with WorkerPool(min(workers, len(tasks)), partial(ClipMeter, store.path)) as pool:
        for found in pool.in_order(ClipMeter.motions, tasks):
            done.append(found)
            advance(len(found))
    return done


class ClipMeter:
    """Measures clips of a store. Needs `close()`."""

    def __init__(self, path: Path) -> None:
        self.store, self._detector = ClipStore.open(path), FaceMeshDetector()

    def close(self) -> None:
        self._detector.close()

    def motions(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        return np.stack([clip_motion(self.store, int(row), self._detector) for row in rows])


def _key(store: ClipStore, rows: NDArray[np.int64]) -> str:
    """Hash of what decides the motions: 16 hexadecimal digits."""
    digest = hashlib.sha256(json.dumps([_VERSION, version("mediapipe"), RATE_HZ, _POINTS, _STILL, TELLING]).encode())
    for name in ("manifest.json", "clips.jsonl"):
        digest.update((store.path / name).read_bytes())
    clips = (store.path / "clips.npy").stat()
    digest.update(f"{clips.st_size} {clips.st_mtime_ns}".encode())
    digest.update(rows.astype(np.int64).tobytes())
    return digest.hexdigest()[:16]


@dataclass(frozen=True)
class LandmarkRule:
    """What a clip's largest motion is called; lengths in pixels of a crop with 44 between the eyes.

    surprise: the brows rose more than `brow_px`, and more than `brow_to_corner` times as far as the farther mouth corner
    went up and out; else positive: that corner went more than `corner_px`; else negative: brows and corners together
    went more than `any_px`, whatever the way; else neutral.
    """

    brow_px: float
    corner_px: float
    any_px: float
    brow_to_corner: float

    def classes(self, motions: NDArray[np.float32], class_names: Sequence[str]) -> NDArray[np.int64]:
        """Class indices (clips,) of motions (clips, parts, sides, 2) as `landmark_motion` gives them.

        Where neutral is not among the classes, what is too small to tell is called negative.

        Raises:
            UsageError: the classes are not those the rule knows.
        """
        index = class_indices(class_names)
        brow, corner, moved = _lengths(motions)
        surprise = (brow > self.brow_px) & (brow > self.brow_to_corner * corner)
        chosen = np.where(moved > self.any_px, index[NEGATIVE], index.get(NEUTRAL, index[NEGATIVE]))
        chosen = np.where(corner > self.corner_px, index[POSITIVE], chosen)
        return np.where(surprise, index[SURPRISE], chosen).astype(np.int64)

    def in_words(self) -> str:
        return ", ".join(f"{name} {value:g}" for name, value in asdict(self).items())


def fit_rule(motions: NDArray[np.float32], labels: NDArray[np.int64], class_names: Sequence[str]) -> LandmarkRule:
    """The rule of a grid of thresholds with the highest UF1 on these clips; the first where several have it.

    `motions` (clips, parts, sides, 2), `labels` (clips,). Raises UsageError for classes that the rule does not know.
    """
    rules = [LandmarkRule(*values) for values in itertools.product(_BROW_PX, _CORNER_PX, _ANY_PX, _RATIO)]
    found = [
        scores(confusion_matrix(labels, rule.classes(motions, class_names), len(class_names)), class_names).uf1
        for rule in rules
    ]
    return rules[int(np.argmax(found))]


def class_indices(class_names: Sequence[str]) -> dict[str, int]:
    """Where each class that the rule speaks of stands. Raises UsageError for any others."""
    wanted = {NEGATIVE, POSITIVE, SURPRISE}
    if not wanted <= set(class_names) <= wanted | {NEUTRAL}:
        raise UsageError(
            f"landmark rule: expected the classes {NEGATIVE}, {POSITIVE}, {SURPRISE}, with or without {NEUTRAL}, "
            f"found {', '.join(class_names)}"
        )
    return {name: index for index, name in enumerate(class_names)}


def _lengths(motions: NDArray[np.float32]) -> tuple[NDArray, NDArray, NDArray]:
    """Of each clip: how far the brows rose (inner or outer, mean of both sides), how far the farther mouth corner went up
    and out, and how far brows and corners moved in all."""
    rise = -motions[:, :, :, 1].mean(axis=2)
    brow = np.maximum(rise[:, PARTS.index("inner brow")], rise[:, PARTS.index("outer brow")])
    corner = motions[:, PARTS.index("mouth corner")]
    lifted = ((corner[..., 0] - corner[..., 1]) / np.sqrt(2)).max(axis=1)
    moved = np.sqrt(np.square(motions[:, TELLING]).sum(axis=(1, 2, 3)))
    return brow, lifted, moved


def rule_answers(task: RowTask) -> RowAnswers:
    """Sets the thresholds on the training people; the validation people choose nothing here, nor does the seed.

    Raises:
        UsageError: the stores do not fit together, or their classes are not those of the rule.
    """
    config = task.config
    if config.made is not None:
        raise UsageError(f"{config.out}: made: expected none in a baseline's row, which learns from the stores' clips")
    stores = open_stores((*config.data, *task.test))
    trained, tested = stores[: len(config.data)], stores[len(config.data) :]
    samples = samples_of(trained)
    class_indices(samples.class_names)
    split = split_by_people(samples, config)
    rows = np.concatenate([split.train, split.validation])
    every = [np.arange(len(store)) for store in tested]
    with clip_progress(task.console, "landmarks", len(rows) + sum(map(len, every))) as advance:
        motions = _of_several(trained, rows, config, advance)
        tests = [store_motions(store, all_rows, config, advance) for store, all_rows in zip(tested, every, strict=True)]
    learned, held = motions[: len(split.train)], motions[len(split.train) :]
    rule = fit_rule(learned, samples.labels[split.train], samples.class_names)
    task.console.print(f"landmark rule: {rule.in_words()}", highlight=False)
    return RowAnswers(
        parameters=0,
        validation=_answers(rule, samples, split.validation, held),
        test={
            path: _answers(rule, samples_of((store,)), all_rows, found)
            for path, store, all_rows, found in zip(task.test, tested, every, tests, strict=True)
        },
    )


def _of_several(
    stores: Sequence[ClipStore], rows: NDArray[np.int64], config: TrainConfig, advance: Advance
) -> NDArray[np.float32]:
    """Motions of these rows of several stores, one after the other, in the order of `rows`."""
    found, start = np.zeros((len(rows), *MOTION_SHAPE), np.float32), 0
    for store in stores:
        mine = (rows >= start) & (rows < start + len(store))
        found[mine] = store_motions(store, rows[mine] - start, config, advance)
        start += len(store)
    return found


def _answers(rule: LandmarkRule, samples: Samples, rows: NDArray[np.int64], motions: NDArray[np.float32]) -> Answers:
    """All of the probability on the rule's class."""
    one_hot = np.eye(len(samples.class_names), dtype=np.float32)
    ids = tuple(samples.ids[row] for row in rows)
    return Answers(ids, one_hot[rule.classes(motions, samples.class_names)])
