"""Reviewed sessions as a dataset: what coders said becomes classes, people come from names, and what cannot be is told."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from stream.labels.label_log import LabelFile, LabelledEvent
from tests.helpers.clips import face_frames
from tests.helpers.models import CLASSES
from tests.helpers.reviewed import event, label, session
from train.__main__ import main
from train.clips.store import ClipStore
from train.datasets.decided import decide
from train.datasets.registry import read_dataset
from train.datasets.reviewed import read_reviews
from train.datasets.source import DatasetError, FrameFolder, Reading, SessionMoment, SourceClip
from train.prepare.crops import CropReader

NEW = {"onset_s": 8.0, "apex_s": 8.1, "offset_s": 8.3, "label": "positive", "verdict": "accepted"}


def read(*roots: Path, **more: object) -> Reading:
    return read_dataset("sessions", roots, **more)  # type: ignore[arg-type]


def told(reading: Reading) -> dict[str, str | None]:
    return {clip.id: clip.label for clip in reading.clips}


@pytest.fixture
def reviewed(tmp_path: Path) -> Path:
    """A folder of sessions: two of anna, one of ben, which one coder has looked through."""
    root = tmp_path / "sessions"
    events = [event(3.0), event(5.0, rejected="speech"), event(7.0), event(9.0), event(20.0, rejected="blink")]
    for name in ("anna-1", "anna-2", "ben"):
        folder = session(root / name, events, frames=2)
        label(
            folder, "cleo", e1="accepted", e2="rejected", e3={"verdict": "accepted", "label": "negative"}, e5="rejected"
        )
    return root


def test_what_was_decided_becomes_clips_of_its_class_and_neutral_ones(reviewed: Path) -> None:
    found = read(reviewed)
    assert found.classes == CLASSES and not found.defects
    assert told(found) == {
        f"sessions/{subject}/{name}/{number}": kind
        for name, subject in (("anna-1", "anna"), ("anna-2", "anna"), ("ben", "ben"))
        for number, kind in (("e1", "surprise"), ("e2", "neutral"), ("e3", "negative"), ("e5", "neutral"))
    }
    first = found.clips[0]
    assert first.pictures == SessionMoment(reviewed / "anna-1", 3.0, 2.9, 3.15)
    assert found.clips[1].pictures == SessionMoment(reviewed / "anna-1", 5.0)


def test_added_events_count_and_long_or_neighbouring_ones_are_left_out(tmp_path: Path) -> None:
    folder = session(tmp_path / "ann", [event(3.0), event(3.4, rejected="overlap"), event(6.0), event(7.6)], frames=2)
    label(
        folder, "cleo", e1="accepted", e2="rejected", e3={"verdict": "accepted", "offset_s": 6.8}, e4="rejected", a1=NEW
    )
    found = read(folder.path)
    assert told(found) == {"sessions/ann/ann/e1": "surprise", "sessions/ann/ann/a1": "positive"}
    reasons = [defect.reason for defect in found.defects]
    assert any(reason.startswith("2 rejected candidates left out") for reason in reasons)
    assert any(reason.startswith("1 accepted macro-expressions") for reason in reasons)


def test_a_class_that_the_model_lacks_is_told(tmp_path: Path) -> None:
    folder = session(tmp_path / "ann", [event(3.0), event(5.0)], frames=2)
    label(folder, "cleo", e1={"verdict": "accepted", "label": "contempt"}, e2="accepted")
    found = read(folder.path)
    assert told(found) == {"sessions/ann/ann/e2": "surprise"}
    assert "expected one of negative, positive, surprise, neutral, found 'contempt'" in found.defects[0].reason


def test_people_come_from_names_or_a_sheet(reviewed: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "subjects.csv"
    sheet.write_text("session,subject\nanna-1,p1\nanna-2,p2\nben,p1\n")
    found = read(reviewed, annotations=[sheet])
    assert sorted({clip.subject for clip in found.clips}) == ["p1", "p2"]
    sheet.write_text("session,subject\nanna-1,p1\n")
    with pytest.raises(DatasetError, match="expected a subject for every session, found none for anna-2"):
        read(reviewed, annotations=[sheet])
    dated = session(tmp_path / "2026-11-28", [event(3.0)], frames=2)
    label(dated, "cleo", e1="accepted")
    with pytest.raises(DatasetError, match="does not tell whose it is; rename it like anna-1"):
        read(dated.path)


def test_sessions_that_cannot_be_used_are_told_in_one_line(tmp_path: Path) -> None:
    without = session(tmp_path / "without", [event(3.0)])
    label(without, "cleo", e1="accepted")
    with pytest.raises(
        DatasetError, match=r"was recorded without --record-source.*microlive --session DIR --record-source"
    ) as caught:
        read(without.path)
    assert "\n" not in str(caught.value)
    anonymous = session(tmp_path / "anonymous", [event(3.0)], anonymised=True)
    with pytest.raises(DatasetError, match="is anonymised"):
        read(anonymous.path)
    unseen = session(tmp_path / "unseen", [event(3.0)], frames=2)
    with pytest.raises(DatasetError, match="was not reviewed: microlive --review"):
        read(unseen.path)
    label(unseen, "cleo", e1="accepted")
    with pytest.raises(DatasetError, match="was not reviewed by dora"):
        read(unseen.path, coder="dora")
    crowd = session(tmp_path / "crowd", [event(3.0)], frames=2, settings={"max_faces": 3})
    label(crowd, "cleo", e1="accepted")
    with pytest.raises(DatasetError, match="follows several faces"):
        read(crowd.path)
    # Beside one that can be used each is an error in the list.
    found = read(unseen.path, without.path, crowd.path)
    assert len(found.clips) == 1 and [d.severity for d in found.defects] == ["error", "error"]


def test_labels_of_another_schema_or_of_other_events_are_told(tmp_path: Path) -> None:
    folder = session(tmp_path / "ann", [event(3.0)], frames=2)
    labels = folder.path / "labels-cleo.jsonl"
    labels.write_text(json.dumps({"schema_version": 7, "coder": "cleo"}) + "\n")
    with pytest.raises(DatasetError, match="labels of schema version 7, and this program knows 1") as caught:
        read(folder.path)
    assert "\n" not in str(caught.value)
    labels.unlink()
    label(folder, "cleo", e9="accepted")
    with pytest.raises(DatasetError, match="there is no event e9"):
        read(folder.path)


def test_models_of_other_classes_are_not_mixed(reviewed: Path) -> None:
    other = session(reviewed / "dora", [event(3.0)], frames=2, model={"class_names": ["a", "b"]})
    label(other, "cleo", e1="accepted")
    with pytest.raises(DatasetError, match="prepare them apart"):
        read(reviewed)


# Several coders


def seen(name: str, onset_s: float = 1.0, **changes: object) -> LabelledEvent:
    return LabelledEvent(name, 1, "surprise", onset_s, onset_s + 0.1, onset_s + 0.3, **changes)  # type: ignore[arg-type]


def labels_of(folder: Path, number: int, **said: object) -> LabelFile:
    from stream.labels.label_log import LabelLog

    with LabelLog(folder / f"labels-c{number}.jsonl", f"c{number}") as log:
        for name, fields in said.items():
            log.add(name, {"verdict": fields} if isinstance(fields, str) else fields)  # type: ignore[typeddict-item, arg-type]
        return log.labels


def test_most_of_those_who_decided_must_agree(tmp_path: Path) -> None:
    recorded = [seen(f"e{n}", 2.0 * n) for n in range(1, 7)]
    files = [
        labels_of(tmp_path, 1, e1="accepted", e2="accepted", e3="rejected", e4="accepted", e5={"verdict": "accepted", "label": "negative"}),
        labels_of(tmp_path, 2, e1="accepted", e2="rejected", e3="rejected", e5={"verdict": "accepted", "label": "positive"}),
        labels_of(tmp_path, 3, e1="rejected", e3="accepted", e6={"note": "hm"}),
    ]  # fmt: skip
    found = decide(files, recorded)
    assert [(e.event, e.verdict) for e in found.events] == [("e1", "accepted"), ("e3", "rejected"), ("e4", "accepted")]
    assert {e.event: why for e, why in found.disputed} == {
        "e2": "1 of 2 coders accept it",
        "e5": "accepted as negative, positive",
    }


def test_times_are_medians_and_units_what_most_saw(tmp_path: Path) -> None:
    def said(onset_s: float, units: list[str], kind: str) -> dict[str, object]:
        return {"verdict": "accepted", "onset_s": onset_s, "action_units": units, "label": kind}

    files = [
        labels_of(tmp_path, 1, e1=said(1.0, ["4"], "negative")),
        labels_of(tmp_path, 2, e1=said(0.9, ["4", "7"], "negative")),
        labels_of(tmp_path, 3, e1=said(1.04, ["L12"], "positive")),
    ]
    (event,) = decide(files, [seen("e1")]).events
    assert (event.onset_s, event.apex_s, event.label, event.action_units) == (1.0, 1.1, "negative", ("4",))


def test_added_events_must_be_added_by_more_than_half(tmp_path: Path) -> None:
    def new(onset_s: float) -> dict[str, object]:
        return NEW | {"onset_s": onset_s, "apex_s": onset_s + 0.1, "offset_s": onset_s + 0.3}

    files = [
        labels_of(tmp_path, 1, a1=new(5.0), a2=new(9.0)),
        labels_of(tmp_path, 2, a1=new(5.05)),
        labels_of(tmp_path, 3, e1="rejected"),
    ]
    found = decide(files, [seen("e1")])
    assert [(e.event, round(e.onset_s, 3)) for e in found.events] == [("e1", 1.0), ("a1", 5.025)]
    assert decide(files[:1], [seen("e1")]).events[1].onset_s == 9.0


# Pictures


def test_prepared_clips_are_what_the_camera_saw_in_its_own_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = session(tmp_path / "ann-1", [event(1.4), event(2.3, rejected="speech"), event(9.0)], frames=90)
    label(folder, "cleo", e1={"verdict": "accepted", "action_units": ["1", "2"]}, e2="rejected", e3="accepted")
    argv = ["prepare", "--dataset", "sessions", "--root", str(folder.path), "--jobs", "1", "--lead-frames", "20"]
    assert main([*argv, "--out", str(tmp_path / "store")]) == 0
    assert "e3: pictures are missing between 8.50 and 9.47 s" in capsys.readouterr().err
    store = ClipStore.open(tmp_path / "store")
    assert [(r.id, r.subject, r.label) for r in store.records] == [
        ("sessions/ann/ann-1/e1", "ann", "surprise"),
        ("sessions/ann/ann-1/e2", "ann", "neutral"),
    ]
    first = store.records[0]
    assert (first.onset_frame, first.apex_frame, first.offset_frame) == (32, 35, 40)
    assert first.action_units == ("1", "2") and store.records[1].onset_frame is None
    assert store.clips.shape == (2, 50, 128, 128, 1) and store.manifest.lead_frames == 20
    # The first clip's frames are the recording's from .233 s on, aligned as those of any dataset.
    first_s = 1.4 - 35 / 30
    begins = 7 if first_s >= 7 / 30 else 6
    files = []
    for index, image in enumerate(face_frames(90)[begins:58], start=begins):
        files.append((index, tmp_path / f"{index}.png"))
        cv2.imwrite(str(files[-1][1]), image)
    reader = CropReader(store.manifest.crop, "grey")
    pictures = FrameFolder(tmp_path, tuple(files))
    wanted = reader.read(SourceClip("lab", "ann", "one", "", None, 30.0, pictures)).crops
    reader.close()
    np.testing.assert_array_equal(store.clips[0], wanted[7 - begins :][:50])


def test_other_rates_are_brought_to_the_windows_and_gaps_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "sessions"
    slow = [index / 15 for index in range(60)]
    with_gap = [index / 15 + (0.6 if index > 22 else 0.0) for index in range(60)]
    for name, times_s in (("slow-1", slow), ("gap-1", with_gap)):
        label(session(root / name, [event(1.9)], frames=60, times_s=times_s), "cleo", e1="accepted")
    argv = ["prepare", "--dataset", "sessions", "--root", str(root), "--jobs", "1", "--lead-frames", "20"]
    assert main([*argv, "--out", str(tmp_path / "store")]) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "sessions/gap/gap-1/e1: pictures are missing between 1.40 and 2.37 s" in said
    store = ClipStore.open(tmp_path / "store")
    # At half the rate every second crop is a mean of its neighbours.
    (clip,) = store.clips[:, :, :, :, 0].astype(float)
    middle = (clip[20:48:2] + clip[22:50:2]) / 2
    odd = clip[21:49:2] if np.abs(clip[21:49:2] - middle).max() < np.abs(clip[20:48:2]).max() else clip[20:48:2]
    assert np.abs(odd - middle).max() <= 1.0


def test_one_command_prepares_and_another_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = session(tmp_path / "ann-1", [event(1.4)])
    label(folder, "cleo", e1="accepted")
    assert main(["prepare", "--dataset", "sessions", "--root", str(folder.path), "--out", str(tmp_path / "store")]) == 2
    assert "--record-source" in capsys.readouterr().err
    assert main(["list", "--dataset", "casme2", "--root", str(tmp_path), "--coder", "cleo"]) == 2
    assert "--coder: casme2 has no coders' labels" in capsys.readouterr().err


def test_reviews_without_pictures_are_enough_for_the_decision(tmp_path: Path) -> None:
    folder = session(tmp_path / "ann-1", [event(1.4)])
    label(folder, "cleo", e1="accepted")
    (found,), defects = read_reviews([folder.path], pictures=False)
    assert (found.subject, [e.verdict for e in found.decided.events], defects) == ("ann", ["accepted"], ())
