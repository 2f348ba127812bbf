"""What papers report of finding expressions in long videos, to be shown beside a run's own. Compared, never assumed.

The numbers and where they are from are in `published_spotting.yaml` beside this file.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from train.challenge.rules import RULES, Rules


@dataclass(frozen=True)
class PublishedSpotter:
    """A method's scores on one dataset, 0 to 1; None for what it does not report. `rules`: how its code counts, where known."""

    method: str
    year: int
    source: str
    rules: Rules | None = None
    micro: float | None = None
    macro: float | None = None
    overall: float | None = None
    strs: float | None = None

    @property
    def caution(self) -> str:
        """What its rules let pass; empty for the proper ones."""
        return "How its events are counted is not known." if self.rules is None else RULES[self.rules].hides


_FILE = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))

NOTE: str = _FILE["note"]
UNSEEN: str = _FILE["unseen"]
"""On videos whose labels nobody has: the only figures that nothing was chosen on."""
PUBLISHED_SPOTTERS: Mapping[str, tuple[PublishedSpotter, ...]] = MappingProxyType(
    {name: tuple(PublishedSpotter(**row) for row in rows) for name, rows in _FILE["published"].items()}
)
"""By dataset, by year."""


def published_beside(dataset: str) -> dict[str, Any]:
    """The rows of a dataset as plain values for JSON, each with its caution, and the notes; no row for one without figures."""
    rows = PUBLISHED_SPOTTERS.get(dataset, ())
    return {"rows": [{**asdict(row), "caution": row.caution} for row in rows], "note": NOTE, "unseen": UNSEEN}
