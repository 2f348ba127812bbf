"""Labels as tables: CSV with a row for every event, and the tab-separated exports of BORIS.

Both are RFC 4180 but for the tab. A text that a spreadsheet would take for a formula has a ' before it, which reading takes
off again.
"""

import csv
import io
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path

from model.atomic import regular_file
from model.guards import shown, table_cell
from stream.labels.coded_spans import OF_REJECTED, Span, class_word, meaning, named, to_events, unit_word
from stream.labels.label_log import LabelError, LabelledEvent
from stream.labels.media_clock import MediaClock
from stream.session.session_folder import LARGEST
from stream.sinks.base import reason

MOST_BYTES = 64 * 1024 * 1024
CSV_COLUMNS = (
    "event", "coder", "track", "kind", "label", "onset_s", "apex_s", "offset_s", "action_units", "verdict", "note",
)  # fmt: skip
"""`label`, `onset_s` and `offset_s` are asked of a file from elsewhere, the rest may be missing. Seconds of the source's own
time; action units as FACS writes them, 4+L12; verdict `accepted` or `rejected`."""
BORIS_COLUMNS = (
    "Observation id", "Media file", "FPS", "Subject", "Behavior", "Behavioral category", "Modifiers", "Behavior type",
    "Start (s)", "Stop (s)", "Duration (s)", "Comment start",
)  # fmt: skip
"""Of its aggregated events. An observation is named after what was coded and by whom, `talk@anna`; the subject is the face."""
_UNIT = re.compile(r"[LR]?[0-9][0-9]?")
_FACE = re.compile(r"face ([0-9]{1,9})")
_CATEGORIES = {"class": "expression", "rejected": "expression", "unit": "action unit", "apex": "apex"}


def read_whole(path: Path) -> bytes:
    """A file of somebody else's; LabelError where it cannot be had, or is larger than any that holds labels."""
    try:
        size = regular_file(path).stat().st_size
        if size > MOST_BYTES:
            raise LabelError(f"{path} has {size // 2**20} MiB: no file of labels has more than {MOST_BYTES // 2**20}")
        return path.read_bytes()
    except OSError as error:
        raise LabelError(f"{path} cannot be read: {reason(error)}") from error


def csv_text(coder: str, events: Sequence[LabelledEvent]) -> str:
    """Every number in full, so that reading gives the very same events."""
    rows = [
        (
            event.event, coder, event.track, event.kind, _cell(event.label), repr(event.onset_s), repr(event.apex_s),
            repr(event.offset_s), "+".join(event.action_units), event.verdict, _cell(event.note),
        )
        for event in events
    ]  # fmt: skip
    return _table(CSV_COLUMNS, rows, ",")


def read_csv(path: Path) -> dict[str, tuple[LabelledEvent, ...]]:
    """By coder, "" where none is named. Raises LabelError with the row."""
    coders: dict[str, list[LabelledEvent]] = {}
    for place, row in _rows(path, ",", ("label", "onset_s", "offset_s")):
        try:
            event = _csv_event(row)
        except ValueError as error:
            raise LabelError(f"{path}: row {place}: {error}") from None
        coders.setdefault(_text(row.get("coder", "")).strip(), []).append(event)
    return {coder: named(sorted(events, key=_by_time)) for coder, events in coders.items()}


def boris_text(name: str, coder: str, events: Sequence[LabelledEvent], clock: MediaClock) -> str:
    """Aggregated events: a row for every class, action unit and apex, in the medium's seconds to the microsecond."""
    rows: list[tuple[object, ...]] = []
    medium = "" if clock.medium is None else _cell(shown(clock.medium.name))
    for event in events:
        word, _ = ("rejected", "") if event.verdict == "rejected" else class_word(event.label)
        words = [(word, event.onset_s, event.offset_s, event.note)]
        prefix = OF_REJECTED if event.verdict == "rejected" else ""
        words += [
            (f"{prefix}{unit_word(unit)}", event.onset_s, event.offset_s, "")
            for unit in dict.fromkeys(event.action_units)
        ]
        words += [(f"{prefix}apex", event.apex_s, event.apex_s, "")]
        for behavior, start_s, stop_s, comment in words:
            kind, _ = meaning(behavior, event.label)
            start_s, stop_s = clock.to_medium(start_s), clock.to_medium(stop_s)
            rows.append((
                _cell(f"{shown(name)}@{coder}"), medium, f"{clock.fps:g}", f"face {event.track}", _cell(behavior),
                _CATEGORIES[kind], _cell(f"{event.event}|{event.label}"), "POINT" if kind == "apex" else "STATE",
                f"{start_s:.6f}", f"{stop_s:.6f}", "NA" if kind == "apex" else f"{stop_s - start_s:.6f}", _cell(comment),
            ))  # fmt: skip
    return _table(BORIS_COLUMNS, rows, "\t")


def read_boris(path: Path, clock: MediaClock) -> dict[str, tuple[LabelledEvent, ...]]:
    """Aggregated events, or tabular ones, whose states are a row where they start and one where they stop. By the coder
    whom the observation names after an @, "" where it names none. Raises LabelError with the row."""
    coders: dict[str, list[Span]] = {}
    for coder, span in _boris_spans(path):
        coders.setdefault(coder, []).append(span)
    return {
        coder: named([clock.in_source_time(event) for event in to_events(spans)]) for coder, spans in coders.items()
    }


def _table(columns: Sequence[str], rows: Sequence[Sequence[object]], delimiter: str) -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\r\n").writerows([columns, *rows])
    return text.getvalue()


def _cell(text: str) -> str:
    """A text that looks as if it had been guarded gets one more ', so that reading takes off what writing put on."""
    bare = text.lstrip("'")
    return f"'{text}" if table_cell(bare) != bare else text


def _text(cell: str) -> str:
    bare = cell.lstrip("'")
    return cell[1:] if cell.startswith("'") and table_cell(bare) != bare else cell


def _rows(path: Path, delimiter: str, wanted: Sequence[str]) -> Iterator[tuple[int, Mapping[str, str]]]:
    """(number of the row, cells by column) under the first row that has the wanted columns."""
    try:
        text = read_whole(path).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise LabelError(f"{path} is no table of labels: it is no UTF-8") from None
    columns: list[str] = []
    try:
        for place, cells in enumerate(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), start=1):
            if columns and any(cells):
                if len(cells) > len(columns):
                    raise LabelError(f"{path}: row {place}: expected {len(columns)} cells, found {len(cells)}")
                yield place, dict(zip_longest(columns, cells, fillvalue=""))
            elif set(wanted) <= {cell.strip() for cell in cells}:
                columns = [cell.strip() for cell in cells]
    except csv.Error as error:
        raise LabelError(f"{path} is no table of labels: {error}") from None
    if not columns:
        raise LabelError(f"{path} is no table of labels: it has no row with the columns {', '.join(wanted)}")


def _csv_event(row: Mapping[str, str]) -> LabelledEvent:
    onset_s, offset_s = _time(row, "onset_s"), _time(row, "offset_s")
    apex_s = _time(row, "apex_s") if row.get("apex_s", "").strip() else (onset_s + offset_s) / 2
    units = tuple(unit for unit in re.split(r"[+;, ]+", row.get("action_units", "").strip().upper()) if unit)
    units = tuple(unit.removeprefix("AU") for unit in units)
    verdict = row.get("verdict", "").strip() or "accepted"
    track = row.get("track", "").strip() or "0"
    label = _text(row["label"])
    for fits, what in (
        (onset_s < offset_s and onset_s <= apex_s <= offset_s, "expected onset_s <= apex_s <= offset_s and a length"),
        (1 <= len(label) <= 100, "expected a label of 1 to 100 letters"),
        (track.isdecimal() and len(track) < 10, f"expected a number as track, found {shown(track)[:40]}"),
        (all(map(_UNIT.fullmatch, units)), f"expected action units as 4+L12, found {shown('+'.join(units))[:60]}"),
        (verdict in ("accepted", "rejected"), f"expected accepted or rejected, found {shown(verdict)[:40]}"),
    ):
        if not fits:
            raise ValueError(what)
    return LabelledEvent(
        event=row.get("event", "").strip(),
        track=int(track),
        label=label,
        onset_s=onset_s,
        apex_s=apex_s,
        offset_s=offset_s,
        action_units=units,
        verdict="rejected" if verdict == "rejected" else "accepted",
        note=_text(row.get("note", "")),
    )


def _boris_spans(path: Path) -> Iterator[tuple[str, Span]]:
    """(coder, a state or a point)."""
    begun: dict[tuple[str, ...], tuple[int, float]] = {}
    for place, row in _rows(path, "\t", ("Behavior",)):
        try:
            behavior, subject = _text(row["Behavior"]).strip(), _text(row.get("Subject", "")).strip()
            coder = (
                _text(row.get("Observation id", "")).rpartition("@")[2] if "@" in row.get("Observation id", "") else ""
            )
            status = (row.get("Behavior type") or row.get("Status") or "").strip().upper()
            state = (coder, subject, behavior, row.get("Modifiers", ""))
            if status == "START":
                begun[state] = place, _time(row, "Time")
                continue
            if status == "STOP":
                if state not in begun:
                    raise ValueError(f"{shown(behavior)[:40]} stops and has not started")
                start_s, stop_s = begun.pop(state)[1], _time(row, "Time")
            elif "Start (s)" in row:
                start_s, stop_s = _time(row, "Start (s)"), _time(row, "Stop (s)" if status != "POINT" else "Start (s)")
            else:
                start_s = stop_s = _time(row, "Time")
            yield from ((coder, span) for span in _row_spans(row, behavior, subject, start_s, stop_s))
        except ValueError as error:
            raise LabelError(f"{path}: row {place}: {error}") from None
    if begun:
        place, _ = min(begun.values())
        raise LabelError(f"{path}: row {place}: what starts there does not stop")


def _row_spans(row: Mapping[str, str], behavior: str, subject: str, start_s: float, stop_s: float) -> Iterator[Span]:
    """What a state or point says, its comment, and the name of its event where the file is ours."""
    own, _, label = _text(row.get("Modifiers", "")).partition("|")
    ours = re.fullmatch(r"[ea][1-9][0-9]{0,8}", own) is not None
    if not behavior:
        raise ValueError("it names no behavior")
    kind, value = meaning(behavior, label if ours else row.get("Modifiers", ""))
    if kind != "apex" and not start_s < stop_s:
        raise ValueError(f"{shown(behavior)[:40]} has no length: only an apex is a point")
    face = _FACE.fullmatch(subject)
    track = 0 if face is None else int(face[1])
    group = own if ours else subject
    yield Span(kind, label if ours and kind in ("class", "rejected") else value, start_s, stop_s, track, group)
    comment = _text(row.get("Comment start") or row.get("Comment") or "")
    if comment and kind != "note":
        yield Span("note", comment, start_s, stop_s, track, group)
    if ours and kind in ("class", "rejected"):
        yield Span("event", own, start_s, stop_s, track, group)


def _time(row: Mapping[str, str], column: str) -> float:
    try:
        time_s = float(row[column])
    except (KeyError, ValueError):
        time_s = math.nan
    if not abs(time_s) <= LARGEST:
        raise ValueError(f"expected seconds as {column}, found {shown(row.get(column, 'nothing'))[:40]}")
    return time_s


def _by_time(event: LabelledEvent) -> tuple[float, float, str]:
    return event.onset_s, event.offset_s, event.event
