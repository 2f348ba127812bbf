"""Scores of a leave-one-subject-out run: pooled over its folds, beside what guessing gets on the same folds.

Every part (all samples, "composite", and each dataset) is scored once a seed from the confusion matrix of all its
samples, as in MEGC 2019; mean and standard deviation are over seeds. Where a run kept the answers of every epoch, the
published scoring stands beside it, labelled optimistic, with its own line of chance.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from train.errors import UsageError
from train.loso_scores_reader import read_run, require_finished
from train.loso_scores_records import COMPOSITE, EpochAnswers, Fold, LosoRun, Prediction, Sample
from train.loso_scores_table import scores_table
from train.metrics import Scores, chance, confusion_matrix, join, scores
from train.published import OPTIMISTIC, FoldAnswers, published_chance, published_scores
from train.rundir import write_text

__all__ = [
    "COMPOSITE",
    "EpochAnswers",
    "Fold",
    "LosoRun",
    "Prediction",
    "Sample",
    "loso_scores",
    "read_run",
    "scores_table",
    "spread",
    "write_scores",
]

_SCORES = ("uf1", "uar", "accuracy")


def loso_scores(run: LosoRun) -> dict[str, Any]:
    """What `scores.json` holds.

    class_names, scheme, select, protocol, epochs, seeds, and parts: "composite" and each dataset, with n, people, uf1,
    uar and accuracy (as `spread` gives them), per_class (means over seeds), confusion (one matrix a seed, rows truth),
    chance, and published (null without the answers of every epoch).

    Raises:
        UsageError: folds are missing, or some folds have the answers of every epoch and others not.
    """
    require_finished(run)
    return {
        "class_names": list(run.class_names),
        "scheme": run.scheme,
        "select": run.select,
        "protocol": run.protocol,
        "epochs": run.epochs,
        "seeds": list(run.seeds),
        "parts": {name: _part(run, run.part(name)) for name in (COMPOSITE, *run.datasets)},
    }


def write_scores(path: Path | str) -> dict[str, Any]:
    """Reads the finished run in the folder `path`, writes its `scores.json` and returns what is in it.

    Raises:
        UsageError: as `read_run` and `loso_scores`. OSError: the file cannot be written.
    """
    found = loso_scores(read_run(path))
    write_text(Path(path) / "scores.json", json.dumps(found, indent=2, ensure_ascii=False) + "\n")
    return found


def spread(values: Sequence[float]) -> dict[str, Any]:
    """mean, sd (of a sample of seeds, n - 1; None for one seed) and by_seed."""
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {"mean": float(np.mean(values)), "sd": sd, "by_seed": [float(value) for value in values]}


def _part(run: LosoRun, samples: Sequence[Sample]) -> dict[str, Any]:
    found = [_pooled(run, samples, seed) for seed in run.seeds]
    guess = chance(np.bincount([sample.label for sample in samples], minlength=len(run.class_names)))
    return {
        "n": len(samples),
        "people": len({sample.person for sample in samples}),
        **{name: spread([getattr(one, name) for one in found]) for name in _SCORES},
        "per_class": {
            name: {
                **{
                    kind: float(np.mean([getattr(one.per_class[name], kind) for one in found]))
                    for kind in ("precision", "recall", "f1")
                },
                "n": found[0].per_class[name].n,
            }
            for name in run.class_names
        },
        "confusion": [[list(row) for row in one.confusion] for one in found],
        "chance": {name: getattr(guess, name) for name in _SCORES},
        "published": _published(run, samples),
    }


def _pooled(run: LosoRun, samples: Sequence[Sample], seed: int) -> Scores:
    predicted = run.predictions[seed]
    truth, answers = join(
        ((sample.id, sample.label) for sample in samples),
        ((sample.id, predicted[sample.id].answer) for sample in samples),
    )
    return scores(confusion_matrix(truth, answers, len(run.class_names)), run.class_names)


def _published(run: LosoRun, samples: Sequence[Sample]) -> dict[str, Any] | None:
    people = tuple(dict.fromkeys(sample.person for sample in samples))
    draws = _draws(run)
    if draws is None:
        return None
    classes = len(run.class_names)
    found = [published_scores([_answers(run, run.folds[seed][one]) for one in people], classes) for seed in run.seeds]
    supports = np.zeros((len(people), classes), np.int64)
    for sample in samples:
        supports[people.index(sample.person), sample.label] += 1
    guess = published_chance(supports, draws)
    return {
        "label": OPTIMISTIC,
        **{name: spread([getattr(one, name) for one in found]) for name in _SCORES},
        "chance": {name: getattr(guess, name) for name in _SCORES},
        "chance_draws": draws,
    }


def _draws(run: LosoRun) -> int | None:
    """How many epochs every fold could choose from; None where no fold says."""
    folds = [fold for of_seed in run.folds.values() for fold in of_seed.values()]
    lengths = {len(fold.test_epochs.answers) if fold.test_epochs else 0 for fold in folds}
    if len(lengths) > 1:
        raise UsageError(
            f"{run.path}: test_epochs: expected the answers of equally many epochs in every fold, found {sorted(lengths)}"
        )
    draws = lengths.pop()
    if run.protocol == "published" and not draws:
        raise UsageError(f"{run.path}: expected test_epochs in every fold under the published protocol, found none")
    return draws or None


def _answers(run: LosoRun, fold: Fold) -> FoldAnswers:
    assert fold.test_epochs is not None
    truth = [run.samples[sample_id].label for sample_id in fold.test_epochs.ids]
    return FoldAnswers(np.array(truth), np.array(fold.test_epochs.answers))
