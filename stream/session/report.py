"""A session's report.html: one page that holds everything it shows and asks nobody for anything."""

import base64
from heapq import nlargest
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
from rich.console import Console

from model.atomic import regular_file, whole_file
from model.decoding import decode_picture
from model.quiet import native_log_held_back
from stream.sensitivity import rate_words, step_words
from stream.session import report_text, time_chart
from stream.session.frame_rows import read_events, read_marks, read_rows
from stream.session.report_events import ReportEvents, steps_of
from stream.session.self_contained import self_contained_page
from stream.session.session_folder import SessionFolder
from stream.sight import sight_lines
from stream.sinks.base import SinkError, reason

MOST_PICTURES = 60
MOST_ROWS = 1000
"""Of a long run the page has the pictures of the surest events, and so many rows; all are in the folder."""
MOST_MARKS = 2000
"""Marks of the experiment in the time line."""
_JPEG_QUALITY = 88
_PNG, _PNG_HEAD_BYTES = b"\x89PNG\r\n\x1a\n", 33
_MOST_SIDE_PX = 4096
_TEMPLATES = Path(__file__).resolve().parent / "templates"


def write_report(folder: SessionFolder, sensitivity: float | None = None) -> Path:
    """Reads the session and writes its page, whole or not at all. `sensitivity`, in false events a minute, is what
    the page shows at first; None: that of the run.

    Memory and the page's size do not grow with the length of the run. Raises `SessionError` for what is no session and
    `SinkError` when the page cannot be written.
    """
    page = self_contained_page(_TEMPLATES, "session", _context(folder, sensitivity))
    try:
        with whole_file(folder.report) as partial:
            partial.write_text(page, encoding="utf-8")
    except OSError as error:
        raise SinkError(f"cannot write the report {folder.report}: {reason(error)}") from error
    return folder.report


def make_report(path: Path, console: Console, sensitivity: float | None = None) -> int:
    """`run_live.py --report DIR`, of a session that did not make its own or at another sensitivity; the exit code. Raises
    `SessionError` and `SinkError`."""
    with console.status("Making the report"):
        page = write_report(SessionFolder(path), sensitivity)
    console.print(f"Written: {page}", soft_wrap=True, markup=False)
    return 0


def _context(folder: SessionFolder, sensitivity: float | None) -> dict[str, Any]:
    """What the page is filled with. What depends on the sensitivity is a list with a value for each of its steps."""
    facts = folder.read_facts()
    steps = steps_of(facts, sensitivity)
    rows = read_rows(folder)
    events = ReportEvents(steps).take(read_events(folder))
    counting = events.counting()
    alarms = report_text.false_alarms(facts, counting, rows.sight)
    pictured = nlargest(MOST_PICTURES, events.accepted, key=lambda event: event["confidence"])
    pictures = {event["number"]: uri for event in pictured if (uri := picture_uri(folder.picture(event["number"])))}
    shown = sorted((*events.accepted[:MOST_ROWS], *events.candidates), key=lambda event: event["place"])
    return {
        "state": report_text.state_words(facts),
        "title": report_text.title(facts),
        "lead": report_text.lead(facts, rows),
        "sight": [] if rows.sight is None else sight_lines(rows.sight, rows.duration_s),
        "notices": report_text.notices(facts, rows),
        "model_line": report_text.model_line(facts),
        "model": report_text.model_rows(facts),
        "run": report_text.run_rows(facts),
        "looked_for_events": bool(facts.get("settings", {}).get("detect_events", True)),
        "steps": steps.steps,
        "now": steps.own if sensitivity is None else steps.place(sensitivity),
        "own": steps.own,
        "step_words": [step_words(step) for step in steps.steps],
        "measured_on": str((facts.get("decision") or {}).get("training_data", "unknown")),
        "timeline": time_chart.timeline(
            rows,
            (*events.accepted, *events.candidates),
            events.rejected,
            islice(read_marks(folder), MOST_MARKS),
            report_text.outages(facts),
        ),
        "geometry": {
            "width": time_chart.WIDTH,
            "chart": time_chart.CHART,
            "sight": time_chart.SIGHT if rows.sight is not None else 0,
            "lane": time_chart.LANE,
            "gap": time_chart.GAP,
        },
        "styles": time_chart.class_styles(rows.class_names),
        "events": shown,
        "anchors": {f"event-{event['number']}" for event in shown},
        "rows_n": len(events.accepted[:MOST_ROWS]),
        "events_n": events.accepted_n,
        "candidates_n": events.candidates_n,
        "candidates_left_out": events.candidates_n - len(events.candidates),
        "counting": counting,
        "first_found": sum(count == 0 for count in counting),
        "not_counting": events.not_counting(),
        # Sessions of models that tell no action units, or no probability, get no column for them.
        "with_units": any(event.get("action_units") for event in shown),
        "with_probability": any(event.get("probability") is not None for event in shown),
        "pictures": pictures,
        "found": events.found(),
        "reasons": events.reasons(),
        "alarms": alarms,
        "per_min": [f"{rate:.2f}" for rate in alarms.per_min],
        "step_rates": [rate_words(step) for step in steps.steps],
        "expected": []
        if rows.sight is None
        else [f"{rows.sight.read_min * step.false_per_min:.1f}" for step in steps.steps],
        "statuses": report_text.status_rows(rows),
        "labels": rows.labels.most_common(),
        "answers": rows.labels.total(),
        "health": report_text.health_rows(facts, rows),
        "stages": report_text.stage_rows(facts),
    }


def picture_uri(path: Path) -> str | None:
    """A picture as a data URI, in a fifth of its PNG's size; None where there is none that can be read."""
    try:
        data = regular_file(path).read_bytes()
    except OSError:
        return None
    if not _is_small_png(data):
        return None
    with native_log_held_back(shown_on_error=True):
        picture = decode_picture(data)
    if picture is None:
        return None
    jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1]
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg.tobytes()).decode()}"


def _is_small_png(data: bytes) -> bool:
    """By its header: decoding what a damaged one claims to be can take all memory, and minutes."""
    sides_px = int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    return data.startswith(_PNG) and len(data) > _PNG_HEAD_BYTES and max(sides_px) <= _MOST_SIDE_PX
