"""Frozen values that cross folders. Times are seconds of the source's own clock; coordinates are pixels."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Image = NDArray[Any]
"""A picture or crop, uint8. OpenCV's type stubs do not keep dtypes, so docstrings and checks at the seams do."""

Pace = Literal["realtime", "fast"]
"""How fast a file's frames are given out: at the speed they were taken, or as soon as they are wanted."""

Status = Literal[
    "ok",
    "filling",
    "no_face",
    "tracking_lost",
    "face_too_small",
    "face_turned",
    "not_upright",
    "no_life",
    "blurred",
    "too_dark",
    "flicker",
    "insufficient_rate",
]
"""Why a face has an answer (`ok`) or has none. `tracking_lost`: a face broke off, or two overlap in the picture.
`not_upright`: it stands on its head or lies on its side, so the camera or the file has to be turned. `no_life`: it never
moves at all, like a poster, or the picture stands still. `too_dark`: noise hides small movements. `flicker`: the light does,
more than can be taken out. `insufficient_rate`: too few frames a second to see a micro-expression."""


class _ByValue:
    """Equality of frozen dataclasses that hold arrays: type by type, field by field, arrays by shape, dtype and contents."""

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return all(_same(getattr(self, field.name), getattr(other, field.name)) for field in fields(self))  # type: ignore[arg-type]

    __hash__ = None  # type: ignore[assignment]


def _same(first: Any, second: Any) -> bool:
    arrays = [isinstance(value, np.ndarray) for value in (first, second)]
    if any(arrays):
        return all(arrays) and bool(first.dtype == second.dtype) and np.array_equal(first, second)
    return first is second or bool(first == second)


@dataclass(frozen=True, eq=False)
class Frame(_ByValue):
    """One picture of a source.

    Attributes:
        index: Its number in the source, from 0.
        time_s: The source's own timestamp, in seconds.
        image: BGR uint8 (height, width, 3).
        captured_s: The monotonic clock at the moment the frame was in hand; latency is counted from it.
        decode_ms: What reading it from a file took; 0 for live sources, where reading is mostly waiting.
        restart: With this frame the faces are forgotten, because somebody asked for it.

    Example:
        ```python
        frame = Frame(index=0, time_s=0.0, image=cv2.imread("face.png"), captured_s=time.monotonic())
        ```
    """

    index: int
    time_s: float
    image: Image
    captured_s: float
    decode_ms: float = 0.0
    restart: bool = False


@dataclass(frozen=True, eq=False)
class FaceCrop(_ByValue):
    """An aligned face.

    Attributes:
        crop: uint8, (size, size) grey or (size, size, 3) RGB.
        transform: The 2x3 matrix from image to crop pixels.
        outline: The face oval (n, 2) in image pixels.
        rekeyed: The alignment started anew with no tie to the frames before.

    Example:
        ```python
        left, top = result.faces[0].face.outline.min(axis=0)
        ```
    """

    crop: Image
    transform: NDArray[np.float64]
    outline: NDArray[np.float32]
    rekeyed: bool


@dataclass(frozen=True)
class Prediction:
    """What the model says of the last second of a face.

    Attributes:
        probabilities: By class, in the contract's order; they add up to 1.
        action_units: How likely each action unit acts on each side of the face, by its name in the contract ("L4": 0.93;
            left is the subject's). Empty where the model tells none.

    Raises:
        ValueError: The probabilities do not add up to 1, or those of action units are not between 0 and 1.

    Example:
        ```python
        Prediction({"negative": 0.1, "positive": 0.2, "surprise": 0.1, "neutral": 0.6}).label  # "neutral"
        ```
    """

    probabilities: Mapping[str, float]
    action_units: Mapping[str, float] = field(default_factory=lambda: dict[str, float]())

    def __post_init__(self) -> None:
        total = sum(self.probabilities.values())
        if not abs(total - 1.0) < 1e-3:
            raise ValueError(f"probabilities: expected a sum of 1, found {total:.4f}")
        for name, share in self.action_units.items():
            if not 0.0 <= share <= 1.0:
                raise ValueError(f"action unit {name}: expected 0 to 1, found {share:.4f}")

    @property
    def label(self) -> str:
        """The most likely class."""
        return max(self.probabilities, key=lambda name: self.probabilities[name])

    @property
    def confidence(self) -> float:
        """The probability of `label`."""
        return self.probabilities[self.label]


def unit_label(number: int, left: float, right: float) -> str:
    """How FACS writes a unit: "4" when both sides act, "L12" or "R12" when one does."""
    return f"{number}" if left and right else f"L{number}" if left else f"R{number}"


def acting_units(probabilities: Mapping[str, float], threshold: float) -> dict[str, float]:
    """The units of which a side reaches the threshold, as FACS writes them, with the mean probability of the acting sides.

    `probabilities` by side and number, both sides of each unit: {"L12": 0.8, "R12": 0.2} at 0.5 is {"L12": 0.8}.
    """
    found: dict[str, float] = {}
    for number in dict.fromkeys(int(name[1:]) for name in probabilities):
        left, right = (probabilities[f"{side}{number}"] for side in "LR")
        acting = [share for share in (left, right) if share >= threshold]
        if acting:
            found[unit_label(number, left >= threshold, right >= threshold)] = sum(acting) / len(acting)
    return found


EventKind = Literal["micro", "macro"]
"""micro: 40 to 500 ms from onset to offset. macro: longer."""

Rejection = Literal[
    "blink",
    "head_motion",
    "speech",
    "exposure",
    "blur",
    "face_too_small",
    "face_turned",
    "not_upright",
    "tracking_lost",
    "insufficient_rate",
    "calibrating",
    "too_small",
    "not_brief",
    "overlap",
    "no_expression",
]
"""Why a movement is no event: of a micro-expression what spoke most against it. `overlap`: a likelier one at the same time.
`not_brief`: it does not come and go as they do. `no_expression`: what moves, or what the model makes of it, is not like one."""


@dataclass(frozen=True)
class Event:
    """A movement of a face, from onset over apex to offset in seconds of the source's clock.

    Attributes:
        track: The face's number.
        kind: `micro` (40 to 500 ms) or `macro` (longer).
        label: The model's class for it.
        onset_s: When the face left its rest.
        apex_s: When it was farthest from it.
        offset_s: When it was back.
        confidence: 0 to 1: the class's mean probability after the apex, times the share of the movement that stands out of
            what the face moves before and after it.
        peak_px: The longest movement of a region, in pixels of a crop with 44 between the eyes.
        rejected: None for an event that counts, else the reason why it does not.
        action_units: Those that act in it, as FACS writes them ("4": both sides, "L12": the subject's left alone). Empty
            where none reaches the model's threshold, and where the model tells none.
        action_unit_confidences: Of each, 0 to 1: its mean probability over the frames that decide the class.
        probability: 0 to 1: that a movement this short is a micro-expression (the contract's `decision`), at the rate of
            events that the decision was fitted at. None for macro-expressions.
        evidence: What the probability was reckoned from, by name (`stream.events.evidence`).

    Raises:
        ValueError: The times are not in order, or there is not one confidence for each action unit.

    Example:
        ```python
        counting = [event for result in results for event in result.events if event.rejected is None]
        ```
    """

    track: int
    kind: EventKind
    label: str
    onset_s: float
    apex_s: float
    offset_s: float
    confidence: float
    peak_px: float
    rejected: Rejection | None = None
    action_units: tuple[str, ...] = ()
    action_unit_confidences: tuple[float, ...] = ()
    probability: float | None = None
    evidence: Mapping[str, float] = field(default_factory=lambda: dict[str, float]())

    def __post_init__(self) -> None:
        if not self.onset_s <= self.apex_s <= self.offset_s:
            times = f"{self.onset_s:.3f}, {self.apex_s:.3f}, {self.offset_s:.3f}"
            raise ValueError(f"event: expected onset <= apex <= offset, found {times}")
        units, confidences = len(self.action_units), len(self.action_unit_confidences)
        if units != confidences:
            raise ValueError(f"event: expected a confidence for each of {units} action units, found {confidences}")
        if self.probability is not None and not 0.0 <= self.probability <= 1.0:
            raise ValueError(f"event: expected a probability from 0 to 1, found {self.probability:.4f}")

    @property
    def duration_s(self) -> float:
        """From onset to offset."""
        return self.offset_s - self.onset_s

    def to_dict(self) -> dict[str, Any]:
        """The event as it is written, ready for JSON.

        Returns:
            The attributes by name, numbers rounded (times to 0.1 ms); `rejected` only where it is, `action_units`,
            `action_unit_confidences`, `probability` and `evidence` only where there are some.
        """
        values: dict[str, Any] = {
            "kind": self.kind,
            "label": self.label,
            "onset_s": round(self.onset_s, 4),
            "apex_s": round(self.apex_s, 4),
            "offset_s": round(self.offset_s, 4),
            "confidence": round(self.confidence, 4),
            "peak_px": round(self.peak_px, 3),
            "track": self.track,
        }
        if self.action_units:
            values["action_units"] = list(self.action_units)
            values["action_unit_confidences"] = [round(share, 4) for share in self.action_unit_confidences]
        if self.probability is not None:
            values["probability"] = round(self.probability, 4)
        if self.rejected is not None:
            values["rejected"] = self.rejected
        if self.evidence:
            values["evidence"] = {name: round(value, 4) for name, value in self.evidence.items()}
        return values


@dataclass(frozen=True, eq=False)
class FaceResult(_ByValue):
    """What the live loop says of one followed face in one frame.

    Attributes:
        track: The face's number: 1, 2, … in the order of appearance, never used again.
        status: `ok`, or why there is no answer.
        filled: The frames in its window, 0 to the contract's `frames`.
        prediction: None unless status is `ok`.
        face: Where it is, and its aligned crop.
        calibrated: Seen for long enough that its movements count as events.
        rate_hz: The source's effective frame rate, 0 while it is not known.
        smallest_px: From this size on a micro-expression would rather be noticed now than not, in pixels of a crop with 44
            between the eyes; None where none would be.
        watchable: Whether one of 5 px or less would be. What is not watchable is not known to be
            free of any.

    Example:
        ```python
        for face in result.faces:
            print(face.track, face.status, face.prediction and face.prediction.label)
        ```
    """

    track: int
    status: Status
    filled: int
    prediction: Prediction | None
    face: FaceCrop
    calibrated: bool = False
    rate_hz: float = 0.0
    smallest_px: float | None = None
    watchable: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The face without its pictures, ready for JSON.

        Returns:
            The attributes by name, with `label`, `confidence`, `probabilities` and `action_units` (None without an
            answer) for the prediction, and `box_px` [left, top, width, height] of the face's outline in image pixels.
        """
        answer, outline = self.prediction, self.face.outline
        left, top, right, bottom = map(float, (*outline.min(axis=0), *outline.max(axis=0)))
        return {
            "track": self.track,
            "status": self.status,
            "filled": self.filled,
            "label": answer.label if answer else None,
            "confidence": answer.confidence if answer else None,
            "probabilities": dict(answer.probabilities) if answer else None,
            "action_units": dict(answer.action_units) if answer else None,
            "box_px": [left, top, right - left, bottom - top],
            "calibrated": self.calibrated,
            "rate_hz": self.rate_hz,
            "smallest_px": self.smallest_px,
            "watchable": self.watchable,
        }


@dataclass(frozen=True, eq=False)
class FrameResult(_ByValue):
    """What the live loop says of one frame: the rows of the CSV and what the overlay draws.

    `status`, `filled`, `prediction` and `face` are those of the first face.

    Attributes:
        frame: The frame itself, with its picture.
        faces: The largest face first.
        absence: Why there is none; counts only then.
        events: Those that were decided with this frame, accepted and rejected, of all faces, also of those that are gone.
        latency_ms: From the frame in hand to its result.
        stages_ms: The time of every stage that this frame went through.

    Example:
        ```python
        with open("results.jsonl", "w") as file:
            for result in Recognizer().run("talk.mp4"):
                print(json.dumps(result.to_dict()), file=file)
        ```
    """

    frame: Frame
    faces: tuple[FaceResult, ...]
    absence: Status
    events: tuple[Event, ...]
    latency_ms: float
    stages_ms: Mapping[str, float]

    @property
    def status(self) -> Status:
        """`ok`, or why there is no answer."""
        return self.faces[0].status if self.faces else self.absence

    @property
    def filled(self) -> int:
        """The frames in the window."""
        return self.faces[0].filled if self.faces else 0

    @property
    def prediction(self) -> Prediction | None:
        """None unless `status` is `ok`."""
        return self.faces[0].prediction if self.faces else None

    @property
    def face(self) -> FaceCrop | None:
        """None where there is none."""
        return self.faces[0].face if self.faces else None

    def to_dict(self) -> dict[str, Any]:
        """The result without its pictures, ready for JSON.

        Returns:
            `frame` (its number), `time_s`, `status`, `faces` and `events` (as their own `to_dict`), `latency_ms` and
            `stages_ms`.
        """
        return {
            "frame": self.frame.index,
            "time_s": self.frame.time_s,
            "status": self.status,
            "faces": [face.to_dict() for face in self.faces],
            "events": [event.to_dict() for event in self.events],
            "latency_ms": self.latency_ms,
            "stages_ms": dict(self.stages_ms),
        }
