"""Rows of a table of experiments: what a row is asked, what it answers, and which kinds of rows there are.

A spec (YAML, see `train.experiments.spec`) names rows: settings of `TrainConfig` that differ from a common base, and a
kind. For every row and seed the runner builds a `RowTask` and calls the kind's `answers(task)`, which trains (or not) on
the training people and gives one probability for each class and clip of the validation people, and of the test stores
where there are any. The runner keeps the answers in `task.config.out`, scores all kinds alike, and never asks a finished
row and seed again.

To add a kind: write the functions of `RowKind` in a module of its own and name them in `train.experiments.kinds.KINDS`.
Its module loads TensorFlow and the like inside its functions alone.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from model.contract import ClipContract
from model.types import Image
from train.errors import TrainError
from train.fit_config import TrainConfig


@dataclass(frozen=True, eq=False)
class RowTask:
    """A row with one seed.

    Attributes:
        config: stores (`data`), people (`train.clips.samples.split_by_people(samples, config)` gives the rows to train and to
            validate on), `seed`, recipe, and `out`, the folder of this row and seed, which the kind may write into and
            go on from after an interruption.
        settings: the row's own `settings:` in the spec, for what `TrainConfig` does not know.
        test: stores to answer as well, with all their clips; nothing may be chosen by them.
        console: for progress.
        command: the command line that asked for this.
    """

    config: TrainConfig
    settings: Mapping[str, Any]
    test: tuple[str, ...]
    console: Console
    command: str = ""


@dataclass(frozen=True, eq=False)
class Answers:
    """Probabilities (clips, classes) in the class order of the stores, and the clips' ids as `Samples.ids` has them."""

    ids: tuple[str, ...]
    probabilities: NDArray[np.float32]

    def __post_init__(self) -> None:
        shape = self.probabilities.shape
        if len(shape) != 2 or shape[0] != len(self.ids) or len(set(self.ids)) < len(self.ids):
            raise TrainError(f"answers: expected one row for each of {len(self.ids)} different clips, found {shape}")
        if not np.isfinite(self.probabilities).all():
            raise TrainError("answers: expected finite probabilities, found others")


@dataclass(frozen=True, eq=False)
class RowAnswers:
    """What a row says with one seed: of the validation people's clips, and of each test store (keyed as in
    `RowTask.test`). `parameters` is how many numbers it learned (0: a rule)."""

    parameters: int
    validation: Answers
    test: Mapping[str, Answers]


@dataclass(frozen=True, eq=False)
class LiveLine:
    """A row's work on one live frame, in two steps that are timed apart.

    `preprocess(crop, time_s)`: aligned crop uint8 (size, size[, 3]) → what `answer` takes. `answer(features)`: the
    model. `fps`: how often a second `answer` is asked; `preprocess` sees every frame of the camera. `parameters`: of the model.
    """

    preprocess: Callable[[Image, float], Any]
    answer: Callable[[Any], Any]
    contract: ClipContract
    parameters: int


@dataclass(frozen=True)
class RowKind:
    """A kind of rows. `live(task)` is None for rows that have no live form, which the table shows as such."""

    answers: Callable[[RowTask], RowAnswers]
    live: Callable[[RowTask], LiveLine | None]
