"""How well several models tell action units on the same clips, unit by unit: mean and spread, with chance beside them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.contract import ClipContract
from train.assessment.condition_scores import spread
from train.clips.store import ClipStore
from train.clips.unit_targets import UNITS, unit_targets
from train.errors import UsageError
from train.scores.unit_scores import LEAST_ACTING, unit_scores
from train.synth.action_units import ACTION_UNITS
from train.text_table import TextTable, spread_text

_PARTS = ("precision", "recall", "f1")


def by_unit(
    store: ClipStore, contracts: Sequence[ClipContract], answers: Sequence[NDArray[np.float32]]
) -> dict[str, Any]:
    """Scores of each unit by its number, and over those with enough acting sides; every model with its own threshold.

    `answers`: (clips, 2 units) of each model. UsageError for models that tell other units than the generator's.
    """
    numbers, truth = UNITS.numbers, np.stack([unit_targets(r.label, r.action_units) for r in store.records])
    found = []
    for contract, given in zip(contracts, answers, strict=True):
        told = contract.action_units
        if told is None or told.numbers != numbers:
            units = "none" if told is None else ", ".join(map(str, told.numbers))
            raise UsageError(f"action units: expected models of {', '.join(map(str, numbers))}, found {units}")
        found.append(unit_scores(truth, given, numbers, told.threshold))
    first = found[0]
    return {
        "thresholds": [scores.threshold for scores in found],
        "macro_units": list(first.macro_units),
        "macro_f1": spread([scores.macro_f1 or 0.0 for scores in found]),
        "macro_chance_f1": first.macro_chance_f1,
        "side_right": _sides([scores.side_right for scores in found]),
        "side_n": [scores.side_n for scores in found],
        "units": {
            str(number): {"n": one.n, "known": one.known, "chance_f1": one.chance_f1}
            | {part: spread([getattr(scores.units[number], part) for scores in found]) for part in _PARTS}
            | {
                "side_right": _sides([scores.units[number].side_right for scores in found]),
                "side_n": [scores.units[number].side_n for scores in found],
            }
            for number, one in first.units.items()
        },
    }


def unit_table(found: Mapping[str, Any]) -> TextTable:
    """Of what `by_unit` gives: the units that act, and their mean."""
    rows = [
        (
            f"{number} {ACTION_UNITS[int(number)].name}",
            str(unit["n"]),
            *(spread_text(unit[part]) for part in _PARTS),
            f"{unit['chance_f1']:.3f}",
            *_side_cells(unit),
        )
        for number, unit in found["units"].items()
        if unit["n"]
    ]
    if found["macro_units"]:
        macro = (f"mean of {len(found['macro_units'])}", "", "", "", spread_text(found["macro_f1"]))
        rows.append((*macro, f"{found['macro_chance_f1']:.3f}", *_side_cells(found)))
    note = (
        f"n counts acting sides; both sides of a clip are cases of their own. Chance F1: always answering “acts”. Side right: of "
        f"units that act on one side alone and were found, the share whose surer side is that one (0.5 by guessing), and how "
        f"many those are. The mean is over units with {LEAST_ACTING} acting sides or more."
    )
    headings = ("action unit", "n", "precision", "recall", "F1", "chance F1", "side right", "of")
    return TextTable("By action unit", headings, tuple(rows), note, last_apart=bool(found["macro_units"]))


def _sides(shares: Sequence[float | None]) -> dict[str, Any] | None:
    """Over the models that found any."""
    told = [share for share in shares if share is not None]
    return spread(told) if told else None


def _side_cells(found: Mapping[str, Any]) -> tuple[str, str]:
    counts = found["side_n"]
    least, most = min(counts), max(counts)
    side = "–" if found["side_right"] is None else spread_text(found["side_right"])
    return side, str(most) if least == most else f"{least} to {most}"
