"""The light on a face: flicker is found and taken out, and where it is too dark or flickers too much is said.

Mains light and screens flicker; sampled by a camera that is a common, periodic change of a face's brightness of 3 Hz and more.
It looks like a change of light to the event detector, and like motion to the optical flow. Only where such a flicker is
found, crops are brought to the light of the last second; all others stay as they are.
"""

from collections import deque
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from model.types import Image

_SIDE_PX, _EDGE_PX, _CELLS = 32, 4, 3
"""Of the small picture that light is measured on; its edge, which may not be the face; and of the cells in it, per side."""
_MIN_HZ, _STEP_HZ = 2.5, 0.5
_NOISE_OF_ROOT = 1.046
"""From the squared mean root of the change between two frames to the standard deviation of either's white noise."""

LightFault = Literal["flicker", "too_dark"]


@dataclass(frozen=True)
class LightSettings:
    """A flicker is a change of light of `min_levels` grey levels or more (half of peak to peak) that for `span_s` has one
    frequency of `min_hz` to `max_hz` (`min_purity`: share of all faster changes) and is the same all over the face
    (`min_unity`). Talking, nodding and acting people reach .3 levels at such purity and unity.

    `settle_s`: over how long the usual light is averaged. `max_left_levels`: more flicker than that, left when the light
    has been steadied, is a fault. `max_noise`: more noise, as a share of the face's contrast, is too little light, and
    so is less contrast than `min_contrast_levels`: videos of people stay under .14 and above 13; from .25 on
    micro-expressions are missed. A fault ends at `end_share` of these.
    """

    min_hz: float = 3.0
    max_hz: float = 30.0
    min_levels: float = 0.6
    min_purity: float = 0.7
    min_unity: float = 0.8
    span_s: float = 2.0
    look_every_s: float = 0.25
    settle_s: float = 1.0
    max_left_levels: float = 1.5
    max_noise: float = 0.25
    min_contrast_levels: float = 3.0
    end_share: float = 0.8


class LightKeeper:
    """Of one face. `step` for every crop, then `fault`."""

    def __init__(self, settings: LightSettings | None = None) -> None:
        self._settings = settings or LightSettings()
        self.steadies = False
        self._before = _Brightness(self._settings)
        self.reset()

    def reset(self) -> None:
        """The same face is aligned anew; how its light was stays known."""
        self._usual: NDArray[Any] | None = None
        self._count = 0
        self._last: Image | None = None
        self._last_s = 0.0
        self._looked_s = -np.inf
        self._noise, self._contrast = 0.0, np.inf
        self._after = _Brightness(self._settings)
        self.fault: LightFault | None = None

    def step(self, crop: Image, time_s: float) -> Image:
        """The next crop, uint8 (size, size) grey or (size, size, 3) RGB, in steady light: itself while nothing flickers."""
        small = _small(crop)
        steady = crop
        if self._usual is None:
            self._usual = small
        elif self.steadies:
            steady = in_light_of(self._usual, crop)
            self._after.append(_small(steady), time_s)
        self._watch_noise(steady, time_s)
        self._before.append(small, time_s)
        self._count += 1
        weight = max(1.0 / self._count, self._weight(time_s))
        self._usual = np.asarray(cv2.addWeighted(small, weight, self._usual, 1.0 - weight, 0.0), np.float32)
        self._last_s = time_s
        if time_s - self._looked_s >= self._settings.look_every_s:
            self._looked_s = time_s
            self._judge()
        return steady

    def _judge(self) -> None:
        # Once steadied, the light of a face stays so: to stop would be a change of light.
        if not self.steadies and self._before.flicker_levels() >= self._settings.min_levels:
            self.steadies = True
        left_levels = self._after.flicker_levels() if self.steadies else 0.0
        dark = max(self._noise / self._settings.max_noise, self._settings.min_contrast_levels / self._contrast)
        faults: tuple[tuple[LightFault, float], ...] = (
            ("flicker", left_levels / self._settings.max_left_levels), ("too_dark", dark),
        )  # fmt: skip
        last = self.fault
        self.fault = next((f for f, size in faults if size > (self._settings.end_share if f == last else 1.0)), None)

    def _weight(self, time_s: float) -> float:
        return 1.0 - float(np.exp(-max(time_s - self._last_s, 0.0) / self._settings.settle_s))

    def _watch_noise(self, crop: Image, time_s: float) -> None:
        """How much pixels change from frame to frame, as a share of how much they differ in the usual picture."""
        inside = slice(crop.shape[0] // 4, crop.shape[0] - crop.shape[0] // 4)
        middle = _grey(crop[inside, inside])
        if self._last is not None:
            change = cv2.subtract(middle, self._last, dtype=cv2.CV_32F)
            # The roots of changes, not their squares: of a face that moves a few pixels change much, of noise all a little.
            root = cv2.mean(cv2.sqrt(np.abs(change - cv2.mean(change)[0])))[0]
            assert self._usual is not None
            quarter = slice(_SIDE_PX // 4, _SIDE_PX - _SIDE_PX // 4)
            self._contrast = max(float(cv2.meanStdDev(self._usual[quarter, quarter])[1][0, 0]), 1.0)
            self._noise += self._weight(time_s) * (_NOISE_OF_ROOT * root**2 / self._contrast - self._noise)
        self._last = middle


class _Brightness:
    """Of the cells of a face, over some seconds."""

    def __init__(self, settings: LightSettings) -> None:
        self._settings = settings
        self._times_s: deque[float] = deque()
        self._cells: deque[NDArray[Any]] = deque()

    def append(self, small: NDArray[Any], time_s: float) -> None:
        """The next small picture (side, side)."""
        inside = small[_EDGE_PX : _SIDE_PX - _EDGE_PX, _EDGE_PX : _SIDE_PX - _EDGE_PX]
        self._times_s.append(time_s)
        cells = cv2.resize(inside, (_CELLS, _CELLS), interpolation=cv2.INTER_AREA)
        self._cells.append(np.asarray(cells, np.float32).ravel())
        while len(self._times_s) > 2 and self._times_s[1] <= time_s - self._settings.span_s:
            self._times_s.popleft()
            self._cells.popleft()

    def flicker_levels(self) -> float:
        """The amplitude of the flicker in grey levels; 0 where there is none, or too little was seen."""
        times_s = np.array(self._times_s) - self._times_s[0] if self._times_s else np.zeros(0)
        if len(times_s) < 8 or times_s[-1] < 0.95 * self._settings.span_s:
            return 0.0
        cells = np.array(self._cells, np.float64)
        slow = np.vander(times_s / times_s[-1], 3)
        cells -= slow @ np.linalg.lstsq(slow, cells, rcond=None)[0]
        fastest_hz = min(self._settings.max_hz, 0.5 * (len(times_s) - 1) / times_s[-1])
        if fastest_hz < _MIN_HZ:
            # Most of the time the face was out of sight.
            return 0.0
        hz = np.arange(_MIN_HZ, fastest_hz + 1e-3, _STEP_HZ)
        window = np.hanning(len(times_s) + 2)[1:-1]
        waves = np.exp(-2j * np.pi * np.outer(hz, times_s)) @ (cells * window[:, np.newaxis]) * (2 / window.sum())
        power = np.square(np.abs(waves)).sum(axis=1)
        best = int(power.argmax())
        sizes = np.abs(waves[best])
        purity = power[max(best - 1, 0) : best + 2].sum() / max(power.sum(), 1e-9)
        unity = abs(waves[best].sum()) / max(sizes.sum(), 1e-9)
        periodic = purity >= self._settings.min_purity and unity >= self._settings.min_unity
        return float(np.median(sizes)) if periodic and hz[best] >= self._settings.min_hz else 0.0


def _planes() -> NDArray[Any]:
    """(4, side, side): even, from left to right, from top to bottom, and how a rolling shutter bends the latter."""
    along = np.linspace(-1.0, 1.0, _SIDE_PX, dtype=np.float32)
    across, down = np.meshgrid(along, along)
    return np.stack([np.ones_like(down), across, down, down**2]).astype(np.float32)


_PLANES = _planes()


def in_light_of(usual: Image, picture: Image) -> Image:
    """The picture, uint8 (side, side) grey or RGB, in the light of another of the same place, grey of any size.

    Gain and offset are smooth over the picture; what moves keeps its difference.
    """
    gain, offset = _light_change(_small(usual), _small(picture))
    size = (picture.shape[1], picture.shape[0])
    gain, offset = (cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR) for plane in (gain, offset))
    if picture.ndim == 3:
        gain, offset = gain[:, :, np.newaxis], offset[:, :, np.newaxis]
    return np.clip(np.rint((picture - offset) / gain), 0, 255).astype(np.uint8)


def _grey(picture: Image) -> Image:
    return picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)


def _small(picture: Image) -> NDArray[Any]:
    return cv2.resize(_grey(picture), (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_AREA).astype(np.float32)


def _light_change(usual: NDArray[Any], small: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Gain and offset (side, side), smooth over the face, with small = gain * usual + offset but for what moves."""
    inside = slice(_EDGE_PX, _SIDE_PX - _EDGE_PX)
    usable = (small > 5) & (small < 245)
    usable[:_EDGE_PX] = usable[inside.stop :] = usable[:, :_EDGE_PX] = usable[:, inside.stop :] = False
    centred = usual - usual.mean()
    terms = np.concatenate([_PLANES, _PLANES * centred / 64])
    count = len(_PLANES)
    if usable.sum() < 100:
        return np.ones_like(small), np.zeros_like(small)
    rows, change = terms[:, usable].T, (small - usual)[usable]
    weights = np.ones_like(change)
    for _ in range(3):
        weighted = rows * weights[:, np.newaxis]
        # A little weight keeps what the face does not tell apart at no change.
        found = np.linalg.solve(weighted.T @ rows + 0.5 * np.eye(2 * count), weighted.T @ change)
        left = change - rows @ found
        weights = 1 / (1 + np.square(left / max(2.0 * float(np.median(np.abs(left))), 0.5)))
    gain = 1.0 + np.tensordot(found[count:] / 64, _PLANES, 1)
    offset = np.tensordot(found[:count], _PLANES, 1) + (1.0 - gain) * usual.mean()
    return np.clip(gain, 0.2, 5.0).astype(np.float32), offset.astype(np.float32)
