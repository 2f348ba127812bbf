"""The generator's motion put into real video: people as they move, talk and blink, and expressions that are known.

A clip is played to and fro for as long as is wanted. Its faces are warped where an expression acts and left alone elsewhere, so
that a video has no trace of the warping but in its expressions.
"""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from model.types import Image
from stream.face.landmarks import FaceMeshDetector, eye_centres
from stream.sources.base import SourceError
from stream.sources.open import open_source
from train.errors import TrainError
from train.synth.confounders import draw_texture
from train.synth.faces import canonical_transform, mirror_map
from train.synth.fields import FaceFields, build_fields, weighted_sum
from train.synth.long_video import LongVideo, View, Whereabouts
from train.synth.long_video_script import ScriptSettings, draw_script
from train.synth.render import Pose, grid_position, moved_by, sample

CLIP_SUFFIXES = (".mp4", ".mov", ".avi", ".mkv", ".webm")
_MOST_SIDE_PX = 640
_MOST_FRAMES = 900
_LEAST_S = 1.5
_MOST_UNSEEN = 0.02
_SMOOTH_FRAMES = 2.0
_REACH_IOD = 2.2
_TEXTURE = 0.6


class ClipScene:
    """A real clip of one person, to and fro, whose face acts as the poses say. `fps` is the clip's own."""

    def __init__(
        self, pictures: Sequence[Image], fps: float, eyes_px: NDArray[np.float64], fields: FaceFields, texture: NDArray
    ) -> None:
        """`eyes_px` (n, 2, 2): the image's left and right eye in each picture."""
        self._pictures, self.fps, self._eyes_px = pictures, fps, eyes_px
        self._fields, self._texture = fields, texture

    @property
    def seconds(self) -> float:
        """Of the clip itself; what is shown beyond that has been seen before."""
        return len(self._pictures) / self.fps

    def draw(self, poses: Sequence[Pose], time_s: float) -> Image:
        number = self._number(time_s)
        picture = self._pictures[number]
        weights = self._fields.weights(poses[0].gains)
        if not weights.any():
            return picture.copy()
        return self._moved(picture, self._eyes_px[number], weights)

    def whereabouts(self, time_s: float) -> tuple[Whereabouts, ...]:
        left, right = self._eyes_px[self._number(time_s)]
        x, y = ((left + right) / 2).tolist()
        return (Whereabouts(0, (x, y), float(np.hypot(*(right - left))), 1.0),)

    def _number(self, time_s: float) -> int:
        last = len(self._pictures) - 1
        at = round(time_s * self.fps) % max(2 * last, 1)
        return min(at, 2 * last - at)

    def _moved(self, picture: Image, eyes_px: NDArray[np.float64], weights: NDArray[np.float32]) -> Image:
        skin = weighted_sum(weights, self._fields.upper)
        field = np.einsum("hwij,hwj->hwi", self._texture, skin).astype(np.float32)
        to_canonical = canonical_transform(eyes_px[0], eyes_px[1])
        iod_px = float(np.hypot(*(eyes_px[1] - eyes_px[0])))
        height, width = picture.shape[:2]
        x, y = eyes_px.mean(axis=0)
        left, top = max(0, int(x - _REACH_IOD * iod_px)), max(0, int(y - _REACH_IOD * iod_px))
        right, bottom = min(width, int(x + _REACH_IOD * iod_px)), min(height, int(y + _REACH_IOD * iod_px))
        pixels = np.stack(np.meshgrid(np.arange(left, right), np.arange(top, bottom)), axis=-1).astype(np.float32)
        at = moved_by(to_canonical, pixels)
        first = sample(field, grid_position(at))
        come_from = sample(field, grid_position(at - first))
        back = cv2.invertAffineTransform(to_canonical)
        places = pixels - (come_from @ back[:, :2].T.astype(np.float32))
        out = picture.copy()
        mirrored = cv2.BORDER_REFLECT_101
        warped = cv2.remap(picture, places, None, cv2.INTER_LANCZOS4, borderMode=mirrored)  # type: ignore[call-overload]
        out[top:bottom, left:right] = warped
        return out


def make_clip_video(
    path: Path, seed: int, index: int, settings: ScriptSettings, detector: FaceMeshDetector
) -> LongVideo:
    """A video of expressions in a real clip. The person is the file's name up to its first underscore.

    Raises TrainError for a clip that cannot be read, is too short, or in which the face is not seen all the time.
    """
    pictures, fps = _read(path)
    if len(pictures) < _LEAST_S * fps:
        raise TrainError(f"{path.name}: expected {_LEAST_S:g} s or more, found {len(pictures) / fps:.1f} s")
    points = _followed(pictures, detector, path)
    eyes_px = _smooth(np.stack([np.vstack(eye_centres(landmarks)) for landmarks in points]))
    frontal = points[int(np.argmin([_turn(landmarks) for landmarks in points]))]
    to_canonical = canonical_transform(*eye_centres(frontal))
    fields = build_fields(frontal.astype(np.float64) @ to_canonical[:, :2].T + to_canonical[:, 2], mirror_map())
    staging, performance = np.random.default_rng([0xC11B, seed, index]).spawn(2)
    height, width = pictures[0].shape[:2]
    return LongVideo(
        name=f"clip-{seed}-{path.stem}",
        people=(path.stem.split("_")[0],),
        scripts=(draw_script(performance, fields, settings),),
        scene=ClipScene(pictures, fps, eyes_px, fields, draw_texture(staging, _TEXTURE)),
        view=View(width, height),
        noise=0.0,
        noise_seed=0,
    )


def _read(path: Path) -> tuple[list[Image], float]:
    """The pictures, at most `_MOST_FRAMES` of them and `_MOST_SIDE_PX` a side, and their rate."""
    pictures: list[Image] = []
    try:
        with open_source(str(path), "fast") as source:
            fps = source.info.fps or 30.0
            for frame in source:
                shrink = _MOST_SIDE_PX / max(frame.image.shape[:2])
                image = frame.image
                if shrink < 1:
                    image = cv2.resize(image, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
                pictures.append(image)
                if len(pictures) >= _MOST_FRAMES:
                    break
    except SourceError as error:
        raise TrainError(str(error)) from error
    return pictures, fps


def _followed(pictures: Sequence[Image], detector: FaceMeshDetector, path: Path) -> list[NDArray[np.float32]]:
    """Landmarks (468, 2) of the largest face in every picture; where it is not found those of the picture before."""
    found = [faces[0] if (faces := detector.detect(picture)) else None for picture in pictures]
    seen = [landmarks for landmarks in found if landmarks is not None]
    if len(seen) < (1 - _MOST_UNSEEN) * len(found):
        raise TrainError(f"{path.name}: a face is seen in {len(seen)} of {len(found)} pictures only")
    last, points = seen[0], list[NDArray[np.float32]]()
    for landmarks in found:
        last = last if landmarks is None else landmarks
        points.append(last)
    return points


def _turn(landmarks: NDArray[np.float32]) -> float:
    left, right = eye_centres(landmarks)
    across = right - left
    return abs(float((landmarks[4].astype(float) - (left + right) / 2) @ across) / float(across @ across))


def _smooth(eyes_px: NDArray[np.float64]) -> NDArray[np.float64]:
    """Over time, so that what is drawn does not tremble with the landmarks."""
    reach = round(3 * _SMOOTH_FRAMES)
    kernel = np.exp(-0.5 * np.square(np.arange(-reach, reach + 1) / _SMOOTH_FRAMES))
    padded = np.pad(eyes_px.reshape(len(eyes_px), 4), ((reach, reach), (0, 0)), mode="edge")
    columns = [np.convolve(column, kernel / kernel.sum(), "valid") for column in padded.T]
    return np.stack(columns, axis=1).reshape(-1, 2, 2)
