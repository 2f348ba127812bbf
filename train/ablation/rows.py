"""The rows of the ablation table: what each adds to the plain network, and the run that was made of it.

Does one row score higher than another, or is it the people and seeds that happened to be drawn? A paired bootstrap.

People and seeds are drawn again with replacement, the same ones for both rows (the "pigeonhole" bootstrap for crossed
factors; Owen, Annals of Applied Statistics 2007); UF1 is pooled over the drawn people, then averaged over the drawn
seeds. The interval is the middle of such scores or differences: 95 % of them if there were many people, more for few,
whose drawing again spreads too little (expanded percentiles; Hesterberg, The American Statistician 2015).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtrit

from model.complexity import count_parameters
from model.config import NetworkConfig
from model.variants import VARIANTS, Variant
from train.clips.samples import open_stores, time_grid
from train.config_file import config_from
from train.errors import UsageError
from train.fit_config import TrainConfig
from train.loso.pooled_scores import loso_scores
from train.loso.predictions import LosoRun, read_run
from train.scores.metrics import confusion_matrix, ratio

TICKS = {
    "weighted": "weighted loss",
    "cbam": "CBAM",
    "new_channel": "CBAM with the new channel attention",
    "mh": "MH",
    "msmh": "MSMH",
}
"""The parts that a row may have, in the order of the paper's columns, and their names."""
DRAWS = 10_000
LEVEL = 0.95
_CHUNK = 500


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


@dataclass(frozen=True)
class Comparison:
    """UF1 of `row` minus that of `against`, over the same people and seeds.

    Attributes:
        by_seed: the difference in each seed. mean, sd: of these (sd of a sample; None for one seed).
        low, high: 95 % interval over people and seeds.
        better, worse: people of whom `row` answers more, or fewer, clips right, all seeds together.
    """

    row: str
    against: str
    by_seed: tuple[float, ...]
    mean: float
    sd: float | None
    low: float
    high: float
    better: int
    worse: int

    @property
    def tells(self) -> bool:
        """Whether the difference is more than luck: its interval leaves out 0, and it is larger than its sd over seeds.

        One seed tells nothing: how far another would move the difference is not known.
        """
        return (self.low > 0 or self.high < 0) and self.sd is not None and abs(self.mean) > self.sd


@dataclass(frozen=True, eq=False)
class _Drawn:
    """A row's confusion matrices, (seeds, people, classes, classes), and its UF1 in every draw, (draws,)."""

    confusions: NDArray[np.int64]
    uf1: NDArray[np.float64]


class Bootstrap:
    """Rows of the same people and seeds, drawn `draws` times alike from a seeded generator."""

    def __init__(self, rows: Sequence[AblationRow], draws: int = DRAWS, seed: int = 0) -> None:
        self._rows = {row.name: row for row in rows}
        confusions = {row.name: people_confusions(row.run) for row in rows}
        seeds, people = next(iter(confusions.values())).shape[:2]
        self._tail = tail_share(people)
        rng = np.random.default_rng(seed)
        drawn_people = rng.multinomial(people, np.full(people, 1 / people), size=draws)
        drawn_seeds = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=draws) / seeds
        self._drawn = {n: _Drawn(c, _draw(c, drawn_people, drawn_seeds)) for n, c in confusions.items()}

    def interval(self, name: str) -> tuple[float, float]:
        """95 % interval of a row's UF1."""
        return self._middle(self._drawn[name].uf1)

    def comparisons(self) -> tuple[Comparison, ...]:
        """Every row with the first, and with the row that it adds something to, where that is another."""
        rows = list(self._rows.values())
        first = rows[0]
        found = [self.compare(row.name, first.name) for row in rows[1:]]
        for row in rows[1:]:
            base = base_of(row, rows)
            if base and base is not first:
                found.append(self.compare(row.name, base.name))
        return tuple(found)

    def compare(self, row: str, against: str) -> Comparison:
        """The difference of two rows, by name."""
        mine, its = self._drawn[row], self._drawn[against]
        by_seed = uf1_of(mine.confusions.sum(axis=1)) - uf1_of(its.confusions.sum(axis=1))
        right = [np.trace(d.confusions.sum(axis=0), axis1=-2, axis2=-1) for d in (mine, its)]
        low, high = self._middle(mine.uf1 - its.uf1)
        return Comparison(
            row,
            against,
            tuple(float(value) for value in by_seed),
            float(by_seed.mean()),
            float(by_seed.std(ddof=1)) if len(by_seed) > 1 else None,
            low,
            high,
            int((right[0] > right[1]).sum()),
            int((right[0] < right[1]).sum()),
        )

    def _middle(self, values: NDArray) -> tuple[float, float]:
        low, high = np.quantile(values, [self._tail, 1 - self._tail])
        return float(low), float(high)


def tail_share(people: int) -> float:
    """Share of the draws to leave out at either end: 2.5 % for very many people, less for few (two at least).

    As wide for a mean as Student's interval, whose divisor is n - 1 where drawing again has n.
    """
    return float(ndtr(-np.sqrt(people / (people - 1)) * stdtrit(people - 1, (1 + LEVEL) / 2)))


def people_confusions(run: LosoRun) -> NDArray[np.int64]:
    """Confusion matrices (seeds, people, classes, classes) of a finished run, rows truth."""
    classes = len(run.class_names)
    by_person = {person: [s for s in run.samples.values() if s.person == person] for person in run.people}
    return np.array(
        [
            [
                confusion_matrix([s.label for s in of], [run.predictions[seed][s.id].answer for s in of], classes)
                for of in by_person.values()
            ]
            for seed in run.seeds
        ]
    )


def uf1_of(confusions: NDArray) -> NDArray[np.float64]:
    """UF1 (...,) of confusion matrices (..., classes, classes): the mean over the classes of 2 TP / (2 TP + FP + FN)."""
    hits = np.diagonal(confusions, axis1=-2, axis2=-1)
    return ratio(2 * hits, confusions.sum(axis=-1) + confusions.sum(axis=-2)).mean(axis=-1)


def _draw(confusions: NDArray, people: NDArray, seeds: NDArray) -> NDArray[np.float64]:
    """UF1 (draws,): pooled over the drawn people, (draws, people) times each, averaged over seeds by their share."""
    parts = [
        uf1_of(np.einsum("bp,spij->bsij", people[start : start + _CHUNK], confusions))
        for start in range(0, len(people), _CHUNK)
    ]
    return (np.concatenate(parts) * seeds).sum(axis=1)
