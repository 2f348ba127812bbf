"""Adapts a network on a fold's training people and has it answer the one who was left out.

First the head learns, from what the rest of the network sees of every clip and of its mirror image: that stays as it is and is
worked out once, so that an epoch takes no time. Then all layers go on together from augmented clips. The epoch is chosen on the
validation people, who are of the training people and not trained on; epoch 0, the network as it was, is among those to choose from.
"""

import functools
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from model.config import NetworkConfig
from model.contract import InputKind
from model.network import load_network
from train.adapt.adapt_job import HEAD, AdaptJob
from train.clips.augmentation import Transform
from train.clips.samples import FeatureRows, Samples, Split, TrainingSet
from train.errors import TrainError
from train.files import write_with
from train.fit.resume import EpochResult, Position, best_epoch
from train.fit.trainer import Trainer, predict
from train.fit_config import TrainConfig
from train.loso.fold import Unheard, weighted_for
from train.loso.fold_job import FoldData, FoldResult

_VECTORS: dict[str, Any] = {
    "input": "difference",
    "reference": "ema",
    "time_constant_s": None,
    "lag_s": None,
    "action_units": False,
    **dict.fromkeys(("rotate", "zoom", "shift", "time_jitter", "brightness", "contrast", "noise"), 0.0),
    **dict.fromkeys(("flow_gains", "flow_noise", "flow_cutout", "flow_elastic"), 0.0),
    "flip": False,
    "magnify": (1.0, 1.0),
}
"""What was seen of a clip is taken as differences are that are not augmented: as it is."""
_MIRRORED = Transform(flip=True)
_BATCH = 16


def adapt_fold(data: FoldData, job: AdaptJob) -> FoldResult:
    """Trains on the job's training rows, the head first, and answers its test rows.

    Without validation rows the last epoch is kept. The test rows have no part in any of it.

    Raises:
        TrainError: the network's answers are not finite.
    """
    started = time.monotonic()
    keras.utils.clear_session()  # nothing of the fold before
    features, split, base = FeatureRows.open(data.features), job.split, _base(job)
    training = TrainingSet(features, data.samples, Split(split.train, split.validation), job.scaling)
    config = weighted_for(job.config, training)
    kept = _Best({layer.name: layer.get_weights() for layer in base.layers})
    if job.head_epochs + job.all_epochs:
        _learn_head(base, training, replace(config, epochs=max(job.head_epochs, 1)), kept, job)
    if job.all_epochs:
        everything = replace(config, epochs=job.head_epochs + job.all_epochs, learning_rate=job.all_learning_rate)
        Trainer(everything, training, kept, kept.resume).train(Unheard())
    network = Trainer(config, training, kept).fresh_network()
    _put(kept.best, network)
    probabilities = np.zeros((0, len(data.samples.class_names)), np.float32)
    if len(split.test):
        probabilities = predict(network, features, split.test, config.batch)
    if not np.isfinite(probabilities).all():
        raise TrainError("the network's answers are no numbers any more; a lower --learning-rate may help")
    if job.keep_in is not None:
        write_with(Path(job.keep_in), network.save)
    told = kept.history[1:]
    return FoldResult(
        seed=config.seed,
        person=split.person,
        train_n=len(split.train),
        validation_people=split.validation_people,
        rows=split.test,
        probabilities=probabilities,
        epoch=best_epoch(kept.history).epoch if kept.history else 0,
        epochs=tuple(told),
        test_answers=None,
        seconds=time.monotonic() - started,
        clips_per_s=float(np.median([result.clips_per_s for result in told])) if told else 0.0,
    )


def _learn_head(base: keras.Model, data: TrainingSet, config: TrainConfig, kept: "_Best", job: AdaptJob) -> None:
    """The head alone, in a network of its own; also judges the network before it learned anything."""
    assert job.pretrained is not None
    seen = _seen(data.features.files, job.pretrained.model, config.input)
    split = Split(np.concatenate([data.split.train, len(data.features) + data.split.train]), data.split.validation)
    twice = TrainingSet(FeatureRows([seen]), _twice(data.samples), split, data.scaling)
    plain = replace(config, **_VECTORS)
    trainer = Trainer(plain, twice, kept, kept.resume, functools.partial(_head, base))
    network = trainer.fresh_network()
    _put(kept.best, network)
    kept.begin(trainer.assess(network, [], 0, 0.0, 0.0, 0.0))
    if job.head_epochs:
        trainer.train(Unheard())


@functools.lru_cache(maxsize=1)
def _seen(files: tuple[str, ...], model: str, kind: InputKind) -> NDArray[np.float32]:
    """What comes out of all layers before the head, (2 clips, units, 1, 1): of every clip, then of their mirror images. The same
    in all folds."""
    features, network = FeatureRows.open(files), load_network(model)
    before: Any = keras.Model(network.inputs, network.get_layer(HEAD[0]).input)
    clips, units = len(features), before.output_shape[-1]
    seen = np.zeros((2 * clips, units, 1, 1), np.float32)
    for start in range(0, clips, _BATCH):
        rows = np.arange(start, min(start + _BATCH, clips))
        shown = features[rows]
        mirrored = np.stack([_MIRRORED.apply(clip, kind) for clip in shown])
        for places, pictures in ((rows, shown), (clips + rows, mirrored)):
            seen[places] = before.predict_on_batch(_as_input(pictures)).reshape(-1, units, 1, 1)
    return seen


def _as_input(clips: NDArray[Any]) -> NDArray[Any]:
    return clips if clips.dtype == np.uint8 else clips.astype(np.float32)


def _head(base: keras.Model, _: NetworkConfig) -> keras.Model:
    """The base's layers from what was seen (batch, units, 1, 1) to the classes, new and with their names."""
    units = base.get_layer(HEAD[0]).input.shape[-1]
    seen = keras.Input((units, 1, 1), name="seen")
    answer = keras.layers.Reshape((units,), name="units")(seen)
    for name in (HEAD[0], f"{HEAD[0]}_activation", HEAD[1], f"{HEAD[1]}_activation", HEAD[2], "probabilities"):
        layer: Any = base.get_layer(name)
        answer = type(layer).from_config(layer.get_config())(answer)
    return keras.Model(seen, answer)


def _twice(samples: Samples) -> Samples:
    """Every clip, and once more for its mirror image."""
    return replace(
        samples,
        ids=samples.ids * 2,
        people=samples.people * 2,
        labels=np.tile(samples.labels, 2),
        peaks_px=samples.peaks_px * 2,
        units=np.tile(samples.units, (2, 1)),
    )


def _base(job: AdaptJob) -> keras.Model:
    assert job.pretrained is not None
    return load_network(job.pretrained.model)


_Weights = dict[str, list[NDArray[Any]]]
"""Of layers by name."""


def _put(weights: _Weights, network: keras.Model) -> None:
    for layer in network.layers:
        if layer.weights:
            layer.set_weights(weights[layer.name])


class _Best:
    """The trainers' keeper: the weights of the best epoch of both stages, and the newest, from which the next stage goes on."""

    def __init__(self, before: _Weights) -> None:
        self.best = self._newest = before
        self.history: list[EpochResult] = []

    def begin(self, result: EpochResult) -> None:
        """How the network answered before it learned anything: epoch 0."""
        self.history = [replace(result, epoch=0)]

    def resume(self, network: keras.Model) -> None:
        """Puts the newest weights into a stage's network."""
        _put(self._newest, network)

    def restore(self, network: keras.Model) -> tuple[Position, list[EpochResult]]:
        return Position(self.history[-1].epoch), self.history

    def step(self, network: keras.Model, position: Position) -> None:
        pass

    def epoch(self, network: keras.Model, answering: keras.Model, history: list[EpochResult]) -> None:
        self._newest = self._newest | {layer.name: layer.get_weights() for layer in network.layers}
        if history[-1].best:
            self.best = self._newest
