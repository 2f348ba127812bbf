"""The kinds of rows that a table of experiments may have. TensorFlow comes in only when one is asked."""

from collections.abc import Mapping, Sequence

import numpy as np

from model.quiet import native_log_held_back
from train.clips.samples import open_stores, samples_of, split_by_people
from train.experiments.rows import Answers, LiveLine, RowAnswers, RowKind, RowTask


def _network_answers(task: RowTask) -> RowAnswers:
    with native_log_held_back():
        from train.experiments.network_row import answers

    return answers(task)


def _network_live(task: RowTask) -> LiveLine:
    from train.experiments.live_cost import network_live

    return network_live(task)


def _shallow_flow_answers(task: RowTask) -> RowAnswers:
    with native_log_held_back():
        from train.experiments.shallow_flow import flow_answers

    return flow_answers(task)


def _landmark_rule_answers(task: RowTask) -> RowAnswers:
    from train.experiments.landmark_rule import rule_answers

    return rule_answers(task)


def majority_answers(task: RowTask) -> RowAnswers:
    """Always the class that is most frequent among the training clips, the first in the stores' order of several.

    Raises UsageError as `open_stores` does.
    """
    stores = open_stores((*task.config.data, *task.test))
    samples = samples_of(stores[: len(task.config.data)])
    split = split_by_people(samples, task.config)
    counts = samples.counts(split.train)
    answer = np.eye(len(counts), dtype=np.float32)[int(np.argmax(counts))]

    def always(ids: Sequence[str]) -> Answers:
        return Answers(tuple(ids), np.tile(answer, (len(ids), 1)))

    return RowAnswers(
        parameters=0,
        validation=always([samples.ids[row] for row in split.validation]),
        test={path: always(samples_of(open_stores((path,))).ids) for path in task.test},
    )


def _no_live(task: RowTask) -> None:
    """Baselines look for the largest motion of a whole clip."""


KINDS: Mapping[str, RowKind] = {
    "network": RowKind(_network_answers, _network_live),
    "shallow_flow": RowKind(_shallow_flow_answers, _no_live),
    "landmark_rule": RowKind(_landmark_rule_answers, _no_live),
    "majority": RowKind(majority_answers, _no_live),
}
"""By the name in a spec."""
