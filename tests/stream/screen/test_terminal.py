"""The run in the terminal: the live panel and the summary."""

import io
from collections import Counter

import pytest
from hypothesis import given, settings
from rich.console import Console

from model.contract import ActionUnits
from model.types import FrameResult, Prediction
from stream.history import LiveHistory
from stream.screen.summary import RunSummary
from stream.screen.terminal import Panel
from stream.sight import span_words
from tests.helpers.happenings import event, moment, seen, watched
from tests.helpers.results import CLASSES, HEALTH, face, prediction, result, results

HAPPENED = watched(
    event(5.0, "positive", 1.2, "macro"),
    event(8.2, "negative", 0.3, probability=0.83),
    event(6.0, rejected="blink"),
    event(7.0, rejected="blink"),
    event(10.1, rejected="speech"),
)


@settings(deadline=None)
@given(run=results())
def test_the_summary_counts(run):
    summary = RunSummary(CLASSES)
    for one in run:
        summary.add(one)
    told = summary.as_dict()
    answered = [one for one in run if one.prediction]
    assert told["frames"] == len(run)
    assert told["frames_with_face"] == sum(one.face is not None for one in run)
    assert told["answers"] == len(answered)
    labels = Counter(one.prediction.label for one in answered)
    assert told["labels"] == {name: labels[name] for name in CLASSES}
    assert told["statuses"] == Counter(one.status for one in run)
    if answered:
        assert told["times"]["latency"]["count"] == len(answered)


def test_the_summary_times_every_stage():
    summary = RunSummary(CLASSES)
    for index in range(100):
        summary.add(result(index, index / 30, align=float(index), classify=1.0))
    told = summary.as_dict()["times"]
    assert list(told) == ["align", "classify"]
    assert told["align"]["p50_ms"] == pytest.approx(49.5)
    assert told["align"]["p95_ms"] == pytest.approx(94.05)
    assert told["classify"]["p99_ms"] == 1.0


def console(terminal: bool) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=100, color_system=None, legacy_windows=False)


def written(screen: Console) -> str:
    assert isinstance(screen.file, io.StringIO)
    return screen.file.getvalue()


ANSWER = prediction(0.05, 0.1, 0.15, 0.7)


def test_a_pipe_gets_nothing():
    screen = console(terminal=False)
    with Panel(screen, CLASSES) as panel:
        for index in range(30):
            panel.update(result(index, index / 30, "ok", answer=ANSWER, at=face()), HAPPENED, HEALTH)
    assert written(screen) == ""


def test_the_summary_as_a_table():
    screen, summary = console(terminal=False), RunSummary(CLASSES)
    for index in range(30):
        answer = ANSWER if index >= 15 else None
        summary.add(result(index, index / 30, "ok" if answer else "no_face", answer=answer, align=2.0))
    screen.print(summary.table())
    lines = [" ".join(line.split()) for line in written(screen).splitlines()]
    assert "frames 30" in lines
    assert "with a face 15 50 % of the frames" in lines
    assert "with an answer 15 50 % of the frames" in lines
    assert "surprise 15 100 % of the answers" in lines
    assert "align 2.0 2.0 2.0 30" in lines
    assert "latency 12.3 12.3 12.3 15" in lines
    assert "\x1b" not in written(screen)


def test_the_summary_of_events():
    screen, summary = console(terminal=False), RunSummary(CLASSES)
    for index in range(3601):
        events = (event(index / 30 - 1, "positive"),) if index in (900, 1800, 2700) else ()
        events += (event(index / 30 - 1, "surprise", 1.0, "macro"),) if index == 1800 else ()
        events += (event(index / 30 - 1, rejected="blink"),) if index % 600 == 500 else ()
        summary.add(moment(index / 30, seen(calibrated=index > 1800), events=events))
    summary.finish((event(119.5, rejected="tracking_lost"),))
    told = summary.as_dict()
    assert told["frames"] == 3601
    assert told["events"]["found"] == {"micro": {"positive": 3}, "macro": {"surprise": 1}}
    assert told["events"]["rejected"] == {"blink": 6, "tracking_lost": 1}
    assert told["events"]["watched_min"] == pytest.approx(1.0)
    assert told["events_per_min"] == pytest.approx(4.0)
    screen.print(summary.table())
    lines = [" ".join(line.split()) for line in written(screen).splitlines()]
    assert "micro macro a watchable minute" in lines and "positive 3 0 3.0" in lines and "surprise 0 1 1.0" in lines
    assert "all 3 1 4.0" in lines and "watchable 1 min of 2 min" in lines
    assert "smallest visible movement 0.6 px (median)" in lines
    assert told["events"]["whole_min"] == pytest.approx(2.0) and told["events"]["smallest_px"] == pytest.approx(0.6)
    assert "rejected: blink 6" in lines and "rejected: tracking lost 1" in lines


def test_a_run_without_events_does_not_speak_of_them():
    screen, summary = console(terminal=False), RunSummary(CLASSES)
    for index in range(30):
        summary.add(moment(index / 30, seen(calibrated=False)))
    screen.print(summary.table())
    assert "watchable" not in written(screen) and "micro" not in written(screen)
    assert summary.as_dict()["events_per_min"] is None


def test_a_run_in_which_nothing_could_be_seen_says_so():
    screen, summary = console(terminal=False), RunSummary(CLASSES)
    for index in range(301):
        faces = () if index > 150 else (seen(smallest_px=None, watchable=False),)
        summary.add(moment(index / 30, *faces))
    screen.print(summary.table())
    assert "watchable 0 s of 10 s" in [" ".join(line.split()) for line in written(screen).splitlines()]
    told = summary.as_dict()
    assert "smallest visible" not in written(screen) and told["events"]["smallest_px"] is None
    assert told["events_per_min"] is None and told["events"]["watched_min"] == 0.0


@pytest.mark.parametrize(
    ("span_s", "words"),
    [
        (0.0, "0 s"),
        (2.44, "2.4 s"),
        (9.97, "10 s"),
        (59.6, "1 min"),
        (432, "7 min 12 s"),
        (540, "9 min"),
        (3599.6, "1 h"),
        (7500, "2 h 5 min"),
    ],
)
def test_spans_in_words(span_s, words):
    assert span_words(span_s) == words


def test_the_summary_of_nothing():
    screen = console(terminal=False)
    screen.print(RunSummary(CLASSES).table())
    assert "frames" in written(screen) and "%" not in written(screen)


def test_a_terminal_is_redrawn_eight_times_a_second_at_most():
    screen, now_s = console(terminal=True), [0.0]
    drawn = 0
    with Panel(screen, CLASSES, clock_s=lambda: now_s[0]) as panel:
        for index in range(200):
            now_s[0] = index / 100
            before = len(written(screen))
            panel.update(result(index, index / 30, "ok", answer=ANSWER), HAPPENED, HEALTH)
            drawn += len(written(screen)) > before
    assert 14 <= drawn <= 17


def rendered(one: FrameResult, history: LiveHistory = HAPPENED, with_events: bool = True) -> str:
    screen = console(terminal=False)
    screen.print(Panel(screen, CLASSES, with_events=with_events).render(one, history.recent(), HEALTH))
    return written(screen)


def test_the_panel_says_what_there_is():
    text = rendered(moment(12.0, seen(answer=ANSWER)))
    for said in ("camera 0", "CUDA", "streaming", "29.8 fps", "12.4 ms", "frame 327 of 900", "3 late"):
        assert said in text
    for share in ("5 %", "10 %", "15 %", "70 %", "window: surprise 70 %"):
        assert share in text


def test_the_panel_tells_the_last_events_in_words():
    text = rendered(moment(12.0, seen()))
    assert "negative  micro 83 %" in text and "0.30 s at 8.2 s · class 87 % · 1.3 px" in text
    assert "smallest visible 0.6 px" in text
    assert "rejected: speech at 10.1 s" in text and "1 micro · 1 macro · 3 rejected" in text
    assert "earlier   macro positive 1.20 s at 5.0 s · class 87 % · 1.3 px" in text
    assert "rejected  2 blink · 1 speech" in text


def test_the_panel_has_a_line_for_action_units():
    told = Prediction(ANSWER.probabilities, {"L4": 0.7, "R4": 0.6, "L12": 0.2, "R12": 0.5})
    rests = Prediction(ANSWER.probabilities, dict.fromkeys(told.action_units, 0.1))
    heights = set()
    for answer, said in ((told, "AU 4 · R12"), (rests, "AU none"), (None, "")):
        screen = console(terminal=False)
        panel = Panel(screen, CLASSES, units=ActionUnits((4, 12)))
        screen.print(panel.render(moment(12.0, seen(answer=answer)), watched().recent(), HEALTH))
        text = written(screen)
        heights.add(text.count("\n"))
        assert said in text and ("AU" in text) == bool(said)
    assert len(heights) == 1, "nothing jumps"
    assert "AU" not in rendered(moment(12.0, seen(answer=told)))


def test_the_panel_without_events_says_nothing_of_them():
    text = rendered(moment(12.0, seen(answer=ANSWER)), watched(), with_events=False)
    assert "window: 70 %" in text and "micro" not in text and "calibrating" not in text


def test_the_panel_shows_how_a_face_calibrates():
    history = watched(until_s=0.0, track=2)
    for now_s in (20.0, 21.5):
        history.record(moment(now_s, seen(calibrated=False)))
    text = rendered(moment(21.5, seen(calibrated=False)), history)
    lines = [line.strip("│ ") for line in text.splitlines()]
    first = lines.index("calibrating")
    assert lines[first + 1] == "rest for 2 s" and set(lines[first + 2]) <= set("━╸╺ ")
    assert lines[first + 3] == "window: neutral 91 %"


@pytest.mark.parametrize(
    "status, said", [("filling", "filling 12/30"), ("no_face", "no face"), ("insufficient_rate", "too few frames")]
)
def test_the_panel_says_why_there_is_no_label(status, said):
    text = rendered(result(0, 1.0, status, filled=12), LiveHistory(CLASSES))
    assert said in text and "%" not in text


def test_the_panel_keeps_its_height_whatever_it_says():
    moments = [
        moment(12.0, seen()),
        moment(12.0, seen(status="filling")),
        moment(12.0),
        moment(12.0, seen(status="blurred")),
        moment(12.0, seen(watchable=False)),
        moment(12.0, seen(smallest_px=2.4, watchable=False)),
    ]
    assert len({len(rendered(one).splitlines()) for one in moments}) == 1


def test_names_are_not_taken_for_markup():
    names = ("[red]", "[/bold]")
    screen = console(terminal=True)
    with Panel(screen, names) as panel:
        answer = prediction(0.6, 0.4, names=names)
        panel.update(moment(0.0, seen(answer=answer)), LiveHistory(names), HEALTH)
        history = LiveHistory(names)
        history.record(moment(0.0, seen(answer=answer), events=(event(0.0, "[/bold]", rejected=None),)))
        screen.print(panel.render(moment(0.0, seen(answer=answer)), history.recent(), HEALTH))
    assert "[/bold]  micro" in written(screen)
    summary = RunSummary(names)
    summary.add(result(0, 0.0, "ok", answer=prediction(0.6, 0.4, names=names)))
    screen.print(summary.table())
    assert "  [red]" in written(screen)


def test_the_panel_goes_away_after_an_error_too():
    screen = console(terminal=True)
    with pytest.raises(RuntimeError), Panel(screen, CLASSES) as panel:
        panel.update(result(), HAPPENED, HEALTH)
        raise RuntimeError
    assert written(screen).endswith("\x1b[2K")  # the last line is erased
    screen.print("next")
    assert "next" in written(screen)
