"""Exported models: opened on ONNX Runtime, checked against their own contract. TensorFlow is not needed.

What a streaming model keeps from frame to frame, read from the names and shapes of its inputs and outputs.

What a model says of itself in one line: its training data, its measured score, its limits.
"""

import contextlib
import math
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import onnxruntime as ort

from model.contract import METADATA_KEY, ClipContract
from model.errors import ContractError, MicroliveError
from model.guards import other_model, shown
from stream.machine import usable_cores

ANSWER = "probabilities"
UNITS = "action_units"
_FRAME = "frame"
_STATE = re.compile(r"state_(?P<name>.+)_(?P<age>\d{1,6})")
# Ring lengths are rounded up to divisors of this number, so that so many bindings serve all of them.
_PHASES = 24
_DTYPES = {"tensor(float)": "float32", "tensor(float16)": "float16"}
_MOST_NUMBERS = 1 << 27
Provider = Literal["auto", "cpu", "cuda", "tensorrt"]
ModelKind = Literal["window", "streaming"]
EngineChoice = Literal["auto", "streaming", "window"]

BUNDLED_MODEL = Path(__file__).resolve().parents[2] / "model" / "bundled" / "model.onnx"

_PROVIDERS = {"tensorrt": "TensorrtExecutionProvider", "cuda": "CUDAExecutionProvider", "cpu": "CPUExecutionProvider"}


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


def states_of(session: ort.InferenceSession, contract: ClipContract) -> list[State]:
    """The states of a streaming model, by name; ContractError when it is none for the contract's windows and outputs."""
    frames = contract.frames
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
    answers = {ANSWER, UNITS} if contract.action_units else {ANSWER}
    wanted = answers | {f"next_state_{name}" for name in kinds}
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


class ModelError(MicroliveError, RuntimeError):
    """A model cannot be loaded or run: one line that says what and what to do.

    Example:
        ```python
        try:
            recognizer = Recognizer(provider="cuda")
        except ModelError as error:
            print(error)  # --provider cuda is not available on this machine: …
        ```
    """


@dataclass(frozen=True)
class RuntimeSettings:
    """`threads` 0 means `default_threads`."""

    provider: Provider = "auto"
    threads: int = 0


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A session and what its file says of itself. `provider` is what the session really runs on, e.g. CPU or CUDA."""

    path: Path
    session: ort.InferenceSession
    contract: ClipContract
    kind: ModelKind
    provider: str
    threads: int


def load_model(path: Path, settings: RuntimeSettings | None = None) -> LoadedModel:
    """Opens an exported model; raises ModelError or ContractError with one clear line."""
    settings = settings or RuntimeSettings()
    _require_onnx(path)
    threads = settings.threads or default_threads(_kind_by_name(path))
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    # Threads that spin while they wait take the cores from decoding, face tracking and drawing.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        # ONNX Runtime takes no name that is not UTF-8.
        model = str(path) if str(path).encode("utf-8", "ignore") == os.fsencode(path) else path.read_bytes()
        session = ort.InferenceSession(model, options, providers=_wanted_providers(settings.provider))
    except ModelError:
        raise
    except Exception as error:
        # ONNX Runtime raises a class of its own for each kind of fault, with no common base but this.
        raise ModelError(f"{path} cannot be loaded as an ONNX model: {_first_line(error)}") from error
    metadata = session.get_modelmeta().custom_metadata_map
    if METADATA_KEY not in metadata:
        raise ContractError(
            f"{path.name} is an ONNX model, but none of Microlive's: its metadata",
            f"{METADATA_KEY} (make a model of a run with `python -m export RUN --out DIR`)",
            shown(", ".join(sorted(metadata)) or "none"),
        )
    contract = ClipContract.from_metadata(metadata)
    if not session.get_inputs() or not session.get_outputs():
        raise ContractError("model inputs and outputs", "at least one of each", "none")
    kind: ModelKind = "streaming" if session.get_inputs()[0].name == "frame" else "window"
    _check_signature(session, contract, kind)
    running = session.get_providers()[0]
    if settings.provider != "auto" and running != _PROVIDERS[settings.provider]:
        raise ModelError(f"--provider {settings.provider} is not what the model runs on here (that is {running})")
    return LoadedModel(path, session, contract, kind, running.removesuffix("ExecutionProvider"), threads)


def _require_onnx(path: Path) -> None:
    if not path.exists():
        raise ModelError(f"{path} is not a model file: export one with `python -m export RUN --out DIR`")
    try:
        other = other_model(path)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from error
    if other is not None:
        raise ModelError(other)


def choose_model(path: Path, engine: EngineChoice) -> Path:
    """The file that an engine needs: the streaming model beside a window model, or the path itself."""
    streaming = path if path.name.endswith(".stream.onnx") else path.with_name(f"{path.stem}.stream.onnx")
    if engine == "window" or streaming == path:
        return path
    if streaming.is_file():
        return streaming
    if engine == "streaming" and path.is_file():
        raise ModelError(f"{streaming} does not exist: export the model again, or use --engine window")
    return path


def default_threads(kind: ModelKind) -> int:
    """Threads of a model on the CPU beside the rest of the live line.

    A window's step is long, so it gets all cores. A streaming step is short: more threads would spend their time waking
    each other and take the cores that decoding and face alignment need, so it gets half of them.
    """
    return max(1, usable_cores() // 2) if kind == "streaming" else usable_cores()


def _kind_by_name(path: Path) -> ModelKind:
    """What the exporter's naming says, before the file is open."""
    return "streaming" if path.name.endswith(".stream.onnx") else "window"


def _wanted_providers(wanted: Provider) -> list[str]:
    available = ort.get_available_providers()
    if wanted == "auto":
        # TensorRT builds its engines for minutes on first use, so it is only taken when asked for.
        return [
            name for key, name in _PROVIDERS.items() if key != "tensorrt" and name in available and _has_device(key)
        ]
    if _PROVIDERS[wanted] not in available or not _has_device(wanted):
        raise ModelError(
            f"--provider {wanted} is not available on this machine: "
            "it needs an NVIDIA GPU with its driver and onnxruntime-gpu; use --provider cpu or auto"
        )
    return [_PROVIDERS[wanted]]


def _has_device(provider: str) -> bool:
    """Whether there is hardware to try: asking the runtime for CUDA without a driver only prints its complaints."""
    return provider == "cpu" or Path("/dev/nvidia0").exists() or Path("/dev/nvidiactl").exists() or os.name == "nt"


def _check_signature(session: ort.InferenceSession, contract: ClipContract, kind: ModelKind) -> None:
    first = session.get_inputs()[0]
    expected = contract.input_shape if kind == "window" else contract.input_shape[1:]
    if tuple(first.shape[1:]) != expected:
        raise ContractError("model input", ("batch", *expected), tuple(first.shape))
    dtype = "tensor(uint8)" if contract.input.dtype == "uint8" else "tensor(float)"
    if first.type != dtype:
        raise ContractError("model input type", dtype, first.type)
    if kind == "streaming":
        states_of(session, contract)
    elif len(session.get_inputs()) > 1:
        raise ContractError("model inputs", "one", ", ".join(tensor.name for tensor in session.get_inputs()))
    _check_answer(answer_of(session), len(contract.class_names), "model output")
    if contract.action_units is not None:
        units = next((tensor for tensor in session.get_outputs() if tensor.name == UNITS), None)
        if units is None:
            outputs = ", ".join(tensor.name for tensor in session.get_outputs())
            raise ContractError("model outputs", f"{UNITS}, which the contract tells of,", outputs)
        _check_answer(units, len(contract.action_units.names), f"model output {UNITS}")
        if units.type != "tensor(float)":
            raise ContractError(f"type of the model output {UNITS}", "tensor(float)", units.type)


def answer_of(session: ort.InferenceSession) -> Any:
    """The output with the probabilities; of a window model that names none so, the first."""
    outputs = session.get_outputs()
    return next((tensor for tensor in outputs if tensor.name == ANSWER), outputs[0])


def _check_answer(tensor: Any, size: int, what: str) -> None:
    if len(tensor.shape) != 2 or tensor.shape[-1] != size:
        raise ContractError(what, ("batch", size), tuple(tensor.shape))


def failed_run(path: Path, error: Exception) -> ModelError:
    """What to say of a model that was loaded and cannot be run."""
    return ModelError(f"{path} fails when it is run: {_first_line(error)}; export it again")


def _first_line(error: Exception) -> str:
    return shown(str(error).strip().splitlines()[0]) if str(error).strip() else type(error).__name__


def model_words(contract: ClipContract) -> str:
    """Training data and score, fit to be shown; they are the model's own words, so brackets in them are no markup."""
    numbers = [contract.scores.get(name) for name in ("uf1", "chance_uf1", "n")]
    measured = "not scored"
    # Scores are anybody's: what is no number of clips, or too large to be shown, counts as none.
    with contextlib.suppress(TypeError, ValueError, OverflowError):
        measured = "UF1 {:.3f} (chance {:.3f}, n {:d})".format(*numbers)
    return f"Model trained on {shown(contract.training_data).rstrip('. ')}; {measured}."
