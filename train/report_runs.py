"""Opens the run that a report is about, with its scores: those it wrote when it ended, or of what it has so far."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from train.errors import UsageError
from train.json_text import parsed_json
from train.loso_scores import COMPOSITE, LosoRun, loso_scores, read_run
from train.scores_check import check_scores

SCORES_FILE = "scores.json"


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
        scores = parsed_json(path.read_text(encoding="utf-8"))
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
