"""Where frames come from: cameras, files, network streams and the built-in demo, one small interface.

A source is opened by `with`, then iterated once. Frames carry the source's own time: the presentation time of files, a
monotonic clock for live sources. Files drop nothing; of a live source the newest frame wins and the rest are counted.
"""

from stream.live_settings import CameraSettings, LiveSettings
from stream.sources.address import without_credentials
from stream.sources.base import FrameSource, SourceError, SourceInfo
from stream.sources.cameras import list_cameras
from stream.sources.demo import DemoSource
from stream.sources.file import FileSource
from stream.sources.live import LiveSource
from stream.sources.opening import open_source

__all__ = [
    "CameraSettings",
    "DemoSource",
    "FileSource",
    "FrameSource",
    "LiveSettings",
    "LiveSource",
    "SourceError",
    "SourceInfo",
    "list_cameras",
    "open_source",
    "without_credentials",
]
