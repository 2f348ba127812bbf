"""Draws one face in motion: weights of its fields, head motion, lids and light → a camera frame.

The source picture is kept at `OVERSAMPLING` times the output's resolution. Two parts of a face are no smooth warp: lips
that part along a seam, and lids that cover the eyeball. Both work on a view of a frame and the map (height, width, 2) from
its pixels to those of the source picture, its two planes apart; `seam` and lid edges (n, 2) are in source pixels, from
left to right.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from model.types import Image
from train.synth.faces import PICTURE_IOD_PX, PICTURE_ORIGIN_IOD, FaceSource, mirror_map
from train.synth.fields import (
    NO_SKIN,
    NODES,
    ORIGIN_IOD,
    STEP_IOD,
    FaceFields,
    Field,
    build_fields,
    weighted_sum,
)

# Bilinear sampling at 1 would change the sharpness by 15 % with the sub-pixel phase, and sharpness would tell motion.
OVERSAMPLING = 2.2

Points = NDArray[np.floating]
Map = NDArray[np.float32]
Planes = tuple[NDArray[Any], NDArray[Any]]
Matrix = NDArray[Any]

# What heads turn about.
_PIVOT_IOD = (0.0, 0.6)
FRAME_SIDE_IOD = (NODES - 1) * STEP_IOD


def sampled(source: NDArray[Any], source_map: Map, border: int = cv2.BORDER_REFLECT_101) -> NDArray[Any]:
    """A picture or field at the map's points, bilinear; it is reflected beyond its border where nothing else is said."""
    return cv2.remap(source, source_map, None, cv2.INTER_LINEAR, borderMode=border)  # type: ignore[call-overload]


def sampled_at(source: NDArray[Any], planes: Planes) -> NDArray[Any]:
    """`sampled`, at a map whose x and y (height, width) are apart."""
    return cv2.remap(source, *planes, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)


def part_lips(view: Image, source: Image, upper: Planes, lower: Planes, seam: Points, closed: float) -> None:
    """Puts the lower lip's layer below the line where the lips meet; where neither lip reaches, it is dark.

    `closed` is 1 when the lips touch in the source picture, 0 when teeth show.
    """
    upper_x, upper_y = upper
    lower_x, lower_y = lower
    line_upper = np.interp(upper_x, seam[:, 0], seam[:, 1]).astype(np.float32)
    line_lower = np.interp(lower_x, seam[:, 0], seam[:, 1]).astype(np.float32)
    past_upper, past_lower = upper_y - line_upper, line_lower - lower_y
    use_lower = past_lower < past_upper
    gap = np.minimum(past_upper, past_lower)
    # What lies past the lip's edge is the gap: the edge itself goes on there, darker.
    x = np.where(use_lower, lower_x, upper_x)
    y = np.where(use_lower, np.maximum(lower_y, line_lower), np.minimum(upper_y, line_upper))
    between = (upper_x > seam[0, 0]) & (upper_x < seam[-1, 0])
    dark = np.clip(gap * np.float32(1 / (1.2 * OVERSAMPLING)), 0, 1) * between
    share = 1 - np.float32(0.65 * closed) * dark
    view[:] = np.rint(sampled_at(source, (x, y)) * (share if view.ndim == 2 else share[..., np.newaxis]))


def close_lid(
    view: Image, source: Image, planes: Planes, lids: tuple[Points, Points], closed: float, iod_px: float
) -> None:
    """Draws the upper lid down over the eyeball by `closed` (0..1): the skin under the brow stretches to follow its edge.

    `lids` are the edges of the upper and the lower lid, `iod_px` source pixels between the eyes.
    """
    upper, lower = lids
    x, y = planes
    top = np.interp(x, upper[:, 0], upper[:, 1])
    bottom = np.interp(x, lower[:, 0], lower[:, 1])
    outside = np.maximum(upper[0, 0] - x, x - upper[-1, 0]) / (0.04 * iod_px)
    travel = closed * np.maximum(bottom - top, 0) * np.clip(1 - outside, 0, 1)
    # The edge with its lashes moves as it is; the skin above it, up to `room` over the open edge, is stretched.
    lash, room = 0.03 * iod_px, 0.18 * iod_px
    height, fixed = y - (top - room), room - lash
    from_y = np.where(height < fixed + travel, top - room + height * fixed / (fixed + travel), y - travel)
    below_edge = y - (top + travel + lash / 2)
    covered = (height > 0) & (below_edge < OVERSAMPLING) & (travel > 0)
    drawn = sampled_at(source, (x, np.where(covered, from_y, y).astype(np.float32)))
    share = np.where(covered, np.clip(0.5 - below_edge / OVERSAMPLING, 0, 1), 0)
    share = share if view.ndim == 2 else share[..., np.newaxis]
    view[:] = np.rint(view * (1 - share) + drawn * share)


@dataclass(frozen=True)
class Camera:
    """How the face lies in the frame. `iod_px`: camera pixels between the eyes, 20 to 80. `roll_deg` turns the picture.

    `shift_iod` moves the face off the frame's middle, `blur_px` is the lens (σ in camera pixels), `body_follows` the
    share of the head's motion that the rest of the picture makes too (1: it is the camera that moves). `mirrored`
    exchanges left and right.
    """

    iod_px: float = 60.0
    roll_deg: float = 0.0
    shift_iod: tuple[float, float] = (0.0, 0.0)
    blur_px: float = 0.4
    body_follows: float = 0.0
    mirrored: bool = False

    def __post_init__(self) -> None:
        if not 20 <= self.iod_px <= PICTURE_IOD_PX / OVERSAMPLING:
            raise ValueError(f"camera iod_px: expected 20 to {PICTURE_IOD_PX / OVERSAMPLING:.0f}, found {self.iod_px}")

    @property
    def side_px(self) -> int:
        """The square frame's side."""
        return round(FRAME_SIDE_IOD * self.iod_px)

    def from_canonical(self) -> NDArray[np.float64]:
        """The similarity (2, 3) from the canonical frame to camera pixels; with a reflection when mirrored."""
        angle = np.radians(self.roll_deg)
        linear = self.iod_px * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        if self.mirrored:
            linear = linear @ np.diag([-1.0, 1.0])
        middle = np.array([0.0, ORIGIN_IOD[1] + FRAME_SIDE_IOD / 2]) - self.shift_iod
        return np.column_stack([linear, self.side_px / 2 - linear @ middle])


@dataclass(frozen=True)
class HeadPose:
    """Head motion in the picture plane since the start: shift in IOD, turn about the middle of the face, growth."""

    x_iod: float = 0.0
    y_iod: float = 0.0
    roll_deg: float = 0.0
    growth: float = 0.0

    def inverse(self) -> Matrix:
        """The similarity (2, 3) that takes the canonical frame back to where the head was."""
        angle, scale = np.radians(self.roll_deg), 1 + self.growth
        linear = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) / scale
        pivot = np.array(_PIVOT_IOD)
        return np.column_stack([linear, pivot - linear @ (pivot + np.array([self.x_iod, self.y_iod]))])


@dataclass(frozen=True)
class Pose:
    """What one frame shows. `gains` by field name; `blink` closes the image's left and right eye (0..1).

    `light` multiplies the picture, `light_slope` adds that much from its left to its right edge.
    """

    gains: Mapping[str, float] = field(default_factory=dict)
    head: HeadPose = HeadPose()
    blink: tuple[float, float] = (0.0, 0.0)
    light: float = 1.0
    light_slope: float = 0.0


def head_motions(x_iod: Points, y_iod: Points, roll_deg: Points, growth: Points) -> NDArray[np.float64]:
    """The similarities (n, 2, 3) that take the canonical frame to where heads (n,) are: the inverse of `HeadPose.inverse`."""
    angle, scale = np.radians(roll_deg), 1 + growth
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    pivot_x, pivot_y = _PIVOT_IOD
    across = (cos, -sin, pivot_x + x_iod - cos * pivot_x + sin * pivot_y)
    down = (sin, cos, pivot_y + y_iod - sin * pivot_x - cos * pivot_y)
    return np.stack([np.stack(across, axis=-1), np.stack(down, axis=-1)], axis=1)


class FaceModel:
    """A face ready to be drawn: its picture and its fields, made once."""

    def __init__(self, face: FaceSource) -> None:
        self.face = face
        self.picture = face.canonical_picture()
        self._landmarks = face.canonical_landmarks()
        self.fields: FaceFields = build_fields(self._landmarks, mirror_map())

    def camera_landmarks(self, camera: Camera) -> NDArray[np.float32]:
        """Landmarks (468, 2) of the face at rest, in camera pixels."""
        matrix = camera.from_canonical()
        landmarks = (self._landmarks @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)
        return landmarks[mirror_map()] if camera.mirrored else landmarks


class FaceRenderer:
    """Draws frames of one face for one camera.

    `texture` (NODES, NODES, 2, 2) is a matrix per node that roughens the motion of skin (None: smooth), `shading`
    0..0.25 how much skin that is squeezed darkens. `grey` draws (height, width), else BGR (height, width, 3). `fields`: those
    of the face with more channels than its own.
    """

    def __init__(
        self,
        model: FaceModel,
        camera: Camera,
        texture: NDArray[np.float32] | None = None,
        shading: float = 0.0,
        grey: bool = False,
        fields: FaceFields | None = None,
    ) -> None:
        self._fields = fields = fields or model.fields
        self._camera, self._texture, self._shading = camera, texture, shading
        self._scale = camera.iod_px * OVERSAMPLING
        picture = cv2.cvtColor(model.picture, cv2.COLOR_BGR2GRAY) if grey else model.picture
        side = round(picture.shape[0] * self._scale / PICTURE_IOD_PX)
        self._scale = PICTURE_IOD_PX * side / picture.shape[0]
        self._source = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
        if camera.blur_px > 0:
            self._source = cv2.GaussianBlur(self._source, (0, 0), camera.blur_px * OVERSAMPLING)
        to_canonical = cv2.invertAffineTransform(camera.from_canonical())
        self._nodes = moved_by(to_canonical, pixel_grid(NODES, camera.side_px))
        stays = (1 - camera.body_follows) * (1 - sample(fields.head, grid_position(self._nodes)))
        self._follows = (1 - stays)[..., np.newaxis].astype(np.float32)
        self._static_map = self._to_source(moved_by(to_canonical, pixel_grid(camera.side_px, camera.side_px)))
        self._is_skin = np.array([name not in NO_SKIN for name in fields.channels])
        self._lip_layers = np.array(
            [bool(np.any(upper != lower)) for upper, lower in zip(fields.upper, fields.lower, strict=True)]
        )
        self._mouth = self._region(fields.seam, 0.25, 0.45)
        self._seam = self._to_source(fields.seam)
        self._lids = tuple((self._to_source(upper), self._to_source(lower)) for upper, lower in fields.lids)
        self._eyes = tuple(self._region(np.vstack(lids), 0.15, 0.4) for lids in fields.lids)

    def render(self, pose: Pose) -> Image:
        """The camera frame, uint8 (side, side) or (side, side, 3)."""
        weights = self._fields.weights(pose.gains)
        follow = self._follows * (moved_by(pose.head.inverse(), self._nodes) - self._nodes)
        rest = self._nodes + follow
        moved = self._displacement(weights, self._fields.upper)
        back = follow - self._inverse(moved, rest)
        source_map = self._map(back)
        frame = sampled(self._source, source_map)
        if np.any(weights[self._lip_layers]):
            lower = follow - self._inverse(self._displacement(weights, self._fields.lower), rest)
            at = self._mouth
            part_lips(
                frame[at],
                self._source,
                _planes(source_map[at]),
                _planes(self._map(lower)[at]),
                self._seam,
                self._fields.mouth_closed,
            )
        for at, lids, closed in zip(self._eyes, self._lids, pose.blink, strict=True):
            if closed > 0:
                close_lid(frame[at], self._source, _planes(source_map[at]), lids, closed, self._scale)
        return self._lit(frame, moved, pose)

    def _displacement(self, weights: NDArray[np.float32], layers: Sequence[Field]) -> Field:
        skin = weighted_sum(weights * self._is_skin, layers)
        if self._texture is not None:
            skin = np.einsum("hwij,hwj->hwi", self._texture, skin)
        return skin + weighted_sum(weights * ~self._is_skin, layers)

    def _inverse(self, displacement: Field, at: NDArray[np.float32]) -> Field:
        """How far what shows at canonical points `at` has come: one fixed-point step of d = D(at − d)."""
        if not displacement.any():
            return np.zeros_like(at)
        first = sample(displacement, grid_position(at))
        return sample(displacement, grid_position(at - first))

    def _map(self, back: Field) -> NDArray[np.float32]:
        side = self._camera.side_px
        return self._static_map + cv2.resize(
            back * np.float32(self._scale), (side, side), interpolation=cv2.INTER_LINEAR
        )

    def _to_source(self, canonical: NDArray[np.floating]) -> NDArray[np.float32]:
        # Resizing keeps the outer edge of the first pixel in place, not its centre.
        half_px = (self._scale / PICTURE_IOD_PX - 1) / 2
        return ((canonical - np.array(PICTURE_ORIGIN_IOD, np.float32)) * self._scale + half_px).astype(np.float32)

    def _region(self, points: NDArray[np.float64], across: float, along: float) -> tuple[slice, slice]:
        """Rows and columns of the frame around canonical points, with room (IOD) for the head to move."""
        room = np.array([across, along])
        low, high = points.min(axis=0) - room, points.max(axis=0) + room
        corners = np.array([[low[0], low[1]], [high[0], low[1]], [low[0], high[1]], [high[0], high[1]]])
        pixels = moved_by(self._camera.from_canonical(), corners)
        side = self._camera.side_px
        left, top = np.clip(np.floor(pixels.min(axis=0)), 0, side - 1).astype(int)
        right, bottom = np.clip(np.ceil(pixels.max(axis=0)), 1, side).astype(int)
        return slice(top, bottom), slice(left, right)

    def _lit(self, frame: Image, displacement: Field, pose: Pose) -> Image:
        light = np.full((NODES, NODES), pose.light, np.float32)
        if self._shading and displacement.any():
            # On the field's own grid and not where the head is now: the two differ by a node at most.
            across, along = (np.gradient(displacement[..., axis], STEP_IOD, axis=1 - axis) for axis in (0, 1))
            light += self._shading * sample((across + along).astype(np.float32), grid_position(self._nodes))
        if pose.light_slope:
            light += np.linspace(-pose.light_slope / 2, pose.light_slope / 2, NODES, dtype=np.float32)
        elif not self._shading and pose.light == 1.0:
            return frame
        side = self._camera.side_px
        gain = cv2.resize(light, (side, side), interpolation=cv2.INTER_LINEAR)
        gain = gain if frame.ndim == 2 else cv2.merge([gain, gain, gain])
        return cv2.multiply(frame, gain, dtype=cv2.CV_8U)


def _planes(source_map: Map) -> Planes:
    x, y = cv2.split(source_map)
    return x, y


def pixel_grid(count: int, side_px: int) -> NDArray[np.float64]:
    """Centres (count, count, 2) of count x count equal cells that tile a frame, in its pixels, as `cv2.resize` has them."""
    steps = (np.arange(count) + 0.5) * side_px / count - 0.5
    return np.stack(np.meshgrid(steps, steps), axis=-1)


def moved_by(matrix: Matrix, points: NDArray[np.floating]) -> NDArray[np.float32]:
    """Points (..., 2) by an affine map (2, 3)."""
    flat = np.ascontiguousarray(points, np.float64).reshape(-1, 1, 2)
    return cv2.transform(flat, matrix).reshape(points.shape).astype(np.float32)


def grid_position(canonical: NDArray[np.floating]) -> NDArray[np.float32]:
    """Canonical points in units of the fields' grid."""
    return ((canonical - np.array(ORIGIN_IOD, np.float32)) / np.float32(STEP_IOD)).astype(np.float32)


def sample(values: NDArray[np.float32], position: NDArray[np.float32]) -> NDArray[np.float32]:
    """Values on the fields' grid at grid positions, 0 outside."""
    return cv2.remap(values, position, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)  # type: ignore[call-overload]
