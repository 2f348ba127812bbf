"""Scores that papers report on the MEGC2019 data and on long videos, to be shown beside a run's own. Compared, never assumed.

The numbers and where they are from are in `literature.yaml` beside this file.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

COMPOSITE = "composite"
PART_TITLES: Mapping[str, str] = MappingProxyType(
    {COMPOSITE: "composite", "smic": "SMIC", "casme2": "CASME II", "samm": "SAMM"}
)
"""The parts that papers report, in the order of the columns."""


@dataclass(frozen=True)
class PartScore:
    """UF1 and, where it is reported, UAR, both 0 to 1."""

    uf1: float
    uar: float | None = None


@dataclass(frozen=True)
class PublishedRow:
    """A method's scores by part (a key of `PART_TITLES`); parts that it does not report are left out."""

    method: str
    year: int
    source: str
    scores: Mapping[str, PartScore]
    note: str = ""
    same_network: bool = False


@dataclass(frozen=True)
class PublishedSpotting:
    """What is reported of finding micro-expressions in the long videos of `data`, in words."""

    data: str
    told: str


def _row(raw: Mapping[str, Any]) -> PublishedRow:
    scores = {part: PartScore(**values) for part, values in raw["scores"].items()}
    return PublishedRow(**{**raw, "scores": MappingProxyType(scores)})


_FILE = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))

PROTOCOL_N: Mapping[str, int] = MappingProxyType(_FILE["n"])
"""Clips of each part under the MEGC2019 rules: a run on other clips is not the same experiment."""
CAUTION: str = _FILE["caution"]
WITHOUT_CHOOSING: str = _FILE["without_choosing"]
PUBLISHED: tuple[PublishedRow, ...] = tuple(map(_row, _FILE["published"]))
"""By year. Sources are where the method was published; "as compared in" names the table that the numbers come from."""
SPOTTING_CAUTION: str = _FILE["spotting_caution"]
SPOTTING: tuple[PublishedSpotting, ...] = tuple(PublishedSpotting(**raw) for raw in _FILE["spotting"])
"""Of real micro-expressions in long videos: neither the data nor, in part, the measure that a run here has."""
