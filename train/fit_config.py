"""The settings of one training run, validated. No TensorFlow here."""

import dataclasses
import typing
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from model.config import FusionKind, NetworkConfig
from model.contract import (
    ClipContract,
    Colour,
    ContractError,
    CropGeometry,
    InputKind,
    NetworkInput,
    Reference,
    ReferenceKind,
)
from model.variants import variant
from train.errors import UsageError, check_type, shown

MixedPrecision = Literal["auto", "on", "off"]

PAPER_CLASSES = ("negative", "positive", "surprise")
PAPER_WEIGHTS = (0.3, 0.35, 0.35)
DEFAULT_TIME_CONSTANT_S = 2.0
DEFAULT_LAG_S = 0.5

_WEIGHT_WORDS = ("auto", "paper", "balanced", "none")
_AUGMENTATION_LIMITS = {
    "rotate": 45.0,
    "zoom": 0.5,
    "shift": 0.5,
    "time_jitter": 0.5,
    "brightness": 0.5,
    "contrast": 0.9,
}
_MAGNIFY_LIMITS = (0.1, 20.0)
_RATE_LIMITS_HZ = (12.0, 240.0)
_NOT_IDENTITY = ("out", "workers", "cache_dir", "backup_steps", "threads")


@dataclass(frozen=True)
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
        dropout, label_smoothing: rates in 0 ≤ r < 1.
        class_weights: "paper" (.3/.35/.35), "balanced" (N / (classes · N_c)), "none", one number a class, or "auto":
            none for the variant published without weights, paper for its three classes, balanced else.
        flip: mirror half of the training clips. The rest of the augmentation is off by default; every training clip
            draws anew in every epoch, evenly from the range said (see `train.clips.batches`).
        rotate: degrees, ± (0 to 45). zoom: 1 ± zoom (0 to 0.5). shift: ± of the frame's side, across and down (0 to 0.5).
        time_jitter: speed 1 ± time_jitter, and a start up to half that share of the clip earlier or later (0 to 0.5).
        magnify: (lowest, highest) factor on the motion (0.1 to 20).
        brightness: ± of the range from black to white (0 to 0.5). contrast: 1 ± contrast (0 to 0.9). Of pixels only.
        noise: sd of Gaussian noise, in units of the scaled input.
        validation_people: held out to choose the best epoch; else `validation_share` of the people, drawn by `seed`
            (0: nobody, the last epoch is kept). exclude_people: not used at all.
        mixed_precision: auto is on only with a GPU.
        workers: processes that compute features (0: one a core, at most 8).
        backup_steps: back up every so many steps, besides every epoch's end (0: only then).
        made: a folder of portraits (or "drawn:N"): every epoch's training clips are drawn anew from them, `made_clips` of
            them, with a camera of one of the `made_rates` (Hz; left out: the data's). made_echoes: how often an epoch
            shows each drawing, augmented differently; `made_clips` counts all showings.
        threads: of TensorFlow's operations (0: one a core).
        cache_dir: where features are kept (left out: in the data folder, or the run's where that cannot be written).
        note: said of the training data in the model's contract, beside what the stores say themselves.
    """

    data: tuple[str, ...]
    out: str
    variant: str = "paper"
    fusion: FusionKind = "difference"
    input: InputKind = "flow"
    size_px: int = 64
    fps: float | None = None
    colour: Colour = "grey"
    reference: ReferenceKind | None = None
    time_constant_s: float | None = None
    lag_s: float | None = None
    flow_finest_scale: int = NetworkInput.flow_finest_scale
    flow_smoothness: float = NetworkInput.flow_smoothness
    flow_smoothing_px: float = NetworkInput.flow_smoothing_px
    strain_gain: float = NetworkInput.strain_gain
    epochs: int = 200
    batch: int = 8
    learning_rate: float = 1e-3
    decay: float = 0.9
    decay_epochs: int = 40
    dropout: float = 0.3
    label_smoothing: float = 0.0
    class_weights: str | tuple[float, ...] = "auto"
    flip: bool = True
    rotate: float = 0.0
    zoom: float = 0.0
    shift: float = 0.0
    time_jitter: float = 0.0
    magnify: tuple[float, ...] = (1.0, 1.0)
    brightness: float = 0.0
    contrast: float = 0.0
    noise: float = 0.0
    validation_people: tuple[str, ...] = ()
    validation_share: float = 0.2
    exclude_people: tuple[str, ...] = ()
    seed: int = 0
    mixed_precision: MixedPrecision = "auto"
    workers: int = 0
    backup_steps: int = 0
    made: str | None = None
    made_clips: int = 4000
    made_rates: tuple[float, ...] = ()
    made_echoes: int = 1
    threads: int = 0
    cache_dir: str | None = None
    note: str = ""

    def __post_init__(self) -> None:
        for field in fields(self):
            check_type(field.name, getattr(self, field.name), field.type)
        _require("data", "one or more clip stores", len(self.data) > 0, self.data)
        _require("data", "different folders", len(set(self.data)) == len(self.data), self.data)
        for name, least in (
            ("epochs", 1),
            ("batch", 1),
            ("decay_epochs", 1),
            ("seed", 0),
            ("workers", 0),
            ("backup_steps", 0),
            ("made_clips", 1),
            ("made_echoes", 1),
            ("threads", 0),
        ):
            _require(name, f"an integer of {least} or more", getattr(self, name) >= least, getattr(self, name))
        _require("fps", "a number above 0", self.fps is None or self.fps > 0, self.fps)
        _require("learning_rate", "a number above 0", self.learning_rate > 0, self.learning_rate)
        _require("decay", "0 < decay <= 1", 0 < self.decay <= 1, self.decay)
        _require("label_smoothing", "0 <= rate < 1", 0 <= self.label_smoothing < 1, self.label_smoothing)
        _require("noise", "a number of 0 or more", self.noise >= 0, self.noise)
        low, high = _RATE_LIMITS_HZ
        fits = all(low <= rate <= high for rate in self.made_rates)
        _require("made_rates", f"frame rates from {low:g} to {high:g} Hz", fits, self.made_rates)
        self._require_augmentation()
        _require("validation_share", "0 <= share < 1", 0 <= self.validation_share < 1, self.validation_share)
        both = sorted(set(self.validation_people) & set(self.exclude_people))
        _require("validation_people", "nobody who is excluded", not both, ", ".join(both))
        if isinstance(self.class_weights, str):
            _require(
                "class_weights",
                f"{', '.join(_WEIGHT_WORDS)} or numbers",
                self.class_weights in _WEIGHT_WORDS,
                self.class_weights,
            )
        else:
            _require("class_weights", "numbers above 0", all(w > 0 for w in self.class_weights), self.class_weights)
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

    def _require_augmentation(self) -> None:
        for name, most in _AUGMENTATION_LIMITS.items():
            _require(name, f"a number from 0 to {most:g}", 0 <= getattr(self, name) <= most, getattr(self, name))
        low, high = _MAGNIFY_LIMITS
        fits = len(self.magnify) == 2 and low <= self.magnify[0] <= self.magnify[1] <= high
        _require("magnify", f"lowest and highest factor, from {low:g} to {high:g}", fits, self.magnify)
        for name in ("brightness", "contrast"):
            holds = self.input == "pixels" or getattr(self, name) == 0
            _require(f"{name} with input {self.input}", "0, since only pixels have any", holds, getattr(self, name))

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
        )

    def loss_weights(self, class_names: tuple[str, ...], counts: typing.Sequence[int]) -> tuple[float, ...]:
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
