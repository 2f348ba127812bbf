"""Clips of a real face as folders of frames."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tests.helpers.faces import moved, noisy, portrait
from train.datasets.source import FrameFolder


def faces(count: int, seed: int = 0) -> list[NDArray[np.uint8]]:
    """The portrait (256 x 256) with head motion and noise."""
    rng, face = np.random.default_rng(seed), np.ascontiguousarray(portrait()[0:256, 96:352])
    return [noisy(moved(face, seed + np.sin(i / 3), np.cos(i / 4))[0], rng, 2.0) for i in range(count)]


def write_frames(path: Path, numbers: Sequence[int], seed: int = 0, grey: bool = False) -> FrameFolder:
    path.mkdir(parents=True, exist_ok=True)
    files = []
    for number, image in zip(numbers, faces(len(numbers), seed), strict=True):
        files.append((number, path / f"img{number}.png"))
        assert cv2.imwrite(str(files[-1][1]), cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) if grey else image)
    return FrameFolder(path, tuple(files))
