"""A person cut out of their photo, alive, to be put anywhere in a picture."""

import copy
import importlib
import math

import cv2
import numpy as np
from numpy.typing import NDArray

from model.quiet import native_log_held_back
from model.types import Image
from stream.face.landmarks import FACE_OVAL, load_face_mesh_class
from train.synth.faces import PICTURE_IOD_PX, PICTURE_ORIGIN_IOD, PICTURE_SIDE_IOD
from train.synth.long_video import feather, picture_to
from train.synth.render import Camera, FaceModel, FaceRenderer, Pose

_FEATHER_PX = 12


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
