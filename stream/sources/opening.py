"""From a user's word to a source."""

from collections.abc import Callable
from pathlib import Path

from model.types import Pace
from stream.connection import Connection
from stream.live_settings import LiveSettings
from stream.sources.base import FrameSource
from stream.sources.demo import DemoSource
from stream.sources.file import FileSource
from stream.sources.live import LiveSource


def open_source(
    source: str | int,
    pace: Pace = "realtime",
    settings: LiveSettings | None = None,
    on_change: Callable[[Connection], None] | None = None,
) -> FrameSource:
    """The source that a user's word stands for: a camera's index, `demo`, a URL, or a file's path. `settings` and
    `on_change` are those of `LiveSource`."""
    if isinstance(source, int) or "://" in source:
        return LiveSource(source, settings, pace, on_change)
    if source == "demo":
        return DemoSource(pace)
    return FileSource(Path(source).expanduser(), pace)
