"""Static displacement fields of one face: how far every point of it moves for each action unit and side.

Canonical frame: origin between the eye centres, x along the eye line, y down, the inter-ocular distance (IOD) is 1.
A unit's field is the Gaussian-weighted average of its landmarks' displacements, faded out where none of them is near,
kept inside the face, off the eyeballs where the unit moves skin only, and split at the face's midline into two sides.
Around a closed mouth there are two layers, so that one lip does not pull the other along.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.face.landmarks import FACE_OVAL
from train.synth.action_units import (
    ACTION_UNITS,
    LOWER_LID,
    LOWER_LIP,
    LOWER_LIP_EDGE,
    UPPER_LID,
    UPPER_LIP,
    UPPER_LIP_EDGE,
    ActionUnit,
)
from train.synth.faces import mean_depth

Points = NDArray[np.float64]
Field = NDArray[np.float32]

# 2 px of a crop with 44 px between the eyes, as fine as the smallest landmark reach asks for.
STEP_IOD = 2.0 / 44.0
NODES = 85
ORIGIN_IOD = (-(NODES - 1) / 2 * STEP_IOD, -1.42)

GAZE_X, GAZE_Y, YAW, PITCH = "gaze_x", "gaze_y", "yaw", "pitch"
COMPANY = "company"
"""What moves with one expression beside its units (train.synth.company); no face has it of itself."""
NO_SKIN = frozenset({GAZE_X, GAZE_Y, YAW, PITCH, COMPANY})
"""Channels that the skin's texture does not roughen."""

# The norm of the weights that stands for the largest one, without its creases.
_NORM = 16

_MIDLINE = (10, 151, 9, 8, 168, 6, 197, 195, 5, 4, 1, 2, 164, 0, 13, 14, 17, 18, 200, 199, 175, 152)


def channel(number: int, side: str) -> str:
    """The name of a unit's field on one side: "12L"."""
    return f"{number}{side}"


def grid_points() -> Points:
    """Canonical positions (NODES, NODES, 2) of the grid's nodes."""
    steps = np.arange(NODES) * STEP_IOD
    return np.stack(np.meshgrid(steps + ORIGIN_IOD[0], steps + ORIGIN_IOD[1]), axis=-1)


@dataclass(frozen=True, eq=False)
class FaceFields:
    """Fields of one face on the grid of `grid_points`, displacements in IOD at full intensity.

    `upper` and `lower` hold a field (NODES, NODES, 2) of each channel: what moves above and below the line where the lips
    meet; they are the same away from the mouth. `head` is 1 on the head and 0 far from it, `skin` (NODES, NODES, 1) 1 on
    the face. `lids` holds for the image's left and
    right eye the upper and the lower lid's edge (n, 2 rows of x, y), `seam` the line between the lips, both
    canonical and from left to right. `mouth_closed` is 1 when the lips touch in the photo, 0 when teeth show.
    """

    channels: tuple[str, ...]
    upper: tuple[Field, ...]
    lower: tuple[Field, ...]
    head: NDArray[np.float32]
    skin: NDArray[np.float32]
    lids: tuple[tuple[Points, Points], tuple[Points, Points]]
    seam: Points
    mouth_closed: float

    @cached_property
    def index(self) -> Mapping[str, int]:
        return {name: position for position, name in enumerate(self.channels)}

    def weights(self, gains: Mapping[str, float]) -> NDArray[np.float32]:
        """Gains by channel name as a vector (channels,); raises KeyError for a name that has no field."""
        vector = np.zeros(len(self.channels), np.float32)
        for name, gain in gains.items():
            vector[self.index[name]] += gain
        return vector

    def displacement(self, weights: NDArray[np.float32]) -> Field:
        """The sum of the fields, (NODES, NODES, 2) IOD, of the upper layer."""
        return weighted_sum(weights, self.upper)

    def with_channel(self, name: str, field: Field) -> "FaceFields":
        """These and one field more, the same for both layers."""
        return replace(self, channels=(*self.channels, name), upper=(*self.upper, field), lower=(*self.lower, field))

    def peak_iod(self, gains: Mapping[str, float]) -> float:
        """The longest displacement of any point of the face, IOD."""
        weights = self.weights(gains)
        layers = (weighted_sum(weights, layer) for layer in (self.upper, self.lower))
        return float(max(np.hypot(layer[..., 0], layer[..., 1]).max() for layer in layers))


def weighted_sum(weights: NDArray[np.float32], layers: Sequence[Field]) -> Field:
    """The sum of fields (NODES, NODES, 2) by weight (channels,)."""
    # Few weights are not 0, and BLAS would round differently from one machine and number of threads to another.
    total = np.zeros(layers[0].shape, np.float32)
    for position in np.flatnonzero(weights):
        total += weights[position] * layers[position]
    return total


def build_fields(landmarks: Points, mirror: NDArray[np.intp]) -> FaceFields:
    """Fields for a face's canonical landmarks (468, 2); `mirror` (468,) gives each landmark's partner on the other half."""
    grid = grid_points()
    mask = _face_mask(landmarks, grid)
    rings = [landmarks[_ring(None)], landmarks[_ring(mirror)]]
    eyes = np.maximum(*(_inside(ring, grid, 0.02) for ring in rings))
    lids = np.maximum(*(_inside(ring, grid, 0.06, grow=0.05) for ring in rings))
    spared = {"nothing": mask, "eyeball": mask * (1 - eyes), "lids": mask * (1 - lids)}
    subject_left = _subject_left(landmarks, grid)
    gap = float(np.mean(landmarks[[14, 87, 317], 1] - landmarks[[13, 82, 312], 1]))
    closed = float(np.clip((0.09 - gap) / 0.05, 0.0, 1.0))
    seam = _seam(landmarks, mirror)
    layering = (closed * _lip_layering(seam, grid))[..., np.newaxis]

    names: list[str] = []
    uppers: list[Field] = []
    lowers: list[Field] = []
    for unit in ACTION_UNITS.values():
        skin = spared[unit.spares][..., np.newaxis]
        whole = _weighted(unit, landmarks, mirror, grid, frozenset())
        upper = (1 - layering) * whole + layering * _weighted(unit, landmarks, mirror, grid, frozenset(LOWER_LIP))
        lower = (1 - layering) * whole + layering * _weighted(unit, landmarks, mirror, grid, frozenset(UPPER_LIP))
        for side, share in (("L", subject_left), ("R", 1 - subject_left)):
            names.append(channel(unit.number, side))
            uppers.append((upper * skin * share[..., np.newaxis]).astype(np.float32))
            lowers.append((lower * skin * share[..., np.newaxis]).astype(np.float32))
    for name, field in _eye_and_pose_fields(landmarks, mirror, mean_depth(), eyes, mask, grid).items():
        names.append(name)
        uppers.append(field.astype(np.float32))
        lowers.append(field.astype(np.float32))
    return FaceFields(
        channels=tuple(names),
        upper=tuple(uppers),
        lower=tuple(lowers),
        head=_head_mask(landmarks, grid).astype(np.float32),
        skin=mask[..., np.newaxis].astype(np.float32),
        lids=_lids(landmarks, mirror),
        seam=seam,
        mouth_closed=closed,
    )


def _weighted(
    unit: ActionUnit, landmarks: Points, mirror: NDArray[np.intp], grid: Points, left_out: frozenset[int]
) -> Points:
    """Gaussian-weighted average of the unit's displacements on both sides, without the landmarks of the other lip."""
    moved: dict[int, tuple[float, float]] = {}
    for move in unit.moves:
        for landmark in move.landmarks:
            if landmark in left_out:
                continue
            partner = int(mirror[landmark])
            outward = 0.0 if partner == landmark else move.out
            moved[landmark] = (-outward / 100, move.down / 100)
            moved[partner] = (outward / 100, move.down / 100)
    if not moved:
        return np.zeros_like(grid)
    positions = landmarks[list(moved)]
    # A Gaussian of the distance is a product of one of x and one of y, so sums over landmarks are matrix products.
    across = np.exp(-((grid[0, :, :1] - positions[:, 0]) ** 2) / (2 * unit.sigma_iod**2))
    down = np.exp(-((grid[:, 0, 1:] - positions[:, 1]) ** 2) / (2 * unit.sigma_iod**2))
    summed = np.stack([(down * part) @ across.T for part in np.array(list(moved.values())).T], axis=-1)
    average = summed / ((down @ across.T)[..., np.newaxis] + 1e-9)
    nearest = (down**_NORM @ (across**_NORM).T) ** (1 / _NORM)
    return average * _smoothstep(nearest / 0.75)[..., np.newaxis]


def _eye_and_pose_fields(
    landmarks: Points, mirror: NDArray[np.intp], depths: Points, eyes: Points, mask: Points, grid: Points
) -> dict[str, NDArray[np.floating]]:
    """Turns of the eyeballs (1 = a tenth of the IOD) and small turns of the head (1 = one degree)."""
    gaze = np.zeros(grid.shape[:2])
    for ring in (_ring(None), _ring(mirror)):
        centre = landmarks[ring].mean(axis=0)
        gaze += np.exp(-((grid - centre) ** 2).sum(axis=-1) / (2 * 0.13**2))
    gaze = 0.1 * gaze * eyes
    # A turn by an angle moves a point by its depth times the angle. What all of the face moves alike is head motion.
    depth = _depth(landmarks, depths, grid)
    turn = np.radians(1.0) * (depth - np.average(depth, weights=mask)) * mask
    zero = np.zeros_like(turn)
    return {
        GAZE_X: np.stack([gaze, zero], -1),
        GAZE_Y: np.stack([zero, gaze], -1),
        YAW: np.stack([turn, zero], -1),
        PITCH: np.stack([zero, turn], -1),
    }


def _depth(landmarks: Points, depths: Points, grid: Points) -> Points:
    """Depth (NODES, NODES) of a face towards the camera, IOD: between landmarks a Gaussian-weighted average of theirs."""
    sigma_iod = 0.07
    across = np.exp(-((grid[0, :, :1] - landmarks[:, 0]) ** 2) / (2 * sigma_iod**2))
    down = np.exp(-((grid[:, 0, 1:] - landmarks[:, 1]) ** 2) / (2 * sigma_iod**2))
    # Far from every landmark it is the depth of the head's outline.
    far = 1e-4
    outline = depths[list(FACE_OVAL)].mean()
    return ((down * depths) @ across.T + far * outline) / (down @ across.T + far)


def _ring(mirror: NDArray[np.intp] | None) -> list[int]:
    """Landmarks around the image's left eye, or with `mirror` around the right one, in drawing order."""
    ring = [*UPPER_LID, *LOWER_LID[-2:0:-1]]
    return ring if mirror is None else [int(mirror[i]) for i in ring]


def _lids(landmarks: Points, mirror: NDArray[np.intp]) -> tuple[tuple[Points, Points], tuple[Points, Points]]:
    def edge(ids: tuple[int, ...], right: bool) -> Points:
        points = landmarks[[int(mirror[i]) if right else i for i in ids]]
        return points[np.argsort(points[:, 0])]

    left, right = ((edge(UPPER_LID, side), edge(LOWER_LID, side)) for side in (False, True))
    return left, right


def _seam(landmarks: Points, mirror: NDArray[np.intp]) -> Points:
    """The line midway between the lips' edges, corner to corner."""
    half = (landmarks[list(UPPER_LIP_EDGE)] + landmarks[list(LOWER_LIP_EDGE)]) / 2
    other = (landmarks[mirror[list(UPPER_LIP_EDGE)]] + landmarks[mirror[list(LOWER_LIP_EDGE)]]) / 2
    points = np.vstack([half, other[-2::-1]])
    return points[np.argsort(points[:, 0])]


def _lip_layering(seam: Points, grid: Points) -> Points:
    """1 along the line between the lips, 0 at the corners of the mouth and away from it."""
    left, right = seam[0, 0], seam[-1, 0]
    along = np.clip(np.minimum(grid[..., 0] - left, right - grid[..., 0]) / (0.35 * (right - left)), 0, 1)
    off = np.abs(grid[..., 1] - np.interp(grid[..., 0], seam[:, 0], seam[:, 1]))
    return _smoothstep(along) * _smoothstep((0.34 - off) / 0.2)


def _subject_left(landmarks: Points, grid: Points) -> Points:
    """1 on the subject's left (the image's right half), 0 on the other, soft over a tenth of the IOD at the midline."""
    line = landmarks[list(_MIDLINE)]
    line = line[np.argsort(line[:, 1])]
    middle = np.interp(grid[..., 1], line[:, 1], line[:, 0])
    return _smoothstep((grid[..., 0] - middle) / 0.2 + 0.5)


def _face_mask(landmarks: Points, grid: Points) -> Points:
    return _inside(landmarks[list(FACE_OVAL)], grid, 0.12, grow=0.06)


def _head_mask(landmarks: Points, grid: Points) -> Points:
    """1 on the head with its hair, falling to 0 at the grid's border, where there is background."""
    last = grid[-1, -1]
    border = np.minimum(grid - grid[0, 0], last - grid).min(axis=-1)
    return _inside(landmarks[list(FACE_OVAL)], grid, 0.55, grow=0.6) * _smoothstep(border / 0.4)


def _inside(polygon: Points, grid: Points, softness: float, grow: float = 0.0) -> Points:
    """1 inside a polygon grown by `grow`, 0 outside, soft over ± `softness` (all IOD)."""
    # Eight times finer than the grid: the eye is only four nodes high.
    fine, size = 8, NODES * 8
    pixels = (polygon - ORIGIN_IOD) / STEP_IOD * fine
    filled = np.zeros((size, size), np.uint8)
    cv2.fillPoly(filled, [np.rint(pixels).astype(np.int32)], (1,))
    distance = cv2.distanceTransform(filled, cv2.DIST_L2, 5) - cv2.distanceTransform(1 - filled, cv2.DIST_L2, 5)
    return _smoothstep((distance[::fine, ::fine] * STEP_IOD / fine + grow) / (2 * softness) + 0.5)


def _smoothstep(value: NDArray[np.floating]) -> NDArray[np.floating]:
    """0 up to 0, 1 from 1, with no corners between."""
    clipped = np.clip(value, 0.0, 1.0)
    return clipped * clipped * (3 - 2 * clipped)
