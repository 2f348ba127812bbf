"""The outputs of a run: peers that each take what they are given and know nothing of the others."""

from stream.sinks.base import Sink, SinkError
from stream.sinks.csv_sink import CsvSink
from stream.sinks.events_sink import EventsSink
from stream.sinks.panel import Panel
from stream.sinks.record import RecordSink
from stream.sinks.summary import RunSummary
from stream.sinks.window import Command, Window, display_available, save_snapshot

__all__ = [
    "Command",
    "CsvSink",
    "EventsSink",
    "Panel",
    "RecordSink",
    "RunSummary",
    "Sink",
    "SinkError",
    "Window",
    "display_available",
    "save_snapshot",
]
