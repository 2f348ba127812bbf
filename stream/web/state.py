"""What the web view's page is told: once who is speaking, then with every picture how things stand."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from model.contract import ActionUnits, ClipContract
from model.guards import shown
from model.types import Event, FaceResult, FrameResult
from stream.engine.model_file import model_words
from stream.health import Health
from stream.history import HistoryWindow, Recent
from stream.screen.paint import class_colours, hex_colour
from stream.screen.statement import (
    Statement,
    Waits,
    disconnected,
    event_details,
    event_name,
    face_words,
    percent,
    rejection_words,
    statement,
    units_words,
)
from stream.sensitivity import UNLIKELY, SensitivitySteps, rate_words, step_words
from stream.sinks.marks import PlacedMark
from stream.sinks.tables import event_message

_LENGTH_BYTES = 4
_NO_STEPS = SensitivitySteps()
_OLD_MS = 1000.0


@dataclass(frozen=True)
class NumberedEvent:
    """`number` counts the run's events from 1."""

    number: int
    event: Event


@dataclass(frozen=True, eq=False)
class ViewMoment:
    """One picture and what belongs to it; a viewer is sent only what it does not have yet.

    `number` counts moments from 1, `picture_number` pictures: more than one moment may have the same one, and before the
    first, number 0, `picture`, a JPEG, is empty.
    """

    number: int
    state: Mapping[str, Any]
    samples: HistoryWindow
    events: tuple[NumberedEvent, ...]
    picture: bytes
    picture_number: int
    marks: tuple[PlacedMark, ...] = ()
    steps: SensitivitySteps = _NO_STEPS

    @property
    def newest_s(self) -> float:
        """Of the samples; minus infinity without any."""
        return float(self.samples.times_s[-1]) if len(self.samples.times_s) else -math.inf

    @property
    def events_number(self) -> int:
        return self.events[-1].number if self.events else 0

    def message(self, since_s: float, events_number: int, picture_number: int) -> bytes:
        """For a viewer that has samples, events and pictures up to these: see `pack`."""
        state = dict(self.state) | {"samples": _samples(self.samples, since_s)}
        if len(self.samples.times_s):
            from_s = float(self.samples.times_s[0])
            state["from_s"] = round(from_s, 4)
            state["marks"] = [[round(mark.time_s, 4), shown(mark.text)] for mark in self.marks if mark.time_s >= from_s]
        if events_number != self.events_number:
            state["events"] = [_event(one, self.steps) for one in self.events if one.number > events_number]
        return pack(state, self.picture if self.picture_number != picture_number else b"")


def pack(state: Mapping[str, Any], picture: bytes = b"") -> bytes:
    """The length of the JSON text in four bytes, the high one first, the text, and the JPEG, if any.

    Raises ValueError for a number that is none.
    """
    text = json.dumps(state, separators=(",", ":"), allow_nan=False).encode()
    return len(text).to_bytes(_LENGTH_BYTES, "big") + text + picture


def greeting(
    contract: ClipContract, source: str, span_s: float, with_events: bool, steps: SensitivitySteps = _NO_STEPS
) -> Mapping[str, Any]:
    """What stays the same: the first thing a viewer is sent. `sensitivity`: the steps in words and the place of the run's own,
    None where there is nothing to choose."""
    choice = {
        "own": steps.own,
        "steps": [f"{rate_words(step)}: {step_words(step)}" for step in steps.steps],
    }
    colours = class_colours(contract.class_names)
    return {
        "kind": "hello",
        "source": shown(source),
        "classes": [{"name": name, "colour": hex_colour(colours[name])} for name in contract.class_names],
        "span_s": span_s,
        "with_events": with_events,
        "sensitivity": choice if steps.steps else None,
        "model": model_words(contract),
        "disclaimer": shown(contract.disclaimer),
    }


def state_of(
    result: FrameResult | None,
    recent: Recent,
    health: Health,
    waits: Waits,
    class_names: Sequence[str],
    now_s: float,
    units: ActionUnits | None = None,
) -> Mapping[str, Any]:
    """How things stand with a frame; before the first one, `result` None, only the run's health and connection.

    `now_s`: monotonic clock. `units`: the action units that the model tells, if any.
    """
    lost = health.disconnected
    state: dict[str, Any] = {"kind": "moment", "lost": lost is not None, "health": health_facts(health)}
    if result is None:
        return state | (_said(disconnected(lost, now_s)) if lost is not None else {})
    # While nothing arrives, what was last seen is not what is.
    said = statement(result, recent, waits) if lost is None else disconnected(lost, now_s)
    answer = result.prediction if lost is None else None
    counts = {"micro": recent.events.micro, "macro": recent.events.macro, "rejected": recent.events.rejected_total}
    return (
        state
        | _said(said)
        | {
            "frame": result.frame.index,
            "time_s": round(result.frame.time_s, 3),
            "shares": None if answer is None else [round(answer.probabilities[name], 4) for name in class_names],
            "units": None if units is None else units_words(answer, units),
            "face": face_words(result.faces[0].track) if len(result.faces) > 1 else "",
            "counts": counts,
            "watch": watch_facts(result.faces[0] if result.faces and lost is None else None),
        }
    )


def watch_facts(face: FaceResult | None) -> dict[str, Any]:
    """Whether a large micro-expression would be noticed in the first face now, and the smallest one that would be."""
    watchable = face is not None and face.watchable
    words = "watchable" if watchable else "not watchable: that nothing is found now says nothing"
    smallest = (
        None if face is None or face.smallest_px is None else f"smallest visible movement {face.smallest_px:.2g} px"
    )
    return {"watchable": watchable, "words": " · ".join(text for text in (words, smallest) if text)}


def health_facts(health: Health) -> list[dict[str, Any]]:
    """Name and value of each, as text; `warns` where something is wrong."""
    facts: list[dict[str, Any]] = []
    if health.connection is not None:
        facts.append(_fact("connection", health.connection.state, health.disconnected is not None))
        facts.append(_fact("reconnects", str(health.reconnects), health.reconnects > 0))
    if health.fps_captured is not None:
        facts.append(_fact("captured", _rate(health.fps_captured)))
    facts += [_fact("aligned", _rate(health.fps_aligned)), _fact("classified", _rate(health.fps_classified))]
    facts.append(_fact("source rate", _rate(health.rate_hz) if health.rate_hz else "not known yet"))
    if health.newest_age_ms is not None:
        facts.append(_fact("newest frame", f"{health.newest_age_ms:.0f} ms old", health.newest_age_ms > _OLD_MS))
    if health.latency_ms is not None:
        facts.append(_fact("frame to answer", f"{health.latency_ms:.0f} ms"))
    if health.crop_jitter_px is not None:
        facts.append(_fact("crop jitter", f"{health.crop_jitter_px:.2f} px"))
    lost = ", ".join(f"{count} {cause}" for cause, count in health.dropped.items() if count)
    facts.append(_fact("dropped", lost or "none", bool(lost)))
    of_total = f" of {health.frames_total}" if health.frames_total else ""
    facts.append(_fact("frames", f"{health.frames}{of_total}"))
    engine = " · ".join(word for word in (health.provider, health.engine, health.threads) if word)
    return [*facts, _fact("runs on", engine)]


def _said(said: Statement) -> dict[str, Any]:
    return {
        "headline": said.headline,
        "beside": said.beside,
        "tone": said.tone,
        "label": said.label,
        "progress": said.progress,
        "lines": [" ".join(line.variants[0]) for line in said.lines],
    }


def _rate(rate_hz: float) -> str:
    return f"{rate_hz:.1f} fps"


def _fact(name: str, value: str, warns: bool = False) -> dict[str, Any]:
    return {"name": name, "value": value, "warns": warns}


def _samples(window: HistoryWindow, since_s: float) -> list[list[float | None]]:
    """Time and probabilities of what came after `since_s`, or of everything where time has run backwards."""
    times_s = window.times_s
    first = 0 if not len(times_s) or times_s[-1] < since_s else int(np.searchsorted(times_s, since_s, side="right"))
    rows: list[list[float | None]] = []
    for time_s, shares in zip(times_s[first:].tolist(), window.probabilities[first:].tolist(), strict=True):
        rows.append([round(time_s, 4), *(None if math.isnan(share) else round(share, 4) for share in shares)])
    return rows


def _event(one: NumberedEvent, steps: SensitivitySteps) -> dict[str, Any]:
    """With what is said of it where it counts and, `against`, where it does not: the page may ask for another sensitivity.
    `accepted` is the run's own verdict; `first`: the step from which on it counts, None for none; without steps 0 or None."""
    event = one.event
    likely = "" if event.probability is None else f"probability {percent(event.probability)}"
    first = steps.first(event.kind, event.probability, event.rejected)
    against = rejection_words(event) if event.rejected else f"{UNLIKELY} at {event.apex_s:.1f} s"
    words = {"name": event_name(event), "text": event_details(event, with_probability=False)[0]}
    judged = {"accepted": event.rejected is None, "first": first, "against": against, "likely": likely}
    return {"number": one.number} | event_message(event) | words | judged
