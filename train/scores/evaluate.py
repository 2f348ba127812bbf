"""A model's answers on a clip store: preprocessed by the model's own contract, scored beside chance.

ONNX models run without TensorFlow; it is imported only for Keras files.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from model.atomic import regular_file
from model.contract import ClipContract
from model.errors import ContractError
from model.guards import kind_of_model
from model.quiet import native_log_held_back
from stream.engine.model_file import ANSWER, UNITS, ModelError, RuntimeSettings, answer_of, failed_run, load_model
from train.clips.features import clip_features
from train.clips.samples import resolve_people, samples_of
from train.clips.store import ClipStore
from train.errors import TrainError, UsageError
from train.progress import Advance
from train.scores.metrics import by_peak, join, summary

_BATCH = 8


class Predictor(Protocol):
    """A model with its contract."""

    contract: ClipContract

    def predict(self, clips: NDArray) -> NDArray[np.float32]:
        """Probabilities (n, classes) of clips (n, frames, size, size, channels) in the contract's dtype."""
        ...

    def predict_units(self, clips: NDArray) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Those, and the probabilities of the contract's action units (n, 2 units), without a column where it has none."""
        ...


class OnnxPredictor:
    """A window model as `python -m export` writes it, opened as the live program does, on the CPU."""

    def __init__(self, path: Path) -> None:
        try:
            model = load_model(path, RuntimeSettings("cpu"))
        except ModelError as error:
            raise UsageError(str(error)) from error
        except ContractError as error:
            raise UsageError(f"{path}: {error}") from error
        answer = answer_of(model.session).name
        if model.kind != "window" or answer != ANSWER:
            found = f"a {model.kind} model that answers with {answer}"
            raise UsageError(f"{path}: expected a window model that answers with {ANSWER}, found {found}")
        self.contract, self._session, self._path = model.contract, model.session, path
        self._input = model.session.get_inputs()[0].name

    def predict(self, clips: NDArray) -> NDArray[np.float32]:
        return self.predict_units(clips)[0]

    def predict_units(self, clips: NDArray) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        names = [ANSWER, UNITS] if self.contract.action_units else [ANSWER]
        try:
            found = [np.asarray(values) for values in self._session.run(names, {self._input: clips})]
        except Exception as error:  # of a class of its own for each kind of fault
            raise TrainError(str(failed_run(self._path, error))) from error
        if not all(np.isfinite(values).all() for values in found):
            raise TrainError(
                f"{self._path}: expected probabilities, found answers that are no numbers; export it again"
            )
        return found[0], found[1] if len(found) > 1 else _no_units(clips)


class KerasPredictor:
    """A run's `model.keras` with the `contract.json` beside it."""

    def __init__(self, path: Path) -> None:
        contract = path.with_name("contract.json")
        try:
            self.contract = ClipContract.from_json(regular_file(contract).read_text(encoding="utf-8"))
        except OSError as error:
            raise UsageError(f"{contract}: expected the model's contract, found none ({error.strerror})") from error
        except (ContractError, UnicodeDecodeError) as error:
            raise UsageError(f"{contract}: {error}") from error
        with native_log_held_back():
            from model.network import load_network, network_config

            try:
                self._network = load_network(path)
            except ValueError as error:
                raise UsageError(str(error)) from error
        if self._network.input_shape[1:] != self.contract.input_shape:
            raise UsageError(
                f"{path}: expected {self.contract.input_shape} as in its contract, found {self._network.input_shape[1:]}"
            )
        wanted = len(self.contract.action_units.numbers) if self.contract.action_units else 0
        told = network_config(self._network).action_units
        if told != wanted:
            raise UsageError(f"{path}: expected a network of {wanted} action units as in its contract, found {told}")

    def predict(self, clips: NDArray) -> NDArray[np.float32]:
        return self.predict_units(clips)[0]

    def predict_units(self, clips: NDArray) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        answer: Any = self._network.predict_on_batch(clips)
        if not isinstance(answer, dict):
            return np.asarray(answer), _no_units(clips)
        return np.asarray(answer[ANSWER]), np.asarray(answer[UNITS])


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Answers by sample id, and what `python -m train eval --json` writes."""

    ids: tuple[str, ...]
    probabilities: NDArray[np.float32]
    report: dict[str, Any]


def open_model(path: Path) -> Predictor:
    """The model at `path`: an `.onnx` or `.keras` file, a run's folder or an exported one. Raises UsageError."""
    if path.is_dir():
        for name in ("model.keras", "model.onnx"):
            if (path / name).is_file():
                return open_model(path / name)
        raise UsageError(
            f"{path}: expected a finished run with model.keras or an exported model.onnx, found {kind_of_model(path)}"
        )
    if not path.is_file():
        raise UsageError(f"{path}: expected a model (.onnx, .keras or a run's folder), found nothing")
    return KerasPredictor(path) if path.suffix == ".keras" else OnnxPredictor(path)


def require_fit(store: ClipStore, contract: ClipContract) -> None:
    """Raises UsageError when the store's clips are not what the model was made for."""
    manifest = store.manifest
    pairs = (
        ("classes", ", ".join(contract.class_names), ", ".join(manifest.class_names)),
        ("crop", contract.crop, manifest.crop),
    )
    for what, expected, found in pairs:
        if expected != found:
            raise UsageError(f"{store.path}: {what}: the model expects {expected}, found {found}")
    if contract.input.colour == "rgb" and manifest.colour == "grey":
        raise UsageError(f"{store.path}: colour: the model expects rgb, found grey")
    if not len(store):
        raise UsageError(f"{store.path}: expected clips, found an empty store")


def evaluate(
    predictor: Predictor, store: ClipStore, people: Sequence[str] = (), advance: Advance | None = None
) -> Evaluation:
    """Answers and scores on the clips of these people (all when empty).

    Raises:
        UsageError: the store does not fit the model, or the people are unknown. TrainError: a clip is too short.
    """
    require_fit(store, predictor.contract)
    samples = samples_of((store,))
    chosen = resolve_people(people, samples.people, "--people") if people else set(samples.people)
    rows = [row for row, person in enumerate(samples.people) if person in chosen]
    answers = []
    for start in range(0, len(rows), _BATCH):
        batch = rows[start : start + _BATCH]
        answers.append(predictor.predict(np.stack([_features(store, row, predictor.contract) for row in batch])))
        if advance:
            advance(len(batch))
    probabilities = np.concatenate(answers)
    ids = tuple(samples.ids[row] for row in rows)
    names = predictor.contract.class_names
    truth, guesses = join(
        zip(ids, samples.labels[rows].tolist(), strict=True),
        zip(ids, probabilities.argmax(axis=1).tolist(), strict=True),
    )
    peaks = [samples.peaks_px[row] for row in rows]
    report = summary(truth, guesses, names) | {
        "by_peak": by_peak(truth, guesses, peaks, names),
        "people": sorted(chosen),
    }
    return Evaluation(ids, probabilities, report)


def _no_units(clips: NDArray) -> NDArray[np.float32]:
    return np.zeros((len(clips), 0), np.float32)


def _features(store: ClipStore, row: int, contract: ClipContract) -> NDArray:
    try:
        return clip_features(store, row, contract)
    except ValueError as error:
        raise TrainError(f"{store.path}: clip {store.records[row].id}: {error}") from error
