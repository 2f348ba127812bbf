"""Does one row score higher than another, or is it the people and seeds that happened to be drawn? A paired bootstrap.

People and seeds are drawn again with replacement, the same ones for both rows (the "pigeonhole" bootstrap for crossed
factors; Owen, Annals of Applied Statistics 2007); UF1 is pooled over the drawn people, then averaged over the drawn
seeds. The interval is the middle of such scores or differences: 95 % of them if there were many people, more for few,
whose drawing again spreads too little (expanded percentiles; Hesterberg, The American Statistician 2015).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtrit

from train.experiments.left_out_rows import LeftOutRow, base_of
from train.loso.predictions import LosoRun
from train.scores.metrics import confusion_matrix, ratio

DRAWS = 10_000
LEVEL = 0.95
_CHUNK = 500


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

    def __init__(self, rows: Sequence[LeftOutRow], draws: int = DRAWS, seed: int = 0) -> None:
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
