"""Words for states, events and rejections: the same in the picture and in the terminal."""

from collections.abc import Mapping

from model.types import Event, Rejection, Status

STATUS_WORDS: Mapping[Status, tuple[str, str]] = {
    "ok": ("watching", ""),
    "filling": ("filling", "frames of a window"),
    "no_face": ("no face", "come into view"),
    "tracking_lost": ("tracking lost", "hold still a moment"),
    "face_too_small": ("face too small", "come closer"),
    "face_turned": ("face turned away", "look into the camera"),
    "blurred": ("blurred", "hold still; more light"),
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
    "tracking_lost": "tracking lost",
    "insufficient_rate": "too few frames",
    "calibrating": "calibrating",
    "too_short": "too short",
    "overlap": "part of another",
    "no_expression": "no expression",
}


def percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def face_words(track: int) -> str:
    return f"face {track}"


def event_name(event: Event) -> str:
    """Its class, with a question mark where it is more likely wrong than right."""
    return event.label if event.confidence >= 0.5 else f"{event.label}?"


def event_details(event: Event) -> tuple[str, ...]:
    """Duration, apex, confidence and peak motion; after the whole of it what is left where there is less room."""
    when = f"at {event.apex_s:.1f} s"
    lasted = f"{event.duration_s:.2f} s {when}"
    sure = percent(event.confidence)
    return f"{lasted} · {sure} · {event.peak_px:.1f} px", f"{lasted} · {sure}", lasted, when


def rejection_words(event: Event) -> str:
    """Reason and apex of a rejected event."""
    assert event.rejected is not None
    return f"{REJECTION_WORDS[event.rejected]} at {event.apex_s:.1f} s"
