"""The streaming engine: one new frame in, the answer for the whole window out.

The exported graph takes a frame and values of earlier frames (`state_<name>_<age>`) and gives the answer and this
frame's values (`next_state_<name>`). Here the values live in rings of fixed buffers. For every place in the rings there
is one ready-made binding, in which the oldest buffer is the output and the others are inputs by their age: a step picks
the next binding and runs it, and no state is copied.

The sliding window: network frames on the contract's time grid, the newest `frames` of them.

Engines: network frames in, answers out. `step` and `reset` are all that the live loop knows of them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from model.contract import ClipContract
from stream.engine.model_file import ANSWER, UNITS, LoadedModel, ModelError, State, answer_of, failed_run, states_of


@dataclass(frozen=True, eq=False)
class Answer:
    """What a model says of a window: `probabilities` (classes,), and `action_units` (2 units,) in the order of the contract's
    `ActionUnits.names`, empty where the model tells none. Of streams that are stepped together each has a batch before.

    Both arrays may be overwritten by the next step.
    """

    probabilities: NDArray[np.float32]
    action_units: NDArray[np.float32]


class StreamingEngine:
    """Answers as WindowEngine does, many times faster. On CUDA the states stay on the device between steps.

    `batch` independent streams can be stepped together with `step_batch`.
    """

    def __init__(self, model: LoadedModel, batch: int = 1) -> None:
        self._session = model.session
        self._path = model.path
        self._frames = model.contract.frames
        self._frame_shape = (batch, *model.contract.input_shape[1:])
        on_cpu = model.provider == "CPU"
        device = "cpu" if on_cpu else "cuda"
        self._frame = np.zeros(self._frame_shape, model.contract.input.dtype)
        self._device_frame = ort.OrtValue.ortvalue_from_numpy(self._frame, device, 0)
        # On the CPU the value shares the array's memory: writing to the array is all it takes.
        self._upload = not on_cpu
        classes, units = answer_sizes(model.contract)
        self._answers = Answer(np.zeros((batch, classes), np.float32), np.zeros((batch, units), np.float32))
        self._first = Answer(self._answers.probabilities[0], self._answers.action_units[0])
        self._bindings = self._bind(states_of(self._session, model.contract), batch, device)
        self.reset()

    @property
    def filled(self) -> int:
        return min(self._seen, self._frames)

    def reset(self) -> None:
        """Withholds answers until the window is full again. What older frames left in the rings no longer counts then:
        every value depends on the window's frames alone."""
        self._seen = 0

    def step(self, features: NDArray[Any]) -> Answer | None:
        """The next network frame (size, size, channels) → the answer, or None while the window fills."""
        return None if self.step_batch(features[np.newaxis]) is None else self._first

    def step_batch(self, features: NDArray[Any]) -> Answer | None:
        """(batch, size, size, channels) → (batch, classes) and (batch, 2 units): one frame for each of the independent
        streams."""
        np.copyto(self._frame, features)
        if self._upload:
            self._device_frame.update_inplace(self._frame)
        try:
            self._session.run_with_iobinding(self._bindings[self._phase])
        except Exception as error:  # of a class of its own for each kind of fault
            raise failed_run(self._path, error) from error
        self._phase = (self._phase + 1) % len(self._bindings)
        self._seen += 1
        return self._answers if self._seen >= self._frames else None

    def _bind(self, states: Sequence[State], batch: int, device: str) -> list[ort.IOBinding]:
        self._phase = 0
        self._arrays: list[NDArray[Any]] = []
        rings = {state.name: self._ring(state, batch, device) for state in states}
        # Values on the CPU refer to the answers' own memory.
        outputs = {ANSWER: ort.OrtValue.ortvalue_from_numpy(self._answers.probabilities, "cpu", 0)}
        if self._answers.action_units.size:
            outputs[UNITS] = ort.OrtValue.ortvalue_from_numpy(self._answers.action_units, "cpu", 0)
        bindings: list[ort.IOBinding] = []
        for phase in range(math.lcm(*(len(ring) for ring in rings.values()))):
            binding = self._session.io_binding()
            binding.bind_ortvalue_input("frame", self._device_frame)
            for name, value in outputs.items():
                binding.bind_ortvalue_output(name, value)
            for state in states:
                ring = rings[state.name]
                binding.bind_ortvalue_output(f"next_state_{state.name}", ring[phase % len(ring)])
                for age in state.ages:
                    binding.bind_ortvalue_input(f"state_{state.name}_{age}", ring[(phase - age) % len(ring)])
            bindings.append(binding)
        return bindings

    def _ring(self, state: State, batch: int, device: str) -> list[ort.OrtValue]:
        arrays = [np.zeros((batch, *state.shape), state.dtype) for _ in range(state.ring_length)]
        if device == "cpu":
            # Values on the CPU refer to the arrays' memory, which must live as long as they do.
            self._arrays += arrays
        return [ort.OrtValue.ortvalue_from_numpy(array, device, 0) for array in arrays]


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


def answer_sizes(contract: ClipContract) -> tuple[int, int]:
    """Of a window's answer: classes, and values of its action units (0 where the model tells none)."""
    return len(contract.class_names), len(contract.unit_names)
