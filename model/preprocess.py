"""The one place that turns a picture and a face's position into what the network sees. Training and live share it.

picture + transform → `crop_face` → aligned crop → `Preprocessor.step` (difference or flow against a causal neutral
reference) → `TimeResampler.step` (frames on the contract's time grid) → network. Every step looks at one frame at a
time, so a frame gives the same network input whatever window it is part of.
"""

import math
from collections import deque
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from model.contract import ClipContract, Colour, CropGeometry, NetworkInput
from model.types import Image

Crop = Image
Features = NDArray[Any]
Matrix = NDArray[Any]

_MARGIN_PX = 16
# Timestamps of files are rounded to a millisecond or so.
_SNAP_S = 0.002

DIFFERENCE_GAIN = 0.06
"""Of the grey difference beside flow in crop pixels (`both`): brings the three channels into the same range."""


def eye_transform(left_eye: Matrix, right_eye: Matrix, geometry: CropGeometry) -> Matrix:
    """The similarity (2, 3) from image to crop pixels that puts the eye centres (2,) where the geometry wants them.

    Raises ValueError when the eyes coincide.
    """
    across = right_eye - left_eye
    iod_px = float(np.hypot(*across))
    if iod_px < 1e-6:
        raise ValueError("eye centres: expected two different points, found the same point twice")
    scale = geometry.iod_px / iod_px
    cos, sin = across / iod_px * scale
    linear = np.array([[cos, sin], [-sin, cos]])
    target = np.array([geometry.size_px / 2, geometry.eye_line_px])
    return np.column_stack([linear, target - linear @ ((left_eye + right_eye) / 2)])


def crop_face(
    image: Image,
    transform: Matrix,
    geometry: CropGeometry,
    colour: Colour,
    shift_px: NDArray[np.float32] | None = None,
) -> Crop:
    """The aligned crop, uint8 (size, size) grey or (size, size, 3) RGB, of a BGR picture (height, width, 3)
    (for a grey crop also of a grey one, (height, width)).

    `transform` (2, 3) maps image to crop pixels. Pixels outside the picture repeat its border. Large faces are halved
    first, so that a crop averages over the pixels it stands for instead of picking some of them.

    `shift_px` (size, size, 2) float32: each pixel of the crop is taken from so far beside its place, in crop pixels; so a head
    that has turned is seen as before (`stream.face.head_shape`).
    """
    scale = scale_of(transform)
    picture, matrix = _region(image, transform, geometry.size_px)
    if colour == "grey" and picture.ndim == 3:
        picture = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    while scale < 0.5:
        picture = cv2.pyrDown(picture)
        matrix = matrix * (2.0, 2.0, 1.0)
        scale *= 2
    size = (geometry.size_px, geometry.size_px)
    if shift_px is None:
        crop = cv2.warpAffine(picture, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    else:
        places = cv2.transform(_pixels(geometry.size_px) + shift_px, cv2.invertAffineTransform(matrix))
        crop = cv2.remap(picture, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]
    return crop if colour == "grey" else cv2.cvtColor(crop, cv2.COLOR_BGR2RGB)


@lru_cache(maxsize=8)
def _pixels(size_px: int) -> NDArray[np.float32]:
    """(size, size, 2) The x and y of each pixel of a crop. Not to be written to."""
    steps = np.arange(size_px, dtype=np.float32)
    return np.stack(np.meshgrid(steps, steps), axis=-1)


def scale_of(transform: Matrix) -> float:
    """How many crop pixels a pixel of the picture becomes, by a transform (2, 3)."""
    # Here and below by hand: of a few numbers NumPy costs more than the picture's pixels do.
    (a, b, _), (c, d, _) = transform.tolist()
    return math.sqrt(abs(a * d - b * c))


def _region(image: Image, transform: Matrix, size_px: int) -> tuple[Image, Matrix]:
    """The part of the picture under the crop (with a margin for the smoothing) and the transform from there."""
    height, width = image.shape[:2]
    back = cv2.invertAffineTransform(transform).tolist()
    left, right = _span(back[0], size_px, width)
    top, bottom = _span(back[1], size_px, height)
    matrix = transform.astype(np.float64)
    matrix[:, 2] = [a * left + b * top + shift for a, b, shift in transform.tolist()]
    return image[top:bottom, left:right], matrix


def _span(row: Sequence[float], size_px: int, limit_px: int) -> tuple[int, int]:
    """From where to where the crop's corners reach along one side of the picture: a row of the transform from the crop."""
    a, b, shift = row
    low = shift + size_px * (min(a, 0.0) + min(b, 0.0)) - _MARGIN_PX
    high = shift + size_px * (max(a, 0.0) + max(b, 0.0)) + _MARGIN_PX
    # Even offsets keep the halving grid in place while the face moves.
    start = min(max(math.floor(low / 16) * 16, 0), max(limit_px - 2, 0))
    return start, min(max(math.ceil(high), start + 2), limit_px)


class NeutralReference:
    """The causal neutral crop, float32, of the contract's `reference`: updated by every frame after it was used.

    `ema`: weight max(1/n, 1 − exp(−dt/τ)): the plain mean of the first frames, then an exponential average.
    `lag`: the newest crop that is at least `lag_s` old, or the oldest there is.
    """

    def __init__(self, contract: ClipContract) -> None:
        self._recipe = contract.reference
        self.reset()

    def reset(self) -> None:
        self._count = 0
        self._last_s = 0.0
        self._mean: NDArray[Any] | None = None
        self._past: deque[tuple[float, NDArray[Any]]] = deque()

    def current(self, crop: Crop, time_s: float) -> NDArray[Any]:
        """The reference for a frame; the frame itself when it is the first."""
        if self._recipe.kind == "lag":
            assert self._recipe.lag_s is not None
            while len(self._past) > 1 and self._past[1][0] <= time_s - self._recipe.lag_s + _SNAP_S:
                self._past.popleft()
            return self._past[0][1] if self._past else crop.astype(np.float32)
        return crop.astype(np.float32) if self._mean is None else self._mean

    def update(self, crop: Crop, time_s: float, frames: int = 1) -> None:
        """Takes a crop in, as the last of `frames` alike where some were left out."""
        value = crop.astype(np.float32)
        if self._recipe.kind == "lag":
            self._past.append((time_s, value))
            return
        assert self._recipe.time_constant_s is not None
        self._count += frames
        elapsed_s = max(time_s - self._last_s, 0.0)
        self._last_s = time_s
        if self._mean is None:
            self._mean = value
            return
        weight = max(frames / self._count, 1.0 - float(np.exp(-elapsed_s / self._recipe.time_constant_s)))
        self._mean = cv2.addWeighted(value, weight, self._mean, 1.0 - weight, 0.0)


def _dis_flow(recipe: NetworkInput) -> cv2.DISOpticalFlow:
    """DIS optical flow. The fast preset's own settings (finest scale 2, smoothness 20) see a quarter of a 1 px motion
    of a brow or a mouth corner; scale 1 and smoothness 10 see three quarters of it."""
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    flow.setFinestScale(recipe.flow_finest_scale)
    flow.setVariationalRefinementAlpha(recipe.flow_smoothness)
    return flow


def _median(flow: NDArray[Any]) -> NDArray[Any]:
    """The median (2,) of a flow (height, width, 2): what `np.median` gives, without its detours."""
    values = np.ascontiguousarray(flow.reshape(-1, 2).T)
    below, above = (values.shape[1] - 1) // 2, values.shape[1] // 2
    middle = np.partition(values, (below, above), axis=1)
    return (middle[:, below] + middle[:, above]) / np.float32(2)


class Preprocessor:
    """Aligned crops → network frames before scaling, one at a time; `reset()` forgets the person.

    `step(crop, time_s)` takes uint8 (size, size) grey or (size, size, 3) RGB by the contract's colour and returns
    (input size, input size, channels): uint8 for `pixels`, float32 grey levels for `difference`, float32 for `flow`
    (u and v in crop pixels with the median taken out, strain times its gain) and for `both` (the same u and v, the
    difference in grey times `DIFFERENCE_GAIN`).
    """

    def __init__(self, contract: ClipContract) -> None:
        self._contract = contract
        self._reference = NeutralReference(contract)
        self._flow = _dis_flow(contract.input) if contract.input.has_flow else None

    def reset(self) -> None:
        self._reference.reset()

    def step(self, crop: Crop, time_s: float) -> Features:
        self._check(crop)
        kind = self._contract.input.kind
        if kind == "pixels":
            return self._channels(self._resized(crop))
        reference = self._reference.current(crop, time_s)
        if kind == "difference":
            features = self._channels(self._resized(crop.astype(np.float32) - reference))
        else:
            features = self._flow_features(crop, reference)
        self._reference.update(crop, time_s)
        return features

    def settle(self, crop: Crop, time_s: float, frames: int = 1) -> None:
        """Takes a crop into the neutral reference without asking for its features, as the last of `frames` alike.

        For frames before a window: what they show matters to the reference only, and every third of them will do.
        """
        self._check(crop)
        if self._contract.reference.kind != "none":
            self._reference.update(crop, time_s, frames)

    def _check(self, crop: Crop) -> None:
        size = self._contract.crop.size_px
        expected = (size, size) if self._contract.input.colour == "grey" else (size, size, 3)
        if crop.dtype != np.uint8 or crop.shape != expected:
            raise ValueError(f"crop: expected uint8 {expected}, found {crop.dtype} {crop.shape}")

    def _resized(self, values: NDArray) -> NDArray:
        size = self._contract.input.size_px
        return values if values.shape[0] == size else cv2.resize(values, (size, size), interpolation=cv2.INTER_AREA)

    @staticmethod
    def _channels(values: NDArray) -> NDArray:
        return values[:, :, np.newaxis] if values.ndim == 2 else values

    def _flow_features(self, crop: Crop, reference: NDArray[Any]) -> NDArray[Any]:
        assert self._flow is not None
        recipe = self._contract.input
        if crop.ndim == 3:
            crop, reference = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), cv2.cvtColor(reference, cv2.COLOR_RGB2GRAY)
        neutral = cv2.convertScaleAbs(reference)
        flow = self._flow.calc(neutral, crop, None)  # type: ignore[call-overload]
        if recipe.flow_smoothing_px > 0:
            flow = cv2.GaussianBlur(flow, (0, 0), recipe.flow_smoothing_px)
        # By whole rows: subtracting two numbers from every pixel takes ten times as long.
        rows = flow.reshape(len(flow), -1)
        rows -= np.tile(_median(flow[::4, ::4]), flow.shape[1])
        flow = self._resized(flow)
        features = np.empty((*flow.shape[:2], 3), np.float32)
        features[..., :2] = flow
        if recipe.kind == "both":
            np.multiply(self._resized(crop.astype(np.float32) - reference), DIFFERENCE_GAIN, out=features[..., 2])
        else:
            np.multiply(flow_strain(flow, self._contract.crop.size_px), recipe.strain_gain, out=features[..., 2])
        return features


def flow_strain(flow: NDArray[Any], crop_px: int) -> NDArray[Any]:
    """Magnitude of the infinitesimal strain tensor, √(u_x² + v_y² + ½(u_y + v_x)²): float32 (size, size).

    `flow` is float32 (size, size, 2), u and v in crop pixels, of a crop with a side of `crop_px`. It may be higher than
    wide: several frames one under the other.
    """
    step_px = crop_px / flow.shape[1]
    # Sobel's 3x3 kernel sums to 8 times the central difference's half step.
    per_px = 1.0 / (8.0 * step_px)
    dx = cv2.Sobel(flow, cv2.CV_32F, 1, 0, ksize=3, scale=per_px)
    dy = cv2.Sobel(flow, cv2.CV_32F, 0, 1, ksize=3, scale=per_px)
    shear = dy[:, :, 0] + dx[:, :, 1]
    return np.sqrt(dx[:, :, 0] ** 2 + dy[:, :, 1] ** 2 + 0.5 * shear**2)


class TimeResampler:
    """Brings network frames with timestamps onto a grid of 1/fps seconds by linear interpolation; causal.

    `step(features, time_s)` returns the grid frames, oldest first, that have become known: none when the source is
    faster than the grid, several when it is slower. Timestamps within 2 ms of the grid are taken as they are.
    Times must grow; the caller resets on gaps.
    """

    def __init__(self, fps: float) -> None:
        self._step_s = 1.0 / fps
        self.reset()

    def reset(self) -> None:
        self._previous: tuple[float, Features] | None = None
        self._start_s = 0.0
        self._emitted = 0

    def step(self, features: Features, time_s: float) -> list[Features]:
        if self._previous is None:
            self._previous, self._start_s, self._emitted = (time_s, features), time_s, 1
            return [features]
        last_s, last = self._previous
        if time_s <= last_s:
            raise ValueError(f"timestamps: expected more than {last_s:.4f} s, found {time_s:.4f} s")
        out: list[Features] = []
        while (grid_s := self._start_s + self._emitted * self._step_s) <= time_s + _SNAP_S:
            out.append(
                features
                if grid_s >= time_s - _SNAP_S
                else self._between(last, features, (grid_s - last_s) / (time_s - last_s))
            )
            self._emitted += 1
        self._previous = (time_s, features)
        return out

    @staticmethod
    def _between(before: Features, after: Features, share: float) -> Features:
        share = min(max(share, 0.0), 1.0)
        return cv2.addWeighted(after, share, before, 1.0 - share, 0.0).reshape(after.shape)


def preprocess_clip(crops: Image, contract: ClipContract, fps: float) -> Features:
    """A clip's aligned crops (T, size, size[, 3]) at `fps` → its last window, as live would see it.

    Returns (contract.frames, input size, input size, channels); frames before the window only settle the reference.
    Raises ValueError when the clip is too short for a window.
    """
    preprocessor, resampler = Preprocessor(contract), TimeResampler(contract.fps)
    frames: deque[Features] = deque(maxlen=contract.frames)
    for index, crop in enumerate(crops):
        time_s = index / fps
        frames.extend(resampler.step(preprocessor.step(crop, time_s), time_s))
    if len(frames) < contract.frames:
        raise ValueError(
            f"clip: expected {contract.frames} frames at {contract.fps:g} fps, found {len(frames)} ({len(crops)} at {fps:g} fps)"
        )
    return np.stack(frames)


def interpolate_clip(crops: Image, frames: int) -> Image:
    """Temporal interpolation of a clip (T, …) to `frames` frames from its first to its last (onset to offset)."""
    positions = np.linspace(0, len(crops) - 1, frames)
    below = np.floor(positions).astype(int)
    above = np.minimum(below + 1, len(crops) - 1)
    share = (positions - below).reshape((-1,) + (1,) * (crops.ndim - 1)).astype(np.float32)
    return np.rint(crops[below] * (1 - share) + crops[above] * share).astype(np.uint8)
