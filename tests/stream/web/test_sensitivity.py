"""The web view's sensitivity: what a page is told of it and of what is watchable, and how it follows in a browser."""

import asyncio
import contextlib
import json
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from model.decision import CurvePoint, SpottingDecision, counts, least_probability
from model.types import Event
from stream.health import Health
from stream.history import LiveHistory
from stream.network_address import NetworkAddress
from stream.screen.statement import Waits
from stream.sensitivity import sensitivity_steps
from stream.web.access import ServeSettings, open_listener
from stream.web.server import WebView
from stream.web.state import NumberedEvent, ViewMoment, greeting, state_of, watch_facts
from tests.helpers.browser import CHROMIUM, Tab, browser_tab
from tests.helpers.happenings import event, moment, seen
from tests.helpers.models import tiny_contract
from tests.helpers.results import CLASSES, HEALTH

CURVE = tuple(CurvePoint(p, 8 * (1 - p) ** 2, (1 - p) ** 0.5) for p in (place / 20 for place in range(21)))
DECISION = SpottingDecision(("peak",), 0.0, (), (), CURVE, "made-up people")
SENSITIVITY = 1.0
STEPS = sensitivity_steps(CURVE, SENSITIVITY)
LEAST = least_probability(CURVE, SENSITIVITY)


def candidates(many: int = 60) -> list[Event]:
    found = [event(float(many), kind="macro"), event(many + 1.0, kind="macro", rejected="speech")]
    for place, probability in enumerate(np.random.default_rng(5).uniform(0, 1, many).tolist()):
        rejected = "overlap" if place % 10 == 9 else None if counts("micro", probability, None, LEAST) else "blink"
        found.append(event(float(place), rejected=rejected, probability=probability))
    return found


def counting(events: list[Event], place: int) -> int:
    least = STEPS.steps[place].min_probability
    return sum(counts(one.kind, one.probability, one.rejected, least) for one in events)


def told(events: list[Event]) -> list[dict]:
    window = LiveHistory(CLASSES).probabilities.window()
    numbered = tuple(NumberedEvent(place, one) for place, one in enumerate(events, 1))
    message = ViewMoment(1, {}, window, numbered, b"", 0, steps=STEPS).message(-np.inf, 0, 0)
    return json.loads(message[4:])["events"]


def test_candidates_come_with_probability_reason_and_their_first_step() -> None:
    events = candidates()
    sent = told(events)
    assert len(sent) == len(events)
    for place in range(len(STEPS.steps)):
        assert sum(one["first"] is not None and one["first"] <= place for one in sent) == counting(events, place)
    rejected = next(one for one in sent if one.get("rejected") == "blink")
    assert rejected["against"].startswith("blink at ") and rejected["likely"].startswith("probability ")
    assert 0 <= rejected["probability"] <= 1 and rejected["accepted"] is False
    likely = next(one for one in sent if one["kind"] == "micro" and one["accepted"])
    assert likely["against"].startswith("less likely than asked for at ")


def test_evidence_stays_in_the_files() -> None:
    heavy = replace(event(1.0, probability=0.9), evidence={f"feature {n}": 1.0 for n in range(500)})
    assert "evidence" not in told([heavy])[0] and len(json.dumps(told([heavy]))) < 1000


def test_the_greeting_has_the_steps_in_words() -> None:
    contract = tiny_contract(decision=DECISION)
    choice = greeting(contract, "camera 0", 10.0, True, STEPS)["sensitivity"]
    assert choice["own"] == STEPS.own and len(choice["steps"]) == len(STEPS.steps) < 20
    own = "1 false event a minute: a probability of 0.65 or more counts, which found 59 % of the true ones"
    assert choice["steps"][STEPS.own].startswith(own)
    assert greeting(tiny_contract(), "camera 0", 10.0, True)["sensitivity"] is None


def test_what_is_watchable_is_of_the_first_face() -> None:
    first, second = seen(smallest_px=0.62), seen(track=2, smallest_px=None, watchable=False)
    history = LiveHistory(CLASSES)
    state = state_of(moment(1.0, first, second), history.recent(), HEALTH, Waits(30, 3.0), CLASSES, 0.0)
    assert state["watch"] == {"watchable": True, "words": "watchable · smallest visible movement 0.62 px"}
    nothing = {"watchable": False, "words": "not watchable: that nothing is found now says nothing"}
    assert watch_facts(second) == watch_facts(None) == nothing
    blind = replace(first, smallest_px=3.25, watchable=False)
    assert watch_facts(blind)["words"].endswith("says nothing · smallest visible movement 3.2 px")


class _Run:
    """A web view of a run with a decision."""

    def __init__(self, view: WebView, history: LiveHistory, url: str) -> None:
        self.view, self.history, self.url = view, history, url
        self.frames = 0

    def write(self, *events: Event, smallest_px: float | None = 0.6) -> None:
        result = moment(
            self.frames / 30, seen(smallest_px=smallest_px, watchable=smallest_px is not None), events=events
        )
        self.frames += 1
        self.history.record(result)
        self.view.write(result)


@contextlib.contextmanager
def running() -> Iterator[_Run]:
    history = LiveHistory(CLASSES)
    contract = tiny_contract(class_names=CLASSES, decision=DECISION)
    with open_listener(ServeSettings(NetworkAddress("127.0.0.1", 0), None)) as listener:
        health = Health("camera 0", "CPU", "streaming")
        with WebView(listener, contract, history, lambda: health, sensitivity=SENSITIVITY) as view:
            yield _Run(view, history, f"http://127.0.0.1:{listener.address.port}/")


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_a_page_follows_the_sensitivity() -> None:
    events = candidates()
    listed = "document.querySelectorAll('#events li[data-accepted=true]').length"

    async def choose(tab: Tab, place: int) -> None:
        await tab.run(
            f"(() => {{ const one = document.getElementById('step'); one.value = {place}; "
            "one.dispatchEvent(new Event('input')); })()"
        )
        count = counting(events, place)
        assert await tab.run(listed) == count
        told_counts = await tab.run("document.getElementById('counts').textContent")
        assert f"{count - 1} micro · 1 macro · {len(events) - count} rejected" in told_counts
        assert told_counts.startswith("of the last 62: ") == (place != STEPS.own)

    async def look(run: _Run) -> None:
        async with browser_tab() as tab:
            await tab.size(1280, 900)
            await tab.open(run.url)
            for one in events:
                run.write(one)
            await tab.until(listed, lambda count: count == counting(events, STEPS.own))
            words = await tab.run("document.getElementById('step-words').textContent")
            assert words.startswith("1 false event a minute") and words.endswith("(the run's own)")
            assert "smallest visible movement 0.6 px" in await tab.run("document.getElementById('watch').textContent")
            for place in (0, len(STEPS.steps) - 1, STEPS.own, 2):
                await choose(tab, place)
            # What comes later is judged by what has been chosen.
            run.write(event(70.0, rejected="blink", probability=0.01), event(71.0, probability=0.99), smallest_px=None)
            await tab.until(listed, lambda count: count == counting(events, 2) + 1)
            await tab.until("document.getElementById('watch').dataset.watchable === 'false'")
            await tab.size(390, 800, mobile=True)
            assert await tab.run("document.documentElement.scrollWidth") <= 390
            assert tab.complaints == []

    with running() as run:
        asyncio.run(look(run))


def test_of_a_long_run_a_page_has_the_last_movements() -> None:
    with running() as run:
        for place in range(1000):
            run.write(event(float(place), rejected="blink", probability=0.3))
        assert len(run.view._events) == 200
