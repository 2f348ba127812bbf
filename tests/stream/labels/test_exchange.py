"""Labels go to ELAN, BORIS and tables and come back equal; foreign files are read, damaged ones told in a line."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pympi import Eaf

from stream.labels.eaf import eaf_bytes, read_eaf
from stream.labels.exchange import labelled, read_coders, read_labels, take_in, write_labels
from stream.labels.label_log import Fields, LabelError, LabelledEvent, LabelLog
from stream.labels.label_tables import boris_text, csv_text, read_boris, read_csv
from stream.labels.media_clock import MediaClock
from stream.labels.reviewable import Reviewable, find_reviewables
from stream.session.source_recorder import HEADER
from stream.sinks.base import SinkError
from tests.helpers.clips import face_frames, write_video
from tests.helpers.eaf_rules import eaf_faults
from tests.helpers.report_sessions import line, made

_CLOCK = MediaClock()
_WORDS = st.one_of(
    st.sampled_from(
        ["negative", "positive", "surprise", "AU4", "apex", "note", "rejected", "event", "emotion", "rejected AU4", "rejected apex", "rejected x", "a@b", "x#2", " =1",
         "=cmd", "'=1", "-1", "@x", "e1|x", "x|y", "ä ö", "two words", "unlabelled", "class"]
    ),
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=20),
)  # fmt: skip
_NOTES = st.one_of(
    st.just(""), _WORDS, st.sampled_from(["a\nb", "a\r\nb", 'say "no", then', "a\tb", "''", "\x07\x1b[2J"])
)
_UNITS = st.lists(st.sampled_from(["1", "2", "4", "L12", "R12", "12", "L14", "25"]), max_size=4, unique=True)


@st.composite
def _events(draw: st.DrawFn) -> list[LabelledEvent]:
    """Overlapping, touching and far apart, of several faces; times with all their digits."""
    found: list[LabelledEvent] = []
    for number in range(1, draw(st.integers(0, 8)) + 1):
        onset_s = draw(st.one_of(st.floats(0, 20), st.integers(0, 20).map(lambda n: n / 10)))
        length_s = draw(st.one_of(st.floats(0.002, 2), st.sampled_from([0.1, 0.3, 0.5])))
        share = draw(st.sampled_from([0.0, 0.31, 0.5, 1.0]))
        offset_s = onset_s + length_s
        found.append(
            LabelledEvent(
                event=f"{draw(st.sampled_from('ea'))}{number}",
                track=draw(st.integers(0, 3)),
                label=draw(_WORDS),
                onset_s=onset_s,
                apex_s=min(onset_s + share * length_s, offset_s),
                offset_s=offset_s,
                action_units=tuple(draw(_UNITS)),
                verdict=draw(st.sampled_from(["accepted", "rejected"])),
                note=draw(_NOTES),
            )
        )
    return found


def _in_order(events: Sequence[LabelledEvent]) -> list[LabelledEvent]:
    return sorted(events, key=lambda event: event.event)


def _back(path: Path, clock: MediaClock = _CLOCK) -> list[LabelledEvent]:
    return _in_order([event for events in read_coders(path, clock).values() for event in events])


@settings(max_examples=150, deadline=None)
@given(events=_events())
def test_eaf_comes_back_equal_and_is_what_elan_takes(events: list[LabelledEvent], tmp_path_factory) -> None:
    path = tmp_path_factory.mktemp("eaf") / "out.eaf"
    data = eaf_bytes("anna", events, _CLOCK, path)
    path.write_bytes(data)
    assert eaf_faults(data) == []
    assert _back(path) == _in_order(events)


@settings(max_examples=100, deadline=None)
@given(events=_events())
def test_without_the_header_eaf_comes_back_to_the_millisecond(events: list[LabelledEvent], tmp_path_factory) -> None:
    """What another tool does with the properties is its own affair: the annotations alone say everything."""
    path = tmp_path_factory.mktemp("eaf") / "out.eaf"
    path.write_bytes(eaf_bytes("anna", events, _CLOCK, path).replace(b"microlive:events", b"other"))
    found = _back(path)
    assert [event.event for event in found] == [event.event for event in _in_order(events)]
    for mine, theirs in zip(_in_order(events), found, strict=True):
        assert (theirs.track, set(theirs.action_units), theirs.verdict) == (
            mine.track,
            set(mine.action_units),
            mine.verdict,
        )
        for part in ("onset_s", "apex_s", "offset_s"):
            assert abs(getattr(mine, part) - getattr(theirs, part)) <= 0.001


@settings(max_examples=150, deadline=None)
@given(events=_events())
def test_csv_comes_back_equal(events: list[LabelledEvent], tmp_path_factory) -> None:
    path = tmp_path_factory.mktemp("csv") / "out.csv"
    path.write_bytes(csv_text("anna", events).encode())
    assert _in_order(read_csv(path).get("anna", ())) == _in_order(events)
    assert not any(cell.lstrip().startswith(("=", "@")) for cell in path.read_text().replace('"', "").split(","))


@settings(max_examples=150, deadline=None)
@given(events=_events())
def test_boris_comes_back_to_the_microsecond(events: list[LabelledEvent], tmp_path_factory) -> None:
    path = tmp_path_factory.mktemp("tsv") / "out.tsv"
    path.write_bytes(boris_text("talk", "anna", events, _CLOCK).encode())
    found = _in_order(read_boris(path, _CLOCK).get("anna", ()))
    for mine, theirs in zip(_in_order(events), found, strict=True):
        for part in ("onset_s", "apex_s", "offset_s"):
            assert abs(getattr(mine, part) - getattr(theirs, part)) <= 1e-6
        times = {"onset_s": mine.onset_s, "apex_s": mine.apex_s, "offset_s": mine.offset_s}
        units = tuple(sorted(mine.action_units)), tuple(sorted(theirs.action_units))
        assert replace(theirs, **times, action_units=units[1]) == replace(mine, action_units=units[0])


def _eaf(path: Path, *tiers: str, slots: Sequence[int | None] = (100, 400, 200, 1000, 1500)) -> Path:
    """As ELAN writes it, with these tiers; slots are called ts1, ts2, …"""
    times = "".join(
        f'<TIME_SLOT TIME_SLOT_ID="ts{n}"' + ("/>" if ms is None else f' TIME_VALUE="{ms}"/>')
        for n, ms in enumerate(slots, start=1)
    )
    path.write_text(
        '<?xml version="1.0" encoding="UTF-8"?>\n<ANNOTATION_DOCUMENT AUTHOR="" DATE="2026-01-01T00:00:00+00:00" FORMAT="3.0"'
        ' VERSION="3.0" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:noNamespaceSchemaLocation='
        '"http://www.mpi.nl/tools/elan/EAFv3.0.xsd"><HEADER MEDIA_FILE="" TIME_UNITS="milliseconds"/>'
        f'<TIME_ORDER>{times}</TIME_ORDER>{"".join(tiers)}<LINGUISTIC_TYPE LINGUISTIC_TYPE_ID="default-lt"/></ANNOTATION_DOCUMENT>',
        encoding="utf-8",
    )
    return path


def _tier(name: str, *annotations: tuple[int, int, str], more: str = "") -> str:
    inside = "".join(
        f'<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a{name}{n}" TIME_SLOT_REF1="ts{start}" TIME_SLOT_REF2="ts{end}">'
        f"<ANNOTATION_VALUE>{value}</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>"
        for n, (start, end, value) in enumerate(annotations)
    )
    return f'<TIER TIER_ID="{name}" LINGUISTIC_TYPE_REF="default-lt"{more}>{inside}</TIER>'


def test_a_file_of_elan_with_the_customary_tiers(tmp_path: Path) -> None:
    path = _eaf(
        tmp_path / "study.eaf",
        _tier("emotion@rater1", (1, 2, "happiness"), (4, 5, "")),
        _tier("AU12L@rater1", (1, 2, "C")),
        _tier("AU06@rater1", (1, 2, "")),
        _tier("apex@rater1", (3, 2, "")),
        _tier("comments@rater1", (1, 2, "a smile")),
        _tier("disgust", (1, 2, ""), more=' ANNOTATOR="rater2" PARTICIPANT="face 2"'),
        _tier("AU4@rater3", (1, 2, "x")),
        _tier("AU7@rater3", (3, 2, "x"), (4, 5, "x")),
        _tier("empty@rater4"),
    )
    found = read_coders(path, _CLOCK)
    assert found == {
        "rater1": (
            LabelledEvent("a1", 0, "happiness", 0.1, 0.2, 0.4, ("6", "L12"), "accepted", "a smile"),
            LabelledEvent("a2", 0, "unlabelled", 1.0, 1.25, 1.5, (), "accepted"),
        ),
        "rater2": (LabelledEvent("a1", 2, "disgust", 0.1, 0.25, 0.4, (), "accepted"),),
        "rater3": (
            LabelledEvent("a1", 0, "unlabelled", 0.1, 0.25, 0.4, ("4", "7"), "accepted"),
            LabelledEvent("a2", 0, "unlabelled", 1.0, 1.25, 1.5, ("7",), "accepted"),
        ),
    }
    assert read_labels(path, _CLOCK, "rater2") == found["rater2"]
    for coder in (None, "rater9"):
        with pytest.raises(LabelError, match="labels of rater1, rater2, rater3"):
            read_labels(path, _CLOCK, coder)


def test_annotations_that_refer_to_others_have_their_times(tmp_path: Path) -> None:
    child = (
        '<TIER TIER_ID="emotion" LINGUISTIC_TYPE_REF="default-lt" PARENT_REF="note"><ANNOTATION><REF_ANNOTATION '
        'ANNOTATION_ID="r1" ANNOTATION_REF="{}"><ANNOTATION_VALUE>fear</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION></TIER>'
    )
    path = _eaf(tmp_path / "ref.eaf", _tier("note", (1, 2, "seen")), child.format("anote0"))
    assert read_coders(path, _CLOCK)["ref"] == (LabelledEvent("a1", 0, "fear", 0.1, 0.25, 0.4, (), "accepted", "seen"),)
    for missing in ("r1", "nothing"):
        with pytest.raises(LabelError, match="it names what is not there"):
            read_coders(_eaf(tmp_path / "ring.eaf", child.format(missing)), _CLOCK)


def test_what_was_changed_in_elan_is_believed(tmp_path: Path) -> None:
    """The exact times of the header are those of annotations that are as they were."""
    path = tmp_path / "out.eaf"
    events = [LabelledEvent("e1", 1, "negative", 0.12345, 0.2, 0.54321, ("4",), "accepted"),
              LabelledEvent("e2", 1, "negative", 1.12345, 1.2, 1.54321, ("4",), "accepted")]  # fmt: skip
    path.write_bytes(eaf_bytes("anna", events, _CLOCK, path))
    eaf = Eaf(path)
    first_annotation = next(iter(eaf.tiers["negative@anna"][0].values()))
    eaf.timeslots[first_annotation[1]] += 100
    eaf.to_file(path)
    first, second = read_eaf(path, _CLOCK)["anna"]
    assert first == replace(events[0], onset_s=0.123, offset_s=0.643) and second == events[1]


def test_what_was_rejected_is_in_tiers_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "out.eaf"
    one = LabelledEvent("e1", 1, "negative", 1.0, 1.1, 1.3, ("4",), "accepted")
    other = LabelledEvent("e2", 1, "negative", 2.0, 2.1, 2.3, ("4", "L12"), "rejected")
    path.write_bytes(eaf_bytes("anna", [one, other], _CLOCK, path))
    tiers = {name: Eaf(path).get_annotation_data_for_tier(name) for name in Eaf(path).get_tier_names()}
    assert {name: [span[:2] for span in spans] for name, spans in tiers.items() if not name.startswith("event")} == {
        "negative@anna": [(1000, 1300)],
        "AU4@anna": [(1000, 1300)],
        "apex@anna": [(1100, 1133)],
        "rejected@anna": [(2000, 2300)],
        "rejected AU4@anna": [(2000, 2300)],
        "rejected AU12L@anna": [(2000, 2300)],
        "rejected apex@anna": [(2100, 2133)],
    }


@pytest.mark.parametrize("kept", ["", "[]", "{}", "nothing", "[1]", '[{"event": "e1", "action_units": ["LR"]}]'])
def test_a_header_that_somebody_changed_does_not_matter(tmp_path: Path, kept: str) -> None:
    path = tmp_path / "out.eaf"
    event = LabelledEvent("e1", 1, "negative", 1.0004, 1.1, 1.3, ("4",), "accepted")
    text = eaf_bytes("anna", [event], _CLOCK, path).decode()
    path.write_text(re.sub(r'(NAME="microlive:events">)[^<]*', lambda found: found[1] + kept, text))
    assert read_labels(path, _CLOCK) == (replace(event, onset_s=1.0),)


_BOMB = (
    '<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "ha">'
    + "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefgh", "bcdefghi", strict=True))
    + "]><ANNOTATION_DOCUMENT>&i;</ANNOTATION_DOCUMENT>"
)


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("a.eaf", "", "no XML"),
        ("a.eaf", "hello", "no XML"),
        ("a.eaf", "<a><b></a>", "no XML"),
        ("a.eaf", "<html/>", "expected ANNOTATION_DOCUMENT, found html"),
        ("a.eaf", "<ANNOTATION_DOCUMENT/>", "does not say which schema"),
        ("a.eaf", _BOMB, "a DTD"),
        ("a.eaf", '<!DOCTYPE x SYSTEM "file:///etc/passwd"><ANNOTATION_DOCUMENT/>', "a DTD"),
        ("a.tsv", "a\tb\n1\t2\n", "no row with the columns Behavior"),
        ("a.tsv", "Behavior\tStart (s)\tStop (s)\nhappy\t1\tx\n", "row 2: expected seconds as Stop"),
        ("a.tsv", "Behavior\tStart (s)\tStop (s)\nhappy\t1\t1\n", "row 2: happy has no length"),
        ("a.tsv", "Behavior\tBehavior type\tTime\nhappy\tSTART\t1\n", "row 2: what starts there does not stop"),
        ("a.tsv", "Behavior\tBehavior type\tTime\nhappy\tSTOP\t1\n", "row 2: happy stops and has not started"),
        ("a.csv", "onset_s,offset_s\n1,2\n", "no row with the columns label"),
        ("a.csv", "label,onset_s,offset_s\nx,1,nan\n", "row 2: expected seconds as offset_s, found nan"),
        ("a.csv", "label,onset_s,offset_s\nx,2,1\n", "row 2: expected onset_s <= apex_s"),
        ("a.csv", "label,onset_s,offset_s\n,1,2\n", "row 2: expected a label"),
        ("a.csv", "label,onset_s,offset_s\nx,1,2,3\n", "row 2: expected 3 cells, found 4"),
        ("a.csv", "label,onset_s,offset_s,verdict\nx,1,2,maybe\n", "row 2: expected accepted or rejected"),
        ("a.csv", "label,onset_s,offset_s,action_units\nx,1,2,smile\n", "row 2: expected action units as 4"),
        ("a.csv", 'label,onset_s,offset_s\n"' + "x" * 200_000 + '",1,2\n', "field larger than"),
        ("a.txt", "", "the ending says the format"),
    ],
)
def test_what_is_no_file_of_labels_is_told_in_a_line(tmp_path: Path, name: str, text: str, why: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(LabelError) as told:
        read_coders(path, _CLOCK)
    assert why in str(told.value) and "\n" not in str(told.value) and str(path.name) in str(told.value)


@pytest.mark.parametrize("name", ["a.eaf", "a.tsv", "a.csv"])
def test_files_that_are_not_there_and_are_no_text(tmp_path: Path, name: str) -> None:
    with pytest.raises(LabelError, match="cannot be read: No such file"):
        read_coders(tmp_path / name, _CLOCK)
    (tmp_path / name).write_bytes(b"\xff\xfe\x00\x01label")
    with pytest.raises(LabelError, match="is no "):
        read_coders(tmp_path / name, _CLOCK)
    (tmp_path / name).unlink()
    (tmp_path / name).mkdir()
    with pytest.raises(LabelError, match="it is a folder"):
        read_coders(tmp_path / name, _CLOCK)


@pytest.mark.parametrize(
    ("slots", "why"), [((None, 400, 200, 1, 2), "no times of its own"), ((400, 400, 1, 1, 2), "no length")]
)
def test_annotations_without_times_are_told(tmp_path: Path, slots: tuple, why: str) -> None:
    path = _eaf(tmp_path / "a.eaf", _tier("AU4", (1, 2, "")), slots=slots)
    with pytest.raises(LabelError, match=f"tier AU4: annotation .* {why}"):
        read_coders(path, _CLOCK)


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=400), ending=st.sampled_from([".eaf", ".tsv", ".csv"]), seed=st.integers(0, 10_000))
def test_damaged_files_are_told_or_read_and_nothing_else(data: bytes, ending: str, seed: int, tmp_path_factory) -> None:
    """Bytes of any kind in the place of some of a good file's."""
    path = tmp_path_factory.mktemp("damaged") / f"a{ending}"
    event = LabelledEvent("e1", 1, "negative", 1.0, 1.1, 1.3, ("4", "L12"), "accepted", "=note")
    good = {
        ".eaf": lambda: eaf_bytes("anna", [event], _CLOCK, path),
        ".tsv": lambda: boris_text("x", "anna", [event], _CLOCK).encode(),
        ".csv": lambda: csv_text("anna", [event]).encode(),
    }[ending]()
    place = seed % len(good)
    path.write_bytes(good[:place] + data + good[place + len(data) // 2 :])
    try:
        read_coders(path, _CLOCK)
    except LabelError as error:
        assert "\n" not in str(error)


def test_boris_tabular_events_are_paired(tmp_path: Path) -> None:
    path = tmp_path / "tabular.tsv"
    path.write_text(
        "Observation id\ttalk\n\nObservation id\tSubject\tBehavior\tBehavior type\tTime\tComment\n"
        "talk\tP1\thappy\tSTART\t1.0\tseen\ntalk\tP1\tAU12\tSTART\t1.1\t\ntalk\tP1\tapex\tPOINT\t1.2\t\n"
        "talk\tP1\thappy\tSTOP\t1.5\tseen\ntalk\tP1\tAU12\tSTOP\t1.5\t\n"
    )
    assert read_coders(path, _CLOCK)["tabular"] == (
        LabelledEvent("a1", 0, "happy", 1.0, 1.2, 1.5, ("12",), "accepted", "seen"),
    )


def _session(folder: Path) -> Reviewable:
    events = [line(n, 2.0 * n, action_units=["4"]) for n in range(1, 5)]
    events[3]["rejected"] = "blink"
    made(folder / "s", [], events)
    return find_reviewables([folder / "s"])[0]


def _label(reviewable: Reviewable, coder: str, *actions: tuple[str, Fields]) -> None:
    with LabelLog(reviewable.labels_of(coder), coder) as log:
        for name, fields in actions:
            log.add(name, fields)


@pytest.mark.parametrize("ending", [".eaf", ".tsv", ".csv"])
def test_labels_go_out_and_come_in_as_another_coders(tmp_path: Path, ending: str) -> None:
    reviewable = _session(tmp_path)
    added: Fields = {
        "label": "surprise",
        "onset_s": 20.25,
        "apex_s": 20.5,
        "offset_s": 20.75,
        "note": '=missed, "seen"',
    }
    _label(
        reviewable,
        "anna",
        ("e1", {"verdict": "accepted", "onset_s": 1.5, "action_units": ["1", "L2"]}),
        ("e2", {"verdict": "rejected", "note": "a blink"}),
        ("e3", {"label": "negative"}),
        ("a1", added),
    )
    path = tmp_path / f"anna{ending}"
    write_labels(reviewable, "anna", path)
    assert take_in(reviewable, path, "ben") == 3
    mine, theirs = (
        {event.event: event for event in labelled(reviewable, coder) if event.verdict is not None}
        for coder in ("anna", "ben")
    )
    assert mine == theirs and set(mine) == {"e1", "e2", "a1"}
    with pytest.raises(LabelError, match="ben has labels there already"):
        take_in(reviewable, path, "ben")
    assert {event.event: event for event in labelled(reviewable, "ben") if event.verdict is not None} == theirs


def test_the_programs_events_go_out_too(tmp_path: Path) -> None:
    reviewable = _session(tmp_path)
    write_labels(reviewable, "program", tmp_path / "program.eaf")
    found = read_labels(tmp_path / "program.eaf", _CLOCK, "program")
    assert found == labelled(reviewable, "program") and [event.verdict for event in found].count("rejected") == 1


def test_names_of_another_runs_events_are_not_taken_for_ours(tmp_path: Path) -> None:
    reviewable = _session(tmp_path)
    (tmp_path / "other.csv").write_text("event,label,onset_s,offset_s\ne1,negative,100,100.5\ne2,negative,3.9,4.1\n")
    take_in(reviewable, tmp_path / "other.csv", "ben")
    decided = {event.event: event.onset_s for event in labelled(reviewable, "ben") if event.verdict is not None}
    assert decided == {"e2": 3.9, "a1": 100.0}


def test_what_cannot_be_kept_leaves_no_labels(tmp_path: Path) -> None:
    reviewable = _session(tmp_path)
    (tmp_path / "long.csv").write_text(f"label,onset_s,offset_s,note\nx,1,2,{'n' * 3000}\n")
    with pytest.raises(LabelError, match=r"the event at 1\.000 s cannot be kept: note"):
        take_in(reviewable, tmp_path / "long.csv", "ben")
    assert [name for name, _ in reviewable.coders()] == []


def test_who_has_not_labelled_and_where_nothing_can_be_written(tmp_path: Path) -> None:
    reviewable = _session(tmp_path)
    _label(reviewable, "anna", ("e1", {"verdict": "accepted"}))
    with pytest.raises(LabelError, match="ben has not labelled s: anna has"):
        write_labels(reviewable, "ben", tmp_path / "ben.eaf")
    with pytest.raises(SinkError, match="cannot write the labels"):
        write_labels(reviewable, "anna", tmp_path / "missing" / "anna.eaf")
    with pytest.raises(LabelError, match="what the program itself is called"):
        LabelLog(reviewable.labels_of("program"), "program")


def test_the_times_of_a_recording_are_those_at_which_it_shows_its_pictures(tmp_path: Path) -> None:
    """A camera that gave nothing for two seconds: its recording goes on without a gap."""
    reviewable = _session(tmp_path)
    session = reviewable.session
    assert session is not None
    session.recording.mkdir()
    write_video(session.part(1), face_frames(60), fps=30.0)
    times_s = [10 + n / 30 + (2.0 if n >= 30 else 0.0) for n in range(60)]
    rows = "".join(f"{n},{time_s!r},0,1,64,64\n" for n, time_s in enumerate(times_s))
    session.times.write_text(f"{HEADER}\n{rows}12,torn")
    clock = MediaClock.of(reviewable)
    assert clock.medium == session.part(1) and clock.fps == pytest.approx(30)
    for frame in (0, 15, 29, 30, 59):
        assert clock.to_medium(times_s[frame]) == pytest.approx(frame / 30)
        assert clock.to_source(frame / 30) == pytest.approx(times_s[frame])
    assert clock.to_medium(9.5) == pytest.approx(-0.5) and clock.to_source(3.0) == pytest.approx(
        times_s[59] + 3.0 - 59 / 30
    )
    event = LabelledEvent("a1", 1, "negative", 12.2, 13.2, 13.4, (), "accepted")
    _label(reviewable, "anna", ("a1", {"label": "negative", "onset_s": 12.2, "apex_s": 13.2, "offset_s": 13.4}))
    path = tmp_path / "anna.eaf"
    write_labels(reviewable, "anna", path)
    assert read_labels(path, clock) == (event,)
    eaf = Eaf(path)
    assert eaf.media_descriptors[0]["MEDIA_URL"] == session.part(1).resolve().as_uri()
    assert eaf.media_descriptors[0]["RELATIVE_MEDIA_URL"] == "./s/source/0001.mkv"
    begin_ms, end_ms, _ = eaf.get_annotation_data_for_tier("apex@anna")[0]
    assert abs(begin_ms - 1000 * clock.to_medium(13.2)) <= 1 and end_ms - begin_ms == 33
