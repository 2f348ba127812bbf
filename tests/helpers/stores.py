"""A small clip store with the real interface: a soft spot that moves with the class, on the person's own background."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from model.contract import Colour, CropGeometry
from train.clips.store import ClipRecord, ClipStore, ClipStoreWriter, StoreManifest

CLASSES = ("negative", "positive", "surprise")
GEOMETRY = CropGeometry(size_px=32, iod_px=11.0, eye_line_px=10.0)
LEAD_FRAMES, FRAMES = 3, 12
_DIRECTIONS = {"negative": (0.0, 1.0), "positive": (1.0, 0.0), "surprise": (0.0, -1.0), "neutral": (0.0, 0.0)}


def write_store(
    path: Path,
    people: tuple[str, ...] = ("ann", "bob", "cid", "dot"),
    class_names: tuple[str, ...] = CLASSES,
    clips_each: int = 2,
    colour: Colour = "grey",
    geometry: CropGeometry = GEOMETRY,
    dataset: str = "fake",
    seed: int = 0,
    fps: float = 30.0,
    units: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
) -> ClipStore:
    """`clips_each` clips of every person and class, `LEAD_FRAMES` and a window of nine frames long.

    `units`: which action units a class has (none).
    """
    manifest = StoreManifest(class_names, fps, geometry, colour, FRAMES, LEAD_FRAMES, seed)
    rng, number = np.random.default_rng(seed), 0
    with ClipStoreWriter(path, manifest) as writer:
        for person in people:
            background = rng.uniform(60, 120, (geometry.size_px, geometry.size_px))
            for label in class_names:
                for _ in range(clips_each):
                    peak_px = float(rng.uniform(0.8, 2.5)) if label != "neutral" else 0.0
                    number += 1
                    record = ClipRecord(
                        f"clip-{number:03d}",
                        person,
                        label,
                        dataset,
                        units.get(label, ()),
                        peak_px=peak_px,
                        window_start=LEAD_FRAMES,
                        seed=seed,
                    )
                    writer.add(record, _clip(background, _DIRECTIONS[label], peak_px, colour, rng))
    return ClipStore.open(path)


def _clip(
    background: NDArray[np.float64],
    direction: tuple[float, float],
    peak_px: float,
    colour: Colour,
    rng: np.random.Generator,
) -> NDArray[np.uint8]:
    size = len(background)
    y, x = np.mgrid[:size, :size]
    frames = []
    for index in range(FRAMES):
        moved = 3 * peak_px * max(index - LEAD_FRAMES, 0) / (FRAMES - LEAD_FRAMES)
        centre_x, centre_y = size / 2 + direction[0] * moved, size / 2 + direction[1] * moved
        spot = 120 * np.exp(-((x - centre_x) ** 2 + (y - centre_y) ** 2) / 20)
        frames.append(np.clip(background + spot + rng.normal(0, 1, background.shape), 0, 255))
    grey = np.array(frames, dtype=np.uint8)[..., np.newaxis]
    return grey if colour == "grey" else np.repeat(grey, 3, axis=-1)
