"""The run that a report is about: its scores, those it wrote or of what it has so far, and its losses over the epochs."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.atomic import regular_file
from train.config_file import config_from
from train.errors import UsageError
from train.files import parsed_json
from train.loso.pooled_scores import check_scores, loso_scores
from train.loso.predictions import COMPOSITE, Fold, LosoRun, read_run

SCORES_FILE = "scores.json"
SPREAD_PERCENT = (10, 90)
"""Percentiles over folds between which the spread is drawn."""


@dataclass(frozen=True)
class ScoredRun:
    """A run and what `scores.json` holds of it.

    `scored` is the part of the run that the scores are of: the run itself, or while folds are missing the people who
    are done with every one of `scored.seeds`.
    """

    run: LosoRun
    scored: LosoRun
    scores: Mapping[str, Any]
    name: str

    @property
    def folds_done(self) -> int:
        return sum(len(folds) for folds in self.run.folds.values())

    @property
    def folds(self) -> int:
        return self.folds_done + len(self.run.missing)


def open_run(path: Path, name: str | None = None) -> ScoredRun:
    """The run in a folder, finished or not; `name` is the folder's own unless given.

    Raises:
        UsageError: there is no run, it is damaged, or none of its folds is finished.
    """
    run = read_run(path, allow_partial=True)
    scored = finished_part(run)
    name = name or path.resolve().name
    written = path / SCORES_FILE
    if scored is run and written.is_file():
        return ScoredRun(run, run, _written(written, run), name)
    return ScoredRun(run, scored, loso_scores(scored), name)


def finished_part(run: LosoRun) -> LosoRun:
    """The run without what is missing, as if nothing else had been planned; the run itself when nothing is.

    Scores over seeds must be of the same clips. Of the seeds with the most finished folds so many are taken that the
    most predictions are kept of people who are done with all of them.

    Raises:
        UsageError: no fold is finished.
    """
    if not run.missing:
        return run
    clips = Counter(sample.person for sample in run.samples.values())
    seeds = sorted(run.seeds, key=lambda seed: (-len(run.folds[seed]), seed))
    options = []
    for count in range(1, len(seeds) + 1):
        done = frozenset.intersection(*(frozenset(run.folds[seed]) for seed in seeds[:count]))
        options.append((count * sum(clips[person] for person in done), seeds[:count], done))
    _, kept_seeds, people = max(options, key=lambda option: option[0])
    if not people:
        raise UsageError(f"{run.path}: expected a finished fold, found none yet; go on with: {run.command}")
    samples = {sample_id: sample for sample_id, sample in run.samples.items() if sample.person in people}
    chosen = tuple(seed for seed in run.seeds if seed in kept_seeds)
    return replace(
        run,
        seeds=chosen,
        samples=samples,
        predictions={seed: {i: run.predictions[seed][i] for i in samples} for seed in chosen},
        folds={seed: {p: fold for p, fold in run.folds[seed].items() if p in people} for seed in chosen},
        missing=(),
    )


def _written(path: Path, run: LosoRun) -> Mapping[str, Any]:
    """The scores that the run wrote; raises UsageError unless they are of this run."""
    again = f"make it again with: {run.command}"
    try:
        scores = parsed_json(regular_file(path).read_text(encoding="utf-8"))
        found = (tuple(scores["seeds"]), tuple(scores["class_names"]), scores["parts"]["composite"]["n"])
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path}: expected the run's scores, found something else ({error!r}); {again}") from error
    expected = (run.seeds, run.class_names, len(run.samples))
    if found != expected:
        raise UsageError(f"{path}: expected scores of {expected} (seeds, classes, clips), found {found}; {again}")
    try:
        check_scores(scores, run.class_names, len(run.seeds), (COMPOSITE, *run.datasets))
    except ValueError as error:
        raise UsageError(f"{path}: expected the run's scores, found something else ({error}); {again}") from error
    return scores


@dataclass(frozen=True, eq=False)
class Curve:
    """A value by epoch, each (epochs,): the mean over `folds` folds of all seeds, and the spread's lower and upper end."""

    epochs: NDArray[np.int64]
    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    folds: int


@dataclass(frozen=True)
class RunCurves:
    """A run's curves; those of the validation people are None where a run has none."""

    training: Curve | None
    validation: Curve | None
    validation_uf1: Curve | None


def curves_of(run: LosoRun) -> RunCurves:
    """The curves over all finished folds of all seeds."""
    folds = [fold for by_person in run.folds.values() for fold in by_person.values()]
    return RunCurves(*(_curve(folds, key) for key in ("loss", "val_loss", "val_uf1")))


def loss_in_words(config: Mapping[str, Any], class_names: Sequence[str], counts: Sequence[int]) -> str:
    """ "plain cross-entropy", or "weighted cross-entropy" with its weights; `counts` are all clips of each class."""
    try:
        settings = config_from(config)
        weights = settings.loss_weights(tuple(class_names), [max(count, 1) for count in counts])
    except (UsageError, TypeError, ValueError):  # settings of another version of the program
        return f"cross-entropy, class weights {config.get('class_weights', 'unknown')}"
    if len(set(weights)) == 1:
        return "plain cross-entropy"
    return f"weighted cross-entropy ({'/'.join(f'{weight:.3g}' for weight in weights)})"


def _curve(folds: Iterable[Fold], key: str) -> Curve | None:
    by_epoch: dict[int, list[float]] = {}
    used = 0
    for fold in folds:
        values = {int(line["epoch"]): float(line[key]) for line in fold.epochs if line.get(key) is not None}
        used += bool(values)
        for epoch, value in values.items():
            if np.isfinite(value):
                by_epoch.setdefault(epoch, []).append(value)
    if not by_epoch:
        return None
    epochs = sorted(by_epoch)
    spread = np.array([np.percentile(by_epoch[epoch], SPREAD_PERCENT) for epoch in epochs])
    mean = np.array([np.mean(by_epoch[epoch]) for epoch in epochs])
    return Curve(np.array(epochs, np.int64), mean, spread[:, 0], spread[:, 1], used)
