"""The page of an agreement: its numbers, and every disagreement to step through. One file that asks nobody for anything."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.atomic import whole_file
from stream.labels.agreement import MOMENTS, CodedRecording, SeenEvent, counted
from stream.labels.agreement_report import AgreementReport, PairAgreement
from stream.labels.coded_spans import unit_word
from stream.labels.label_log import LabelledEvent
from stream.labels.unit_agreement import TOLERANCES_S, facs_index, units_of
from stream.session.report import picture_uri
from stream.session.self_contained import self_contained_page
from stream.sinks.base import SinkError, reason

MOST_CARDS = 1000
MOST_PICTURES = 60
"""Of a long list the page has so many, and so many pictures; all are counted."""
FAR_APART_S = 0.1
"""Moments that are further apart are a disagreement."""
KINDS = {"missing": "only one sees it", "class": "class", "units": "action units", "times": "times"}
_AROUND_S = 0.7
_STEPS_S, _MOST_TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 60, 600), 12
_WIDTH, _LANE = 720.0, 30.0
_TEMPLATES = Path(__file__).resolve().parent / "templates"


@dataclass(frozen=True)
class Bar:
    """An event in a lane of a card's drawing: from `x` on, `width` long, its apex at `apex_x`. `words` say it all. `meant`: the
    card is about it."""

    lane: int
    x: float
    width: float
    apex_x: float
    words: str
    meant: bool


@dataclass(frozen=True)
class Card:
    """A disagreement: what the two coders say, and a drawing of them around it. `kinds` of `KINDS`; `ticks`: (x, seconds)."""

    pair: str
    coders: tuple[str, str]
    kinds: tuple[str, ...]
    recording: str
    said: tuple[str, str]
    bars: tuple[Bar, ...]
    ticks: tuple[tuple[float, str], ...]
    picture: str | None


def write_agreement_page(report: AgreementReport, path: Path) -> None:
    """Whole or not at all. Raises SinkError where it cannot be written."""
    page = self_contained_page(_TEMPLATES, "agreement", _context(report))
    try:
        with whole_file(path) as partial:
            partial.write_text(page, encoding="utf-8")
    except OSError as error:
        raise SinkError(f"cannot write the page {path}: {reason(error)}") from error


def disagreements(pair: PairAgreement) -> Iterator[tuple[SeenEvent, tuple[str, ...]]]:
    """What one of the two has not, and what they see differently, with the kinds of it."""
    for seen in pair.events.seen:
        kinds = _kinds(seen)
        if kinds:
            yield seen, kinds


def _kinds(seen: SeenEvent) -> tuple[str, ...]:
    if seen.pair is None:
        return ("missing",)
    one, two = seen.pair
    far = any(abs(getattr(one, f"{moment}_s") - getattr(two, f"{moment}_s")) > FAR_APART_S for moment in MOMENTS)
    found = {"class": one.label != two.label, "units": units_of(one) != units_of(two), "times": far}
    return tuple(kind for kind, differs in found.items() if differs)


def _context(report: AgreementReport) -> dict[str, Any]:
    found = [(pair, seen, kinds) for pair in report.pairs for seen, kinds in disagreements(pair)]
    cards = _Cards()
    return {
        "coders": report.coders,
        "recordings": [recording.name for recording in report.recordings],
        "min_iou": report.min_iou,
        "notices": report.notices(),
        "pairs": [_pair_words(pair) for pair in report.pairs],
        "moments": MOMENTS,
        "tolerances": tolerance_words(),
        "fleiss": None if report.fleiss is None else (number(report.fleiss.value), report.fleiss.n),
        "kinds": {kind: (words, sum(kind in kinds for *_, kinds in found)) for kind, words in KINDS.items()},
        "far_apart_ms": round(1000 * FAR_APART_S),
        "cards": [cards.card(pair, seen, kinds) for pair, seen, kinds in found[:MOST_CARDS]],
        "found": len(found),
        "width": _WIDTH,
        "lane": _LANE,
    }


def number(value: float | None, digits: int = 2) -> str:
    """A dash where it cannot be told."""
    return "–" if value is None else f"{value:.{digits}f}"


def tolerance_words() -> tuple[str, ...]:
    """Of the tolerances in time, for the heads of columns."""
    return tuple(f"±{tolerance_s:.2f} s" if tolerance_s else "exact" for tolerance_s in TOLERANCES_S)


def difference_words(pair: PairAgreement, moment: str) -> str:
    """The mean with its sign, then how far apart they are in the median."""
    told = pair.events.differences(moment)
    if told.mean_ms is None or told.median_apart_ms is None:
        return "–"
    return f"{told.mean_ms:+.0f} ms, {told.median_apart_ms:.0f} apart"


def _pair_words(pair: PairAgreement) -> dict[str, Any]:
    events, kappa = pair.events, pair.events.class_kappa()
    return {
        "name": _name(pair),
        "coders": pair.coders,
        "matched": len(events.pairs),
        "only_first": events.only_first,
        "only_second": events.only_second,
        "f1": number(events.f1),
        "differences": [difference_words(pair, moment) for moment in MOMENTS],
        "kappa": f"{number(kappa.value)} ({kappa.n})",
        "facs_index": number(facs_index(events.pairs)),
        "units": [(f"AU{unit.unit}", unit.events, [number(one) for one in unit.kappas]) for unit in pair.units],
    }


def _name(pair: PairAgreement) -> str:
    return " – ".join(pair.coders)


def event_words(event: LabelledEvent) -> str:
    """Class, units and times, and the note."""
    units = " ".join(map(unit_word, event.action_units))
    times = f"{event.onset_s:.2f} · {event.apex_s:.2f} · {event.offset_s:.2f} s"
    return ", ".join(part for part in (event.label, units, times, event.note) if part)


class _Cards:
    """Makes cards. What several of them show is read once: the events of a recording, and the program's pictures, as many
    as the page has room for."""

    def __init__(self) -> None:
        self._counted: dict[tuple[int, str], list[LabelledEvent]] = {}
        self._pictures: dict[Path, str | None] = {}

    def card(self, pair: PairAgreement, seen: SeenEvent, kinds: tuple[str, ...]) -> Card:
        meant = [event for event in (seen.first, seen.second) if event is not None]
        begin_s = min(event.onset_s for event in meant) - _AROUND_S
        end_s = max(event.offset_s for event in meant) + _AROUND_S
        scale = _WIDTH / (end_s - begin_s)
        bars = [
            Bar(
                lane,
                max((event.onset_s - begin_s) * scale, 0.0),
                (min(event.offset_s, end_s) - max(event.onset_s, begin_s)) * scale,
                (event.apex_s - begin_s) * scale,
                event_words(event),
                any(event is one for one in meant),
            )
            for lane, coder in enumerate(pair.coders)
            for event in self._events(seen.recording, coder)
            if event.offset_s > begin_s and event.onset_s < end_s
        ]
        step_s = next((step_s for step_s in _STEPS_S if (end_s - begin_s) / step_s <= _MOST_TICKS), _STEPS_S[-1])
        ticks = range(int(begin_s // step_s) + 1, int(end_s // step_s) + 1)[: 2 * _MOST_TICKS]
        said = ["no event" if event is None else event_words(event) for event in (seen.first, seen.second)]
        return Card(
            pair=_name(pair),
            coders=pair.coders,
            kinds=kinds,
            recording=seen.recording.name,
            said=(said[0], said[1]),
            bars=tuple(bars),
            ticks=tuple(((n * step_s - begin_s) * scale, f"{n * step_s:.1f}") for n in ticks),
            picture=self._picture(seen.recording, meant),
        )

    def _events(self, recording: CodedRecording, coder: str) -> list[LabelledEvent]:
        place = id(recording), coder
        if place not in self._counted:
            self._counted[place] = counted(recording.codings[coder])
        return self._counted[place]

    def _picture(self, recording: CodedRecording, events: Sequence[LabelledEvent]) -> str | None:
        numbers = [int(event.event[1:]) for event in events if event.event.startswith("e")]
        if recording.session is None or not numbers:
            return None
        path = recording.session.picture(numbers[0])
        if path not in self._pictures and len(self._pictures) < MOST_PICTURES and path.is_file():
            self._pictures[path] = picture_uri(path)
        return self._pictures.get(path)
