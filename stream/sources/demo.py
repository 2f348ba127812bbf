"""The demo that ships with the program: a clip of a portrait with three micro-expressions, and the truth about them.

`train.synth.demo_clip` drew it; here it is a video file like any other.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from model.types import Pace
from stream.sources.file import FileSource

DEMO_CLIP = Path(__file__).resolve().parent / "demo.mp4"
DEMO_TRUTH = DEMO_CLIP.with_suffix(".json")


@dataclass(frozen=True)
class DemoEvent:
    """A micro-expression that is in the demo; seconds from its first frame, `peak_px` in pixels of the aligned crop."""

    label: str
    onset_s: float
    apex_s: float
    offset_s: float
    peak_px: float


class DemoSource(FileSource):
    """The built-in demo. `events` is the truth."""

    def __init__(self, pace: Pace = "realtime") -> None:
        super().__init__(DEMO_CLIP, pace)
        self.events = tuple(DemoEvent(**event) for event in json.loads(DEMO_TRUTH.read_text(encoding="utf-8")))

    def __enter__(self) -> Self:
        super().__enter__()
        self.info = replace(self.info, name="demo")
        return self
