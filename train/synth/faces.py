"""Where faces come from: photos of a folder, the astronaut portrait of scikit-image, and drawn faces."""

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from model.contract import CropGeometry
from model.decoding import read_picture
from model.preprocess import eye_transform
from model.types import Image
from stream.face.landmarks import FaceMeshDetector, eye_centres
from train.errors import TrainError

PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
ASTRONAUT = "astronaut"

# The canonical picture: as large as the renderer ever asks for (2.2 times 80 px between the eyes), and wider than
# the frames drawn from it, so that heads can move and turn.
PICTURE_IOD_PX = 176.0
PICTURE_SIDE_IOD = 4.6
PICTURE_ORIGIN_IOD = (-2.3, -1.85)
_MOST_SIDE_PX = 20_000

_LANDMARK_FILE = Path(__file__).with_name("landmarks.npz")


class FaceError(TrainError):
    """No usable face: says where and why."""


def canonical_transform(left_eye: NDArray[np.float64], right_eye: NDArray[np.float64]) -> NDArray[np.float64]:
    """The similarity (2, 3) from pixels to the canonical frame, by the centres (2,) of the picture's left and right eye."""
    # A crop of 100 px with its eyes at the origin and an IOD of 1 px, moved back to the eyes' middle.
    matrix = eye_transform(left_eye, right_eye, CropGeometry(100, 1.0, 50.0))
    return matrix - np.array([[0.0, 0.0, 50.0], [0.0, 0.0, 50.0]])


@dataclass(frozen=True, eq=False)
class FaceSource:
    """A face to be moved: `image` BGR uint8 (height, width, 3), `landmarks` (468, 2) float32 in its pixels.

    `subject` is who it is: pictures of one person share it.
    """

    name: str
    subject: str
    image: Image
    landmarks: NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.landmarks.shape != (468, 2):
            raise FaceError(f"{self.name}: expected landmarks (468, 2), found {self.landmarks.shape}")
        if self.image.ndim != 3 or self.image.shape[2] != 3 or self.image.dtype != np.uint8:
            raise FaceError(f"{self.name}: expected a uint8 BGR picture, found {self.image.dtype} {self.image.shape}")

    @property
    def iod_px(self) -> float:
        left, right = eye_centres(self.landmarks)
        return float(np.hypot(*(right - left)))

    def canonical_transform(self) -> NDArray[np.float64]:
        """The similarity (2, 3) from the photo's pixels to the canonical frame."""
        return canonical_transform(*eye_centres(self.landmarks))

    def canonical_landmarks(self) -> NDArray[np.float64]:
        """Landmarks (468, 2) in the canonical frame."""
        matrix = self.canonical_transform()
        return self.landmarks.astype(np.float64) @ matrix[:, :2].T + matrix[:, 2]

    def canonical_picture(self) -> Image:
        """The photo in the canonical frame, BGR, square, `PICTURE_IOD_PX` between the eyes.

        Beyond the photo's border its reflection goes on, more and more blurred, so that no edge shows.
        """
        scale = PICTURE_IOD_PX * np.eye(2)
        matrix = self.canonical_transform()
        matrix = np.column_stack([scale @ matrix[:, :2], scale @ (matrix[:, 2] - PICTURE_ORIGIN_IOD)])
        side = round(PICTURE_SIDE_IOD * PICTURE_IOD_PX)
        image, shrink = self.image, float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
        while shrink < 0.5:
            image, matrix, shrink = cv2.pyrDown(image), matrix @ np.diag([2.0, 2.0, 1.0]), shrink * 2
        picture = cv2.warpAffine(image, matrix, (side, side), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
        covered = cv2.warpAffine(np.full(image.shape[:2], 255, np.uint8), matrix, (side, side), flags=cv2.INTER_NEAREST)
        if covered.all():
            return picture
        outside_iod = cv2.distanceTransform((covered == 0).astype(np.uint8), cv2.DIST_L2, 5) / PICTURE_IOD_PX
        small = cv2.resize(picture, None, fx=1 / 8, fy=1 / 8, interpolation=cv2.INTER_AREA)
        small = cv2.GaussianBlur(small, (0, 0), 0.12 * PICTURE_IOD_PX / 8)
        blurred = cv2.resize(small, (side, side), interpolation=cv2.INTER_CUBIC)
        share = np.clip(outside_iod / 0.15, 0, 1)[..., np.newaxis]
        return np.rint(picture * (1 - share) + blurred * share).astype(np.uint8)


@dataclass(frozen=True)
class LeftOut:
    """A photo that is not used, and why."""

    path: Path
    reason: str


@lru_cache(maxsize=1)
def mean_shape() -> NDArray[np.float64]:
    """Canonical landmarks (468, 2) of the mean face: Face Mesh on frontal portraits, averaged with their reflections."""
    with np.load(_LANDMARK_FILE) as stored:
        return stored["shape"].astype(np.float64)


@lru_cache(maxsize=1)
def mean_depth() -> NDArray[np.float64]:
    """Depth (468,) of the mean face's landmarks towards the camera, IOD, 0 at the eyes: Face Mesh's, averaged likewise."""
    with np.load(_LANDMARK_FILE) as stored:
        return stored["depth"].astype(np.float64)


@lru_cache(maxsize=1)
def mirror_map() -> NDArray[np.intp]:
    """For each landmark (468,) its partner on the other half of the face: the nearest point of the reflected mean face."""
    shape = mean_shape()
    reflected = shape * [-1, 1]
    return ((reflected[:, np.newaxis] - shape) ** 2).sum(axis=-1).argmin(axis=1)


def astronaut() -> FaceSource:
    """The portrait of Eileen Collins (NASA, public domain) that scikit-image ships, with stored landmarks.

    The landmarks are what Face Mesh finds in it (`find_landmarks`); storing them spares the demo a second Face Mesh.
    """
    with np.load(_LANDMARK_FILE) as stored:
        return FaceSource(ASTRONAUT, ASTRONAUT, astronaut_picture(), stored["astronaut"])


def astronaut_picture() -> Image:
    """scikit-image's `data/astronaut.png`, BGR (512, 512, 3), read without importing scikit-image."""
    spec = importlib.util.find_spec("skimage")
    if spec is None or not spec.submodule_search_locations:
        raise FaceError("the astronaut portrait comes with scikit-image, which is not installed")
    path = Path(next(iter(spec.submodule_search_locations))) / "data" / "astronaut.png"
    try:
        # Not by OpenCV, which complains about the file's colour profile on the error stream.
        with PillowImage.open(path) as picture:
            return np.ascontiguousarray(np.asarray(picture.convert("RGB"))[..., ::-1])
    except OSError as error:
        raise FaceError(f"{path}: expected the astronaut portrait, found no readable picture ({error})") from error


def find_landmarks(image: Image, detector: FaceMeshDetector) -> NDArray[np.float32]:
    """Landmarks (468, 2) px of the largest face of a BGR picture; raises FaceError when there is none."""
    faces = detector.detect(image)
    if not faces:
        raise FaceError("no face found")
    return faces[0]


def load_faces(folder: Path, min_iod_px: float = 30.0) -> tuple[list[FaceSource], list[LeftOut]]:
    """Faces of the photos in a folder, by file name, and the photos left out with the reason.

    The person is the file name up to its first underscore: `anna_1.jpg` and `anna_2.jpg` are one person.
    Raises FaceError when the folder is missing or no photo can be used.
    """
    if not folder.is_dir():
        raise FaceError(f"{folder}: expected a folder of portraits, found none")
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in PHOTO_SUFFIXES)
    if not paths:
        raise FaceError(f"{folder}: expected pictures ({', '.join(PHOTO_SUFFIXES)}), found none")
    faces: list[FaceSource] = []
    left_out: list[LeftOut] = []
    with FaceMeshDetector(static=True, min_confidence=0.6) as detector:
        for path in paths:
            try:
                faces.append(_load_face(path, detector, min_iod_px))
            except FaceError as error:
                left_out.append(LeftOut(path, str(error)))
    if not faces:
        first = left_out[0]
        raise FaceError(
            f"{folder}: no usable face in {len(paths)} pictures; the first, {first.path.name}: {first.reason}"
        )
    return faces, left_out


def _load_face(path: Path, detector: FaceMeshDetector, min_iod_px: float) -> FaceSource:
    image = read_picture(path)
    if image is None:
        raise FaceError("not a readable picture")
    if max(image.shape) > _MOST_SIDE_PX:
        raise FaceError(f"too large: {image.shape[1]}×{image.shape[0]} px, {_MOST_SIDE_PX} a side allowed")
    face = FaceSource(path.stem, path.stem.split("_")[0], image, find_landmarks(image, detector))
    if face.iod_px < min_iod_px:
        raise FaceError(f"face too small: {face.iod_px:.0f} px between the eyes, {min_iod_px:.0f} needed")
    points, (height, width) = face.landmarks, image.shape[:2]
    if points.min() < 0 or points[:, 0].max() > width or points[:, 1].max() > height:
        raise FaceError("face cut off by the picture's edge")
    canonical = face.canonical_landmarks()
    turn = abs(float(canonical[4, 0]))
    if turn > 0.35:
        raise FaceError(f"face turned: nose {turn:.2f} eye distances off the middle, 0.35 allowed")
    misfit = float(np.sqrt(((canonical - mean_shape()) ** 2).sum(axis=1).mean()))
    if misfit > 0.3:
        raise FaceError(f"unlike a face: landmarks {misfit:.2f} eye distances off the mean face, 0.30 allowed")
    return face


def subjects(faces: Sequence[FaceSource]) -> tuple[str, ...]:
    """The people in the order of their names."""
    return tuple(sorted({face.subject for face in faces}))
