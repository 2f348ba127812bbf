"""From the frames that a clip has to the frames of its window: by frame number, whatever is missing between."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from model.types import Image

MAX_MISSING_SHARE = 0.2
MAX_END_GAP_SHARE = 0.1


class ClipError(ValueError):
    """A clip cannot be prepared: why, in words that follow the clip's name."""


@dataclass(frozen=True)
class Interval:
    """Onset and offset of a clip as frame numbers, and how many of the `expected` frames between are `missing`."""

    onset: int
    offset: int
    expected: int
    missing: int


def find_interval(numbers: Sequence[int], onset: int | None, offset: int | None) -> Interval:
    """The interval from onset to offset (None: the first and the last frame there is), checked against the frames.

    `numbers` grow. They may count in steps, the smallest step between two of them: only what breaks the step is missing.

    Raises:
        ClipError: onset and offset do not fit, more than a fifth of the frames between are missing, or those next to the
            onset or the offset are: a gap of more than a tenth of the interval there.
    """
    if len(numbers) < 2:
        raise ClipError(f"expected two pictures or more, found {len(numbers)}")
    onset = numbers[0] if onset is None else onset
    offset = numbers[-1] if offset is None else offset
    if onset >= offset:
        raise ClipError(f"expected an onset before the offset, found onset {onset} and offset {offset}")
    inside = [number for number in numbers if onset <= number <= offset]
    have = f"found pictures {numbers[0]} to {numbers[-1]}"
    if len(inside) < 2:
        raise ClipError(f"expected pictures from onset {onset} to offset {offset}, {have}")
    step = min(later - earlier for earlier, later in pairwise(numbers))
    tolerated = max(step, MAX_END_GAP_SHARE * (offset - onset))
    for name, wanted, nearest in (("onset", onset, inside[0]), ("offset", offset, inside[-1])):
        if abs(wanted - nearest) > tolerated:
            raise ClipError(f"no picture near the {name}, frame {wanted}; the nearest is {nearest} ({have})")
    expected = (offset - onset) // step + 1
    missing = expected - len(inside)
    if missing > MAX_MISSING_SHARE * expected:
        raise ClipError(f"{missing} of {expected} pictures from onset {onset} to offset {offset} are missing")
    return Interval(onset, offset, expected, max(missing, 0))


def sample_window(crops: Image, numbers: Sequence[int], interval: Interval, frames: int) -> Image:
    """Crops (n, …) with their frame numbers (n) → `frames` crops at equal steps of the frame number, onset to offset.

    Linear between the nearest frames there are; beyond the first and the last of them those two. With no frame missing
    this is `model.preprocess.interpolate_clip`, bit for bit.
    """
    places = np.asarray(numbers) - interval.onset
    positions = np.clip(np.linspace(0, interval.offset - interval.onset, frames), places[0], places[-1])
    below = np.searchsorted(places, positions, side="right") - 1
    above = np.minimum(below + 1, len(places) - 1)
    gap = np.maximum(places[above] - places[below], 1)
    share = ((positions - places[below]) / gap).reshape((-1,) + (1,) * (crops.ndim - 1)).astype(np.float32)
    return np.rint(crops[below] * (1 - share) + crops[above] * share).astype(np.uint8)
