"""What a session's report says, in words and rows."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stream.screen.statement import STATUS_WORDS
from stream.session.frame_rows import RowSummary
from stream.session.session_folder import is_number
from stream.session.time_chart import clock
from stream.sight import Sight

_FALSE_RATES = ("false_events_per_min", "false_per_min", "false_alarms_per_min")
_SHOWN_ELSEWHERE = {
    "times", "events", "labels", "statuses", "frames", "answers", "events_per_min", "source", "provider", "engine",
    "threads", "model_threads", "health", "frames_total",
}  # fmt: skip
_MOST_ENTRIES = 20
_UNITS = {"_ms": "ms", "_s": "s", "_mb": "MB", "_hz": "Hz", "_px": "px", "_min": "min"}


@dataclass(frozen=True)
class FalseAlarms:
    """`rates`: what the model's own scores say, with where they were measured; `watched_min` None where nobody counted.

    `counting`: events that count, at every step of the sensitivity; one number without steps. `watchable`: `watched_min` is
    the time in which a micro-expression would have been noticed, and not all in which a calibrated face was there.
    """

    rates: tuple[tuple[str, float], ...]
    counting: tuple[int, ...]
    watched_min: float | None
    watchable: bool = False

    @property
    def per_min(self) -> tuple[float, ...]:
        """Events that count a minute here, at every step; empty where nobody was watched."""
        return tuple(count / self.watched_min for count in self.counting) if self.watched_min else ()

    def expected(self, rate: float) -> float | None:
        """So many false events are to be expected in the time that was watched."""
        return None if self.watched_min is None else rate * self.watched_min


def false_alarms(facts: Mapping[str, Any], counting: Sequence[int], sight: Sight | None = None) -> FalseAlarms:
    """Minutes are those of the rows, where they tell them, else those that the run counted."""
    rates = tuple(_rates(facts.get("model", {}).get("scores", {}), ()))
    if sight is not None:
        return FalseAlarms(rates, tuple(counting), sight.watchable_min, watchable=True)
    watched = ((facts.get("run") or {}).get("events") or {}).get("watched_min")
    return FalseAlarms(rates, tuple(counting), float(watched) if isinstance(watched, int | float) else None)


def state_words(facts: Mapping[str, Any]) -> str:
    state = str(facts.get("state", "unknown"))
    return {"running": "still running", "killed": "not finished (killed)"}.get(state, state)


def title(facts: Mapping[str, Any]) -> str:
    return str((facts.get("source") or {}).get("name", "unknown source"))


def lead(facts: Mapping[str, Any], rows: RowSummary) -> str:
    """Its end, how many events there were, depends on the sensitivity."""
    began = str(facts.get("started", "")).replace("T", " ")[:16]
    zone = (facts.get("time_zone") or {}).get("name", "")
    return f"{clock(rows.duration_s)} from {began} {zone}: {rows.frames} frames, {rows.labels.total()} answers,"


def notices(facts: Mapping[str, Any], rows: RowSummary) -> list[str]:
    """What a reader has to know before the first number."""
    model = facts.get("model", {})
    found = [str(model.get("disclaimer", ""))]
    state = str(facts.get("state"))
    if state in ("running", "killed"):
        found.append(
            f"This run {'is still going on' if state == 'running' else 'did not come to its end: it was killed'}. Everything below is what it had "
            "written until then; its health is as it was at its last frame, or up to ten seconds before that."
        )
    elif state != "finished":
        found.append(f"This run {state}.")
    if not rows.labels.total():
        found.append("There is no answer in this run.")
    return [notice for notice in found if notice]


def model_line(facts: Mapping[str, Any]) -> str:
    """What made the answers, for the head of the page."""
    told = dict(model_rows(facts))
    return f"Model trained on {told['Trained on'].rstrip('.')}. Measured: {told['Measured']}."


def model_rows(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    model = facts.get("model", {})
    scores = model.get("scores", {})
    told = [
        f"{name} {scores[key]:.3f}"
        for key, name in (("uf1", "UF1"), ("uar", "UAR"), ("accuracy", "accuracy"), ("chance_uf1", "UF1 of chance"))
        if is_number(scores.get(key))
    ]
    measured = ", ".join(told) + (f" on {scores['n']} clips" if told and "n" in scores else "")
    return [
        ("Trained on", str(model.get("training_data", "unknown"))),
        ("Measured", measured or "not scored"),
        ("Classes", ", ".join(map(str, model.get("class_names", [])))),
        (
            "Sees",
            f"{model.get('frames', '?')} frames at {model.get('fps', 0):g} a second, as {model.get('input', '?')}",
        ),
        ("File", f"{model.get('path', '?')}, SHA-256 {str(model.get('sha256'))[:16]}…"),
        ("Contract", f"SHA-256 {str(model.get('contract_sha256'))[:16]}…"),
    ]


def run_rows(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    source, program = facts.get("source") or {}, facts.get("program", {})
    size = (
        f"{source['width_px']}×{source['height_px']}" if {"width_px", "height_px"} <= source.keys() else "unknown size"
    )
    rate = f"{source['fps']:g} frames a second" if source.get("fps") else "rate unknown"
    kept = {"source": "pictures, lossless", "landmarks": "landmarks, no pictures"}
    return [
        ("Consent", str(facts.get("consent", "unknown"))),
        ("Source", f"{source.get('name', 'unknown')}: {size}, {rate}, {'live' if source.get('live') else 'a recording'}"),
        ("Started", str(facts.get("started", "unknown"))),
        ("Ended", str(facts.get("ended") or "unknown")),
        ("Recorded", kept.get(str(facts.get("recording")), "no pictures of the source")),
        ("Anonymised", "yes" if facts.get("anonymised") else "no"),
        ("Runs on", f"{facts.get('provider', '?')}, {facts.get('engine', '?')} engine, threads: {facts.get('threads', '?')}"),
        ("Program", f"{program.get('name', '?')} {program.get('version', '?')}, Python {facts.get('python', '?')}"),
        ("Packages", ", ".join(f"{name} {version}" for name, version in facts.get("packages", {}).items())),
        ("Settings", ", ".join(f"{name} {_text(value)}" for name, value in facts.get("settings", {}).items() if _said(value))),
    ]  # fmt: skip


def status_rows(rows: RowSummary) -> list[tuple[str, int, float]]:
    """Words, frames and share of every status of the first face."""
    words = {str(status): text for status, (text, _) in STATUS_WORDS.items()}
    return [(words.get(s, s), n, n / rows.frames) for s, n in rows.statuses.most_common()]


def health_rows(facts: Mapping[str, Any], rows: RowSummary) -> list[tuple[str, str]]:
    """Everything the run says of itself that is not shown elsewhere, and what the rows say of their latency."""
    run = facts.get("run") or {}
    found: list[tuple[str, str]] = []
    if rows.latencies.count:
        values = (rows.latencies.percentile(p) for p in (50, 95, 99))
        told = " / ".join("over 2000" if ms is not None and ms > 1999.9 else f"{ms:.1f}" for ms in values)
        found.append(("latency p50 / p95 / p99, of all rows", f"{told} ms"))
    # What the status line said last, beside the numbers of the whole run.
    told = {**(run.get("health") or {}), **run}
    found += _flat({name: value for name, value in told.items() if name not in _SHOWN_ELSEWHERE})
    kept = {"event pictures": facts.get("event_pictures"), "recording": facts.get("recorded")}
    return found + _flat({name: value for name, value in kept.items() if value})


def outages(facts: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """When the source was away, the last ones."""
    told = ((facts.get("run") or {}).get("health") or {}).get("outages") or []
    if not isinstance(told, list):
        return []
    return [
        one
        for one in told
        if isinstance(one, Mapping) and is_number(one.get("began_s")) and is_number(one.get("ended_s", 0))
    ]


def stage_rows(facts: Mapping[str, Any]) -> list[tuple[str, str, str, str, int]]:
    times = (facts.get("run") or {}).get("times", {})
    return [
        (stage, f"{t['p50_ms']:.1f}", f"{t['p95_ms']:.1f}", f"{t['p99_ms']:.1f}", int(t["count"]))
        for stage, t in times.items()
    ]


def _rates(scores: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[tuple[str, float]]:
    """False events a minute, wherever in the scores, with the names above them."""
    for name, value in scores.items():
        if isinstance(value, Mapping):
            yield from _rates(value, path if name == "spotting" else (*path, str(name)))
        elif name in _FALSE_RATES and is_number(value):
            yield " ".join(path).replace("_", " ") or "the model's own test", float(value)


def _flat(values: Mapping[str, Any], above: str = "") -> list[tuple[str, str]]:
    """Names and texts of nested values; what is empty is left out."""
    found: list[tuple[str, str]] = []
    for name, value in values.items():
        unit = next((suffix for suffix in _UNITS if str(name).endswith(suffix)), "")
        words = f"{above} {str(name).removesuffix(unit)}".strip().replace("_", " ")
        words += f", {_UNITS[unit]}" if unit else ""
        if isinstance(value, Mapping):
            found += _flat(value, words)
        elif isinstance(value, list | tuple) and value and isinstance(value[0], Mapping):
            found.append(
                (words, "; ".join(map(_text, value[:_MOST_ENTRIES])) + ("; …" if value[_MOST_ENTRIES:] else ""))
            )
        elif value is not None:
            found.append((words, _text(value)))
    return found


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1000 else f"{value:.0f}"
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value)) or "none"
    if isinstance(value, Mapping):
        return "; ".join(f"{name} {_text(one)}" for name, one in value.items() if _said(one)) or "none"
    return str(value)


def _said(value: Any) -> bool:
    return value not in (None, False, [], {}, "")
