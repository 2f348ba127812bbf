"""The marker port with real sockets."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from model.types import FrameResult
from stream.network_address import NetworkAddress
from stream.sinks import marker_port
from stream.sinks.base import SinkError
from stream.sinks.marker_port import MAX_SUBSCRIBERS, MarkerPort
from stream.sinks.marks import SenderLimits
from tests.helpers.happenings import event, moment, seen

DEADLINE_S = 30.0
ANY = NetworkAddress("127.0.0.1", 0)


class Experiment:
    """The other end of the line."""

    def __init__(self, port: MarkerPort) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(DEADLINE_S)
        self.socket.connect(("127.0.0.1", port.address.port))

    def send(self, message: object) -> None:
        self.socket.send(message if isinstance(message, bytes) else json.dumps(message).encode())

    def hear(self) -> dict[str, Any]:
        return json.loads(self.socket.recv(65536))

    def ask(self, message: object) -> dict[str, Any]:
        self.send(message)
        return self.hear()

    def __enter__(self) -> "Experiment":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


@contextlib.contextmanager
def listening(path: Path | None = None) -> Iterator[tuple[MarkerPort, Experiment]]:
    with MarkerPort(ANY, path) as port, Experiment(port) as experiment:
        yield port, experiment


def frame_at(time_s: float, ago_s: float = 0.0, **given: Any) -> FrameResult:
    """A result whose frame was in hand `ago_s` before now."""
    result = moment(time_s, seen(), **given)
    return replace(result, frame=replace(result.frame, captured_s=time.monotonic() - ago_s))


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_marks_get_the_time_of_the_source(tmp_path: Path) -> None:
    out = tmp_path / "markers.jsonl"
    with listening(out) as (port, experiment):
        port.write(frame_at(100.0, ago_s=5.0))
        before_s = time.monotonic()
        answer = experiment.ask({"mark": "stimulus 3", "sent_s": 7.5})
        after_s = time.monotonic()
        assert answer["marked"] == "stimulus 3" and 105.0 <= answer["time_s"] <= 105.0 + (after_s - before_s) + 1.0
        # A source whose clock was set anew: marks follow its newest frame.
        port.write(frame_at(3.0))
        assert 3.0 <= experiment.ask({"mark": "b"})["time_s"] < 50.0
        assert port.counts.marks == 2
        assert [mark.text for mark in port.recent()] == ["stimulus 3", "b"]
        assert port.recent()[0].time_s == answer["time_s"]
    first, second = lines(out)
    assert first["mark"] == "stimulus 3" and first["time_s"] == answer["time_s"] and first["sent_s"] == 7.5
    assert first["sender"].startswith("127.0.0.1:") and abs(first["unix_s"] - time.time()) < 600
    assert second["mark"] == "b" and "sent_s" not in second


def test_the_time_is_that_of_the_arrival(tmp_path: Path) -> None:
    """Exactly, from the clock of the newest frame: 12 s of the source at 1000 s of the monotonic clock."""
    out = tmp_path / "markers.jsonl"
    with listening(out) as (port, experiment):
        base_s = time.monotonic()
        result = moment(12.0, seen())
        port.write(replace(result, frame=replace(result.frame, captured_s=base_s)))
        time_s = experiment.ask({"mark": "a"})["time_s"]
        assert 12.0 <= time_s <= 12.0 + (time.monotonic() - base_s) + 1e-4


def test_marks_before_the_first_frame_wait_for_it(tmp_path: Path) -> None:
    out = tmp_path / "markers.jsonl"
    with listening(out) as (port, experiment):
        assert experiment.ask({"mark": "early"}) == {"marked": "early", "time_s": None}
        assert out.read_text() == ""
        port.write(frame_at(0.0))
        assert lines(out)[0]["mark"] == "early" and lines(out)[0]["time_s"] < 0


def test_marks_of_a_run_without_frames_are_kept_too(tmp_path: Path) -> None:
    out = tmp_path / "markers.jsonl"
    with listening(out) as (_, experiment):
        experiment.ask({"mark": "early"})
    assert [(one["mark"], one["time_s"]) for one in lines(out)] == [("early", None)]


def test_subscribers_hear_of_accepted_events() -> None:
    with listening() as (port, first), Experiment(port) as second, Experiment(port) as third:
        for experiment in (first, second, third):
            assert experiment.ask({"subscribe": True}) == {"subscribed": True, "lasts_s": 60.0}
        assert third.ask({"subscribe": False}) == {"subscribed": False}
        port.write(frame_at(5.0, events=(event(4.0), event(4.5, rejected="blink"), event(5.0, label="negative"))))
        for experiment in (first, second):
            assert [experiment.hear()["event"]["label"] for _ in range(2)] == ["surprise", "negative"]
        assert third.ask({"subscribe": False}) == {"subscribed": False}
        assert port.counts.sent == 4


def test_subscribers_hear_of_what_the_end_decides() -> None:
    with listening() as (port, experiment):
        assert experiment.ask({"subscribe": True})["subscribed"]
        port.write(frame_at(1.0))
        found = replace(event(0.8, probability=0.75), evidence={"peak_px": 1.5})
        port.finish((event(0.7, rejected="blink"), found))
        heard = experiment.hear()["event"]
        assert (heard["onset_s"], heard["probability"]) == (pytest.approx(0.7), 0.75) and "evidence" not in heard
        assert port.counts.sent == 1


def test_subscribers_are_bounded() -> None:
    with contextlib.ExitStack() as stack:
        port, first = stack.enter_context(listening())
        assert first.ask({"subscribe": True})["subscribed"]
        for _ in range(MAX_SUBSCRIBERS - 1):
            assert stack.enter_context(Experiment(port)).ask({"subscribe": True})["subscribed"]
        late = stack.enter_context(Experiment(port))
        assert "are the most" in late.ask({"subscribe": True})["error"]
        assert first.ask({"subscribe": True})["subscribed"] and first.ask({"subscribe": False}) == {"subscribed": False}
        assert late.ask({"subscribe": True})["subscribed"]


def test_nonsense_is_counted_and_answered(tmp_path: Path) -> None:
    out = tmp_path / "markers.jsonl"
    with listening(out) as (port, experiment):
        for nonsense in (b"\xff", b"{}", b'{"mark": 1}', b"x" * 3000, b"\n\n", b"[" * 2000):
            answer = experiment.ask(nonsense)
            assert set(answer) == {"error"}
        assert port.counts.malformed == 6 and port.counts.marks == 0
        port.write(frame_at(0.0))
        experiment.send(b'{"mark": "a"}\nnonsense\n{"mark": "b"}')
        assert [set(experiment.hear()) for _ in range(3)] == [{"marked", "time_s"}, {"error"}, {"marked", "time_s"}]
    assert [one["mark"] for one in lines(out)] == ["a", "b"]


def test_a_flood_is_cut_off_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(marker_port, "RATE_HZ", 0.001)
    monkeypatch.setattr(marker_port, "BURST", 20)
    out = tmp_path / "markers.jsonl"
    with listening(out) as (port, experiment):
        port.write(frame_at(0.0))
        for _ in range(5):
            experiment.send(b"\n".join([b'{"mark": "a"}'] * 16))
        experiment.send(b"x" * 3000)
        until(lambda: port.counts.over_rate == 61)
        assert port.counts.marks == 20 and port.counts.malformed == 0
    assert len(lines(out)) == 20


def test_a_flood_takes_nothing_from_the_others(tmp_path: Path) -> None:
    out = tmp_path / "markers.jsonl"
    ended = threading.Event()
    told: list[dict[str, Any]] = []
    with listening(out) as (port, experiment), Experiment(port) as flooder:

        def flood() -> None:
            while not ended.wait(0.001):
                for _ in range(30):
                    flooder.send(b'{"mark": "flood"}')
                with contextlib.suppress(OSError):
                    while True:
                        told.append(json.loads(flooder.socket.recv(65536)))

        flooder.socket.setblocking(False)
        port.write(frame_at(0.0))
        thread = threading.Thread(target=flood)
        thread.start()
        try:
            until(lambda: port.counts.over_rate > 500)
            # All arrive but what UDP itself may lose.
            marks = [f"stimulus {number}" for number in range(20)]
            for mark in marks:
                experiment.send({"mark": mark})
                time.sleep(0.02)
        finally:
            ended.set()
            thread.join()
        assert any("left out" in one.get("error", "") for one in told)
    kept = [one["mark"] for one in lines(out)]
    assert len([mark for mark in marks if mark in kept]) >= 18


def test_what_is_left_out_is_told_to_its_sender_once_a_second() -> None:
    limits = SenderLimits(10.0, 5)
    a, b, c = ("10.0.0.1", 1), ("10.0.0.1", 2), ("10.0.0.2", 1)
    assert [limits.allows(a, 0.0) for _ in range(8)] == [True] * 5 + [False] * 3
    assert not limits.allows(b, 0.0) and limits.allows(c, 0.0)  # one machine, one sender
    assert limits.to_tell(a, 0.0) == 4 and limits.to_tell(c, 0.0) == 0
    assert not limits.allows(a, 0.01) and limits.to_tell(a, 0.01) == 0 and limits.to_tell(a, 1.0) == 1
    near = [("127.0.0.1", port) for port in (1, 2)]
    assert all(limits.allows(one, 2.0) for one in near for _ in range(5)) and not limits.allows(near[0], 2.0)


def test_senders_that_are_forgotten_cost_no_memory() -> None:
    limits = SenderLimits(10.0, 5, most=8)
    assert sum(limits.allows((f"10.0.{n // 250}.{n % 250}", 1), 0.0) for n in range(1000)) == 50  # ten times the burst
    assert len(limits._senders) == 8


def test_without_a_file_marks_are_not_lost_silently() -> None:
    with listening() as (port, experiment):
        assert "--markers" in experiment.ask({"mark": "a"})["error"]
        assert port.counts.marks == 0


def test_a_full_disk_ends_the_run_with_one_line() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    port = MarkerPort(ANY, Path("/dev/full"))
    with (
        pytest.raises(SinkError, match="cannot write the markers file /dev/full"),
        port,
        Experiment(port) as experiment,
    ):
        port.write(frame_at(0.0))
        experiment.send({"mark": "a"})
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline:
            port.write(frame_at(0.1))


def test_the_end_leaves_nothing_behind(tmp_path: Path) -> None:
    before = threading.active_count()
    with listening(tmp_path / "markers.jsonl") as (port, experiment):
        experiment.ask({"subscribe": True})
        address = port.address
    assert threading.active_count() == before
    with MarkerPort(address):
        pass
    port.close()


def test_ports_and_files_that_cannot_be_had(tmp_path: Path) -> None:
    with MarkerPort(ANY) as port, pytest.raises(SinkError, match="another program has the port"):
        MarkerPort(port.address, tmp_path / "markers.jsonl")
    with pytest.raises(SinkError, match="does not exist"):
        MarkerPort(ANY, tmp_path / "no" / "markers.jsonl")


def test_nobody_there_to_hear(tmp_path: Path) -> None:
    """A subscriber that has gone holds nothing up."""
    with listening(tmp_path / "markers.jsonl") as (port, experiment):
        with Experiment(port) as gone:
            gone.ask({"subscribe": True})
        for number in range(20):
            port.write(frame_at(number / 30, events=(event(1.0),)))
        assert port.counts.sent + port.counts.unsent == 20
        assert experiment.ask({"mark": "a"})["marked"] == "a"
