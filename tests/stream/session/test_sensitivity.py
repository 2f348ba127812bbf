"""Another sensitivity than the run's: its steps, the events at each of them, and the report that shows them."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from model.decision import CurvePoint, SpottingDecision, counts, least_probability
from stream.events.evidence import REASONS
from stream.recognizer import Recognizer
from stream.sensitivity import rate_words, sensitivity_steps
from stream.session.facts import decision_facts
from stream.session.frame_rows import read_rows
from stream.session.report import write_report
from stream.session.report_events import MOST_CANDIDATES, ReportEvents, steps_of
from stream.session.session_folder import SessionError, SessionFolder
from tests.helpers.browser import CHROMIUM, Tab, browser_tab
from tests.helpers.models import CLASSES, save_tiny_model, tiny_contract
from tests.helpers.report_page import Page
from tests.helpers.report_sessions import REST, line, made, row
from tests.helpers.sessions import facts_of, run

CURVE = tuple(CurvePoint(p, 8 * (1 - p) ** 2, (1 - p) ** 0.5) for p in (place / 20 for place in range(21)))
"""At .75 half a false event a minute; it goes from 0 to 8."""
DECISION = {
    "sensitivity": 0.5,
    "min_probability": 0.75,
    "curve": [vars(point) for point in CURVE],
    "training_data": "made-up people",
}


def candidates(many: int, seed: int = 4) -> list[dict[str, Any]]:
    """As a run with `DECISION` writes them: some are micro-expressions, some blinks, one in ten is no candidate at all."""
    rng, found = np.random.default_rng(seed), []
    for place, probability in enumerate(rng.uniform(0, 1, many).tolist()):
        changes: dict[str, Any] = {"label": CLASSES[place % 3], "probability": round(probability, 4)}
        if place % 10 == 9:
            changes["rejected"] = "overlap"
        elif not counts("micro", probability, None, 0.75):
            changes["rejected"] = "blink" if place % 2 else "no_expression"
        found.append(line(place, 1.0 + 8.0 * place / many, **changes))
    macro = line(many, 9.5, kind="macro")
    return [*found, macro, line(many, 9.6, kind="macro", rejected="speech")]


def counting(events: list[dict[str, Any]], false_per_min: float) -> int:
    least = least_probability(CURVE, false_per_min)
    return sum(counts(e["kind"], e.get("probability"), e.get("rejected"), least) for e in events)


def test_steps_go_as_far_as_the_curve() -> None:
    found = sensitivity_steps(CURVE, 0.5)
    rates = [step.false_per_min for step in found.steps]
    assert rates == [0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 7.0]  # 10 is more than there ever were
    own = found.steps[found.own]
    assert (own.false_per_min, own.min_probability, own.recall) == (0.5, pytest.approx(0.75), pytest.approx(0.5))
    least = [step.min_probability for step in found.steps]
    recalls = [step.recall for step in found.steps]
    assert least == sorted(least, reverse=True) and recalls == sorted(recalls)
    others = sensitivity_steps(CURVE, 40.0, (0.04,))
    assert others.steps[others.own].min_probability == 0.0 and others.place(0.04) == 0
    assert sensitivity_steps((), 0.5).steps == () and sensitivity_steps((), 0.5).choices == 1


def test_the_runs_own_verdict_stands() -> None:
    steps = sensitivity_steps(CURVE, 0.5)
    # Rounded to the other side of .75.
    assert steps.first("micro", 0.7499, None) == steps.own
    assert steps.first("micro", 0.7501, "blink") == steps.own + 1
    assert steps.first("micro", 0.95, "overlap") is None and steps.first("micro", 0.99, None) == 0
    assert steps.first("macro", None, None) == 0 and steps.first("macro", None, "speech") is None
    none = sensitivity_steps((), 0.5)
    assert none.first("micro", 0.3, None) == 0 and none.first("micro", 0.9, "blink") is None


def test_counts_are_those_of_every_step() -> None:
    events = candidates(400)
    found = ReportEvents(sensitivity_steps(CURVE, 0.5)).take(iter(events))
    rates = [step.false_per_min for step in found.steps.steps]
    assert found.counting() == [counting(events, rate) for rate in rates]
    assert [a + b for a, b in zip(found.counting(), found.not_counting(), strict=True)] == [402] * len(rates)
    assert [sum(column) for column in zip(*(n for _, _, n in found.found()), strict=True)] == found.counting()
    assert [sum(column) for column in zip(*(n for _, n in found.reasons()), strict=True)] == found.not_counting()
    reasons = dict(found.reasons())
    assert set(reasons["part of another"]) == {40} and reasons["blink"][0] > reasons["blink"][-1]
    # Those of the run that a surer setting leaves out.
    unlikely = reasons["less likely than asked for"]
    assert unlikely[0] == found.accepted_n - found.counting()[0] and unlikely[found.steps.own] == 0


def test_the_likeliest_candidates_are_kept() -> None:
    events = candidates(6000)
    found = ReportEvents(sensitivity_steps(CURVE, 0.5)).take(iter(events))
    kept = [event["probability"] for event in found.candidates]
    possible = [e["probability"] for e in events if e.get("rejected") not in (None, "overlap", "speech")]
    assert len(kept) == MOST_CANDIDATES < found.candidates_n
    assert sorted(kept) == sorted(possible)[-MOST_CANDIDATES:]
    assert [event["place"] for event in found.candidates] == sorted(event["place"] for event in found.candidates)


@pytest.mark.parametrize(
    ("decision", "says"),
    [
        ({"curve": []}, "decision.sensitivity: expected a value"),
        ({"sensitivity": -1}, "expected 0 or more"),
        ({"sensitivity": 1, "curve": [{"min_probability": 2, "false_per_min": 1, "recall": 1}]}, "1 or less"),
        ({"sensitivity": 1, "curve": DECISION["curve"][::-1]}, "expected growing probabilities"),
    ],
)
def test_a_decision_that_is_none_is_one_line(decision: dict[str, Any], says: str, tmp_path: Path) -> None:
    with pytest.raises(SessionError, match=says):
        write_report(made(tmp_path / "s", [row(0, 0.0, REST)], decision=decision))


@pytest.fixture
def session(tmp_path: Path) -> Iterator[SessionFolder]:
    rows = [row(i, i / 30, REST, sight=None if 90 <= i < 150 else 0.5 + 0.1 * np.sin(i / 20)) for i in range(300)]
    folder = made(tmp_path / "s", rows, candidates(60), decision=DECISION)
    folder.pictures.mkdir()
    for number in (1, 2, 3):
        cv2.imwrite(str(folder.picture(number)), np.full((48, 108, 3), 90, np.uint8))
    yield folder


def a_minute(session: SessionFolder, count: int) -> str:
    """Of the eight seconds that were watchable."""
    sight = read_rows(session).sight
    assert sight is not None and sight.watchable_min == pytest.approx(8 / 60, rel=0.01)
    return f"{count / sight.watchable_min:.2f}"


def test_without_javascript_the_page_is_at_the_runs_own(session: SessionFolder) -> None:
    page = Page(write_report(session))
    events = candidates(60)
    count = counting(events, 0.5)
    assert f"{count} events and {62 - count} rejected movements" in page.text
    assert "0.5 false events a minute" in page.text and "a probability of 0.75 or more counts" in page.text
    assert "found 50 % of the true ones where it was measured" in page.text and "made-up people" in page.text
    # Minutes are those that were watchable.
    assert f"{a_minute(session, count)} events a watchable minute" in page.text and "0.1 in the time here" in page.text
    shown = [tr for tr in page.source.split("<tr ") if tr.startswith('class="event')]
    assert sum('class="event"' in tr for tr in shown) == count
    assert len(shown) == ReportEvents(sensitivity_steps(CURVE, 0.5)).take(iter(events)).counting()[-1]
    assert page.tags.count("script") == 1 and "style-src 'unsafe-inline'; script-src 'sha256-" in page.source
    assert all(address.startswith(("#", "data:image/")) for address in page.addresses)
    assert {address[1:] for address in page.addresses if address.startswith("#")} <= page.anchors


def test_the_report_command_shows_another_sensitivity(
    session: SessionFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--report", session.path, "--sensitivity", "4") == 0
    page = Page(session.report)
    assert "4 false events a minute" in page.text
    assert "The run was made with 0.5, this page with 4." in page.text
    assert f"{counting(candidates(60), 4.0)} events and" in page.text
    session.facts.write_text(json.dumps({**facts_of(session.path), "decision": None}))
    assert run("--report", session.path) == 0
    assert run("--report", session.path, "--sensitivity", "4") == 1
    assert "--sensitivity needs the curve of the model's decision" in capsys.readouterr().err


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"decision": None},
        {"decision": {"sensitivity": 0.5, "curve": []}},
        {"decision": DECISION, "settings": {"detect_events": False}},
    ],
)
def test_without_a_curve_there_is_no_control(facts: dict[str, Any], tmp_path: Path) -> None:
    page = Page(write_report(made(tmp_path / "s", [row(0, 0.0, REST)], candidates(20), **facts)))
    assert "script" not in page.tags and "script-src" not in page.source and "sensitivity" not in page.anchors


def test_sessions_keep_the_curve(tmp_path: Path) -> None:
    names = tuple(REASONS)
    decision = SpottingDecision(names, -0.5, (), (), CURVE, "made-up people")
    save_tiny_model(tmp_path / "tiny.onnx", tiny_contract(decision=decision))
    with Recognizer(tmp_path / "tiny.onnx", sensitivity=2.0) as recognizer:
        facts = decision_facts(recognizer)
        assert facts is not None and (facts["sensitivity"], facts["min_probability"]) == (2.0, pytest.approx(0.5))
        assert steps_of({"decision": json.loads(json.dumps(facts))}).steps == sensitivity_steps(CURVE, 2.0).steps
    save_tiny_model(tmp_path / "plain.onnx")
    with Recognizer(tmp_path / "plain.onnx") as recognizer:
        assert decision_facts(recognizer) is None


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_a_browser_changes_the_sensitivity(session: SessionFolder) -> None:
    events = candidates(60)
    steps = sensitivity_steps(CURVE, 0.5).steps
    write_report(session)

    async def at(tab: Tab, place: int) -> None:
        await tab.run(
            f"(() => {{ const one = document.getElementById('step'); one.value = {place}; "
            "one.dispatchEvent(new Event('input')); })()"
        )
        seen = "[...document.querySelectorAll('{}')].filter((one) => getComputedStyle(one).display !== 'none').length"
        count = counting(events, steps[place].false_per_min)
        assert await tab.run(seen.format("#event-table tbody tr")) == count
        assert await tab.run(seen.format("svg a.mark")) == count
        text = await tab.run("document.body.innerText")
        assert f"{count} events and {62 - count} rejected movements" in text
        assert f"{rate_words(steps[place])}: a probability" in text
        assert f"{a_minute(session, count)} events a watchable minute" in text

    async def look() -> None:
        async with browser_tab() as tab:
            await tab.size(390, 900, True)
            await tab.open(session.report.as_uri())
            await tab.until("document.readyState === 'complete' && !document.getElementById('choice').hidden")
            for place in (3, 0, len(steps) - 1, 5):
                await at(tab, place)
            assert await tab.run("document.documentElement.scrollWidth") <= 390
            # Nothing but the page's own script runs.
            await tab.run(
                "document.body.append(Object.assign(document.createElement('script'), {text: 'window.other = 1'}))"
            )
            assert await tab.run("window.other === undefined")
            assert all("Content Security Policy" in words for words in tab.complaints)

    asyncio.run(look())
