"""The live loop: one result a frame, and no event is lost at the end. Threads that work ahead."""

import queue
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.types import Event, Frame, FrameResult
from stream.engine.engines import WindowEngine
from stream.engine.model_file import LoadedModel, load_model
from stream.events.detector import EventDetector
from stream.picture_limits import WAITING_BYTES, PictureQueue
from stream.pipeline import LivePipeline, PipelineSettings, RunAhead
from stream.recognizer import Recognizer
from stream.sources.base import SourceError, SourceInfo
from stream.sources.pictures import PictureSource
from tests.helpers.faces import portrait
from tests.helpers.models import save_tiny_model
from tests.helpers.processes import DEADLINE_S

OPEN = Event(1, "micro", "surprise", 0.1, 0.2, 0.3, 0.7, 1.2)


def pictures(count: int, live: bool = False, breaks: bool = False) -> PictureSource:
    """So many portraits, which may break off."""

    def portraits() -> Iterator[tuple[float, np.ndarray]]:
        yield from ((index / 30, portrait()) for index in range(count))
        if breaks:
            raise SourceError("the stream broke off")

    return PictureSource(SourceInfo("pictures", 512, 512, 30.0, live), portraits())


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "tiny.onnx"
    save_tiny_model(path)
    return path


@pytest.fixture(scope="module")
def model(path: Path) -> LoadedModel:
    return load_model(path)


@pytest.fixture
def an_open_event(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever face the detector follows, one event is open."""
    monkeypatch.setattr(EventDetector, "finish", lambda self, reason=None: (OPEN,) if reason is None else ())


def pipeline(model: LoadedModel, source: PictureSource, **settings: object) -> LivePipeline:
    return LivePipeline(source, model.contract, lambda: WindowEngine(model), PipelineSettings(**settings))  # type: ignore[arg-type]


def indices(results: list[FrameResult]) -> list[int]:
    return [result.frame.index for result in results]


@pytest.mark.usefixtures("an_open_event")
@pytest.mark.parametrize("live", [True, False])
def test_the_end_decides_the_events_that_were_open(model: LoadedModel, live: bool) -> None:
    running = pipeline(model, pictures(6, live))
    assert running.finish() == ()
    results = list(running.results())
    assert indices(results) == [0, 1, 2, 3, 4, 5]
    assert [result.events for result in results] == [()] * 6
    assert running.finish() == (OPEN,)
    # They are handed over once.
    assert running.finish() == ()


@pytest.mark.usefixtures("an_open_event")
def test_the_last_frame_of_a_file_has_them(path: Path) -> None:
    results = list(Recognizer(path).run(pictures(6)))
    assert indices(results) == [0, 1, 2, 3, 4, 5]
    assert [result.events for result in results] == [()] * 5 + [(OPEN,)]


@pytest.mark.usefixtures("an_open_event")
def test_the_frames_of_a_live_source_are_not_held_back_for_them(path: Path) -> None:
    given: list[int] = []

    def portraits() -> Iterator[tuple[float, np.ndarray]]:
        for index in range(4):
            given.append(index)
            yield index / 30, portrait()
            # A camera: the next picture comes when this one has been answered.
            assert answered.wait(DEADLINE_S)
            answered.clear()

    answered = threading.Event()
    source = PictureSource(SourceInfo("pictures", 512, 512, 30.0, live=True), portraits())
    results = []
    for result in Recognizer(path).run(source):
        assert given[-1] == result.frame.index
        results.append(result)
        answered.set()
    assert indices(results) == [0, 1, 2, 3] and [result.events for result in results] == [()] * 4


@pytest.mark.usefixtures("an_open_event")
def test_the_first_n_frames_end_with_them_too(model: LoadedModel) -> None:
    running = pipeline(model, pictures(60), max_frames=4)
    assert indices(list(running.results())) == [0, 1, 2, 3]
    assert running.finish() == (OPEN,)


def test_without_such_events_there_are_none(model: LoadedModel) -> None:
    running = pipeline(model, pictures(4, live=True))
    assert indices(list(running.results())) == [0, 1, 2, 3] and running.finish() == ()


@pytest.mark.usefixtures("an_open_event")
def test_a_stopped_run_decides_them_too(model: LoadedModel) -> None:
    running = pipeline(model, pictures(60))
    results = []
    for result in running.results():
        results.append(result)
        if result.frame.index == 2:
            running.stop()
    assert len(results) < 60 and indices(results) == list(range(len(results)))
    assert running.finish() == (OPEN,)


@pytest.mark.usefixtures("an_open_event")
def test_so_does_a_run_that_its_reader_leaves(model: LoadedModel) -> None:
    running = pipeline(model, pictures(60))
    results = running.results()
    assert next(results).frame.index == 0
    results.close()
    assert running.finish() == (OPEN,)


@pytest.mark.usefixtures("an_open_event")
@pytest.mark.parametrize("live", [True, False])
def test_what_breaks_off_gives_all_frames_before_its_error(model: LoadedModel, path: Path, live: bool) -> None:
    results = []
    running = pipeline(model, pictures(5, live=live, breaks=True))
    with pytest.raises(SourceError, match="broke off"):
        for result in running.results():
            results.append(result)
    assert indices(results) == [0, 1, 2, 3, 4] and running.finish() == (OPEN,)
    results.clear()
    with pytest.raises(SourceError, match="broke off"):
        for result in Recognizer(path).run(pictures(5, live=live, breaks=True)):
            results.append(result)
    assert indices(results) == [0, 1, 2, 3, 4] and results[-1].events == (() if live else (OPEN,))
    assert not [thread for thread in threading.enumerate() if thread.name in ("decode", "align", "preprocess")]


@pytest.mark.usefixtures("an_open_event")
def test_labels_only(model: LoadedModel) -> None:
    results = list(pipeline(model, pictures(35), detect_events=False).results())
    assert [result.status for result in results] == ["filling"] * 29 + ["ok"] * 6
    assert all(result.events == () and not result.faces[0].calibrated for result in results)


def test_a_reset_gives_a_new_number(model: LoadedModel) -> None:
    running = pipeline(model, pictures(40, live=True))
    tracks = []
    for result in running.results():
        tracks += [face.track for face in result.faces]
        if result.frame.index == 10:
            running.request_reset()
    assert tracks[0] == 1 and tracks[-1] == 2 and tracks == sorted(tracks) and len(tracks) == 40


def test_order_and_end() -> None:
    with RunAhead(range(500), 3, "numbers") as ahead:
        assert list(ahead) == list(range(500))


def test_never_more_than_its_bound_ahead() -> None:
    made: list[int] = []
    taken: list[int] = []
    most = 0

    def items() -> Iterator[int]:
        for i in range(200):
            made.append(i)
            yield i

    with RunAhead(items(), 4, "bounded") as ahead:
        for item in ahead:
            taken.append(item)
            # One item may be in the thread's hand beside those that wait.
            most = max(most, len(made) - len(taken))
    assert most <= 5


def test_an_error_comes_after_the_items_before_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise RuntimeError("broken")

    seen = []
    with RunAhead(items(), 2, "broken") as ahead, pytest.raises(RuntimeError, match="broken"):
        for item in ahead:
            seen.append(item)
    assert seen == [1, 2]


def test_closing_early_ends_the_thread() -> None:
    before = threading.active_count()
    with RunAhead(iter(int, 1), 2, "endless") as ahead:
        next(iter(ahead))
        assert threading.active_count() == before + 1
    assert threading.active_count() == before


def test_closed_before_it_began() -> None:
    ahead = RunAhead(range(3), 1, "never")
    ahead.close()
    assert list(ahead) == []


@pytest.mark.parametrize("value", [0, -1.0, float("nan"), float("inf"), "2", None])
def test_a_sensitivity_is_a_number_above_0(path: Path, value: Any) -> None:
    for make in (lambda: PipelineSettings(sensitivity=value), lambda: Recognizer(path, sensitivity=value)):
        with pytest.raises(ValueError, match="sensitivity: expected a finite number above 0, found"):
            make()


def test_bounds_are_checked() -> None:
    with pytest.raises(ValueError, match="expected 1 or more"):
        RunAhead([], 0, "none")


def test_large_items_wait_in_bytes_not_in_numbers() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(8):
            taken.append(number)
            yield number

    with RunAhead(items(), 4, "large", lambda _: WAITING_BYTES) as ahead:
        reader = iter(ahead)
        for number in range(8):
            assert next(reader) == number
            # One waits, and the next is in hand.
            assert len(taken) <= number + 3


def test_results_with_large_pictures_wait_in_bytes() -> None:
    image = np.broadcast_to(np.uint8(0), (4320, 7680, 3))
    large = FrameResult(Frame(0, 0.0, image, 0.0), (), "no_face", (), 1.0, {})
    small = FrameResult(Frame(0, 0.0, np.zeros((8, 8, 3), np.uint8), 0.0), (), "no_face", (), 1.0, {})
    waiting = PictureQueue(4)
    for _ in range(3):
        waiting.put_nowait(large)
        with pytest.raises(queue.Full):
            waiting.put_nowait(small)
        assert waiting.get_nowait() is large
    for _ in range(4):
        waiting.put_nowait(small)
    with pytest.raises(queue.Full):
        waiting.put_nowait(None)
