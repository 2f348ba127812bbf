"""Training clips that are drawn anew in every epoch: from faces, a seed, the epoch and a clip's number to network input.

And whose faces: photos of a folder or drawn faces, without those held out or excluded. A clip is the same bit for bit whoever makes it, in whatever order, so a resumed run sees what an uninterrupted one does.
"""

import hashlib
import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.contract import ClipContract
from model.preprocess import Preprocessor, TimeResampler
from train.clips.samples import Samples, Split, resolve_people
from train.clips.unit_targets import Targets, unit_targets
from train.errors import UsageError
from train.fit_config import TrainConfig
from train.synth.action_units import RECIPES, OneSided
from train.synth.clip import NEUTRAL, ClipSettings, ClipSpec, draw_clip
from train.synth.company import CompanySettings
from train.synth.drawn import drawn_face
from train.synth.faces import FaceSource, load_faces, subjects
from train.synth.fast import FastFace, fast_crops
from train.synth.generate import DATASET
from train.synth.render import FaceModel

_LEAD_S = 2 / 3
_LEAD_MIN_FRAMES, _APEX_FROM_S = 15, 0.1
# Of the frames before a window, which only settle the neutral reference, every third is drawn.
_LEAD_STRIDE = 3
_DRAWN = "drawn:"
SCALING_EPOCH = -1
"""The epoch whose clips say how the network's input is scaled; no training epoch sees them."""


@dataclass(frozen=True)
class FreshPlan:
    """`clips` an epoch, in turn of every class and person. `rates_hz`: frame rates of the camera, all as often.

    Every drawing is shown `echoes` times in its epoch (augmented differently): drawing takes longer than training, and
    showing a clip again teaches nearly as much as a new one (data echoing: Choi et al., "Faster Neural Network Training
    with Data Echoing", 2019).
    """

    class_names: tuple[str, ...]
    clips: int
    seed: int
    rates_hz: tuple[float, ...]
    echoes: int = 1
    company: CompanySettings = field(default_factory=CompanySettings)
    one_sided: OneSided = field(default_factory=OneSided)

    @property
    def drawings(self) -> int:
        """Different clips of an epoch: whole rounds of the classes."""
        classes = len(self.class_names)
        return -(-self.clips // (self.echoes * classes)) * classes


@dataclass(frozen=True, eq=False)
class DrawnClip:
    """`crops` of the frames of a `lead`, each with the number of frames it stands for, and of a `window`.

    `units` (2 units,): which action units act in the window.
    """

    rate_hz: float
    lead: tuple[tuple[int, int], ...]
    window: range
    crops: NDArray[np.uint8]
    units: Targets


_Example = tuple[NDArray, Targets]


class FreshClips:
    """The clips of a plan as network input, float32 (frames, size, size, channels) before scaling (uint8 for pixels)."""

    def __init__(self, plan: FreshPlan, faces: Sequence[FaceSource], contract: ClipContract) -> None:
        self._plan, self._contract = plan, contract
        self._settings = {rate_hz: _settings(plan, contract, rate_hz) for rate_hz in plan.rates_hz}
        self._people = [[_prepared(face, contract) for face in faces if face.subject == s] for s in subjects(faces)]
        self.people: tuple[str, ...] = subjects(faces)
        self.digest = _digest(plan, faces)
        self._kept: dict[tuple[int, int], tuple[_Example, int]] = {}
        self._keeping = threading.Lock()

    def __len__(self) -> int:
        return self._plan.clips

    @property
    def drawings(self) -> int:
        """Different clips of an epoch."""
        return min(self._plan.drawings, self._plan.clips)

    @property
    def labels(self) -> NDArray[np.int64]:
        """Class indices (clips,), the same in every epoch."""
        return np.arange(self._plan.clips) % len(self._plan.class_names)

    def clip(self, epoch: int, index: int) -> NDArray:
        """Clip `index` of an epoch (from 0, or `SCALING_EPOCH`)."""
        return self.example(epoch, index)[0]

    def example(self, epoch: int, index: int) -> _Example:
        """Clip `index` of an epoch, and which action units act in it (2 units,). Drawings are kept until they were shown
        as often as the plan says; the next epoch's first one drops what is left."""
        key = (epoch, index % self._plan.drawings)
        if self._plan.echoes == 1:
            return self._input(*key)
        with self._keeping:
            kept, shown = self._kept.pop(key, (None, 0))
        made = self._input(*key) if kept is None else kept
        with self._keeping:
            for old in [other for other in self._kept if other[0] != epoch]:
                del self._kept[old]
            if shown + 1 < self._plan.echoes:
                self._kept[key] = (made, shown + 1)
        return made

    def _input(self, epoch: int, index: int) -> _Example:
        drawn = self.drawn(epoch, index)
        preprocessor, resampler = Preprocessor(self._contract), TimeResampler(self._contract.fps)
        for (number, frames), crop in zip(drawn.lead, drawn.crops, strict=False):
            preprocessor.settle(crop, number / drawn.rate_hz, frames)
        seen: list[NDArray] = []
        for number, crop in zip(drawn.window, drawn.crops[len(drawn.lead) :], strict=True):
            time_s = number / drawn.rate_hz
            seen += resampler.step(preprocessor.step(crop, time_s), time_s)
        return np.stack(seen[: self._contract.frames]), drawn.units

    def drawn(self, epoch: int, index: int) -> "DrawnClip":
        """The crops that `clip` is computed from."""
        plan = self._plan
        rng = np.random.default_rng(np.random.SeedSequence(plan.seed, spawn_key=(epoch + 1, index)))
        rate_hz = plan.rates_hz[int(rng.integers(len(plan.rates_hz)))]
        settings = self._settings[rate_hz]
        spec = draw_clip(rng, plan.class_names[index % len(plan.class_names)], settings)
        lead = _lead(self._contract, settings.lead_frames)
        window = range(settings.lead_frames, settings.frames)
        crops = fast_crops(self._face(epoch, index), spec, [*(number for number, _ in lead), *window])
        return DrawnClip(rate_hz, lead, window, crops, _units(spec))

    def _face(self, epoch: int, index: int) -> FastFace:
        """People take turns, a round of all classes each, and so do the photos of each; epochs go on where the last ended."""
        classes = len(self._plan.class_names)
        turn = (epoch + 1) * (self._plan.drawings // classes) + index // classes
        photos = self._people[turn % len(self._people)]
        return photos[turn // len(self._people) % len(photos)]


def _units(spec: ClipSpec) -> Targets:
    """Of the micro-expression in the window; what is over before it, or comes and stays, is none."""
    expression = spec.expression
    if expression is None or expression.kind != "micro":
        return unit_targets(NEUTRAL, ())
    return unit_targets(spec.label, expression.labels(spec.camera.mirrored))


def _settings(plan: FreshPlan, contract: ClipContract, rate_hz: float) -> ClipSettings:
    """Clips long enough for the contract's window at a frame rate, with a lead in which the reference settles."""
    return ClipSettings(
        geometry=contract.crop,
        colour=contract.input.colour,
        fps=rate_hz,
        window_frames=math.ceil((contract.frames - 1) * rate_hz / contract.fps - 1e-6) + 1,
        lead_frames=max(_LEAD_MIN_FRAMES, round(_LEAD_S * rate_hz)),
        apex_from=round(_APEX_FROM_S * rate_hz),
        company=plan.company,
        one_sided=plan.one_sided,
    )


def _lead(contract: ClipContract, frames: int) -> tuple[tuple[int, int], ...]:
    """The lead's frames that are drawn, each with the number of frames it stands for."""
    if contract.reference.kind == "none":
        return ()
    stride = _LEAD_STRIDE if contract.reference.kind == "ema" else 1
    first = (frames - 1) % stride
    return tuple((number, first + 1 if number == first else stride) for number in range(first, frames, stride))


def _prepared(face: FaceSource, contract: ClipContract) -> FastFace:
    return FastFace(FaceModel(face), contract.crop, contract.input.colour)


def _digest(plan: FreshPlan, faces: Sequence[FaceSource]) -> str:
    """Says which faces and plan these clips come from: 16 hexadecimal digits."""
    digest = hashlib.sha256(repr(plan).encode())
    for face in faces:
        digest.update(f"{face.name} {face.image.shape}".encode() + face.image.tobytes() + face.landmarks.tobytes())
    return digest.hexdigest()[:16]


def fresh_split(samples: Samples, config: TrainConfig, faces: Sequence[FaceSource]) -> tuple[Split, list[FaceSource]]:
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


def load_portraits(made: str) -> list[FaceSource]:
    """The faces that `--made` names: of a folder of portraits, or drawn ones ("drawn:4"). Raises UsageError or FaceError."""
    if not made.startswith(_DRAWN):
        if not Path(made).is_dir():
            raise UsageError(f"--made: {made}: expected a folder of portraits, found none")
        return load_faces(Path(made))[0]
    count = made.removeprefix(_DRAWN)
    if not count.isdecimal() or int(count) < 1:
        raise UsageError(f"--made: expected a folder of portraits or drawn:N with N of 1 or more, found {made!r}")
    return [drawn_face(seed) for seed in range(int(count))]


def fresh_clips(config: TrainConfig, contract: ClipContract, faces: Sequence[FaceSource]) -> FreshClips:
    """The clips to train on. Raises UsageError when the data has classes that cannot be made."""
    unknown = [name for name in contract.class_names if name != NEUTRAL and name not in RECIPES]
    if unknown:
        raise UsageError(f"--made: expected classes among {', '.join((*RECIPES, NEUTRAL))}, found {', '.join(unknown)}")
    rates_hz = config.made_rates or (contract.fps,)
    try:
        company, one_sided = CompanySettings.from_text(config.made_company), OneSided.from_text(config.made_one_sided)
    except ValueError as error:
        raise UsageError(f"--made: {error}") from error
    plan = FreshPlan(
        contract.class_names, config.made_clips, config.seed, rates_hz, config.made_echoes, company, one_sided
    )
    return FreshClips(plan, faces, contract)
