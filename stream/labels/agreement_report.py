"""What is told of coders' agreement: their recordings gathered, every two of them compared."""

import csv
import dataclasses
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from av.error import FFmpegError

from model.atomic import regular_file
from model.guards import shown
from stream.labels.agreement import (
    MIN_IOU,
    MOMENTS,
    CodedRecording,
    EventAgreement,
    Kappa,
    agree_on_events,
    fleiss_kappa_of,
    shared_recordings,
)
from stream.labels.exchange import labelled, read_coders
from stream.labels.label_log import PROGRAM, LabelError, LabelledEvent
from stream.labels.media_clock import MediaClock
from stream.labels.reviewable import Reviewable
from stream.labels.unit_agreement import TOLERANCES_S, UnitAgreement, agree_on_units, facs_index
from stream.session.session_folder import SessionFolder, is_number
from stream.sources.decoder import VideoDecoder
from stream.sources.file import ffmpeg_name, quiet_decoder

_TAIL_BYTES = 1 << 16


@dataclass(frozen=True)
class PairAgreement:
    """All that is told of two coders. `recordings`: how many both have looked at."""

    recordings: int
    events: EventAgreement
    units: tuple[UnitAgreement, ...]

    @property
    def coders(self) -> tuple[str, str]:
        return self.events.coders

    def to_dict(self) -> dict[str, Any]:
        events = self.events
        return {
            "coders": list(self.coders),
            "recordings": self.recordings,
            "events": {
                "matched": len(events.pairs),
                "only_first": events.only_first,
                "only_second": events.only_second,
                "f1": events.f1,
            },
            "differences": {moment: dataclasses.asdict(events.differences(moment)) for moment in MOMENTS},
            "classes": {"cohens_kappa": dataclasses.asdict(events.class_kappa())},
            "action_units": {
                "facs_index": facs_index(events.pairs),
                "tolerances_s": list(TOLERANCES_S),
                "units": [dataclasses.asdict(unit) for unit in self.units],
            },
        }


@dataclass(frozen=True)
class AgreementReport:
    """Every two of the coders. `fleiss`: of the people, where they are three or more. `undecided`: by coder, how many of the
    program's events the coder has not decided on."""

    coders: tuple[str, ...]
    recordings: tuple[CodedRecording, ...]
    min_iou: float
    pairs: tuple[PairAgreement, ...]
    fleiss: Kappa | None
    undecided: Mapping[str, int]

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it. Numbers that cannot be told are null."""
        return {
            "recordings": [recording.name for recording in self.recordings],
            "coders": list(self.coders),
            "min_iou": self.min_iou,
            "undecided": dict(self.undecided),
            "pairs": [pair.to_dict() for pair in self.pairs],
            "fleiss_kappa": None if self.fleiss is None else dataclasses.asdict(self.fleiss),
        }

    def notices(self) -> list[str]:
        """What to know before the numbers are believed, a sentence each."""
        left = ", ".join(f"{coder} {number}" for coder, number in self.undecided.items() if number)
        told = [f"Of the program's events not decided on, and so no events of the coder: {left}."] if left else []
        if any(PROGRAM in pair.coders for pair in self.pairs):
            told.append(
                "Coders who see what the program found are led by it: with it they agree better than blind ones do."
            )
        for pair in self.pairs:
            if pair.recordings < len(self.recordings):
                named = " and ".join(pair.coders)
                told.append(f"{named}: both have looked at {pair.recordings} of {len(self.recordings)} recordings.")
        return told


def report_agreement(
    recordings: Sequence[CodedRecording], coders: Sequence[str] = (), min_iou: float = MIN_IOU
) -> AgreementReport:
    """Of the named coders, or of all there are. Raises LabelError where no two have looked at one recording."""
    there = sorted(
        {coder for recording in recordings for coder in recording.codings}, key=lambda coder: (coder == PROGRAM, coder)
    )
    missing = [coder for coder in coders if coder not in there]
    if missing:
        raise LabelError(f"there are no labels of {shown(missing[0])[:40]}: {', '.join(map(shown, there))} have some")
    named = tuple(dict.fromkeys(coders)) or tuple(there)
    pairs = [
        PairAgreement(len(shared), agree_on_events(both, shared, min_iou), agree_on_units(both, shared))
        for both in combinations(named, 2)
        if (shared := shared_recordings(both, recordings))
    ]
    if not pairs:
        raise LabelError(
            f"nothing to compare: {' and '.join(map(shown, named)) or 'nobody'} alone; label with microlive --review, bring in a "
            "file with microlive labels import, or name it as --against"
        )
    people = [coder for coder in named if coder != PROGRAM]
    fleiss = fleiss_kappa_of(people, recordings, min_iou) if len(people) > 2 else None
    undecided = {
        coder: sum(event.verdict is None for recording in recordings for event in recording.codings.get(coder, ()))
        for coder in people
    }
    return AgreementReport(named, tuple(recordings), min_iou, tuple(pairs), fleiss, undecided)


def gather(reviewables: Sequence[Reviewable], against: Path | None = None) -> list[CodedRecording]:
    """The program's events, those of everybody who has labelled the recordings, and those of a file that was coded
    elsewhere, which goes with one recording. Raises LabelError and SessionError."""
    if against is not None and len(reviewables) != 1:
        raise LabelError(f"{against} goes with one session or video, and there are {len(reviewables)}")
    found: list[CodedRecording] = []
    for reviewable in reviewables:
        codings = {
            coder: labelled(reviewable, coder) for coder in (PROGRAM, *(coder for coder, _ in reviewable.coders()))
        }
        if against is not None:
            for coder, events in read_coders(against, MediaClock.of(reviewable)).items():
                codings[coder if coder not in codings else f"{coder} ({against.name})"] = events
        begin_s, end_s = _span_s(reviewable, [event for events in codings.values() for event in events])
        found.append(CodedRecording(reviewable.name, begin_s, end_s, codings, reviewable.session))
    return found


def _span_s(reviewable: Reviewable, events: Sequence[LabelledEvent]) -> tuple[float, float]:
    """From when to when a recording lasts, on the source's clock; at least over all its events."""
    told = _video_s(reviewable.video) if reviewable.session is None else _rows_s(reviewable.session)
    return (
        min([*told, *(event.onset_s for event in events)], default=0.0),
        max([*told, *(event.offset_s for event in events)], default=0.0),
    )


def _video_s(video: Path | None) -> list[float]:
    if video is None:
        return []
    try:
        with quiet_decoder():
            decoder = VideoDecoder(ffmpeg_name(video))
            decoder.close()
    except (FFmpegError, ValueError):
        return []
    return [0.0] if decoder.stated_end_s is None else [0.0, decoder.stated_end_s]


def _rows_s(session: SessionFolder) -> list[float]:
    """The times of the first and the last whole row of frames.csv, without reading those between."""
    try:
        with regular_file(session.frames).open("rb") as file:
            head = file.readline(), file.readline()
            file.seek(max(file.seek(0, os.SEEK_END) - _TAIL_BYTES, 0))
            tail = file.read().splitlines(keepends=True)
    except OSError:
        return []
    whole = [line for line in tail if line.endswith(b"\n")]
    text = b"".join([*head, *whole[-1:]]).decode("utf-8", "replace")
    rows = [row.get("time_s") for row in csv.DictReader(io.StringIO(text, newline=""))]
    times_s: list[float] = []
    for cell in rows:
        try:
            time_s = float(cell or "")
        except ValueError:
            continue
        if is_number(time_s):
            times_s.append(time_s)
    return times_s
