"""Several faces: does a window ever hold frames of two people?"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile

import cv2
import numpy as np
from numpy.typing import NDArray

from model.contract import ClipContract, CropGeometry
from model.types import FrameResult
from train.synth.long_video import Scene, Whereabouts

# A face belongs to the person whose eyes are nearer than this, in distances between the eyes.
_NEAR_IOD = 0.6
_SAME_MOMENT_S = 1e-6


@dataclass(frozen=True)
class Sighting:
    """A frame in which a track has a face. Its window goes back `window_s` from this frame.

    `eyes_px` is the middle between the eyes, in the picture's pixels.
    """

    track: int
    time_s: float
    window_s: float
    eyes_px: tuple[float, float]


@dataclass(frozen=True)
class Mixing:
    """`windows` counted with a person known to be in them; `mixed` hold two people; `people` lists whom each track showed."""

    windows: int
    mixed: int
    people: dict[int, tuple[int, ...]]


def sightings_of(result: FrameResult, contract: ClipContract) -> list[Sighting]:
    """A sighting for every face of a frame's result."""
    return [
        Sighting(
            seen.track,
            result.frame.time_s,
            max(seen.filled - 1, 0) / contract.fps,
            eyes_of(seen.face.transform, contract.crop),
        )
        for seen in result.faces
    ]


def eyes_of(transform: NDArray[np.float64], geometry: CropGeometry) -> tuple[float, float]:
    """Where in the picture the middle between the eyes is, given the transform (2, 3) to the aligned crop."""
    back = cv2.invertAffineTransform(transform)
    x, y = back @ np.array([geometry.size_px / 2, geometry.eye_line_px, 1.0])
    return float(x), float(y)


def person_at(eyes_px: tuple[float, float], where: Sequence[Whereabouts]) -> int | None:
    """Who has their eyes there; None when nobody who shows at least a little is near, or two are alike near."""
    distances = sorted(
        (float(np.hypot(eyes_px[0] - w.eyes_px[0], eyes_px[1] - w.eyes_px[1])) / w.iod_px, w.person) for w in where
    )
    if not distances or distances[0][0] > _NEAR_IOD:
        return None
    if len(distances) > 1 and distances[1][0] < 2 * _NEAR_IOD:
        return None  # they are passing each other: either may be meant
    return distances[0][1]


def mixed_windows(sightings: Iterable[Sighting], scene: Scene) -> Mixing:
    """Counts windows, one a sighting, whose frames belong to two people. Sightings of a track must be in order of time.

    Frames in which two people overlap too closely to tell are of neither; what comes before and after them counts.
    """
    seen: dict[int, list[tuple[float, int]]] = {}
    windows = mixed = 0
    for sighting in sightings:
        history = seen.setdefault(sighting.track, [])
        person = person_at(sighting.eyes_px, scene.whereabouts(sighting.time_s))
        if person is not None:
            history.append((sighting.time_s, person))
        start_s = sighting.time_s - sighting.window_s - _SAME_MOMENT_S
        inside = {who for _, who in takewhile(lambda row, start=start_s: row[0] >= start, reversed(history))}
        windows += bool(inside)
        mixed += len(inside) > 1
    people = {
        track: tuple(who for who, _ in Counter(who for _, who in history).most_common())
        for track, history in seen.items()
    }
    return Mixing(windows, mixed, people)
