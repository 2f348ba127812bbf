"""What a coder says of a run's events, kept for ever: `labels-<coder>.jsonl`, a line for every action, undo among them.

The first line says whose it is. Every other one is numbered and sets some fields of one event, or takes such a line back.
What was recorded never changes: events of the program are known by their line in events.jsonl ("e12"), those that a coder
adds by a number of that coder's own ("a3").
"""

import contextlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, Self

from annotated_types import Interval, Len
from pydantic import ConfigDict, Field, TypeAdapter, with_config
from typing_extensions import TypedDict

from model.atomic import regular_file
from model.checked import MisfitError, checked, checked_json
from model.errors import MicroliveError
from model.types import EventKind
from stream.machine import VERSION
from stream.sinks.base import SinkError, open_own, reason

SCHEMA_VERSION = 1
PROGRAM = "program"
"""Who found the events that are labelled: compared and exported like a coder, so no coder is called so."""
MOST_MICRO_S = 0.5
_LARGEST = 1e12
_MOST_UNITS = 99
_MOST_NOTE = 2000
_CODER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
_EVENT = re.compile(r"[ea][1-9][0-9]{0,8}")

Verdict = Literal["accepted", "rejected"]
_Time = Annotated[float, Interval(ge=-_LARGEST, le=_LARGEST), Field(allow_inf_nan=False)]
_Unit = Annotated[str, Field(pattern=r"^[LR]?[0-9][0-9]?$")]
_Text = Annotated[str, Len(0, _MOST_NOTE)]


class LabelError(MicroliveError, RuntimeError):
    """Labels cannot be read, or an action is none: one line that says which and why."""


@with_config(ConfigDict(extra="forbid"))
class Fields(TypedDict, total=False):
    """What an action sets. `verdict` None: not decided any more."""

    verdict: Verdict | None
    label: Annotated[str, Len(1, 100)]
    onset_s: _Time
    apex_s: _Time
    offset_s: _Time
    action_units: Annotated[list[_Unit], Len(0, _MOST_UNITS)]
    track: Annotated[int, Interval(ge=0, le=_LARGEST)]
    note: _Text


@with_config(ConfigDict(extra="allow"))
class _Head(TypedDict):
    schema_version: Any
    coder: Any


@with_config(ConfigDict(extra="forbid"))
class _Line(TypedDict):
    n: Annotated[int, Interval(ge=1)]
    at: Annotated[str, Len(1, 60)]
    event: NotRequired[Annotated[str, Field(pattern=rf"^{_EVENT.pattern}$")]]
    set: NotRequired[Fields]
    undo: NotRequired[Annotated[int, Interval(ge=1)]]


_HEAD, _LINE, _FIELDS = TypeAdapter(_Head), TypeAdapter(_Line), TypeAdapter(Fields)


@dataclass(frozen=True)
class LabelledEvent:
    """An event as somebody sees it; seconds of the source's clock.

    `event` "e12" is the program's, "a3" one that a coder added. `verdict` None: not decided. `action_units` as FACS writes
    them ("4": both sides, "L12": the subject's left alone).
    """

    event: str
    track: int
    label: str
    onset_s: float
    apex_s: float
    offset_s: float
    action_units: tuple[str, ...] = ()
    verdict: Verdict | None = None
    note: str = ""

    @property
    def kind(self) -> EventKind:
        """micro: up to half a second from onset to offset."""
        return "micro" if self.offset_s - self.onset_s <= MOST_MICRO_S + 1e-9 else "macro"

    @classmethod
    def recorded(cls, number: int, told: Mapping[str, Any]) -> "LabelledEvent":
        """From a line of events.jsonl, the first is number 1: with the verdict of the program."""
        return cls(
            event=f"e{number}",
            track=told["track"],
            label=told["label"],
            onset_s=told["onset_s"],
            apex_s=told["apex_s"],
            offset_s=told["offset_s"],
            action_units=tuple(told.get("action_units", ())),
            verdict="rejected" if "rejected" in told else "accepted",
        )


@dataclass(frozen=True)
class Action:
    """A line: number `n` set `fields` of `event`, or took back line `undo`. `at`: ISO time with its zone."""

    n: int
    at: str
    event: str | None = None
    fields: Fields | None = None
    undo: int | None = None


@dataclass(frozen=True)
class LabelFile:
    """What a labels file holds: whose it is, and its actions in their order."""

    coder: str
    actions: tuple[Action, ...]

    def standing(self) -> tuple[Action, ...]:
        """Actions that set something and were not taken back."""
        back = {action.undo for action in self.actions if action.undo is not None}
        return tuple(action for action in self.actions if action.fields is not None and action.n not in back)

    def events(self, recorded: Sequence[LabelledEvent]) -> tuple[LabelledEvent, ...]:
        """The program's events and the coder's own as the coder left them, by onset; what the coder did not touch has
        the verdict None. Raises LabelError for labels of events that there are not."""
        found = {event.event: replace(event, verdict=None) for event in recorded}
        for action in self.standing():
            assert action.event is not None and action.fields is not None
            found[action.event] = changed(found.get(action.event), action.event, action.fields)
        return tuple(sorted(found.values(), key=lambda event: (event.onset_s, event.event)))


def changed(event: LabelledEvent | None, name: str, fields: Fields) -> LabelledEvent:
    """The event with what an action sets; None: one that the action adds. Raises LabelError where that makes no event."""
    if event is None:
        if name.startswith("e"):
            raise LabelError(f"there is no event {name} in the run: the labels are of another one")
        missing = [part for part in ("onset_s", "apex_s", "offset_s", "label") if part not in fields]
        if missing:
            raise LabelError(f"event {name} is new: {', '.join(missing)} missing")
        event = LabelledEvent(name, 1, "", 0.0, 0.0, 0.0, verdict="accepted")
    values: dict[str, Any] = dict(fields)
    if "action_units" in values:
        values["action_units"] = tuple(values["action_units"])
    event = replace(event, **values)
    if not event.onset_s <= event.apex_s <= event.offset_s or event.onset_s == event.offset_s:
        times = f"{event.onset_s:.3f}, {event.apex_s:.3f}, {event.offset_s:.3f}"
        raise LabelError(f"event {name}: expected onset <= apex <= offset and a length above 0, found {times}")
    return event


def check_coder(name: str) -> str:
    """A coder's name, fit for a file's; LabelError for another, and for the program's."""
    if name == PROGRAM:
        raise LabelError(f"coder {name}: that is what the program itself is called; take another name")
    if not _CODER.fullmatch(name):
        raise LabelError(
            f"coder {name[:60]!r}: expected up to 40 letters, digits, - and _, the first one a letter or a digit"
        )
    return name


def check_fields(value: object) -> Fields:
    """Fields that came from outside; LabelError for what is none."""
    try:
        return checked(_FIELDS, value)
    except MisfitError as error:
        raise LabelError(str(error)) from None


def read_label_file(path: Path) -> LabelFile:
    """Whole lines; a last one that was cut off is left out. Raises LabelError for another schema version, and for what is
    no labels file."""
    coder, actions, _ = _read(path)
    return LabelFile(coder, tuple(actions))


class LabelLog:
    """A coder's labels, open to be added to by this process alone. A context manager.

    An action is acknowledged when its line is on the disk: what `add` and `undo` return is there after a power cut. A line that
    was cut off when its process died is taken off at the beginning, since it was acknowledged to nobody. Raises SinkError
    where the file cannot be had (another process has it, the disk is full), LabelError for one of another kind.
    """

    def __init__(self, path: Path, coder: str) -> None:
        self.path, self.coder = path, check_coder(coder)
        self._file = open_own(path, "labels")
        try:
            self._begin()
        except BaseException:
            self.close()
            raise

    def _begin(self) -> None:
        self._actions: list[Action] = []
        self._whole_bytes = 0
        told = {"schema_version": SCHEMA_VERSION, "coder": self.coder, "program": f"microlive {VERSION}"}
        head = (json.dumps(told) + "\n").encode()
        size = os.fstat(self._file.fileno()).st_size
        # The first line, too, may have been cut off when its process died: nothing was said then.
        if size and not (size < len(head) and head.startswith(regular_file(self.path).read_bytes())):
            coder, self._actions, self._whole_bytes = _read(self.path)
            if coder != self.coder:
                raise LabelError(f"{self.path} holds the labels of {coder}, not of {self.coder}")
        if self._whole_bytes < size:
            os.ftruncate(self._file.fileno(), self._whole_bytes)
        if not self._whole_bytes:
            self._append(told)

    @property
    def labels(self) -> LabelFile:
        return LabelFile(self.coder, tuple(self._actions))

    def add(self, event: str, fields: Fields) -> Action:
        """Sets fields of an event. Whether they make one is asked of `changed` before."""
        if not _EVENT.fullmatch(event):
            raise LabelError(f"event {event[:60]!r}: expected e or a and a number")
        return self._keep(Action(self._next(), _now(), event=event, fields=fields))

    def undo(self, n: int) -> Action:
        """Takes back the line of that number. Raises LabelError where nothing stands there."""
        if n not in [action.n for action in self.labels.standing()]:
            raise LabelError(f"action {n} cannot be taken back: it is none, or was already")
        return self._keep(Action(self._next(), _now(), undo=n))

    def _next(self) -> int:
        return self._actions[-1].n + 1 if self._actions else 1

    def _keep(self, action: Action) -> Action:
        told: dict[str, Any] = {"n": action.n, "at": action.at}
        told |= {"undo": action.undo} if action.undo is not None else {"event": action.event, "set": action.fields}
        self._append(told)
        self._actions.append(action)
        return action

    def _append(self, told: Mapping[str, Any]) -> None:
        data = (json.dumps(told, ensure_ascii=False) + "\n").encode()
        try:
            written = 0
            while written < len(data):
                written += self._file.write(data[written:])
            os.fsync(self._file.fileno())
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file.fileno(), self._whole_bytes)
            raise SinkError(f"cannot write the labels {self.path}: {reason(error)}; nothing before is lost") from error
        self._whole_bytes += len(data)

    def close(self) -> None:
        with contextlib.suppress(OSError):  # every line was synced when it was written
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="milliseconds")


def _read(path: Path) -> tuple[str, list[Action], int]:
    """Coder, actions, and how many bytes whole lines take."""
    try:
        data = regular_file(path).read_bytes()
    except OSError as error:
        raise LabelError(f"{path} cannot be read: {reason(error)}") from error
    lines = data.splitlines(keepends=True)
    whole = [line for line in lines if line.endswith(b"\n")]
    if not whole:
        raise LabelError(f"{path} is no labels file: it has no first line that says whose it is")
    coder = _head(path, whole[0])
    actions: list[Action] = []
    for place, line in enumerate(whole[1:], start=2):
        try:
            actions.append(_action(line, actions[-1].n if actions else 0))
        except (MisfitError, LabelError) as error:
            raise LabelError(f"{path}: line {place} is no action: {error}") from None
    return coder, actions, sum(map(len, whole))


def _head(path: Path, line: bytes) -> str:
    try:
        head = checked_json(_HEAD, line)
    except MisfitError as error:
        raise LabelError(f"{path} is no labels file: {error}") from None
    if head["schema_version"] != SCHEMA_VERSION:
        raise LabelError(
            f"{path} has labels of schema version {str(head['schema_version'])[:20]}, and this program knows {SCHEMA_VERSION}: "
            "read it with the version of Microlive that wrote it; nothing was changed"
        )
    if not isinstance(head["coder"], str):
        raise LabelError(f"{path} is no labels file: its coder is no text")
    return check_coder(head["coder"])


def _action(line: bytes, last_n: int) -> Action:
    told = checked_json(_LINE, line)
    sets = "event" in told and "set" in told
    if sets == ("undo" in told) or ("event" in told) != ("set" in told):
        raise LabelError("expected event and set, or undo")
    if told["n"] <= last_n:
        raise LabelError(f"expected a number above {last_n}, found {told['n']}")
    return Action(told["n"], told["at"], told.get("event"), told.get("set"), told.get("undo"))


def label_paths(folder: Path, stem: str = "labels") -> Iterator[tuple[str, Path]]:
    """Coders and their files in a folder, by name; a file with a first line alone, or a part of it, says nothing yet."""
    for path in sorted(folder.glob(f"{stem}-*.jsonl")):
        name = path.name.removeprefix(f"{stem}-").removesuffix(".jsonl")
        if _CODER.fullmatch(name) and not _is_only_begun(path):
            yield name, path


def _is_only_begun(path: Path) -> bool:
    """Whether it is a labels file with no action yet. What cannot be read is for whoever reads it to tell."""
    try:
        return not read_label_file(path).actions
    except LabelError:
        with contextlib.suppress(OSError):
            return path.is_file() and b"\n" not in path.read_bytes()
        return False
