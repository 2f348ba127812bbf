"""Augmentation of flow beyond what a camera or a face would do to it: against learning the generator's clean motion by heart.

Real flow differs from that of made clips in how far u and v can be trusted, in noise that is smooth in space and stays
for the clip, in places without any motion, and in where exactly a face moves. Each is a setting of its own (`flow_…`).
Strain is computed anew from the changed vectors, as preprocessing computes it.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from model.preprocess import flow_strain
from train.fit_config import TrainConfig

_NOISE_SIGMA, _ELASTIC_SIGMA = 1 / 16, 1 / 8
"""How smooth the patterns are: sd of the Gaussian over white noise, in shares of the frame's side."""
_CUT_SIGMA = (0.1, 0.2)
_PART_BYTES = 100_000
"""Of flow that is worked on at a time: larger arrays are new memory every time, which takes longer than the work."""
_STREAM = 1
"""After seed, epoch and row in the seed of these draws, which are then none of `draw_transform`'s."""


@dataclass(frozen=True)
class FlowChange:
    """What happens to one clip's flow, in this order. The defaults change nothing.

    Attributes:
        gain_u, gain_v: factors on u and v.
        noise: smooth noise added, one pattern for the clip with sd 1, times this and each frame's own root mean square.
        cut_sigma: sd, in shares of the side, of a Gaussian of which u and v lose their share (all in its middle); 0: none.
        cut_x, cut_y: where its middle is, in shares of the side.
        elastic: every frame is warped by the same smooth displacements of this sd, in shares of the side. Vectors move
            and keep their direction and length.
        pattern_seed: what the patterns of noise and displacements are drawn by.
    """

    gain_u: float = 1.0
    gain_v: float = 1.0
    noise: float = 0.0
    cut_sigma: float = 0.0
    cut_x: float = 0.5
    cut_y: float = 0.5
    elastic: float = 0.0
    pattern_seed: tuple[int, ...] = ()

    @property
    def changes(self) -> bool:
        return (self.gain_u, self.gain_v, self.noise, self.cut_sigma, self.elastic) != (1.0, 1.0, 0.0, 0.0, 0.0)

    def apply(self, clip: NDArray, crop_px: int, strain_gain: float) -> NDArray:
        """The changed clip, float32; the given one where nothing changes.

        `clip` is float32 (frames, size, size, 3) of input kind flow: u, v in pixels of a crop with a side of `crop_px`,
        and strain times `strain_gain`. The new strain is what preprocessing makes of such u and v. Where the clip was
        turned, played faster or rounded to half floats on its way, it had a strain that was turned and so on along, and
        even an unchanged flow's strain would differ from it slightly.
        """
        if not self.changes:
            return clip
        frames, size = clip.shape[:2]
        noise_seed, elastic_seed = ((*self.pattern_seed, which) for which in (1, 2))
        noise = self.noise * _smooth_noise(size, _NOISE_SIGMA, noise_seed).reshape(-1) if self.noise else None
        kept = np.repeat(1 - self._cut(size).reshape(-1), 2) if self.cut_sigma else None
        maps = _maps(self.elastic * size * _smooth_noise(size, _ELASTIC_SIGMA, elastic_seed)) if self.elastic else None
        gains = np.array([[self.gain_u, 0, 0], [0, self.gain_v, 0]], np.float32)
        out, few = np.empty_like(clip), max(1, _PART_BYTES // (8 * size * size))
        for start in range(0, frames, few):
            part = clip[start : start + few].reshape(-1, size, 3)
            # A row holds all of a frame: NumPy is slow on axes of two.
            rows = cv2.transform(part, gains).reshape(-1, 2 * size * size)
            if noise is not None:
                rows += np.sqrt(np.einsum("ti,ti->t", rows, rows) / rows.shape[1])[:, np.newaxis] * noise
            if kept is not None:
                rows *= kept
            flow = rows.reshape(-1, size, size, 2)
            if maps is not None:
                flow = _warped(flow, maps)
            strain = strain_gain * _strain(flow, crop_px)
            into = out[start : start + few].reshape(-1, size, 3)
            cv2.mixChannels([flow.reshape(-1, size, 2), strain], [into], [0, 0, 1, 1, 2, 2])
        return out

    def in_words(self) -> str:
        """What differs from the flow as it is, for people; empty where nothing does."""
        told = []
        if (self.gain_u, self.gain_v) != (1, 1):
            told.append(f"u ×{self.gain_u:.2f} and v ×{self.gain_v:.2f}")
        if self.noise:
            told.append(f"noise {100 * self.noise:.0f} %")
        if self.cut_sigma:
            told.append(f"cut out at {100 * self.cut_x:.0f} %, {100 * self.cut_y:.0f} %")
        if self.elastic:
            told.append(f"warped by {100 * self.elastic:.1f} %")
        return ", ".join(told)

    def _cut(self, size: int) -> NDArray[np.float32]:
        """The share (size, size) of the motion that is cut out."""
        at = (np.arange(size, dtype=np.float32) + 0.5) / size
        across, down = (np.exp(-0.5 * ((at - middle) / self.cut_sigma) ** 2) for middle in (self.cut_x, self.cut_y))
        return np.outer(down, across)


def draw_flow_change(config: TrainConfig, epoch: int, row: int) -> FlowChange:
    """What happens to the flow of a sample (`row` of the features) in an epoch, after its `draw_transform`.

    It follows from the config's seed, epoch and row alone; a setting that is switched on leaves the draws of the others
    as they are.
    """
    if not (config.flow_gains or config.flow_noise or config.flow_cutout or config.flow_elastic):
        return FlowChange()
    # + 1 as in `draw_transform`.
    seed = (config.seed, epoch, row + 1, _STREAM)
    rng = np.random.default_rng(seed)
    gain_u, gain_v = (math.exp(config.flow_gains * float(draw)) for draw in rng.standard_normal(2))
    noise, coin, sigma, across, down = (float(draw) for draw in rng.random(5))
    low, high = _CUT_SIGMA
    return FlowChange(
        gain_u=gain_u,
        gain_v=gain_v,
        noise=config.flow_noise * noise,
        cut_sigma=low + (high - low) * sigma if coin < config.flow_cutout else 0.0,
        cut_x=across,
        cut_y=down,
        elastic=config.flow_elastic,
        pattern_seed=seed,
    )


def _smooth_noise(size: int, sigma: float, seed: tuple[int, ...]) -> NDArray[np.float32]:
    """Two channels (size, size, 2) of white noise smoothed by `sigma` shares of the side, each with sd 1."""
    white = np.random.default_rng(seed).standard_normal((size, size, 2), np.float32)
    smooth = cv2.GaussianBlur(white, (0, 0), sigma * size)
    _, sds = cv2.meanStdDev(smooth)
    return smooth / sds.reshape(-1).astype(np.float32)


def _maps(displacements_px: NDArray) -> tuple[NDArray, NDArray]:
    """Where each pixel is taken from, for `_warped`: displacements (size, size, 2) from where it is, as OpenCV is fastest
    with."""
    down, across = np.mgrid[: len(displacements_px), : len(displacements_px)].astype(np.float32)
    return cv2.convertMaps(np.dstack([across, down]) + displacements_px, None, cv2.CV_16SC2)  # type: ignore[call-overload]


def _warped(flow: NDArray, maps: tuple[NDArray, NDArray]) -> NDArray:
    """Every frame (size, size, 2) warped alike; beyond its border a frame repeats it."""
    out = np.empty_like(flow)
    for frame, warped in zip(flow, out, strict=True):
        cv2.remap(frame, *maps, cv2.INTER_LINEAR, warped, cv2.BORDER_REPLICATE)
    return out


def _strain(flow: NDArray, crop_px: int) -> NDArray:
    """Preprocessing's strain (frames · size, size) of flow (frames, size, size, 2), frames one under the other.

    All frames in one go, which is three times as fast: each between the rows that its border mirrors, as OpenCV sees a
    single frame.
    """
    frames, size = flow.shape[:2]
    mirrored = np.concatenate([flow[:, 1:2], flow, flow[:, -2:-1]], axis=1)
    strain = flow_strain(mirrored.reshape(frames * (size + 2), size, 2), crop_px)
    return strain.reshape(frames, size + 2, size)[:, 1:-1].reshape(frames * size, size)
