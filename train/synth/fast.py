"""Aligned crops of a synthetic clip drawn directly, many times as fast as a camera's frames that are then aligned.

The camera has the crop's own geometry. What the alignment takes out (the head's motion in the picture plane) is not drawn,
what it follows and what it leaves, turns out of the plane too, is computed from the motion of the corners it would track, and
everything that is linear in the channels' gains is done for all frames of a clip at once. Expression, lids, gaze, light,
shading, skin texture and the background that a moving head uncovers are those of the exact path
(`train.synth.clip.make_clip`).
What depends on the face and the crop's geometry alone is made ready once.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from model.contract import Colour, CropGeometry
from model.preprocess import Matrix, eye_transform
from model.types import Image
from stream.face.landmarks import FACE_OVAL, LEFT_EYE_RING, RIGHT_EYE_RING, eye_centres
from train.synth.clip import ClipSpec
from train.synth.faces import PICTURE_IOD_PX, PICTURE_ORIGIN_IOD
from train.synth.fields import NO_SKIN, NODES, PITCH, STEP_IOD, YAW, Field
from train.synth.motion_curves import (
    BLINK_LEFT,
    BLINK_RIGHT,
    HEAD_GROWTH,
    HEAD_ROLL,
    HEAD_X,
    HEAD_Y,
    LIGHT,
    LIGHT_SLOPE,
    Motion,
    Oscillation,
    Pulse,
    expression_pulses,
)
from train.synth.render import (
    FRAME_SIDE_IOD,
    OVERSAMPLING,
    Camera,
    FaceModel,
    close_lid,
    grid_position,
    head_motions,
    moved_by,
    part_lips,
    pixel_grid,
    sample,
    sampled,
    sampled_at,
)
from train.synth.sensor import SensorModel

# As the live alignment does: so many corners of the face, a little away from its edge, the eyes left out.
_CORNERS, _CORNER_QUALITY, _CORNERS_APART_PX, _EROSION_PX = 250, 0.001, 4, 5
# As stream.face.align: corners further off than this (crop px) have no say.
_AGREE_PX = 0.5
_ROUNDS = 3
_RIGID_PX = 1.0
_TURN_ROUNDS = 12
_TURNS = (YAW, PITCH)
# Measured on clips that went through the live alignment, for shifts (px) and for growth and turn: noise from frame to
# frame, and slower errors of the tracking, which differ from clip to clip (lognormal).
_NOISE = np.array([0.018, 0.018, 0.0006, 0.0006])
_SLOW = np.array([0.04, 0.04, 0.0013, 0.0013])
_SLOW_SPREAD, _SLOW_S = 0.5, 0.2

SIMILARITY = 4
_HEAD = (HEAD_X, HEAD_Y, HEAD_ROLL, HEAD_GROWTH)
_NO_FIELDS = {*_HEAD, BLINK_LEFT, BLINK_RIGHT, LIGHT, LIGHT_SLOPE}
# Variance of bilinear sampling's kernel, in squared camera pixels.
_BILINEAR_VARIANCE = 1 / 6


@dataclass(frozen=True, eq=False)
class FastFace:
    """A face's fields, and its picture at `OVERSAMPLING` times the crop's resolution, grey or BGR."""

    model: FaceModel
    geometry: CropGeometry
    colour: Colour

    @property
    def scale(self) -> float:
        """Pixels of `picture` between the eyes."""
        return PICTURE_IOD_PX * self.picture.shape[0] / self.model.picture.shape[0]

    @cached_property
    def picture(self) -> Image:
        """The canonical picture at the crop's scale."""
        picture = self.model.picture
        if self.colour == "grey":
            picture = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
        side = round(picture.shape[0] * self.geometry.iod_px * OVERSAMPLING / PICTURE_IOD_PX)
        return cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)

    def to_picture(self, canonical: NDArray[np.floating]) -> NDArray[np.float32]:
        """Canonical points in pixels of `picture`."""
        # Resizing keeps the outer edge of the first pixel in place, not its centre.
        half_px = (self.scale / PICTURE_IOD_PX - 1) / 2
        return ((canonical - np.array(PICTURE_ORIGIN_IOD, np.float32)) * self.scale + half_px).astype(np.float32)

    @cached_property
    def lip_channels(self) -> frozenset[str]:
        """Channels that move the lips apart."""
        fields = self.model.fields
        return frozenset(
            name
            for name, upper, lower in zip(fields.channels, fields.upper, fields.lower, strict=True)
            if np.any(upper != lower)
        )

    @cached_property
    def corners(self) -> NDArray[np.float32]:
        """Canonical points (n, 2) that an alignment would track on the face at rest."""
        iod_px = self.geometry.iod_px
        side, origin = round(3.4 * iod_px), np.array([1.7, 1.1]) * iod_px
        to_crop = np.column_stack([iod_px * np.eye(2), origin])
        landmarks = self.model.camera_landmarks(Camera())
        canonical = cv2.transform(
            landmarks[np.newaxis].astype(np.float64), cv2.invertAffineTransform(Camera().from_canonical())
        )[0]
        points = canonical @ to_crop[:, :2].T + origin
        mask = np.zeros((side, side), np.uint8)
        cv2.fillConvexPoly(mask, cv2.convexHull(np.rint(points[list(FACE_OVAL)]).astype(np.int32)), (255,))
        reach = np.ones((2 * _EROSION_PX + 1, 2 * _EROSION_PX + 1), np.uint8)
        mask = cv2.erode(mask, reach)
        for ring in (LEFT_EYE_RING, RIGHT_EYE_RING):
            eye = np.zeros_like(mask)
            cv2.fillConvexPoly(eye, cv2.convexHull(np.rint(points[list(ring)]).astype(np.int32)), (255,))
            mask[cv2.dilate(eye, reach) > 0] = 0
        grid = np.stack(np.meshgrid(np.arange(side), np.arange(side)), axis=-1)
        view = sampled(self.picture, self.to_picture((grid - origin) / iod_px))
        view = view if view.ndim == 2 else cv2.cvtColor(view, cv2.COLOR_BGR2GRAY)
        found = cv2.goodFeaturesToTrack(view, _CORNERS, _CORNER_QUALITY, _CORNERS_APART_PX, mask=mask, blockSize=5)
        return ((found[:, 0] - origin) / iod_px).astype(np.float32)


def similarity_basis(points: NDArray[np.floating], middle: NDArray[np.floating]) -> NDArray[np.float32]:
    """Displacements (4, ..., 2) of points (..., 2) by shifts across and down, growth, and turn about `middle`."""
    x, y = (points[..., axis] - middle[axis] for axis in (0, 1))
    one, zero = np.ones_like(x), np.zeros_like(x)
    fields = ((one, zero), (zero, one), (x, y), (-y, x))
    return np.stack([np.stack(pair, axis=-1) for pair in fields]).astype(np.float32)


def followed(moved: NDArray[np.float32], points: NDArray[np.float32], middle: NDArray[np.floating]) -> NDArray:
    """The similarity that most corners agree on, as gains (frames, 4) of `similarity_basis`.

    `moved` (frames, n, 2) is how far each of the `points` (n, 2) has moved since the key frame, crop px. As RANSAC does,
    it begins with the largest group that moved alike and leaves out what moves by itself.
    """
    x, y = (points - middle).astype(np.float64).T.copy()
    across, down = (moved[..., axis].astype(np.float64) for axis in (0, 1))
    off_x, off_y = (part - np.median(part, axis=1, keepdims=True) for part in (across, down))
    agree = off_x**2 + off_y**2 < _AGREE_PX**2
    gains = np.zeros((len(moved), SIMILARITY))
    frames = np.arange(len(moved))
    for _ in range(_ROUNDS):
        gains[frames] = found = _fitted(across, down, x, y, agree)
        shift_x, shift_y, growth, turn = found.T[..., np.newaxis]
        left_x, left_y = across - (shift_x + growth * x - turn * y), down - (shift_y + growth * y + turn * x)
        before, agree = agree, left_x**2 + left_y**2 < _AGREE_PX**2
        # Where the same corners agree again, so they would ever after.
        unsettled = (agree != before).any(axis=1)
        frames, across, down, agree = frames[unsettled], across[unsettled], down[unsettled], agree[unsettled]
    return gains


def followed_turning(
    moved: NDArray[np.float32], points: NDArray[np.float32], middle: NDArray[np.floating], turns: NDArray[np.float32]
) -> tuple[NDArray, NDArray]:
    """As `followed`, with yaw and pitch: gains (frames, 4) of `similarity_basis`, and (frames, 2) of the `turns` (2, n, 2), how
    far a degree of each moves the points. As `stream.face.head_shape` does: Tukey's weights leave out what moves by itself."""
    basis = similarity_basis(points, middle)
    gains, turned = followed(moved, points, middle), np.zeros((len(moved), 2))
    for _ in range(_TURN_ROUNDS):
        rest = moved - _summed(gains.astype(np.float32), basis)
        off = np.hypot(*np.moveaxis(rest - _summed(turned.astype(np.float32), turns), -1, 0)) / _RIGID_PX
        weight = np.where(off < 1, (1 - off**2) ** 2, 0.0)
        # Sums over corners, not by BLAS (see `_summed`).
        inner = np.einsum("fn,ina,jna->fij", weight, turns, turns) + 1e-6 * np.eye(2)
        turned = np.linalg.solve(inner, np.einsum("fn,ina,fna->fi", weight, turns, rest)[..., np.newaxis])[..., 0]
        gains = followed(moved - _summed(turned.astype(np.float32), turns), points, middle)
    return gains, turned


def residual(rng: np.random.Generator, times_s: Sequence[float]) -> NDArray[np.float64]:
    """The alignment's errors, as gains (frames, 4) of `similarity_basis`."""
    noise = rng.standard_normal((len(times_s), SIMILARITY)) * _NOISE
    steps = rng.standard_normal((len(times_s), SIMILARITY)) * _SLOW * np.exp(rng.normal(0, _SLOW_SPREAD))
    kept = np.exp(-np.diff(times_s, prepend=0.0) / _SLOW_S)
    steps *= np.sqrt(1 - kept[:, np.newaxis] ** 2)
    slow = np.zeros(SIMILARITY)
    for share, step, error in zip(kept.tolist(), steps, noise, strict=True):
        slow = share * slow + step
        error += slow
    return noise


def _fitted(across: NDArray, down: NDArray, x: NDArray, y: NDArray, agree: NDArray[np.bool_]) -> NDArray:
    """Least squares over the corners (n,) that agree (frames, n), for each frame: gains (frames, 4)."""
    weight = agree.astype(np.float64)
    total = np.maximum(weight.sum(axis=1), 1.0)
    # Sums over corners, not by BLAS (see `_summed`).
    at_x, at_y, squares = (np.einsum("fn,n->f", weight, part) for part in (x, y, x**2 + y**2))
    across, down = weight * across, weight * down
    went_x, went_y = across.sum(axis=1), down.sum(axis=1)
    along, along_y, turned, turned_y = (
        np.einsum("fn,n->f", moved, part) for moved, part in ((across, x), (down, y), (down, x), (across, y))
    )
    # About the centroids, multiplied out: no (frames, n) temporaries.
    spread = np.maximum(squares - (at_x**2 + at_y**2) / total, 1e-9)
    growth = (along + along_y - (went_x * at_x + went_y * at_y) / total) / spread
    turn = (turned - turned_y - (went_y * at_x - went_x * at_y) / total) / spread
    shift_x = (went_x - growth * at_x + turn * at_y) / total
    shift_y = (went_y - growth * at_y - turn * at_x) / total
    return np.stack([shift_x, shift_y, growth, turn], axis=1)


def _swing(motion: Oscillation, times_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """`motion.at` of all times."""
    angles = 2 * np.pi * motion.frequency_hz * times_s
    return motion.amplitude * (np.sin(angles + motion.phase) - np.sin(motion.phase))


def _pulse(motion: Pulse, times_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """`motion.at` of all times: most lie before its onset or after its offset, where it stands still."""
    envelope = motion.envelope
    values = np.where(times_s < envelope.offset_s, 0.0, motion.gain * envelope.residual)
    for index in np.flatnonzero((times_s > envelope.onset_s) & (times_s < envelope.offset_s)):
        values[index] = motion.at(float(times_s[index]))
    return values


@dataclass(frozen=True, eq=False)
class Course:
    """What `pose_at` says of many frames: gains (frames, names), head (4, frames) by `HeadPose`'s parts, closure of the
    lids (frames, 2), light and its slope (frames,). Of the fields only those that move are named."""

    names: tuple[str, ...]
    gains: NDArray[np.float32]
    head: NDArray[np.float64]
    blink: NDArray[np.float64]
    light: NDArray[np.float32]
    light_slope: NDArray[np.float32]


def course(motions: Iterable[Motion], times_s: Sequence[float]) -> Course:
    """The course of a clip at these times: a channel at a time, which is several times as fast as a pose at a time."""
    values: dict[str, NDArray[np.float64]] = {}
    times = np.array(times_s)
    for motion in motions:
        at = _swing(motion, times) if isinstance(motion, Oscillation) else _pulse(motion, times)
        values[motion.channel] = values[motion.channel] + at if motion.channel in values else at
    still = np.zeros(len(times_s))
    names = tuple(sorted(name for name in values.keys() - _NO_FIELDS if values[name].any()))
    return Course(
        names=names,
        gains=np.array([values[name] for name in names], np.float32).reshape(len(names), len(times_s)).T.copy(),
        head=np.array([values.get(name, still) for name in _HEAD]),
        blink=np.stack([np.clip(values.get(name, still), 0.0, 1.0) for name in (BLINK_LEFT, BLINK_RIGHT)], axis=1),
        light=(1.0 + values.get(LIGHT, still)).astype(np.float32),
        light_slope=values.get(LIGHT_SLOPE, still).astype(np.float32),
    )


def fast_crops(face: FastFace, spec: ClipSpec, frames: Sequence[int]) -> NDArray[np.uint8]:
    """Crops uint8 (n, size, size) grey or (n, size, size, 3) RGB of these frames of a clip, whose numbers grow.

    The same face, spec and frames give the same crops, bit for bit.
    """
    return _FastClip(face, spec).crops(frames)


class _FastClip:
    """One clip's motion on a lattice about two crop pixels apart, in crop pixels, and its picture with the camera's blur."""

    def __init__(self, face: FastFace, spec: ClipSpec) -> None:
        self._face, self._spec, self._fields = face, spec, face.model.fields
        self._size = face.geometry.size_px
        self._to_crop = _canonical_to_crop(face, spec)
        self._linear = np.ascontiguousarray(self._to_crop[:, :2])
        to_canonical = cv2.invertAffineTransform(self._to_crop)
        self._to_source = np.ascontiguousarray(face.scale * to_canonical[:, :2])
        count = round(self._size / (STEP_IOD * face.geometry.iod_px))
        self._cell_px = self._size / count
        self._points = pixel_grid(count, self._size)
        self._canonical = moved_by(to_canonical, self._points)
        self._position = grid_position(self._canonical)
        self._static = cv2.split(face.to_picture(moved_by(to_canonical, pixel_grid(self._size, self._size))))
        self._picture = self._blurred()
        self._motions: tuple[Motion, ...] = spec.confounders.motions
        if spec.expression:
            self._fields, gains = spec.expression.performed(self._fields, face.geometry.iod_px)
            self._motions += expression_pulses(gains, spec.expression.envelope)

    def crops(self, frames: Sequence[int]) -> NDArray[np.uint8]:
        times_s = [self._spec.time_s(frame) for frame in frames]
        # Frame 0, drawn or not, is the one that the alignment ties the others to.
        course_of = course(self._motions, (0.0, *times_s))
        names, weights = course_of.names, np.ascontiguousarray(course_of.gains[1:])
        upper = self._on_lattice(names, self._fields.upper)
        carried = self._carried(names, weights - course_of.gains[0], course_of.head[:, 1:], times_s)
        back = self._back(weights, upper, carried)
        lower, parted = None, np.zeros(len(frames), bool)
        lips = [column for column, name in enumerate(names) if name in self._face.lip_channels]
        if lips:
            parted = weights[:, lips].any(axis=1)
            layer = upper.copy()
            layer[lips] = self._on_lattice([names[column] for column in lips], self._fields.lower)
            lower = self._back(weights[parted], layer, carried[parted])
        light = self._light(course_of.light[1:], course_of.light_slope[1:], weights, upper)
        photograph = self._sensor().photograph
        grey = self._face.colour == "grey"
        out = np.empty((len(frames), self._size, self._size, *(() if grey else (3,))), np.uint8)
        lower_rows = np.cumsum(parted) - 1
        for index, number in enumerate(frames):
            lower_back = lower[lower_rows[index]] if lower is not None and parted[index] else None
            frame = self._drawn(back[index], lower_back, course_of.blink[index + 1])
            gain = self._upsampled(light[index])
            frame = cv2.multiply(frame, gain if grey else cv2.merge([gain, gain, gain]), dtype=cv2.CV_8U)
            frame = photograph(frame, number)
            out[index] = frame if grey else cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
        return out

    def _drawn(self, back: Field, lower_back: Field | None, blink: NDArray[np.float64]) -> Image:
        """A frame from where its lattice comes from, `back` (2, count, count), and that of the lower lip's layer."""
        x, y = (cv2.add(still, self._upsampled(part)) for still, part in zip(self._static, back, strict=True))
        frame = sampled_at(self._picture, (x, y))
        if lower_back is not None:
            at, seam = self._mouth
            lower_x, lower_y = (
                still[at] + self._upsampled(part)[at] for still, part in zip(self._static, lower_back, strict=True)
            )
            part_lips(frame[at], self._picture, (x[at], y[at]), (lower_x, lower_y), seam, self._fields.mouth_closed)
        for (at, lids), closed in zip(self._eyes, blink, strict=True):
            if closed > 0:
                close_lid(frame[at], self._picture, (x[at], y[at]), lids, float(closed), self._face.scale)
        return frame

    def _upsampled(self, lattice: NDArray[np.float32]) -> NDArray[Any]:
        """Values (count, count) of the lattice at the crop's pixels."""
        return cv2.resize(lattice, (self._size, self._size), interpolation=cv2.INTER_LINEAR)

    @cached_property
    def _mouth(self) -> tuple[tuple[slice, slice], NDArray[np.float32]]:
        """Where the crop shows the mouth, and the line between the lips in the picture."""
        return self._region(self._fields.seam, 0.15, 0.4), self._face.to_picture(self._fields.seam)

    @cached_property
    def _eyes(self) -> list[tuple[tuple[slice, slice], tuple[NDArray[np.float32], NDArray[np.float32]]]]:
        """Where the crop shows the eyes, and the edges of their lids in the picture."""
        return [
            (
                self._region(np.vstack([upper, lower]), 0.1, 0.3),
                (self._face.to_picture(upper), self._face.to_picture(lower)),
            )
            for upper, lower in self._fields.lids
        ]

    def _blurred(self) -> Image:
        """The picture as sharp as a crop from this camera: its lens, and its pixels on the way to the crop."""
        camera, iod_px = self._spec.camera, self._face.geometry.iod_px
        sigma = np.sqrt(camera.blur_px**2 + _BILINEAR_VARIANCE) * iod_px / camera.iod_px * OVERSAMPLING
        return cv2.GaussianBlur(self._face.picture, (0, 0), float(sigma))

    def _sensor(self) -> SensorModel:
        """The camera's sensor as it shows in the crop, which is sampled between the camera's pixels."""
        sensor, camera_px = self._spec.confounders.sensor, self._spec.camera.iod_px / self._face.geometry.iod_px
        alike = np.exp(-1 / (4 * sensor.grain_px**2)) if sensor.grain_px else 0.0
        # Bilinear sampling leaves, on average over where between four pixels it falls, this share of their noise.
        left = 1 - (1 - float(alike)) / 3
        shape = (self._size, self._size) if self._face.colour == "grey" else (self._size, self._size, 3)
        seen = replace(sensor, noise=left * sensor.noise, grain_px=sensor.grain_px / camera_px)
        return SensorModel(seen, shape, self._spec.noise_seed, self._face.geometry.iod_px)

    def _on_lattice(self, names: Sequence[str], layers: Sequence[Field]) -> NDArray[np.float32]:
        """Fields (channels, count, count, 2) in crop pixels, with the skin's texture."""
        texture = sample(self._spec.texture.reshape(NODES, NODES, 4), self._position)
        out = np.empty((len(names), *self._position.shape), np.float32)
        for row, name in enumerate(names):
            field = sample(layers[self._fields.index[name]], self._position)
            if name not in NO_SKIN:
                field = texture[..., ::2] * field[..., :1] + texture[..., 1::2] * field[..., 1:]
            cv2.transform(field, self._linear, dst=out[row])
        return out

    def _carried(
        self, names: Sequence[str], change: NDArray[np.float32], head: NDArray[np.float64], times_s: Sequence[float]
    ) -> Field:
        """Where each frame's lattice lies on the still face (frames, count, count, 2), crop px off the lattice's points:
        what the alignment follows of the gains' `change` since the key frame, and the background that a moving head
        leaves behind."""
        corners = moved_by(self._to_crop, self._face.corners)
        at = grid_position(self._face.corners)[:, np.newaxis]
        fields = [cv2.transform(sample(self._fields.upper[self._fields.index[n]], at), self._linear) for n in names]
        moved = _summed(change, np.array(fields, np.float32).reshape(len(names), len(corners), 2))
        middle = np.full(2, self._size / 2)
        turns = [cv2.transform(sample(self._fields.upper[self._fields.index[n]], at), self._linear) for n in _TURNS]
        gains, turned = followed_turning(moved, corners, middle, np.array(turns, np.float32).reshape(2, -1, 2))
        gains += residual(np.random.default_rng([self._spec.noise_seed, 1]), times_s)
        carried = _summed(gains.astype(np.float32), similarity_basis(self._points, middle))
        carried += _summed(turned.astype(np.float32), self._on_lattice(_TURNS, self._fields.upper))
        stays = (1 - self._spec.camera.body_follows) * (1 - sample(self._fields.head, self._position))
        if not stays.any():
            return carried
        # The head's affine motion, 6 numbers, times what of the background does not go with it.
        x, y, nothing = self._canonical[..., 0] * stays, self._canonical[..., 1] * stays, np.zeros_like(stays)
        across = [cv2.transform(np.dstack([part, nothing]), self._linear) for part in (x, y, stays)]
        down = [cv2.transform(np.dstack([nothing, part]), self._linear) for part in (x, y, stays)]
        heads = (head_motions(*head) - np.eye(2, 3)).astype(np.float32)
        carried += _summed(heads.reshape(-1, 6), np.array([*across, *down], np.float32))
        return carried

    def _back(self, weights: NDArray[np.float32], fields: Field, carried: Field) -> Field:
        """From the lattice's points to the source picture (frames, 2, count, count), source px off the static map.

        One fixed-point step of d = D(at − d), as in the exact path.
        """
        moved = _summed(weights, fields)
        frames, count = moved.shape[:2]
        cells = np.stack(np.meshgrid(np.arange(count), np.arange(count)), axis=-1).astype(np.float32)
        in_source: Field = np.empty((frames, 2, count, count), np.float32)
        # A frame at a time, which stays in the processor's cache.
        for index in range(frames):
            came, went = carried[index], moved[index]
            if len(fields):
                at = cv2.scaleAdd(cv2.subtract(came, went), 1 / self._cell_px, cells)
                went = cv2.remap(went, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]
            cv2.split(cv2.transform(cv2.subtract(came, went), self._to_source), list(in_source[index]))
        return in_source

    def _light(
        self,
        light: NDArray[np.float32],
        slopes: NDArray[np.float32],
        weights: NDArray[np.float32],
        fields: Field,
    ) -> NDArray[np.float32]:
        """Gain of the light on the lattice (frames, count, count): shading, drift and slope."""
        # The slope spans the camera's frame, which shows more than the crop.
        across = (self._points[..., 0] - self._size / 2) / (FRAME_SIDE_IOD * self._face.geometry.iod_px)
        gain = light[:, np.newaxis, np.newaxis] + slopes[:, np.newaxis, np.newaxis] * across.astype(np.float32)
        if self._spec.shading and len(fields):
            widened = np.zeros(fields.shape[:3], np.float32)
            widened[:, :, 1:-1] = fields[:, :, 2:, 0] - fields[:, :, :-2, 0]
            widened[:, 1:-1] += fields[:, 2:, :, 1] - fields[:, :-2, :, 1]
            gain += _summed(weights, widened * np.float32(self._spec.shading / (2 * self._cell_px)))
        return gain

    def _region(self, points: NDArray[np.float64], across: float, along: float) -> tuple[slice, slice]:
        """Rows and columns of the crop around canonical points, with room (IOD) for the face to move."""
        room = np.array([across, along]) * self._face.geometry.iod_px
        pixels = moved_by(self._to_crop, points)
        left, top = np.clip(np.floor(pixels.min(axis=0) - room), 0, self._size - 1).astype(int)
        right, bottom = np.clip(np.ceil(pixels.max(axis=0) + room), 1, self._size).astype(int)
        return slice(top, bottom), slice(left, right)


def _canonical_to_crop(face: FastFace, spec: ClipSpec) -> Matrix:
    """The similarity (2, 3) from the canonical frame to the crop, from eyes that were found a little off."""
    camera_px = spec.camera.iod_px / face.geometry.iod_px
    left, right = (
        eye + np.array(off) * camera_px
        for eye, off in zip(eye_centres(face.model.camera_landmarks(spec.camera)), spec.eye_jitter_px, strict=True)
    )
    aligned = eye_transform(left, right, face.geometry)
    return aligned @ np.vstack([spec.camera.from_canonical(), [0.0, 0.0, 1.0]])


def _summed(gains: NDArray[np.float32], fields: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sums (frames, ...) of fields (channels, ...) by gains (frames, channels)."""
    # Not by BLAS, which would round differently from one number of threads to another.
    return np.einsum("fk,k...->f...", gains, fields)
