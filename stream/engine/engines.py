"""Engines: network frames in, answers out. `step` and `reset` are all that the live loop knows of them.

The streaming engine takes one new frame and answers for the whole window; what earlier frames left is kept by a
`BatchStepper`, which it may share with others.

The sliding window: network frames on the contract's time grid, the newest `frames` of them.
"""

import weakref
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from model.contract import ClipContract
from stream.engine.batch_stepper import Answer, BatchStepper, StreamSlot, answer_sizes
from stream.engine.model_file import UNITS, LoadedModel, ModelError, answer_of, failed_run


class StreamingEngine:
    """Answers as WindowEngine does, many times faster. On CUDA the states stay on the device between steps.

    One stream of a `BatchStepper`; given a model, of one of its own. Its place there is free again when it is gone.
    """

    def __init__(self, model: LoadedModel | BatchStepper) -> None:
        self.stepper = model if isinstance(model, BatchStepper) else BatchStepper(model)
        self.slot: StreamSlot = self.stepper.new_slot()
        weakref.finalize(self, self.stepper.give_back, self.slot)

    @property
    def filled(self) -> int:
        return self.slot.seen

    def reset(self) -> None:
        """Withholds answers until the window is full again. What older frames left in the rings no longer counts then:
        every value depends on the window's frames alone."""
        self.slot.seen = 0

    def step(self, features: NDArray[Any]) -> Answer | None:
        """The next network frame (size, size, channels) → the answer, or None while the window fills."""
        (answer,) = self.stepper.step([self.slot], [features])
        return answer


class ClipBuffer:
    """A ring of the last `contract.frames` network frames, in one array of twice the length.

    Every frame is written twice, half the array apart, so that a window is always one contiguous slice: no copy.
    """

    def __init__(self, contract: ClipContract) -> None:
        self._frames = contract.frames
        self._ring = np.zeros((2 * contract.frames, *contract.input_shape[1:]), contract.input.dtype)
        self.reset()

    def reset(self) -> None:
        self._written = 0

    @property
    def filled(self) -> int:
        """Frames in the window, 0 to the contract's `frames`."""
        return min(self._written, self._frames)

    def append(self, features: NDArray[Any]) -> None:
        """Adds a frame (input size, input size, channels)."""
        slot = self._written % self._frames
        self._ring[slot] = features
        self._ring[slot + self._frames] = features
        self._written += 1

    def window(self) -> NDArray[Any] | None:
        """(frames, size, size, channels), oldest first; a view that the next `append` changes. None until full."""
        if self._written < self._frames:
            return None
        start = self._written % self._frames
        return self._ring[start : start + self._frames]


class Engine(Protocol):
    """`step` takes the next network frame (size, size, channels); the answer, or None while filling."""

    @property
    def filled(self) -> int:
        """Frames in the window, 0 to the contract's `frames`."""
        ...

    def step(self, features: NDArray[Any]) -> Answer | None: ...

    def reset(self) -> None: ...


class WindowEngine:
    """The plain engine: keeps the window and runs the whole network on it at every frame."""

    def __init__(self, model: LoadedModel) -> None:
        self._session = model.session
        self._path = model.path
        classes, units = answer_sizes(model.contract)
        self._input = model.session.get_inputs()[0].name
        self._outputs = {answer_of(model.session).name: (1, classes)} | ({UNITS: (1, units)} if units else {})
        self._buffer = ClipBuffer(model.contract)

    @property
    def filled(self) -> int:
        return self._buffer.filled

    def reset(self) -> None:
        self._buffer.reset()

    def step(self, features: NDArray[Any]) -> Answer | None:
        self._buffer.append(features)
        window = self._buffer.window()
        if window is None:
            return None
        try:
            found = self._session.run(list(self._outputs), {self._input: window[np.newaxis]})
        except Exception as error:  # of a class of its own for each kind of fault
            raise failed_run(self._path, error) from error
        answers = [np.asarray(values) for values in found]
        for values, expected in zip(answers, self._outputs.values(), strict=True):
            if values.shape != expected:
                raise ModelError(f"{self._path}: expected an answer of {expected}, found {values.shape}")
        return Answer(answers[0][0], answers[1][0] if len(answers) > 1 else np.zeros(0, np.float32))


def step_together(engines: Sequence[Engine], frames: Sequence[NDArray[Any]]) -> list[Answer | None]:
    """The next network frame of each engine → their answers, in the same order; none twice. Streaming engines of one
    stepper are stepped in one call."""
    answers: list[Answer | None] = [None] * len(engines)
    shared: dict[BatchStepper, list[int]] = {}
    for index, engine in enumerate(engines):
        if isinstance(engine, StreamingEngine):
            shared.setdefault(engine.stepper, []).append(index)
        else:
            answers[index] = engine.step(frames[index])
    for stepper, places in shared.items():
        slots = [engine.slot for index in places if isinstance(engine := engines[index], StreamingEngine)]
        for index, answer in zip(places, stepper.step(slots, [frames[i] for i in places]), strict=True):
            answers[index] = answer
    return answers
