"""What is to be said of a moment, the same in the picture, in the terminal and on the page: the most important first,
which is what is the matter now, or the last event; then the rest.

An event is the headline as long as its mark is on the strip. What the model says of a single window is not: most windows
hold no event, and the model has to name something.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Self

from model.contract import ActionUnits
from model.types import Event, FaceResult, FrameResult, Prediction, Rejection, Status, acting_units
from stream.events.settings import EventSettings
from stream.health import Connection
from stream.history import EventWindow, Recent

STATUS_WORDS: Mapping[Status, tuple[str, str]] = {
    "ok": ("watching", ""),
    "filling": ("filling", "frames of a window"),
    "no_face": ("no face", "come into view"),
    "tracking_lost": ("tracking lost", "hold still a moment"),
    "face_too_small": ("face too small", "come closer"),
    "face_turned": ("face turned away", "look into the camera"),
    "not_upright": ("face not upright", "turn the camera or the file"),
    "no_life": ("nothing moves", "a picture, or a camera that stands still?"),
    "blurred": ("blurred", "hold still; more light"),
    "too_dark": ("too dark", "more light"),
    "flicker": ("light flickers", "other light, or lamp off"),
    "insufficient_rate": ("too few frames", "more light, faster camera"),
}
"""What is the matter, and what to do about it."""

REJECTION_WORDS: Mapping[Rejection, str] = {
    "blink": "blink",
    "head_motion": "head motion",
    "speech": "speech",
    "exposure": "change of light",
    "blur": "blur",
    "face_too_small": "face too small",
    "face_turned": "face turned away",
    "not_upright": "face not upright",
    "tracking_lost": "tracking lost",
    "insufficient_rate": "too few frames",
    "calibrating": "calibrating",
    "too_small": "too small",
    "not_brief": "not brief",
    "overlap": "part of another",
    "no_expression": "no expression",
}
"""Why a movement is no event."""

NOT_WATCHABLE = "not watchable"
"""A large micro-expression would not be noticed."""

Tone = Literal["event", "calm", "warning"]


def percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def face_words(track: int) -> str:
    return f"face {track}"


def event_name(event: Event) -> str:
    """Its class, with a question mark where it is more likely wrong than right."""
    return event.label if event.confidence >= 0.5 else f"{event.label}?"


def event_sure(event: Event) -> str:
    """How likely it is a micro-expression; of what has no such probability, how sure its class is."""
    if event.probability is None:
        return f"class {percent(event.confidence)}"
    return f"{event.kind} {percent(event.probability)}"


def event_details(event: Event, with_probability: bool = True) -> tuple[str, ...]:
    """Duration, apex, the probability that it is a micro-expression, the class's confidence, peak motion and action units;
    after the whole of it what is left where there is less room. `with_probability`: unless it is told elsewhere."""
    when = f"at {event.apex_s:.1f} s"
    lasted = f"{event.duration_s:.2f} s {when}"
    sure, moved, units = f"class {percent(event.confidence)}", f"{event.peak_px:.1f} px", event_units(event)
    told = [(sure, moved, units), (sure, units), (sure, moved), (sure,)] if units else [(sure, moved), (sure,)]
    if with_probability and event.probability is not None:
        likely = percent(event.probability)
        told = [*((likely, *words) for words in told), (likely,)]
    return (*(" · ".join((lasted, *words)) for words in told), lasted, when)


def event_units(event: Event) -> str:
    """AU 4+L12, empty where it has none."""
    return f"AU {'+'.join(event.action_units)}" if event.action_units else ""


def units_words(answer: Prediction | None, units: ActionUnits) -> str:
    """AU 4 · L12: which act now; empty without an answer."""
    if answer is None:
        return ""
    return f"AU {' · '.join(acting_units(answer.action_units, units.threshold)) or 'none'}"


def rejection_words(event: Event) -> str:
    """Reason and apex of a rejected event."""
    assert event.rejected is not None
    return f"{REJECTION_WORDS[event.rejected]} at {event.apex_s:.1f} s"


@dataclass(frozen=True)
class Line:
    """`variants`: the same, shorter and shorter. Each is one or two texts in a row. `label`: the class it
    is about, if any."""

    variants: tuple[tuple[str, ...], ...]
    label: str | None = None


@dataclass(frozen=True)
class Statement:
    """`headline`, `beside` it in small, and `lines` below; `progress` 0 to 1 of what is being waited for.

    `label` is the class that the headline names, None where it names none.
    """

    headline: str
    beside: str
    tone: Tone
    label: str | None
    progress: float | None
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Waits:
    """`window_frames` fill a window, `calibration_s` calibrate a face; None where no events are looked for."""

    window_frames: int = 30
    calibration_s: float | None = 3.0

    @classmethod
    def of_run(cls, window_frames: int, with_events: bool) -> Self:
        """Of a run that looks for events, or of one that gives labels only."""
        return cls(window_frames, EventSettings().calibration_s if with_events else None)

    def calibrating(self, face: FaceResult, recent: Recent) -> float | None:
        """How much of a face's calibration is done, 0 to 1; None where it does not calibrate."""
        if self.calibration_s is None or face.calibrated or face.track not in recent.calibrating_s:
            return None
        return min(recent.calibrating_s[face.track] / self.calibration_s, 1.0)

    def filling(self, face: FaceResult) -> float | None:
        """How much of a face's window is filled, 0 to 1; None where it is full, or does not fill."""
        return min(face.filled / self.window_frames, 1.0) if face.status == "filling" else None

    def progress(self, face: FaceResult, recent: Recent) -> float | None:
        """Of the longer one of both, 0 to 1; None where a face waits for nothing."""
        calibrating = self.calibrating(face, recent)
        return self.filling(face) if calibrating is None else calibrating


def disconnected(connection: Connection, now_s: float) -> Statement:
    """In place of `statement` while nothing arrives: what was last seen is not what is. `now_s`: monotonic clock."""
    headline, *tries, since = connection.words(now_s).partition(": ")[0].split(", ")
    reason = connection.reason or "no answer yet"
    return Statement(headline, since, "warning", None, None, _lines(_plain(", ".join(tries)), _plain(reason)))


def statement(result: FrameResult, recent: Recent, waits: Waits) -> Statement:
    """Of the first face, and of the events of all."""
    events = recent.events
    face = result.faces[0] if result.faces else None
    several = len(result.faces) > 1
    past = _past(events, face, several)
    window, sight = _window(face, several), _sight(face, several)
    calibrating = None if face is None else waits.calibrating(face, recent)
    filling = None if face is None else waits.filling(face)
    if result.status not in ("ok", "filling"):
        what, remedy = STATUS_WORDS[result.status]
        beside = f"{face.rate_hz:.0f} fps" if face is not None and face.status == "insufficient_rate" else ""
        return Statement(what, beside, "warning", None, None, _lines(_plain(remedy), *past))
    if calibrating is not None:
        assert waits.calibration_s is not None
        left_s = max(1, math.ceil((1.0 - calibrating) * waits.calibration_s))
        lines = _lines(_plain(f"rest for {left_s} s"), *past, window)
        return Statement("calibrating", "", "calm", None, calibrating, lines)
    if face is not None and filling is not None:
        what = f"filling {face.filled}/{waits.window_frames}"
        return Statement(what, "", "calm", None, filling, _lines(_plain(STATUS_WORDS["filling"][1]), *past))
    if waits.calibration_s is None and face is not None and face.prediction is not None:
        answer = face.prediction
        lines = _lines(_plain(f"window: {percent(answer.confidence)}"))
        return Statement(answer.label, _number(face.track, several), "event", answer.label, None, lines)
    last = events.last
    if last is not None and events.last_is_recent:
        details = Line(tuple((text,) for text in event_details(last, with_probability=False)), last.label)
        likely = last.kind if last.probability is None else event_sure(last)
        beside = _joined(_number(last.track, _is_other(last, face, several)), likely)
        return Statement(event_name(last), beside, "event", last.label, None, _lines(details, sight, *past[1:], window))
    if last is None:
        past = (_plain("no event yet"), *past[1:])
    if face is not None and not face.watchable:
        lines = _lines(Line(tuple((text,) for text in _unseen(face))), *past, window)
        return Statement(_joined(_number(face.track, several), NOT_WATCHABLE), "", "warning", None, None, lines)
    return Statement(STATUS_WORDS["ok"][0], "", "calm", None, None, _lines(sight, *past, window))


def _past(events: EventWindow, face: FaceResult | None, several: bool) -> tuple[Line | None, ...]:
    """The last event, how many there were, the last rejected one; None for what there is not."""
    last, counts, rejected = None, None, None
    if events.last is not None:
        number = _number(events.last.track, _is_other(events.last, face, several))
        about = _joined(number, events.last.kind, event_name(events.last))
        details = event_details(events.last)
        last = Line(tuple((f"{about} {text}",) for text in (*details[:-2], details[-1])), events.last.label)
    if events.micro or events.macro or events.rejected:
        said = f"{events.micro} micro · {events.macro} macro"
        counts = Line(((f"{said} · {events.rejected_total} rejected",), (said,)))
    if events.last_rejected is not None:
        number = _number(events.last_rejected.track, _is_other(events.last_rejected, face, several))
        words = _joined(number, rejection_words(events.last_rejected))
        rejected = Line(((f"rejected: {words}",), (words,)))
    return last, counts, rejected


def _window(face: FaceResult | None, several: bool) -> Line | None:
    """What the model says of the window that ends now."""
    if face is None or face.prediction is None:
        return None
    number = _number(face.track, several)
    label, share = face.prediction.label, percent(face.prediction.confidence)
    # Two texts: each of them comes again and again, all the pairs of them do not.
    longest = f"{_joined(number, 'window')}: {label}"
    return Line(((longest, share), (label, share)))


def _sight(face: FaceResult | None, several: bool) -> Line | None:
    """What could be seen of a movement now."""
    if face is None:
        return None
    number = _number(face.track, several)
    if not face.watchable:
        told = (*(f"{NOT_WATCHABLE}: {why}" for why in _unseen(face)), NOT_WATCHABLE)
        return Line(tuple((_joined(number, text),) for text in told))
    if face.smallest_px is None:
        return None
    px = f"{face.smallest_px:.1f} px"
    return Line(((_joined(number, f"smallest visible {px}"),), (_joined(number, f"visible from {px}"),)))


def _unseen(face: FaceResult) -> tuple[str, ...]:
    """Why a face that can be read is not watchable; shorter and shorter."""
    why = "moves too much"
    return (why,) if face.smallest_px is None else (f"{why}, visible from {face.smallest_px:.1f} px", why)


def _is_other(event: Event, face: FaceResult | None, several: bool) -> bool:
    """Whether an event has to say whose it is."""
    return several or (face is not None and event.track != face.track)


def _number(track: int, shown: bool) -> str:
    return face_words(track) if shown else ""


def _joined(*words: str) -> str:
    return " ".join(word for word in words if word)


def _plain(text: str) -> Line | None:
    return Line(((text,),)) if text else None


def _lines(*lines: Line | None) -> tuple[Line, ...]:
    return tuple(line for line in lines if line is not None)
