"""The settings of one training run, validated. No TensorFlow here."""

import dataclasses
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainValidator, TypeAdapter
from pydantic.dataclasses import dataclass

from model.checked import LISTED, STRICT, Number, raising, shown
from model.config import FusionKind, NetworkConfig
from model.contract import ClipContract, Colour, CropGeometry, InputKind, NetworkInput, Reference, ReferenceKind
from model.errors import ContractError
from model.variants import variant
from train.clips.unit_targets import UNITS
from train.errors import UsageError

PAPER_CLASSES = ("negative", "positive", "surprise")
PAPER_WEIGHTS = (0.3, 0.35, 0.35)
DEFAULT_TIME_CONSTANT_S = 2.0
DEFAULT_LAG_S = 0.5

_WEIGHT_WORDS = ("auto", "paper", "balanced", "none")
_NOT_IDENTITY = ("out", "workers", "cache_dir", "backup_steps", "threads")


def _number(value: object) -> object:
    """YAML 1.1 reads 1e-3 as text."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _names(value: object) -> object:
    """One name where a list is wanted is a list of one; people may be called by a number."""
    items: Any = [value] if isinstance(value, str | int) else (value or [])
    if not isinstance(items, list | tuple):
        return value
    return tuple(str(item) if isinstance(item, int | float) else item for item in items)


def _class_weights(value: object) -> str | tuple[float, ...]:
    if not isinstance(value, str):
        return _WEIGHTS.validate_python(value, strict=True)
    if value not in _WEIGHT_WORDS:
        raise ValueError(f"expected {', '.join(_WEIGHT_WORDS)} or numbers, found {shown(value)}")
    return value


def _on_off(value: object) -> object:
    """YAML 1.1 reads on and off as booleans."""
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else value


From1 = Annotated[int, Field(ge=1)]
From0 = Annotated[int, Field(ge=0)]
Real = Annotated[Number, BeforeValidator(_number)]
Above0 = Annotated[Real, Field(gt=0)]
UpToHalf = Annotated[Real, Field(ge=0, le=0.5)]
Share = Annotated[Real, Field(ge=0, lt=1)]
Factor = Annotated[Number, Field(ge=0.1, le=20)]
RateHz = Annotated[Number, Field(ge=12, le=240)]
Names = Annotated[tuple[str, ...], BeforeValidator(_names)]
ClassWeights = Annotated[str | tuple[float, ...], PlainValidator(_class_weights)]
MixedPrecision = Annotated[Literal["auto", "on", "off"], BeforeValidator(_on_off)]
_WEIGHTS: TypeAdapter[tuple[float, ...]] = TypeAdapter(Annotated[tuple[Annotated[Number, Field(gt=0)], ...], LISTED])  # type: ignore[arg-type]


@raising(UsageError)
@dataclass(frozen=True, config=STRICT)
class TrainConfig:
    """One run. The recipe's defaults are the paper's (Fang, Liu, Liu, MLSP 2024); the input's are what learns best here.

    Attributes:
        data: clip stores (folders) to train on; with `made` to validate on.
        out: folder of the run.
        variant: a row of the ablation, see `python -m model`. fusion: of its enhanced channel attention.
        input: what a frame is: raw `pixels` (the paper), `difference` or optical `flow` to the neutral reference, or `both`.
        size_px: side of the network's frames; crops are scaled down to it.
        fps: frames of the network a second, which preprocessing puts on a grid of that many; left out, the stores' own.
        colour: grey or rgb crops (an rgb store can be read as grey).
        reference: none for pixels, ema or lag else; left out, none or ema by the input.
        time_constant_s: of ema. lag_s: of lag. Left out, 2 s and 0.5 s.
        flow_finest_scale, flow_smoothness, flow_smoothing_px, strain_gain: of flow, see `NetworkInput`.
        epochs, batch, learning_rate, decay, decay_epochs: Adam, learning rate times `decay` every `decay_epochs`.
        average: momentum of the exponential moving average of the weights, by the step, as 0.999 (0: none): validated,
            kept and given out is the average, which begins with the weights after the first step; what is trained on are
            the weights themselves. Over fewer steps than some 1 / (1 - average) it holds much of the first weights.
        select: the epoch kept: validation, the best on validation people (the last where there are none); or last, fixed
            in advance, and validation people are scored only. `train loso` has a setting of its own for it.
        dropout, label_smoothing: rates in 0 ≤ r < 1.
        class_weights: "paper" (.3/.35/.35), "balanced" (N / (classes · N_c)), "none", one number a class, or "auto":
            none for the variant published without weights, paper for its three classes, balanced else.
        flip: mirror half of the training clips. The rest of the augmentation is off by default; every training clip
            draws anew in every epoch, evenly from the range said (see `train.clips.augmentation`).
        rotate: degrees, ± (0 to 45). zoom: 1 ± zoom (0 to 0.5). shift: ± of the frame's side, across and down (0 to 0.5).
        time_jitter: speed 1 ± time_jitter, and a start up to half that share of the clip earlier or later (0 to 0.5).
        magnify: (lowest, highest) factor on the motion (0.1 to 20).
        brightness: ± of the range from black to white (0 to 0.5). contrast: 1 ± contrast (0 to 0.9). Of pixels only.
        noise: sd of Gaussian noise, in units of the scaled input.
        flow_gains, flow_noise, flow_cutout, flow_elastic: of input flow only (see `train.clips.flow_augmentation`): u and v
            times exp(N(0, flow_gains)) each; smooth noise of up to flow_noise times a frame's root mean square; with the
            probability flow_cutout a place loses its motion; warped by smooth displacements with an sd of flow_elastic
            times the side.
        validation_people: held out to choose the best epoch (see `select`); else `validation_share` of the people, drawn by `seed`
            (0: nobody, the last epoch is kept). exclude_people: not used at all.
        mixed_precision: auto is on only with a GPU.
        workers: processes that compute features (0: one a core, at most 8).
        backup_steps: back up every so many steps, besides every epoch's end (0: only then).
        made: a folder of portraits (or "drawn:N"): every epoch's training clips are drawn anew from them, `made_clips` of
            them, with a camera of one of the `made_rates` (Hz; left out: the data's). made_echoes: how often an epoch
            shows each drawing, augmented differently; `made_clips` counts all showings. made_company, made_one_sided: what
            differs from `train.synth.company.CompanySettings` and `train.synth.action_units.OneSided`, as text.
        action_units: the network tells action units too, trained together with the class. unit_weight: of their loss (the
            mean over units and sides of a clip) against the class's.
        threads: of TensorFlow's operations (0: one a core).
        cache_dir: where features are kept (left out: in the data folder, or the run's where that cannot be written).
        note: said of the training data in the model's contract, beside what the stores say themselves.
    """

    data: Annotated[Names, Field(min_length=1)]
    out: str
    variant: str = "paper"
    fusion: FusionKind = "difference"
    input: InputKind = "flow"
    size_px: int = 64
    fps: Above0 | None = None
    colour: Colour = "grey"
    reference: ReferenceKind | None = None
    time_constant_s: Real | None = None
    lag_s: Real | None = None
    flow_finest_scale: int = NetworkInput.flow_finest_scale
    flow_smoothness: Real = NetworkInput.flow_smoothness
    flow_smoothing_px: Real = NetworkInput.flow_smoothing_px
    strain_gain: Real = NetworkInput.strain_gain
    epochs: From1 = 200
    batch: From1 = 8
    learning_rate: Above0 = 1e-3
    decay: Annotated[Real, Field(gt=0, le=1)] = 0.9
    decay_epochs: From1 = 40
    average: Share = 0.0
    select: Literal["validation", "last"] = "validation"
    dropout: Real = 0.3
    label_smoothing: Share = 0.0
    class_weights: ClassWeights = "auto"
    flip: bool = True
    rotate: Annotated[Real, Field(ge=0, le=45)] = 0.0
    zoom: UpToHalf = 0.0
    shift: UpToHalf = 0.0
    time_jitter: UpToHalf = 0.0
    magnify: Annotated[tuple[Factor, Factor], LISTED] = (1.0, 1.0)
    brightness: UpToHalf = 0.0
    contrast: Annotated[Real, Field(ge=0, le=0.9)] = 0.0
    noise: Annotated[Real, Field(ge=0)] = 0.0
    flow_gains: Annotated[Real, Field(ge=0, le=2)] = 0.0
    flow_noise: Annotated[Real, Field(ge=0, le=10)] = 0.0
    flow_cutout: Annotated[Real, Field(ge=0, le=1)] = 0.0
    flow_elastic: UpToHalf = 0.0
    validation_people: Names = ()
    validation_share: Share = 0.2
    exclude_people: Names = ()
    seed: From0 = 0
    mixed_precision: MixedPrecision = "auto"
    workers: From0 = 0
    backup_steps: From0 = 0
    made: str | None = None
    made_clips: From1 = 4000
    made_rates: Annotated[tuple[RateHz, ...], LISTED] = ()
    made_echoes: From1 = 1
    made_company: str = ""
    made_one_sided: str = ""
    action_units: bool = False
    unit_weight: Above0 = 5.0
    threads: From0 = 0
    cache_dir: str | None = None
    note: str = ""

    def __post_init__(self) -> None:
        _require("data", "different folders", len(set(self.data)) == len(self.data), self.data)
        _require("magnify", "the lowest factor first", self.magnify[0] <= self.magnify[1], self.magnify)
        for name in ("brightness", "contrast"):
            holds = self.input == "pixels" or getattr(self, name) == 0
            _require(f"{name} with input {self.input}", "0, since only pixels have any", holds, getattr(self, name))
        for name in ("flow_gains", "flow_noise", "flow_cutout", "flow_elastic"):
            holds = self.input == "flow" or getattr(self, name) == 0
            _require(f"{name} with input {self.input}", "0, since it is for flow", holds, getattr(self, name))
        both = sorted(set(self.validation_people) & set(self.exclude_people))
        _require("validation_people", "nobody who is excluded", not both, ", ".join(both))
        try:
            self.network_input()
            self.reference_recipe()
            self.network_config(frames=30, classes=3, scaling=(0.0, 1.0))
        except ValueError as error:
            raise UsageError(str(error)) from error
        wanted = "none" if self.input == "pixels" else "ema or lag"
        _require(
            f"reference with input {self.input}",
            wanted,
            self._reference_kind in wanted.split(" or "),
            self._reference_kind,
        )

    @property
    def _reference_kind(self) -> ReferenceKind:
        return self.reference or ("none" if self.input == "pixels" else "ema")

    def reference_recipe(self) -> Reference:
        """The contract's reference, left-out times filled in."""
        kind = self._reference_kind
        time_constant_s = DEFAULT_TIME_CONSTANT_S if self.time_constant_s is None else self.time_constant_s
        lag_s = DEFAULT_LAG_S if self.lag_s is None else self.lag_s
        return Reference(kind, time_constant_s if kind == "ema" else None, lag_s if kind == "lag" else None)

    def network_input(self, offset: float = 0.0, scale: float = 1.0) -> NetworkInput:
        """The contract's input with the given scaling."""
        return NetworkInput(
            kind=self.input,
            size_px=self.size_px,
            colour=self.colour,
            offset=offset,
            scale=scale,
            flow_finest_scale=self.flow_finest_scale,
            flow_smoothness=self.flow_smoothness,
            flow_smoothing_px=self.flow_smoothing_px,
            strain_gain=self.strain_gain,
        )

    def contract(self, class_names: tuple[str, ...], frames: int, fps: float, crop: CropGeometry) -> ClipContract:
        """The contract of the run's data, before scaling and scores are known."""
        try:
            return ClipContract(class_names, frames, fps, crop, self.network_input(), self.reference_recipe())
        except ContractError as error:
            raise UsageError(f"{error} (the data's crops and the settings do not fit)") from error

    def network_config(self, frames: int, classes: int, scaling: tuple[float, float]) -> NetworkConfig:
        """The network for clips of `frames` frames; `scaling` is (offset, scale)."""
        recipe = self.network_input(*scaling)
        return replace(
            variant(self.variant).config,
            depth=frames,
            size_px=self.size_px,
            channels=recipe.channels,
            classes=classes,
            dropout=self.dropout,
            fusion=self.fusion,
            offset=recipe.offset,
            scale=recipe.scale,
            input_dtype="uint8" if recipe.dtype == "uint8" else "float32",
            action_units=len(UNITS.numbers) if self.action_units else 0,
        )

    def loss_weights(self, class_names: tuple[str, ...], counts: Sequence[int]) -> tuple[float, ...]:
        """One weight a class, from `class_weights` and the number of training clips of each class."""
        kind = self.class_weights
        if not isinstance(kind, str):
            _require("class_weights", f"one a class ({', '.join(class_names)})", len(kind) == len(class_names), kind)
            return kind
        if kind == "auto":
            paper = "paper" if class_names == PAPER_CLASSES else "balanced"
            kind = paper if variant(self.variant).weighted_loss else "none"
        if kind == "none":
            return (1.0,) * len(class_names)
        if kind == "balanced":
            return tuple(sum(counts) / (len(counts) * count) for count in counts)
        _require(
            "class_weights paper",
            f"classes {', '.join(PAPER_CLASSES)}",
            class_names == PAPER_CLASSES,
            ", ".join(class_names),
        )
        return PAPER_WEIGHTS

    def learning_rate_at(self, epoch: int) -> float:
        """Learning rate of an epoch, counted from 0."""
        return self.learning_rate * self.decay ** (epoch // self.decay_epochs)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for YAML; `from_mapping` reads them back."""
        plain = dataclasses.asdict(self)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in plain.items()}

    def differences(self, other: "TrainConfig") -> dict[str, tuple[Any, Any]]:
        """The settings that make another run of it: name → (this, other). Where files lie and speed do not count."""
        mine, theirs = self.to_dict(), other.to_dict()
        return {n: (mine[n], theirs[n]) for n in mine if n not in _NOT_IDENTITY and mine[n] != theirs[n]}


def _require(what: str, expected: str, holds: bool, found: object) -> None:
    if not holds:
        raise UsageError(f"{what}: expected {expected}, found {shown(found)}")
