"""The finished rows of a table by leave-one-subject-out: the run that was made of each, and what it adds to the plain network."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from model.complexity import count_parameters
from model.config import NetworkConfig
from model.variants import VARIANTS, Variant
from train.clips.samples import open_stores, time_grid
from train.config_file import config_from
from train.errors import UsageError
from train.experiments.spec import SpecRow
from train.fit_config import TrainConfig
from train.loso.pooled_scores import loso_scores
from train.loso.predictions import LosoRun, read_run

TICKS = {
    "weighted": "weighted loss",
    "cbam": "CBAM",
    "new_channel": "CBAM with the new channel attention",
    "mh": "MH",
    "msmh": "MSMH",
}
"""The parts that a row may have, in the order of the paper's columns, and their names."""


@dataclass(frozen=True, eq=False)
class LeftOutRow:
    """A finished row: `network` for the run's clips, its `scores` as in `scores.json`, the run that they are of."""

    spec: SpecRow
    config: TrainConfig
    network: NetworkConfig
    run: LosoRun
    scores: dict[str, Any]

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def variant(self) -> Variant:
        return VARIANTS[self.config.variant]

    @property
    def weighted(self) -> bool:
        """Whether its loss is."""
        return self.config.class_weights != "none"

    @property
    def ticks(self) -> tuple[str, ...]:
        return ticks_of(self.variant, self.weighted)

    @property
    def title(self) -> str:
        return self.spec.about or title_of(self.ticks)

    @property
    def parameters(self) -> int:
        return count_parameters(self.network)


def ticks_of(variant: Variant, weighted: bool) -> tuple[str, ...]:
    """Which of `TICKS` a row has whose network is the variant, with a weighted loss or without."""
    has = {
        "weighted": weighted,
        "cbam": variant.config.channel_attention == "cbam",
        "new_channel": variant.config.channel_attention == "enhanced",
        "mh": variant.config.temporal_attention == "mh",
        "msmh": variant.config.temporal_attention == "msmh",
    }
    return tuple(name for name in TICKS if has[name])


def title_of(ticks: Sequence[str]) -> str:
    """A row in words: what it has beyond the plain network."""
    return " + ".join(TICKS[name] for name in ticks) or "3DCNN + GRU, plain loss"


def base_of(row: LeftOutRow, rows: Sequence[LeftOutRow]) -> LeftOutRow | None:
    """The row that `row` adds something to: the one with most of its ticks, and no others; None for the first."""
    smaller = [other for other in rows if set(other.ticks) < set(row.ticks)]
    return max(smaller, key=lambda other: len(other.ticks), default=None)


def read_rows(folder: Path, rows: Sequence[SpecRow]) -> tuple[LeftOutRow, ...]:
    """The finished rows in a folder, a run in a folder of its own each, in the order of `rows`.

    Raises:
        UsageError: a run is missing, unfinished, or not made like the first, apart from what their rows in the spec say.
    """
    found = tuple(_read(folder / row.name, row) for row in rows)
    for first, second in combinations(found, 2):
        _require_alike(first, second)
    return found


def _read(path: Path, row: SpecRow) -> LeftOutRow:
    run = read_run(path)
    config = config_from(run.config)
    wrong = config_from({**run.config, **row.overrides}).differences(config)
    if wrong:
        told = "; ".join(f"{name} {wanted!r}, found {has!r}" for name, (wanted, has) in wrong.items())
        raise UsageError(f"{path}: expected a run with {told}; choose another --out, or add --overwrite")
    frames, _ = time_grid(config, open_stores(run.stores)[0])
    network = config.network_config(frames, len(run.class_names), (0.0, 1.0))
    return LeftOutRow(row, config, network, run, loso_scores(run))


def _require_alike(first: LeftOutRow, row: LeftOutRow) -> None:
    """Raises UsageError unless both rows are made of the same clips, in the same folds, by the same recipe."""
    may_differ = {*first.spec.overrides, *row.spec.overrides}
    changed = first.config.differences(row.config)
    told = [f"{name}: {mine!r} and {its!r}" for name, (mine, its) in changed.items() if name not in may_differ]
    for name in ("scheme", "protocol", "select", "seeds", "pretrain", "class_names"):
        mine, its = getattr(first.run, name), getattr(row.run, name)
        told += [f"{name}: {mine!r} and {its!r}"] if mine != its else []
    told += ["other clips"] if first.run.samples != row.run.samples else []
    if told:
        raise UsageError(
            f"{row.run.path}: expected a run made like {first.run.path}, found differences ({'; '.join(told)}); "
            "choose another --out, or add --overwrite"
        )
