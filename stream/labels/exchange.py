"""Labels out to other tools and back: ELAN's `.eaf`, BORIS' `.tsv` and plain `.csv`, told apart by the ending of the name."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from model.atomic import whole_file
from model.guards import shown
from stream.labels.coded_spans import named
from stream.labels.eaf import eaf_bytes, read_eaf
from stream.labels.label_log import (
    PROGRAM,
    Fields,
    LabelError,
    LabelledEvent,
    LabelLog,
    changed,
    check_fields,
    read_label_file,
)
from stream.labels.label_tables import boris_text, csv_text, read_boris, read_csv
from stream.labels.media_clock import MediaClock
from stream.labels.reviewable import Reviewable
from stream.sinks.base import SinkError, reason

FORMATS = {".eaf": "ELAN", ".tsv": "BORIS", ".csv": "a table"}


def labelled(reviewable: Reviewable, coder: str) -> tuple[LabelledEvent, ...]:
    """The events as the coder left them, or as the program found them, by onset; what a coder has not decided is among
    them, with the verdict None. Raises LabelError where the coder has no labels or they are none, and SessionError."""
    recorded = reviewable.recorded()
    if coder == PROGRAM:
        return tuple(sorted(recorded, key=lambda event: (event.onset_s, event.event)))
    path = reviewable.labels_of(coder)
    if not path.exists():
        there = ", ".join(name for name, _ in reviewable.coders()) or "nobody"
        raise LabelError(f"{shown(coder)} has not labelled {shown(reviewable.name)}: {there} has")
    return read_label_file(path).events(recorded)


def write_labels(reviewable: Reviewable, coder: str, path: Path) -> None:
    """The coder's accepted and rejected events, or the program's, in the format that the name's ending says.

    What the coder has not decided is nothing that the coder says, and is left out. The file is written whole or not at all.
    Raises LabelError, SessionError, and SinkError where it cannot be written.
    """
    _require_format(path)
    events = [event for event in labelled(reviewable, coder) if event.verdict is not None]
    if path.suffix.lower() == ".csv":
        data = csv_text(coder, events).encode()
    else:
        clock = MediaClock.of(reviewable)
        if path.suffix.lower() == ".tsv":
            data = boris_text(reviewable.name, coder, events, clock).encode()
        else:
            data = eaf_bytes(coder, events, clock, path)
    try:
        with whole_file(path) as partial:
            partial.write_bytes(data)
    except OSError as error:
        raise SinkError(f"cannot write the labels {path}: {reason(error)}") from error


def read_coders(path: Path, clock: MediaClock) -> dict[str, tuple[LabelledEvent, ...]]:
    """What every coder in a file says, by onset; who is named nowhere is called after the file. `clock`: of what was coded.
    Raises LabelError."""
    _require_format(path)
    if path.suffix.lower() == ".csv":
        found = read_csv(path)
    else:
        found = read_boris(path, clock) if path.suffix.lower() == ".tsv" else read_eaf(path, clock)
    return {coder or path.stem: events for coder, events in found.items()}


def read_labels(path: Path, clock: MediaClock, coder: str | None = None) -> tuple[LabelledEvent, ...]:
    """What one coder in a file says; without a name the only one. Raises LabelError where there is another number of them."""
    found = read_coders(path, clock)
    if coder is None and len(found) == 1:
        return next(iter(found.values()))
    if coder not in found:
        names = ", ".join(shown(name)[:40] for name in sorted(found)) or "nobody"
        wanted = "one coder" if coder is None else shown(coder)
        raise LabelError(f"{path} has the labels of {names}: expected {wanted}")
    return found[coder]


def take_in(reviewable: Reviewable, path: Path, coder: str, whose: str | None = None) -> int:
    """Makes what one coder in a file says the labels of `coder`, who has none there yet; how many events they are.

    An event called after one of the program's (e12) is that one as long as they overlap in time; every other one is added
    as the coder's own. `whose`: of several coders in the file this one. Raises LabelError, SessionError and SinkError, and
    keeps nothing then.
    """
    events = read_labels(path, MediaClock.of(reviewable), whose)
    recorded = reviewable.recorded()
    told = _as_actions(events, {event.event: event for event in recorded})
    kept = reviewable.labels_of(coder)
    is_new = not kept.exists()
    with LabelLog(kept, coder) as log:
        if log.labels.actions:
            raise LabelError(f"{shown(coder)} has labels there already, {kept}: take another name for what is read")
        try:
            for name, fields in told:
                log.add(name, fields)
        except BaseException:
            if is_new:
                kept.unlink(missing_ok=True)
            raise
    return len(told)


def _as_actions(events: Sequence[LabelledEvent], recorded: Mapping[str, LabelledEvent]) -> list[tuple[str, Fields]]:
    """Names and fields that make these events, each checked."""
    ours = {
        event.event
        for event in events
        if (found := recorded.get(event.event)) is not None
        and min(event.offset_s, found.offset_s) > max(event.onset_s, found.onset_s)
    }
    # Events of another run keep no name that is the program's here.
    loose = [
        event if event.event in ours or event.event.startswith("a") else replace(event, event="") for event in events
    ]
    told: list[tuple[str, Fields]] = []
    for event in named(loose):
        values = {**vars(event), "action_units": list(event.action_units)}
        name = values.pop("event")
        try:
            fields = check_fields(values)
            changed(recorded.get(name), name, fields)
        except LabelError as error:
            raise LabelError(f"the event at {event.onset_s:.3f} s cannot be kept: {error}") from None
        told.append((name, fields))
    return told


def _require_format(path: Path) -> None:
    if path.suffix.lower() not in FORMATS:
        told = ", ".join(f"{ending} ({what})" for ending, what in FORMATS.items())
        raise LabelError(f"{shown(path.name)}: the ending says the format, expected one of {told}")
