"""A rule on how far landmarks move: no learning but four thresholds, set on the training people."""

import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from model.contract import NEUTRAL
from train.baselines.landmark_motion import PARTS, TELLING
from train.errors import UsageError
from train.metrics import confusion_matrix, scores

NEGATIVE, POSITIVE, SURPRISE = "negative", "positive", "surprise"
_BROW_PX = (0.2, 0.3, 0.4, 0.5, 0.7, 0.9, 1.2, 1.6)
_CORNER_PX = (0.3, 0.4, 0.5, 0.6, 0.7, 0.9, 1.2, 1.6, 2.2)
_ANY_PX = (0.3, 0.5, 0.65, 0.8, 1.0, 1.2, 1.5, 1.9, 2.4, 3.2)
_RATIO = (0.5, 0.75, 1.0, 1.3, 1.7)


@dataclass(frozen=True)
class LandmarkRule:
    """What a clip's largest motion is called; lengths in pixels of a crop with 44 between the eyes.

    surprise: the brows rose more than `brow_px`, and more than `brow_to_corner` times as far as the farther mouth corner
    went up and out; else positive: that corner went more than `corner_px`; else negative: brows and corners together
    went more than `any_px`, whatever the way; else neutral.
    """

    brow_px: float
    corner_px: float
    any_px: float
    brow_to_corner: float

    def classes(self, motions: NDArray[np.float32], class_names: Sequence[str]) -> NDArray[np.int64]:
        """Class indices (clips,) of motions (clips, parts, sides, 2) as `landmark_motion` gives them.

        Where neutral is not among the classes, what is too small to tell is called negative.

        Raises:
            UsageError: the classes are not those the rule knows.
        """
        index = class_indices(class_names)
        brow, corner, moved = _lengths(motions)
        surprise = (brow > self.brow_px) & (brow > self.brow_to_corner * corner)
        chosen = np.where(moved > self.any_px, index[NEGATIVE], index.get(NEUTRAL, index[NEGATIVE]))
        chosen = np.where(corner > self.corner_px, index[POSITIVE], chosen)
        return np.where(surprise, index[SURPRISE], chosen).astype(np.int64)

    def in_words(self) -> str:
        return ", ".join(f"{name} {value:g}" for name, value in asdict(self).items())


def fit_rule(motions: NDArray[np.float32], labels: NDArray[np.int64], class_names: Sequence[str]) -> LandmarkRule:
    """The rule of a grid of thresholds with the highest UF1 on these clips; the first where several have it.

    `motions` (clips, parts, sides, 2), `labels` (clips,). Raises UsageError for classes that the rule does not know.
    """
    rules = [LandmarkRule(*values) for values in itertools.product(_BROW_PX, _CORNER_PX, _ANY_PX, _RATIO)]
    found = [
        scores(confusion_matrix(labels, rule.classes(motions, class_names), len(class_names)), class_names).uf1
        for rule in rules
    ]
    return rules[int(np.argmax(found))]


def class_indices(class_names: Sequence[str]) -> dict[str, int]:
    """Where each class that the rule speaks of stands. Raises UsageError for any others."""
    wanted = {NEGATIVE, POSITIVE, SURPRISE}
    if not wanted <= set(class_names) <= wanted | {NEUTRAL}:
        raise UsageError(
            f"landmark rule: expected the classes {NEGATIVE}, {POSITIVE}, {SURPRISE}, with or without {NEUTRAL}, "
            f"found {', '.join(class_names)}"
        )
    return {name: index for index, name in enumerate(class_names)}


def _lengths(motions: NDArray[np.float32]) -> tuple[NDArray, NDArray, NDArray]:
    """Of each clip: how far the brows rose (inner or outer, mean of both sides), how far the farther mouth corner went up
    and out, and how far brows and corners moved in all."""
    rise = -motions[:, :, :, 1].mean(axis=2)
    brow = np.maximum(rise[:, PARTS.index("inner brow")], rise[:, PARTS.index("outer brow")])
    corner = motions[:, PARTS.index("mouth corner")]
    lifted = ((corner[..., 0] - corner[..., 1]) / np.sqrt(2)).max(axis=1)
    moved = np.sqrt(np.square(motions[:, TELLING]).sum(axis=(1, 2, 3)))
    return brow, lifted, moved
