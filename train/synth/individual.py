"""Made people who do not move as the generator's usual ones: each has expressions of their own, and their own strength.

What they share is a convention, as the coders of one lab do: a smile or a dimple's meaning, which units belong to a class. None of
these recipes is among the usual ones (`train.synth.action_units.RECIPES`); so they say what a model that learned from those is
worth where people, or coders, are others.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from train.synth.action_units import Recipe
from train.synth.clip import ClipSettings

OTHER_RECIPES: Mapping[str, tuple[Recipe, ...]] = {
    "negative": (
        Recipe(1.0, (12,), one_sided=1.0),
        Recipe(1.0, (24, 17), ((14, 0.3),), one_sided=0.0),
        Recipe(1.0, (15, 20), ((17, 0.4),), one_sided=0.2),
        Recipe(1.0, (10, 25), ((9, 0.2),), one_sided=0.3),
        Recipe(1.0, (1, 4, 15), one_sided=0.0),
    ),
    "positive": (
        Recipe(1.0, (6, 7), ((25, 0.3),), one_sided=0.0),
        Recipe(1.0, (14,), ((6, 0.4),), one_sided=0.0),
        Recipe(1.0, (12, 20), ((25, 0.3),), one_sided=0.0),
        Recipe(1.0, (6, 25), one_sided=0.0),
    ),
    "surprise": (
        Recipe(1.0, (5, 25), ((26, 0.3),), one_sided=0.0),
        Recipe(1.0, (25, 26), ((2, 0.3),), one_sided=0.0),
        Recipe(1.0, (1, 25), one_sided=0.0),
        Recipe(1.0, (2, 5, 7), one_sided=0.2),
    ),
}
_EACH = 2
_STRENGTH_SD = 0.25
_RANGE_PX = (0.5, 1.8)


@dataclass(frozen=True)
class OwnRecipes:
    """A person's recipes by class."""

    by_class: Mapping[str, tuple[Recipe, ...]]

    def recipes(self, class_name: str) -> tuple[Recipe, ...]:
        """KeyError: a class without recipes."""
        return self.by_class[class_name]


def individual(settings: ClipSettings, seed: int, subject: str) -> ClipSettings:
    """The settings of a person's clips, which follow from the seed and the name: of every class two recipes, seldom as often as
    each other, and a strength; what of them the person's clips share is theirs alone."""
    rng = np.random.default_rng([0x1D1, seed, zlib.crc32(subject.encode())])
    own = {
        name: tuple(
            replace(recipes[index], weight=float(rng.uniform(0.3, 1.0)))
            for index in sorted(rng.choice(len(recipes), _EACH, replace=False).tolist())
        )
        for name, recipes in OTHER_RECIPES.items()
    }
    strength = float(np.exp(rng.normal(0, _STRENGTH_SD)))
    least_px, most_px = (strength * edge for edge in _RANGE_PX)
    return replace(settings, one_sided=OwnRecipes(own), peak_min_px=least_px, peak_max_px=most_px)
