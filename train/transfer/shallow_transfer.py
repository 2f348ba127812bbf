"""A small classifier learns from the generator's flow pictures alone, and is asked about those of real micro-expressions.

What it scores is what carries over of the generator's motion, in minutes and without drawing a face. The scores are for
comparing generators: whoever chooses settings by them must report other people's pictures.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from train.assessment.condition_scores import spread
from train.errors import UsageError
from train.experiments.shallow_flow import shallow_streams
from train.scores.metrics import summary
from train.synth.clip import ClipSettings
from train.synth.faces import FaceSource
from train.transfer.flow_pictures import CLASSES, SIDE_PX, FlowPictures, as_numbers, by_dataset, mirrored
from train.transfer.generator_pictures import generator_pictures

_BATCH, _RATE, _DROPOUT, _NOISE = 64, 1e-3, 0.3, 0.1
_AVERAGED = 0.5  # of the epochs: the mean of their weights is what is asked


@dataclass(frozen=True)
class TransferSettings:
    """`pictures` a seed that the generator draws, shown in each of `epochs`; `seeds` networks, from `seed` on.

    Raises:
        UsageError: a value is out of range.
    """

    pictures: int = 6000
    epochs: int = 10
    seeds: int = 3
    seed: int = 1

    def __post_init__(self) -> None:
        for name, least in (("pictures", len(CLASSES)), ("epochs", 1), ("seeds", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise UsageError(f"--{name}: expected {least} or more, found {getattr(self, name)}")


def transfer(
    real: FlowPictures,
    faces: Sequence[FaceSource],
    settings: TransferSettings,
    clips: ClipSettings,
    advance: Callable[[int], object] = lambda done: None,
) -> dict[str, Any]:
    """Scores of real pictures by networks that saw the generator's only.

    Args:
        advance: Told of epochs as they end; there are `seeds` times (`epochs` + 1), one for drawing.

    Returns:
        Plain JSON values: uf1 and uar (mean, sd and values over seeds; sd None for one), chance_uf1, recall of each class, n, the
        confusion summed over seeds, and the same by dataset.
    """
    confusions: list[NDArray[np.int64]] = []
    rows: list[dict[str, Any]] = []
    parts = by_dataset(real.datasets)
    asked = as_numbers(real.pictures)
    for seed in range(settings.seed, settings.seed + settings.seeds):
        drawn, labels = generator_pictures(faces, real.eyes, settings.pictures, seed, clips)
        advance(1)
        network = _trained(as_numbers(drawn), labels, settings.epochs, seed, advance)
        answers = np.asarray(network.predict(asked, batch_size=256, verbose=0)).argmax(axis=1)
        found = summary(real.labels, answers, CLASSES)
        found["by_dataset"] = {
            name: summary(real.labels[own], answers[own], CLASSES)["uf1"] for name, own in parts.items()
        }
        confusions.append(np.array(found["confusion"]))
        rows.append(found)
    return {
        "n": rows[0]["n"],
        "classes": list(CLASSES),
        "uf1": spread([row["uf1"] for row in rows]),
        "uar": spread([row["uar"] for row in rows]),
        "chance_uf1": rows[0]["chance_uf1"],
        "recall": {name: spread([row["per_class"][name]["recall"] for row in rows]) for name in CLASSES},
        "by_dataset": {
            name: {"n": int(own.sum()), "uf1": spread([row["by_dataset"][name] for row in rows])}
            for name, own in parts.items()
        },
        "confusion": np.sum(confusions, axis=0).tolist(),
    }


def _trained(
    numbers: NDArray[np.float32], labels: NDArray[np.int64], epochs: int, seed: int, advance: Callable[[int], object]
) -> Any:
    """A Keras network with the mean of the last epochs' weights: one epoch alone is a matter of luck on motion of another kind."""
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    picture = keras.Input((SIDE_PX, SIDE_PX, 3))
    network: Any = keras.Model(picture, shallow_streams(picture, len(CLASSES), _DROPOUT))
    network.compile(keras.optimizers.Adam(_RATE), "sparse_categorical_crossentropy")
    kept: list[list[NDArray]] = []
    for epoch in range(epochs):
        shown = mirrored(numbers, rng.random(len(numbers)) < 0.5)
        shown += rng.normal(0, _NOISE, shown.shape).astype(np.float32)
        network.fit(shown, labels, batch_size=_BATCH, verbose=0)
        if epoch >= epochs * (1 - _AVERAGED) - 1e-9:
            kept.append(network.get_weights())
        advance(1)
    network.set_weights([np.mean(weights, axis=0) for weights in zip(*kept, strict=True)])
    return network
