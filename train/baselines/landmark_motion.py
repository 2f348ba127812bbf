"""How far brows, lids, cheeks and mouth corners move in a clip, by Face Mesh's landmarks, at the clip's largest motion.

Pixels are those of a crop with 44 between the eyes, as everywhere (`stream.events.motion.UNIT_IOD_PX`).
"""

import hashlib
import json
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.events.motion import UNIT_IOD_PX
from stream.face.landmarks import LEFT_EYE_CORNERS, RIGHT_EYE_CORNERS, FaceMeshDetector
from train.config import TrainConfig
from train.data import window_frames
from train.features import Advance
from train.interrupts import ignore_interrupts, interrupts_blocked
from train.rundir import write_with
from train.store import ClipStore

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
    if workers == 1 or len(tasks) <= 1:
        for task in tasks:
            done.append(_task(store.path, task))
            advance(len(task))
        return done
    # Spawned, not forked: TensorFlow may have threads in this process.
    pool = ProcessPoolExecutor(min(workers, len(tasks)), multiprocessing.get_context("spawn"), ignore_interrupts)
    try:
        with interrupts_blocked():
            futures = [pool.submit(_task, store.path, task) for task in tasks]
        for future, task in zip(futures, tasks, strict=True):
            done.append(future.result())
            advance(len(task))
    finally:
        pool.shutdown(cancel_futures=True)
    return done


def _task(path: Path, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    store = ClipStore.open(path)
    with FaceMeshDetector() as detector:
        return np.stack([clip_motion(store, int(row), detector) for row in rows])


def _key(store: ClipStore, rows: NDArray[np.int64]) -> str:
    """Hash of what decides the motions: 16 hexadecimal digits."""
    digest = hashlib.sha256(json.dumps([_VERSION, version("mediapipe"), RATE_HZ, _POINTS, _STILL, TELLING]).encode())
    for name in ("manifest.json", "clips.jsonl"):
        digest.update((store.path / name).read_bytes())
    clips = (store.path / "clips.npy").stat()
    digest.update(f"{clips.st_size} {clips.st_mtime_ns}".encode())
    digest.update(rows.astype(np.int64).tobytes())
    return digest.hexdigest()[:16]
