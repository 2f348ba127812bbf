"""What the alignment leaves of a clip's motion: for all frames at once, from the motion of the corners it would track."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# As stream.face.align: corners further off than this (crop px) have no say.
_AGREE_PX = 0.5
_ROUNDS = 3
# Measured on clips that went through the live alignment, for shifts (px) and for growth and turn: noise from frame to
# frame, and slower errors of the tracking, which differ from clip to clip (lognormal).
_NOISE = np.array([0.018, 0.018, 0.0006, 0.0006])
_SLOW = np.array([0.04, 0.04, 0.0013, 0.0013])
_SLOW_SPREAD, _SLOW_S = 0.5, 0.2

SIMILARITY = 4


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
    centred = (points - middle).astype(np.float64)
    off = moved - np.median(moved, axis=1, keepdims=True)
    agree = (off**2).sum(axis=-1) < _AGREE_PX**2
    gains = np.zeros((len(moved), SIMILARITY))
    for _ in range(_ROUNDS):
        gains = _fitted(moved, centred, agree)
        left = moved - _apply(gains, centred)
        agree = (left**2).sum(axis=-1) < _AGREE_PX**2
    return gains


def residual(rng: np.random.Generator, times_s: Sequence[float]) -> NDArray[np.float64]:
    """The alignment's errors, as gains (frames, 4) of `similarity_basis`."""
    noise = rng.standard_normal((len(times_s), SIMILARITY)) * _NOISE
    steps = rng.standard_normal((len(times_s), SIMILARITY)) * _SLOW * np.exp(rng.normal(0, _SLOW_SPREAD))
    kept = np.exp(-np.diff(times_s, prepend=0.0) / _SLOW_S)
    slow = np.zeros(SIMILARITY)
    for index, (share, step) in enumerate(zip(kept, steps, strict=True)):
        slow = share * slow + np.sqrt(1 - share**2) * step
        noise[index] += slow
    return noise


def _apply(gains: NDArray, centred: NDArray) -> NDArray:
    shift_x, shift_y, growth, turn = (gains[:, [index]] for index in range(SIMILARITY))
    x, y = centred.T
    return np.stack([shift_x + growth * x - turn * y, shift_y + growth * y + turn * x], axis=-1)


def _fitted(moved: NDArray, centred: NDArray, agree: NDArray[np.bool_]) -> NDArray:
    """Least squares over the corners that agree, for each frame."""
    weight = agree.astype(np.float64)
    total = np.maximum(weight.sum(axis=1), 1.0)
    at = np.einsum("fn,ni->fi", weight, centred) / total[:, np.newaxis]
    went = np.einsum("fn,fni->fi", weight, moved) / total[:, np.newaxis]
    # Sums about the centroids, multiplied out: no (frames, n) temporaries.
    spread = weight @ (centred**2).sum(axis=1) - total * (at**2).sum(axis=1)
    along = np.einsum("fn,fni,ni->f", weight, moved, centred) - total * (went * at).sum(axis=1)
    turned = np.einsum("fn,fn,n->f", weight, moved[..., 1], centred[:, 0]) - np.einsum(
        "fn,fn,n->f", weight, moved[..., 0], centred[:, 1]
    )
    turned -= total * (went[:, 1] * at[:, 0] - went[:, 0] * at[:, 1])
    spread = np.maximum(spread, 1e-9)
    growth, turn = along / spread, turned / spread
    shift_x = went[:, 0] - growth * at[:, 0] + turn * at[:, 1]
    shift_y = went[:, 1] - growth * at[:, 1] - turn * at[:, 0]
    return np.stack([shift_x, shift_y, growth, turn], axis=1)
