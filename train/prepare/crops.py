"""A clip's pictures → aligned crops, by the live program's own alignment, and the window of frames that is taken of them.

One alignment a clip: Face Mesh places its first frame, every later frame is tied to it by motion, never by landmarks, so
that their jitter is not taken for motion. The window is found by frame numbers, whatever is missing between.
"""

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from operator import itemgetter
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from model.atomic import regular_file
from model.contract import Colour, CropGeometry
from model.decoding import decode_picture
from model.errors import MicroliveError
from model.preprocess import Matrix, crop_face, eye_transform
from model.types import Image
from stream.face.align import MotionAligner
from stream.face.follower import FaceSettings
from stream.face.landmarks import FaceMeshDetector, eye_centres
from stream.face.quality import ValiditySettings
from stream.session.session_folder import SessionError
from stream.sources.base import SourceError
from stream.sources.file import FileSource
from train.clips.store import ClipStore
from train.datasets.source import FrameFolder, SessionMoment, SourceClip, StoredClip, VideoFile
from train.prepare.session_cursor import SessionCursor

MAX_MISSING_SHARE = 0.2
MAX_END_GAP_SHARE = 0.1
MAX_LOST_SHARE = 0.1
MAX_PICTURES = 6000
_GREY = (128, 128, 128)


class ClipError(MicroliveError, ValueError):
    """A clip cannot be prepared: why, in words that follow the clip's name."""


@dataclass(frozen=True)
class ClipInterval:
    """Onset and offset of a clip as frame numbers, and how many of the `expected` frames between are `missing`."""

    onset: int
    offset: int
    expected: int
    missing: int


def find_interval(numbers: Sequence[int], onset: int | None, offset: int | None) -> ClipInterval:
    """The interval from onset to offset (None: the first and the last frame there is), checked against the frames.

    `numbers` grow. They may count in steps, the smallest step between two of them: only what breaks the step is missing.

    Raises:
        ClipError: onset and offset do not fit, more than a fifth of the frames between are missing, or those next to the
            onset or the offset are: a gap of more than a tenth of the interval there.
    """
    if len(numbers) < 2:
        raise ClipError(f"expected two pictures or more, found {len(numbers)}")
    onset = numbers[0] if onset is None else onset
    offset = numbers[-1] if offset is None else offset
    if onset >= offset:
        raise ClipError(f"expected an onset before the offset, found onset {onset} and offset {offset}")
    inside = [number for number in numbers if onset <= number <= offset]
    have = f"found pictures {numbers[0]} to {numbers[-1]}"
    if len(inside) < 2:
        raise ClipError(f"expected pictures from onset {onset} to offset {offset}, {have}")
    step = min(later - earlier for earlier, later in pairwise(numbers))
    tolerated = max(step, MAX_END_GAP_SHARE * (offset - onset))
    for name, wanted, nearest in (("onset", onset, inside[0]), ("offset", offset, inside[-1])):
        if abs(wanted - nearest) > tolerated:
            raise ClipError(f"no picture near the {name}, frame {wanted}; the nearest is {nearest} ({have})")
    expected = (offset - onset) // step + 1
    missing = expected - len(inside)
    if missing > MAX_MISSING_SHARE * expected:
        raise ClipError(f"{missing} of {expected} pictures from onset {onset} to offset {offset} are missing")
    return ClipInterval(onset, offset, expected, max(missing, 0))


def sample_window(crops: Image, numbers: Sequence[int], interval: ClipInterval, frames: int) -> Image:
    """Crops (n, …) with their frame numbers (n) → `frames` crops at equal steps of the frame number, onset to offset.

    Linear between the nearest frames there are; beyond the first and the last of them those two. With no frame missing
    this is `model.preprocess.interpolate_clip`, bit for bit.
    """
    places = np.asarray(numbers) - interval.onset
    positions = np.clip(np.linspace(0, interval.offset - interval.onset, frames), places[0], places[-1])
    below = np.searchsorted(places, positions, side="right") - 1
    above = np.minimum(below + 1, len(places) - 1)
    gap = np.maximum(places[above] - places[below], 1)
    share = ((positions - places[below]) / gap).reshape((-1,) + (1,) * (crops.ndim - 1)).astype(np.float32)
    return np.rint(crops[below] * (1 - share) + crops[above] * share).astype(np.uint8)


def between(pictures: FrameFolder, onset: int | None, offset: int | None) -> Sequence[tuple[int, Path]]:
    """The pictures from onset to offset (None: from the first, to the last), by number, of however long a video."""
    files = pictures.files
    first = 0 if onset is None else bisect_left(files, onset, key=itemgetter(0))
    last = len(files) if offset is None else bisect_right(files, offset, key=itemgetter(0))
    return files[first:last]


@dataclass(frozen=True, eq=False)
class SourceCrops:
    """Aligned crops (n, size, size, channels) with their frame numbers, as many as could be read.

    `times_s` of a recorded session's alone: of its source's clock.
    """

    numbers: tuple[int, ...]
    crops: NDArray[np.uint8]
    sha256: str
    peak_px: float | None = None
    seed: int | None = None
    alignment: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    times_s: tuple[float, ...] = ()


class _Hash(Protocol):
    def update(self, data: Any, /) -> None: ...
    def hexdigest(self) -> str: ...


class CropReader:
    """Reads clips one after the other, each on its own. Needs `close()`."""

    def __init__(self, geometry: CropGeometry, colour: Colour) -> None:
        self._geometry = geometry
        self._colour: Colour = colour
        self._detector: FaceMeshDetector | None = None
        self._stores: dict[Path, ClipStore] = {}
        self._sessions = SessionCursor()

    def close(self) -> None:
        self._sessions.close()
        if self._detector:
            self._detector.close()
        self._detector = None

    def read(self, clip: SourceClip) -> SourceCrops:
        """What can be read from the onset to the offset. Raises ClipError, saying why, when that is of no use."""
        if clip.pictures is None:
            raise ClipError("no usable pictures on the disk (the errors of the reader say why)")
        try:
            if isinstance(clip.pictures, StoredClip):
                return self._stored(clip, clip.pictures)
            if isinstance(clip.pictures, SessionMoment):
                raise ClipError("a moment of a session is read with the stretch about it")
            digest, remarks = hashlib.sha256(), list[str]()
            frames = _read(clip.pictures, clip.onset, clip.offset, digest, remarks)
            return self._aligned(clip, frames, digest, remarks)
        except ClipError:
            raise
        except (OSError, ValueError, SourceError, cv2.error) as error:
            raise ClipError(" ".join(str(error).split())) from error

    def read_stretch(self, clip: SourceClip, moment: SessionMoment, first_s: float, last_s: float) -> SourceCrops:
        """What a session recorded from `first_s` to `last_s`, seconds of its source's clock, one frame more on either side where
        there is one. Raises ClipError, saying why, when that is of no use."""
        digest, times = hashlib.sha256(), dict[int, float]()

        def pictures() -> Iterator[tuple[int, Image]]:
            for frame in self._sessions.frames(moment.path, first_s, last_s):
                if times and frame.restart:
                    raise ClipError(f"the source was away at {frame.time_s:.2f} s")
                digest.update(frame.image.data)
                times[frame.index] = frame.time_s
                yield frame.index, frame.image

        try:
            found = self._aligned(clip, pictures(), digest, [])
        except ClipError:
            raise
        except (OSError, ValueError, SessionError, cv2.error) as error:
            raise ClipError(" ".join(str(error).split())) from error
        return replace(found, times_s=tuple(times.values()))

    def _aligned(
        self, clip: SourceClip, pictures: Iterator[tuple[int, Image]], digest: _Hash, remarks: list[str]
    ) -> SourceCrops:
        aligner = MotionAligner(self._geometry)
        numbers: list[int] = []
        crops: list[Image] = []
        image, transform, shift_px, iod_px, lost = None, np.eye(2, 3), None, 0.0, 0
        for number, image in pictures:
            if not aligner.keyed:
                transform, iod_px = self._start(aligner, number, image, clip.cropped)
            else:
                alignment = aligner.step(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY))
                transform, shift_px = alignment.transform, alignment.shift_px
                lost += not alignment.tracked
            numbers.append(number)
            crops.append(crop_face(image, transform, self._geometry, self._colour, shift_px))
            if len(numbers) > MAX_PICTURES:
                raise ClipError(f"more than {MAX_PICTURES} pictures; give onset and offset, or cut it")
        if image is None:
            raise ClipError("no picture from onset to offset can be read")
        lost_text = f"the alignment lost the face in {lost} of {len(numbers)} pictures"
        if lost and self._geometry.size_px < CropGeometry().size_px:
            lost_text += f" (crops of {self._geometry.size_px} px hold few corners to go by: larger ones help)"
        if lost > MAX_LOST_SHARE * len(numbers):
            raise ClipError(lost_text)
        warnings = (*remarks, *((lost_text,) if lost else ()))
        drift_px = self._drift_px(image, transform, clip.cropped)
        if drift_px is not None and drift_px > FaceSettings().max_drift_px:
            warnings += (f"the alignment ends {drift_px:.1f} px of the crop off the eyes: look at the preview",)
        return SourceCrops(
            tuple(numbers),
            self._stacked(crops),
            digest.hexdigest(),
            alignment={
                "iod_px": round(iod_px, 1),
                "lost_frames": lost,
                "drift_px": None if drift_px is None else round(drift_px, 2),
            },
            warnings=warnings,
        )

    def _start(self, aligner: MotionAligner, number: int, image: Image, cropped: bool) -> tuple[Matrix, float]:
        """Makes a picture the one that all others are tied to; its transform and the pixels between its eyes."""
        grey = (image[..., 0] == image[..., 1]).all() and (image[..., 1] == image[..., 2]).all()
        if self._colour == "rgb" and grey:
            raise ClipError(
                "the pictures are grey, and among coloured ones that tells the dataset; leave out --colour rgb"
            )
        points = self._points(image, cropped)
        if points is None:
            raise ClipError(f"no face found on frame {number}, the first of the clip")
        left, right = eye_centres(points[:, :2])
        iod_px, least_px = float(np.hypot(*(right - left))), ValiditySettings().min_iod_px
        if iod_px < least_px:
            raise ClipError(
                f"the face is too small: expected {least_px:g} px or more between the eyes, found {iod_px:.0f}"
            )
        transform = eye_transform(left, right, self._geometry)
        aligner.rekey(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), points, transform)
        return transform, iod_px

    def _stored(self, clip: SourceClip, pictures: StoredClip) -> SourceCrops:
        """Crops that were aligned when their store was made, brought to the wanted size and colour."""
        if pictures.path not in self._stores:
            self._stores[pictures.path] = ClipStore.open(pictures.path)
        store = self._stores[pictures.path]
        first = clip.onset or 0
        last = len(store.clips[pictures.row]) - 1 if clip.offset is None else clip.offset
        source = np.asarray(store.clips[pictures.row, first : last + 1])
        if source.shape[-1] == 1 and self._colour == "rgb":
            raise ClipError("the store is grey; leave out --colour rgb")
        size_px = self._geometry.size_px
        shrunk = size_px / store.manifest.crop.size_px
        if store.manifest.crop.iod_px * shrunk != self._geometry.iod_px:
            raise ClipError(f"the store's crops ({store.manifest.crop}) cannot be scaled to {self._geometry}")
        crops = [_resized(_recoloured(crop, self._colour), size_px) for crop in source]
        record = store.records[pictures.row]
        return SourceCrops(
            tuple(range(first, first + len(crops))),
            self._stacked(crops),
            hashlib.sha256(source.tobytes()).hexdigest(),
            None if record.peak_px is None else round(record.peak_px * shrunk, 4),
            record.seed,
        )

    def _stacked(self, crops: list[Image]) -> NDArray[np.uint8]:
        channels = 1 if self._colour == "grey" else 3
        return np.stack(crops).reshape(len(crops), self._geometry.size_px, self._geometry.size_px, channels)

    def _points(self, image: Image, cropped: bool) -> NDArray[np.float32] | None:
        """The largest face's landmarks (468, 3). A face that fills its picture is found, and its eyes placed, better on a ground."""
        if self._detector is None:
            self._detector = FaceMeshDetector(static=True)
        for padded in (cropped, not cropped):
            border = max(image.shape[:2]) // 2 if padded else 0
            faces = self._detector.detect_with_depth(_bordered(image, border))
            if faces:
                return faces[0] - np.array([border, border, 0.0], np.float32)
        return None

    def _drift_px(self, image: Image, transform: NDArray[Any], cropped: bool) -> float | None:
        """How far off the eyes, in crop pixels, the alignment has come by a clip's last picture; None without a face.

        A check alone, as live: the alignment itself goes by motion.
        """
        points = self._points(image, cropped)
        if points is None:
            return None
        landmarks = points[:, :2]
        wanted = eye_transform(*eye_centres(landmarks), self._geometry)
        eyes = np.column_stack([np.vstack(eye_centres(landmarks)), np.ones(2)])
        return float(np.abs(eyes @ transform.T - eyes @ wanted.T).max())


def _read(
    pictures: FrameFolder | VideoFile, onset: int | None, offset: int | None, digest: _Hash, remarks: list[str]
) -> Iterator[tuple[int, Image]]:
    """(frame number, BGR picture, upright) of what can be read from onset to offset; the digest sees every byte that is
    used, and `remarks` gets what is odd about a video."""
    if isinstance(pictures, FrameFolder):
        for number, path in between(pictures, onset, offset):
            data = regular_file(path).read_bytes()
            digest.update(data)
            image = decode_picture(data)
            if image is not None:
                yield number, image
        return
    first, last = onset or 0, float("inf") if offset is None else offset
    with regular_file(pictures.path).open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    with FileSource(pictures.path, pace="fast") as source:
        for frame in source:
            number = pictures.first + frame.index
            if number > last:
                break
            if number >= first:
                yield number, frame.image
        remarks += source.remarks()


def _bordered(image: Image, width_px: int) -> Image:
    around = (width_px, width_px, width_px, width_px)
    return cv2.copyMakeBorder(image, *around, borderType=cv2.BORDER_CONSTANT, value=_GREY) if width_px else image


def _recoloured(crop: Image, colour: Colour) -> Image:
    if crop.shape[-1] == 1:
        return crop[..., 0]
    return cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY) if colour == "grey" else crop


def _resized(crop: Image, size_px: int) -> Image:
    return crop if len(crop) == size_px else cv2.resize(crop, (size_px, size_px), interpolation=cv2.INTER_AREA)
