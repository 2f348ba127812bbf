"""From a run's own time to the time of the medium that other tools play, and back."""

import csv
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from av.error import FFmpegError

from model.atomic import regular_file
from stream.labels.label_log import LabelledEvent
from stream.labels.reviewable import Reviewable
from stream.session.session_folder import LARGEST, SessionFolder
from stream.sources.decoder import VideoDecoder
from stream.sources.file import ffmpeg_name, quiet_decoder

USUAL_FPS = 30.0
"""Where nobody knows a better one: only the length of an apex' annotation depends on it."""


@dataclass(frozen=True, eq=False)
class MediaClock:
    """Seconds of the source's clock against seconds of the medium.

    A video is its own clock. The recording of a session shows its pictures at an even rate, whatever time lay between them:
    its `source_s` are the times of its pictures, `medium_s` when they are shown. Between pictures both run evenly, beyond the
    first and the last one at the same pace.

    Attributes:
        medium: The file that a tool can play; None where there is none.
        fps: Its pictures a second.
        source_s, medium_s: Strictly growing, of one length; empty where the clocks are the same.
    """

    medium: Path | None = None
    fps: float = USUAL_FPS
    source_s: np.ndarray = field(default_factory=lambda: np.empty(0))
    medium_s: np.ndarray = field(default_factory=lambda: np.empty(0))

    @classmethod
    def of(cls, reviewable: Reviewable) -> "MediaClock":
        """Of a video, of a session's recording, or none: a session without pictures keeps its source's time."""
        session = reviewable.session
        if session is None:
            return cls(reviewable.video, _fps_of(reviewable.video))
        recording = session.part(1)
        if not recording.is_file():
            return cls()
        fps = _fps_of(recording)
        times_s = _picture_times_s(session)
        # A clock that was set back shows nothing new: its pictures are as early as the one before.
        new = np.diff(np.maximum.accumulate(times_s), prepend=-np.inf) > 0
        return cls(recording, fps, times_s[new], (np.arange(len(times_s)) / fps)[new])

    def to_medium(self, time_s: float) -> float:
        return _carried(time_s, self.source_s, self.medium_s)

    def to_source(self, time_s: float) -> float:
        return _carried(time_s, self.medium_s, self.source_s)

    def in_source_time(self, event: LabelledEvent) -> LabelledEvent:
        """An event that was told in the medium's time."""
        onset_s, apex_s, offset_s = map(self.to_source, (event.onset_s, event.apex_s, event.offset_s))
        return replace(event, onset_s=onset_s, apex_s=apex_s, offset_s=offset_s)


def _carried(time_s: float, here_s: np.ndarray, there_s: np.ndarray) -> float:
    if not len(here_s):
        return time_s
    beyond_s = min(time_s - here_s[0], 0.0) + max(time_s - here_s[-1], 0.0)
    return float(np.interp(time_s, here_s, there_s) + beyond_s)


def _fps_of(video: Path | None) -> float:
    if video is None:
        return USUAL_FPS
    try:
        with quiet_decoder():
            decoder = VideoDecoder(ffmpeg_name(video))
            decoder.close()
    except (FFmpegError, ValueError):
        return USUAL_FPS
    return decoder.stored_fps or USUAL_FPS


def _picture_times_s(session: SessionFolder) -> np.ndarray:
    """Of the pictures in the recording's first part, as far as they can be read."""
    times_s: list[float] = []
    try:
        with regular_file(session.times).open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                if row.get("part") != "1":
                    break
                time_s = float(row["time_s"])
                if not abs(time_s) <= LARGEST:
                    break
                times_s.append(time_s)
    except (OSError, ValueError, KeyError, TypeError, csv.Error):
        pass  # of a run that was killed the last line may be torn: what was read is true
    return np.array(times_s, float)
