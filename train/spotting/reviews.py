"""What coders said of sessions' candidates as something to learn the decision from: accepted ones are hits, rejected ones are not,
and those that nobody decided about are not used. The evidence is in the sessions' own files; no pictures are needed.
"""

from collections.abc import Sequence
from pathlib import Path

from model.types import Event
from stream.engine.model_file import choose_model
from stream.events.evidence import REASONS
from stream.labels.label_log import LabelledEvent
from stream.session.facts import file_hash
from stream.session.frame_rows import read_events, read_rows
from stream.session.session_folder import SessionError
from train.datasets.reviewed import ReviewedSession, read_reviews
from train.spotting.decision_fit import JudgedVideo, is_candidate
from train.spotting.material import candidate
from train.synth.long_video_script import TruthEvent

GROUP = "reviews"


def reviewed_videos(
    roots: Sequence[Path], subjects: Sequence[Path], coder: str | None, model: Path
) -> tuple[list[JudgedVideo], list[str]]:
    """A video for every reviewed session under `roots`, and in words what is odd, and which were left out.

    A session of whose candidates a part is decided counts with that part of the time in which its face was read. `model`: whose
    decision it is to be; of sessions that another one was used in, the part of the evidence that is its answers is told.

    Raises:
        DatasetError: no session can be used.
    """
    sessions, defects = read_reviews(roots, subjects, coder, pictures=False)
    remarks = [str(defect) for defect in defects]
    videos: list[JudgedVideo] = []
    for session in sessions:
        try:
            videos.append(_video(session))
        except SessionError as error:
            remarks.append(str(error))
            continue
        made_with = session.settings
        known = (choose_model(model, made_with.engine or "auto"), model)
        if made_with.sha256 is None or made_with.sha256 not in map(file_hash, known):
            remarks.append(
                f"{session.folder.path} was made with another model than {model.name}: a few numbers of the evidence are its answers"
            )
        for event, why in session.decided.disputed:
            remarks.append(f"{session.folder.path}: {event.event} is not used, the coders are not of one mind ({why})")
    return videos, remarks


def _video(session: ReviewedSession) -> JudgedVideo:
    decided = {event.event: event for event in session.decided.events}
    disputed = {event.event for event, _ in session.decided.disputed}
    found: list[tuple[Event, LabelledEvent | None]] = []
    for number, told in enumerate(read_events(session.folder), start=1):
        if told["kind"] != "micro" or not is_candidate(event := candidate(told)):
            continue
        if set(event.evidence) != set(REASONS):
            raise SessionError(
                f"{session.folder.path} was made by another version of the program: event {number} has other evidence"
            )
        if f"e{number}" not in disputed:
            found.append((event, decided.get(f"e{number}")))
    used = [(event, label) for event, label in found if label is not None]
    summary = read_rows(session.folder)
    read_s = sum(face.read_s for face in summary.sight.faces.values()) if summary.sight else summary.duration_s
    return JudgedVideo(
        name=session.name,
        person=session.subject,
        group=GROUP,
        minutes=read_s / 60 * (len(used) / len(found) if found else 1.0),
        truth=tuple(
            _truth(event) for event in session.decided.events if event.verdict == "accepted" and event.kind == "micro"
        ),
        candidates=tuple(event for event, _ in used),
        verdicts=tuple(label.verdict == "accepted" and label.kind == "micro" for _, label in used),
    )


def _truth(event: LabelledEvent) -> TruthEvent:
    return TruthEvent("micro", event.label, event.onset_s, event.apex_s, event.offset_s, 0.0)
