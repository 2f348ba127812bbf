"""The library: frames pushed one by one give what a source of them gives; callbacks, errors, threads, the end."""

import json
import pickle
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.errors import MicroliveError
from model.types import Event, FaceResult, Frame, FrameResult
from stream.engine.model_file import ModelError
from stream.events.detector import EventDetector
from stream.given_pictures import FrameError
from stream.recognizer import Recognizer
from stream.sources.base import SourceInfo
from stream.sources.open import open_source
from stream.sources.pictures import PictureSource
from tests.helpers.clips import Frames, face_frames
from tests.helpers.models import save_tiny_model
from tests.helpers.processes import DEADLINE_S
from tests.helpers.results import face, prediction, result

GAP_FROM, GAP_S = 210, 1.5
"""In the frames below: long past one window, and past the detector's calibration."""


@pytest.fixture(scope="module")
def frames() -> list[Frame]:
    """The demo with a gap; what was decided before and after it are events of several kinds."""
    with open_source("demo", "fast") as demo:
        return [replace(frame, time_s=frame.time_s + GAP_S * (frame.index >= GAP_FROM)) for frame in demo]


def source(frames: Sequence[Frame], live: bool = False) -> PictureSource:
    return PictureSource(SourceInfo("frames", 512, 512, 30.0, live), [(frame.time_s, frame.image) for frame in frames])


@pytest.fixture(scope="module")
def expected(frames: list[Frame]) -> list[FrameResult]:
    return list(Recognizer().run(source(frames)))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tiny") / "tiny.onnx"
    save_tiny_model(path)
    return path


def said(found: FrameResult) -> dict[str, Any]:
    """Everything but how long it took."""
    values = found.to_dict()
    del values["latency_ms"], values["stages_ms"]
    return values


def push(recognizer: Recognizer, frames: Sequence[Frame]) -> list[FrameResult]:
    """`process` and `finish`; as `run` does it, the last result has the events that the end decided."""
    found = [recognizer.process(frame.image, frame.time_s) for frame in frames]
    return [*found[:-1], replace(found[-1], events=found[-1].events + recognizer.finish())]


def same(found: Sequence[FrameResult], expected: Sequence[FrameResult]) -> None:
    assert [said(one) for one in found] == [said(one) for one in expected]
    for one, other in zip(found, expected, strict=True):
        assert [seen.face for seen in one.faces] == [seen.face for seen in other.faces]
        assert np.array_equal(one.frame.image, other.frame.image)


def test_the_frames_hold_what_is_to_be_the_same(frames: list[Frame], expected: list[FrameResult]) -> None:
    statuses = {one.status for one in expected[:GAP_FROM]}
    assert statuses >= {"filling", "ok"} and expected[GAP_FROM].status != "ok" and len(frames) > GAP_FROM + 60
    events = [event for one in expected for event in one.events]
    assert any(event.rejected is None for event in events) and any(event.rejected for event in events)


def test_pushed_frames_give_what_a_source_of_them_gives(frames: list[Frame], expected: list[FrameResult]) -> None:
    with Recognizer() as recognizer:
        same(push(recognizer, frames), expected)


def test_so_they_do_after_a_reset_and_after_finish(frames: list[Frame], expected: list[FrameResult]) -> None:
    with Recognizer() as recognizer:
        for frame in frames[30:100]:
            recognizer.process(frame.image, frame.time_s)
        recognizer.reset()
        first = [recognizer.process(frame.image, frame.time_s) for frame in frames[:120]]
        same(first, expected[:120])
        recognizer.finish()
        assert recognizer.finish() == ()
        same(push(recognizer, frames), expected)


def test_a_run_and_pushed_frames_do_not_mix(frames: list[Frame], expected: list[FrameResult]) -> None:
    with Recognizer() as recognizer:
        run = recognizer.run(source(frames[:150]))
        both = [(recognizer.process(frame.image, frame.time_s), next(run)) for frame in frames[:149]]
    same([pushed for pushed, _ in both], expected[:149])
    same([taken for _, taken in both], expected[:149])


def test_two_recognizers_in_two_threads_give_what_each_gives_alone(
    frames: list[Frame], expected: list[FrameResult]
) -> None:
    later = [replace(frame, image=np.ascontiguousarray(frame.image[:, ::-1])) for frame in frames[:160]]
    alone = push(Recognizer(), later)
    found: dict[str, list[FrameResult]] = {}
    jobs = {"first": lambda: push(Recognizer(), frames), "second": lambda: push(Recognizer(), later)}
    threads = [threading.Thread(target=lambda k=k, j=j: found.update({k: j()})) for k, j in jobs.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=DEADLINE_S)
    same(found["first"], expected)
    same(found["second"], alone)


def test_threads_that_share_one_take_turns(tiny: Path) -> None:
    """Whatever the order, every frame is one step: a time that another thread has overtaken is refused, no more."""
    picture, count, times = face_frames(1)[0], 40, iter(range(10_000))
    lock, outcomes = threading.Lock(), []
    with Recognizer(tiny) as recognizer:

        def work() -> None:
            for _ in range(count):
                with lock:
                    time_s = next(times) / 30
                try:
                    outcomes.append(recognizer.process(picture, time_s).frame.index)
                except FrameError:
                    outcomes.append(None)

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=DEADLINE_S)
    assert len(outcomes) == 3 * count
    taken = sorted(index for index in outcomes if index is not None)
    assert taken == list(range(len(taken))) and taken


COLOURS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "bgr": lambda picture: picture,
    "rgb": lambda picture: picture[..., ::-1],
}


@pytest.mark.parametrize("colour", COLOURS)
def test_colours_and_arrays_that_are_not_contiguous(tiny: Path, colour: str) -> None:
    pictures = face_frames(45)
    with Recognizer(tiny) as recognizer:
        plain = [recognizer.process(picture, n / 30) for n, picture in enumerate(pictures)]
        recognizer.reset()
        wide = [np.repeat(COLOURS[colour](picture), 2, axis=1)[:, ::2] for picture in pictures]
        assert not wide[0].flags.c_contiguous
        same([recognizer.process(picture, n / 30, colour=colour) for n, picture in enumerate(wide)], plain)  # type: ignore[arg-type]


def test_grey_is_grey_in_all_channels(tiny: Path) -> None:
    with Recognizer(tiny) as recognizer:
        pictures = [picture[..., 1] for picture in face_frames(35)]
        grey = [recognizer.process(picture, n / 30, colour="grey") for n, picture in enumerate(pictures)]
        recognizer.reset()
        same(grey, [recognizer.process(np.dstack([picture] * 3), n / 30) for n, picture in enumerate(pictures)])
    assert grey[-1].status == "ok"


def test_a_picture_may_be_written_over_afterwards(tiny: Path) -> None:
    pictures, one = face_frames(40), np.empty((512, 512, 3), np.uint8)
    with Recognizer(tiny) as recognizer:
        plain = [recognizer.process(picture, n / 30) for n, picture in enumerate(pictures)]
        recognizer.reset()
        found = []
        for n, picture in enumerate(pictures):
            one[:] = picture
            found.append(recognizer.process(one, n / 30))
        one[:] = 0
        same(found, plain)


GOOD = np.zeros((48, 64, 3), np.uint8)
REFUSED: list[tuple[object, object, str, str]] = [
    (GOOD.astype(np.float32), 2.0, "bgr", "uint8.*float32"),
    (GOOD.astype(np.int16), 2.0, "bgr", "uint8.*int16"),
    (GOOD[..., 0], 2.0, "bgr", r"\(height, width, 3\).*\(48, 64\)"),
    (GOOD, 2.0, "grey", r"\(height, width\) .*\(48, 64, 3\)"),
    (np.zeros((48, 64, 4), np.uint8), 2.0, "rgb", r"\(48, 64, 4\)"),
    (np.zeros((1, 48, 64, 3), np.uint8), 2.0, "bgr", r"\(1, 48, 64, 3\)"),
    (np.zeros((0, 64, 3), np.uint8), 2.0, "bgr", "64 x 0"),
    (np.zeros((0, 0), np.uint8), 2.0, "grey", "0 x 0"),
    (GOOD.tolist(), 2.0, "bgr", "NumPy array.*list"),
    (None, 2.0, "bgr", "NumPy array.*NoneType"),
    (GOOD, 2.0, "hsv", "bgr, rgb, grey.*hsv"),
    (GOOD, float("nan"), "bgr", "finite.*nan"),
    (GOOD, float("inf"), "bgr", "finite.*inf"),
    (GOOD, -0.1, "bgr", "0 or more.*-0.1"),
    (GOOD, "2", "bgr", "seconds.*'2'"),
    (GOOD, None, "bgr", "seconds.*None"),
    (GOOD, 34 / 30, "bgr", "frame before, 1.1333.* s, found 1.1333"),
    (GOOD, 0.5, "bgr", "frame before.*found 0.5 s"),
]


def test_what_does_not_fit_is_refused_and_changes_nothing(tiny: Path) -> None:
    """Also in the middle of a video: the frames after it are answered as if it had not been tried."""
    pictures = face_frames(50)
    with Recognizer(tiny) as recognizer:
        plain = [recognizer.process(picture, n / 30) for n, picture in enumerate(pictures)]
        recognizer.reset()
        found = [recognizer.process(picture, n / 30) for n, picture in enumerate(pictures[:35])]
        for image, time_s, colour, message in REFUSED:
            with pytest.raises(FrameError, match=message) as caught:
                recognizer.process(image, time_s, colour)  # type: ignore[arg-type]
            assert isinstance(caught.value, ValueError) and isinstance(caught.value, MicroliveError)
            assert "\n" not in str(caught.value)
        found += [recognizer.process(picture, n / 30) for n, picture in enumerate(pictures[35:], start=35)]
        same(found, plain)


def test_a_model_that_fails_leaves_a_fresh_start(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from stream.engine.engines import WindowEngine

    pictures = face_frames(40)
    with Recognizer(tiny) as recognizer:
        plain = [recognizer.process(picture, n / 30) for n, picture in enumerate(pictures)]
        recognizer.reset()
        with monkeypatch.context() as broken:
            broken.setattr(WindowEngine, "step", lambda self, features: (_ for _ in ()).throw(ModelError("it fails")))
            with pytest.raises(ModelError, match="it fails"):
                for n, picture in enumerate(pictures):
                    recognizer.process(picture, n / 30)
        same([recognizer.process(picture, n / 30) for n, picture in enumerate(pictures)], plain)


def test_callbacks_hear_of_every_result_and_event(frames: list[Frame], expected: list[FrameResult]) -> None:
    heard: list[Event | FrameResult] = []
    recognizer = Recognizer(on_event=heard.append, on_result=heard.append)
    events = [event for one in expected for event in one.events]
    ran = list(recognizer.run(source(frames)))
    assert [one for one in heard if isinstance(one, FrameResult)] == ran
    assert [one for one in heard if isinstance(one, Event)] == events
    heard.clear()
    push(recognizer, frames)
    assert [said(one)["frame"] for one in heard if isinstance(one, FrameResult)] == [one.frame.index for one in ran]
    assert [one for one in heard if isinstance(one, Event)] == events


def test_they_hear_of_a_live_sources_last_events_too(
    frames: list[Frame], expected: list[FrameResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    last = Event(1, "micro", "surprise", 0.1, 0.2, 0.3, 0.7, 1.2)
    monkeypatch.setattr(EventDetector, "finish", lambda self, reason=None: (last,) if reason is None else ())
    heard: list[Event] = []
    ran = list(Recognizer(on_event=heard.append).run(source(frames[:60], live=True)))
    assert heard == [last] and len(ran) == 60 and not any(one.events for one in ran)


def test_what_a_callback_raises_reaches_the_caller(tiny: Path) -> None:
    def refuse(found: FrameResult) -> None:
        if found.frame.index == 1:
            raise KeyError("enough")

    pictures = face_frames(3)
    with Recognizer(tiny, on_result=refuse) as recognizer:
        recognizer.process(pictures[0], 0.0)
        with pytest.raises(KeyError, match="enough"):
            recognizer.process(pictures[1], 0.1)
        assert recognizer.process(pictures[2], 0.2).frame.index == 2, "the frame has been taken all the same"
        with pytest.raises(KeyError, match="enough"):
            list(recognizer.run(Frames([Frame(n, n / 30, picture, 0.0) for n, picture in enumerate(pictures)])))
    assert not [thread for thread in threading.enumerate() if thread.name in ("decode", "align")]


def test_a_callback_may_end_the_video(tiny: Path) -> None:
    pictures = face_frames(2)
    recognizer = Recognizer(tiny, on_result=lambda found: recognizer.close() if found.frame.index == 1 else None)
    recognizer.process(pictures[0], 0.0)
    assert recognizer.process(pictures[1], 0.1).frame.index == 1
    with pytest.raises(MicroliveError, match="closed"):
        recognizer.process(pictures[0], 0.2)


def test_after_close_every_use_says_so(tiny: Path) -> None:
    frames = [Frame(n, n / 30, picture, 0.0) for n, picture in enumerate(face_frames(5))]
    recognizer = Recognizer(tiny)
    recognizer.process(frames[0].image, 0.0)
    run = recognizer.run(Frames(frames))
    next(run)
    recognizer.close()
    recognizer.close()
    uses: list[Callable[[], object]] = [
        lambda: recognizer.process(frames[0].image, 1.0),
        lambda: recognizer.run(Frames(frames)),
        lambda: next(run),
        recognizer.finish,
        recognizer.reset,
        recognizer.__enter__,
    ]
    for use in uses:
        with pytest.raises(MicroliveError, match=r"^the recognizer is closed: make a new Recognizer$"):
            use()
    assert recognizer.contract.class_names, "what the model says of itself can still be read"


def test_results_are_ready_for_json(expected: list[FrameResult]) -> None:
    written = [json.loads(json.dumps(one.to_dict(), allow_nan=False)) for one in expected]
    assert written == [one.to_dict() for one in expected]
    answered = next(one for one in written if one["status"] == "ok")
    assert list(answered) == ["frame", "time_s", "status", "faces", "events", "latency_ms", "stages_ms"]
    seen = answered["faces"][0]
    assert set(seen) == {
        "track", "status", "filled", "label", "confidence", "probabilities", "action_units", "box_px",
        "calibrated", "rate_hz", "smallest_px", "watchable"
    }  # fmt: skip
    assert seen["confidence"] == seen["probabilities"][seen["label"]] == max(seen["probabilities"].values())
    left, top, width, height = seen["box_px"]
    assert 0 < left < left + width < 512 and 0 < top < top + height < 512 and min(width, height) > 50
    event = next(event for one in written for event in one["events"] if "rejected" not in event)
    assert set(event) == {
        "kind", "label", "onset_s", "apex_s", "offset_s", "confidence", "peak_px", "track", "action_units",
        "action_unit_confidences", "probability", "evidence"
    }  # fmt: skip


def test_results_without_a_face_or_an_answer_are_too() -> None:
    assert result(status="no_face").to_dict()["faces"] == []
    seen = FaceResult(1, "filling", 3, None, face())
    assert (seen.to_dict()["label"], seen.to_dict()["confidence"], seen.to_dict()["probabilities"]) == (None,) * 3


def test_results_pickle_and_come_back_equal(expected: list[FrameResult]) -> None:
    for one in (*expected[::40], *(one for one in expected if one.events)):
        back = pickle.loads(pickle.dumps(one))
        assert back == one and back is not one
        assert back.faces == one.faces and back.events == one.events


def test_what_differs_is_not_equal() -> None:
    one = result(answer=prediction(0.1, 0.2, 0.3, 0.4), at=face())
    assert one == replace(one) and one != replace(one, latency_ms=0.0) and one != "result"
    other = replace(one, frame=replace(one.frame, image=one.frame.image.astype(np.int16)))
    assert one != other, "the same numbers of another type"
    assert one != replace(one, faces=(replace(one.faces[0], face=face(x=101)),))


def test_pictures_beyond_the_limit_are_refused_before_they_are_copied(tmp_path: Path) -> None:
    save_tiny_model(tmp_path / "tiny.onnx")
    huge = np.broadcast_to(np.uint8(0), (16000, 16000, 3))
    with Recognizer(tmp_path / "tiny.onnx") as recognizer:
        with pytest.raises(FrameError, match="pictures of 16000 x 16000 px are too large: up to 64 megapixels"):
            recognizer.process(huge, 0.0)
        assert recognizer.process(np.zeros((48, 64, 3), np.uint8), 0.0).frame.index == 0
