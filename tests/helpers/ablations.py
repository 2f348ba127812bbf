"""Ablations' folders: all six rows as finished runs with answers of our choosing, and what is read back of them."""

import json
from pathlib import Path
from typing import Any

from model.variants import VARIANTS
from tests.helpers.loso_runs import write_loso
from train.clips.store import ClipStore
from train.commands.ablate import SPEC
from train.experiments.spec import SpecRow, read_spec

NAMES = tuple(VARIANTS)
PEOPLE = ("ann", "bob", "cid", "dot", "eve")
SKILL = dict(zip(NAMES, (1.0, 1.0, 1.1, 1.5, 1.4, 2.5), strict=True))
"""How often each row is right, as `write_loso` takes it: the paper's most often."""


def write_rows(folder: Path, *stores: ClipStore, seeds: tuple[int, ...] = (0, 1, 2), **more: Any) -> None:
    """Every row's run. A row's answers depend on its skill alone, so that plain and weighted answer alike."""
    for name in NAMES:
        weights = {} if VARIANTS[name].weighted_loss else {"class_weights": "none"}
        settings = {"variant": name, "size_px": 48} | weights
        write_loso(folder / name, stores, seeds, skill=SKILL[name], select="fixed", settings=settings, **more)


def spec_rows(*names: str) -> tuple[SpecRow, ...]:
    """These rows of the ablation's spec; all without names."""
    rows = {row.name: row for row in read_spec(SPEC).rows}
    return tuple(rows[name] for name in names or NAMES)


def facts_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "ablation.json").read_text())
