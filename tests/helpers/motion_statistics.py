"""How rough the generator's motion is and where it strains the face: numbers to hold against those of real motion.

Events are looked at at their apex, without head motion, on a 28 x 28 grid of the 128 px crop, as published flow features
have it: once the true displacement, once optical flow (DIS, medium preset) between two drawn frames with noise of σ 1.5.

- roughness: rms of the motion less its Gaussian average (σ one cell), over the motion's rms
- strain in a band: the share of the strain magnitude sqrt(u_x² + v_y² + (u_y + v_x)² / 2) above the eyes (y < -0.06
  IOD), between there and the cheek (0.28), down to the mouth (0.72), and below
- area: the share of the grid that moves at least half as far as its farthest cell
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from model.contract import CropGeometry
from train.synth.clip import ClipSpec
from train.synth.fields import ORIGIN_IOD, STEP_IOD, grid_points, weighted_sum
from train.synth.render import Camera, FaceModel, FaceRenderer, Pose

_CELLS = 28
_BANDS_IOD = (-0.06, 0.28, 0.72)
_NOISE = 1.5
_GEOMETRY = CropGeometry()


@dataclass(frozen=True)
class MotionStatistics:
    """Of one motion field; `strain` are the shares of brows, eyes, cheeks and mouth, which make 1."""

    roughness: float
    strain: tuple[float, ...]
    area: float


def measure(motion: NDArray[np.floating]) -> MotionStatistics:
    """Statistics of a displacement field (size, size, 2) of the aligned crop, in its pixels."""
    coarse = cv2.resize(motion.astype(np.float32), (_CELLS, _CELLS), interpolation=cv2.INTER_AREA)
    rough = coarse - cv2.GaussianBlur(coarse, (0, 0), 1.0)
    (u_y, u_x), (v_y, v_x) = (np.gradient(coarse[..., axis]) for axis in (0, 1))
    rows = np.sqrt(u_x**2 + v_y**2 + (u_y + v_x) ** 2 / 2).sum(axis=1)
    heights = ((np.arange(_CELLS) + 0.5) * _GEOMETRY.size_px / _CELLS - _GEOMETRY.eye_line_px) / _GEOMETRY.iod_px
    band = np.digitize(heights, _BANDS_IOD)
    far = np.hypot(coarse[..., 0], coarse[..., 1])
    tiny = 1e-12
    return MotionStatistics(
        float(np.sqrt((rough**2).sum() / ((coarse**2).sum() + tiny))),
        tuple(float(rows[band == index].sum() / (rows.sum() + tiny)) for index in range(4)),
        float((far >= 0.5 * far.max()).mean()),
    )


def apex_motion(model: FaceModel, spec: ClipSpec) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The motion (size, size, 2) from rest to the apex of a clip's expression: the true one, and what optical flow sees."""
    if spec.expression is None:
        raise ValueError("expected a clip with an expression, found a neutral one")
    fields, iod_px, size = model.fields, _GEOMETRY.iod_px, _GEOMETRY.size_px
    gains = spec.expression.gains(fields, iod_px)
    upper, lower = (weighted_sum(fields.weights(gains), layer) for layer in (fields.upper, fields.lower))
    grid = grid_points()
    below = grid[..., 1] > np.interp(grid[..., 0], *fields.seam.T)
    skin = np.einsum("hwij,hwj->hwi", spec.texture, np.where(below[..., np.newaxis], lower, upper))
    x, y = np.meshgrid(np.arange(size) - (size - 1) / 2, np.arange(size) - _GEOMETRY.eye_line_px)
    nodes = (np.stack([x, y], axis=-1) / iod_px - ORIGIN_IOD) / STEP_IOD
    true = iod_px * _sampled(skin.astype(np.float32), nodes)

    camera = Camera(iod_px=iod_px)
    renderer = FaceRenderer(model, camera, spec.texture, spec.shading, grey=True)
    rng = np.random.default_rng(spec.noise_seed)
    rest, apex = (
        np.clip(view + rng.normal(0, _NOISE, view.shape), 0, 255).astype(np.uint8)
        for view in (renderer.render(Pose()), renderer.render(Pose(gains)))
    )
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    flow = dis.calc(rest, apex, None)  # type: ignore[call-overload]
    flow = _sampled(flow, np.stack([x, y], axis=-1) + camera.from_canonical()[:, 2])
    return true, flow - np.median(flow.reshape(-1, 2), axis=0)


def _sampled(field: NDArray[np.float32], at: NDArray[np.floating]) -> NDArray[np.float32]:
    return cv2.remap(field, at.astype(np.float32), None, cv2.INTER_LINEAR)  # type: ignore[call-overload]
