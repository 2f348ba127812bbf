"""What a model expects and what it promises: the contract that travels inside every exported model.

Training writes the contract, the exporter stores it in the ONNX metadata, and the live program reads it back.
The live side has no defaults of its own: whatever is missing or does not fit raises `ContractError`.
Standard library only.
"""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from model.decision import SpottingDecision
from model.errors import ContractError, is_number, positive, require, whole

SCHEMA_VERSION = 2
METADATA_KEY = "microlive.contract"
NEUTRAL = "neutral"

InputKind = Literal["pixels", "difference", "flow", "both"]
ReferenceKind = Literal["none", "ema", "lag"]
Colour = Literal["grey", "rgb"]

_MOST_SIZE_PX = 2048
_LEAST_IOD_PX = 4.0
_MOST_FRAMES = 100_000
_MOST_FPS = 1000.0
_MOST_LAG_S = 600.0
_MOST_SMOOTHNESS = 1000.0
_MOST_SMOOTHING_PX = 32.0
_MOST_UNITS = 99
"""Far beyond what makes sense: what a damaged file says must not fill the memory, nor end the optical flow's native code."""

NOT_A_LIE_DETECTOR = "Recognises small facial movements. It does not detect lies, emotions or intentions, and must not be used to judge people."


@dataclass(frozen=True)
class CropGeometry:
    """Where the face lies in the aligned crop (pixels of the crop)."""

    size_px: int = 128
    iod_px: float = 44.0
    eye_line_px: float = 42.0

    def __post_init__(self) -> None:
        whole("crop.size_px", self.size_px, 32, _MOST_SIZE_PX)
        positive("crop.iod_px", self.iod_px)
        positive("crop.eye_line_px", self.eye_line_px)
        require(self.iod_px < self.size_px, "crop.iod_px", f"less than the crop's {self.size_px} px", self.iod_px)
        require(
            self.eye_line_px < self.size_px,
            "crop.eye_line_px",
            f"less than the crop's {self.size_px} px",
            self.eye_line_px,
        )


@dataclass(frozen=True)
class Reference:
    """The neutral frame that `difference` and `flow` are taken against; causal, one step a frame.

    `ema`: exponential average of the crops with `time_constant_s`, the plain mean until that much time has passed.
    `lag`: the crop of `lag_s` ago. `none`: no reference (the paper's raw pixels).
    """

    kind: ReferenceKind = "none"
    time_constant_s: float | None = None
    lag_s: float | None = None

    def __post_init__(self) -> None:
        require(self.kind in get_args(ReferenceKind), "reference.kind", " or ".join(get_args(ReferenceKind)), self.kind)
        if self.kind == "ema":
            positive("reference.time_constant_s", self.time_constant_s)
        if self.kind == "lag":
            positive("reference.lag_s", self.lag_s, _MOST_LAG_S)


@dataclass(frozen=True)
class NetworkInput:
    """What one frame of the network's input is.

    `size_px` is the side of the square frame; crops are brought to it by area averaging.
    Channels: `pixels` and `difference` 1 (grey) or 3 (rgb), `flow` 3 (u, v in crop pixels, strain times `strain_gain`),
    `both` 3 (u, v, and the difference in grey times a gain of the preprocessing's).
    Values are uint8 for `pixels` and float32 else; the graph itself applies (x - offset) / scale.
    Flow is DIS, fast preset, down to 1/2^`flow_finest_scale` of the crop's resolution, with `flow_smoothness` as the
    weight of its smoothness term, then smoothed (Gaussian sigma).
    """

    kind: InputKind = "pixels"
    size_px: int = 128
    colour: Colour = "grey"
    offset: float = 0.0
    scale: float = 1.0
    flow_finest_scale: int = 1
    flow_smoothness: float = 10.0
    flow_smoothing_px: float = 1.5
    strain_gain: float = 10.0

    def __post_init__(self) -> None:
        require(self.kind in get_args(InputKind), "input.kind", " or ".join(get_args(InputKind)), self.kind)
        require(self.colour in get_args(Colour), "input.colour", " or ".join(get_args(Colour)), self.colour)
        whole("input.size_px", self.size_px, 32, _MOST_SIZE_PX)
        require(is_number(self.offset), "input.offset", "a finite number", self.offset)
        positive("input.scale", self.scale)
        positive("input.strain_gain", self.strain_gain)
        positive("input.flow_smoothness", self.flow_smoothness, _MOST_SMOOTHNESS)
        whole("input.flow_finest_scale", self.flow_finest_scale, 0, 2)
        require(
            is_number(self.flow_smoothing_px) and 0 <= self.flow_smoothing_px <= _MOST_SMOOTHING_PX,
            "input.flow_smoothing_px",
            f"0 or more, up to {_MOST_SMOOTHING_PX:g}",
            self.flow_smoothing_px,
        )

    @property
    def channels(self) -> int:
        return 3 if self.has_flow or self.colour == "rgb" else 1

    @property
    def has_flow(self) -> bool:
        """Whether the first two channels are optical flow, in crop pixels."""
        return self.kind in ("flow", "both")

    @property
    def dtype(self) -> str:
        return "uint8" if self.kind == "pixels" else "float32"


@dataclass(frozen=True)
class Calibration:
    """How a model's confidences were fitted: its logits are divided by `temperature`, in the model itself.

    Expected calibration errors (Guo et al. 2017, 15 bins; 0..1) before and after on `n` clips of `people`, the
    same that the temperature was fitted on. Nothing is left to be applied by whoever runs the model.
    """

    temperature: float
    ece_before: float
    ece_after: float
    n: int
    people: tuple[str, ...]

    def __post_init__(self) -> None:
        positive("calibration.temperature", self.temperature)
        for name in ("ece_before", "ece_after"):
            value = getattr(self, name)
            require(is_number(value) and 0 <= value <= 1, f"calibration.{name}", "a number from 0 to 1", value)
        require(isinstance(self.n, int) and self.n >= 1, "calibration.n", "an integer of 1 or more", self.n)
        names = self.people
        require(
            isinstance(names, tuple) and len(names) >= 1 and all(isinstance(name, str) for name in names),
            "calibration.people",
            "one or more names",
            names,
        )


@dataclass(frozen=True)
class ActionUnits:
    """The network's second output: how likely each action unit (FACS) acts on each side of the face.

    `numbers` of n units; the output is (batch, 2 n), each unit's left and right side in turn ("left" is the subject's). A unit
    counts as acting from a probability of `threshold` on, which was chosen on people apart from those that are scored.
    """

    numbers: tuple[int, ...]
    threshold: float = 0.5

    def __post_init__(self) -> None:
        numbers = self.numbers
        require(
            isinstance(numbers, tuple) and 1 <= len(numbers) <= _MOST_UNITS,
            "action_units.numbers",
            f"one to {_MOST_UNITS} numbers",
            numbers,
        )
        for number in numbers:
            whole("action_units.numbers", number, 1, _MOST_UNITS)
        require(list(numbers) == sorted(set(numbers)), "action_units.numbers", "each once, growing", numbers)
        require(
            is_number(self.threshold) and 0 < self.threshold < 1,
            "action_units.threshold",
            "between 0 and 1",
            self.threshold,
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Of the output's values in their order: "L1", "R1", "L2", …"""
        return tuple(f"{side}{number}" for number in self.numbers for side in "LR")


@dataclass(frozen=True)
class ClipContract:
    """Everything the live program must know about a model.

    The network takes (batch, frames, size, size, channels) and gives probabilities (batch, classes), and where it tells action
    units those of `action_units` (batch, 2 units).

    Attributes:
        class_names: The classes, in the order of the network's answer.
        frames: The length of the window.
        fps: Its frames a second.
        crop: Where the face lies in the aligned crop.
        input: What one frame of the network's input is.
        reference: The neutral frame that it is taken against.
        max_gap_s: The longest gap in time that a window may contain.
        training_data: In words, what the model was trained on.
        scores: Measured numbers: validation UF1, n, chance, the command.
        disclaimer: What the model must not be used for.
        calibration: How the confidences were fitted; None where nobody did.
        action_units: Which action units it tells; None where it tells none (the paper's network).
        decision: Which movements are micro-expressions, learned; None where nobody fitted it to this model.
        schema_version: Of the contract itself.

    Raises:
        ContractError: A value does not fit, or two of them.

    Example:
        ```python
        contract = Recognizer().contract
        print(contract.class_names, contract.window_s, contract.training_data, contract.scores)
        ```
    """

    class_names: tuple[str, ...]
    frames: int = 30
    fps: float = 30.0
    crop: CropGeometry = field(default_factory=CropGeometry)
    input: NetworkInput = field(default_factory=NetworkInput)
    reference: Reference = field(default_factory=Reference)
    max_gap_s: float = 0.25
    training_data: str = "unknown"
    scores: Mapping[str, Any] = field(default_factory=lambda: dict[str, Any]())
    disclaimer: str = NOT_A_LIE_DETECTOR
    calibration: Calibration | None = None
    action_units: ActionUnits | None = None
    decision: SpottingDecision | None = None
    schema_version: int = SCHEMA_VERSION

    def __post_init__(self) -> None:
        require(self.schema_version == SCHEMA_VERSION, "schema_version", SCHEMA_VERSION, self.schema_version)
        names = self.class_names
        require(
            isinstance(names, tuple)
            and len(names) >= 2
            and all(isinstance(n, str) and n and n.strip() == n and n.isprintable() for n in names),
            "class_names",
            "a tuple of two or more names",
            names,
        )
        require(len(set(names)) == len(names), "class_names", "different names", names)
        whole("frames", self.frames, 9, _MOST_FRAMES)
        for name in ("training_data", "disclaimer"):
            value = getattr(self, name)
            require(isinstance(value, str), name, "text", value)
        require(isinstance(self.scores, Mapping), "scores", "names and values", self.scores)
        # Not of every geometry: with 1 px it stands for coordinates between the eyes.
        require(self.crop.iod_px >= _LEAST_IOD_PX, "crop.iod_px", f"{_LEAST_IOD_PX:g} or more", self.crop.iod_px)
        positive("fps", self.fps, _MOST_FPS)
        require(self.fps >= 1, "fps", "1 or more", self.fps)
        positive("max_gap_s", self.max_gap_s)
        require(
            self.input.size_px <= self.crop.size_px,
            "input.size_px",
            f"at most the crop's {self.crop.size_px}",
            self.input.size_px,
        )
        needs_reference = self.input.kind != "pixels"
        require(
            (self.reference.kind != "none") == needs_reference,
            "reference.kind",
            "ema or lag" if needs_reference else "none",
            f"{self.reference.kind} with input {self.input.kind}",
        )

    @property
    def unit_names(self) -> tuple[str, ...]:
        """Of the values of the second output, in their order; empty where the model tells no action units."""
        return self.action_units.names if self.action_units else ()

    @property
    def window_s(self) -> float:
        """Time from the first to the last frame of a window."""
        return (self.frames - 1) / self.fps

    @property
    def input_shape(self) -> tuple[int, int, int, int]:
        """(frames, height, width, channels) of one clip."""
        return (self.frames, self.input.size_px, self.input.size_px, self.input.channels)

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "ClipContract":
        try:
            raw = json.loads(text)
        except json.JSONDecodeError as error:
            raise ContractError("contract", "JSON", f"{error.msg} at character {error.pos}") from error
        except (ValueError, RecursionError) as error:
            raise ContractError(
                "contract", "JSON", "a number of too many digits, or lists too deep in lists"
            ) from error
        require(isinstance(raw, dict), "contract", "a JSON object", type(raw).__name__)
        require(_has_whole_letters(raw), "contract", "text", "half a letter (a lone surrogate)")
        found_version = raw.get("schema_version", "none")
        require(found_version == SCHEMA_VERSION, "schema_version", SCHEMA_VERSION, found_version)
        require(
            isinstance(raw.get("class_names"), list),
            "class_names",
            "a list of names",
            raw.get("class_names", "nothing"),
        )
        raw["class_names"] = tuple(map(str, raw["class_names"]))
        for key, part in (("crop", CropGeometry), ("input", NetworkInput), ("reference", Reference)):
            raw[key] = _build(part, raw.get(key), key)
        if raw.get("calibration") is not None:
            raw["calibration"] = _calibration(raw["calibration"])
        # Models from before there was such an output have no word of it.
        if raw.setdefault("action_units", None) is not None:
            raw["action_units"] = _action_units(raw["action_units"])
        if raw.setdefault("decision", None) is not None:
            raw["decision"] = SpottingDecision.from_json(raw["decision"])
        return _build(cls, raw, "contract")

    def to_metadata(self) -> dict[str, str]:
        """Key and value strings for the ONNX model's `metadata_props`."""
        return {METADATA_KEY: self.to_json()}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> "ClipContract":
        """The contract stored by `to_metadata`; raises `ContractError` when it is missing or does not fit."""
        if METADATA_KEY not in metadata:
            found = ", ".join(sorted(metadata)) or "no metadata"
            raise ContractError(
                "model metadata", f"the key {METADATA_KEY} (export the model with `python -m export`)", found
            )
        return cls.from_json(metadata[METADATA_KEY])


def _has_whole_letters(raw: object) -> bool:
    """JSON can name halves of letters, which nothing can print or write."""
    try:
        json.dumps(raw, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _calibration(raw: object) -> Calibration:
    if isinstance(raw, dict) and isinstance(raw.get("people"), list):  # pyright: ignore[reportUnknownMemberType]
        raw = {**raw, "people": tuple(raw["people"])}
    return _build(Calibration, raw, "calibration")


def _action_units(raw: object) -> ActionUnits:
    if isinstance(raw, dict) and isinstance(raw.get("numbers"), list):  # pyright: ignore[reportUnknownMemberType]
        raw = {**raw, "numbers": tuple(raw["numbers"])}
    return _build(ActionUnits, raw, "action_units")


def _build(part: type, raw: object, what: str) -> Any:
    """A dataclass from a JSON object with exactly its fields."""
    require(isinstance(raw, dict), what, "a JSON object", type(raw).__name__)
    assert isinstance(raw, dict)
    expected = {f.name for f in dataclasses.fields(part)}
    require(
        set(raw) == expected, f"{what} fields", ", ".join(sorted(expected)), ", ".join(sorted(map(str, raw))) or "none"
    )
    return part(**raw)
