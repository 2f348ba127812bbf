"""Long videos of two people: side by side, changing places, or one after the other.

A person cut out of their photo, alive, to be put anywhere in a picture.
"""

import copy
import importlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from model.quiet import native_log_held_back
from model.types import Image
from stream.face.landmarks import FACE_OVAL, load_face_mesh_class
from train.synth.confounders import draw_texture
from train.synth.faces import PICTURE_IOD_PX, PICTURE_ORIGIN_IOD, PICTURE_SIDE_IOD, FaceError, FaceSource, subjects
from train.synth.long_video import (
    LongVideo,
    View,
    Whereabouts,
    draw_noise,
    draw_video_camera,
    feather,
    pick_face,
    picture_to,
)
from train.synth.long_video_script import ScriptSettings, draw_script
from train.synth.render import Camera, FaceModel, FaceRenderer, Pose

_FEATHER_PX = 12
PairKind = Literal["side_by_side", "crossing", "relay"]
"""Both stay; they change places now and then, one in front of the other; one leaves and then the other comes."""

# A face's width over the eyes' distance.
_FACE_WIDTH_IOD = 2.1
# So much of a layer is below the picture: a head held aslant would show its lower edge.
_HIDDEN_PX = 8


class PersonLayer:
    """Draws a person in a square of `side_px`, the middle between the resting eyes at `eyes_px` (x, y) in it."""

    def __init__(self, model: FaceModel, camera: Camera, texture: NDArray[np.float32] | None, shading: float) -> None:
        self._renderer = FaceRenderer(model, camera, texture, shading)
        matte = copy.copy(model)
        matte.picture = cv2.merge([find_matte(model)] * 3)
        self._matte_renderer = FaceRenderer(matte, camera, grey=True)
        self.side_px = math.ceil(PICTURE_SIDE_IOD * camera.iod_px)
        self.iod_px = camera.iod_px
        start = (self.side_px - camera.side_px) // 2
        to_layer = camera.from_canonical()
        to_layer[:, 2] += start
        self.eyes_px = (float(to_layer[0, 2]), float(to_layer[1, 2]))
        self._frame = (slice(start, start + camera.side_px),) * 2
        self._share = feather(camera.side_px, _FEATHER_PX)
        size = (self.side_px, self.side_px)
        still = cv2.warpAffine(model.picture, picture_to(to_layer), size, borderMode=cv2.BORDER_REPLICATE)
        self._still = cv2.GaussianBlur(still, (0, 0), camera.blur_px) if camera.blur_px > 0 else still
        self._still_matte = cv2.warpAffine(matte.picture[..., 0], picture_to(to_layer), size)
        # Shoulders end at the photo's edge: there they fade, at the bottom excepted.
        fade = feather(self.side_px, _FEATHER_PX)
        fade[self.side_px // 2 :] = fade[self.side_px // 2]
        self._fade = fade / 255

    def draw(self, pose: Pose) -> tuple[Image, NDArray[np.float32]]:
        """The picture BGR uint8 (side, side, 3) and its opacity (side, side), 0..1."""
        picture, matte = self._still.copy(), self._still_matte.copy()
        for whole, part in (
            (picture, self._renderer.render(pose)),
            (matte, self._matte_renderer.render(Pose(head=pose.head))),
        ):
            view = whole[self._frame]
            view[:] = cv2.blendLinear(part, view, self._share, 1 - self._share)
        return picture, matte * self._fade


def find_matte(model: FaceModel) -> Image:
    """How much of each pixel of the model's picture is the person, uint8 (height, width): MediaPipe's selfie segmentation
    with the face itself put in (it misses drawn ones), and without people in the background."""
    load_face_mesh_class()
    with native_log_held_back(shown_on_error=True):
        solution = importlib.import_module("mediapipe.python.solutions.selfie_segmentation").SelfieSegmentation
        with solution(model_selection=0) as segmentation:
            found = segmentation.process(cv2.cvtColor(model.picture, cv2.COLOR_BGR2RGB)).segmentation_mask
    matte = np.rint(255 * np.clip((np.asarray(found) - 0.35) / 0.5, 0, 1)).astype(np.uint8)
    landmarks = (model.face.canonical_landmarks() - PICTURE_ORIGIN_IOD) * PICTURE_IOD_PX
    cv2.fillPoly(matte, [np.rint(landmarks[list(FACE_OVAL)]).astype(np.int32)], (255,))
    _, parts = cv2.connectedComponents((matte > 40).astype(np.uint8))
    nose = np.rint(landmarks[4]).astype(int)
    matte[parts != parts[nose[1], nose[0]]] = 0
    return cv2.GaussianBlur(matte, (0, 0), 0.012 * PICTURE_IOD_PX)


@dataclass(frozen=True)
class Walk:
    """From one place to another (x of the eyes, pixels), with a soft start and end."""

    start_s: float
    end_s: float
    from_px: float
    to_px: float

    def __post_init__(self) -> None:
        if not self.start_s < self.end_s:
            raise ValueError(f"walk: expected start < end, found {self.start_s:.2f} and {self.end_s:.2f} s")


@dataclass(frozen=True)
class Path:
    """Where a person is: at `start_px`, then along the walks, which follow each other in time."""

    start_px: float
    walks: tuple[Walk, ...] = ()

    def x_px(self, time_s: float) -> float:
        at = self.start_px
        for walk in self.walks:
            share = min(max((time_s - walk.start_s) / (walk.end_s - walk.start_s), 0.0), 1.0)
            if share > 0:
                at = walk.from_px + (walk.to_px - walk.from_px) * (0.5 - 0.5 * math.cos(math.pi * share))
        return at


class PairScene:
    """People before a background; later layers are in front of earlier ones. Bodies are cut at the picture's bottom."""

    def __init__(
        self, layers: Sequence[PersonLayer], paths: Sequence[Path], front: int, background: Image, view: View
    ) -> None:
        self._layers, self._paths, self._background, self._view = layers, paths, background, view
        self._order = [person for person in range(len(layers)) if person != front] + [front]

    def draw(self, poses: Sequence[Pose], time_s: float) -> Image:
        picture = self._background.copy()
        for person in self._order:
            layer = self._layers[person]
            left = round(self._paths[person].x_px(time_s) - layer.eyes_px[0])
            right, top = left + layer.side_px, self._top(layer)
            from_x, to_x = max(left, 0), min(right, self._view.width_px)
            if from_x >= to_x:
                continue
            drawn, opacity = layer.draw(poses[person])
            part = (slice(layer.side_px - _HIDDEN_PX), slice(from_x - left, to_x - left))
            share = np.ascontiguousarray(opacity[part])
            under = picture[top:, from_x:to_x]
            under[:] = cv2.blendLinear(np.ascontiguousarray(drawn[part]), under, share, 1 - share)
        return picture

    def whereabouts(self, time_s: float) -> tuple[Whereabouts, ...]:
        boxes = [self._face_box(person, time_s) for person in range(len(self._layers))]
        found = []
        for person, (left, right) in enumerate(boxes):
            seen = _overlap((left, right), (0, self._view.width_px))
            for other in self._order[self._order.index(person) + 1 :]:
                seen -= _overlap((max(left, 0), min(right, self._view.width_px)), boxes[other])
            shown = max(seen, 0.0) / (right - left)
            if shown > 0:
                layer = self._layers[person]
                eyes = (self._paths[person].x_px(time_s), self._top(layer) + layer.eyes_px[1])
                found.append(Whereabouts(person, eyes, layer.iod_px, shown))
        return tuple(found)

    def _top(self, layer: PersonLayer) -> int:
        return self._view.height_px - layer.side_px + _HIDDEN_PX

    def _face_box(self, person: int, time_s: float) -> tuple[float, float]:
        x, half = self._paths[person].x_px(time_s), _FACE_WIDTH_IOD / 2 * self._layers[person].iod_px
        return x - half, x + half


def _overlap(first: tuple[float, float], second: tuple[float, float]) -> float:
    return max(0.0, min(first[1], second[1]) - max(first[0], second[0]))


def make_pair_video(
    faces: Sequence[FaceSource], seed: int, index: int, kind: PairKind, settings: ScriptSettings | None = None
) -> LongVideo:
    """Video `index` of a seed with two people who differ; expressions keep clear of walks.

    Raises FaceError unless the faces are those of two people or more.
    """
    if len(subjects(faces)) < 2:
        raise FaceError("a video of two people: expected the faces of two people or more, found one person's")
    settings = settings or ScriptSettings()
    staging, *performances = np.random.default_rng([0x2FACE, seed, index]).spawn(3)
    pair = [pick_face(faces, 2 * index), pick_face(faces, 2 * index + 1)]
    models, view = [FaceModel(face) for face in pair], View()
    layers = [
        PersonLayer(m, draw_video_camera(staging, (54.0, 64.0)), draw_texture(staging), float(staging.uniform(0, 0.25)))
        for m in models
    ]
    places = (view.width_px * staging.uniform(0.23, 0.27), view.width_px * staging.uniform(0.73, 0.77))
    paths = _draw_paths(staging, kind, places, settings, view)
    scripts = [
        draw_script(rng, model.fields, settings, blocked=_blocked(path, settings, view))
        for rng, model, path in zip(performances, models, paths, strict=True)
    ]
    return LongVideo(
        name=f"{kind}-{seed}-{index:02d}-{pair[0].name}-{pair[1].name}",
        people=tuple(face.subject for face in pair),
        scripts=tuple(scripts),
        scene=PairScene(layers, paths, int(staging.integers(2)), _background(staging, view), view),
        view=view,
        noise=draw_noise(staging),
        noise_seed=int(staging.integers(2**31)),
    )


def _draw_paths(
    rng: np.random.Generator, kind: PairKind, places: tuple[float, float], settings: ScriptSettings, view: View
) -> tuple[Path, Path]:
    if kind == "side_by_side":
        return Path(places[0]), Path(places[1])
    if kind == "relay":
        leaves_s = settings.duration_s * rng.uniform(0.4, 0.5)
        gone_s = leaves_s + rng.uniform(1.0, 2.0)
        comes_s = gone_s + rng.uniform(0.3, 3.0)
        there_s = comes_s + rng.uniform(1.0, 2.0)
        seat, out = view.width_px * rng.uniform(0.4, 0.6), -0.35 * view.width_px
        first = Path(seat, (Walk(leaves_s, gone_s, seat, out),))
        side = out if rng.random() < 0.5 else view.width_px - out
        return first, Path(side, (Walk(comes_s, there_s, side, seat),))
    walks: tuple[list[Walk], list[Walk]] = ([], [])
    here, there = places
    time_s = settings.lead_s + rng.uniform(8, 14)
    while (end_s := time_s + rng.uniform(1.2, 3.0)) < settings.duration_s - 2:
        walks[0].append(Walk(time_s, end_s, here, there))
        walks[1].append(Walk(time_s, end_s, there, here))
        here, there = there, here
        time_s = end_s + rng.uniform(10, 18)
    return Path(places[0], tuple(walks[0])), Path(places[1], tuple(walks[1]))


def _blocked(path: Path, settings: ScriptSettings, view: View) -> tuple[tuple[float, float], ...]:
    """Times in which a person walks, is away, or has just sat down."""
    spans = [(walk.start_s - 0.5, walk.end_s + settings.lead_s) for walk in path.walks]
    if not 0 <= path.start_px <= view.width_px:
        spans.insert(0, (0.0, spans[0][1]))
    elif path.walks and not 0 <= path.walks[-1].to_px <= view.width_px:
        spans.append((path.walks[-1].start_s, settings.duration_s))
    return tuple(spans)


def _background(rng: np.random.Generator, view: View) -> NDArray[np.uint8]:
    """A room far out of focus."""
    tone = rng.uniform(60, 170) + rng.normal(0, 12, 3)
    coarse = tone + rng.normal(0, 22, (4, 5, 1)) + rng.normal(0, 6, (4, 5, 3))
    smooth = cv2.resize(coarse.astype(np.float32), (view.width_px, view.height_px), interpolation=cv2.INTER_CUBIC)
    return np.clip(np.rint(smooth), 0, 255).astype(np.uint8)
