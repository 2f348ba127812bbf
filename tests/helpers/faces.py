"""Pictures of a face for the tests: the free portrait that scikit-image carries, and users' own where they are given."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray


def portrait() -> NDArray[np.uint8]:
    """A real face, BGR uint8 (512, 512, 3)."""
    return cv2.cvtColor(skimage.data.astronaut(), cv2.COLOR_RGB2BGR)


def moved(image: NDArray[np.uint8], dx_px: float, dy_px: float, degrees: float = 0.0, scale: float = 1.0) -> NDArray:
    """(picture, transform): the picture shifted, turned and scaled about its middle; transform (2, 3)."""
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, scale)
    matrix[:, 2] += (dx_px, dy_px)
    return cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REFLECT), matrix


def noisy(image: NDArray[np.uint8], rng: np.random.Generator, sigma: float = 3.0) -> NDArray[np.uint8]:
    """The picture with sensor noise of `sigma` grey levels."""
    return np.clip(image + rng.normal(0, sigma, image.shape), 0, 255).astype(np.uint8)


def folder_of_faces(part: str) -> Path:
    """`photos` or `videos` below the folder that MICROLIVE_FACES names; skips the test where there is none."""
    root = os.environ.get("MICROLIVE_FACES")
    if not root or not Path(root, part).is_dir():
        pytest.skip(f"MICROLIVE_FACES names no folder with {part}")
    return Path(root, part)
