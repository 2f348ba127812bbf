"""The spec of a table of experiments: rows of settings on a common base, read from YAML and checked before anything runs.

    title: What the network sees
    seeds: [0, 1, 2]
    base: {epochs: 6, size_px: 64, validation_people: [a04, a08]}
    rows:
      flow: {input: flow, about: flow to the resting face}
      paper: {preset: paper, size_px: 64, colour: grey}
      shallow: {kind: shallow_flow, seeds: [0], settings: {hidden: 8}}

Base and rows hold settings of `TrainConfig`; a row's own win. Besides them, a row may have `about` (a few words for the
table), `preset` (of `train.config_file`, under the row's settings and over the base's), `kind` (of
`train.experiments.kinds`, else network), `seeds` of its own, and `settings` that only its kind knows.

With `loso: {scheme: cde, select: fixed}`, settings of `train.loso.loso.LosoSettings`, rows are not compared on validation
people but by leaving every person out once (`train.experiments.left_out`); `ablation.yaml` beside this file is one.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from train.config_file import config_from, preset, read_config_file
from train.errors import UsageError, shown
from train.experiments.kinds import KINDS
from train.fit_config import TrainConfig

DEFAULT_KIND = "network"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")
_OWN = ("about", "preset", "kind", "seeds", "settings")
# Places and speed are the command line's; clips drawn anew in every run would not be the same for all kinds of rows.
_NOT_OF_A_SPEC = ("data", "out", "seed", "workers", "cache_dir", "backup_steps", "threads", "note")
_NOT_OF_A_SPEC += ("made", "made_clips", "made_rates", "made_echoes")
_SETTINGS = tuple(f.name for f in fields(TrainConfig) if f.name not in _NOT_OF_A_SPEC)


@dataclass(frozen=True)
class SpecRow:
    """One row: `overrides` are settings of `TrainConfig`, `settings` those that only the kind knows."""

    name: str
    about: str
    kind: str
    seeds: tuple[int, ...]
    overrides: Mapping[str, Any]
    settings: Mapping[str, Any] = field(default_factory=dict)

    def config(self, base: Mapping[str, Any], out: Path, seed: int) -> TrainConfig:
        """Of this row with one seed; raises UsageError that names the row."""
        try:
            return config_from({**base, **self.overrides, "out": str(out), "seed": seed})
        except UsageError as error:
            raise UsageError(f"row {self.name}: {error}") from error


@dataclass(frozen=True)
class Spec:
    """What a spec file says; `base` without data and folders, which the command line gives.

    `loso`: settings of a leave-one-subject-out run, which every row is then; None for rows compared on validation people.
    """

    title: str
    base: Mapping[str, Any]
    rows: tuple[SpecRow, ...]
    loso: Mapping[str, Any] | None = None


def read_spec(path: Path) -> Spec:
    """The spec in a YAML or JSON file; raises UsageError that says where it does not fit."""
    raw = read_config_file(path)
    _require_known(f"{path}", raw, ("title", "seeds", "base", "rows", "loso"))
    base = _mapping(f"{path}: base", raw.get("base", {}))
    _require_known(f"{path}: base", base, _SETTINGS)
    seeds = _seeds(f"{path}: seeds", raw.get("seeds", [0]))
    rows = _mapping(f"{path}: rows", raw.get("rows"))
    if not rows:
        raise UsageError(f"{path}: rows: expected one or more, found none")
    title = raw.get("title", path.stem)
    if not isinstance(title, str):
        raise UsageError(f"{path}: title: expected text, found {shown(title)}")
    found = tuple(_row(f"{path}: row {name}", name, row, seeds) for name, row in rows.items())
    return Spec(title, base, found, _mapping(f"{path}: loso", raw["loso"]) if "loso" in raw else None)


def _row(where: str, name: str, raw: object, seeds: tuple[int, ...]) -> SpecRow:
    if not _NAME.fullmatch(name):
        raise UsageError(f"{where}: expected a name of letters, digits and _.+- (it names a folder)")
    row = _mapping(where, raw if raw is not None else {})
    _require_known(where, row, (*_OWN, *_SETTINGS))
    kind, about = row.get("kind", DEFAULT_KIND), row.get("about", "")
    if kind not in KINDS:
        raise UsageError(f"{where}: kind: expected {' or '.join(KINDS)}, found {shown(kind)}")
    if not isinstance(about, str):
        raise UsageError(f"{where}: about: expected text, found {shown(about)}")
    own_seeds = _seeds(f"{where}: seeds", row["seeds"]) if "seeds" in row else seeds
    overrides = preset(row["preset"]) if "preset" in row else {}
    overrides |= {key: value for key, value in row.items() if key not in _OWN}
    return SpecRow(name, about, kind, own_seeds, overrides, _mapping(f"{where}: settings", row.get("settings", {})))


def _mapping(where: str, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UsageError(f"{where}: expected 'name: value' lines, found {type(value).__name__}")
    return {str(name): inner for name, inner in value.items()}


def _seeds(where: str, value: object) -> tuple[int, ...]:
    fits = isinstance(value, list) and value and all(type(seed) is int and seed >= 0 for seed in value)
    if not fits or len(set(value)) < len(value):  # type: ignore[arg-type]
        raise UsageError(f"{where}: expected different integers of 0 or more, found {shown(value)}")
    return tuple(value)  # type: ignore[arg-type]


def _require_known(where: str, given: Mapping[str, Any], known: Sequence[str]) -> None:
    unknown = [name for name in given if name not in known]
    if unknown:
        raise UsageError(f"{where}: {unknown[0]}: expected one of {', '.join(known)}")
