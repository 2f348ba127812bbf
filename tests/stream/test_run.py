"""A run and its outputs: every frame, then the end once, whatever ended it."""

import threading
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pytest

from model.types import Event, FrameResult
from stream.events.detector import EventDetector
from stream.health import Connection, SourceStatus
from stream.recognizer import Recognizer
from stream.run import LiveRun, RunLabels
from stream.sinks.base import Sink, SinkError
from stream.sources.base import FrameSource, SourceError, SourceInfo
from stream.sources.pictures import PictureSource
from tests.helpers.faces import portrait
from tests.helpers.models import save_tiny_model

OPEN = Event(1, "micro", "surprise", 0.1, 0.2, 0.3, 0.7, 1.2)


class Diary(Sink):
    """Notes what it is told; `fails_at` is a frame's index, or "finish"."""

    def __init__(self, fails_at: int | str | None = None, losses: Mapping[str, int] | None = None) -> None:
        self.told: list[int | tuple[Event, ...] | str] = []
        self._fails_at = fails_at
        self._losses = losses or {}

    @property
    def losses(self) -> Mapping[str, int]:
        return self._losses

    def write(self, result: FrameResult) -> None:
        self.told.append(result.frame.index)
        self._fail(result.frame.index)

    def finish(self, events: Sequence[Event]) -> None:
        self.told.append(tuple(events))
        self._fail("finish")

    def close(self) -> None:
        self.told.append("closed")

    def _fail(self, at: int | str) -> None:
        if at == self._fails_at:
            raise SinkError(f"fails at {at}")


@pytest.fixture(scope="module")
def recognizer(tmp_path_factory: pytest.TempPathFactory) -> Recognizer:
    path = tmp_path_factory.mktemp("model") / "tiny.onnx"
    save_tiny_model(path)
    return Recognizer(path)


@pytest.fixture(autouse=True)
def an_open_event(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever face the detector follows, one event is open."""
    monkeypatch.setattr(EventDetector, "finish", lambda self, reason=None: (OPEN,) if reason is None else ())


def pictures(count: int, live: bool = False, breaks: bool = False) -> PictureSource:
    def portraits() -> Iterator[tuple[float, np.ndarray]]:
        yield from ((index / 30, portrait()) for index in range(count))
        if breaks:
            raise SourceError("the stream broke off")

    return PictureSource(SourceInfo("pictures", 512, 512, 30.0, live), portraits())


def new_run(recognizer: Recognizer, source: FrameSource, *sinks: Sink) -> LiveRun:
    labels = RunLabels(recognizer.provider, recognizer.engine_kind, "", recognizer.threads)
    live_run = LiveRun(recognizer.pipeline(source), source, recognizer.contract.class_names, labels)
    for sink in sinks:
        live_run.add_sink(sink)
    return live_run


def to_its_end(live_run: LiveRun) -> None:
    with live_run:
        while not live_run.ended:
            live_run.take(1.0)


@pytest.mark.parametrize("live", [True, False])
def test_the_end_is_told_once_after_the_last_frame_and_before_closing(recognizer: Recognizer, live: bool) -> None:
    diary = Diary()
    with pictures(4, live) as source, diary:
        live_run = new_run(recognizer, source, diary)
        to_its_end(live_run)
    assert diary.told == [0, 1, 2, 3, (OPEN,), "closed"] and live_run.error is None
    assert live_run.history.events.window().micro == 1
    told = live_run.report()
    assert told["frames"] == 4 and told["events"]["found"]["micro"] == {"surprise": 1}


def test_a_source_that_breaks_off_ends_it_too(recognizer: Recognizer) -> None:
    diary = Diary()
    with pictures(4, live=True, breaks=True) as source:
        live_run = new_run(recognizer, source, diary)
        to_its_end(live_run)
    assert diary.told == [0, 1, 2, 3, (OPEN,)] and isinstance(live_run.error, SourceError)


@pytest.mark.parametrize("fails_at", [2, "finish"])
def test_one_that_fails_keeps_the_others_from_nothing(recognizer: Recognizer, fails_at: int | str) -> None:
    before, failing, after = Diary(), Diary(fails_at), Diary("finish")
    with pictures(4) as source:
        live_run = new_run(recognizer, source, before, failing, after)
        to_its_end(live_run)
    frames = [0, 1, 2] if fails_at == 2 else [0, 1, 2, 3]
    assert before.told == failing.told == [*frames, (OPEN,)]
    assert after.told == [*(frames[:-1] if fails_at == 2 else frames), (OPEN,)]
    # The first error is the one to tell.
    assert str(live_run.error) == f"fails at {fails_at}"


def test_its_end_is_waited_for_whatever_was_taken(recognizer: Recognizer) -> None:
    with pictures(3) as source, new_run(recognizer, source) as live_run:
        assert live_run.wait_end(30.0)
        last = live_run.take(0.0)
    assert last is not None and last.frame.index == 2 and live_run.ended


def test_leaving_the_run_early_ends_it_too(recognizer: Recognizer) -> None:
    diary, going_on = Diary(), threading.Event()

    def endless() -> Iterator[tuple[float, np.ndarray]]:
        for index in range(1000):
            yield index / 30, portrait()
            going_on.wait(0.05)

    source = PictureSource(SourceInfo("pictures", 512, 512, 30.0, live=True), endless())
    with source, new_run(recognizer, source, diary) as live_run:
        assert live_run.take(60.0) is not None
    frames = [told for told in diary.told if isinstance(told, int)]
    assert frames == list(range(len(frames))) and diary.told[len(frames) :] == [(OPEN,)]
    assert live_run.ended or live_run.take(0.0) is not None


class Camera(PictureSource):
    """A source that can lose what it reads from."""

    def status(self) -> SourceStatus:
        return SourceStatus(Connection("connected", 0.0), 29.0, 0.02, {"source": 2, "bad_frame": 1}, reconnects=3)


def test_what_sources_and_sinks_lose_is_in_the_health(recognizer: Recognizer) -> None:
    sinks = Diary(), Diary(losses={"recorder": 4}), Diary(losses={"recorder": 1, "bad_frame": 1})
    with pictures(2) as source:
        health = new_run(recognizer, source, *sinks).health()
    assert health.dropped == {"recorder": 5, "bad_frame": 1} and health.connection is None
    camera = Camera(SourceInfo("camera 0", 512, 512, 30.0, live=True), ())
    health = new_run(recognizer, camera, *sinks).health()
    assert health.dropped == {"source": 2, "bad_frame": 2, "recorder": 5}
    assert health.connection is not None and (health.reconnects, health.newest_age_ms) == (3, pytest.approx(20.0))


def test_a_sink_closes_after_an_error_and_tells_the_first_one() -> None:
    class Failing(Sink):
        def close(self) -> None:
            raise SinkError("cannot close")

    with pytest.raises(ValueError, match="first"), Failing():
        raise ValueError("first")
    with pytest.raises(SinkError, match="cannot close"), Failing():
        pass
