"""The live recognizer as a library."""

from collections.abc import Iterator
from pathlib import Path

from model.contract import ClipContract
from model.types import FrameResult, Pace
from stream.engine import Engine, WindowEngine
from stream.model_file import (
    BUNDLED_MODEL,
    EngineChoice,
    LoadedModel,
    ModelError,
    ModelKind,
    Provider,
    SessionSettings,
    choose_model,
    load_model,
)
from stream.pipeline import LivePipeline
from stream.sources import FrameSource, LiveSource, open_source
from stream.streaming_engine import StreamingEngine


class Recognizer:
    """A loaded model that recognises micro-expressions in a video.

        for result in Recognizer().run("interview.mp4"):
            if result.prediction:
                print(result.frame.time_s, result.prediction.label, result.prediction.confidence)

    `model` is an exported `.onnx` file (default: the bundled one). Engine `auto` takes the streaming model that lies
    beside it (`model.stream.onnx` for `model.onnx`) when there is one. Raises `ModelError` when a model cannot be
    loaded, `ContractError` when it does not say what this program needs to know.
    """

    def __init__(
        self,
        model: Path | str | None = None,
        provider: Provider = "auto",
        threads: int = 0,
        engine: EngineChoice = "auto",
    ) -> None:
        path = choose_model(BUNDLED_MODEL if model is None else Path(model), engine)
        self._model: LoadedModel = load_model(path, SessionSettings(provider, threads))
        if engine != "auto" and self._model.kind != engine:
            raise ModelError(f"{path} is a {self._model.kind} model, not one for --engine {engine}")

    @property
    def contract(self) -> ClipContract:
        """What the model expects, was trained on and scored."""
        return self._model.contract

    @property
    def provider(self) -> str:
        """What the model really runs on, e.g. CPU or CUDA."""
        return self._model.provider

    @property
    def engine_kind(self) -> ModelKind:
        """`streaming` (a frame at a time) or `window` (the whole window at every frame); the answers are the same."""
        return self._model.kind

    @property
    def threads(self) -> int:
        return self._model.threads

    def engine(self) -> Engine:
        """A new engine with an empty window; every face and stream needs its own."""
        return StreamingEngine(self._model) if self._model.kind == "streaming" else WindowEngine(self._model)

    def pipeline(self, source: FrameSource, engine: Engine | None = None) -> LivePipeline:
        """The live loop over an opened source, with a new engine unless one is given."""
        return LivePipeline(source, self.contract, engine or self.engine())

    def run(self, source: FrameSource | Path | str | int, pace: Pace = "fast") -> Iterator[FrameResult]:
        """One result for every frame of a source: a camera's index, a file, a URL, "demo", or a FrameSource not yet open.

        Raises `SourceError` when it cannot be opened. Threads and the source end with the iterator.
        """
        if isinstance(source, int):
            source = LiveSource(source)
        elif isinstance(source, Path | str):
            source = open_source(str(source), pace)
        with source:
            yield from self.pipeline(source).results()
