"""What models answer to the clips of a store: windows by timestamps through the shared preprocessing, answers kept.

Models whose contracts ask for the same network input share its computation.
"""

import dataclasses
import hashlib
import json
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

import model.preprocess
from model.contract import ClipContract
from model.preprocess import Features, Preprocessor, TimeResampler
from train.clips.store import ClipStore
from train.errors import UsageError
from train.files import read_object, write_with
from train.progress import Advance
from train.scores.evaluate import Predictor, open_model

_CHUNK = 8
_EARLY_S = 1e-6

Crops = NDArray[np.uint8]
Frozen = Callable[[int, Crops], Crops]
"""What is shown instead of a row's crops (frames, size, size): the same shape."""


@dataclass(frozen=True, eq=False)
class AssessedModel:
    """A model that is assessed: `name` as it was given, `key` a hash of its files.

    `known`: people whom it was trained, chosen or calibrated on, as far as its contract and its run's folder tell.
    """

    name: str
    key: str
    predictor: Predictor
    known: frozenset[str]

    @property
    def contract(self) -> ClipContract:
        return self.predictor.contract


def open_candidates(paths: Sequence[Path]) -> list[AssessedModel]:
    """The models at these paths; raises UsageError when they cannot answer to the same clips."""
    predictors = [open_model(path) for path in paths]
    found = [
        AssessedModel(_name(path), _file_key(path), predictor, _known(path, predictor.contract))
        for path, predictor in zip(paths, predictors, strict=True)
    ]
    first = found[0]
    for other in found[1:]:
        for what in ("class_names", "crop"):
            expected, has = getattr(first.contract, what), getattr(other.contract, what)
            if expected != has:
                raise UsageError(f"{other.name}: {what}: expected {expected} as in {first.name}, found {has}")
    return found


def window(crops: Crops, fps: float, contract: ClipContract, start_s: float) -> Features:
    """The network's window of a clip that starts `start_s` after the clip's first frame, as live would see it then.

    `crops` (T, size, size[, 3]) come `fps` a second; the network's grid starts with the first of them. Returns
    (contract.frames, input size, input size, channels).

    Raises:
        ValueError: the clip ends before the window does, or the window starts before the clip.
    """
    preprocessor, resampler = Preprocessor(contract), TimeResampler(contract.fps)
    last = int((start_s + contract.window_s) * contract.fps + _EARLY_S * contract.fps)
    nothing = np.zeros(contract.input_shape[1:], contract.input.dtype)
    frames: deque[Features] = deque(maxlen=contract.frames)
    grid = -1
    for index, crop in enumerate(crops):
        if index + 1 < start_s * fps - _EARLY_S * fps:  # neither in the window nor the frame before it
            preprocessor.settle(crop, index / fps)
            seen = nothing
        else:
            seen = preprocessor.step(crop, index / fps)
        for features in resampler.step(seen, index / fps):
            grid += 1
            if grid <= last:
                frames.append(features)
        if grid >= last:
            break
    if grid < last or len(frames) < contract.frames:
        raise ValueError(
            f"clip: expected a window of {contract.frames} frames at {contract.fps:g} fps from {start_s:.2f} s on, "
            f"found {len(crops)} frames at {fps:g} fps"
        )
    return np.stack(frames)


def answers(
    candidates: Sequence[AssessedModel],
    store: ClipStore,
    start_s: float,
    jobs: int,
    advance: Advance,
    frozen: tuple[str, Frozen] | None = None,
    clips: int | None = None,
) -> list[NDArray[np.float32]]:
    """Probabilities of each model, kept beside the clips for the next time: (clips, classes + 2 units), those of the classes
    first, then those of the action units where it tells them.

    `start_s` is when the windows start, after the clips' first frames. `frozen`: (name, what is shown instead).
    `clips`: only so many of the first. `advance` is told of clips that all models have answered.
    """
    count = len(store) if clips is None else clips
    name = f"{frozen[0] if frozen else 'moving'}-{count}"
    paths = [store.path / f"answers-{name}-{_answer_key(candidate, start_s)}.npy" for candidate in candidates]
    missing = [number for number, path in enumerate(paths) if not path.is_file()]
    if missing:
        found = _computed([candidates[number] for number in missing], store, count, start_s, jobs, advance, frozen)
        for number, values in zip(missing, found, strict=True):
            write_with(paths[number], lambda path, values=values: np.save(path, values))
    else:
        advance(count)
    return [np.load(path) for path in paths]


def grey_or_rgb(crops: NDArray[np.uint8], contract: ClipContract) -> Crops:
    """A store's clip (T, size, size, channels) as the contract wants it."""
    if crops.shape[-1] == 1:
        if contract.input.colour == "rgb":
            raise UsageError("clips: expected rgb, as a model wants them, found grey")
        return crops[..., 0]
    if contract.input.colour == "grey":
        return np.stack([cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY) for crop in crops])
    return crops


def _computed(
    candidates: Sequence[AssessedModel],
    store: ClipStore,
    count: int,
    start_s: float,
    jobs: int,
    advance: Advance,
    frozen: tuple[str, Frozen] | None,
) -> list[NDArray[np.float32]]:
    recipes = {_recipe(candidate.contract): candidate.contract for candidate in candidates}

    def features(row: int, contract: ClipContract) -> Features:
        crops = grey_or_rgb(np.asarray(store.clips[row]), contract)
        shown = frozen[1](row, crops) if frozen else crops
        return window(shown, store.manifest.fps, contract, start_s)

    found: list[list[NDArray[np.float32]]] = [[] for _ in candidates]
    with _one_opencv_thread(), ThreadPoolExecutor(jobs) as pool:
        for first in range(0, count, _CHUNK):
            rows = range(first, min(first + _CHUNK, count))
            inputs = {
                recipe: np.stack(list(pool.map(lambda row, wanted=contract: features(row, wanted), rows)))
                for recipe, contract in recipes.items()
            }
            for candidate, given in zip(candidates, found, strict=True):
                told = candidate.predictor.predict_units(inputs[_recipe(candidate.contract)])
                given.append(np.concatenate(told, axis=1))
            advance(len(rows))
    return [np.concatenate(parts) for parts in found]


def _recipe(contract: ClipContract) -> str:
    """What decides the network's input; offset and scale are applied within the network."""
    recipe = dataclasses.asdict(contract.input) | {"offset": None, "scale": None}
    parts = [recipe, dataclasses.asdict(contract.reference), dataclasses.asdict(contract.crop)]
    return json.dumps([*parts, contract.frames, contract.fps], sort_keys=True)


@contextmanager
def _one_opencv_thread() -> Iterator[None]:
    """Clips are prepared side by side, so OpenCV's own threads would only get in the way."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def _name(path: Path) -> str:
    """The path, from here where it is below."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_absolute() and path.is_relative_to(here) else path)


def _known(path: Path, contract: ClipContract) -> frozenset[str]:
    """People's names without their datasets."""
    people: list[str] = list(contract.scores.get("validation_people", ()))
    people += list(contract.calibration.people) if contract.calibration else []
    record = (path if path.is_dir() else path.parent) / "data.json"
    if record.is_file():
        said = read_object(record, "whom the model was trained on")
        try:
            people += [person for part in ("train", "validation") for person in said.get(part, {}).get("people", ())]
        except (AttributeError, TypeError) as error:
            raise UsageError(f"{record}: expected the people of a run, found something else ({error})") from error
    return frozenset(str(person).rsplit("/", 1)[-1] for person in people)


def _answer_key(candidate: AssessedModel, start_s: float) -> str:
    digest = hashlib.sha256(f"{candidate.key} {start_s:.6f}".encode())
    digest.update(Path(model.preprocess.__file__).read_bytes())
    digest.update(Path(__file__).read_bytes())
    return digest.hexdigest()[:16]


def _file_key(path: Path) -> str:
    """Hash of a model's files: an .onnx or .keras file with the contract beside it, or those of a folder."""
    folder = path if path.is_dir() else path.parent
    names = ("model.keras", "model.onnx", "contract.json") if path.is_dir() else (path.name, "contract.json")
    digest = hashlib.sha256()
    for name in names:
        if (folder / name).is_file():
            digest.update((folder / name).read_bytes())
    return digest.hexdigest()
