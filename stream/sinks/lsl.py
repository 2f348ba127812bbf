"""Lab Streaming Layer: the run as two streams that a lab's other programs record on one clock.

`NAME-probabilities` has a float32 channel for every class and a sample for every frame of the first face with an answer;
`NAME-events` has one string channel with an accepted event as JSON. Both have an irregular rate. Time stamps are those of
LSL's local clock: of the frame in hand for probabilities, of the onset for events (which are decided about a second
later). Needs pylsl (requirements-lsl.txt), which brings LSL's own library on most machines.
"""

import json
import socket
import time
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from model.contract import ClipContract
from model.errors import MicroliveError
from model.guards import shown
from model.quiet import native_log_held_back
from model.types import Event, Frame, FrameResult
from stream.engine.model_file import model_words
from stream.sinks.base import Sink, SinkError
from stream.sinks.tables import event_message

_BUFFERED_HUNDREDS = 20
"""LSL counts the samples that it keeps for a slow listener in hundreds."""


class LslError(MicroliveError, RuntimeError):
    """Lab Streaming Layer is not there; one line that says what to do."""


def load_pylsl() -> ModuleType:
    """Raises `LslError` when pylsl is not installed, or cannot find or load LSL's library."""
    try:
        import pylsl
    except ImportError:
        raise LslError("pylsl is not installed: .venv/bin/pip install -r requirements-lsl.txt") from None
    except (RuntimeError, OSError) as error:
        first = " ".join(str(error).split())[:120]
        raise LslError(f"pylsl finds no liblsl that works here ({first}…): install liblsl, or set PYLSL_LIB") from None
    return pylsl


class LslSink(Sink):
    """A sink of a run. Sending never waits: who listens, and how fast, is the business of LSL's own threads.

    `lsl` is pylsl, `source` the name of the run's source. Raises `SinkError` at construction when the streams cannot be
    opened. Leaving takes them off the network.
    """

    def __init__(self, lsl: ModuleType, name: str, contract: ClipContract, source: str) -> None:
        self._lsl = lsl
        self._class_names = contract.class_names
        self._newest: Frame | None = None
        try:
            with native_log_held_back(shown_on_error=True):
                self._probabilities: Any = self._outlet(f"{name}-probabilities", contract, source)
                self._events: Any = self._outlet(f"{name}-events", contract, source)
        except (RuntimeError, OSError, ValueError) as error:
            raise SinkError(f"cannot open the LSL streams {name}: {' '.join(str(error).split())}") from error

    def write(self, result: FrameResult) -> None:
        frame = self._newest = result.frame
        captured_s = self._on_lsl_clock(frame)
        self._push(result.events, frame, captured_s)
        if result.prediction is not None:
            shares = result.prediction.probabilities
            self._probabilities.push_sample([shares[name] for name in self._class_names], captured_s)

    def finish(self, events: Sequence[Event]) -> None:
        if self._newest is not None:
            self._push(events, self._newest, self._on_lsl_clock(self._newest))

    def close(self) -> None:
        # Outlets end with their last reference.
        self._probabilities = self._events = None

    def _on_lsl_clock(self, frame: Frame) -> float:
        """When the frame was in hand. The two clocks are compared every time: where they are not the same one, they may
        drift apart."""
        return frame.captured_s + self._lsl.local_clock() - time.monotonic()

    def _push(self, events: Sequence[Event], frame: Frame, captured_s: float) -> None:
        for event in events:
            if event.rejected is None:
                stamp_s = captured_s + event.onset_s - frame.time_s
                self._events.push_sample([json.dumps(event_message(event))], stamp_s)

    def _outlet(self, name: str, contract: ClipContract, source: str) -> Any:
        lsl, are_events = self._lsl, name.endswith("-events")
        kind, channels = ("Markers", 1) if are_events else ("Probabilities", len(contract.class_names))
        form = lsl.cf_string if are_events else lsl.cf_float32
        # The same name from the same machine is the same source: listeners find it again after a new start.
        info = lsl.StreamInfo(name, kind, channels, lsl.IRREGULAR_RATE, form, f"{socket.gethostname()}-{name}")
        info.set_channel_labels(["event"] if are_events else list(contract.class_names))
        info.set_channel_types("event" if are_events else "probability")
        info.set_channel_units("JSON" if are_events else "1")
        about = {
            "disclaimer": shown(contract.disclaimer),
            "model": model_words(contract),
            "source": shown(source),
            "time": "onset of the event" if are_events else "frame in hand",
        }
        for key, value in about.items():
            info.desc().append_child_value(key, value)
        return lsl.StreamOutlet(info, 0, _BUFFERED_HUNDREDS)
