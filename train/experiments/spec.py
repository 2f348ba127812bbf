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
from typing import Annotated, Any, Required

from pydantic import AfterValidator, BeforeValidator, Field
from typing_extensions import TypedDict

from model.checked import LISTED, shown
from train.config_file import config_from, preset, read_config_file
from train.errors import UsageError, check_type
from train.experiments.kinds import KINDS
from train.fit_config import From0, TrainConfig

DEFAULT_KIND = "network"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")
# Places and speed are the command line's; clips drawn anew in every run would not be the same for all kinds of rows.
_NOT_OF_A_SPEC = ("data", "out", "seed", "workers", "cache_dir", "backup_steps", "threads", "note")
_NOT_OF_A_SPEC += ("made", "made_clips", "made_rates", "made_echoes", "made_company", "made_one_sided")
_SETTINGS = tuple(f.name for f in fields(TrainConfig) if f.name not in _NOT_OF_A_SPEC)


def _different(seeds: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"expected different integers of 0 or more, found {shown(seeds)}")
    return seeds


def _named(value: object) -> object:
    """YAML reads a name like 1 as a number, and nothing after a name as null."""
    return {str(name): inner for name, inner in value.items()} if isinstance(value, dict) else value


Named = Annotated[dict[str, Any], BeforeValidator(_named)]
Seeds = Annotated[tuple[From0, ...], LISTED, Field(min_length=1), AfterValidator(_different)]


class _OwnOfRow(TypedDict, total=False):
    about: str
    preset: str
    kind: str
    seeds: Seeds
    settings: Named


class _SpecFile(TypedDict, total=False):
    title: str
    seeds: Seeds
    base: Named
    rows: Required[Annotated[Named, Field(min_length=1)]]
    loso: Named


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
    _require_known(f"{path}", raw, tuple(_SpecFile.__annotations__))
    told: _SpecFile = check_type(f"{path}", raw, _SpecFile)
    base, seeds = told.get("base", {}), told.get("seeds", (0,))
    _require_known(f"{path}: base", base, _SETTINGS)
    rows = tuple(_row(f"{path}: row {name}", name, row, seeds) for name, row in told["rows"].items())
    return Spec(told.get("title", path.stem), base, rows, told.get("loso"))


def _row(where: str, name: str, raw: object, seeds: tuple[int, ...]) -> SpecRow:
    if not _NAME.fullmatch(name):
        raise UsageError(f"{where}: expected a name of letters, digits and _.+- (it names a folder)")
    row: dict[str, Any] = check_type(where, {} if raw is None else raw, Named)
    names = tuple(_OwnOfRow.__annotations__)
    _require_known(where, row, (*names, *_SETTINGS))
    own: _OwnOfRow = check_type(where, {key: row[key] for key in names if key in row}, _OwnOfRow)
    kind = own.get("kind", DEFAULT_KIND)
    if kind not in KINDS:
        raise UsageError(f"{where}: kind: expected {' or '.join(KINDS)}, found {shown(kind)}")
    overrides = preset(own["preset"]) if "preset" in own else {}
    overrides |= {key: value for key, value in row.items() if key not in names}
    return SpecRow(name, own.get("about", ""), kind, own.get("seeds", seeds), overrides, own.get("settings", {}))


def _require_known(where: str, given: Mapping[str, Any], known: Sequence[str]) -> None:
    unknown = [name for name in given if name not in known]
    if unknown:
        raise UsageError(f"{where}: {unknown[0]}: expected one of {', '.join(known)}")
