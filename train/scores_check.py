"""Does `scores.json` of a leave-one-subject-out run have the shape that `train.loso_scores` gives it?"""

from collections.abc import Mapping, Sequence
from typing import Any

_SCORES = ("uf1", "uar", "accuracy")
_LARGEST = 1e12


def check_scores(scores: Any, names: Sequence[str], seeds: int, parts: Sequence[str]) -> None:
    """Raises ValueError that names the first place which is not as it should be. `parts` have to be there."""
    classes = len(names)
    spread = {"mean": float, "sd": float if seeds > 1 else None, "by_seed": [float] * seeds}
    chance = dict.fromkeys(_SCORES, float)
    part = {
        "n": int,
        "people": int,
        **dict.fromkeys(_SCORES, spread),
        "per_class": {name: {"precision": float, "recall": float, "f1": float, "n": int} for name in names},
        "confusion": [[[int] * classes] * classes] * seeds,
        "chance": chance,
    }
    published = {"label": str, **dict.fromkeys(_SCORES, spread), "chance": chance, "chance_draws": int}
    _check(
        scores, {"scheme": str, "select": str, "protocol": str, "epochs": int, "parts": dict.fromkeys(parts, part)}, ""
    )
    for name in parts:
        found = scores["parts"][name].get("published")
        if found is not None:
            _check(found, published, f"parts.{name}.published")


def _check(value: Any, shape: Any, where: str) -> None:
    if isinstance(shape, Mapping):
        for name, inner in shape.items():
            _require(isinstance(value, Mapping) and name in value, f"{where}.{name}".strip("."), "nothing")
            _check(value[name], inner, f"{where}.{name}".strip("."))
    elif isinstance(shape, list):
        _require(isinstance(value, list) and len(value) == len(shape), where, "no list of the right length")
        for place, inner in enumerate(shape):
            _check(value[place], inner, f"{where}.{place}")
    elif shape is None:
        _require(value is None, where, value)
    elif shape is str:
        _require(isinstance(value, str), where, value)
    else:
        number = isinstance(value, int if shape is int else int | float) and not isinstance(value, bool)
        _require(number and -_LARGEST <= value <= _LARGEST, where, value)


def _require(fits: bool, where: str, found: object) -> None:
    if not fits:
        raise ValueError(f"{where} is {str(found)[:40]}")
