"""What the network's second output is trained on: which action units act on which side of the face.

The units are those that the generator can make. Values are 0, 1 or NaN where nobody knows, each unit's left and right in
turn (`ActionUnits.names`): (2 units,) float32 for one clip.
"""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from model.contract import NEUTRAL, ActionUnits
from train.synth.action_units import ACTION_UNITS

UNITS = ActionUnits(tuple(sorted(ACTION_UNITS)))
"""The units that are told, with a threshold that nobody has chosen yet."""

Targets = NDArray[np.float32]

_PLACES = {name: place for place, name in enumerate(UNITS.names)}
_CODE = re.compile(r"([A-Z]?)([0-9]+)")


def unit_targets(label: str, codes: Sequence[str]) -> Targets:
    """Targets of a clip of that class with these codes ("4", "L12", "R12B", "L12|R12"; see `train.datasets.au_codes`).

    Units without a code do not act. Of alternatives ("L12|R12"), and of a unit on one side that is not told ("U14"), what
    only some of them say is not known. Nothing is known of an event without any code; where nothing happens, nothing acts.
    """
    if not codes and label != NEUTRAL:
        return np.full(len(_PLACES), np.nan, np.float32)
    targets = np.zeros(len(_PLACES), np.float32)
    certain: set[int] = set()
    for code in codes:
        options = [option for text in code.split("|") for option in _options(text)]
        certain |= set.intersection(*options)
        targets[sorted(set.union(*options))] = np.nan
    targets[sorted(certain)] = 1.0
    return targets


def mirrored_targets(targets: Targets) -> Targets:
    """Of the clip that is mirrored: left and right change places."""
    return targets.reshape(-1, 2)[:, ::-1].reshape(-1)


def _options(code: str) -> list[set[int]]:
    """The places that a code means, or may mean; empty ones for a unit that is not told."""
    found = _CODE.match(code)
    side, number = (found[1], int(found[2])) if found else ("", 0)
    left, right = ({_PLACES[f"{s}{number}"]} if number in UNITS.numbers else set() for s in "LR")
    # "A" (asymmetric), "T" and "B" (upper, lower half of the face) say nothing of a side that would rest.
    return {"L": [left], "R": [right], "U": [left, right]}.get(side, [left | right])
