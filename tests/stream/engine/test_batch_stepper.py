"""Streams stepped in one call: which go together, that none disturbs another, and that threads share a stepper."""

import gc
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.contract import ActionUnits
from stream.engine.batch_stepper import BatchStepper, StreamSlot
from stream.engine.engines import StreamingEngine, step_together
from stream.engine.model_file import LoadedModel, ModelError, load_model
from tests.helpers.models import save_tiny_streaming_model, tiny_contract

FRAMES = 9


@pytest.fixture
def model(tmp_path: Path) -> LoadedModel:
    contract = tiny_contract(frames=FRAMES, action_units=ActionUnits((1, 4)))
    save_tiny_streaming_model(tmp_path / "m.stream.onnx", contract)
    return load_model(tmp_path / "m.stream.onnx")


class Session:
    """The real one, which also notes how many streams were in each call."""

    def __init__(self, session: Any) -> None:
        self._session, self.sizes = session, list[int]()
        self.failing = False
        self.entered, self.go_on = threading.Event(), threading.Event()
        self.go_on.set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def run_with_iobinding(self, binding: Any) -> None:
        self.entered.set()
        assert self.go_on.wait(30)
        if self.failing:
            raise RuntimeError("no memory")
        self._session.run_with_iobinding(binding)
        self.sizes.append(binding.get_outputs()[0].shape()[0])


@pytest.fixture
def session(model: LoadedModel) -> Iterator[Session]:
    session = Session(model.session)
    object.__setattr__(model, "session", session)
    yield session
    session.go_on.set()


def frames_of(count: int, seed: int = 0) -> list[np.ndarray]:
    return list(np.random.default_rng(seed).normal(0, 1, (count, 32, 32, 3)).astype(np.float32))


def test_those_that_are_always_there_are_one_call(model: LoadedModel, session: Session) -> None:
    stepper = BatchStepper(model, 3)
    engines = [StreamingEngine(stepper) for _ in range(3)]
    for _ in range(40):
        step_together(engines, frames_of(3))
    assert session.sizes == [3] * 40


def test_a_stream_that_missed_a_frame_comes_back_into_the_call(model: LoadedModel, session: Session) -> None:
    stepper = BatchStepper(model, 3)
    engines, alone = ([StreamingEngine(made) for _ in range(3)] for made in (stepper, model))
    for index in range(60):
        there = [i for i in range(3) if (i, index) != (1, 20)]
        frames = frames_of(3, index)
        del session.sizes[:]
        answers = step_together([engines[i] for i in there], [frames[i] for i in there])
        # Without its neighbour in the middle, and then not in step with it, each is a call of its own; but not for long.
        assert session.sizes == ([1, 1] if index == 20 else [1, 1, 1] if 21 <= index < 24 else [3])
        for i, found in zip(there, answers, strict=True):
            expected = alone[i].step(frames[i])
            if expected is not None and found is not None:
                np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=1e-6)
            assert (found is None) == (expected is None)


def test_one_that_begins_joins_at_once(model: LoadedModel, session: Session) -> None:
    stepper = BatchStepper(model, 2)
    first, second = (StreamingEngine(stepper) for _ in range(2))
    for _ in range(5):
        first.step(frames_of(1)[0])
    del session.sizes[:]
    step_together([first, second], frames_of(2))
    assert session.sizes == [2] and (first.filled, second.filled) == (6, 1)


def test_places_are_used_again_and_more_are_made(model: LoadedModel) -> None:
    stepper = BatchStepper(model, 2)
    engines = [StreamingEngine(stepper) for _ in range(3)]
    places = [(engine.slot.block.number, engine.slot.row) for engine in engines]
    assert places == [(0, 0), (0, 1), (1, 0)]
    engines[1].step(frames_of(1)[0])
    del engines[1]
    gc.collect()
    again = StreamingEngine(stepper)
    assert (again.slot.block.number, again.slot.row, again.filled) == (0, 1, 0)


def test_threads_share_calls_and_nobody_waits_for_who_has_no_frame(model: LoadedModel, session: Session) -> None:
    """What comes while a call is running is the next call; the fourth stream never has a frame."""
    stepper = BatchStepper(model, 4)
    engines = [StreamingEngine(stepper) for _ in range(4)]
    alone = [StreamingEngine(load_model(model.path)) for _ in range(3)]
    frames = frames_of(3)
    with ThreadPoolExecutor(3) as threads:
        for index in range(30):
            session.go_on.clear()
            session.entered.clear()
            first = threads.submit(engines[0].step, frames[0] * index)
            assert session.entered.wait(30)
            others = [threads.submit(engines[i].step, frames[i] * index) for i in (1, 2)]
            while stepper.waiting < 2:
                threading.Event().wait(0.001)
            session.go_on.set()
            for i, found in enumerate([first, *others]):
                answer, expected = found.result(30), alone[i].step(frames[i] * index)
                assert (answer is None) == (expected is None)
                if answer is not None and expected is not None:
                    np.testing.assert_allclose(answer.probabilities, expected.probabilities, atol=1e-6)
    assert session.sizes == [1, 2] * 30 and engines[3].filled == 0


def test_a_call_that_fails_is_told_to_all_in_it_and_ends_nothing(model: LoadedModel, session: Session) -> None:
    stepper = BatchStepper(model, 2)
    engines = [StreamingEngine(stepper) for _ in range(2)]
    session.failing = True
    with pytest.raises(ModelError, match="fails when it is run: no memory"):
        step_together(engines, frames_of(2))
    session.failing = False
    for _ in range(FRAMES):
        answers = step_together(engines, frames_of(2))
    assert None not in answers


def test_what_does_not_fit_is_refused(model: LoadedModel) -> None:
    with pytest.raises(ValueError, match="together: expected 1 or more, found 0"):
        BatchStepper(model, 0)
    stepper = BatchStepper(model)
    slot: StreamSlot = stepper.new_slot()
    with pytest.raises(ValueError, match=r"network frames: expected \(32, 32, 3\), found \[\(3, 3\)\]"):
        stepper.step([slot], [np.zeros((3, 3), np.float32)])
