"""The shallow flow network as a row of experiments: trained in the loop of the paper's network, on its features."""

import keras
import numpy as np
from numpy.typing import NDArray

from train.backup import Position
from train.baselines.shallow_flow import build_shallow_flow
from train.data import TrainingSet, load_features, open_stores, run_contract, samples_of, scaling, split_by_people
from train.errors import UsageError
from train.experiments import Answers, RowAnswers, RowTask
from train.history import EpochResult, best_epoch
from train.progress import TrainingProgress, clip_progress
from train.trainer import Trainer, predict


def flow_answers(task: RowTask) -> RowAnswers:
    """Trains on the training people, and answers with the epoch that was best on the validation people (else the last).

    Raises:
        UsageError: the row's input is no flow, or the stores do not fit together.
    """
    config = task.config
    if config.made is not None:
        raise UsageError(f"{config.out}: made: expected none in a baseline's row, which learns from the stores' clips")
    if config.input != "flow":
        raise UsageError(f"{config.out}: a shallow flow row: expected input flow, found {config.input}")
    stores = open_stores((*config.data, *task.test))
    trained, tested = stores[: len(config.data)], stores[len(config.data) :]
    contract = run_contract(config, trained)
    samples = samples_of(trained)
    split = split_by_people(samples, config)
    with clip_progress(task.console, "preparing clips", sum(map(len, stores))) as advance:
        features = load_features(trained, contract, config, advance)
        test_features = [load_features((store,), contract, config, advance) for store in tested]
    data = TrainingSet(features, samples, split, scaling(features, split.train))
    keeper = BestWeights()
    trainer = Trainer(config, data, keeper, build=build_shallow_flow)
    with TrainingProgress(task.console, config.epochs) as progress:
        trainer.train(progress)
    network = trainer.fresh_network()
    network.set_weights(keeper.weights)
    validation = tuple(samples.ids[row] for row in split.validation)
    return RowAnswers(
        parameters=network.count_params(),
        validation=Answers(validation, predict(network, features, split.validation, config.batch)),
        test={
            path: Answers(samples_of((store,)).ids, predict(network, rows, np.arange(len(rows)), config.batch))
            for path, store, rows in zip(task.test, tested, test_features, strict=True)
        },
    )


class BestWeights:
    """The trainer's keeper of a short training: keeps no files, but the `weights` of the chosen epoch so far."""

    weights: list[NDArray]

    def restore(self, network: keras.Model) -> tuple[Position, list[EpochResult]]:
        return Position(), []

    def step(self, network: keras.Model, position: Position) -> None:
        pass

    def epoch(self, network: keras.Model, history: list[EpochResult]) -> None:
        if best_epoch(history) is history[-1]:
            self.weights = network.get_weights()
