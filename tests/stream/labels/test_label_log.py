"""Labels are there when they were acknowledged, whatever happened afterwards; undo, other versions, two at once."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.labels.label_log import (
    Fields,
    LabelError,
    LabelFile,
    LabelledEvent,
    LabelLog,
    changed,
    check_fields,
    label_paths,
    read_label_file,
)
from stream.sinks.base import SinkError

_EVENT = LabelledEvent("e1", 1, "surprise", 1.0, 1.1, 1.3)
_FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "verdict": st.sampled_from(["accepted", "rejected", None]),
        "label": st.sampled_from(["negative", "positive"]),
        "note": st.text(max_size=30),
        "track": st.integers(0, 5),
        "action_units": st.lists(st.sampled_from(["4", "L12", "R14"]), max_size=3),
    },
)


def test_what_was_set_is_there_again(tmp_path: Path) -> None:
    path = tmp_path / "labels-anna.jsonl"
    with LabelLog(path, "anna") as log:
        log.add("e1", {"verdict": "accepted", "offset_s": 1.4})
        log.add("a1", {"label": "negative", "onset_s": 5.0, "apex_s": 5.1, "offset_s": 5.2})
    events = read_label_file(path).events([_EVENT])
    assert [(event.event, event.verdict, event.offset_s) for event in events] == [
        ("e1", "accepted", 1.4),
        ("a1", "accepted", 5.2),
    ]


def test_undo_is_a_line_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "labels-anna.jsonl"
    with LabelLog(path, "anna") as log:
        kept, taken = log.add("e1", {"label": "positive"}), log.add("e1", {"label": "negative"})
        log.undo(taken.n)
        with pytest.raises(LabelError, match="cannot be taken back"):
            log.undo(taken.n)
    found = read_label_file(path)
    assert found.standing() == (kept,) and len(found.actions) == 3
    assert found.events([_EVENT])[0].label == "positive"


def test_a_line_that_was_cut_off_is_taken_off(tmp_path: Path) -> None:
    path = tmp_path / "labels-anna.jsonl"
    with LabelLog(path, "anna") as log:
        log.add("e1", {"verdict": "rejected"})
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"n": 2, "at": "2026')
    assert len(read_label_file(path).actions) == 1
    with LabelLog(path, "anna") as log:
        assert log.add("e1", {"note": "blink"}).n == 2
    assert path.read_bytes().startswith(whole) and len(read_label_file(path).actions) == 2


@pytest.mark.parametrize("kept_bytes", [0, 1, 20, -1])
def test_a_cut_head_is_written_anew(tmp_path: Path, kept_bytes: int) -> None:
    path = tmp_path / "labels-anna.jsonl"
    with LabelLog(path, "anna"):
        pass
    path.write_bytes(path.read_bytes()[:kept_bytes])
    assert list(label_paths(tmp_path)) == []
    with LabelLog(path, "anna") as log:
        assert list(label_paths(tmp_path)) == []  # opened, but nothing said
        log.add("e1", {"verdict": "accepted"})
    assert read_label_file(path).coder == "anna" and list(label_paths(tmp_path)) == [("anna", path)]


def test_what_is_no_labels_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "labels-anna.jsonl"
    path.write_bytes(b"mine")
    with pytest.raises(LabelError, match="no labels file"):
        LabelLog(path, "anna")
    assert path.read_bytes() == b"mine"


def test_one_process_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "labels-anna.jsonl"
    with LabelLog(path, "anna"), pytest.raises(SinkError, match="another run is writing it"):
        LabelLog(path, "anna")
    with LabelLog(path, "anna"):
        pass


@pytest.mark.parametrize("version", [0, 2, "new", None])
def test_another_schema_version_is_refused_and_left_alone(tmp_path: Path, version: object) -> None:
    path = tmp_path / "labels-anna.jsonl"
    path.write_text(json.dumps({"schema_version": version, "coder": "anna"}) + "\n")
    before = path.read_bytes()
    with pytest.raises(LabelError, match="schema version"):
        LabelLog(path, "anna")
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "line",
    [
        '{"n": 1, "at": "x"}',
        '{"n": 1, "at": "x", "event": "e1"}',
        '{"n": 1, "at": "x", "event": "../x", "set": {}}',
        '{"n": 1, "at": "x", "event": "e1", "set": {"onset_s": 1e400}}',
        '{"n": 1, "at": "x", "event": "e1", "set": {"verdict": "maybe"}}',
        '{"n": 1, "at": "x", "event": "e1", "set": {}, "undo": 1}',
        "nothing",
    ],
)
def test_what_is_no_action_is_told_with_its_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "labels-anna.jsonl"
    path.write_text('{"schema_version": 1, "coder": "anna"}\n' + line + "\n")
    with pytest.raises(LabelError, match="line 2 is no action"):
        read_label_file(path)


@pytest.mark.parametrize("name", ["", "..", "a/b", "a b", "-x", "ä", "x" * 41])
def test_a_coder_has_a_name_that_a_file_can_have(tmp_path: Path, name: str) -> None:
    with pytest.raises(LabelError, match="coder"):
        LabelLog(tmp_path / "labels.jsonl", name)
    assert not list(tmp_path.iterdir())


def test_another_coder_does_not_write_into_it(tmp_path: Path) -> None:
    path = tmp_path / "labels-anna.jsonl"
    with LabelLog(path, "anna"):
        pass
    with pytest.raises(LabelError, match="of anna, not of ben"):
        LabelLog(path, "ben")


def test_a_full_disk_is_told_and_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "labels-anna.jsonl"
    with LabelLog(path, "anna") as log:
        log.add("e1", {"verdict": "accepted"})
        before = path.read_bytes()

        def full(descriptor: int) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", full)
            with pytest.raises(SinkError, match="No space left"):
                log.add("e1", {"verdict": "rejected"})
        assert path.read_bytes() == before and len(log.labels.actions) == 1
        assert log.add("e1", {"verdict": "rejected"}).n == 2


@given(steps=st.lists(st.tuples(_FIELDS, st.booleans()), max_size=12))
def test_reading_gives_what_the_actions_make(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[Fields, bool]]
) -> None:
    path = tmp_path_factory.mktemp("log") / "labels-anna.jsonl"
    stack: list[Fields] = []
    with LabelLog(path, "anna") as log:
        for fields, undo in steps:
            standing = log.labels.standing()
            if undo and standing:
                log.undo(standing[-1].n)
                stack.pop()
            else:
                log.add("e1", fields)
                stack.append(fields)
        expected = LabelFile("anna", ()).events([_EVENT])[0]
        for fields in stack:
            expected = changed(expected, "e1", fields)
        assert read_label_file(path) == log.labels
    assert read_label_file(path).events([_EVENT]) == (expected,)


def test_labels_of_another_run_are_refused() -> None:
    with pytest.raises(LabelError, match="of another one"):
        changed(None, "e7", {"label": "negative"})


@pytest.mark.parametrize("fields", [{"onset_s": 1.2}, {"offset_s": 0.5}])
def test_times_stay_in_order(fields: Fields) -> None:
    with pytest.raises(LabelError, match="onset <= apex <= offset"):
        changed(_EVENT, "e1", fields)


@pytest.mark.parametrize("value", [None, [], {"verdict": 1}, {"onset_s": "1"}, {"other": 1}, {"action_units": ["X4"]}])
def test_fields_from_outside_are_checked(value: object) -> None:
    with pytest.raises(LabelError):
        check_fields(value)
