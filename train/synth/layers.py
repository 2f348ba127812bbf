"""The two parts of a face that are no smooth warp: lips that part along a seam, and lids that cover the eyeball.

Both work on a view of a frame and the map (height, width, 2) from its pixels to those of the source picture; `seam` and
lid edges (n, 2) are in source pixels, from left to right. The source has `OVERSAMPLING` times the frame's resolution.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from model.types import Image

# Bilinear sampling at 1 would change the sharpness by 15 % with the sub-pixel phase, and sharpness would tell motion.
OVERSAMPLING = 2.2

Points = NDArray[np.floating]
Map = NDArray[np.float32]


def sampled(source: NDArray[Any], source_map: Map, border: int = cv2.BORDER_REFLECT_101) -> NDArray[Any]:
    """A picture or field at the map's points, bilinear; it is reflected beyond its border where nothing else is said."""
    return cv2.remap(source, source_map, None, cv2.INTER_LINEAR, borderMode=border)  # type: ignore[call-overload]


def part_lips(view: Image, source: Image, upper_map: Map, lower_map: Map, seam: Points, closed: float) -> None:
    """Puts the lower lip's layer below the line where the lips meet; where neither lip reaches, it is dark.

    `closed` is 1 when the lips touch in the source picture, 0 when teeth show.
    """
    upper, lower = upper_map.copy(), lower_map.copy()
    line_upper = np.interp(upper[..., 0], seam[:, 0], seam[:, 1]).astype(np.float32)
    line_lower = np.interp(lower[..., 0], seam[:, 0], seam[:, 1]).astype(np.float32)
    past_upper, past_lower = upper[..., 1] - line_upper, line_lower - lower[..., 1]
    use_lower = past_lower < past_upper
    gap = np.minimum(past_upper, past_lower)
    # What lies past the lip's edge is the gap: the edge itself goes on there, darker.
    upper[..., 1] = np.minimum(upper[..., 1], line_upper)
    lower[..., 1] = np.maximum(lower[..., 1], line_lower)
    chosen = np.where(use_lower[..., np.newaxis], lower, upper)
    between = (upper_map[..., 0] > seam[0, 0]) & (upper_map[..., 0] < seam[-1, 0])
    dark = closed * 0.65 * np.clip(gap / (1.2 * OVERSAMPLING), 0, 1) * between
    share = (1 - dark).astype(np.float32)
    view[:] = np.rint(sampled(source, chosen) * (share if view.ndim == 2 else share[..., np.newaxis]))


def close_lid(
    view: Image, source: Image, source_map: Map, lids: tuple[Points, Points], closed: float, iod_px: float
) -> None:
    """Draws the upper lid down over the eyeball by `closed` (0..1): the skin under the brow stretches to follow its edge.

    `lids` are the edges of the upper and the lower lid, `iod_px` source pixels between the eyes.
    """
    upper, lower = lids
    x, y = source_map[..., 0], source_map[..., 1]
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
    drawn = sampled(source, np.dstack([x, np.where(covered, from_y, y)]).astype(np.float32))
    share = np.where(covered, np.clip(0.5 - below_edge / OVERSAMPLING, 0, 1), 0)
    share = share if view.ndim == 2 else share[..., np.newaxis]
    view[:] = np.rint(view * (1 - share) + drawn * share)
