"""Made pictures written to a video file, to look at, or to be read back with what compression leaves of them."""

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2

from model.types import Image
from train.errors import TrainError

TimedPicture = tuple[float, Image]


def write_while(frames: Iterable[TimedPicture], path: Path, fps: float) -> Iterator[TimedPicture]:
    """Hands frames on and writes them to an .mp4 file (MPEG-4, evenly timed), which is there once all have passed."""
    temporary = path.with_name(f".part-{path.name}")
    writer: cv2.VideoWriter | None = None
    try:
        for time_s, picture in frames:
            writer = writer or _open_writer(temporary, fps, picture)
            writer.write(picture)
            yield time_s, picture
        if writer:
            writer.release()
            temporary.replace(path)
    finally:
        if writer:
            writer.release()
        temporary.unlink(missing_ok=True)


def compressed(frames: Iterable[TimedPicture], fps: float) -> Iterator[TimedPicture]:
    """The frames as a video file gives them back, at their own times. All are written before the first comes out."""
    with tempfile.TemporaryDirectory(prefix="long-video-") as folder:
        path = Path(folder) / "video.mp4"
        times = [time_s for time_s, _ in write_while(frames, path, fps)]
        capture = cv2.VideoCapture(str(path))
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
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), fps, (width, height))
    if not writer.isOpened():
        raise TrainError(f"{path.parent}: no video can be written there (OpenCV's MPEG-4 encoder did not start)")
    return writer
