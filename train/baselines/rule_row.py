"""The landmark rule as a row of experiments."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from train.baselines.landmark_motion import MOTION_SHAPE, store_motions
from train.baselines.landmark_rule import LandmarkRule, class_indices, fit_rule
from train.config import TrainConfig
from train.data import Samples, open_stores, samples_of, split_by_people
from train.errors import UsageError
from train.experiments import Answers, RowAnswers, RowTask
from train.features import Advance
from train.progress import clip_progress
from train.store import ClipStore


def rule_answers(task: RowTask) -> RowAnswers:
    """Sets the thresholds on the training people; the validation people choose nothing here, nor does the seed.

    Raises:
        UsageError: the stores do not fit together, or their classes are not those of the rule.
    """
    config = task.config
    if config.made is not None:
        raise UsageError(f"{config.out}: made: expected none in a baseline's row, which learns from the stores' clips")
    stores = open_stores((*config.data, *task.test))
    trained, tested = stores[: len(config.data)], stores[len(config.data) :]
    samples = samples_of(trained)
    class_indices(samples.class_names)
    split = split_by_people(samples, config)
    rows = np.concatenate([split.train, split.validation])
    every = [np.arange(len(store)) for store in tested]
    with clip_progress(task.console, "landmarks", len(rows) + sum(map(len, every))) as advance:
        motions = _of_several(trained, rows, config, advance)
        tests = [store_motions(store, all_rows, config, advance) for store, all_rows in zip(tested, every, strict=True)]
    learned, held = motions[: len(split.train)], motions[len(split.train) :]
    rule = fit_rule(learned, samples.labels[split.train], samples.class_names)
    task.console.print(f"landmark rule: {rule.in_words()}", highlight=False)
    return RowAnswers(
        parameters=0,
        validation=_answers(rule, samples, split.validation, held),
        test={
            path: _answers(rule, samples_of((store,)), all_rows, found)
            for path, store, all_rows, found in zip(task.test, tested, every, tests, strict=True)
        },
    )


def _of_several(
    stores: Sequence[ClipStore], rows: NDArray[np.int64], config: TrainConfig, advance: Advance
) -> NDArray[np.float32]:
    """Motions of these rows of several stores, one after the other, in the order of `rows`."""
    found, start = np.zeros((len(rows), *MOTION_SHAPE), np.float32), 0
    for store in stores:
        mine = (rows >= start) & (rows < start + len(store))
        found[mine] = store_motions(store, rows[mine] - start, config, advance)
        start += len(store)
    return found


def _answers(rule: LandmarkRule, samples: Samples, rows: NDArray[np.int64], motions: NDArray[np.float32]) -> Answers:
    """All of the probability on the rule's class."""
    one_hot = np.eye(len(samples.class_names), dtype=np.float32)
    ids = tuple(samples.ids[row] for row in rows)
    return Answers(ids, one_hot[rule.classes(motions, samples.class_names)])
