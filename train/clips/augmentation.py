"""Augmentation of training clips: one sampled transform a clip, applied to the network's input, every frame alike.

The features of a transformed clip are (nearly) those that the transformed crops would give, so a transform acts on each
kind of input as it would on the pictures: a difference is warped and amplified; flow is warped, and its vectors turn and
grow along; the strain of a motion neither turns nor depends on the zoom. What a transform does to the clip's record
(sides of action units, frames, motion) is said by `apply_to_record`.
"""

import dataclasses
import math
from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from model.contract import InputKind
from train.clips.store import ClipRecord
from train.fit_config import TrainConfig

_WHITE_LEVEL = 255.0
_OTHER_SIDE = {"L": "R", "R": "L"}


@dataclass(frozen=True)
class Transform:
    """What happens to one clip. The defaults change nothing.

    Attributes:
        flip: mirrored left to right, before everything below.
        angle_deg: turned about the middle of the frame, counter-clockwise as seen.
        zoom: enlarged about the middle (above 1: less of the face is seen).
        shift_x, shift_y: then moved right and down, in shares of the frame's side.
        brightness: grey levels added (pixels only). contrast: factor about the data's mean level (pixels only).
        speed: how many frames of the clip pass in one of the transformed clip. start_frame: where in the clip, in
            frames, it begins; before the first and after the last frame the clip stands still.
        magnification: factor on the motion. Differences and flow are multiplied; pixels get their change since the
            first frame multiplied (linear magnification, Wu et al., SIGGRAPH 2012, without its frequency bands).
    """

    flip: bool = False
    angle_deg: float = 0.0
    zoom: float = 1.0
    shift_x: float = 0.0
    shift_y: float = 0.0
    brightness: float = 0.0
    contrast: float = 1.0
    speed: float = 1.0
    start_frame: float = 0.0
    magnification: float = 1.0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if not math.isfinite(value):
                raise ValueError(f"{field.name}: expected a finite number, found {value}")
        for name in ("zoom", "contrast", "speed", "magnification"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}: expected a number above 0, found {getattr(self, name)}")

    def apply(self, clip: NDArray, kind: InputKind, mean_level: float = 0.0) -> NDArray:
        """The transformed clip (frames, size, size, channels), which may be the given one where nothing changes.

        `clip` is uint8 for pixels, else float16 or float32; the result is uint8 or float32. `mean_level` is what
        contrast leaves as it is (the offset of the network's input).
        """
        values = clip if clip.dtype == np.uint8 else _as_float32(clip)
        if kind == "pixels":
            return self._applied_to_pixels(values, mean_level)
        values = self._moved(self._retimed(values))
        if kind in ("flow", "both"):
            return _mixed(values, self._flow_matrix())
        return values if self.magnification == 1 else values * np.float32(self.magnification)

    def apply_to_record(self, record: ClipRecord, frames: int) -> ClipRecord:
        """The record of the transformed clip; `frames` is how many the clip has. Who is in it stays.

        Sides of action units swap with the flip, the longest motion grows with zoom and magnification, and frames move
        with time, counted from the window's start; those that leave the clip become None.
        """

        def moved(frame: int | None) -> int | None:
            if frame is None:
                return None
            at = record.window_start + round((frame - record.window_start - self.start_frame) / self.speed)
            return at if 0 <= at < frames else None

        return dataclasses.replace(
            record,
            action_units=mirrored_units(record.action_units) if self.flip else record.action_units,
            onset_frame=moved(record.onset_frame),
            apex_frame=moved(record.apex_frame),
            offset_frame=moved(record.offset_frame),
            peak_px=None if record.peak_px is None else record.peak_px * self.zoom * self.magnification,
        )

    def in_words(self) -> str:
        """What differs from the clip as it is, for people."""
        told = ["mirrored"] if self.flip else []
        if self.angle_deg:
            told.append(f"turned {self.angle_deg:+.1f}°")
        if self.zoom != 1:
            told.append(f"zoom ×{self.zoom:.2f}")
        if self.shift_x:
            told.append(f"right {100 * self.shift_x:+.1f} %")
        if self.shift_y:
            told.append(f"down {100 * self.shift_y:+.1f} %")
        if self.brightness:
            told.append(f"{self.brightness:+.0f} grey levels")
        if self.contrast != 1:
            told.append(f"contrast ×{self.contrast:.2f}")
        if self.speed != 1:
            told.append(f"speed ×{self.speed:.2f}")
        if self.start_frame:
            told.append(f"starts at frame {self.start_frame:+.1f}")
        if self.magnification != 1:
            told.append(f"motion ×{self.magnification:.2f}")
        return ", ".join(told) or "unchanged"

    def _linear(self) -> NDArray[np.float64]:
        """What happens to a displacement (dx, dy), pixels to the right and down: mirrored, then turned and enlarged."""
        cos, sin = math.cos(math.radians(self.angle_deg)), math.sin(math.radians(self.angle_deg))
        across = -1.0 if self.flip else 1.0
        return self.zoom * np.array([[cos * across, sin], [-sin * across, cos]])

    def _flow_matrix(self) -> NDArray[np.float32]:
        """What happens to (u, v) and strain or difference. Zoom enlarges a motion and the pixels that strain is counted in
        alike, and leaves grey levels as they are."""
        matrix = np.eye(3, dtype=np.float32)
        matrix[:2, :2] = self._linear()
        return np.float32(self.magnification) * matrix

    def _moved(self, clip: NDArray) -> NDArray:
        """Every frame flipped, turned, enlarged and shifted; beyond its border a frame repeats it, as a crop does."""
        frames, size = len(clip), clip.shape[1]
        if not (self.angle_deg or self.shift_x or self.shift_y) and self.zoom == 1:
            return cv2.flip(_stacked(clip), 1).reshape(clip.shape) if self.flip else clip
        linear, middle = self._linear(), (size - 1) / 2
        offset = middle + size * np.array([self.shift_x, self.shift_y]) - linear @ [middle, middle]
        matrix, out = np.column_stack([linear, offset]), np.empty_like(clip)
        for index in range(frames):
            cv2.warpAffine(
                clip[index], matrix, (size, size), out[index], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
            )
        return out

    def _retimed(self, clip: NDArray) -> NDArray:
        """The clip (float32) at its new times, between two frames by linear interpolation."""
        if self.speed == 1 and not self.start_frame:
            return clip
        out = np.empty_like(clip)
        positions = np.clip(self.start_frame + self.speed * np.arange(len(clip)), 0, len(clip) - 1)
        for index, position in enumerate(positions):
            below, share = int(position), float(position % 1)
            above = min(below + 1, len(clip) - 1)
            cv2.addWeighted(clip[above], share, clip[below], 1 - share, 0, out[index])
        return out

    def _applied_to_pixels(self, clip: NDArray, mean_level: float) -> NDArray[np.uint8]:
        """On bytes as long as they suffice; else rounded once, at the end."""
        changes_levels = self.magnification != 1 or self.contrast != 1 or self.brightness != 0
        if not changes_levels and self.speed == 1 and not self.start_frame:
            return self._moved(clip)
        values = self._moved(self._retimed(clip.astype(np.float32)))
        if changes_levels:
            # contrast · (first + magnification · (values − first) − mean) + mean + brightness, multiplied out.
            still = values[0] * np.float32(self.contrast * (1 - self.magnification))
            still += np.float32(mean_level * (1 - self.contrast) + self.brightness)
            values *= np.float32(self.contrast * self.magnification)
            values += still
        return np.clip(np.rint(values, out=values), 0, _WHITE_LEVEL, out=values).astype(np.uint8)


def mirrored_units(units: Iterable[str]) -> tuple[str, ...]:
    """Codes of action units (`train.datasets.au_codes`) of the face seen in a mirror: left and right swapped, in alternatives too."""
    return tuple("|".join(_OTHER_SIDE.get(one[:1], one[:1]) + one[1:] for one in unit.split("|")) for unit in units)


def draw_transform(config: TrainConfig, frames: int, epoch: int, row: int) -> Transform:
    """The transform of a sample (`row` of the features, `frames` long) in an epoch.

    It follows from the config's seed, epoch and row alone, whatever the batch, the step, or the other rows are; a setting
    that is switched on leaves the draws of the others as they are.
    """
    # + 1: a trailing 0 would make the seed that of the epoch's order.
    draws = np.random.default_rng([config.seed, epoch, row + 1]).random(10)
    coin, angle, zoom, right, down, brightness, contrast, speed, start, motion = (float(draw) for draw in draws)
    played = 1 + config.time_jitter * _signed(speed)
    low, high = config.magnify
    return Transform(
        flip=config.flip and coin < 0.5,
        angle_deg=config.rotate * _signed(angle),
        zoom=1 + config.zoom * _signed(zoom),
        shift_x=config.shift * _signed(right),
        shift_y=config.shift * _signed(down),
        brightness=_WHITE_LEVEL * config.brightness * _signed(brightness),
        contrast=1 + config.contrast * _signed(contrast),
        speed=played,
        # The change of speed alone keeps the middle of the clip where it is.
        start_frame=(1 - played) * (frames - 1) / 2 + config.time_jitter * _signed(start) * frames / 2,
        magnification=low + (high - low) * motion,
    )


def _signed(draw: float) -> float:
    """Of 0 to 1, −1 to 1."""
    return 2 * draw - 1


def _stacked(clip: NDArray) -> NDArray:
    """The frames one under the other as one picture (frames · size, size, channels), without copying."""
    frames, height, width, channels = clip.shape
    return clip.reshape(frames * height, width, channels)


def _as_float32(clip: NDArray) -> NDArray:
    if clip.dtype == np.float32:
        return clip
    # OpenCV converts half floats twenty times as fast as NumPy does; it takes them as 16-bit integers.
    return cv2.convertFp16(_stacked(clip).view(np.int16)).reshape(clip.shape)


def _mixed(clip: NDArray, matrix: NDArray[np.float32]) -> NDArray:
    """Every pixel's channels times the matrix."""
    if np.array_equal(matrix, np.eye(len(matrix))):
        return clip
    return cv2.transform(_stacked(clip), matrix).reshape(clip.shape)
