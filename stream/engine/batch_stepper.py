"""Several streams of one streaming model, stepped in one call of the runtime.

The exported graph takes a frame and values of earlier frames (`state_<name>_<age>`) and gives the answer and this frame's
values (`next_state_<name>`), for a batch of streams that know nothing of each other. Here the values live in rings of
fixed buffers with a row for every stream. A stream's place in its rings is its phase. For streams whose rows lie side by
side and whose phases are equal there is a ready-made binding, in which the oldest buffers are the outputs and the others
are inputs by their age: a step picks the binding and runs it, and no state is copied.

Streams come and go: a row that is given back is used again. Those that are absent from a call are not touched by it.
"""

import math
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from model.contract import ClipContract
from stream.engine.model_file import ANSWER, UNITS, LoadedModel, ModelError, State, failed_run, states_of

_MOST_BINDINGS = 512
"""Of one block; a binding takes some 10 kB."""
_PATIENCE = 3
"""So many calls in a row a stream may be stepped apart from its neighbours before its state is copied into their phase. A
copy costs about what stepping it together saves in one call; faces of one camera often come together again by themselves."""


@dataclass(frozen=True, eq=False)
class Answer:
    """What a model says of a window: `probabilities` (classes,), and `action_units` (2 units,) in the order of the contract's
    `ActionUnits.names`, empty where the model tells none.

    Both arrays may be overwritten by the stream's next step.
    """

    probabilities: NDArray[np.float32]
    action_units: NDArray[np.float32]


def answer_sizes(contract: ClipContract) -> tuple[int, int]:
    """Of a window's answer: classes, and values of its action units (0 where the model tells none)."""
    return len(contract.class_names), len(contract.unit_names)


class StreamSlot:
    """A stream's row in a block. `seen`: frames since it was emptied, up to the window's; `phase`: its place in the rings;
    `apart`: calls in a row in which its phase kept it from its neighbours."""

    def __init__(self, block: "_Block", row: int) -> None:
        self.block, self.row = block, row
        self.seen = self.phase = self.apart = 0


@dataclass(eq=False)
class _Request:
    """What one thread wants stepped: slots, none twice, with a frame each. `error` is what became of the call, if it failed."""

    slots: Sequence[StreamSlot]
    frames: Sequence[NDArray[Any]]
    done: bool = False
    error: Exception | None = field(default=None)


class BatchStepper:
    """Steps streams of one model, those that are wanted at the same time in one call. Answers are those of single steps, up
    to rounding.

    Any number of threads may use it. Nobody waits for a stream that has no frame: a call takes along what has come while the
    call before was running, and no more.

    Args:
        model: A streaming model.
        together: So many streams lie side by side in memory, and so many at most are stepped in one call. More can be taken
            in; memory for another `together` is taken then.

    Example:
        ```python
        stepper = BatchStepper(load_model(path), together=4)
        engines = [StreamingEngine(stepper) for _ in cameras]  # one a camera's face, each used by its own thread
        ```
    """

    def __init__(self, model: LoadedModel, together: int = 1) -> None:
        if together < 1:
            raise ValueError(f"together: expected 1 or more, found {together}")
        self.contract = model.contract
        self._model, self._together = model, together
        self._states = states_of(model.session, model.contract)
        self._blocks: list[_Block] = []
        self._free: list[StreamSlot] = []
        self._changed = threading.Condition()
        self._waiting: list[_Request] = []
        self._running = False

    def new_slot(self) -> StreamSlot:
        """A row for a stream that begins, the first one free."""
        with self._changed:
            if not self._free:
                block = _Block(self._model, self._states, self._together, len(self._blocks))
                self._blocks.append(block)
                self._free = [StreamSlot(block, row) for row in range(self._together)]
            slot = min(self._free, key=_place)
            self._free.remove(slot)
        slot.seen = slot.apart = 0
        return slot

    def give_back(self, slot: StreamSlot) -> None:
        """The stream has ended: its row may be another's."""
        # No lock: this may be called while memory is cleared up, in a thread that holds it. Appending is atomic.
        self._free.append(slot)

    @property
    def waiting(self) -> int:
        """Requests that the next call takes along."""
        return len(self._waiting)

    def step(self, slots: Sequence[StreamSlot], frames: Sequence[NDArray[Any]]) -> list[Answer | None]:
        """The next network frame (size, size, channels) of each of these streams, none twice → their answers, None while a
        window fills. Raises ModelError when the model cannot be run."""
        shape = self.contract.input_shape[1:]
        if any(frame.shape != shape for frame in frames):
            raise ValueError(f"network frames: expected {shape}, found {[frame.shape for frame in frames]}")
        request = _Request(slots, frames)
        with self._changed:
            self._waiting.append(request)
            try:
                self._changed.wait_for(lambda: request.done or not self._running)
            except BaseException:  # Ctrl-C
                self._waiting = [other for other in self._waiting if other is not request]
                raise
            taken = [] if request.done else self._take(request)
            self._running = self._running or bool(taken)
        if taken:
            self._run(taken)
        if request.error is not None:
            raise request.error
        full = self.contract.frames
        return [slot.block.answers[slot.row] if slot.seen >= full else None for slot in slots]

    def _take(self, own: _Request) -> list[_Request]:
        """This thread's request and the oldest others, as many as go into one call."""
        taken, count = [own], len(own.slots)
        for request in self._waiting:
            if request is not own and count + len(request.slots) <= self._together:
                taken.append(request)
                count += len(request.slots)
        self._waiting = [request for request in self._waiting if request not in taken]
        return taken

    def _run(self, requests: Sequence[_Request]) -> None:
        error: Exception | None = ModelError("the call of the model was interrupted")
        try:
            pairs = [pair for request in requests for pair in zip(request.slots, request.frames, strict=True)]
            for slot, frame in pairs:
                slot.block.frames[slot.row] = frame
            for run in _runs(sorted((slot for slot, _ in pairs), key=_place)):
                run[0].block.step(run)
            error = None
        except Exception as found:
            error = found
        finally:
            with self._changed:
                for request in requests:
                    request.done, request.error = True, error
                self._running = False
                self._changed.notify_all()


def _place(slot: StreamSlot) -> tuple[int, int]:
    return slot.block.number, slot.row


def _runs(slots: Sequence[StreamSlot]) -> Iterator[list[StreamSlot]]:
    """Slots that can be stepped in one call: side by side, in one phase. An empty one takes any phase."""
    for neighbours in _side_by_side(slots):
        phase = next((slot.phase for slot in neighbours if slot.seen), neighbours[0].phase)
        run: list[StreamSlot] = []
        for slot in neighbours:
            if not slot.seen:
                slot.phase = phase
            slot.apart = slot.apart + 1 if slot.phase != phase else 0
            if slot.apart > _PATIENCE and slot.block.movable:
                slot.block.move(slot, phase)
            if run and run[-1].phase != slot.phase:
                yield run
                run = []
            run.append(slot)
        yield run


def _side_by_side(slots: Sequence[StreamSlot]) -> Iterator[list[StreamSlot]]:
    group: list[StreamSlot] = []
    for slot in slots:
        if group and (slot.block is not group[-1].block or slot.row != group[-1].row + 1):
            yield group
            group = []
        group.append(slot)
    if group:
        yield group


class _Block:
    """Rings with `rows` rows. On CUDA they stay on the device.

    `frames` (rows, size, size, channels): what is stepped next. `answers`: of each row, where the runtime writes them.
    """

    def __init__(self, model: LoadedModel, states: Sequence[State], rows: int, number: int) -> None:
        self.number = number
        self._session, self._path = model.session, model.path
        self._states, self._window = states, model.contract.frames
        self.movable = model.provider == "CPU"
        self._device = "cpu" if self.movable else "cuda"
        self.frames = np.zeros((rows, *model.contract.input_shape[1:]), model.contract.input.dtype)
        # On the CPU a value shares the array's memory: writing to the array is all it takes.
        self._device_frames = ort.OrtValue.ortvalue_from_numpy(self.frames, self._device, 0)
        classes, units = answer_sizes(model.contract)
        self._told = {ANSWER: np.zeros((rows, classes), np.float32)}
        if units:
            self._told[UNITS] = np.zeros((rows, units), np.float32)
        no_units = np.zeros((rows, 0), np.float32)
        self.answers = [Answer(*pair) for pair in zip(self._told[ANSWER], self._told.get(UNITS, no_units), strict=True)]
        self._rings = {state.name: np.zeros((state.ring_length, rows, *state.shape), state.dtype) for state in states}
        # Values on the CPU refer to the arrays' memory, which must live as long as they do.
        self._device_rings = {
            name: ort.OrtValue.ortvalue_from_numpy(ring, self._device, 0) for name, ring in self._rings.items()
        }
        if not self.movable:
            self._rings.clear()
        self._phases = math.lcm(*(state.ring_length for state in states))
        self._bindings: dict[tuple[int, int, int], ort.IOBinding] = {}

    def step(self, run: Sequence[StreamSlot]) -> None:
        """One call for slots that lie side by side, in one phase. Raises ModelError."""
        key = run[0].phase, run[0].row, len(run)
        if key not in self._bindings:
            if len(self._bindings) >= _MOST_BINDINGS:
                self._bindings.clear()
            self._bindings[key] = self._bind(*key)
        if not self.movable:
            self._device_frames.update_inplace(self.frames)
        try:
            self._session.run_with_iobinding(self._bindings[key])
        except Exception as error:  # of a class of its own for each kind of fault
            raise failed_run(self._path, error) from error
        for slot in run:
            slot.phase = (slot.phase + 1) % self._phases
            slot.seen = min(slot.seen + 1, self._window)

    def move(self, slot: StreamSlot, phase: int) -> None:
        """Turns a row's rings, so that the stream goes on from another phase."""
        for ring in self._rings.values():
            ring[:, slot.row] = np.roll(ring[:, slot.row], phase - slot.phase, axis=0)
        slot.phase, slot.apart = phase, 0

    def _bind(self, phase: int, row: int, count: int) -> ort.IOBinding:
        binding = self._session.io_binding()
        frame = self.frames[0]
        address = self._device_frames.data_ptr() + row * frame.nbytes
        binding.bind_input("frame", self._device, 0, frame.dtype, (count, *frame.shape), address)
        for name, values in self._told.items():
            address = values[row:].ctypes.data
            binding.bind_output(name, "cpu", 0, np.float32, (count, *values.shape[1:]), address)
        for state in self._states:
            dtype, shape = np.dtype(state.dtype), (count, *state.shape)
            _, rows, *_ = self._device_rings[state.name].shape()
            row_bytes = dtype.itemsize * math.prod(state.shape)

            def at(place: int, state: State = state, rows: int = rows, row_bytes: int = row_bytes) -> int:
                """The address of these rows in a buffer of the ring."""
                buffer = place % state.ring_length
                return self._device_rings[state.name].data_ptr() + (buffer * rows + row) * row_bytes

            binding.bind_output(f"next_state_{state.name}", self._device, 0, dtype, shape, at(phase))
            for age in state.ages:
                binding.bind_input(f"state_{state.name}_{age}", self._device, 0, dtype, shape, at(phase - age))
        return binding
