"""The rows that are a network of the project: an ordinary run of `train fit`, which goes on where it was interrupted."""

import json

import keras
import numpy as np
from numpy.typing import NDArray

from model.quiet import native_log_held_back
from train.clips.samples import load_features, open_stores, samples_of
from train.config_file import config_from, read_config_file
from train.errors import UsageError
from train.experiments.rows import Answers, RowAnswers, RowTask
from train.files import RunDir
from train.fit.fit import fit
from train.progress import clip_progress
from train.scores.evaluate import open_model, require_fit

_BATCH = 32


def answers(task: RowTask) -> RowAnswers:
    """Trains where there is no finished run yet; the epoch is the best on the validation people, as in `train fit`."""
    run = RunDir(task.config.out)
    if not run.finished:
        fit(task.config, task.console, command=task.command)
        keras.utils.clear_session()  # or every run would leave its graphs in memory
    else:
        changed = task.config.differences(config_from(read_config_file(run.config)))
        if changed:
            raise UsageError(
                f"{run.path}: holds a run with other settings ({', '.join(changed)}); choose another --out, or add --overwrite"
            )
    metrics = json.loads(run.metrics.read_text(encoding="utf-8"))
    return RowAnswers(metrics["parameters"], _validation(run), {path: _on(path, task) for path in task.test})


def _validation(run: RunDir) -> Answers:
    lines = [json.loads(line) for line in run.predictions.read_text(encoding="utf-8").splitlines()]
    rows = [list(line["probabilities"].values()) for line in lines]
    return Answers(tuple(line["id"] for line in lines), np.array(rows, np.float32))


def _on(path: str, task: RowTask) -> Answers:
    """The finished run's answers on all clips of a store."""
    stores = open_stores((path,))
    predictor = open_model(RunDir(task.config.out).path)
    require_fit(stores[0], predictor.contract)
    with clip_progress(task.console, f"preparing {path}", len(stores[0])) as advance:
        features = load_features(stores, predictor.contract, task.config, advance)
    found: list[NDArray[np.float32]] = []
    with native_log_held_back():
        for start in range(0, len(features), _BATCH):
            clips = features[np.arange(start, min(start + _BATCH, len(features)))]
            found.append(predictor.predict(clips.astype(predictor.contract.input.dtype, copy=False)))
    return Answers(samples_of(stores).ids, np.concatenate(found))
