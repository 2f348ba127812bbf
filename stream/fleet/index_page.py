"""The page over all sessions of a fleet: one file that holds what it shows and asks nobody for anything."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from model.atomic import whole_file
from model.guards import shown
from stream.fleet.fleet_folder import FleetError, FleetFolder
from stream.fleet.fleet_summary import FleetSummary, SourceSummary, TimeCounts, summarise
from stream.session.self_contained import self_contained_page
from stream.session.time_chart import clock
from stream.sight import span_words

MOST_LINKS = 50
"""Of a source that was started again and again the newest sessions have a link; all are in its folder."""
MOST_LINES = 8
"""Of models, and of what cannot be read, the page names so many; all are counted."""
_WIDTH, _HEIGHT = 1000.0, 110.0
_LABELS = 6
_TEMPLATES = Path(__file__).resolve().parent / "templates"


def write_index(out: Path) -> Path:
    """Reads the sessions below `out` and what the runner told, and writes `out`/index.html, whole or not at all.

    Raises FleetError where there are no sessions, what the runner told is damaged, or the page cannot be written.
    """
    folder = FleetFolder(out)
    page = self_contained_page(_TEMPLATES, "fleet", _context(folder, summarise(folder)))
    try:
        with whole_file(folder.index) as partial:
            partial.write_text(page, encoding="utf-8")
    except OSError as error:
        raise FleetError(f"cannot write the page {folder.index}: {error.strerror or error}") from error
    return folder.index


def _context(folder: FleetFolder, summary: FleetSummary) -> dict[str, Any]:
    sources = list(summary.sources.values())
    watchable_min = summary.watchable_min
    states = sorted({source.state for source in sources})
    return {
        "title": folder.path.resolve().name,
        "sources_n": len(sources),
        "sessions_n": sum(len(source.sessions) for source in sources),
        "running_n": sum(source.state == "running" for source in sources),
        "made": datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S"),
        "states": [(state, sum(source.state == state for source in sources)) for state in states],
        "events_n": _grouped(summary.events),
        "rejected_n": _grouped(sum(source.rejected for source in sources)),
        "watchable": span_words(60 * watchable_min),
        "per_min": f"{summary.events / watchable_min:.2f}" if watchable_min else None,
        "frames_n": _grouped(sum(source.frames for source in sources)),
        "expected": [f"{rate:g}" for rate, _ in summary.sensitivities.most_common(MOST_LINES)],
        "disclaimers": [words for words, _ in summary.disclaimers.most_common(MOST_LINES) if words],
        "models": summary.models.most_common(MOST_LINES),
        "models_n": len(summary.models),
        "plots": [
            plot
            for plot in (
                _plot("Events of live sources by the time of day, UTC", summary.wall, with_date=True),
                _plot("Events of recordings by the time in them, all together", summary.inside, with_date=False),
            )
            if plot is not None
        ],
        "width": _WIDTH,
        "height": _HEIGHT,
        "unread": summary.unread[:MOST_LINES],
        "unread_n": len(summary.unread),
        "data": Markup(_json([_row(source) for source in sources])),
    }


def _row(source: SourceSummary) -> dict[str, Any]:
    """What the page's table needs of a source."""
    newest = source.sessions[-MOST_LINKS:][::-1]
    return {
        "id": shown(source.id),
        "name": shown(source.name),
        "address": shown(source.address),
        "kind": shown(source.kind),
        "state": shown(source.state),
        "reason": shown(source.reason),
        "restarts": source.restarts,
        "events": source.events,
        "watchable": _rounded(source.watchable_min),
        "rate": _rounded(source.per_min),
        "rejected": source.rejected,
        "frames": source.frames,
        "fps": _rounded(source.fps),
        "gaps": source.gaps,
        "reconnects": source.reconnects,
        "dropped": source.dropped,
        "started": shown(source.started),
        "sessions": [[shown(name), shown(state), _address(name, has_report)] for name, state, has_report in newest],
        "more": len(source.sessions) - len(newest),
        "troubles": [[shown(words), count] for words, count in source.troubles.most_common(MOST_LINES)],
    }


def _address(session: str, has_report: bool) -> str:
    return quote(f"{session}/{'report.html' if has_report else ''}", errors="surrogateescape")


def _grouped(count: int) -> str:
    """12 345, with spaces that do not break."""
    return f"{count:,}".replace(",", "\u202f")


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _json(value: object) -> str:
    """For the inside of a script element: nothing in it ends that element, or begins another."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _plot(caption: str, counts: TimeCounts, with_date: bool) -> dict[str, Any] | None:
    """Bars in the coordinates of their drawing; None where there is nothing to draw."""
    bins = counts.bins()
    if not bins:
        return None
    most = max(count for _, count in bins)
    step = _WIDTH / len(bins)
    bars = [
        {
            "x": round(place * step, 2),
            "width": round(max(step - min(2.0, 0.25 * step), 1.0), 2),
            "height": round(_HEIGHT * count / most, 2),
            "words": f"{_moment(begin_s, with_date)}: {count} event{'' if count == 1 else 's'}",
        }
        for place, (begin_s, count) in enumerate(bins)
        if count
    ]
    every = max(1, -(-len(bins) // _LABELS))
    labels = [
        (100 * place / len(bins), _moment(bins[place][0], with_date))
        for place in range(0, len(bins), every)
        if place <= len(bins) - max(1, every // 2) or not place
    ]
    step_words = span_words(counts.step_s)
    return {"caption": f"{caption}: {counts.total}, {step_words} a bar, at most {most}", "bars": bars, "labels": labels}


def _moment(time_s: float, with_date: bool) -> str:
    if not with_date:
        return clock(time_s)
    try:
        return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, ValueError, OSError):
        return clock(time_s)
