"""A coder at the desk: the material, what the program found in it, and what the coder says of that, kept line by line.

A blind coder is told when something may have happened, and nothing that the program or other coders make of it.
"""

import getpass
import os
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from model.contract import NEUTRAL
from stream.labels.label_log import (
    Fields,
    LabelError,
    LabelledEvent,
    LabelLog,
    changed,
    check_coder,
    read_label_file,
)
from stream.labels.reviewable import Reviewable
from stream.screen.paint import class_colours, hex_colour
from stream.screen.statement import REJECTION_WORDS
from stream.sensitivity import SensitivitySteps, rate_words, step_words
from stream.session.frame_rows import open_rows, read_events_of
from stream.session.report_events import steps_of

CLASSES = ("negative", "positive", "surprise")
"""Offered where nobody says which classes there are."""


@dataclass(frozen=True, eq=False)
class _Answers:
    """What the model said: `times_s` (n,), `tracks` (n,), `shares` (n, classes), NaN where it said nothing."""

    names: tuple[str, ...]
    times_s: NDArray[np.float64]
    tracks: NDArray[np.int64]
    shares: NDArray[np.float32]


class DeskMaterial:
    """One session or video on the desk, open to be labelled by one coder. Needs `close()`.

    Raises SessionError and LabelError for files that are none, SinkError where the labels cannot be kept.
    """

    def __init__(self, source: Reviewable, coder: str, blind: bool) -> None:
        self.source, self.blind = source, blind
        self.facts = {} if source.session is None else source.session.read_facts()
        self._told: list[Mapping[str, Any]] = list(read_events_of(source.events))
        self._recorded = tuple(LabelledEvent.recorded(n, told) for n, told in enumerate(self._told, start=1))
        self._steps = SensitivitySteps() if source.session is None else steps_of(self.facts)
        self._answers: _Answers | None = None
        self._coder = coder
        self._log = LabelLog(source.labels_of(coder), coder)
        try:
            self._events()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        if not self._log.labels.actions:
            # Nothing was said: no file is to claim that the coder has been through it.
            self._log.path.unlink(missing_ok=True)
        self._log.close()

    @property
    def class_names(self) -> tuple[str, ...]:
        """Those of the model, or else the usual ones, and whatever else an event was called."""
        model = self.facts.get("model", {}).get("class_names") or CLASSES
        said = self._said()
        told = [event.label for event in self._events() if not self.blind or "label" in said[event.event]]
        names = (*map(str, model), *told)
        return tuple(name for name in dict.fromkeys(names) if name and name != NEUTRAL)

    def told(self) -> dict[str, Any]:
        """Everything that the page needs to list the events."""
        names, said = self.class_names, self._said()
        colours = class_colours(names)
        others, unreadable = ([], []) if self.blind else self._others()
        return {
            "name": self.source.name,
            "coder": self._coder,
            "blind": self.blind,
            "classes": [{"name": name, "colour": hex_colour(colours[name])} for name in names],
            "steps": [] if self.blind else [f"{rate_words(step)}: {step_words(step)}" for step in self._steps.steps],
            "own_step": self._steps.own,
            "events": [self._event(event, said[event.event]) for event in self._events()],
            "others": others,
            "unreadable": unreadable,
            "lines": len(self._log.labels.actions),
        }

    def act(self, event: str | None, fields: Fields) -> dict[str, Any]:
        """Sets fields of an event, None: of a new one; when it returns the line is on the disk."""
        now = {one.event: one for one in self._events()}
        name = event if event is not None else f"a{self._last_added() + 1}"
        if event is not None and event not in now:
            raise LabelError(f"there is no event {event[:20]}")
        if self.blind:
            fields = self._unbiased(name, fields)
        after = changed(now.get(name), name, fields)
        action = self._log.add(name, fields)
        return {"n": action.n, "name": name, "event": self._event(after, self._said()[name])}

    def undo(self) -> dict[str, Any]:
        """Takes back the last action that stands. `event` None: it is not there any more."""
        standing = self._log.labels.standing()
        if not standing:
            raise LabelError("there is nothing to take back")
        last = standing[-1]
        assert last.event is not None
        action = self._log.undo(last.n)
        found = next((one for one in self._events() if one.event == last.event), None)
        return {
            "n": action.n,
            "name": last.event,
            "event": None if found is None else self._event(found, self._said()[last.event]),
        }

    def export(self, kind: str) -> dict[str, Any]:
        """Writes what the coder decided beside the labels, as `eaf`, `tsv` or `csv`."""
        from stream.labels.exchange import write_labels  # brings what nobody needs who exports nothing

        path = self._log.path.with_suffix(f".{kind}")
        write_labels(self.source, self._coder, path)
        return {"path": str(path)}

    def shares(self, from_s: float, to_s: float, track: int) -> dict[str, Any] | None:
        """The model's probabilities of a face; None where there are none, and for a blind coder."""
        if self.blind or self.source.session is None or not self.source.session.frames.exists():
            return None
        known = self._answers = self._answers or self._read_answers()
        inside = (known.times_s >= from_s) & (known.times_s <= to_s) & (known.tracks == track)
        rows = [[None if np.isnan(one) else round(float(one), 4) for one in row] for row in known.shares[inside]]
        return {"names": known.names, "times_s": known.times_s[inside].round(4).tolist(), "rows": rows}

    def sheet(self, event: str) -> bytes | None:
        """The picture that the run drew of an accepted event, PNG; None where there is none, and for a blind coder."""
        place = int(event[1:]) - 1 if re.fullmatch(r"e[1-9][0-9]{0,8}", event) else -1
        if self.blind or self.source.session is None or not 0 <= place < len(self._told):
            return None
        if "rejected" in self._told[place]:
            return None
        number = sum("rejected" not in told for told in self._told[: place + 1])
        path = self.source.session.picture(number)
        return path.read_bytes() if path.is_file() else None

    def _events(self) -> tuple[LabelledEvent, ...]:
        return self._log.labels.events(self._recorded)

    def _last_added(self) -> int:
        """The highest number of an event of the coder's own, those taken back included: no number comes twice."""
        names = [action.event for action in self._log.labels.actions if action.event is not None]
        return max((int(name[1:]) for name in names if name.startswith("a")), default=0)

    def _said(self) -> defaultdict[str, set[str]]:
        """What the coder set, by event."""
        said: defaultdict[str, set[str]] = defaultdict(set)
        for action in self._log.labels.standing():
            assert action.event is not None and action.fields is not None
            said[action.event] |= set(action.fields)
        return said

    def _unbiased(self, event: str, fields: Fields) -> Fields:
        """What a blind coder accepts has a class of the coder's own, and no action units but those the coder saw."""
        if fields.get("verdict") != "accepted":
            return fields
        said = self._said()[event] | set(fields)
        if "label" not in said:
            raise LabelError("choose the class first: yours alone counts, and the program's is not told")
        return fields if "action_units" in said else {**fields, "action_units": []}

    def _event(self, event: LabelledEvent, said: Set[str]) -> dict[str, Any]:
        hidden = self.blind and event.event.startswith("e")
        return {
            "name": event.event,
            "track": event.track,
            "kind": event.kind,
            "label": "" if hidden and "label" not in said else event.label,
            "onset_s": event.onset_s,
            "apex_s": event.apex_s,
            "offset_s": event.offset_s,
            "action_units": [] if hidden and "action_units" not in said else list(event.action_units),
            "verdict": event.verdict,
            "note": event.note,
            "changed": sorted(said),
            "program": None if hidden or event.event.startswith("a") else self._of_program(int(event.event[1:])),
        }

    def _of_program(self, number: int) -> dict[str, Any]:
        told = self._told[number - 1]
        rejected = told.get("rejected")
        return {
            "label": told["label"],
            "probability": told.get("probability"),
            "rejected": None if rejected is None else REJECTION_WORDS.get(rejected, str(rejected)),
            "first": self._steps.first(told["kind"], told.get("probability"), rejected),
            "onset_s": told["onset_s"],
            "apex_s": told["apex_s"],
            "offset_s": told["offset_s"],
            "action_units": list(told.get("action_units", ())),
            "peak_px": told["peak_px"],
        }

    def _others(self) -> tuple[list[dict[str, Any]], list[str]]:
        """What other coders decided, event by event; and why some of their files cannot be read, which is no reason not to work."""
        found: list[dict[str, Any]] = []
        unreadable: list[str] = []
        for coder, path in self.source.coders():
            if coder == self._coder:
                continue
            try:
                events = read_label_file(path).events(self._recorded)
            except LabelError as error:
                unreadable.append(str(error))
                continue
            found += [
                {
                    "coder": coder,
                    "name": event.event,
                    "verdict": event.verdict,
                    "label": event.label,
                    "onset_s": event.onset_s,
                    "apex_s": event.apex_s,
                    "offset_s": event.offset_s,
                    "action_units": list(event.action_units),
                }
                for event in events
                if event.verdict is not None
            ]
        return found, unreadable

    def _read_answers(self) -> _Answers:
        assert self.source.session is not None
        with open_rows(self.source.session) as rows:
            names = rows.columns.class_names
            none = (np.nan,) * len(names)
            found = [(row.time_s, row.face, row.probabilities or none) for row in rows]
        return _Answers(
            names,
            np.array([one[0] for one in found], np.float64),
            np.array([one[1] for one in found], np.int64),
            np.array([one[2] for one in found], np.float32).reshape(len(found), len(names)),
        )


class Desk:
    """All materials of a coder. A context manager: inside it nobody else labels them under the same name."""

    def __init__(self, sources: Sequence[Reviewable], coder: str, blind: bool) -> None:
        self.coder, self.blind = check_coder(coder), blind
        self._sources = tuple(sources)
        self._open = ExitStack()
        self.materials: tuple[DeskMaterial, ...] = ()

    def __enter__(self) -> Self:
        with ExitStack() as opened:
            found: list[DeskMaterial] = []
            for source in self._sources:
                found.append(DeskMaterial(source, self.coder, self.blind))
                opened.callback(found[-1].close)
            self.materials, self._open = tuple(found), opened.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()


def usual_coder() -> str:
    """The login name as far as it fits; LabelError where nothing of it does."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError, ImportError):
        name = os.environ.get("USERNAME", "")
    fitting = re.sub(r"[^A-Za-z0-9_-]", "", name).lstrip("-_")[:40]
    if not fitting:
        raise LabelError("nobody says who is coding: give --coder NAME")
    return fitting
