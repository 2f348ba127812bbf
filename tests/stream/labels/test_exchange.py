"""Labels go to ELAN, BORIS and tables and come back equal; foreign files are read, damaged ones told in a line."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pympi import Eaf

from stream.labels.eaf import eaf_bytes, read_eaf
from stream.labels.exchange import read_coders, read_labels, write_labels
from stream.labels.label_log import Fields, LabelError, LabelledEvent, LabelLog
from stream.labels.label_tables import boris_text, csv_text, read_boris, read_csv
from stream.labels.media_clock import MediaClock
from stream.labels.reviewable import Reviewable, find_reviewables
from stream.sinks.base import SinkError
from tests.helpers.eaf_rules import eaf_faults
from tests.helpers.report_sessions import line, made

_CLOCK = MediaClock()
_WORDS = st.one_of(
    st.sampled_from(
        ["negative", "positive", "surprise", "AU4", "apex", "note", "rejected", "event", "emotion", "a@b", "x#2", " =1",
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
