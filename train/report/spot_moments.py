"""Recorded pictures of false and missed events: onset, apex and offset side by side, read where the run says they are."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from model.decoding import read_picture
from train.challenge.scored_video import FrameEvent, ScoredVideo
from train.report.figures import data_uri, shortened

_TILE_PX = 200
"""Height of a picture; a strip of three is as wide as a card."""
_GAP_PX = 3
_NEAR = 10
"""Frames."""
_JPEG_QUALITY = 85
_NUMBER = re.compile(r"([0-9]+)\.[A-Za-z]+$")


@dataclass(frozen=True)
class Moment:
    """An event of a video that is to be shown: `what` it is, "false" or "missed". `pictures` says where the video's are."""

    what: str
    video: ScoredVideo
    event: FrameEvent
    pictures: Mapping[str, Any] | None

    @property
    def frames(self) -> tuple[int, int, int]:
        """Onset, apex (the middle where it is not known) and offset."""
        apex = (self.event.onset + self.event.offset) // 2 if self.event.apex is None else self.event.apex
        return self.event.onset, apex, self.event.offset

    @property
    def words(self) -> str:
        """Where it is, and what is said of it."""
        told = [f"frames {self.event.onset} to {self.event.offset}"]
        told += [self.event.label] if self.event.label else []
        told += [f"probability {self.event.probability:.2f}"] if self.event.probability is not None else []
        return ", ".join(told)


@dataclass(frozen=True)
class ShownMoment:
    """A moment with its pictures side by side as a JPEG data URI."""

    moment: Moment
    strip: str
    width_px: int
    height_px: int


def show_moments(moments: Sequence[Moment], sheet: Path) -> tuple[tuple[ShownMoment, ...], tuple[str, ...]]:
    """The moments with pictures, and why others have none, a line a video. Writes all strips into `sheet`, one below the other."""
    shown: list[ShownMoment] = []
    strips: list[NDArray[np.uint8]] = []
    problems: dict[str, None] = {}
    for moment in moments:
        pictures, there = _Pictures(moment.pictures), list[NDArray[np.uint8]]()
        for frame in moment.frames:
            if (picture := pictures.at(frame)) is None:
                break
            there.append(picture)
        if len(there) < len(moment.frames):
            problems[f"{moment.video.subject}/{moment.video.video}: {pictures.problem}; no pictures of it"] = None
            continue
        strip = _strip(there)
        done, content = cv2.imencode(".jpg", strip, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
        assert done, "encoding a uint8 picture cannot fail"
        shown.append(ShownMoment(moment, data_uri(content.tobytes(), "jpeg"), strip.shape[1], strip.shape[0]))
        strips.append(_titled(strip, moment))
    if strips:
        widest = max(strip.shape[1] for strip in strips)
        rows = [np.pad(strip, ((0, 6), (0, widest - strip.shape[1]), (0, 0)), constant_values=255) for strip in strips]
        done, content = cv2.imencode(".png", np.concatenate(rows))
        assert done, "encoding a uint8 picture cannot fail"
        sheet.write_bytes(content.tobytes())
    return tuple(shown), tuple(problems)


class _Pictures:
    """Frames of a video by number. `problem` says why one could not be had."""

    def __init__(self, place: Mapping[str, Any] | None) -> None:
        self.problem = "the run says of no pictures"
        self._files: dict[int, Path] = {}
        self._video: Path | None = None
        self._first = 0
        if not isinstance(place, Mapping) or not isinstance(place.get("path"), str):
            return
        path = Path(place["path"])
        self.problem = f"{path} is not there any more"
        if place.get("kind") == "folder" and path.is_dir():
            found = ((_NUMBER.search(file.name), file) for file in sorted(path.iterdir()))
            self._files = {int(number[1]): file for number, file in found if number}
        elif place.get("kind") == "video" and path.is_file():
            self._video, self._first = path, int(place.get("first", 0))

    def at(self, frame: int) -> NDArray[np.uint8] | None:
        """BGR; of a folder the nearest picture within a few frames, where the camera lost the very one."""
        if self._files:
            nearest = min(self._files, key=lambda number: abs(number - frame))
            self.problem = f"no picture near frame {frame}"
            return read_picture(self._files[nearest]) if abs(nearest - frame) <= _NEAR else None
        if self._video is None:
            return None
        self.problem = f"frame {frame} of {self._video} cannot be read"
        capture = cv2.VideoCapture(str(self._video))
        try:
            # Frame by frame: where a file's index says that a frame is, another one may come.
            for _ in range(max(0, frame - self._first)):
                if not capture.grab():
                    return None
            read, picture = capture.read()
            return np.asarray(picture, np.uint8) if read else None
        finally:
            capture.release()


def _strip(pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    gap = np.full((_TILE_PX, _GAP_PX, 3), 128, np.uint8)
    tiles: list[NDArray[np.uint8]] = []
    for picture in pictures:
        width_px = max(1, round(_TILE_PX * picture.shape[1] / picture.shape[0]))
        method = cv2.INTER_AREA if picture.shape[0] > _TILE_PX else cv2.INTER_CUBIC
        tiles += [gap, cv2.resize(picture, (width_px, _TILE_PX), interpolation=method).astype(np.uint8)]
    return np.concatenate(tiles[1:], axis=1)


def _titled(strip: NDArray[np.uint8], moment: Moment) -> NDArray[np.uint8]:
    title = np.full((24, strip.shape[1], 3), 255, np.uint8)
    text = f"{moment.what}: {shortened(f'{moment.video.subject}/{moment.video.video}', 30)}, {moment.words}"
    plain = text.encode("ascii", "replace").decode()
    cv2.putText(title, plain, (2, 17), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (40, 30, 20), 1, cv2.LINE_AA)
    return np.concatenate([title, strip])
