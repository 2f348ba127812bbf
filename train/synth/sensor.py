"""What a webcam makes of the light that reaches it: focus, motion blur, tone, noise and compression of a clip's pictures.

And light and sensor noise of whole camera pictures, fast enough for video.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from model.types import Image

# Blurs are given for a face with so many pixels between the eyes (the crop's) and grow with the face.
BLUR_IOD_PX = 44.0
_MIN_SMEAR_PX = 0.4
_MAX_SMEAR_PX = 15.0
# Values of white noise kept for all clips (8 MB), and pictures whose places on a sheet of it are drawn at once.
_POOL, _OFFSETS = 1 << 21, 64


@dataclass(frozen=True)
class Tone:
    """A change of white balance and tone curve: all there from picture `start` + `ramp`, nothing of it before `start`.

    `gains` multiply blue, green and red (a grey picture is multiplied by what its mix of the three makes of them),
    `gamma` bends the curve between black and white (above 1: darker middle).
    """

    start: int
    ramp: int
    gains: tuple[float, float, float] = (1.0, 1.0, 1.0)
    gamma: float = 1.0

    def __post_init__(self) -> None:
        if self.ramp < 1 or min(*self.gains, self.gamma) <= 0:
            raise ValueError(f"tone: expected a ramp of 1 picture or more and gains and gamma above 0, found {self}")


@dataclass(frozen=True)
class FocusHunt:
    """Autofocus at work: the blur rises to `blur_px` (σ at 44 px between the eyes) and falls, over `pictures` from `start`."""

    start: int
    pictures: int
    blur_px: float


@dataclass(frozen=True)
class Sensor:
    """`noise` is σ in grey levels, `jpeg_quality` 1..100 or None for no compression.

    `grain_px` correlates the noise of neighbours (σ in pixels; its strength stays). `keyframe_every` above 1 compresses
    as video does: pictures between keyframes are the one before plus a compressed difference; `keyframe_phase` moves
    the keyframes. `defocus_px` blurs all pictures (σ at 44 px between the eyes), `smears` each by the head's motion
    while the shutter is open (x, y in IOD; none beyond the last one).
    """

    noise: float
    jpeg_quality: int | None
    grain_px: float = 0.0
    keyframe_every: int = 1
    keyframe_phase: int = 0
    defocus_px: float = 0.0
    focus_hunt: FocusHunt | None = None
    smears: tuple[tuple[float, float], ...] = ()
    tones: tuple[Tone, ...] = ()

    def __post_init__(self) -> None:
        if self.jpeg_quality is not None and not 1 <= self.jpeg_quality <= 100:
            raise ValueError(f"sensor: expected a JPEG quality of 1 to 100 or None, found {self.jpeg_quality}")
        if min(self.noise, self.grain_px, self.defocus_px) < 0 or self.keyframe_every < 1:
            raise ValueError(
                f"sensor: expected noise and blur of 0 or more, keyframes every 1 or more pictures, found {self}"
            )


class SensorModel:
    """Photographs the pictures of one clip, grey (height, width) or BGR (height, width, 3), all of one `shape`.

    `seed` gives the noise, `iod_px` the distance between the eyes in these pictures. With video compression a picture
    depends on the one photographed before it; one out of turn is a keyframe.
    """

    def __init__(self, sensor: Sensor, shape: tuple[int, ...], seed: int, iod_px: float = BLUR_IOD_PX) -> None:
        self._sensor, self._shape, self._seed, self._iod_px = sensor, shape, seed, iod_px
        if sensor.noise:
            # A sheet four times as large as a frame, read at another place each time: no two frames get the same noise,
            # at a tenth of the cost of drawing it anew.
            sheet = _white((2 * shape[0], 2 * shape[1], *shape[2:]), seed)
            if sensor.grain_px > 0:
                sheet = cv2.GaussianBlur(sheet, (0, 0), sensor.grain_px)
                sheet /= sheet.std()
            self._more, self._less = _in_bytes(sheet * np.float32(sensor.noise))
        self._offsets: tuple[int, NDArray[np.int64]] | None = None
        self._previous: tuple[int, Image] | None = None
        self._tone_shares: tuple[float, ...] = ()
        self._table: NDArray[np.uint8] | None = None

    def photograph(self, image: Image, index: int) -> Image:
        """Picture `index` of the clip as it arrives, same shape."""
        return self._compressed(self._noisy(self._toned(self._blurred(image, index), index), index), index)

    def _blurred(self, image: Image, index: int) -> Image:
        sensor = self._sensor
        sigma = sensor.defocus_px
        hunt = sensor.focus_hunt
        if hunt is not None and hunt.start < index < hunt.start + hunt.pictures:
            sigma = math.hypot(sigma, hunt.blur_px * math.sin(math.pi * (index - hunt.start) / hunt.pictures) ** 2)
        sigma *= self._iod_px / BLUR_IOD_PX
        if sigma > 0.2:
            image = cv2.GaussianBlur(image, (0, 0), sigma)
        if index < len(sensor.smears):
            x, y = (self._iod_px * part for part in sensor.smears[index])
            if math.hypot(x, y) > _MIN_SMEAR_PX:
                image = cv2.filter2D(image, -1, _line_kernel(x, y))
        return image

    def _toned(self, image: Image, index: int) -> Image:
        shares = tuple(min(max((index - tone.start) / tone.ramp, 0.0), 1.0) for tone in self._sensor.tones)
        if not any(shares):
            return image
        if self._table is None or shares != self._tone_shares:
            self._table, self._tone_shares = _tone_table(self._sensor.tones, shares, image.ndim == 3), shares
        return cv2.LUT(image, self._table)

    def _noisy(self, image: Image, index: int) -> Image:
        if self._sensor.noise == 0:
            return image
        height, width = self._shape[:2]
        top, left = self._offset(index)
        view = (slice(top, top + height), slice(left, left + width))
        return cv2.subtract(cv2.add(image, self._more[view]), self._less[view])

    def _offset(self, index: int) -> tuple[int, int]:
        """Where the sheet of noise is read for a picture: drawn for many at once, a generator each would cost more."""
        block, row = divmod(index, _OFFSETS)
        if self._offsets is None or self._offsets[0] != block:
            rng = np.random.default_rng((self._seed, block))
            self._offsets = block, rng.integers(0, self._shape[:2], (_OFFSETS, 2))
        top, left = self._offsets[1][row]
        return int(top), int(left)

    def _compressed(self, image: Image, index: int) -> Image:
        sensor, previous = self._sensor, self._previous
        quality = sensor.jpeg_quality
        if quality is None:
            return image
        if sensor.keyframe_every == 1:
            return _jpeg(image, quality)
        if previous is None or previous[0] != index - 1 or (index + sensor.keyframe_phase) % sensor.keyframe_every == 0:
            decoded = _jpeg(image, quality)
        else:
            change = _jpeg(cv2.addWeighted(image, 1, previous[1], -1, 128), quality)
            decoded = cv2.addWeighted(change, 1, previous[1], 1, -128)
        self._previous = (index, decoded)
        return decoded


@lru_cache(maxsize=1)
def _pool() -> NDArray[np.float32]:
    pool = np.random.default_rng(0x5EED).standard_normal(_POOL, dtype=np.float32)
    pool.flags.writeable = False
    return pool


def _white(shape: tuple[int, ...], seed: int) -> NDArray[np.float32]:
    """White noise of σ 1: a piece of one long row of it that all clips share, each from another place on."""
    count = math.prod(shape)
    rng = np.random.default_rng(seed)
    if count > _POOL // 2:
        return rng.standard_normal(shape, dtype=np.float32)
    start = int(rng.integers(0, _POOL - count))
    return _pool()[start : start + count].reshape(shape)


def _in_bytes(noise: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """What noise in grey levels adds and what it takes away, in whole levels: pictures of 8 bits cannot tell it from finer
    noise, and OpenCV adds bytes to bytes an order of magnitude faster than floats."""
    whole = np.rint(noise)
    return np.clip(whole, 0, 255).astype(np.uint8), np.clip(-whole, 0, 255).astype(np.uint8)


def _jpeg(image: Image, quality: int) -> Image:
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.imdecode(data, cv2.IMREAD_GRAYSCALE if image.ndim == 2 else cv2.IMREAD_COLOR)


def _line_kernel(x_px: float, y_px: float) -> NDArray[np.float32]:
    """The average along a line of that length and direction, its middle in the kernel's."""
    length = min(math.hypot(x_px, y_px), _MAX_SMEAR_PX)
    half = math.ceil(length / 2)
    kernel = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
    unit = np.array([x_px, y_px]) / math.hypot(x_px, y_px)
    for step in np.linspace(-length / 2, length / 2, 4 * half + 1):
        column, row = half + step * unit
        left, top = min(int(column), 2 * half - 1), min(int(row), 2 * half - 1)
        right, bottom = column - left, row - top
        kernel[top : top + 2, left : left + 2] += np.outer((1 - bottom, bottom), (1 - right, right)).astype(np.float32)
    return kernel / kernel.sum()


def _tone_table(tones: tuple[Tone, ...], shares: tuple[float, ...], colour: bool) -> NDArray[np.uint8]:
    """What 256 levels become: (1, 256), or (1, 256, 3) for a colour picture."""
    levels = np.repeat(np.linspace(0, 1, 256)[:, np.newaxis], 3 if colour else 1, axis=1)
    for tone, share in zip(tones, shares, strict=True):
        gains = np.array(tone.gains) if colour else np.array([np.dot(tone.gains, (0.114, 0.587, 0.299))])
        levels = np.clip(levels * gains**share, 0, 1) ** (tone.gamma**share)
    return np.rint(255 * levels).astype(np.uint8).reshape((1, 256, 3) if colour else (1, 256))


class Light:
    """Light on pictures BGR uint8 of one size: a factor, and a slope from the left to the right edge."""

    def __init__(self, width_px: int, height_px: int) -> None:
        self._ones = np.ones((height_px, width_px, 3), np.float32)
        slope = np.linspace(-0.5, 0.5, width_px, dtype=np.float32)[np.newaxis, :, np.newaxis]
        self._slope = np.ascontiguousarray(np.broadcast_to(slope, self._ones.shape))
        self._gain = np.empty_like(self._ones)

    def shine(self, picture: Image, light: float, slope: float) -> Image:
        """The picture times `light`, plus `slope` times it from half as much less on the left to half more on the right."""
        if slope:
            cv2.addWeighted(self._ones, light, self._slope, slope, 0, dst=self._gain)
            return cv2.multiply(picture, self._gain, dtype=cv2.CV_8U)
        return picture if light == 1.0 else cv2.convertScaleAbs(picture, alpha=light)


class IntegerNoise:
    """Gaussian sensor noise in whole grey levels, which pictures of 8 bits cannot tell from finer noise.

    Read from a sheet of four times a picture's size, at another place for every picture.
    """

    def __init__(self, sigma: float, shape: tuple[int, int, int], seed: int) -> None:
        height, width, channels = shape
        rng = np.random.default_rng([0x5E, seed])
        sheet = rng.standard_normal((2 * height, 2 * width, channels), dtype=np.float32)
        self._more, self._less = _in_bytes(sheet * np.float32(sigma))
        self._shape, self._seed = shape, seed

    def photograph(self, picture: Image, index: int) -> Image:
        """Picture `index` of a video as it arrives."""
        height, width, _ = self._shape
        top, left = np.random.default_rng((self._seed, index)).integers(0, (height, width))
        view = (slice(top, top + height), slice(left, left + width))
        return cv2.subtract(cv2.add(picture, self._more[view]), self._less[view])
