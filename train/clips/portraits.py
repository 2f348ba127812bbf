"""Whose faces the clips of a run are drawn from: photos of a folder or drawn faces, without those held out or excluded."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from model.contract import ClipContract
from train.clips.generated import MadeClips, MadePlan
from train.clips.samples import Samples, Split, resolve_people
from train.errors import UsageError
from train.fit_config import TrainConfig
from train.synth.action_units import RECIPES
from train.synth.clip import NEUTRAL
from train.synth.drawn import drawn_face
from train.synth.faces import FaceSource, load_faces, subjects
from train.synth.generate import DATASET

_DRAWN = "drawn:"


def made_split(samples: Samples, config: TrainConfig, faces: Sequence[FaceSource]) -> tuple[Split, list[FaceSource]]:
    """Validation rows (of the config's people, else of everybody in the data), and the faces to train on.

    Raises:
        UsageError: unknown people, or nobody left.
    """
    made = [f"{DATASET}/{name}" for name in subjects(faces)]
    everybody = [*samples.people, *made]
    excluded = resolve_people(config.exclude_people, everybody, "--exclude-people")
    held = resolve_people(config.validation_people, everybody, "--validation-people") or set(samples.people)
    held -= excluded
    rows = np.flatnonzero(np.isin(np.array(samples.people), sorted(held)))
    if config.validation_people and not len(rows):
        raise UsageError(
            f"--validation-people: expected clips of {', '.join(config.validation_people)} in {', '.join(config.data)}, found none"
        )
    left = [face for face in faces if f"{DATASET}/{face.subject}" not in held | excluded]
    if not left:
        raise UsageError(
            f"--made {config.made}: expected people to train on, found {len(made)}, all of them held out or excluded "
            "(without --validation-people everybody in --data is held out)"
        )
    return Split(rows[:0], rows), left


def load_made_faces(made: str) -> list[FaceSource]:
    """The faces that `--made` names: of a folder of portraits, or drawn ones ("drawn:4"). Raises UsageError or FaceError."""
    if not made.startswith(_DRAWN):
        if not Path(made).is_dir():
            raise UsageError(f"--made: {made}: expected a folder of portraits, found none")
        return load_faces(Path(made))[0]
    count = made.removeprefix(_DRAWN)
    if not count.isdecimal() or int(count) < 1:
        raise UsageError(f"--made: expected a folder of portraits or drawn:N with N of 1 or more, found {made!r}")
    return [drawn_face(seed) for seed in range(int(count))]


def made_clips(config: TrainConfig, contract: ClipContract, faces: Sequence[FaceSource]) -> MadeClips:
    """The clips to train on. Raises UsageError when the data has classes that cannot be made."""
    unknown = [name for name in contract.class_names if name != NEUTRAL and name not in RECIPES]
    if unknown:
        raise UsageError(f"--made: expected classes among {', '.join((*RECIPES, NEUTRAL))}, found {', '.join(unknown)}")
    rates_hz = config.made_rates or (contract.fps,)
    plan = MadePlan(contract.class_names, config.made_clips, config.seed, rates_hz, config.made_echoes)
    return MadeClips(plan, faces, contract)
