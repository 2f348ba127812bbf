"""Who records what, and what happens when something dies: with workers that do what the test says, on a clock that it turns."""

import io
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest
from rich.console import Console

from stream.fleet.crew import DeathError
from stream.fleet.fleet_folder import FleetFolder
from stream.fleet.fleet_progress import FleetProgress
from stream.fleet.orders import (
    Ended,
    FleetSource,
    HaltOrder,
    News,
    PrepareOrder,
    RecordOrder,
    RecordSettings,
    Standing,
)
from stream.fleet.state_log import StateLog, read_states
from stream.fleet.supervisor import Charge, Supervisor


@dataclass(eq=False)
class Hand:
    """A worker of the test: what it is to say next waits in `says`."""

    aside: bool
    endless: bool
    orders: list[RecordOrder] = field(default_factory=list)
    prepared: list[PrepareOrder] = field(default_factory=list)
    halted: bool = False
    closed: bool = False
    says: list[News | DeathError] = field(default_factory=list)

    def send(self, order: object) -> None:
        if isinstance(order, RecordOrder):
            self.orders.append(order)
        if isinstance(order, PrepareOrder):
            self.prepared.append(order)
        self.halted |= isinstance(order, HaltOrder)

    def close(self) -> None:
        self.closed = True


class Hands:
    """A crew whose every call is a step of the test: `script` gets the workers before each, and ends the run by a KeyboardInterrupt."""

    def __init__(self, script, spares: bool = False) -> None:
        self.spares, self.hired = spares, list[Hand]()
        self.now_s, self.steps = 0.0, 0
        self._steps: Iterator[object] = script(self)

    def hire(self, aside: bool, endless: bool) -> Hand:
        self.hired.append(Hand(aside, endless))
        return self.hired[-1]

    @property
    def at_work(self) -> list[Hand]:
        return [hand for hand in self.hired if not hand.closed]

    def news(self, workers: Sequence[Hand], timeout_s: float) -> list[tuple[Hand, News | DeathError]]:
        next(self._steps)
        self.steps += 1
        assert self.steps < 5000, "what the test waits for does not come"
        self.now_s += max(0.0, timeout_s)
        return [(hand, hand.says.pop(0) if hand.says else News()) for hand in workers]


class Quiet:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def update(self, charges: Sequence[Charge]) -> None:
        pass

    def said(self, line: str) -> None:
        self.lines.append(line)


def cameras(count: int) -> list[FleetSource]:
    return [FleetSource(f"cam{n}", "camera", n) for n in range(count)]


def clips(count: int) -> list[FleetSource]:
    return [FleetSource(f"clip{n}", "file", f"/nowhere/{n}.mp4", size_bytes=1) for n in range(count)]


def rows(order: RecordOrder, state: str = "running") -> None:
    """What a worker would have written by then."""
    order.folder.mkdir(parents=True, exist_ok=True)
    (order.folder / "frames.csv").write_text("frame,time_s\n0,0.0\n1,0.0")
    (order.folder / "session.json").write_text(json.dumps({"schema_version": 1, "state": state}))


@contextmanager
def supervised(
    folder: Path, sources: Sequence[FleetSource], hands: Hands, live: int, files: int
) -> Iterator[Supervisor]:
    folder.mkdir(exist_ok=True)
    fleet = FleetFolder(folder)
    with (
        StateLog(fleet) as log,
        Supervisor(fleet, log, sources, hands, live, files, Quiet(), clock_s=lambda: hands.now_s) as supervisor,
    ):
        yield supervisor


def states(folder: Path, source: str) -> list[tuple[str, int, int]]:
    return [
        (line["state"], line["attempt"], line["frames"])
        for line in read_states(FleetFolder(folder))
        if line["source"] == source
    ]


def test_files_one_after_the_other_and_bad_ones_left(tmp_path: Path) -> None:
    outcomes = {"clip1": ("skipped", "no video"), "clip3": ("failed", "broke off")}

    def script(hands: Hands):
        while True:
            for hand in hands.at_work:
                assert len(hand.orders) <= 1
                for order in hand.orders:
                    outcome, reason = outcomes.get(order.source.id, ("done", ""))
                    hand.says.append(News((Ended(order.source.id, outcome, reason, 15, True),)))
                hand.orders.clear()
            yield

    hands = Hands(script)
    with supervised(tmp_path / "fleet", clips(5), hands, 0, 2) as supervisor:
        supervisor.run()
    assert len(hands.hired) == 2 and all(hand.closed and not hand.endless and not hand.aside for hand in hands.hired)
    assert states(tmp_path / "fleet", "clip0") == [("waiting", 0, 0), ("done", 1, 15)]
    assert (
        states(tmp_path / "fleet", "clip1")[-1][0] == "skipped"
        and states(tmp_path / "fleet", "clip3")[-1][0] == "failed"
    )


def test_cameras_are_spread_and_the_spare_takes_over_what_died(tmp_path: Path) -> None:
    seen: dict[str, object] = {}

    def script(hands: Hands):
        yield
        first, second = hands.at_work
        assert sorted(len(hand.orders) for hand in (first, second)) == [2, 3]
        while len(hands.at_work) < 3:
            yield
        spare = hands.at_work[2]
        assert not spare.orders
        for order in first.orders:
            rows(order)
            first.says.append(News((), (Standing(order.source.id, 2, True),)))
        yield
        yield
        yield
        first.says = [DeathError("killed")]
        died_s = hands.now_s
        yield
        while len(again := [order for hand in (second, spare) for order in hand.orders if order.attempt == 2]) < len(
            first.orders
        ):
            yield
        seen["within_s"] = hands.now_s - died_s
        assert {order.source.id for order in again} == {order.source.id for order in first.orders}
        assert all(order.folder.name == "0002" for order in again) and 2 <= len(spare.orders) <= 3
        seen["lost"] = sorted(order.source.id for order in first.orders)
        raise KeyboardInterrupt
        yield

    hands = Hands(script, spares=True)
    with supervised(tmp_path / "fleet", cameras(5), hands, 2, 0) as supervisor, pytest.raises(KeyboardInterrupt):
        supervisor.run()
    assert seen["within_s"] < 1.0
    for name in seen["lost"]:
        assert states(tmp_path / "fleet", name) == [("waiting", 0, 0), ("running", 1, 0), ("restarted", 1, 2)]
        session = tmp_path / "fleet" / "sessions" / name / "0001"
        # The torn line is gone, and the session says what became of it.
        assert (session / "frames.csv").read_text() == "frame,time_s\n0,0.0\n"
        assert json.loads((session / "session.json").read_text())["state"] == "killed"


def test_the_spare_has_loaded_what_the_live_sources_ask_for_and_is_not_begun_over_and_over(tmp_path: Path) -> None:
    def script(hands: Hands):
        while len(hands.at_work) < 2:
            yield
        spare = hands.at_work[1]
        assert [(one.settings.max_faces, one.sources) for one in spare.prepared] == [
            (1, 3),
            (2, 3),
        ] and not hands.at_work[0].prepared
        spare.says = [DeathError("no memory")]
        died_s = hands.now_s
        while len(hands.hired) < 3:
            yield
        assert hands.now_s - died_s > 3.0 and not hands.hired[2].orders
        raise KeyboardInterrupt

    of_two = RecordSettings(max_faces=2, label="another")
    sources = [*cameras(2), FleetSource("of two", "stream", "rtsp://of.two/", of_two), *clips(1)]
    hands = Hands(script, spares=True)
    with supervised(tmp_path / "fleet", sources, hands, 1, 0) as supervisor, pytest.raises(KeyboardInterrupt):
        supervisor.run()


class Carriers:
    """Every worker writes rows, until one that has been at work for `after_s` with the poison has died of it."""

    def __init__(self, poison: str, after_s: float, seconds: float) -> None:
        self._poison, self._after_s, self._seconds = poison, after_s, seconds
        self.deaths: list[list[str]] = []
        self.most = 0

    def __call__(self, hands: Hands):
        began_s: dict[Hand, float] = {}
        while hands.now_s < self._seconds:
            self.most = max(self.most, len(hands.at_work))
            for hand in hands.at_work:
                for order in hand.orders:
                    began_s.setdefault(hand, hands.now_s)
                    if not order.folder.exists():
                        rows(order)
                names = [order.source.id for order in hand.orders]
                if self._poison in names and hands.now_s - began_s[hand] >= self._after_s:
                    self.deaths.append(names)
                    hand.says = [DeathError("ended by SIGSEGV")]
                else:
                    hand.says = [News((), tuple(Standing(name, 9, True) for name in names))]
            yield
        raise KeyboardInterrupt


def test_a_camera_that_kills_its_worker_soon_has_one_of_its_own(tmp_path: Path) -> None:
    deadly = Carriers("cam1", after_s=6.0, seconds=200.0)
    hands = Hands(deadly, spares=True)
    with supervised(tmp_path / "fleet", cameras(8), hands, 2, 0) as supervisor:
        with pytest.raises(KeyboardInterrupt):
            supervisor.run()
        by_name = {charge.source.id: charge for charge in supervisor.charges}
    with_others = [names for names in deadly.deaths if len(names) > 1]
    assert [len(names) for names in with_others] == [4, 4] and len(deadly.deaths) > 5
    # Those that were with it are well, and it is not let among them any more; its waits grow.
    assert by_name["cam1"].culprit and by_name["cam1"].apart
    assert [name for name, charge in by_name.items() if charge.apart] == ["cam1"]
    assert sum(charge.restarts for name, charge in by_name.items() if name != "cam1") == 2 * 3
    reasons = [line["reason"] for line in read_states(FleetFolder(tmp_path / "fleet")) if line["source"] == "cam1"]
    assert [reason.endswith("apart from others") for reason in reasons if "SIGSEGV" in reason][:3] == [
        False,
        True,
        True,
    ]
    # Two asked for, four for suspects, one that waits.
    assert deadly.most <= 2 + 4 + 1


def test_nobody_is_apart_where_there_can_be_no_more_workers(tmp_path: Path) -> None:
    deadly = Carriers("cam0", after_s=2.0, seconds=120.0)
    hands = Hands(deadly)
    with supervised(tmp_path / "fleet", cameras(6), hands, 2, 0) as supervisor, pytest.raises(KeyboardInterrupt):
        supervisor.run()
    assert deadly.most <= 2 and len(deadly.deaths) > 3
    assert not any(charge.apart for charge in supervisor.charges)


def test_one_that_is_well_for_long_between_deaths_is_no_suspect(tmp_path: Path) -> None:
    deadly = Carriers("cam1", after_s=40.0, seconds=250.0)
    hands = Hands(deadly, spares=True)
    with supervised(tmp_path / "fleet", cameras(4), hands, 1, 0) as supervisor, pytest.raises(KeyboardInterrupt):
        supervisor.run()
    assert len(deadly.deaths) > 4 and not any(charge.apart for charge in supervisor.charges)


def test_waits_grow_while_a_camera_is_away_and_are_short_again_when_it_was_well(tmp_path: Path) -> None:
    begun_s: list[float] = []

    def script(hands: Hands):
        for attempt in range(9):
            while len(hands.at_work) == 0 or not hands.at_work[0].orders:
                yield
            hand = hands.at_work[0]
            order = hand.orders.pop()
            assert order.attempt == attempt + 1
            begun_s.append(hands.now_s)
            if attempt == 6:
                rows(order, "failed: gone")
                hand.says.append(News((), (Standing("cam0", 5, True),)))
                for _ in range(60):
                    yield
                hand.says.append(News((Ended("cam0", "lost", "gone", 400, True),)))
                begun_s[-1] = hands.now_s + 0.5
            else:
                hand.says.append(News((Ended("cam0", "lost", "not there", 0, False),)))
        raise KeyboardInterrupt

    hands = Hands(script)
    with supervised(tmp_path / "fleet", cameras(1), hands, 1, 0) as supervisor, pytest.raises(KeyboardInterrupt):
        supervisor.run()
    waits = [later - earlier for earlier, later in pairwise(begun_s)]
    assert waits[5] > 4 * waits[1] and waits[6] < 1.5 < waits[5]
    told = [state for state, _, _ in states(tmp_path / "fleet", "cam0")]
    # What was never there is told once, and each restart.
    assert told[:2] == ["waiting", "waiting"] and "restarted" in told and supervisor.charges[0].restarts == 2


@pytest.mark.parametrize("after_s", [0.0, 100.0])
def test_a_file_that_kills_its_workers_is_left_after_three(tmp_path: Path, after_s: float) -> None:
    """However long they were well with it."""

    def script(hands: Hands):
        while True:
            for hand in hands.at_work:
                for order in hand.orders:
                    poison = order.source.id == "clip0"
                    if poison:
                        rows(order)
                        for _ in range(round(after_s)):
                            hand.says.append(News((), (Standing("clip0", 9, True),)))
                    hand.says.append(
                        DeathError("ended by SIGSEGV")
                        if poison
                        else News((Ended(order.source.id, "done", "", 3, True),))
                    )
                hand.orders.clear()
            yield

    hands = Hands(script)
    with supervised(tmp_path / "fleet", clips(3), hands, 0, 1) as supervisor:
        supervisor.run()
    told = [state for state, _, _ in states(tmp_path / "fleet", "clip0")]
    assert [state for state in told if state != "running"] == [
        "waiting",
        "restarted",
        "restarted",
        "failed",
    ]
    assert "so it was 3 times" in supervisor.charges[0].reason
    assert [charge.state for charge in supervisor.charges] == ["failed", "done", "done"]


def test_a_silent_worker_is_ended(tmp_path: Path) -> None:
    def script(hands: Hands):
        yield
        hands.now_s += 10_000.0
        yield
        assert hands.hired[0].closed
        while not hands.at_work:
            yield
        assert [order.attempt for order in hands.at_work[0].orders] == [2]
        raise KeyboardInterrupt

    hands = Hands(script)
    hands_news = hands.news
    hands.news = lambda workers, timeout_s: [one for one in hands_news(workers, timeout_s) if one[1].ended]  # type: ignore[method-assign]
    with supervised(tmp_path / "fleet", cameras(1), hands, 1, 0) as supervisor, pytest.raises(KeyboardInterrupt):
        supervisor.run()


def test_halting_closes_all_and_files_wait_for_the_next_time(tmp_path: Path) -> None:
    def script(hands: Hands):
        yield
        for hand in hands.at_work:
            for order in hand.orders:
                rows(order)
        yield
        raise KeyboardInterrupt

    def answers(hands: Hands):
        for hand in list(hands.at_work):
            assert hand.halted
            for order in hand.orders:
                hand.says.append(
                    News(
                        (
                            Ended(
                                order.source.id,
                                "stopped",
                                "stopped before its end" if not order.source.endless else "",
                                7,
                                True,
                            ),
                        )
                    )
                )
        while True:
            yield

    hands = Hands(script)
    with supervised(tmp_path / "fleet", [*cameras(1), *clips(2)], hands, 1, 1) as supervisor:
        with pytest.raises(KeyboardInterrupt):
            supervisor.run()
        assert [hand.aside for hand in hands.hired] == [False, True]  # files step back where cameras are
        hands._steps = answers(hands)
        supervisor.halt()
    assert [charge.state for charge in supervisor.charges] == ["done", "waiting", "waiting"]
    assert states(tmp_path / "fleet", "clip0")[-1] == ("waiting", 1, 7)
    assert all(hand.closed for hand in hands.hired)


def test_progress_in_one_line() -> None:
    now_s = [0.0]
    out = io.StringIO()
    progress = FleetProgress(Console(file=out, width=200), finished=2, clock_s=lambda: now_s[0])
    charges = [Charge(source) for source in (*cameras(1), *clips(3))]
    charges[0].state, charges[0].restarts, charges[0].standing = "running", 3, Standing("cam0", 0, True)
    charges[0].deaths = 2
    with progress:
        progress.update(charges)  # too early for a line
        assert out.getvalue() == ""
        progress.words(charges)
        now_s[0], charges[0].standing, charges[1].state = 40.0, Standing("cam0", 600, True), "done"
        progress.update(charges)
    assert out.getvalue() == "3 done, 1 running, 2 waiting, 1 apart, 3 restarts, 15 frames/s, about 80 s left\n"
