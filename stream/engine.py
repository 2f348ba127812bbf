"""Engines: network frames in, probabilities out. `step` and `reset` are all that the live loop knows of them."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from stream.buffer import ClipBuffer
from stream.model_file import LoadedModel, ModelError, failed_run


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
