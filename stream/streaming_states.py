"""What a streaming model keeps from frame to frame, read from the names and shapes of its inputs and outputs."""

import math
import re
from dataclasses import dataclass
from typing import Any

import onnxruntime as ort

from model.contract import ContractError

ANSWER = "probabilities"
_FRAME = "frame"
_STATE = re.compile(r"state_(?P<name>.+)_(?P<age>\d{1,6})")
# Ring lengths are rounded up to divisors of this number, so that so many bindings serve all of them.
_PHASES = 24
_DTYPES = {"tensor(float)": "float32", "tensor(float16)": "float16"}
_MOST_NUMBERS = 1 << 27


@dataclass(frozen=True)
class State:
    """A value of earlier frames: `shape` without the batch, and how old the values are that the graph asks for."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    ages: tuple[int, ...]

    @property
    def ring_length(self) -> int:
        needed = self.ages[-1] + 1
        return next((n for n in range(needed, _PHASES + 1) if _PHASES % n == 0), math.ceil(needed / _PHASES) * _PHASES)


def states_of(session: ort.InferenceSession, frames: int) -> list[State]:
    """The states of a streaming model for windows of `frames`, by name; ContractError when it is no such model."""
    ages: dict[str, list[int]] = {}
    kinds: dict[str, tuple[str, tuple[int, ...]]] = {}
    for tensor in session.get_inputs():
        if tensor.name == _FRAME:
            continue
        match = _STATE.fullmatch(tensor.name)
        _require(match is not None, "model input", f"{_FRAME} or state_NAME_AGE", tensor.name)
        assert match is not None
        ages.setdefault(match["name"], []).append(int(match["age"]))
        kind = _kind(tensor)
        known = kinds.setdefault(match["name"], kind)
        _require(kind == known, f"model input {tensor.name}", f"the same kind at every age, {known}", kind)
    outputs = {tensor.name for tensor in session.get_outputs()}
    wanted = {ANSWER, *(f"next_state_{name}" for name in kinds)}
    _require(wanted == outputs, "model outputs", ", ".join(sorted(wanted)), ", ".join(sorted(outputs)))
    states = [State(name, *kinds[name], tuple(sorted(found))) for name, found in sorted(ages.items())]
    for state in states:
        fits = state.ages[0] >= 1 and state.ages[-1] <= frames
        _require(fits, f"ages of the model's state {state.name}", f"1 to {frames}", state.ages)
    numbers = sum(state.ring_length * math.prod(state.shape) for state in states)
    _require(numbers <= _MOST_NUMBERS, "numbers in the model's states", f"up to {_MOST_NUMBERS}", numbers)
    return states


def _kind(tensor: Any) -> tuple[str, tuple[int, ...]]:
    """Data type and shape without the batch."""
    shape = tuple(tensor.shape[1:])
    sized = all(isinstance(size, int) and size >= 1 for size in shape)
    _require(sized, f"model input {tensor.name}", "sizes that are known", tuple(tensor.shape))
    _require(tensor.type in _DTYPES, f"type of the model input {tensor.name}", " or ".join(_DTYPES), tensor.type)
    return _DTYPES[tensor.type], shape


def _require(condition: bool, what: str, expected: object, found: object) -> None:
    if not condition:
        raise ContractError(what, expected, found)
