"""What can be looked through: recorded sessions, and videos with the events that were found in them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from model.guards import shown
from stream.labels.label_log import LabelError, LabelledEvent, check_coder, label_paths
from stream.session.frame_rows import read_events_of
from stream.session.session_folder import SessionFolder


@dataclass(frozen=True)
class Reviewable:
    """A session, or a video with its events.

    Attributes:
        name: What it is called where several are listed.
        events: The file of events, one JSON object a line.
        session: None for a video.
        video: The video file, where the pictures are not those of a session's own recording; None where there are none.
    """

    name: str
    events: Path
    session: SessionFolder | None = None
    video: Path | None = None

    def recorded(self) -> tuple[LabelledEvent, ...]:
        """The program's events, accepted and rejected, in the order of their lines. Raises SessionError."""
        return tuple(LabelledEvent.recorded(n, told) for n, told in enumerate(read_events_of(self.events), start=1))

    def labels_of(self, coder: str) -> Path:
        """Where the coder's labels are; nothing needs to be there yet. Raises LabelError for a name that cannot be a file's."""
        return self.events.parent / f"{self._stem}-{check_coder(coder)}.jsonl"

    def coders(self) -> Iterator[tuple[str, Path]]:
        """Those who have labelled it, by name, and their files."""
        return label_paths(self.events.parent, self._stem)

    @property
    def _stem(self) -> str:
        # A folder may hold the events of several videos, but those of one session.
        return "labels" if self.session is not None else f"{self.events.stem}-labels"


def find_reviewables(paths: Sequence[Path], events: Path | None = None) -> list[Reviewable]:
    """Sessions, those in folders of sessions, and a video: its events are `events`, or VIDEO.events.jsonl beside it.

    Raises LabelError for what is none of these.
    """
    if events is not None and (len(paths) != 1 or not paths[0].is_file()):
        raise LabelError("events of their own go with one video")
    found: list[Reviewable] = []
    for path in paths:
        if path.is_dir():
            found += _sessions(path)
        elif path.is_file():
            found.append(_video(path, events))
        else:
            raise LabelError(f"{shown(str(path))} is not there: expected a session, a folder of sessions or a video")
    return found


def _sessions(path: Path) -> list[Reviewable]:
    if SessionFolder(path).facts.exists():
        return [Reviewable(path.resolve().name, SessionFolder(path).events, session=SessionFolder(path))]
    inner = [place for place in sorted(path.iterdir()) if place.is_dir() and SessionFolder(place).facts.exists()]
    if not inner:
        raise LabelError(f"{shown(str(path))} holds no session: none of its folders has a session.json")
    return [Reviewable(place.name, SessionFolder(place).events, session=SessionFolder(place)) for place in inner]


def _video(path: Path, events: Path | None) -> Reviewable:
    beside = events or path.with_name(f"{path.stem}.events.jsonl")
    if not beside.is_file():
        raise LabelError(
            f"{shown(str(path))} has no events: make them with microlive --source {shown(path.name)} --headless "
            f"--events {shown(beside.name)}"
        )
    return Reviewable(path.stem, beside, video=path)
