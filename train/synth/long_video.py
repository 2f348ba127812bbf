"""Long videos of a face with known expressions: full pictures at any frame rate, the same performance at all of them.

The person is in front of what the photo shows behind them. Videos can be written to a file, to look at, or to be read back
with what compression leaves of them.
"""

import math
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from model.atomic import whole_file
from model.guards import shown
from model.types import Image
from stream.sources.base import SourceInfo
from stream.sources.file import ffmpeg_name, is_utf8
from train.errors import TrainError
from train.synth.confounders import draw_texture
from train.synth.faces import PICTURE_IOD_PX, PICTURE_ORIGIN_IOD, PICTURE_SIDE_IOD, FaceSource
from train.synth.long_video_script import Distraction, Script, ScriptSettings, TruthEvent, draw_script
from train.synth.render import Camera, FaceModel, FaceRenderer, Pose
from train.synth.sensor import IntegerNoise, Light

# Over so much of the drawn square's edge it passes into the still picture around it.
_FEATHER_PX = 12
TimedPicture = tuple[float, Image]


@dataclass(frozen=True)
class View:
    """The size of a video's pictures."""

    width_px: int = 640
    height_px: int = 480


@dataclass(frozen=True)
class Whereabouts:
    """Where a person is: the middle between the eyes and their distance, pixels; `shown` is the share of the face in sight."""

    person: int
    eyes_px: tuple[float, float]
    iod_px: float
    shown: float


class Scene(Protocol):
    """What a camera sees. Poses, one for every person, come with neutral light."""

    def draw(self, poses: Sequence[Pose], time_s: float) -> Image:
        """The picture BGR uint8 (height, width, 3) without light changes and noise; the caller may write to it."""
        ...

    def whereabouts(self, time_s: float) -> tuple[Whereabouts, ...]:
        """Where everybody in the picture is, head motion left aside."""
        ...


class SoloScene:
    """One person; what is not the head is drawn once."""

    def __init__(
        self,
        model: FaceModel,
        camera: Camera,
        view: View,
        eyes_px: tuple[float, float],
        texture: NDArray[np.float32] | None,
        shading: float,
    ) -> None:
        self._renderer = FaceRenderer(model, camera, texture, shading)
        corner = _corner(camera, view, eyes_px)
        self._rows = slice(corner[1], corner[1] + camera.side_px)
        self._columns = slice(corner[0], corner[0] + camera.side_px)
        self._still = _still_picture(model, camera, corner, view)
        self._share = feather(camera.side_px, _FEATHER_PX)
        self._rest = 1 - self._share
        self._where = (Whereabouts(0, eyes_px, camera.iod_px, 1.0),)

    def draw(self, poses: Sequence[Pose], time_s: float) -> Image:
        picture = self._still.copy()
        view = picture[self._rows, self._columns]
        view[:] = cv2.blendLinear(self._renderer.render(poses[0]), view, self._share, self._rest)
        return picture

    def whereabouts(self, time_s: float) -> tuple[Whereabouts, ...]:
        return self._where


def _corner(camera: Camera, view: View, eyes_px: tuple[float, float]) -> NDArray[np.int_]:
    """The picture's pixel (x, y) at which the camera's square frame begins; ValueError when it does not fit in."""
    corner = np.rint(np.array(eyes_px) - camera.from_canonical()[:, 2]).astype(int)
    if (corner < 0).any() or (corner + camera.side_px > (view.width_px, view.height_px)).any():
        raise ValueError(
            f"view: expected room for a face of {camera.side_px} px in {view.width_px} x {view.height_px}, "
            f"found it at {corner.tolist()}"
        )
    return corner


def _still_picture(model: FaceModel, camera: Camera, corner: NDArray[np.int_], view: View) -> Image:
    """The person at rest in a picture of the view's size. Beyond the photo its border goes on, far out of focus."""
    to_camera = camera.from_canonical()
    to_camera[:, 2] += corner
    size = (view.width_px, view.height_px)
    far = to_camera @ np.vstack([model.face.canonical_transform(), [0, 0, 1]])
    far_picture = _warped(model.face.image, far, size)
    inside = cv2.warpAffine(np.full(model.face.image.shape[:2], 255, np.uint8), far, size, flags=cv2.INTER_NEAREST)
    inside_iod = cv2.distanceTransform(inside, cv2.DIST_L2, 5) / camera.iod_px
    small = cv2.resize(far_picture, None, fx=1 / 8, fy=1 / 8, interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), 0.5 * camera.iod_px / 8, borderType=cv2.BORDER_REPLICATE)
    far_picture = _mixed(far_picture, cv2.resize(small, size, interpolation=cv2.INTER_CUBIC), inside_iod / 0.4)

    # The camera's frame must show just what the renderer draws; around it there is a ring to pass over in.
    near = picture_to(to_camera)
    side = model.picture.shape[0]
    within = cv2.warpAffine(np.full((side, side), 255, np.uint8), near, size, flags=cv2.INTER_NEAREST)
    # The frame's edges are this far inside the canonical picture's, or farther.
    ring_px = (PICTURE_SIDE_IOD * camera.iod_px - camera.side_px) / 2 * 0.85
    share = cv2.distanceTransform(within, cv2.DIST_L2, 5) / ring_px
    picture = _mixed(_warped(model.picture, near, size), far_picture, share)
    return cv2.GaussianBlur(picture, (0, 0), camera.blur_px) if camera.blur_px > 0 else picture


def picture_to(from_canonical: NDArray[np.float64]) -> NDArray[np.float64]:
    """The transform (2, 3) from a face model's picture, given that from the canonical frame."""
    canonical = np.column_stack([np.eye(2) / PICTURE_IOD_PX, PICTURE_ORIGIN_IOD])
    return from_canonical @ np.vstack([canonical, [0, 0, 1]])


def _warped(image: Image, matrix: NDArray[np.float64], size: tuple[int, int]) -> Image:
    """`warpAffine` that averages where the picture shrinks; its border goes on beyond it."""
    shrink = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    while shrink < 0.5:
        image, matrix, shrink = cv2.pyrDown(image), matrix * (2.0, 2.0, 1.0), shrink * 2
    return cv2.warpAffine(image, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _mixed(first: Image, second: Image, share: NDArray[np.floating]) -> Image:
    """`first` where share is 1 or more, `second` where it is 0."""
    share = np.clip(share, 0, 1).astype(np.float32)
    return cv2.blendLinear(first, second, share, 1 - share)


def feather(side_px: int, width_px: int) -> NDArray[np.float32]:
    """1 inside a square (side, side), falling to 0 over `width_px` at its edges."""
    ramp = np.minimum(np.arange(side_px) + 1, np.arange(side_px)[::-1] + 1) / width_px
    edge = np.clip(ramp, 0, 1).astype(np.float32)
    return np.minimum(edge[:, np.newaxis], edge)


@dataclass(frozen=True)
class Sampling:
    """When pictures are taken: `fps` a second; each up to `jitter` of an interval early or late."""

    fps: float = 30.0
    jitter: float = 0.0

    def __post_init__(self) -> None:
        if not 1 <= self.fps <= 1000 or not 0 <= self.jitter < 0.5:
            raise ValueError(
                f"sampling: expected 1 to 1000 fps and a jitter of 0 to .5 intervals, found {self.fps:g} and {self.jitter:g}"
            )

    def times_s(self, duration_s: float, seed: int) -> NDArray[np.float64]:
        """Timestamps from 0 on, growing; the seed matters for jitter only."""
        count = int(duration_s * self.fps + 1e-6)
        late = np.random.default_rng([0x717, seed]).uniform(-self.jitter, self.jitter, count)
        times = (np.arange(count) + late) / self.fps
        return times - times[0] if count else times


@dataclass(frozen=True, eq=False)
class LongVideo:
    """A video whose frames are drawn when asked for. `people` and `scripts` go together; `light` is the first script's."""

    name: str
    people: tuple[str, ...]
    scripts: tuple[Script, ...]
    scene: Scene
    view: View
    noise: float
    noise_seed: int

    @property
    def duration_s(self) -> float:
        return self.scripts[0].duration_s

    @property
    def events(self) -> tuple[TruthEvent, ...]:
        """What is true, in order of time; `track` is the place in `people`."""
        events = (replace(e, track=person) for person, script in enumerate(self.scripts) for e in script.events)
        return tuple(sorted(events, key=lambda event: event.onset_s))

    @property
    def distractions(self) -> tuple[Distraction, ...]:
        return tuple(sorted((d for script in self.scripts for d in script.distractions), key=lambda d: d.start_s))

    def info(self, sampling: Sampling) -> SourceInfo:
        """What a source of these frames says of itself."""
        count = len(sampling.times_s(self.duration_s, self.noise_seed))
        return SourceInfo(self.name, self.view.width_px, self.view.height_px, sampling.fps, live=False, frames=count)

    def frames(self, sampling: Sampling | None = None) -> Iterator[tuple[float, Image]]:
        """Times and pictures, BGR uint8 (height, width, 3). The noise belongs to the picture's number, not to its time."""
        sensor = IntegerNoise(self.noise, (self.view.height_px, self.view.width_px, 3), self.noise_seed)
        light = Light(self.view.width_px, self.view.height_px)
        for index, time_s in enumerate((sampling or Sampling()).times_s(self.duration_s, self.noise_seed).tolist()):
            poses = [script.pose(time_s) for script in self.scripts]
            unlit = [replace(pose, light=1.0, light_slope=0.0) for pose in poses]
            picture = self.scene.draw(unlit, time_s)
            yield time_s, sensor.photograph(light.shine(picture, poses[0].light, poses[0].light_slope), index)


def make_long_video(
    faces: Sequence[FaceSource], seed: int, index: int, settings: ScriptSettings | None = None, kind: str = "made"
) -> LongVideo:
    """Video `index` of a seed; people come in turn, then their other photos. The same arguments, the same pictures."""
    face = pick_face(faces, index)
    staging, performance = np.random.default_rng([0x10E6, seed, index]).spawn(2)
    model, view = FaceModel(face), View()
    camera = draw_video_camera(staging, (66.0, 80.0))
    eyes_px = (
        view.width_px / 2 + staging.uniform(-40, 40),
        view.height_px - camera.iod_px * staging.uniform(2.5, 2.65),
    )
    return LongVideo(
        name=f"{kind}-{seed}-{index:02d}-{face.name}",
        people=(face.subject,),
        scripts=(draw_script(performance, model.fields, settings or ScriptSettings()),),
        scene=SoloScene(model, camera, view, eyes_px, draw_texture(staging), float(staging.uniform(0, 0.25))),
        view=view,
        noise=draw_noise(staging),
        noise_seed=int(staging.integers(2**31)),
    )


def make_rest_video(
    faces: Sequence[FaceSource], seed: int, index: int, duration_s: float = 300.0, blinks_per_min: float = 0.0
) -> LongVideo:
    """A face at rest: nothing moves but (with a rate) the lids; there is noise."""
    settings = ScriptSettings(
        duration_s=duration_s, lead_s=duration_s / 2, blinks_per_min=blinks_per_min, busy=0.0, expressions=False
    )
    return make_long_video(faces, seed, index, settings, kind="rest")


def draw_video_camera(rng: np.random.Generator, iod_px: tuple[float, float]) -> Camera:
    return Camera(
        iod_px=float(rng.uniform(*iod_px)),
        roll_deg=float(rng.normal(0, 1.5)),
        blur_px=float(rng.uniform(0.2, 0.7)),
        mirrored=bool(rng.random() < 0.5),
    )


def draw_noise(rng: np.random.Generator) -> float:
    """Sensor noise, σ in grey levels."""
    return math.exp(rng.uniform(math.log(0.7), math.log(3.5)))


def pick_face(faces: Sequence[FaceSource], index: int) -> FaceSource:
    """The face of a video: everybody once, in the order of their names, before anybody's next photo."""
    people: dict[str, list[FaceSource]] = {}
    for face in faces:
        people.setdefault(face.subject, []).append(face)
    names = sorted(people)
    photos = people[names[index % len(names)]]
    return photos[index // len(names) % len(photos)]


def write_while(frames: Iterable[TimedPicture], path: Path, fps: float) -> Iterator[TimedPicture]:
    """Hands frames on and writes them to an .mp4 file (MPEG-4, evenly timed), which is there once all have passed."""
    writer: cv2.VideoWriter | None = None
    with whole_file(path) as temporary:
        try:
            for time_s, picture in frames:
                writer = writer or _open_writer(temporary, fps, picture)
                writer.write(picture)
                yield time_s, picture
        finally:
            if writer:
                writer.release()


def compressed(frames: Iterable[TimedPicture], fps: float) -> Iterator[TimedPicture]:
    """The frames as a video file gives them back, at their own times. All are written before the first comes out."""
    with tempfile.TemporaryDirectory(prefix="long-video-") as folder:
        path = Path(folder) / "video.mp4"
        times = [time_s for time_s, _ in write_while(frames, path, fps)]
        capture = cv2.VideoCapture(ffmpeg_name(path), cv2.CAP_FFMPEG)
        try:
            for time_s in times:
                found, picture = capture.read()
                if not found:
                    raise TrainError(f"{path.name}: expected {len(times)} frames back from the encoder, found fewer")
                yield time_s, picture
        finally:
            capture.release()


def _open_writer(path: Path, fps: float, picture: Image) -> cv2.VideoWriter:
    height, width = picture.shape[:2]
    if not is_utf8(path):
        raise TrainError(f"{shown(str(path))}: no video can be written there, its name is no UTF-8")
    writer = cv2.VideoWriter(ffmpeg_name(path), cv2.VideoWriter.fourcc(*"mp4v"), fps, (width, height))
    if not writer.isOpened():
        raise TrainError(f"{path.parent}: no video can be written there (OpenCV's MPEG-4 encoder did not start)")
    return writer
