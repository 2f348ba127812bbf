"""The stages between a frame and its answers: faces followed, faces → network frames, network frames → probabilities and
events."""

import math
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray

from model.contract import ClipContract
from model.decision import DEFAULT_SENSITIVITY
from model.preprocess import Preprocessor, TimeResampler
from model.types import Event, FaceCrop, FaceResult, Frame, FrameResult, Prediction, Rejection, Status
from stream.clock import SourceClock
from stream.engine.engines import Answer, Engine, step_together
from stream.engine.model_file import ModelError
from stream.events.detector import EventDetector
from stream.events.judgement import Judge
from stream.events.motion import Motion, MotionMeter, MotionResampler, light_and_detail
from stream.face.memory import MemorySettings
from stream.face.quality import BlurGate, ValiditySettings
from stream.face.tracker import FaceTracker, SeenFace, SeenFaces

_REJECTIONS: Mapping[Status, Rejection] = {
    "face_too_small": "face_too_small",
    "face_turned": "face_turned",
    "not_upright": "not_upright",
    "insufficient_rate": "insufficient_rate",
}
"""Why what a face began is no event when it cannot be read any more; for any other reason it was lost."""


@dataclass(frozen=True, eq=False)
class FaceFeatures:
    """A followed face and its network frame, None where the face cannot be read.

    `motion` is None where no events are looked for, too. `restart` says that what came before does not belong to the window
    that begins with it, `anew` that nothing holds any more that was known of the face. Status is `ok`, or why it
    cannot be read; `blurred`, `too_dark` and `flicker`: not well enough for an answer.
    """

    track: int
    status: Status
    face: FaceCrop
    features: NDArray[Any] | None = None
    motion: Motion | None = None
    restart: bool = False
    anew: bool = False


@dataclass(frozen=True, eq=False)
class FollowedFrame:
    """A frame and the faces in it, `seen` None where its timestamp did not go on. `anew`: what was known of faces before does
    not hold for these; `sufficient`: frames come often enough."""

    frame: Frame
    seen: SeenFaces | None
    anew: bool
    rate_hz: float
    sufficient: bool
    stages_ms: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class FrameFeatures:
    """A frame and its faces, largest first; `absence` says why there is none, `remembered` which others may come back.

    `repeated`: the timestamp did not go on, so that the frame says nothing and the faces are left out.
    """

    frame: Frame
    faces: tuple[FaceFeatures, ...]
    absence: Status
    rate_hz: float
    repeated: bool
    stages_ms: Mapping[str, float]
    remembered: frozenset[int] = frozenset()


class FaceReader:
    """One face's crops → network frames and motion.

    Both are measured against its own rest. Where the face was not readable a window begins anew, but its rest stays known,
    as if no time had passed; unless it was placed anew, or away for more than `remember_s`.
    """

    def __init__(
        self, contract: ClipContract, with_motion: bool, validity: ValiditySettings, remember_s: float
    ) -> None:
        self._validity = validity
        self._remember_s = remember_s
        self._interval_s = 1 / contract.fps
        self._preprocessor = Preprocessor(contract)
        self._meter = MotionMeter(contract) if with_motion else None
        self._blur = BlurGate(validity)
        self._interrupted = self._placed_anew = True
        self._last_s = -math.inf
        # How long the face could not be read: for its rest that is no time.
        self._away_s = 0.0

    def step(self, seen: SeenFace, time_s: float, rate_is_sufficient: bool, spent_s: dict[str, float]) -> FaceFeatures:
        """The next frame of the face; adds what its steps took to `spent_s`."""
        status = self._validity.of_place(seen.iod_px, seen.turned, seen.roll_deg)
        if not rate_is_sufficient:
            status = "insufficient_rate"
        elif status == "ok" and not seen.alive:
            status = "no_life"
        # Where it was placed while turned away does not matter: it is placed once more when it looks back.
        self._placed_anew |= seen.face.rekeyed and not seen.turned
        self._interrupted |= seen.interrupted or self._placed_anew
        if status != "ok":
            self._interrupted = True
            return FaceFeatures(seen.track, status, seen.face)
        started_s = time.perf_counter()
        restart, anew = self._interrupted, time_s - self._last_s > self._remember_s
        if restart:
            self._begin(time_s, anew)
        self._last_s, own_s = time_s, time_s - self._away_s
        # What is measured and what is shown: the one in steady light, the other as it is.
        steady = seen.face if seen.steady_crop is None else replace(seen.face, crop=seen.steady_crop)
        features = self._preprocessor.step(steady.crop, own_s)
        read_s = time.perf_counter()
        motion = None if self._meter is None else replace(self._meter.step(steady, features, own_s), time_s=time_s)
        if motion is None:
            brightness, sharpness = light_and_detail(steady.crop)
        else:
            brightness, sharpness = motion.brightness, motion.sharpness
        if self._blur.step(sharpness, brightness, own_s):
            status = "blurred"
        status = seen.light_fault or status
        spent_s["preprocess"] += read_s - started_s
        spent_s["motion"] += time.perf_counter() - read_s
        return FaceFeatures(seen.track, status, seen.face, features, motion, restart, anew)

    def lose(self) -> None:
        """The face is out of sight."""
        self._interrupted = True

    def _begin(self, time_s: float, anew: bool) -> None:
        """A window begins; what is known of the face's rest holds on where it can."""
        self._away_s = 0.0 if anew else self._away_s + max(time_s - self._last_s - self._interval_s, 0.0)
        if anew:
            self._blur.reset()
        if anew or self._placed_anew:
            self._preprocessor.reset()
            if self._meter is not None:
                self._meter.reset()
        elif self._meter is not None:
            self._meter.interrupt()
        self._interrupted = self._placed_anew = False


class FaceStage:
    """Follows the faces (`follow`), and preprocesses their crops (`read`), each of which may have a thread of its own; `step`
    does both. A frame with `restart` forgets the faces.

    `remember_s`: so long what is known of a face that cannot be read holds on; of one that is out of sight, as long as the
    tracker remembers it.
    """

    def __init__(
        self,
        contract: ClipContract,
        tracker: FaceTracker,
        clock: SourceClock,
        validity: ValiditySettings,
        with_motion: bool = True,
        remember_s: float = MemorySettings.remember_s,
    ) -> None:
        self._contract = contract
        self._remember_s = remember_s
        self._tracker = tracker
        self._clock = clock
        self._validity = validity
        self._with_motion = with_motion
        self._readers: dict[int, FaceReader] = {}
        self._shape: tuple[int, ...] | None = None

    def step(self, frame: Frame) -> FrameFeatures:
        return self.read(self.follow(frame))

    def follow(self, frame: Frame) -> FollowedFrame:
        """Where the faces are in the next frame."""
        tick = self._clock.step(frame.time_s)
        rate_hz, sufficient = self._clock.rate_hz, self._clock.sufficient
        anew, stages_ms = frame.restart, {"decode": frame.decode_ms}
        seen: SeenFaces | None = None
        if tick != "repeated":
            # In a picture of another size nothing is where it was.
            anew |= tick == "gap" or (self._shape is not None and frame.image.shape != self._shape)
            self._shape = frame.image.shape
        if anew:
            self._tracker.reset()
        if tick != "repeated":
            started_s = time.perf_counter()
            seen = self._tracker.step(frame)
            stages_ms["align"] = 1000 * (time.perf_counter() - started_s)
        return FollowedFrame(frame, seen, anew, rate_hz, sufficient, stages_ms)

    def read(self, followed: FollowedFrame) -> FrameFeatures:
        """What the network sees of the faces of the next frame that was followed."""
        frame, seen, rate_hz = followed.frame, followed.seen, followed.rate_hz
        if followed.anew:
            self._readers.clear()
        if seen is None:
            return FrameFeatures(frame, (), "no_face", rate_hz, True, followed.stages_ms)
        spent_s = {"preprocess": 0.0, "motion": 0.0}
        self._keep_readers(seen)
        faces = tuple(
            self._readers[face.track].step(face, frame.time_s, followed.sufficient, spent_s) for face in seen.faces
        )
        stages_ms = {stage: 1000 * spent for stage, spent in spent_s.items() if spent > 0.0}
        stages_ms = {**followed.stages_ms, **stages_ms}
        return FrameFeatures(frame, faces, seen.absence, rate_hz, False, stages_ms, seen.remembered)

    def _keep_readers(self, seen: SeenFaces) -> None:
        """Those of the faces that are seen, and of those that may come back."""
        there = {face.track for face in seen.faces}
        self._readers = {track: reader for track, reader in self._readers.items() if track in there | seen.remembered}
        for track in there - self._readers.keys():
            self._readers[track] = FaceReader(self._contract, self._with_motion, self._validity, self._remember_s)
        for track in self._readers.keys() - there:
            self._readers[track].lose()


class FaceClassifier:
    """One face's network frames → its answers and events, both on the contract's time grid.

    A source faster than the grid keeps the last answer until the next grid frame. `detector`: that of the same face, where
    it was seen before.
    """

    def __init__(self, contract: ClipContract, engine: Engine, detector: EventDetector | None) -> None:
        self._names = contract.class_names
        self._units = contract.unit_names
        self.engine, self.detector = engine, detector
        self._frames, self._motions = TimeResampler(contract.fps), MotionResampler(contract.fps)
        # Of one frame: what the model is to see, None where the face cannot be read, and the motion with it.
        self.waiting: deque[tuple[NDArray[Any] | None, Motion | None]] = deque()
        self._reset()

    def _reset(self) -> None:
        self._frames.reset()
        self._motions.reset()
        self._empty()

    def _empty(self) -> None:
        """Empties the window."""
        self.engine.reset()
        self._prediction: Prediction | None = None

    def begin(self, item: FaceFeatures, time_s: float) -> tuple[Event, ...]:
        """Takes the next frame of the face in; the events that are decided before it is looked at. What it means comes with
        the `waiting` steps."""
        events: tuple[Event, ...] = ()
        if item.anew:
            events = self.finish("tracking_lost")
            self._reset()
        elif item.restart or item.features is None:
            events = self.interrupt(_REJECTIONS.get(item.status, "tracking_lost"))
            self._reset()
        if item.features is None:
            return events
        if item.status != "ok":
            self._empty()
        frames = self._frames.step(item.features, time_s)
        motions = [None] * len(frames) if item.motion is None else self._motions.step(item.motion)
        read = frames if item.status == "ok" else [None] * len(frames)
        self.waiting.extend(zip(read, motions, strict=True))
        return events

    def go_on(self, answer: Answer | None) -> tuple[Event, ...]:
        """The answer to the first of the waiting steps, None where the model was not asked or has none yet; the events that
        are decided with it."""
        _, motion = self.waiting.popleft()
        if answer is not None:
            self._prediction = self._checked(answer)
        if self.detector is None or motion is None:
            return ()
        told = (None, None) if answer is None else (answer.probabilities, answer.action_units)
        return self.detector.step(motion, *told)

    def _checked(self, answer: Answer) -> Prediction:
        try:
            return Prediction(
                dict(zip(self._names, answer.probabilities.tolist(), strict=True)),
                dict(zip(self._units, answer.action_units.tolist(), strict=True)),
            )
        except ValueError as error:
            raise ModelError(f"the model's answers are no probabilities, export it again: {error}") from error

    def finish(self, reason: Rejection | None = None) -> tuple[Event, ...]:
        """Decides which events are still open, for the reason why the face is gone (None: the source has ended)."""
        return () if self.detector is None else self.detector.finish(reason)

    def interrupt(self, reason: Rejection) -> tuple[Event, ...]:
        """Decides which events are still open, for the reason why the face cannot be read just now."""
        return () if self.detector is None else self.detector.interrupt(reason)

    def result(self, item: FaceFeatures, rate_hz: float) -> FaceResult:
        """What there is to say of the face in the frame that was stepped last."""
        status: Status = "filling" if item.status == "ok" and self._prediction is None else item.status
        detector = self.detector
        calibrated = detector is not None and detector.calibrated
        smallest_px = detector.smallest_px if detector is not None and status == "ok" else None
        return FaceResult(
            item.track,
            status,
            self.engine.filled,
            self._prediction,
            item.face,
            calibrated,
            rate_hz,
            smallest_px,
            watchable=smallest_px is not None and detector is not None and detector.watchable,
        )


class ClassifyStage:
    """Answers and events of all faces. Every face has an engine of its own; those of faces that are out of sight are used
    again, emptied. What an event detector knows of a face is kept while that may come back."""

    def __init__(
        self,
        contract: ClipContract,
        new_engine: Callable[[], Engine],
        detect_events: bool = True,
        sensitivity: float = DEFAULT_SENSITIVITY,
    ) -> None:
        self._contract = contract
        self._judge = Judge(contract.decision, sensitivity)
        self._new_engine = new_engine
        self._detect_events = detect_events
        self._classifiers: dict[int, FaceClassifier] = {}
        self._away: dict[int, EventDetector] = {}
        self._spare: list[Engine] = []
        self._last: FrameResult | None = None

    def step(self, item: FrameFeatures) -> FrameResult:
        if item.repeated and self._last is not None:
            self._last = replace(
                self._last, frame=item.frame, events=(), latency_ms=_latency_ms(item.frame), stages_ms=item.stages_ms
            )
            return self._last
        started_s = time.perf_counter()
        events = self._end(self._classifiers.keys() - {face.track for face in item.faces}, item.remembered)
        there: list[FaceClassifier] = []
        for face in item.faces:
            if face.track not in self._classifiers:
                self._classifiers[face.track] = self._classifier(face.track)
            there.append(self._classifiers[face.track])
        events += self._classified(there, item)
        results = [face.result(seen, item.rate_hz) for face, seen in zip(there, item.faces, strict=True)]
        stages_ms = dict(item.stages_ms)
        if item.faces:
            stages_ms["classify"] = 1000 * (time.perf_counter() - started_s)
        latency_ms = _latency_ms(item.frame)
        self._last = FrameResult(item.frame, tuple(results), item.absence, events, latency_ms, stages_ms)
        return self._last

    def finish(self) -> tuple[Event, ...]:
        """The events that are still open when the source ends."""
        return sum((classifier.finish() for classifier in self._classifiers.values()), ())

    def _classified(self, faces: Sequence[FaceClassifier], item: FrameFeatures) -> tuple[Event, ...]:
        """Steps the faces of a frame, all in one call of the model; the events, face by face."""
        events = [face.begin(seen, item.frame.time_s) for face, seen in zip(faces, item.faces, strict=True)]
        while places := [place for place, face in enumerate(faces) if face.waiting]:
            asked = {place: frame for place in places if (frame := faces[place].waiting[0][0]) is not None}
            answers = step_together([faces[place].engine for place in asked], list(asked.values()))
            told = dict(zip(asked, answers, strict=True))
            for place in places:
                events[place] += faces[place].go_on(told.get(place))
        return sum(events, ())

    def _end(self, tracks: Set[int], remembered: Set[int]) -> tuple[Event, ...]:
        events: tuple[Event, ...] = ()
        for track in sorted(tracks):
            classifier = self._classifiers.pop(track)
            self._spare.append(classifier.engine)
            events += classifier.interrupt("tracking_lost")
            if classifier.detector is not None:
                self._away[track] = classifier.detector
        self._away = {track: detector for track, detector in self._away.items() if track in remembered}
        return events

    def _classifier(self, track: int) -> FaceClassifier:
        engine = self._spare.pop() if self._spare else self._new_engine()
        detector = self._away.pop(track, None)
        if detector is None and self._detect_events:
            names, fps, units = self._contract.class_names, self._contract.fps, self._contract.action_units
            detector = EventDetector(names, fps, track, units=units, judge=self._judge)
        return FaceClassifier(self._contract, engine, detector)


def _latency_ms(frame: Frame) -> float:
    return 1000 * (time.monotonic() - frame.captured_s)
