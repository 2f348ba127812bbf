"""What is said of a moment: an event while its mark is on the strip, else what is the matter or what is waited for."""

from dataclasses import replace
from typing import get_args

import pytest

from model.types import Rejection, Status
from stream.screen.statement import (
    REJECTION_WORDS,
    STATUS_WORDS,
    Statement,
    Waits,
    event_details,
    event_sure,
    statement,
)
from tests.helpers.happenings import event, moment, seen, watched
from tests.helpers.results import prediction

LABELS_ONLY = Waits(calibration_s=None)


def words(said: Statement) -> list[str]:
    return [" ".join(line.variants[0]) for line in said.lines]


def test_there_are_words_for_every_status_and_every_reason():
    assert set(STATUS_WORDS) == set(get_args(Status))
    assert set(REJECTION_WORDS) == set(get_args(Rejection))
    assert len(set(REJECTION_WORDS.values())) == len(REJECTION_WORDS)


def test_an_event_is_the_headline_as_long_as_its_mark_is_on_the_strip():
    happened = (event(12.4, lasts_s=0.21), event(11.2, rejected="blink"), event(3.0, "positive", 1.2, "macro"))
    said = statement(moment(14.0, seen()), watched(*happened, until_s=14.0).recent(), Waits())
    assert (said.headline, said.beside, said.tone, said.label) == ("surprise", "micro", "event", "surprise")
    assert words(said) == [
        "0.21 s at 12.4 s · class 87 % · 1.3 px",
        "smallest visible 0.6 px",
        "1 micro · 1 macro · 1 rejected",
        "rejected: blink at 11.2 s",
        "window: neutral 91 %",
    ]
    later = statement(moment(23.0, seen()), watched(*happened, until_s=23.0).recent(), Waits())
    assert (later.headline, later.tone, later.label) == ("watching", "calm", None)
    assert words(later)[:2] == ["smallest visible 0.6 px", "micro surprise 0.21 s at 12.4 s · class 87 % · 1.3 px"]


def test_a_class_of_a_window_is_never_the_headline():
    answer = prediction(0.01, 0.01, 0.01, 0.97)
    said = statement(moment(4.0, seen(answer=answer)), watched(until_s=4.0).recent(), Waits())
    assert (said.headline, said.label) == ("watching", None)
    assert words(said) == ["smallest visible 0.6 px", "no event yet", "window: surprise 97 %"]


def test_an_unsure_event_has_a_question_mark():
    recent = watched(event(3.0, confidence=0.49)).recent()
    assert statement(moment(12.0, seen()), recent, Waits()).headline == "surprise?"
    recent = watched(event(3.0, confidence=0.5)).recent()
    assert statement(moment(12.0, seen()), recent, Waits()).headline == "surprise"


@pytest.mark.parametrize("status", [one for one in get_args(Status) if one not in ("ok", "filling")])
def test_what_is_the_matter_comes_before_any_event_and_says_what_to_do(status):
    recent = watched(event(9.0)).recent()
    face = None if status in ("no_face", "tracking_lost") else seen(status=status, rate_hz=8.2)
    now = moment(12.0, absence=status) if face is None else moment(12.0, face)
    said = statement(now, recent, Waits())
    what, remedy = STATUS_WORDS[status]
    assert (said.headline, said.tone, said.progress) == (what, "warning", None)
    assert remedy and words(said)[:2] == [remedy, "micro surprise 0.20 s at 9.0 s · class 87 % · 1.3 px"]
    assert said.beside == ("8 fps" if status == "insufficient_rate" else "")


@pytest.mark.parametrize("passed_s, left", [(0.0, "3 s"), (1.0, "2 s"), (1.1, "2 s"), (2.0, "1 s"), (3.5, "1 s")])
def test_a_face_calibrates_for_three_seconds(passed_s, left):
    history = watched(until_s=0.0, track=7)
    for now_s in (20.0, 20.0 + passed_s):
        history.record(moment(now_s, seen(calibrated=False)))
    said = statement(moment(20.0 + passed_s, seen(calibrated=False)), history.recent(), Waits())
    assert said.headline == "calibrating" and words(said)[0] == f"rest for {left}"
    assert said.progress == pytest.approx(min(passed_s / 3.0, 1.0))


def test_a_window_fills():
    said = statement(moment(1.0, seen(status="filling", filled=12)), watched(until_s=1.0).recent(), Waits())
    assert (said.headline, said.tone, said.progress) == ("filling 12/30", "calm", 0.4)


def test_several_faces_are_told_apart():
    happened = (event(9.0, track=2), event(9.5, rejected="speech", track=1))
    both = moment(12.0, seen(1), seen(2))
    said = statement(both, watched(*happened).recent(), Waits())
    assert said.beside == "face 2 micro"
    assert words(said)[1] == "face 1 smallest visible 0.6 px"
    assert words(said)[3:] == ["rejected: face 1 speech at 9.5 s", "face 1 window: neutral 91 %"]
    # And an event of somebody who is gone is not taken for one of who is there.
    alone = statement(moment(12.0, seen(1)), watched(*happened).recent(), Waits())
    assert alone.beside == "face 2 micro"
    assert words(alone)[3:] == ["rejected: speech at 9.5 s", "window: neutral 91 %"]


def test_without_events_the_window_is_all_there_is():
    answer = prediction(0.1, 0.1, 0.1, 0.7)
    said = statement(moment(1.0, seen(answer=answer, calibrated=False)), watched().recent(), LABELS_ONLY)
    assert (said.headline, said.label, words(said)) == ("surprise", "surprise", ["window: 70 %"])


@pytest.mark.parametrize("probability", [None, 0.834])
@pytest.mark.parametrize("units", [(), ("4", "L12")])
def test_details_get_shorter_and_keep_the_time(probability, units):
    told = event(12.4, lasts_s=0.21, probability=probability)
    details = event_details(replace(told, action_units=units, action_unit_confidences=(0.9,) * len(units)))
    assert [len(text) for text in details] == sorted((len(text) for text in details), reverse=True)
    assert all("at 12.4 s" in text for text in details)


def test_how_likely_an_event_is_comes_before_how_sure_its_class_is():
    likely, unknown = event(12.4, lasts_s=0.21, probability=0.834), event(12.4, lasts_s=0.21, kind="macro")
    assert event_details(likely)[0] == "0.21 s at 12.4 s · 83 % · class 87 % · 1.3 px"
    assert event_details(likely, with_probability=False) == event_details(event(12.4, lasts_s=0.21))
    said = statement(moment(13.5, seen()), watched(likely, until_s=13.5).recent(), Waits())
    assert (said.headline, said.beside, words(said)[0]) == (
        "surprise",
        "micro 83 %",
        "0.21 s at 12.4 s · class 87 % · 1.3 px",
    )
    assert event_details(likely)[-3] == "0.21 s at 12.4 s · 83 %"
    assert (event_sure(likely), event_sure(unknown)) == ("micro 83 %", "class 87 %")


@pytest.mark.parametrize(
    ("smallest_px", "why"), [(None, "moves too much"), (2.4, "moves too much, visible from 2.4 px")]
)
def test_it_says_when_nothing_could_be_seen(smallest_px, why):
    """In the headline, unless an event is there: then in the line below it."""
    unseen = seen(smallest_px=smallest_px, watchable=False)
    said = statement(moment(12.0, unseen), watched(event(1.0), until_s=12.0).recent(), Waits())
    assert (said.headline, said.tone, said.label, words(said)[0]) == ("not watchable", "warning", None, why)
    said = statement(moment(12.0, unseen), watched(event(9.0)).recent(), Waits())
    assert (said.headline, words(said)[1]) == ("surprise", f"not watchable: {why}")
    assert said.lines[1].variants[-1] == ("not watchable",)
    both = statement(moment(12.0, unseen, seen(2)), watched().recent(), Waits())
    assert both.headline == "face 1 not watchable"


def test_nobody_is_not_called_unwatchable():
    said = statement(moment(12.0), watched().recent(), Waits())
    assert said.headline == "no face" and not any("watchable" in text or "visible" in text for text in words(said))
