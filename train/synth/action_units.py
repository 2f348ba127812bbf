"""The action units of FACS as motion of Face Mesh landmarks, and which of them make which class how often (data only).

Landmark ids are those of the image's left half of the face; the other half moves by reflection. A displacement is
(outward, down) in hundredths of the inter-ocular distance (IOD) at full intensity, `sigma_iod` the reach of a landmark.
In the spirit of MiE-X (Liu et al., ECCV 2022); the amounts were set by eye and compared with py-feat's AU-to-mesh
regression. AU 6 and 12 move the middle of the cheek outward, as the motion of real micro-expressions does.

Weights of a class's units follow the frequencies of CASME II and SAMM, with those of DFME's 2,629 clips in mind (more lid
raisers and lip pressing, AU 6 with 12 the commonest smile). Negative expressions that lift cheek or lip come
with a lowered brow more often than not, and surprise lives in the brows: what motion fields of real micro-expressions show.
"""

from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np

Side = Literal["L", "R"]
"""The side of the subject, as in FACS: "L" is the subject's left, which is the right half of the image."""

Spared = Literal["eyeball", "lids", "nothing"]
CLASS_NAMES = ("negative", "positive", "surprise", "neutral")


@dataclass(frozen=True)
class Move:
    """Landmarks that share a displacement: `out` away from the midline and `down`, hundredths of IOD."""

    landmarks: tuple[int, ...]
    out: float
    down: float


@dataclass(frozen=True)
class ActionUnit:
    """`spares`: what does not move with the skin: the eyeball, the lids' edges with their lashes too, or nothing."""

    number: int
    name: str
    sigma_iod: float
    spares: Spared
    moves: tuple[Move, ...]


def _unit(
    number: int, name: str, sigma_iod: float, *moves: tuple[tuple[int, ...], float, float], spares: Spared = "eyeball"
) -> ActionUnit:
    return ActionUnit(number, name, sigma_iod, spares, tuple(Move(*move) for move in moves))


ACTION_UNITS: dict[int, ActionUnit] = {
    unit.number: unit
    for unit in (
        _unit(1, "inner brow raiser", 0.15,
              ((107, 66, 55, 65), 0, -14), ((105, 52), 0, -6), ((108, 9, 8), 0, -9), ((69, 151), 0, -6),
              spares="lids"),
        _unit(2, "outer brow raiser", 0.15,
              ((63, 105, 53, 52), 1, -14), ((70, 46), 1, -11), ((66, 65), 0, -4), ((104, 68), 0, -9), ((69,), 0, -5),
              spares="lids"),
        _unit(4, "brow lowerer", 0.14,
              ((107, 55), -6, 9), ((66, 65), -5, 9), ((105, 52), -3, 8), ((63, 53), -1, 5), ((9, 8), 0, 6), ((108,), -2, 5),
              spares="lids"),
        _unit(5, "upper lid raiser", 0.06,
              ((160, 159, 158), 0, -5), ((161, 157), 0, -4), ((246, 173), 0, -1.5), ((27, 28, 29, 56), 0, -3),
              spares="nothing"),
        _unit(6, "cheek raiser", 0.125,
              ((50, 101, 117, 118, 205), 3, -7), ((36, 119), 0, -6), ((123, 187), 5, -6), ((116,), 2, -5), ((111,), -1, -5),
              ((35, 143), -3, 0), ((23, 24, 22, 110), 0, -4), ((145, 144, 153, 163, 154), 0, -2.5)),
        _unit(7, "lid tightener", 0.05,
              ((145, 144, 153), 0, -3.5), ((163, 154), 0, -2.5), ((23, 24, 22, 110), 0, -3), ((159, 160, 158), 0, 2),
              spares="nothing"),
        _unit(9, "nose wrinkler", 0.115,
              ((129, 48, 64, 49), 0, -6), ((98, 131, 198), 0, -5), ((126, 142), 0, -4), ((37, 39, 40, 165, 167, 92), 0, -5),
              ((36, 101, 100), -1, -4), ((107, 55), -2, 4), ((8, 168), 0, 3)),
        _unit(10, "upper lip raiser", 0.12,
              ((40, 39, 37, 80, 81, 82), 0, -8), ((0, 13), 0, -6), ((185, 191), 0, -5), ((165, 167, 92), 0, -7), ((164,), 0, -4),
              ((64, 98, 129), 0, -2.5), ((203, 206), 1, -5), ((36,), 0, -3)),
        _unit(12, "lip corner puller", 0.12,
              ((61, 57, 78), 10, -13), ((185, 146, 43, 202), 7, -9), ((186, 216, 212), 10, -10), ((40, 91), 5, -5), ((92,), 6, -7),
              ((206,), 8, -9), ((207, 187), 11, -9), ((205, 147), 9, -7), ((50, 123, 213, 192), 6, -5), ((39, 181), 2, -2),
              ((0, 17), 0, -1)),
        _unit(14, "dimpler", 0.12,
              ((61, 57, 78), 5, 0), ((185, 146), 3, 0), ((216, 212, 207), -3, -0.5), ((186,), 1, -1), ((202,), 0, -1)),
        _unit(15, "lip corner depressor", 0.13,
              ((61, 57), 2, 9), ((78, 43), 2, 8), ((146, 202, 212), 1.5, 7), ((185, 216), 1, 5.5), ((91, 40, 204), 1, 4)),
        _unit(17, "chin raiser", 0.14,
              ((199, 200), 0, -10), ((18, 83, 201), 0, -9), ((175, 208, 171), 0, -7), ((17, 84, 14), 0, -7),
              ((181, 87, 178), 0, -5), ((91,), 0, -2), ((152,), 0, -2)),
        _unit(20, "lip stretcher", 0.13,
              ((61, 57, 78), 11, 2), ((185, 146, 43, 202, 212), 8, 2), ((216, 186), 7, 0), ((40, 91, 204), 4.5, 1.5)),
        _unit(24, "lip pressor", 0.08,
              ((0, 37, 39, 40), 0, 2.5), ((17, 84, 181), 0, -3), ((91,), 0, -2), ((13, 14, 82, 87), 0, 0), ((61, 57), -3, 0),
              ((164,), 0, 1), ((18,), 0, -2)),
        _unit(25, "lips part", 0.10,
              ((17, 84), 0, 5), ((181,), 0, 4), ((91,), 0, 2), ((14, 87), 0, 6), ((178,), 0, 4), ((18, 83), 0, 3),
              ((0, 37, 39), 0, -1.2), ((13, 82, 81), 0, -1.5)),
        _unit(26, "jaw drop", 0.20,
              ((152, 175, 199, 200), 0, 22), ((148, 171), 0, 21), ((176,), 0, 18), ((149,), 0, 12), ((150,), 0, 6), ((136,), 0, 3),
              ((18, 83, 17, 14), 0, 19), ((84, 181, 87), 0, 17), ((91, 178, 204), 0, 13), ((210,), 0, 10), ((146, 202), 0, 6),
              ((61,), -2, 4)),
    )
}  # fmt: skip

# Landmarks of one lip, with the skin that goes with it: they do not pull the other lip along.
UPPER_LIP = (0, 37, 39, 40, 185, 13, 82, 81, 80, 191, 164, 167, 165, 92, 98, 64, 129, 203, 206, 36)
LOWER_LIP = (17, 84, 181, 91, 146, 14, 87, 178, 88, 95, 18, 83, 182, 43, 202, 204, 201, 200, 199, 208, 210, 175, 171, 152, 148,
             176, 149, 150, 136)  # fmt: skip
# The edges that meet when the mouth is closed, from corner to corner of the image's left half to the midline.
UPPER_LIP_EDGE = (78, 191, 80, 81, 82, 13)
LOWER_LIP_EDGE = (78, 95, 88, 178, 87, 14)
# The lids' edges from the outer to the inner corner of the image's left eye.
UPPER_LID = (33, 246, 161, 160, 159, 158, 157, 173, 133)
LOWER_LID = (33, 7, 163, 144, 145, 153, 154, 155, 133)


@dataclass(frozen=True)
class Recipe:
    """`units` always act; each of `extras` (number, probability) may. `one_sided` is the share that acts on one side."""

    weight: float
    units: tuple[int, ...]
    extras: tuple[tuple[int, float], ...] = ()
    one_sided: float = 0.2


RECIPES: dict[str, tuple[Recipe, ...]] = {
    "negative": (
        Recipe(0.25, (4,), ((7, 0.45), (5, 0.15)), one_sided=0.1),
        Recipe(0.03, (4, 1), ((15, 0.4),), one_sided=0.1),
        Recipe(0.04, (4, 6), ((7, 0.5),), one_sided=0.15),
        Recipe(0.10, (9,), ((4, 0.75), (10, 0.3), (7, 0.3)), one_sided=0.2),
        Recipe(0.10, (10,), ((4, 0.65), (9, 0.15), (7, 0.2)), one_sided=0.4),
        Recipe(0.12, (7,), ((4, 0.45), (6, 0.25)), one_sided=0.2),
        Recipe(0.10, (14,), ((4, 0.45), (17, 0.1)), one_sided=0.6),
        Recipe(0.08, (15,), ((17, 0.5), (4, 0.35)), one_sided=0.3),
        Recipe(0.09, (17,), ((24, 0.3), (4, 0.35), (14, 0.1)), one_sided=0.0),
        Recipe(0.04, (20,), ((4, 0.55), (25, 0.3)), one_sided=0.3),
        Recipe(0.05, (24,), ((4, 0.6), (17, 0.2)), one_sided=0.0),
    ),
    "positive": (
        Recipe(0.36, (12,), ((6, 0.2),), one_sided=0.35),
        Recipe(0.36, (6, 12), ((7, 0.15),), one_sided=0.15),
        Recipe(0.07, (12, 25), one_sided=0.1),
        Recipe(0.07, (12, 7), one_sided=0.2),
        Recipe(0.08, (12, 14), ((6, 0.3),), one_sided=0.4),
        Recipe(0.03, (12, 15), ((6, 0.3),), one_sided=0.2),
        Recipe(0.03, (6,), one_sided=0.2),
    ),
    "surprise": (
        Recipe(0.52, (1, 2), ((5, 0.55), (25, 0.06)), one_sided=0.1),
        Recipe(0.11, (1,), ((5, 0.2),), one_sided=0.15),
        Recipe(0.18, (2,), ((5, 0.4),), one_sided=0.4),
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
class OneSided:
    """The class that a smile or a dimple on one side alone means: datasets differ. CASME II and SAMM call a one-sided 12
    happiness, DFME contempt; 14 is contempt for all of them."""

    lip_corner: str = "positive"
    dimple: str = "negative"

    def __post_init__(self) -> None:
        for name in (self.lip_corner, self.dimple):
            if name not in RECIPES:
                raise ValueError(f"one-sided: expected a class among {', '.join(RECIPES)}, found {name!r}")

    @classmethod
    def from_text(cls, text: str) -> "OneSided":
        """What differs from the usual, "12=negative" or "12=negative,14=positive". Raises ValueError naming what is wrong."""
        units, given = {"12": "lip_corner", "14": "dimple"}, dict[str, str]()
        for piece in filter(None, text.split(",")):
            number, _, name = (part.strip() for part in piece.partition("="))
            if number not in units:
                raise ValueError(f"one-sided: expected 12=CLASS or 14=CLASS, found {piece!r}")
            given[units[number]] = name
        return cls(**given)

    def recipes(self, class_name: str) -> tuple[Recipe, ...]:
        """The class's recipes, those on one side alone with the class that they mean. KeyError: a class without recipes."""
        meant: dict[tuple[int, ...], str] = {(12,): self.lip_corner, (14,): self.dimple}
        ours = list[Recipe]()
        for recipe in RECIPES[class_name]:
            elsewhere = meant.get(recipe.units, class_name) != class_name
            ours.append(_both_sided(recipe) if elsewhere else recipe)
        for name, recipes in RECIPES.items():
            if name != class_name:
                ours += [_one_sided(recipe) for recipe in recipes if meant.get(recipe.units) == class_name]
        return tuple(ours)


def _both_sided(recipe: Recipe) -> Recipe:
    return replace(recipe, weight=recipe.weight * (1 - recipe.one_sided), one_sided=0.0)


def _one_sided(recipe: Recipe) -> Recipe:
    return replace(recipe, weight=recipe.weight * recipe.one_sided, extras=(), one_sided=1.0)


@dataclass(frozen=True)
class UnitShare:
    """How strongly a unit acts on each side, relative to the others of its expression; 0 on a side that rests."""

    number: int
    left: float
    right: float


class RecipeBook(Protocol):
    """Which recipes a class has: the usual ones as `OneSided` has them, or somebody's own."""

    def recipes(self, class_name: str) -> tuple[Recipe, ...]: ...


def draw_expression(
    rng: np.random.Generator, class_name: str, one_sided: RecipeBook | None = None
) -> tuple[UnitShare, ...]:
    """The units of one expression of a class; raises KeyError for a class without recipes."""
    recipes = (one_sided or OneSided()).recipes(class_name)
    weights = np.array([recipe.weight for recipe in recipes])
    recipe = recipes[rng.choice(len(recipes), p=weights / weights.sum())]
    numbers = [*recipe.units, *(number for number, probability in recipe.extras if rng.random() < probability)]
    sided = [number for number in numbers if number not in _MIDLINE_UNITS] or numbers
    alone = rng.random() < recipe.one_sided
    sides = (1.0, 0.0) if rng.random() < 0.5 else (0.0, 1.0)
    # Most faces are a little stronger on one side, in all units.
    tilt = rng.normal(0, 0.09)
    shares = []
    for number in numbers:
        share = rng.uniform(0.55, 1.0) if number in recipe.units else rng.uniform(0.3, 1.0)
        own = float(np.clip(tilt + rng.normal(0, 0.08), -0.4, 0.4))
        left, right = sides if alone and number in sided else (1.0, 1.0)
        shares.append(UnitShare(number, left * share * (1 + own), right * share * (1 - own)))
    return tuple(shares)
