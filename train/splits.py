"""Leave-one-subject-out: which rows a fold trains on, chooses its epoch on, and is tested on. Indices only."""

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from train.errors import UsageError

Scheme = Literal["cde", "sde"]
"""Whom a fold trains on: cde, everybody else, whatever the dataset; sde, the others of the left-out person's dataset."""


@dataclass(frozen=True, eq=False)
class FoldSplit:
    """One fold: rows (n,) for training, validation and test, of different people. `person` is the one tested."""

    person: str
    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]
    validation_people: tuple[str, ...]


def leave_one_out(
    people: Sequence[str],
    scheme: Scheme = "cde",
    validation_share: float = 0.0,
    seed: int = 0,
    excluded: Iterable[str] = (),
) -> tuple[FoldSplit, ...]:
    """A fold for every person, in the order of their names.

    Args:
        people: "dataset/subject" of every row.
        validation_share: share of each fold's training people, one at least, that is held out from training to choose
            the epoch on; 0: nobody. Drawn anew in each fold, from `seed` and the left-out person's name alone.
        excluded: people whose rows are in no fold.

    Raises:
        UsageError: there are not enough people to train on.
    """
    rows = np.array(people)
    kept = sorted(set(people) - set(excluded))
    folds = []
    for person in kept:
        others = [
            other for other in kept if other != person and (scheme == "cde" or _dataset(other) == _dataset(person))
        ]
        held = _drawn(others, validation_share, [seed, zlib.crc32(person.encode())])
        trained = sorted(set(others) - set(held))
        if not trained:
            wanted = "2 people" if not validation_share else "3 people, with --select validation,"
            where = f"dataset {_dataset(person)!r} with --scheme sde" if scheme == "sde" else "the data"
            raise UsageError(f"{where}: expected {wanted} or more to leave one out, found {len(others) + 1}")
        split = [np.flatnonzero(np.isin(rows, names)) for names in (trained, list(held), [person])]
        folds.append(FoldSplit(person, *split, validation_people=held))
    if not folds:
        raise UsageError("people: expected some to leave out, found none")
    return tuple(folds)


def _dataset(person: str) -> str:
    return person.split("/", 1)[0]


def _drawn(people: Sequence[str], share: float, seed: list[int]) -> tuple[str, ...]:
    """A seeded draw of this share of the people, one at least; nobody when the share is 0."""
    wanted = max(1, round(share * len(people))) if share else 0
    order = np.random.default_rng(seed).permutation(len(people))
    return tuple(sorted(people[int(index)] for index in order[:wanted]))
