"""The streaming engine: one new frame in, the answer for the whole window out.

The exported graph takes a frame and values of earlier frames (`state_<name>_<age>`) and gives the answer and this
frame's values (`next_state_<name>`). Here the values live in rings of fixed buffers. For every place in the rings there
is one ready-made binding, in which the oldest buffer is the output and the others are inputs by their age: a step picks
the next binding and runs it, and no state is copied.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from stream.model_file import LoadedModel

_STATE = re.compile(r"state_(?P<name>.+)_(?P<age>\d+)")
# Ring lengths are rounded up to divisors of this number, so that so many bindings serve all of them.
_PHASES = 24


@dataclass(frozen=True)
class _State:
    """A value of earlier frames: `shape` without the batch, and how old the values are that the graph asks for."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    ages: tuple[int, ...]

    @property
    def ring_length(self) -> int:
        needed = self.ages[-1] + 1
        return next((n for n in range(needed, _PHASES + 1) if _PHASES % n == 0), math.ceil(needed / _PHASES) * _PHASES)


class StreamingEngine:
    """Answers as WindowEngine does, many times faster. On CUDA the states stay on the device between steps.

    `batch` independent streams can be stepped together with `step_batch`.
    """

    def __init__(self, model: LoadedModel, batch: int = 1) -> None:
        self._session = model.session
        self._frames = model.contract.frames
        self._frame_shape = (batch, *model.contract.input_shape[1:])
        on_cpu = model.provider == "CPU"
        device = "cpu" if on_cpu else "cuda"
        self._frame = np.zeros(self._frame_shape, model.contract.input.dtype)
        self._device_frame = ort.OrtValue.ortvalue_from_numpy(self._frame, device, 0)
        # On the CPU the value shares the array's memory: writing to the array is all it takes.
        self._upload = not on_cpu
        self._answer = np.zeros((batch, len(model.contract.class_names)), np.float32)
        self._bindings = self._bind(_states_of(self._session), batch, device)
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
        self._session.run_with_iobinding(self._bindings[self._phase])
        self._phase = (self._phase + 1) % len(self._bindings)
        self._seen += 1
        return self._answer if self._seen >= self._frames else None

    def _bind(self, states: Sequence[_State], batch: int, device: str) -> list[ort.IOBinding]:
        self._phase = 0
        self._arrays: list[NDArray[Any]] = []
        rings = {state.name: self._ring(state, batch, device) for state in states}
        answer = ort.OrtValue.ortvalue_from_numpy(self._answer, "cpu", 0)
        bindings: list[ort.IOBinding] = []
        for phase in range(math.lcm(*(len(ring) for ring in rings.values()))):
            binding = self._session.io_binding()
            binding.bind_ortvalue_input("frame", self._device_frame)
            binding.bind_ortvalue_output("probabilities", answer)
            for state in states:
                ring = rings[state.name]
                binding.bind_ortvalue_output(f"next_state_{state.name}", ring[phase % len(ring)])
                for age in state.ages:
                    binding.bind_ortvalue_input(f"state_{state.name}_{age}", ring[(phase - age) % len(ring)])
            bindings.append(binding)
        return bindings

    def _ring(self, state: _State, batch: int, device: str) -> list[ort.OrtValue]:
        arrays = [np.zeros((batch, *state.shape), state.dtype) for _ in range(state.ring_length)]
        if device == "cpu":
            # Values on the CPU refer to the arrays' memory, which must live as long as they do.
            self._arrays += arrays
        return [ort.OrtValue.ortvalue_from_numpy(array, device, 0) for array in arrays]


def _states_of(session: ort.InferenceSession) -> list[_State]:
    ages: dict[str, list[int]] = {}
    kinds: dict[str, tuple[str, tuple[int, ...]]] = {}
    for tensor in session.get_inputs():
        if match := _STATE.fullmatch(tensor.name):
            ages.setdefault(match["name"], []).append(int(match["age"]))
            dtype = "float16" if tensor.type == "tensor(float16)" else "float32"
            kinds[match["name"]] = (dtype, tuple(tensor.shape[1:]))
    return [_State(name, *kinds[name], tuple(sorted(found))) for name, found in sorted(ages.items())]
