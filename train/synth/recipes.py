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
        Recipe(0.27, (4,), ((7, 0.45),), one_sided=0.1),
        Recipe(0.05, (4, 1), ((15, 0.5),), one_sided=0.1),
        Recipe(0.11, (9,), ((4, 0.7), (10, 0.3))),
        Recipe(0.12, (10,), ((4, 0.65),), one_sided=0.35),
        Recipe(0.08, (15,), ((17, 0.45), (4, 0.3))),
        Recipe(0.09, (14,), ((4, 0.4),), one_sided=0.5),
        Recipe(0.10, (17,), ((24, 0.3), (4, 0.35)), one_sided=0.1),
        Recipe(0.04, (20,), ((4, 0.6), (25, 0.3))),
        Recipe(0.03, (24,), ((4, 0.7),), one_sided=0.1),
        Recipe(0.11, (7,), ((4, 0.3),)),
    ),
    "positive": (
        Recipe(0.45, (12,), ((6, 0.25),), one_sided=0.35),
        Recipe(0.35, (6, 12), ((7, 0.15),), one_sided=0.2),
        Recipe(0.12, (12, 25)),
        Recipe(0.08, (12, 7)),
    ),
    "surprise": (
        Recipe(0.52, (1, 2), ((5, 0.3),)),
        Recipe(0.10, (1,)),
        Recipe(0.18, (2,), ((5, 0.3),), one_sided=0.35),
        Recipe(0.09, (5,), one_sided=0.1),
        Recipe(0.07, (1, 2, 26, 25), one_sided=0.0),
        Recipe(0.04, (5, 26), one_sided=0.0),
    ),
}
"""Every class with motion of its own; neutral has none."""


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
    left, right = 1.0, 1.0
    if rng.random() < recipe.one_sided:
        left, right = (1.0, 0.0) if rng.random() < 0.5 else (0.0, 1.0)
    shares = []
    for number in numbers:
        share = rng.uniform(0.5, 1.0)
        tilt = float(np.clip(rng.normal(0, 0.12), -0.4, 0.4))
        shares.append(UnitShare(number, left * share * (1 + tilt), right * share * (1 - tilt)))
    return tuple(shares)
