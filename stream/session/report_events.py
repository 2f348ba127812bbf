"""A session's events for its report, at every step of the sensitivity at once, in memory that does not grow with them."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappush, heappushpop
from itertools import accumulate
from typing import Any

from model.decision import CurvePoint
from stream.sensitivity import UNLIKELY, SensitivitySteps, sensitivity_steps
from stream.session.session_folder import SessionError
from stream.session.time_chart import rejection

MOST_CANDIDATES = 1000
"""Of what counts only at a higher sensitivity than the run's the likeliest have a row and a mark; all are counted."""
_MOST_EVENTS = 20_000

Event = Mapping[str, Any]


@dataclass
class ReportEvents:
    """What events.jsonl holds. Lists end at their limits, counts do not.

    Every event kept has `first`, the place of the first step at which it counts; the `accepted` ones of the run a `number`
    too, from 1. `candidates` count at a higher sensitivity than the run's, named c1, c2, … by `number`; `rejected` at none
    of the steps, or are candidates without a row.
    """

    steps: SensitivitySteps = field(default_factory=SensitivitySteps)
    accepted: list[Event] = field(default_factory=lambda: list[Event]())
    rejected: list[Event] = field(default_factory=lambda: list[Event]())
    accepted_n: int = 0
    candidates_n: int = 0
    _likeliest: list[tuple[float, int, Event]] = field(default_factory=lambda: list[tuple[float, int, Event]]())
    _found: dict[tuple[str, str], Counter[int]] = field(default_factory=lambda: dict[tuple[str, str], Counter[int]]())
    _reasons: dict[str, Counter[int]] = field(default_factory=lambda: dict[str, Counter[int]]())

    def take(self, events: Iterable[Event]) -> "ReportEvents":
        for place, event in enumerate(events):
            first = self.steps.first(event["kind"], event.get("probability"), event.get("rejected"))
            # What counts nowhere is rejected at every step.
            until = self.steps.choices if first is None else first
            if until:
                self._reasons.setdefault(event.get("rejected", UNLIKELY), Counter())[until] += 1
            if first is not None:
                self._found.setdefault((event["label"], event["kind"]), Counter())[first] += 1
            kept = {name: value for name, value in event.items() if name != "evidence"}
            self._keep(kept | {"first": first, "place": place})
        return self

    def _keep(self, event: dict[str, Any]) -> None:
        if "rejected" not in event:
            self.accepted_n += 1
            if len(self.accepted) < _MOST_EVENTS:
                self.accepted.append({**event, "number": self.accepted_n})
            return
        left: dict[str, Any] | None = event
        if event["first"] is not None:
            self.candidates_n += 1
            one = (event["probability"], -event["place"], {**event, "number": f"c{self.candidates_n}"})
            if len(self._likeliest) < MOST_CANDIDATES:
                heappush(self._likeliest, one)
                left = None
            else:
                left = {**heappushpop(self._likeliest, one)[2], "first": None}
        if left is not None and len(self.rejected) < _MOST_EVENTS:
            self.rejected.append(left)

    @property
    def candidates(self) -> list[Event]:
        """In the order in which they were decided."""
        return sorted((event for _, _, event in self._likeliest), key=lambda event: event["place"])

    def counting(self) -> list[int]:
        """How many events count at each step."""
        return _added(self._counts_of(self._found.values()))

    def found(self) -> list[tuple[str, str, list[int]]]:
        """Class, kind and how many count at each step."""
        kinds = sorted(self._found.items())
        return [(label, kind, _added(self._at_steps(counts))) for (label, kind), counts in kinds]

    def not_counting(self) -> list[int]:
        """How many movements are rejected at each step."""
        return self._left(self._counts_of(self._reasons.values()))

    def reasons(self) -> list[tuple[str, list[int]]]:
        """Words and how many are rejected for them at each step, the most frequent at the run's own first."""
        rows = [(rejection(reason), self._left(self._at_steps(counts))) for reason, counts in self._reasons.items()]
        return sorted(rows, key=lambda row: (-row[1][self.steps.own], -row[1][0]))

    def _left(self, ended: Sequence[int]) -> list[int]:
        """Of those that end with a step, how many there are still at each; those that never end have a place of their own."""
        return [sum(ended[place + 1 :]) for place in range(self.steps.choices)]

    def _at_steps(self, counts: Counter[int]) -> list[int]:
        return [counts[place] for place in range(self.steps.choices + 1)]

    def _counts_of(self, many: Iterable[Counter[int]]) -> list[int]:
        return self._at_steps(sum(many, Counter[int]()))


def _added(counts: Sequence[int]) -> list[int]:
    return list(accumulate(counts))[:-1]


def steps_of(facts: Mapping[str, Any], asked: float | None = None) -> SensitivitySteps:
    """The steps of a session, with one for what is `asked` (false events a minute); none without a curve in its facts,
    and none where it looked for no events.

    Raises `SessionError` for a curve that is none, and where another sensitivity is asked for than the run's and there is none.
    """
    looked = facts.get("settings", {}).get("detect_events", True)
    decision = (facts.get("decision") or {}) if looked else {}
    curve = tuple(CurvePoint(**point) for point in decision.get("curve", ()))
    least = [point.min_probability for point in curve]
    if least != sorted(least):
        raise SessionError("session.json: decision.curve: expected growing probabilities, found others")
    if asked is not None and not curve:
        raise SessionError(
            "--sensitivity needs the curve of the model's decision, and the session has none: leave it out"
        )
    if not curve:
        return SensitivitySteps()
    return sensitivity_steps(curve, decision["sensitivity"], () if asked is None else (asked,))
