"""The paper's network and the rows of its ablation, by name. No TensorFlow here."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from model.config import NetworkConfig


@dataclass(frozen=True)
class Variant:
    """A named architecture, the loss it was published with, and its published scores on SMIC (MLSP 2024)."""

    name: str
    attention: str
    config: NetworkConfig
    weighted_loss: bool
    published_uf1: float
    published_uar: float
    published_accuracy: float


_PLAIN = NetworkConfig(channel_attention="none", temporal_attention="none")
_CBAM = NetworkConfig(channel_attention="cbam", temporal_attention="none")
_ENHANCED = NetworkConfig(temporal_attention="none")
_MH = NetworkConfig(temporal_attention="mh")
_PAPER = NetworkConfig()

_ROWS = (
    Variant("plain", "none", _PLAIN, False, 0.641, 0.670, 0.773),
    Variant("weighted", "none", _PLAIN, True, 0.695, 0.708, 0.785),
    Variant("cbam", "CBAM", _CBAM, True, 0.692, 0.721, 0.780),
    Variant("enhanced", "enhanced", _ENHANCED, True, 0.732, 0.737, 0.794),
    Variant("mh", "enhanced+MH", _MH, True, 0.692, 0.722, 0.794),
    Variant("paper", "enhanced+MSMH", _PAPER, True, 0.732, 0.751, 0.790),
)

VARIANTS: Mapping[str, Variant] = MappingProxyType({row.name: row for row in _ROWS})
"""The six rows of the ablation in the paper's order; "paper" is the whole network."""


def variant(name: str) -> Variant:
    """The variant called `name`. Raises ValueError listing the names when there is none."""
    if name not in VARIANTS:
        raise ValueError(f"network variant: expected one of {', '.join(VARIANTS)}, found {name!r}")
    return VARIANTS[name]
