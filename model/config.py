"""The settings of one network, validated, and the shapes that follow from them. No TensorFlow here."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

ChannelAttentionKind = Literal["enhanced", "cbam", "none"]
FusionKind = Literal["difference", "sum"]
TemporalAttentionKind = Literal["msmh", "mh", "none"]
InputDtype = Literal["uint8", "float32"]

MIN_DEPTH = 9
MIN_SIZE_PX = 32

POOL = 3
"""Window and stride of both max poolings, in time and in both spatial directions."""
BRANCH_KERNELS = (5, 3)
BRANCH_FILTERS = 32
TRUNK_KERNEL = 3
TRUNK_FILTERS = 32
ATTENTION_REDUCTION = 8
SPATIAL_ATTENTION_KERNEL = 3
STEP_UNITS = (128, 64)
GRU_UNITS = 512
MSMH_HEAD_SIZES = tuple(GRU_UNITS // 2**k for k in range(1, 9))
MH_HEAD_SIZES = (GRU_UNITS,) * 8
HEAD_UNITS = (128, 64)
UNIT_UNITS = 128
"""Width of the hidden layer before the action units."""
LEAKY_SLOPE = 0.2
L2_WEIGHT = 0.01


@dataclass(frozen=True)
class NetworkConfig:
    """What one network is built from (Fang, Liu, Liu, MLSP 2024; the defaults are the paper's network).

    Attributes:
        depth: frames in a clip, at least 9 (two poolings by 3 leave one step).
        size_px: height and width of a frame in pixels, at least 32.
        channels: 1 (grey) or 3 (colour, or three difference or flow planes).
        classes: number of classes, at least 2.
        dropout: dropout rate before both per-step dense layers, 0 <= dropout < 1 (the paper: 0.3; 0.5 for CASME II).
        channel_attention: "enhanced" (one MLP for the average, one for the maximum), "cbam" (one shared MLP, always
            added) or "none" (neither channel nor spatial attention).
        fusion: how "enhanced" joins both MLP outputs: "difference" is sigmoid((max - avg) / 2), "sum" is
            sigmoid(max + avg). Without effect for the other kinds.
        temporal_attention: "msmh" (8 heads of sizes 256, 128, ... 2), "mh" (8 heads of size 512) or "none" (the GRU's
            last output goes to the head).
        offset, scale: the network sees (input - offset) / scale. Constants of the network, not weights.
        input_dtype: "uint8" for pixels, "float32" for differences and flow.
        action_units: how many action units a second output tells, each on both sides of the face; 0: no such output
            (the paper's network).

    Raises:
        ValueError: a setting is out of range; the message gives the expected and the found value.
    """

    depth: int = 30
    size_px: int = 128
    channels: int = 3
    classes: int = 3
    dropout: float = 0.3
    channel_attention: ChannelAttentionKind = "enhanced"
    fusion: FusionKind = "difference"
    temporal_attention: TemporalAttentionKind = "msmh"
    offset: float = 0.0
    scale: float = 1.0
    input_dtype: InputDtype = "uint8"
    action_units: int = 0

    def __post_init__(self) -> None:
        self._require_int("depth", MIN_DEPTH)
        self._require_int("size_px", MIN_SIZE_PX)
        self._require_int("classes", 2)
        self._require_int("action_units", 0)
        self._require("channels", "1 or 3", self._is_int("channels") and self.channels in (1, 3))
        for name in ("dropout", "offset", "scale"):
            value = getattr(self, name)
            number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
            self._require(name, "a finite number", number)
        self._require("dropout", "0 <= dropout < 1", 0 <= self.dropout < 1)
        self._require("scale", "a number above 0", self.scale > 0)
        self._require_one_of("channel_attention", ChannelAttentionKind)
        self._require_one_of("fusion", FusionKind)
        self._require_one_of("temporal_attention", TemporalAttentionKind)
        self._require_one_of("input_dtype", InputDtype)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "NetworkConfig":
        """The config written by `to_dict`. Raises ValueError on an unknown name or a bad value."""
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise ValueError(f"network config: expected only {sorted(known)}, found {unknown}")
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """All settings as plain JSON values."""
        return asdict(self)

    @property
    def input_shape(self) -> tuple[int, int, int, int]:
        """(frames, height, width, channels) of one clip."""
        return self.depth, self.size_px, self.size_px, self.channels

    @property
    def steps(self) -> int:
        """Time steps that reach the GRU: what two poolings leave of the frames."""
        return pooled(pooled(self.depth))

    @property
    def trunk_px(self) -> int:
        """Height and width of the trunk's output."""
        return pooled(pooled(self.size_px))

    @property
    def head_sizes(self) -> tuple[int, ...]:
        """Sizes of the temporal attention's heads; empty without temporal attention."""
        return {"msmh": MSMH_HEAD_SIZES, "mh": MH_HEAD_SIZES, "none": ()}[self.temporal_attention]

    def _is_int(self, name: str) -> bool:
        value = getattr(self, name)
        return isinstance(value, int) and not isinstance(value, bool)

    def _require_int(self, name: str, minimum: int) -> None:
        self._require(name, f"an integer >= {minimum}", self._is_int(name) and getattr(self, name) >= minimum)

    def _require_one_of(self, name: str, kinds: Any) -> None:
        self._require(name, f"one of {', '.join(get_args(kinds))}", getattr(self, name) in get_args(kinds))

    def _require(self, name: str, expected: str, holds: bool) -> None:
        if not holds:
            raise ValueError(f"network config: {name}: expected {expected}, found {getattr(self, name)!r}")


def pooled(length: int) -> int:
    """Length after a max pooling with padding "same"."""
    return -(-length // POOL)
