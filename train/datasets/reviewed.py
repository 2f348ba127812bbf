"""Reviewed sessions: whose they are, and what coders decided about their events.

A session's subject is its folder's name up to the last -number or _number (`anna-1`, `anna-2` are of anna), or what a sheet with
the columns session and subject says; names without a letter, such as dates, need one. Of several coders see
`train.datasets.decided`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stream.labels.label_log import LabelError, LabelFile, LabelledEvent, check_coder, read_label_file
from stream.labels.reviewable import Reviewable, find_reviewables
from stream.session.replay import RecordedSettings, recorded_settings, require_recording
from stream.session.session_folder import SessionError, SessionFolder
from train.datasets.decided import Decided, decide
from train.datasets.source import DatasetError, Defect
from train.datasets.spreadsheet import SheetKind, open_sheet

_NUMBERED = re.compile(r"(.*[^\W\d].*)[-_][0-9]+")
_SHEET = SheetKind(
    "the sessions' subjects",
    "subjects.csv",
    columns=(("Session", "folder", "name"), ("Subject", "person", "participant")),
    clip_name=re.compile(""),
)


@dataclass(frozen=True)
class ReviewedSession:
    """`recorded` are the program's events, `decided` what coders say of them and added."""

    name: str
    subject: str
    folder: SessionFolder
    facts: Mapping[str, Any]
    recorded: tuple[LabelledEvent, ...]
    decided: Decided

    @property
    def settings(self) -> RecordedSettings:
        return recorded_settings(self.facts)


def read_reviews(
    roots: Sequence[Path], annotations: Sequence[Path] = (), coder: str | None = None, pictures: bool = True
) -> tuple[tuple[ReviewedSession, ...], tuple[Defect, ...]]:
    """The reviewed sessions under `roots`, each a session or a folder of them, and why others cannot be used.

    `annotations`: at most one sheet, of subjects. `coder`: whose labels alone; left out, everybody's. `pictures`: those alone
    whose pictures were recorded.

    Raises:
        DatasetError: there is no session that can be used, or it is not known whose one is.
    """
    if len(annotations) > 1:
        raise DatasetError(f"sessions: expected at most one --annotation, of subjects, found {len(annotations)}")
    try:
        places = find_reviewables(roots)
        if coder is not None:
            check_coder(coder)
    except LabelError as error:
        raise DatasetError(str(error)) from None
    named = [place.name for place in places]
    if twice := sorted({name for name in named if named.count(name) > 1}):
        raise DatasetError(f"sessions: two folders are called {twice[0]}: rename one of them")
    subjects = _subjects(named, annotations[0] if annotations else None)
    defects: list[Defect] = []
    reviewed: list[ReviewedSession] = []
    for place in places:
        assert place.session is not None  # roots are folders
        try:
            reviewed.append(_reviewed(place, place.session, subjects[place.name], coder, pictures))
        except (_Unusable, SessionError, LabelError) as error:
            defects.append(Defect("error", place.session.path, _without(str(error), place.session.path)))
    if not reviewed:
        more = f" (and {len(defects) - 1} more sessions)" if len(defects) > 1 else ""
        raise DatasetError(f"{defects[0]}{more}")
    return tuple(reviewed), tuple(defects)


class _Unusable(DatasetError):
    """A session that cannot be used: why, in one line."""


def _reviewed(
    place: Reviewable, folder: SessionFolder, subject: str, coder: str | None, pictures: bool
) -> ReviewedSession:
    facts = folder.read_facts()
    settings = recorded_settings(facts)
    if pictures:
        try:
            require_recording(folder.path, facts)
        except SessionError as error:
            raise _Unusable(f"{error}; record the next ones with microlive --session DIR --record-source") from None
    if (settings.max_faces or 1) > 1 or settings.face_at is not None:
        raise _Unusable(f"{folder.path} follows several faces, or one of several: whose is whose is not known")
    files = list(_label_files(place, coder))
    if not files:
        whose = f" by {coder}" if coder is not None else ""
        raise _Unusable(f"{folder.path} was not reviewed{whose}: microlive --review {folder.path}")
    recorded = place.recorded()
    return ReviewedSession(place.name, subject, folder, facts, recorded, decide(files, recorded))


def _label_files(place: Reviewable, coder: str | None) -> Iterator[LabelFile]:
    for name, path in place.coders():
        if coder in (None, name):
            yield read_label_file(path)


def _subjects(sessions: Sequence[str], sheet: Path | None) -> dict[str, str]:
    """Of every session, by its folder's name."""
    if sheet is None:
        if nameless := [name for name in sessions if not re.search(r"[^\W\d_]", name)]:
            raise DatasetError(
                f"{nameless[0]}: the session's name does not tell whose it is; rename it like anna-1, or give a sheet with the "
                "columns session and subject (--annotation)"
            )
        numbered = {name: _NUMBERED.fullmatch(name) for name in sessions}
        return {name: match[1] if match else name for name, match in numbered.items()}
    told = {row["Session"]: row["Subject"] for row in open_sheet(sheet, _SHEET).rows}
    if lacking := [name for name in sessions if not told.get(name)]:
        raise DatasetError(f"{sheet}: expected a subject for every session, found none for {lacking[0]}")
    return {name: told[name] for name in sessions}


def _without(text: str, folder: Path) -> str:
    """The reason without the folder, which is told before it."""
    return text.removeprefix(f"{folder.resolve()} ").removeprefix(f"{folder} ")
