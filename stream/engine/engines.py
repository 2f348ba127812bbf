"""The streaming engine: one new frame in, the answer for the whole window out.

The exported graph takes a frame and values of earlier frames (`state_<name>_<age>`) and gives the answer and this
frame's values (`next_state_<name>`). Here the values live in rings of fixed buffers. For every place in the rings there
is one ready-made binding, in which the oldest buffer is the output and the others are inputs by their age: a step picks
the next binding and runs it, and no state is copied.

The sliding window: network frames on the contract's time grid, the newest `frames` of them.

Engines: network frames in, probabilities out. `step` and `reset` are all that the live loop knows of them.
"""

import math
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from model.contract import ClipContract
from stream.engine.model_file import ANSWER, LoadedModel, ModelError, State, failed_run, states_of


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
        self._answer = np.zeros((batch, len(model.contract.class_names)), np.float32)
        self._bindings = self._bind(states_of(self._session, self._frames), batch, device)
        self.reset()

    @property
    def filled(self) -> int:
        return min(self._seen, self._frames)

    def reset(self) -> None:
        """Withholds answers until the window is full again. What older frames left in the rings no longer counts then:
        every value depends on the window's frames alone."""
        self._seen = 0

    def step(self, features: NDArray[Any]) -> NDArray[np.float32] | None:
        """The next network frame (size, size, channels) → probabilities (classes,), or None while the window fills.

        The array is overwritten by the next step.
        """
        answer = self.step_batch(features[np.newaxis])
        return None if answer is None else answer[0]

    def step_batch(self, features: NDArray[Any]) -> NDArray[np.float32] | None:
        """(batch, size, size, channels) → (batch, classes): one frame for each of the independent streams."""
        np.copyto(self._frame, features)
        if self._upload:
            self._device_frame.update_inplace(self._frame)
        try:
            self._session.run_with_iobinding(self._bindings[self._phase])
        except Exception as error:  # of a class of its own for each kind of fault
            raise failed_run(self._path, error) from error
        self._phase = (self._phase + 1) % len(self._bindings)
        self._seen += 1
        return self._answer if self._seen >= self._frames else None

    def _bind(self, states: Sequence[State], batch: int, device: str) -> list[ort.IOBinding]:
        self._phase = 0
        self._arrays: list[NDArray[Any]] = []
        rings = {state.name: self._ring(state, batch, device) for state in states}
        answer = ort.OrtValue.ortvalue_from_numpy(self._answer, "cpu", 0)
        bindings: list[ort.IOBinding] = []
        for phase in range(math.lcm(*(len(ring) for ring in rings.values()))):
            binding = self._session.io_binding()
            binding.bind_ortvalue_input("frame", self._device_frame)
            binding.bind_ortvalue_output(ANSWER, answer)
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
    """`step` takes the next network frame (size, size, channels); probabilities (classes,) or None while filling."""

    @property
    def filled(self) -> int:
        """Frames in the window, 0 to the contract's `frames`."""
        ...

    def step(self, features: NDArray[Any]) -> NDArray[np.float32] | None: ...

    def reset(self) -> None: ...


class WindowEngine:
    """The plain engine: keeps the window and runs the whole network on it at every frame."""

    def __init__(self, model: LoadedModel) -> None:
        self._session = model.session
        self._path = model.path
        self._answer_shape = (1, len(model.contract.class_names))
        self._input = model.session.get_inputs()[0].name
        self._output = model.session.get_outputs()[0].name
        self._buffer = ClipBuffer(model.contract)

    @property
    def filled(self) -> int:
        return self._buffer.filled

    def reset(self) -> None:
        self._buffer.reset()

    def step(self, features: NDArray[Any]) -> NDArray[np.float32] | None:
        self._buffer.append(features)
        window = self._buffer.window()
        if window is None:
            return None
        try:
            answers = np.asarray(self._session.run([self._output], {self._input: window[np.newaxis]})[0])
        except Exception as error:  # of a class of its own for each kind of fault
            raise failed_run(self._path, error) from error
        if answers.shape != self._answer_shape:
            raise ModelError(f"{self._path}: expected an answer of {self._answer_shape}, found {answers.shape}")
        return answers[0]
