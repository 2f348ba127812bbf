"""The class that is most frequent among the training clips, for every clip, as a row of experiments."""

from collections.abc import Sequence

import numpy as np

from train.data import open_stores, samples_of, split_by_people
from train.experiments import Answers, RowAnswers, RowTask


def majority_answers(task: RowTask) -> RowAnswers:
    """The first in the stores' order where several classes are as frequent. Raises UsageError as `open_stores` does."""
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
