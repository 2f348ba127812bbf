"""The live recognizer as a library."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from model.contract import ClipContract
from model.types import FrameResult, Pace
from stream.engine.engines import Engine, StreamingEngine, WindowEngine
from stream.engine.model_file import (
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
from stream.pipeline import LivePipeline, PipelineSettings
from stream.sources.base import FrameSource
from stream.sources.live import LiveSource
from stream.sources.open import open_source


class Recognizer:
    """A loaded model that recognises micro-expressions in a video.

        for result in Recognizer(max_faces=2).run("interview.mp4"):
            for event in result.events:
                if event.rejected is None:
                    print(event.track, event.label, event.onset_s, event.apex_s, event.offset_s)

    `model` is an exported `.onnx` file (default: the bundled one). Engine `auto` takes the streaming model that lies
    beside it (`model.stream.onnx` for `model.onnx`) when there is one. Up to `max_faces` faces are followed, the largest
    ones; without `detect_events` there are labels only. Raises `ModelError` when a model cannot be loaded,
    `ContractError` when it does not say what this program needs to know.
    """

    def __init__(
        self,
        model: Path | str | None = None,
        provider: Provider = "auto",
        threads: int = 0,
        engine: EngineChoice = "auto",
        max_faces: int = 1,
        detect_events: bool = True,
    ) -> None:
        self._settings = PipelineSettings(max_faces, detect_events)
        path = choose_model(BUNDLED_MODEL if model is None else Path(model), engine)
        self._model: LoadedModel = load_model(path, SessionSettings(provider, threads))
        if engine != "auto" and self._model.kind != engine:
            raise ModelError(f"{path} is a {self._model.kind} model, not one for --engine {engine}")

    @property
    def contract(self) -> ClipContract:
        """What the model expects, was trained on and scored."""
        return self._model.contract

    @property
    def model_path(self) -> Path:
        """The file that was loaded: of two that lie side by side, the one for the engine."""
        return self._model.path

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

    def pipeline(
        self,
        source: FrameSource,
        new_engine: Callable[[], Engine] | None = None,
        max_frames: int | None = None,
    ) -> LivePipeline:
        """The live loop over an opened source; it ends after `max_frames`. `new_engine` stands in for `engine`."""
        settings = replace(self._settings, max_frames=max_frames)
        return LivePipeline(source, self.contract, new_engine or self.engine, settings)

    def run(self, source: FrameSource | Path | str | int, pace: Pace = "fast") -> Iterator[FrameResult]:
        """One result for every frame of a source: a camera's index, a file, a URL, "demo", or a FrameSource not yet open.

        The end of a file decides the events that are still open, and its last result has them. The frames of a live source
        are not held back for that: who wants its last events too asks `pipeline` for the results, and then for `finish`.
        Raises `SourceError` when it cannot be opened. Threads and the source end with the iterator.
        """
        if isinstance(source, int):
            source = LiveSource(source)
        elif isinstance(source, Path | str):
            source = open_source(str(source), pace)
        with source:
            pipeline = self.pipeline(source)
            if source.info.live:
                yield from pipeline.results()
            else:
                yield from _with_last_events(pipeline)


def _with_last_events(pipeline: LivePipeline) -> Iterator[FrameResult]:
    """The results, each one frame late, so that the last one has what the end decided; what broke the source off follows."""
    held: FrameResult | None = None
    failure: Exception | None = None
    with closing(pipeline.results()) as results:
        try:
            for result in results:
                if held is not None:
                    yield held
                held = result
        except Exception as error:
            failure = error
    if held is not None:
        yield replace(held, events=held.events + pipeline.finish())
    if failure is not None:
        raise failure
