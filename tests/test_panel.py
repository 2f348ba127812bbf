"""The run in the terminal: the live panel and the summary."""

import io
from collections import Counter

import pytest
from hypothesis import given
from rich.console import Console

from model.types import FrameResult, Prediction
from stream.sinks import Panel, RunSummary
from tests.results import CLASSES, HEALTH, face, prediction, result, results


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
            panel.update(result(index, index / 30, "ok", answer=ANSWER, at=face()), HEALTH)
    assert written(screen) == ""


def test_the_summary_as_a_table():
    screen, summary = console(terminal=False), RunSummary(CLASSES)
    for index in range(30):
        answer = ANSWER if index >= 15 else None
        summary.add(result(index, index / 30, "ok" if answer else "no_face", answer=answer, align=2.0))
    screen.print(summary.table())
    lines = [" ".join(line.split()) for line in written(screen).splitlines()]
    assert "frames 30" in lines
    assert "with a face 0 0 % of the frames" in lines
    assert "with an answer 15 50 % of the frames" in lines
    assert "surprise 15 100 % of the answers" in lines
    assert "align 2.0 2.0 2.0 30" in lines
    assert "latency 12.3 12.3 12.3 15" in lines
    assert "\x1b" not in written(screen)


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
            panel.update(result(index, index / 30, "ok", answer=ANSWER), HEALTH)
            drawn += len(written(screen)) > before
    assert 14 <= drawn <= 17


def rendered(one: FrameResult) -> str:
    screen = console(terminal=False)
    screen.print(Panel(screen, CLASSES).render(one, HEALTH))
    return written(screen)


def test_the_panel_says_what_there_is():
    text = rendered(result(0, 1.0, "ok", answer=ANSWER))
    for said in ("camera 0", "CUDA", "streaming", "29.8 fps", "12.4 ms", "frame 327 of 900", "3 late", "surprise  70%"):
        assert said in text
    for share in ("5%", "10%", "15%", "70%"):
        assert share in text


@pytest.mark.parametrize(
    "status, said", [("filling", "filling 12/30"), ("no_face", "no face"), ("face_too_small", "face too small")]
)
def test_the_panel_says_why_there_is_no_label(status, said):
    text = rendered(result(0, 1.0, status, filled=12))
    assert said in text and "%" not in text


def test_the_panel_keeps_the_last_labels():
    screen = console(terminal=False)
    panel = Panel(screen, CLASSES)
    for index, lead in enumerate((0, 0, 2, 3, 3, 1, 0)):
        values = [0.1] * 4
        values[lead] = 0.7
        last = result(index, float(index), "ok", answer=Prediction(dict(zip(CLASSES, values, strict=True))))
        panel.update(last, HEALTH)
    screen.print(panel.render(last, HEALTH))
    assert "6.0 s negative   5.0 s neutral   3.0 s surprise   2.0 s positive" in written(screen)


def test_names_are_not_taken_for_markup():
    names = ("[red]", "[/bold]")
    screen = console(terminal=True)
    with Panel(screen, names) as panel:
        panel.update(result(0, 0.0, "ok", answer=prediction(0.6, 0.4, names=names)), HEALTH)
    assert "[/bold]" in written(screen)
    summary = RunSummary(names)
    summary.add(result(0, 0.0, "ok", answer=prediction(0.6, 0.4, names=names)))
    screen.print(summary.table())
    assert "  [red]" in written(screen)


def test_the_panel_goes_away_after_an_error_too():
    screen = console(terminal=True)
    with pytest.raises(RuntimeError), Panel(screen, CLASSES) as panel:
        panel.update(result(), HEALTH)
        raise RuntimeError
    assert written(screen).endswith("\x1b[2K")  # the last line is erased
    screen.print("next")
    assert "next" in written(screen)
