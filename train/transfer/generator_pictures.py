"""The generator's expressions as flow pictures: what moves from onset to apex, without drawing a single frame."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from train.synth.clip import ClipSettings, draw_clip
from train.synth.faces import FaceSource, mirror_map
from train.synth.fields import NODES, build_fields
from train.synth.render import grid_position, sample
from train.transfer.flow_pictures import CLASSES, SIDE_PX, picture_of

# How far the faces of a dataset lie from its mean place in the picture: shares of the side, and of the size.
_SHIFT, _GROWTH = 0.02, 0.05
# A pixel of a picture is wider than the grid's step: so many samples across it.
_SAMPLES = 3


def generator_pictures(
    faces: Sequence[FaceSource], eyes: NDArray[np.float64], count: int, seed: int, settings: ClipSettings
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Pictures uint8 (count, 28, 28, 3) of drawn expressions, the classes and faces in turn, and labels (count,).

    Args:
        eyes: (n, 2) places of the eyes, as in `FlowPictures`; each picture takes one of them, a little off.
        settings: Of the clips whose expressions these are.

    The same arguments give the same pictures.
    """
    fields = [build_fields(face.canonical_landmarks(), mirror_map()) for face in faces]
    pictures = np.empty((count, SIDE_PX, SIDE_PX, 3), np.uint8)
    labels = np.arange(count) % len(CLASSES)
    for index, label in enumerate(labels):
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(index,)))
        distance, height = eyes[rng.integers(len(eyes))]
        size = distance * np.exp(rng.normal(0, _GROWTH))
        left, top = rng.normal(0, _SHIFT, 2)
        spec = draw_clip(rng, CLASSES[label], settings)
        assert spec.expression is not None
        ours = fields[index // len(CLASSES) % len(faces)]
        gains = spec.expression.gains(ours, settings.geometry.iod_px)
        skin = spec.texture.reshape(NODES, NODES, 2, 2)
        field = np.einsum("hwij,hwj->hwi", skin, ours.displacement(ours.weights(gains)))
        if spec.expression.company:
            field += spec.expression.company.field(ours, gains)
        pictures[index] = picture_of(_in_picture(field.astype(np.float32), size, 0.5 + left, height + top))
    return pictures, labels


def _in_picture(field: NDArray[np.float32], eyes_apart: float, middle: float, height: float) -> NDArray[np.float32]:
    """A field of the canonical grid on a picture's pixels (28, 28, 2), whose side is 1: distance of the eyes, and the point
    between them."""
    fine = (np.arange(SIDE_PX * _SAMPLES) + 0.5) / (SIDE_PX * _SAMPLES)
    x, y = np.meshgrid((fine - middle) / eyes_apart, (fine - height) / eyes_apart)
    found = sample(field, grid_position(np.stack([x, y], axis=-1)))
    return cv2.resize(found, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA).astype(np.float32)
