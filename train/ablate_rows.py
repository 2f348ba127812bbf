"""The rows of the ablation table: what each adds to the plain network, and the run that was made of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from model.complexity import count_parameters
from model.config import NetworkConfig
from model.variants import VARIANTS, Variant
from train.config import TrainConfig
from train.config_file import config_from
from train.data import open_stores, time_grid
from train.errors import UsageError
from train.loso_scores import LosoRun, loso_scores, read_run

TICKS = {
    "weighted": "weighted loss",
    "cbam": "CBAM",
    "new_channel": "CBAM with the new channel attention",
    "mh": "MH",
    "msmh": "MSMH",
}
"""The parts that a row may have, in the order of the paper's columns, and their names."""


@dataclass(frozen=True, eq=False)
class AblationRow:
    """A finished row: `network` for the run's clips, its `scores` as in `scores.json`, the run that they are of."""

    variant: Variant
    config: TrainConfig
    network: NetworkConfig
    run: LosoRun
    scores: dict[str, Any]

    @property
    def name(self) -> str:
        return self.variant.name

    @property
    def ticks(self) -> tuple[str, ...]:
        return ticks_of(self.variant)

    @property
    def parameters(self) -> int:
        return count_parameters(self.network)


def ticks_of(variant: Variant) -> tuple[str, ...]:
    """Which of `TICKS` a variant has."""
    has = {
        "weighted": variant.weighted_loss,
        "cbam": variant.config.channel_attention == "cbam",
        "new_channel": variant.config.channel_attention == "enhanced",
        "mh": variant.config.temporal_attention == "mh",
        "msmh": variant.config.temporal_attention == "msmh",
    }
    return tuple(name for name in TICKS if has[name])


def title_of(ticks: Sequence[str]) -> str:
    """A row in words: what it has beyond the plain network."""
    return " + ".join(TICKS[name] for name in ticks) or "3DCNN + GRU, plain loss"


def base_of(row: AblationRow, rows: Sequence[AblationRow]) -> AblationRow | None:
    """The row that `row` adds something to: the one with most of its ticks, and no others; None for the first."""
    smaller = [other for other in rows if set(other.ticks) < set(row.ticks)]
    return max(smaller, key=lambda other: len(other.ticks), default=None)


def read_rows(folder: Path, names: Sequence[str]) -> tuple[AblationRow, ...]:
    """The finished rows of an ablation's folder, a run in a folder of its own each, in the order of `names`.

    Raises:
        UsageError: a run is missing, unfinished, or not made like the first, apart from its variant and loss.
    """
    rows = tuple(_row(folder / name, name) for name in names)
    for first, second in combinations(rows, 2):
        _require_alike(first, second)
    return rows


def _row(path: Path, name: str) -> AblationRow:
    run = read_run(path)
    config = config_from(run.config)
    if config.variant != name:
        raise UsageError(f"{path}: expected a run of variant {name!r}, found {config.variant!r}")
    frames, _ = time_grid(config, open_stores(run.stores)[0])
    network = config.network_config(frames, len(run.class_names), (0.0, 1.0))
    return AblationRow(VARIANTS[name], config, network, run, loso_scores(run))


def _require_alike(first: AblationRow, row: AblationRow) -> None:
    """Raises UsageError unless both rows are made of the same clips, in the same folds, by the same recipe."""
    may_differ = {"variant"}
    if first.variant.weighted_loss != row.variant.weighted_loss:
        may_differ.add("class_weights")
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
