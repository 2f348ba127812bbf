"""ELAN's `.eaf`: a tier for every class, action unit and coder, so that no two annotations of a tier overlap.

Tiers are named as is customary, `negative@anna` or `AU12L@anna`; `apex@anna` has one frame from each apex on, `note@anna`
notes, `event@anna` the names of the events. What was rejected is in `rejected@anna`, `rejected AU12L@anna` and `rejected
apex@anna`. Events that overlap, and those of further
faces, are in tiers of their own that end with #2, #3, …; the participant of a tier is its face. ELAN's times are whole
milliseconds of the medium: the exact ones are in a property of the header, and count as long as the annotations were not
changed.
"""

import json
import mimetypes
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.parsers.expat import ExpatError, ParserCreate

from pydantic import TypeAdapter

from model.checked import MisfitError, checked_json
from model.guards import shown
from stream.labels.coded_spans import OF_REJECTED, Span, class_word, meaning, named, to_events, unit_order, unit_word
from stream.labels.label_log import LabelError, LabelledEvent, changed, check_fields
from stream.labels.label_tables import read_whole
from stream.labels.media_clock import MediaClock

if TYPE_CHECKING:
    from pympi import Eaf

_LAST_MS = 2**32 - 1
_EXACT = "microlive:events"
_TIER = re.compile(r"(?P<name>[^@#]+)(@(?P<coder>[^#]*))?(#[0-9]+)?")
_LANE = re.compile(r"#[0-9]+$")
_FACE = re.compile(r"face ([0-9]{1,9})")
_ORDER = ("class", "rejected", "unit", "apex", "note", "event")
_RECORDS = TypeAdapter(list[dict[str, Any]])


@dataclass(frozen=True)
class _Note:
    """An annotation to be: tier, whole milliseconds, value."""

    tier: str
    start_ms: int
    end_ms: int
    value: str


def eaf_bytes(coder: str, events: Sequence[LabelledEvent], clock: MediaClock, target: Path) -> bytes:
    """The file that is to lie at `target`, whence the medium is named. Raises LabelError for what ELAN's times cannot hold."""
    from pympi.Elan import Eaf, to_string

    eaf = Eaf(author=shown(coder))
    eaf.remove_tier("default")
    # pympi's own date is none where the time zone is not of whole hours.
    eaf.adocument["DATE"] = datetime.now().astimezone().isoformat(timespec="seconds")
    eaf.header = {"MEDIA_FILE": "", "TIME_UNITS": "milliseconds"}
    if clock.medium is not None:
        eaf.add_linked_file(
            clock.medium.resolve().as_uri(),
            relpath=_from(target.parent, clock.medium),
            mimetype=mimetypes.guess_type(clock.medium.name)[0] or "unknown",
        )
    for lane, track, members in _lanes(events, clock):
        suffix = f"@{coder}" if lane == 1 else f"@{coder}#{lane}"
        notes = [note for event in members for note in _annotations(event, clock)]
        for tier in sorted({note.tier for note in notes}, key=_tier_order):
            eaf.add_tier(f"{tier}{suffix}", part=f"face {track}", ann=coder)
        for note in notes:
            if note.end_ms > _LAST_MS:
                raise LabelError(
                    f"an event ends at {note.end_ms / 1000:.0f} s of the medium: ELAN has no time after 49 days"
                )
            eaf.add_annotation(f"{note.tier}{suffix}", note.start_ms, note.end_ms, note.value)
    eaf.properties = [
        ("lastUsedAnnotationId", str(eaf.maxaid)),
        (_EXACT, json.dumps([vars(event) for event in events])),
    ]
    _order_times(eaf)
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + to_string(eaf, encoding="UTF-8") + b"\n"


def read_eaf(path: Path, clock: MediaClock) -> dict[str, tuple[LabelledEvent, ...]]:
    """The events of every coder who has tiers in the file, in the source's time; "" is who is not named. Raises LabelError
    for what is no such file, and for one that would be of harm."""
    eaf = _opened(path)
    coders: dict[str, list[Span]] = {}
    try:
        for coder, span in _spans(eaf):
            coders.setdefault(coder, []).append(span)
    except (KeyError, ValueError, IndexError, TypeError) as error:
        raise LabelError(
            f"{path} is damaged: it names what is not there ({shown(str(error))[:60]}); open it in ELAN"
        ) from None
    exact = _exact_events(eaf, clock)
    return {
        coder: named([exact.get(event) or clock.in_source_time(event) for event in to_events(spans)])
        for coder, spans in coders.items()
    }


def _lanes(events: Sequence[LabelledEvent], clock: MediaClock) -> Iterator[tuple[int, int, list[LabelledEvent]]]:
    """(number, face, events of the face of which none overlaps another, whole frames of their apexes included)."""
    lanes: dict[int, list[tuple[int, list[LabelledEvent]]]] = {}
    for event in sorted(events, key=lambda event: (event.onset_s, event.offset_s, event.event)):
        start_ms, apex_ms, end_ms = _whole_ms(event, clock)
        end_ms = max(end_ms, apex_ms + _frame_ms(clock))
        of_face = lanes.setdefault(event.track, [])
        place = next((place for place, (until_ms, _) in enumerate(of_face) if until_ms <= start_ms), None)
        if place is None:
            of_face.append((end_ms, [event]))
        else:
            of_face[place] = (end_ms, [*of_face[place][1], event])
    number = 0
    for track in sorted(lanes):
        for _, members in lanes[track]:
            number += 1
            yield number, track, members


def _annotations(event: LabelledEvent, clock: MediaClock) -> Iterator[_Note]:
    start_ms, apex_ms, end_ms = _whole_ms(event, clock)
    prefix = OF_REJECTED if event.verdict == "rejected" else ""
    tier, label = _class_tier(event)
    yield _Note(tier, start_ms, end_ms, label)
    for unit in sorted(set(event.action_units), key=unit_order):
        yield _Note(f"{prefix}{unit_word(unit)}", start_ms, end_ms, unit_word(unit))
    yield _Note(f"{prefix}apex", apex_ms, apex_ms + _frame_ms(clock), "apex")
    yield _Note("event", start_ms, end_ms, event.event)
    if event.note:
        yield _Note("note", start_ms, end_ms, shown(event.note, lines=True))


def _class_tier(event: LabelledEvent) -> tuple[str, str]:
    """The tier that says whether it is an event and of which class, and its value."""
    label = shown(event.label)
    return ("rejected", label) if event.verdict == "rejected" else class_word(label)


def _whole_ms(event: LabelledEvent, clock: MediaClock) -> tuple[int, int, int]:
    """Onset, apex and offset in the medium. What ELAN cannot hold is moved: before the beginning to it, and an event
    without a length gets a millisecond."""
    onset_ms, apex_ms, offset_ms = (
        max(round(1000 * clock.to_medium(time_s)), 0) for time_s in (event.onset_s, event.apex_s, event.offset_s)
    )
    offset_ms = max(offset_ms, onset_ms + 1)
    return onset_ms, min(max(apex_ms, onset_ms), offset_ms), offset_ms


def _frame_ms(clock: MediaClock) -> int:
    return max(round(1000 / clock.fps), 1)


def _tier_order(tier: str) -> tuple[bool, int, int, str]:
    """Classes, action units by number, what is said of them; then the same of rejected events."""
    rejected = tier.startswith(OF_REJECTED.strip())
    kind, value = meaning(tier, "")
    place = _ORDER.index(kind)
    return rejected, place, unit_order(value)[0] if kind == "unit" else 0, tier


def _from(folder: Path, medium: Path) -> str | None:
    """As ELAN has it; None from another drive."""
    try:
        return f"./{Path(os.path.relpath(medium.resolve(), folder.resolve())).as_posix()}"
    except ValueError:
        return None


def _order_times(eaf: "Eaf") -> None:
    """Time slots in the order of their times, as the format wants them; pympi has them in the order of the annotations."""
    ordered = sorted(eaf.timeslots.items(), key=lambda slot: slot[1])
    names = {old: f"ts{number}" for number, (old, _) in enumerate(ordered, start=1)}
    eaf.timeslots = {names[old]: time_ms for old, time_ms in ordered}
    for aligned, *_ in eaf.tiers.values():
        for name, (start, end, value, picture) in aligned.items():
            aligned[name] = (names[start], names[end], value, picture)


def _opened(path: Path) -> "Eaf":
    from pympi import Eaf

    _check(path)
    try:
        return Eaf(path, suppress_version_warning=True)
    except Exception as error:  # pympi has no errors of its own
        raise LabelError(
            f"{path} is damaged: {type(error).__name__} {shown(str(error))[:80]}; open it in ELAN"
        ) from None


def _check(path: Path) -> None:
    """What pympi would take without a question, or would fail over: too large, no XML, entities, another kind of file."""
    root: list[tuple[str, dict[str, str]]] = []

    def begin(tag: str, attributes: dict[str, str]) -> None:
        if not root:
            root.append((tag, attributes))

    def refuse(*_: object) -> None:
        # Entities that grow without end need a DTD, which no such file has.
        raise LabelError(f"{path} is no .eaf: it has a DTD, which ELAN never writes and which is not read here")

    parser = ParserCreate()
    parser.StartElementHandler = begin
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(read_whole(path), True)
    except (ExpatError, ValueError, LookupError) as error:
        raise LabelError(f"{path} is no .eaf: no XML ({shown(str(error))[:80]})") from None
    tag, attributes = root[0]
    if tag != "ANNOTATION_DOCUMENT":
        raise LabelError(f"{path} is no .eaf: expected ANNOTATION_DOCUMENT, found {shown(tag)[:60]}")
    if "xsi:noNamespaceSchemaLocation" not in attributes:
        raise LabelError(f"{path} does not say which schema it has: open it in ELAN and save it")


def _spans(eaf: "Eaf") -> Iterator[tuple[str, Span]]:
    """(coder, annotation), in the medium's seconds."""
    for tier, (aligned, references, attributes, _) in eaf.tiers.items():
        told = _TIER.fullmatch(tier)
        name, coder = (tier, None) if told is None else (told["name"], told["coder"])
        face = _FACE.fullmatch(attributes.get("PARTICIPANT") or "")
        lane = _LANE.search(tier)
        coder = (attributes.get("ANNOTATOR") or "") if coder is None else coder
        for annotation, value in [
            *((annotation, told[2]) for annotation, told in aligned.items()),
            *((annotation, told[1]) for annotation, told in references.items()),
        ]:
            start, end = _slots(eaf, annotation)
            start_ms, end_ms = eaf.timeslots[start], eaf.timeslots[end]
            if start_ms is None or end_ms is None or not 0 <= start_ms <= end_ms <= _LAST_MS:
                raise LabelError(
                    f"tier {shown(tier)[:60]}: annotation {shown(annotation)[:20]} has no times of its own: set them in ELAN"
                )
            if start_ms == end_ms:
                raise LabelError(
                    f"tier {shown(tier)[:60]}: annotation {shown(annotation)[:20]} has no length: give it one in ELAN"
                )
            kind, word = meaning(name, value)
            track = int(face[1]) if face is not None else 0
            yield coder.strip(), Span(kind, word, start_ms / 1000, end_ms / 1000, track, lane[0] if lane else "")


def _slots(eaf: "Eaf", annotation: str) -> tuple[str, str]:
    """Of an annotation, or of that to which it refers."""
    for _ in range(len(eaf.tiers)):  # references in a ring have no end
        aligned, references, *_rest = eaf.tiers[eaf.annotations[annotation]]
        if annotation in aligned:
            return aligned[annotation][0], aligned[annotation][1]
        annotation = references[annotation][0]
    raise ValueError("references in a ring")


def _exact_events(eaf: "Eaf", clock: MediaClock) -> dict[LabelledEvent, LabelledEvent]:
    """By what the annotations can say of them. What does not fit is left out: the annotations are there."""
    found: dict[LabelledEvent, LabelledEvent] = {}
    with suppress(MisfitError):
        for record in checked_json(_RECORDS, dict(eaf.properties).get(_EXACT) or "[]"):
            name = record.pop("event", "")
            with suppress(LabelError):
                event = replace(changed(None, "a1", check_fields(record)), event=str(name))
                found[_as_annotated(event, clock)] = event
    return found


def _as_annotated(event: LabelledEvent, clock: MediaClock) -> LabelledEvent:
    """As the event is read back from its annotations, in the medium's time."""
    onset_ms, apex_ms, offset_ms = _whole_ms(event, clock)
    units = tuple(sorted(set(event.action_units), key=unit_order))
    times = {"onset_s": onset_ms / 1000, "apex_s": apex_ms / 1000, "offset_s": offset_ms / 1000}
    label = meaning(*_class_tier(event))[1]
    return replace(event, **times, label=label, action_units=units, note=shown(event.note, lines=True))
