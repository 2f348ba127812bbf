"""What there is to see around an event: pictures, the aligned face, and how it moved from the onset on.

Faces are found and followed as in a run, over these frames alone. Motion is drawn as arrows, and magnified: every pixel is
taken from so much further along its motion. That is for the eye only; nothing is measured in it.
"""

from collections import OrderedDict
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from model.contract import ClipContract, CropGeometry
from model.preprocess import crop_face
from model.types import FaceCrop, Image
from stream.events.motion import REGIONS, FlowBetween, RegionMeter
from stream.face.quality import ValiditySettings
from stream.face.tracker import FaceTracker, TrackerSettings
from stream.review.footage import Footage
from stream.screen.paint import Colour
from stream.session.event_sheet import arrow_enlargement, draw_arrows

MOST_FRAMES = 240
"""Of a longer stretch every second frame is shown, or every third, …"""
ENLARGED = 2
"""The face is shown in so many times the pixels of its crop."""
PICTURE_SIDE_PX = 480
LARGEST_GAIN = 30.0
_FLOW_BLUR_PX = 4.0
_STEPS_BACK = 12
_JPEG_QUALITY = 85
_KEPT_BYTES = 256 * 1024 * 1024
_ARROWS: Colour = (80, 200, 255)
_CONTRACT = ClipContract(("face", "none"))
"""Only its geometry counts: that in which motion is measured."""


@dataclass(frozen=True, eq=False)
class Stretch:
    """Consecutive shown frames: `times_s`, `pictures` (JPEG), and the face in them, None where it was not found: `crops` grey
    uint8 (128, 128), `faces` BGR uint8 (256, 256, 3). Every `every`-th frame of the footage is in it."""

    times_s: tuple[float, ...]
    every: int
    pictures: tuple[bytes, ...]
    crops: tuple[Image | None, ...]
    faces: tuple[Image | None, ...]

    @property
    def size_bytes(self) -> int:
        arrays = sum(0 if image is None else image.nbytes for image in (*self.crops, *self.faces))
        return arrays + sum(map(len, self.pictures))

    def reference(self, onset_s: float) -> int | None:
        """The last frame with a face that is not after the onset, or else the first one with a face; None without any."""
        seen = [place for place, crop in enumerate(self.crops) if crop is not None]
        before = [place for place in seen if self.times_s[place] <= onset_s + 1e-6]
        return before[-1] if before else next(iter(seen), None)


class StretchMaker:
    """Reads stretches of one footage, for one thread; the newest are kept. `face_at`: where in the picture the face of
    interest is (x, y), as in a run; None: the largest face. Needs `close()`."""

    def __init__(self, footage: Footage, face_at: tuple[float, float] | None = None) -> None:
        self._footage = footage
        self._tracker = FaceTracker(_CONTRACT, ValiditySettings(), TrackerSettings(face_at=face_at))
        self._kept: OrderedDict[range, Stretch] = OrderedDict()

    def close(self) -> None:
        self._tracker.close()

    def between(self, from_s: float, to_s: float) -> Stretch:
        """Raises `LabelError` and `SessionError` where the footage cannot be read."""
        numbers = self._footage.around(from_s, to_s)
        found = self._kept.pop(numbers, None) or self._read(numbers)
        self._kept[numbers] = found
        while sum(one.size_bytes for one in self._kept.values()) > _KEPT_BYTES and len(self._kept) > 1:
            self._kept.popitem(last=False)
        return found

    def _read(self, numbers: range) -> Stretch:
        every = max(1, -(-len(numbers) // MOST_FRAMES))
        self._tracker.reset()
        times_s: list[float] = []
        pictures: list[bytes] = []
        crops: list[Image | None] = []
        faces: list[Image | None] = []
        for frame in self._footage.frames(numbers):
            seen = self._tracker.step(frame).faces
            if (frame.index - numbers.start) % every:
                continue
            times_s.append(frame.time_s)
            pictures.append(jpeg(_fitted(frame.image)))
            face = seen[0].face if seen else None
            crops.append(None if face is None else face.crop)
            faces.append(None if face is None else _enlarged(frame.image, face))
        return Stretch(tuple(times_s), every, tuple(pictures), tuple(crops), tuple(faces))


class StretchMotion:
    """How the face of a stretch moved since its onset; for one thread. Flows are reckoned when they are first asked for."""

    def __init__(self, stretch: Stretch, onset_s: float) -> None:
        self.stretch = stretch
        self.reference = stretch.reference(onset_s)
        self._flow = FlowBetween(_CONTRACT)
        self._flows: dict[int, NDArray[np.float32]] = {}
        self._regions = RegionMeter(_CONTRACT.crop, _CONTRACT.crop.size_px)

    def flow_px(self, place: int) -> NDArray[np.float32] | None:
        """(128, 128, 2) crop pixels from the reference to a frame; None where one of them shows no face."""
        crop = self.stretch.crops[place]
        if self.reference is None or crop is None:
            return None
        if place not in self._flows:
            onset = self.stretch.crops[self.reference]
            assert onset is not None
            self._flows[place] = self._flow.px(onset, crop)
        return self._flows[place]

    def regions_px(self) -> list[list[float] | None]:
        """How far each region has moved, in every frame, in pixels of a crop with 44 between the eyes."""
        told: list[list[float] | None] = []
        for place in range(len(self.stretch.times_s)):
            flow = self.flow_px(place)
            lengths = None if flow is None else np.hypot(*self._regions.motion_px(flow).T)
            told.append(None if lengths is None else [round(float(length), 3) for length in lengths])
        return told

    def arrows(self) -> tuple[list[bytes], int]:
        """The faces with their motion as arrows, JPEG, empty where there is no face; how many times enlarged, 0: too little
        moves for any."""
        flows = [self.flow_px(place) for place in range(len(self.stretch.times_s))]
        known = [flow for flow in flows if flow is not None]
        # The same for all frames, so that arrows grow as the motion does.
        times = min((found for flow in known if (found := arrow_enlargement(flow))), default=0)
        drawn: list[bytes] = []
        for face, flow in zip(self.stretch.faces, flows, strict=True):
            if face is None or flow is None:
                drawn.append(b"")
                continue
            panel = cv2.convertScaleAbs(face, alpha=0.6)
            if times:
                draw_arrows(panel, flow, _ARROWS, times)
            drawn.append(jpeg(panel))
        return drawn, times

    def magnified(self, gain: float) -> list[bytes]:
        """The faces with `gain` times their motion, JPEG, empty where there is no face."""
        faces = self.stretch.faces
        moved = [None if face is None else self._magnified(place, face, gain) for place, face in enumerate(faces)]
        return [b"" if face is None else jpeg(face) for face in moved]

    def _magnified(self, place: int, face: Image, gain: float) -> Image:
        flow = self.flow_px(place)
        return face if flow is None else magnify(face, flow, gain)


def magnify(face: Image, flow: NDArray[np.float32], gain: float) -> Image:
    """A face (side, side, 3) with `gain` times the motion that the flow (size, size, 2), in pixels of its own, has brought it;
    with 1 it stays as it is."""
    if gain == 1:
        return face
    side = face.shape[0]
    scale = side / flow.shape[0]
    smooth = cv2.GaussianBlur(flow, (0, 0), _FLOW_BLUR_PX)
    further = ((gain - 1) * scale * cv2.resize(smooth, (side, side), interpolation=cv2.INTER_LINEAR)).astype(np.float32)
    steps = np.arange(side, dtype=np.float32)
    here = np.stack(np.meshgrid(steps, steps), axis=-1)
    # What is seen at a place came from where the motion leads to it: found by going back again and again.
    came_from = here
    for _ in range(_STEPS_BACK):
        led = cv2.remap(further, came_from, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]
        came_from = (came_from + here - led) / 2
    return cv2.remap(face, came_from, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]


def jpeg(image: Image) -> bytes:
    _, data = cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY))
    return np.asarray(data).tobytes()


def _fitted(image: Image) -> Image:
    """No side longer than `PICTURE_SIDE_PX`."""
    height, width = image.shape[:2]
    scale = PICTURE_SIDE_PX / max(width, height)
    if scale >= 1:
        return image
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def _enlarged(image: Image, face: FaceCrop) -> Image:
    """The aligned face in more pixels, BGR."""
    crop = _CONTRACT.crop
    larger = CropGeometry(ENLARGED * crop.size_px, ENLARGED * crop.iod_px, ENLARGED * crop.eye_line_px)
    return cv2.cvtColor(crop_face(image, ENLARGED * face.transform, larger, "rgb"), cv2.COLOR_RGB2BGR)


REGION_NAMES = tuple(REGIONS)
