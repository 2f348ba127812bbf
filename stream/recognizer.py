"""The live recognizer as a library."""

import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Self

from model.contract import ClipContract
from model.decision import DEFAULT_SENSITIVITY
from model.errors import MicroliveError
from model.types import Event, FrameResult, Image, Pace
from stream.engine.batch_stepper import BatchStepper
from stream.engine.engines import Engine, StreamingEngine, WindowEngine
from stream.engine.model_file import (
    BUNDLED_MODEL,
    EngineChoice,
    LoadedModel,
    ModelError,
    ModelKind,
    Provider,
    RuntimeSettings,
    choose_model,
    load_model,
)
from stream.events.judgement import Judge
from stream.face.landmarks import FaceMeshDetector
from stream.given_pictures import PictureColour, TimeWatch
from stream.pipeline import LivePipeline, PipelineSettings
from stream.push import PushLoop
from stream.sources.base import FrameSource
from stream.sources.open import open_source


class Recognizer:
    """A loaded model that recognises micro-expressions in a video.

    Two ways to use it, which know nothing of each other's faces and windows: `run` reads a source, in threads of its own;
    `process` takes the frames that a program has itself. Each `run` is a stream of its own, all calls of `process`
    together are one. Several recognizers, and several threads that use one, do not disturb each other: `process`, `finish`
    and `reset` wait for each other. It can be used as a context manager, which closes it.

    Args:
        model: An exported `.onnx` file; the bundled model where there is none.
        provider: What it is to run on: `auto`, `cpu`, `cuda` or `tensorrt`.
        threads: Of the model on the CPU; 0 chooses.
        engine: `streaming` takes a frame at a time, `window` the whole window at every frame, with the same answers. `auto`
            takes the streaming model that lies beside `model` (`model.stream.onnx` for `model.onnx`) when there is one.
        max_faces: So many are followed, the largest ones.
        detect_events: Without, there are labels only, for less time a frame.
        on_event: Called with every event that is decided, those rejected too, in `run`, `process` and `finish`.
        on_result: Called with every result, after its events, in `run` and `process`. Callbacks are called in the thread
            that asks for the result; what one raises reaches the caller, and the frame has been taken in all the same.
        face_at: Where in the picture the face to follow is, x and y, in pixels, or as shares when neither is above 1; it is
            followed whatever its size, and even if it never moves.
        sensitivity: How many false events a minute one is willing to look at, of minutes in which a face can be read: low for an alarm, high for somebody
            who looks through what was found. Every candidate is told with its probability, whatever this is.
        one_person: There is only one person: whoever is seen is the same as before, under the same number.

    Raises:
        ModelError: The model cannot be loaded, or not with this engine or provider.
        ContractError: It does not say what this program needs to know.
        ValueError: The sensitivity is no finite number above 0.

    Example:
        ```python
        with Recognizer(max_faces=2) as recognizer:
            for result in recognizer.run("interview.mp4"):
                for event in result.events:
                    if event.rejected is None:
                        print(event.track, event.label, event.onset_s, event.apex_s, event.offset_s)
        ```

        ```python
        with Recognizer(on_event=print) as recognizer:
            for picture, time_s in my_camera():
                result = recognizer.process(picture, time_s)
                print(result.status, result.prediction)
            recognizer.finish()
        ```
    """

    def __init__(
        self,
        model: Path | str | None = None,
        provider: Provider = "auto",
        threads: int = 0,
        engine: EngineChoice = "auto",
        max_faces: int = 1,
        detect_events: bool = True,
        on_event: Callable[[Event], None] | None = None,
        on_result: Callable[[FrameResult], None] | None = None,
        face_at: tuple[float, float] | None = None,
        sensitivity: float = DEFAULT_SENSITIVITY,
        one_person: bool = False,
    ) -> None:
        self._settings = PipelineSettings(
            max_faces, detect_events, face_at=face_at, sensitivity=sensitivity, one_person=one_person
        )
        self._on_event, self._on_result = on_event, on_result
        path = choose_model(BUNDLED_MODEL if model is None else Path(model), engine)
        self._model: LoadedModel = load_model(path, RuntimeSettings(provider, threads))
        if engine != "auto" and self._model.kind != engine:
            raise ModelError(f"{path} is a {self._model.kind} model, not one for --engine {engine}")
        Judge(self.contract.decision, sensitivity)  # a decision that does not fit is told now, not at the first face
        self._pushed = PushLoop(self.contract, self._engines(), self._settings)
        # One that its holder may take again: a callback may call `finish` or `close`.
        self._lock = threading.RLock()
        self._closed = False

    def __enter__(self) -> Self:
        self._require_open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

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
        """Of the model on the CPU."""
        return self._model.threads

    @property
    def sensitivity(self) -> float:
        """False events a minute that one is willing to look at."""
        return self._settings.sensitivity

    def run(self, source: FrameSource | PathLike[str] | str | int, pace: Pace = "fast") -> Iterator[FrameResult]:
        """One result for every frame of a source.

        The end of a file decides the events that are still open: its last result has them. The frames of a live source are
        not held back for that: `on_event` is called with its last events. Threads and the source end with the iterator.

        Args:
            source: A camera's index, a file, a folder of pictures, a URL, "demo", or a FrameSource not yet open; see
                `open_source`, which also takes the rate at which it was filmed. Pictures that a program has itself, and
                those of a `cv2.VideoCapture` that it has opened, go through `process`.
            pace: Of a file: "fast" as soon as frames are wanted, "realtime" no faster than they were taken.

        Returns:
            An iterator of results.

        Raises:
            SourceError: It is none of these; it cannot be opened, at the first result; or it breaks off or gives what is no
                frame, after the results before that.
            ModelError: The model cannot be run.
            MicroliveError: The recognizer is closed, now or while the iterator is in use; or this process was forked from
                one that has looked for faces.

        Example:
            ```python
            labels = [result.prediction.label for result in recognizer.run("talk.mp4") if result.prediction]
            ```
        """
        self._require_open()
        if isinstance(source, FrameSource):
            return self._told(source, TimeWatch())
        return self._told(open_source(source, pace))

    def process(self, image: Image, time_s: float, colour: PictureColour = "bgr") -> FrameResult:
        """The next frame of a program's own video: the same result that `run` gives for a source of the same frames.

        Args:
            image: uint8, (height, width, 3), or (height, width) for grey; need not be contiguous. It is copied.
            time_s: When it was taken, in seconds from any moment on, later than the frame before. A step of more than the
                contract's `max_gap_s` empties the window.
            colour: The order of the channels: `bgr` (as OpenCV has it), `rgb`, or `grey`.

        Returns:
            The frame's result, with the events that were decided with it. Frames are numbered from 0.

        Raises:
            FrameError: The picture or its time does not fit. Nothing has changed: the next frame can be given.
            ModelError: The model cannot be run. The faces and windows are forgotten, as after any other error on the way.
            MicroliveError: The recognizer is closed; or this process was forked from one that has looked for faces.

        Example:
            ```python
            capture = cv2.VideoCapture(0)
            while (read := capture.read())[0]:
                print(recognizer.process(read[1], time.monotonic()).status)
            ```
        """
        with self._turn():
            result = self._pushed.step(image, time_s, colour)
            self._tell(result)
            return result

    def finish(self) -> tuple[Event, ...]:
        """The video of `process` has ended: decides the events still open, and forgets it as `reset` does.

        Returns:
            The events, accepted and rejected.

        Raises:
            MicroliveError: The recognizer is closed.

        Example:
            ```python
            events += recognizer.finish()
            ```
        """
        with self._turn():
            events = self._pushed.finish()
            self._tell_events(events)
            return events

    def reset(self) -> None:
        """Forgets the faces, windows and open events of `process`: the next frame is the first of another video.

        Raises:
            MicroliveError: The recognizer is closed.
        """
        with self._turn():
            self._pushed.reset()

    def close(self) -> None:
        """Ends it, and every `run` at its next result. Open events are forgotten. A second time is fine."""
        with self._lock:
            self._closed = True
            self._pushed.reset()

    def engine(self) -> Engine:
        """A new engine with an empty window; every face and stream needs its own."""
        return StreamingEngine(self._model) if self._model.kind == "streaming" else WindowEngine(self._model)

    def batch_stepper(self, together: int) -> BatchStepper:
        """Steps several streams of this model in one call: faces of several cameras, whose pipelines run in threads of one
        process. Those that are wanted at the same time are stepped together, up to so many; nobody waits for a slow one.
        `pipeline(source, lambda: StreamingEngine(stepper))` has its faces stepped there.

        Calls of one stepper follow each other. Where there are more cores than the model has threads, several steppers,
        a few cameras each, use them.

        Raises:
            ModelError: The model is a window model.
        """
        if self._model.kind != "streaming":
            raise ModelError(
                f"{self._model.path} is a window model: streams are stepped together by streaming ones only"
            )
        return BatchStepper(self._model, together)

    def _engines(self) -> Callable[[], Engine]:
        """Makes the engines of one video: of several faces all are stepped in one call."""
        if self._model.kind != "streaming" or self._settings.max_faces == 1:
            return self.engine
        stepper = self.batch_stepper(self._settings.max_faces)
        return lambda: StreamingEngine(stepper)

    def pipeline(
        self,
        source: FrameSource,
        new_engine: Callable[[], Engine] | None = None,
        max_frames: int | None = None,
    ) -> LivePipeline:
        """The live loop over an opened source; it ends after `max_frames`. `new_engine` stands in for `engine`."""
        self._require_open()
        settings = replace(self._settings, max_frames=max_frames)
        return LivePipeline(source, self.contract, new_engine or self._engines(), settings)

    def _told(self, source: FrameSource, watch: TimeWatch | None = None) -> Iterator[FrameResult]:
        with source:
            pipeline = self.pipeline(source)
            with closing(pipeline.results() if source.info.live else _with_last_events(pipeline)) as results:
                for result in results:
                    self._require_open()
                    if watch is not None:
                        watch.step(result.frame.time_s)
                    self._tell(result)
                    yield result
            self._tell_events(pipeline.finish())

    def _tell(self, result: FrameResult) -> None:
        self._tell_events(result.events)
        if self._on_result is not None:
            self._on_result(result)

    def _tell_events(self, events: tuple[Event, ...]) -> None:
        if self._on_event is not None:
            for event in events:
                self._on_event(event)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        FaceMeshDetector.require_own_process()  # first: a thread that held the lock is not there in a fork
        with self._lock:
            self._require_open()
            yield

    def _require_open(self) -> None:
        FaceMeshDetector.require_own_process()
        if self._closed:
            raise MicroliveError("the recognizer is closed: make a new Recognizer")


def _with_last_events(pipeline: LivePipeline) -> Generator[FrameResult, None, None]:
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
