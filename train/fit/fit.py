"""One training run from data to a finished folder: features, split by people, scaling, training, scores, contract."""

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import tensorflow as tf
from rich.console import Console

from model.contract import ClipContract
from train.clips.features import features_key
from train.clips.samples import (
    FeatureRows,
    Samples,
    Split,
    TrainingSet,
    load_features,
    open_stores,
    run_contract,
    samples_of,
    scaling,
    scaling_of,
    split_by_people,
)
from train.clips.unit_targets import UNITS
from train.files import RunDir, sole_use, write_text, write_with
from train.fit.plots import draw_confusion, draw_curves, draw_reliability
from train.fit.resume import EpochListener, EpochResult, RunKeeper, best_epoch
from train.fit.trainer import Trainer, TrainingProgress, predict_units
from train.fit_config import TrainConfig
from train.progress import clip_progress
from train.scores.calibration import calibrate, calibration_facts, reliability
from train.scores.metrics import by_peak, summary
from train.scores.unit_scores import choose_threshold, unit_scores
from train.synth.fresh_clips import SCALING_EPOCH, FreshClips, fresh_clips, fresh_split, load_portraits

PARITY_CLIPS = 8
"""Clips kept beside the model, as network input, for the exporter to compare answers on."""

_SCALING_CLIPS, _SCALING_THREADS = 256, 2

ListenerFactory = Callable[[Console, int], AbstractContextManager[EpochListener]]


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
    if config.threads:
        tf.config.threading.set_intra_op_parallelism_threads(config.threads)
    stores = open_stores(config.data)
    contract = run_contract(config, stores)
    samples = samples_of(stores)
    made: FreshClips | None = None
    if config.made is None:
        split = split_by_people(samples, config)
        config.loss_weights(samples.class_names, samples.counts(split.train))
    else:
        split, faces = fresh_split(samples, config, load_portraits(config.made))
        made = fresh_clips(config, contract, faces)
        config.loss_weights(samples.class_names, np.bincount(made.labels, minlength=len(samples.class_names)).tolist())
    run = RunDir(config.out)
    with sole_use(run.path):
        resumes = run.begin(config, overwrite)
        with clip_progress(console, "preparing clips", len(samples.ids)) as advance:
            features = load_features(stores, contract, config, advance)
        data = TrainingSet(features, samples, split, _scaling(features, split, made, console), made)
        units = UNITS if config.action_units else None
        contract = replace(contract, input=config.network_input(*data.scaling), action_units=units)
        run.record_data(_data_facts([features_key(store, contract) for store in stores], data))
        console.print(_opening(contract, data, run, resumes), highlight=False, soft_wrap=True)
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
        truth = samples.labels[split.validation]
        answered, units = predict_units(network, features, split.validation, config.batch)
        probabilities, calibration = calibrate(network, answered, truth, samples.people_of(split.validation))
        contract = replace(contract, calibration=calibration)
        answers = probabilities.argmax(axis=1)
        peaks = [samples.peaks_px[row] for row in split.validation]
        metrics |= summary(truth, answers, samples.class_names) | {
            "by_peak": by_peak(truth, answers, peaks, samples.class_names),
            **calibration_facts(probabilities, truth, calibration),
        }
        if units is not None:
            acting = samples.units[split.validation]
            contract = replace(contract, action_units=replace(UNITS, threshold=choose_threshold(acting, units)))
            metrics |= {"action_units": _unit_facts(contract, acting, units)}
        write_text(run.predictions, _prediction_lines(samples, split.validation, probabilities))
        title = f"{metrics['n']} clips of held-out people, UF1 {metrics['uf1']:.3f}"
        draw_confusion(metrics["confusion"], samples.class_names, title, run.confusion)
        shown = {"before calibration": reliability(answered, truth)} if calibration else {}
        draw_reliability(shown | {"the model": reliability(probabilities, truth)}, run.reliability)
    metrics |= {
        "best_epoch": best.epoch,
        "epochs": len(history),
        "train_n": len(data.training_rows),
        "train_people": len(_training_people(data)),
        "validation_people": samples.people_of(split.validation),
        "parameters": network.count_params(),
        "seconds": round(sum(result.seconds for result in history), 1),
        "clips_per_s": round(float(np.median([result.clips_per_s for result in history])), 2),
        "command": command,
    }
    write_with(run.samples, lambda path: np.save(path, _parity_clips(data)))
    draw_curves(history, metrics.get("chance_uf1"), run.curves)
    write_with(run.model, network.save)
    scores = {name: metrics[name] for name in ("uf1", "uar", "accuracy", "n", "chance_uf1") if name in metrics}
    scores |= {"validation_people": metrics["validation_people"], "command": command}
    final = replace(contract, training_data=_training_data(data, history, config), scores=scores)
    write_text(run.contract, json.dumps(json.loads(final.to_json()), indent=2) + "\n")
    write_text(run.metrics, json.dumps(metrics, indent=2) + "\n")
    shutil.rmtree(run.backup, ignore_errors=True)
    run.drop_weights()
    return metrics


def _unit_facts(contract: ClipContract, acting: np.ndarray, units: np.ndarray) -> dict[str, Any]:
    """How well the validation people's action units are told, on whom the threshold was chosen, too."""
    assert contract.action_units is not None
    return asdict(unit_scores(acting, units, contract.action_units.numbers, contract.action_units.threshold))


def _scaling(features: FeatureRows, split: Split, made: FreshClips | None, console: Console) -> tuple[float, float]:
    """Of the training clips, or of clips made as they are."""
    if made is None:
        return scaling(features, split.train)
    count = min(_SCALING_CLIPS, len(made))
    with clip_progress(console, "scaling", count) as advance, ThreadPoolExecutor(_SCALING_THREADS) as pool:

        def one(index: int) -> np.ndarray:
            clip = made.clip(SCALING_EPOCH, index)
            advance(1)
            return clip

        return scaling_of(pool.map(one, range(count)))


def _parity_clips(data: TrainingSet) -> np.ndarray:
    """A few clips, of held-out people where there are any, as network input."""
    rows = data.split.validation if len(data.split.validation) else data.training_rows
    spread = rows[np.linspace(0, len(rows) - 1, min(PARITY_CLIPS, len(rows))).astype(int)]
    if len(data.split.validation):
        return data.features[spread]
    return np.stack([data.training_clip(0, int(row)) for row in spread])


def _training_people(data: TrainingSet) -> list[str]:
    return data.samples.people_of(data.split.train) if data.fresh is None else list(data.fresh.people)


def _data_facts(keys: list[str], data: TrainingSet) -> dict[str, Any]:
    samples, rows, (offset, scale) = data.samples, data.split.validation, data.scaling
    train = (len(data.training_rows), _training_people(data), data.training_counts)
    parts = {
        name: {"clips": clips, "people": people, "classes": dict(zip(samples.class_names, counts, strict=True))}
        for name, (clips, people, counts) in (
            ("train", train),
            ("validation", (len(rows), samples.people_of(rows), samples.counts(rows))),
        )
    }
    made = {} if data.fresh is None else {"made": data.fresh.digest}
    return {"features": keys, **parts, **made, "offset": offset, "scale": scale}


def _training_data(data: TrainingSet, history: list[EpochResult], config: TrainConfig) -> str:
    samples, split, people = data.samples, data.split, len(_training_people(data))
    if data.fresh is None:
        text = f"{len(split.train)} clips of {people} people from: {samples.sources}"
    else:
        drawn, epochs = data.fresh.drawings, len(history)
        text = f"{drawn * epochs} clips rendered anew, of {people} people, {drawn} in each of {epochs} epochs"
        if drawn < len(data.fresh):
            text += f", which shows {len(data.fresh)}"
    fixed = config.select == "last"
    if fixed:
        text += f"; {len(history)} epochs, fixed in advance"
    if len(split.validation):
        others = len(samples.people_of(split.validation))
        chosen = ", scored on" if fixed else "; best epoch chosen on"
        text += f"{chosen} {len(split.validation)} clips of {others} other people"
    return f"{text}. {config.note}" if config.note else text


def _opening(contract: ClipContract, data: TrainingSet, run: RunDir, resumes: bool) -> str:
    samples, held_rows = data.samples, data.split.validation
    shape = "×".join(map(str, contract.input_shape))
    people = len(samples.people_of(held_rows))
    held = f"validated on {len(held_rows)} clips of {people} more" if people else "nobody held out"
    clips = f"{len(data.training_rows)} clips{' made anew in every epoch' if data.fresh else ''}"
    return (
        f"{'resuming' if resumes else 'training'} {run.path}: {contract.input.kind} {shape}, "
        f"{clips} of {len(_training_people(data))} people, {held}; classes {', '.join(samples.class_names)}"
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
