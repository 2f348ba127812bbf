"""Annotations as other tools keep them, each a stretch of time with a word, put together to events."""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, count
from typing import Literal

from stream.labels.label_log import LabelledEvent

UNLABELLED = "unlabelled"
"""The label of an event of which a file tells no class."""

OF_REJECTED = "rejected "
"""Before the names of what belongs to rejected events, so that nobody counts it with the others."""

SpanKind = Literal["class", "rejected", "unit", "apex", "note", "event"]

_UNIT = re.compile(r"AU[ _-]?0?([1-9]?[0-9])([LR]?)[A-E]?", re.IGNORECASE)
_GENERIC = frozenset(("expression", "emotion", "class", "label", "me", "micro-expression", "microexpression"))
_OTHERS: dict[str, SpanKind] = {
    "apex": "apex", "note": "note", "notes": "note", "comment": "note", "comments": "note", "event": "event",
}  # fmt: skip


@dataclass(frozen=True)
class Span:
    """A stretch of the medium's time, in seconds: what `kind` says of it, with the `value` that belongs to it (a class, an
    action unit as FACS writes it, a note, an event's name). `group`: only spans of one group make up an event."""

    kind: SpanKind
    value: str
    start_s: float
    end_s: float
    track: int
    group: str = ""


def unit_word(unit: str) -> str:
    """ "L12" as the field names a tier: AU12L."""
    return f"AU{unit.lstrip('LR')}{unit[0] if unit[0] in 'LR' else ''}"


def meaning(name: str, value: str) -> tuple[SpanKind, str]:
    """What a tier or a behaviour of that name says, and the value that counts: AU12L is an action unit, `apex`, `note`,
    `rejected` and `event` speak for themselves, `expression`, `emotion`, `class` and `label` have a class as their value,
    and every other name is a class itself. `rejected AU12L` and `rejected apex` are of rejected events."""
    name, word = name.strip(), name.strip().casefold()
    if word.startswith(OF_REJECTED):
        kind, said = meaning(name[len(OF_REJECTED) :], value)
        if kind in ("unit", "apex"):
            return kind, said
    unit = _UNIT.fullmatch(name)
    if unit is not None:
        return "unit", f"{unit[2].upper()}{unit[1]}"
    if word in _OTHERS:
        return _OTHERS[word], value
    if word == "rejected":
        return "rejected", value.strip()[:100] or UNLABELLED
    if word in _GENERIC:
        return "class", value.strip()[:100] or UNLABELLED
    return "class", name[:100] or UNLABELLED


def class_word(label: str) -> tuple[str, str]:
    """The name under which a class is kept so that `meaning` finds it again, and the value beside it."""
    plain = re.fullmatch(r"\w[\w .,()/-]{0,98}\w|\w", label) is not None
    return (label if plain and meaning(label, "") == ("class", label) else "expression"), label


def to_events(spans: Iterable[Span]) -> list[LabelledEvent]:
    """Events in the medium's seconds, by onset, without the names of those that have none.

    A class, or `rejected`, is an event. An action unit belongs to those of its group and face with which it shares half of
    the shorter of both; those that belong to none are events of their own where they overlap, without a class. An apex lies in its event;
    without one the middle counts. What else is said goes to the event with which it shares most.
    """
    groups: dict[tuple[str, int], list[Span]] = {}
    for span in spans:
        groups.setdefault((span.group, span.track), []).append(span)
    found = [event for group in groups.values() for event in _events_of(group)]
    return sorted(found, key=lambda event: (event.onset_s, event.offset_s, event.event))


def unit_order(unit: str) -> tuple[int, str]:
    """By number: 4, L12, R12."""
    return int(unit.lstrip("LR")), unit


def named(events: Sequence[LabelledEvent]) -> tuple[LabelledEvent, ...]:
    """The events, those without a name of their own as such that a coder added: a1, a2, … as far as they are free."""
    taken = {event.event for event in events}
    free = (name for n in count(1) if (name := f"a{n}") not in taken)
    seen: set[str] = set()
    told: list[LabelledEvent] = []
    for event in events:
        name = event.event
        if not re.fullmatch(r"[ea][1-9][0-9]{0,8}", name) or name in seen:
            name = next(free)
        seen.add(name)
        told.append(replace(event, event=name))
    return tuple(told)


@dataclass
class _Draft:
    """An event that is being put together."""

    base: Span
    units: list[str] = field(default_factory=list)
    apexes_s: list[float] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)

    def event(self) -> LabelledEvent:
        base, rejected = self.base, self.base.kind == "rejected"
        middle_s = (base.start_s + base.end_s) / 2
        return LabelledEvent(
            event=self.names[0] if self.names else "",
            track=base.track,
            label=base.value,
            onset_s=base.start_s,
            apex_s=min(max(self.apexes_s[0] if self.apexes_s else middle_s, base.start_s), base.end_s),
            offset_s=base.end_s,
            action_units=tuple(sorted(dict.fromkeys(self.units), key=unit_order)),
            verdict="rejected" if rejected else "accepted",
            note="; ".join(self.notes),
        )


class _Drafts:
    """Drafts by their beginning, asked which of them a span touches."""

    def __init__(self, drafts: Iterable[_Draft]) -> None:
        self.drafts = sorted(drafts, key=lambda one: (one.base.start_s, one.base.end_s, one.base.value))
        self._starts_s = [draft.base.start_s for draft in self.drafts]
        self._reach_s = list(accumulate((draft.base.end_s for draft in self.drafts), max))

    def touched(self, start_s: float, end_s: float) -> list[tuple[float, _Draft]]:
        """(shared seconds, draft), the most first; with 0 those that only touch."""
        found: list[tuple[float, _Draft]] = []
        place = bisect_right(self._starts_s, end_s)
        while place > 0 and self._reach_s[place - 1] >= start_s:
            place -= 1
            base = self.drafts[place].base
            if base.end_s >= start_s:
                found.append((min(end_s, base.end_s) - max(start_s, base.start_s), self.drafts[place]))
        return sorted(found, key=lambda one: (-one[0], one[1].base.start_s))

    def add_unit(self, span: Span) -> bool:
        """To every draft that shares half of the shorter of both; False where there is none."""
        homes = [
            draft
            for shared_s, draft in self.touched(span.start_s, span.end_s)
            if shared_s > 0 and 2 * shared_s >= min(span.end_s - span.start_s, draft.base.end_s - draft.base.start_s)
        ]
        for draft in homes:
            draft.units.append(span.value)
        return bool(homes)

    def add_apex(self, apex_s: float) -> None:
        """To the one in which it lies; its end is rather the beginning of the next."""
        touched = [draft for _, draft in self.touched(apex_s, apex_s)]
        touched.sort(key=lambda draft: (apex_s == draft.base.end_s, draft.base.start_s))
        if touched:
            touched[0].apexes_s.append(apex_s)

    def add_words(self, span: Span) -> None:
        touched = self.touched(span.start_s, span.end_s)
        if touched:
            draft = touched[0][1]
            (draft.names if span.kind == "event" else draft.notes).append(span.value)


def _events_of(group: Sequence[Span]) -> Iterator[LabelledEvent]:
    whole = _Drafts(_Draft(span) for span in group if span.kind in ("class", "rejected"))
    loose = [span for span in group if span.kind == "unit" and not whole.add_unit(span)]
    classless = _Drafts(map(_Draft, _merged(loose)))
    for span in loose:
        classless.add_unit(span)
    every = _Drafts((*whole.drafts, *classless.drafts))
    for span in group:
        if span.kind == "apex":
            every.add_apex(span.start_s)
        elif span.kind in ("note", "event"):
            every.add_words(span)
    return (draft.event() for draft in every.drafts)


def _merged(spans: Iterable[Span]) -> list[Span]:
    """Stretches without a class that overlapping spans make up."""
    found: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.start_s, span.end_s)):
        if found and span.start_s < found[-1].end_s:
            found[-1] = replace(found[-1], end_s=max(found[-1].end_s, span.end_s))
        else:
            found.append(replace(span, kind="class", value=UNLABELLED))
    return found
