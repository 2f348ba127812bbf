"""One training run from data to a finished folder: features, split by people, scaling, training, scores, contract."""

import json
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import numpy as np
from rich.console import Console

from model.contract import ClipContract
from train.config import TrainConfig
from train.data import (
    Samples,
    Split,
    TrainingSet,
    load_features,
    open_stores,
    run_contract,
    samples_of,
    scaling,
    split_by_people,
)
from train.features import features_key
from train.history import EpochResult, Listener, best_epoch
from train.keeper import RunKeeper
from train.metrics import by_peak, summary
from train.plots import draw_confusion, draw_curves
from train.progress import TrainingProgress, clip_progress
from train.rundir import RunDir, write_text, write_with
from train.trainer import Trainer, predict

PARITY_CLIPS = 8
"""Clips kept beside the model, as network input, for the exporter to compare answers on."""

ListenerFactory = Callable[[Console, int], AbstractContextManager[Listener]]


def fit(
    config: TrainConfig,
    console: Console,
    overwrite: bool = False,
    command: str = "",
    listener: ListenerFactory = TrainingProgress,
) -> dict[str, Any]:
    """Runs or resumes a training run; returns what its `metrics.json` says.

    Raises:
        UsageError, StoreError: data or run folder do not fit. TrainError: something failed on the way.
    """
    stores = open_stores(config.data)
    contract = run_contract(config, stores)
    samples = samples_of(stores)
    split = split_by_people(samples, config)
    config.loss_weights(samples.class_names, samples.counts(split.train))
    run = RunDir(config.out)
    resumes = run.begin(config, overwrite)
    with clip_progress(console, "preparing clips", len(samples.ids)) as advance:
        features = load_features(stores, contract, config, advance)
    data = TrainingSet(features, samples, split, scaling(features, split.train))
    contract = replace(contract, input=config.network_input(*data.scaling))
    run.record_data(_data_facts([features_key(store, contract) for store in stores], data))
    console.print(_opening(contract, samples, split, run, resumes), highlight=False, soft_wrap=True)
    lacking = [name for name, n in zip(samples.class_names, samples.counts(split.validation), strict=True) if not n]
    if lacking and len(split.validation):
        console.print(
            f"no clips of {', '.join(lacking)} among the validation people: UF1 counts 0 for them", style="yellow"
        )
    with RunKeeper(run) as keeper, listener(console, config.epochs) as progress:
        trainer = Trainer(config, data, keeper)
        history = trainer.train(progress)
    return _finish(trainer, config, contract, data, run, history, command)


def _finish(
    trainer: Trainer,
    config: TrainConfig,
    contract: ClipContract,
    data: TrainingSet,
    run: RunDir,
    history: list[EpochResult],
    command: str,
) -> dict[str, Any]:
    """Writes the run's results, `metrics.json` last, and removes what only a resumed run needs."""
    features, samples, split = data.features, data.samples, data.split
    network, best = trainer.fresh_network(), best_epoch(history)
    network.load_weights(run.best_weights(best.epoch))
    metrics: dict[str, Any] = {}
    if len(split.validation):
        probabilities = predict(network, features, split.validation, config.batch)
        truth, answers = samples.labels[split.validation], probabilities.argmax(axis=1)
        peaks = [samples.peaks_px[row] for row in split.validation]
        metrics |= summary(truth, answers, samples.class_names) | {
            "by_peak": by_peak(truth, answers, peaks, samples.class_names)
        }
        write_text(run.predictions, _prediction_lines(samples, split.validation, probabilities))
        title = f"{metrics['n']} clips of held-out people, UF1 {metrics['uf1']:.3f}"
        draw_confusion(metrics["confusion"], samples.class_names, title, run.confusion)
    metrics |= {
        "best_epoch": best.epoch,
        "epochs": len(history),
        "train_n": len(split.train),
        "train_people": len(samples.people_of(split.train)),
        "validation_people": samples.people_of(split.validation),
        "parameters": network.count_params(),
        "seconds": round(sum(result.seconds for result in history), 1),
        "clips_per_s": round(float(np.median([result.clips_per_s for result in history])), 2),
        "command": command,
    }
    kept = split.validation if len(split.validation) else split.train
    spread = kept[np.linspace(0, len(kept) - 1, min(PARITY_CLIPS, len(kept))).astype(int)]
    write_with(run.samples, lambda path: np.save(path, features[spread]))
    draw_curves(history, metrics.get("chance_uf1"), run.curves)
    write_with(run.model, network.save)
    scores = {name: metrics[name] for name in ("uf1", "uar", "accuracy", "n", "chance_uf1") if name in metrics}
    scores |= {"validation_people": metrics["validation_people"], "command": command}
    final = replace(contract, training_data=_training_data(samples, split, config.note), scores=scores)
    write_text(run.contract, json.dumps(json.loads(final.to_json()), indent=2) + "\n")
    write_text(run.metrics, json.dumps(metrics, indent=2) + "\n")
    shutil.rmtree(run.backup, ignore_errors=True)
    run.drop_weights()
    return metrics


def _data_facts(keys: list[str], data: TrainingSet) -> dict[str, Any]:
    samples, (offset, scale) = data.samples, data.scaling
    parts = {
        name: {
            "clips": len(rows),
            "people": samples.people_of(rows),
            "classes": dict(zip(samples.class_names, samples.counts(rows), strict=True)),
        }
        for name, rows in (("train", data.split.train), ("validation", data.split.validation))
    }
    return {"features": keys, **parts, "offset": offset, "scale": scale}


def _training_data(samples: Samples, split: Split, note: str) -> str:
    text = f"{len(split.train)} clips of {len(samples.people_of(split.train))} people from: {samples.sources}"
    if len(split.validation):
        text += f"; best epoch chosen on {len(split.validation)} clips of {len(samples.people_of(split.validation))} other people"
    return f"{text}. {note}" if note else text


def _opening(contract: ClipContract, samples: Samples, split: Split, run: RunDir, resumes: bool) -> str:
    shape = "×".join(map(str, contract.input_shape))
    people = len(samples.people_of(split.validation))
    held = f"validated on {len(split.validation)} clips of {people} more" if people else "nobody held out"
    return (
        f"{'resuming' if resumes else 'training'} {run.path}: {contract.input.kind} {shape}, "
        f"{len(split.train)} clips of {len(samples.people_of(split.train))} people, {held}; classes {', '.join(samples.class_names)}"
    )


def _prediction_lines(samples: Samples, rows: np.ndarray, probabilities: np.ndarray) -> str:
    lines = (
        {
            "id": samples.ids[row],
            "person": samples.people[row],
            "label": samples.class_names[samples.labels[row]],
            "probabilities": dict(zip(samples.class_names, (round(float(p), 6) for p in answer), strict=True)),
        }
        for row, answer in zip(rows, probabilities, strict=True)
    )
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
