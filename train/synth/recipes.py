"""Which action units make which class, and how often.

Weights follow the AU frequencies of CASME II and SAMM. Negative expressions that lift cheek or lip come with a lowered
brow more often than not, and surprise lives in the brows: what motion fields of real micro-expressions show.
"""

from dataclasses import dataclass

import numpy as np

CLASS_NAMES = ("negative", "positive", "surprise", "neutral")


@dataclass(frozen=True)
class Recipe:
    """`units` always act; each of `extras` (number, probability) may. `one_sided` is the share that acts on one side."""

    weight: float
    units: tuple[int, ...]
    extras: tuple[tuple[int, float], ...] = ()
    one_sided: float = 0.2


RECIPES: dict[str, tuple[Recipe, ...]] = {
    "negative": (
        Recipe(0.26, (4,), ((7, 0.5),), one_sided=0.1),
        Recipe(0.03, (4, 1), ((15, 0.4),), one_sided=0.1),
        Recipe(0.04, (4, 6), ((7, 0.5),), one_sided=0.15),
        Recipe(0.10, (9,), ((4, 0.75), (10, 0.3), (7, 0.3)), one_sided=0.2),
        Recipe(0.12, (10,), ((4, 0.65), (9, 0.15), (7, 0.2)), one_sided=0.4),
        Recipe(0.12, (7,), ((4, 0.45), (6, 0.25)), one_sided=0.2),
        Recipe(0.10, (14,), ((4, 0.45), (17, 0.1)), one_sided=0.6),
        Recipe(0.08, (15,), ((17, 0.5), (4, 0.35)), one_sided=0.3),
        Recipe(0.09, (17,), ((24, 0.3), (4, 0.35), (14, 0.1)), one_sided=0.0),
        Recipe(0.04, (20,), ((4, 0.55), (25, 0.3)), one_sided=0.3),
        Recipe(0.02, (24,), ((4, 0.6),), one_sided=0.0),
    ),
    "positive": (
        Recipe(0.40, (12,), ((6, 0.2),), one_sided=0.4),
        Recipe(0.32, (6, 12), ((7, 0.15),), one_sided=0.2),
        Recipe(0.07, (12, 25), one_sided=0.1),
        Recipe(0.07, (12, 7), one_sided=0.2),
        Recipe(0.08, (12, 14), ((6, 0.3),), one_sided=0.4),
        Recipe(0.03, (12, 15), ((6, 0.3),), one_sided=0.2),
        Recipe(0.03, (6,), one_sided=0.2),
    ),
    "surprise": (
        Recipe(0.52, (1, 2), ((5, 0.3), (25, 0.06)), one_sided=0.1),
        Recipe(0.11, (1,), ((5, 0.2),), one_sided=0.15),
        Recipe(0.18, (2,), ((5, 0.3),), one_sided=0.4),
        Recipe(0.05, (5,), one_sided=0.1),
        Recipe(0.04, (1, 5), one_sided=0.1),
        Recipe(0.07, (1, 2, 26, 25), ((5, 0.3),), one_sided=0.0),
        Recipe(0.03, (5, 26), one_sided=0.0),
    ),
}
"""Every class with motion of its own; neutral has none."""


# Units of the midline act on both sides, if another unit of their expression can act on one.
_MIDLINE_UNITS = frozenset({1, 4, 17, 24, 25, 26})


@dataclass(frozen=True)
class UnitShare:
    """How strongly a unit acts on each side, relative to the others of its expression; 0 on a side that rests."""

    number: int
    left: float
    right: float


def draw_expression(rng: np.random.Generator, class_name: str) -> tuple[UnitShare, ...]:
    """The units of one expression of a class; raises KeyError for a class without recipes."""
    recipes = RECIPES[class_name]
    weights = np.array([recipe.weight for recipe in recipes])
    recipe = recipes[rng.choice(len(recipes), p=weights / weights.sum())]
    numbers = [*recipe.units, *(number for number, probability in recipe.extras if rng.random() < probability)]
    sided = [number for number in numbers if number not in _MIDLINE_UNITS] or numbers
    one_sided = rng.random() < recipe.one_sided
    sides = (1.0, 0.0) if rng.random() < 0.5 else (0.0, 1.0)
    # Most faces are a little stronger on one side, in all units.
    tilt = rng.normal(0, 0.09)
    shares = []
    for number in numbers:
        share = rng.uniform(0.55, 1.0) if number in recipe.units else rng.uniform(0.3, 1.0)
        own = float(np.clip(tilt + rng.normal(0, 0.08), -0.4, 0.4))
        left, right = sides if one_sided and number in sided else (1.0, 1.0)
        shares.append(UnitShare(number, left * share * (1 + own), right * share * (1 - own)))
    return tuple(shares)
