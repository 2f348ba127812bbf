"""Real clips of people who do nothing that is annotated: as they are, and with the generator's motion put into them.

A clip as it is says what is found where nothing is. The same clip with expressions in it says what is found among real
motion. How much a face moves by itself tells calm clips from moving ones.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from model.contract import ClipContract
from model.preprocess import Preprocessor
from stream.events.motion import SKIN, Motion, MotionMeter
from stream.face.follower import FaceFollower, FoundFace
from stream.face.landmarks import FaceMeshDetector
from stream.sources.base import FrameSource, SourceError
from stream.sources.open import open_source
from train.errors import TrainError, UsageError
from train.spotting.watch import Watched, Watcher
from train.synth.clip_scene import CLIP_SUFFIXES, ClipScene, make_clip_video
from train.synth.long_video import Sampling
from train.synth.long_video_script import ScriptSettings

CALM_PX = 0.8
"""A face whose skin moves less within `LAG_S`, in the median of its frames, is calm; pixels of a crop with 44 between the eyes."""
LAG_S = 0.1
PEAKS_PX = (1.0, 5.0)
"""Smallest and largest peak of the expressions that are put into clips."""

ClipMotion = Literal["calm", "moving"]


@dataclass(frozen=True)
class RealClip:
    """A clip, who is in it, and its number among all clips of its folder, whichever of them are used."""

    path: Path
    person: str
    number: int


def find_clips(folder: Path, people: Sequence[str] = ()) -> list[RealClip]:
    """The clips of a folder, by name, of these people or of all: who somebody is, the name says up to its first underscore.

    Raises UsageError where there is none, and for people of whom there is none.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: expected a folder of video files, found none")
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in CLIP_SUFFIXES)
    if not paths:
        raise UsageError(f"{folder}: expected video files ({', '.join(CLIP_SUFFIXES)}), found none")
    clips = [RealClip(path, path.stem.split("_")[0], number) for number, path in enumerate(paths)]
    known = sorted({clip.person for clip in clips})
    if unknown := [name for name in people if name not in known]:
        raise UsageError(f"--clip-people: expected some of {', '.join(known)}, found {', '.join(unknown)}")
    return [clip for clip in clips if not people or clip.person in people]


def clip_script(duration_s: float) -> ScriptSettings:
    """Of what is put into a clip: micro-expressions and nothing else, since people blink, talk and move there themselves.

    Raises ValueError for a duration that is too short.
    """
    return ScriptSettings(
        duration_s=duration_s,
        lead_s=4.0,
        gap_min_s=2.5,
        gap_max_s=6.0,
        peak_min_px=PEAKS_PX[0],
        peak_max_px=PEAKS_PX[1],
        talk_share=0.0,
        macro_share=0.0,
        rest_share=0.05,
        blinks_per_min=0.0,
        busy=0.0,
    )


@dataclass(frozen=True, eq=False)
class WatchedClip:
    """What was seen of a clip as it is (`plain`), and with expressions in it (`acted`, None where that cannot be made, and
    `why_not` says why).

    `own_s`: the seconds that were filmed of `acted`, which shows them to and fro. `motion_px`: how much the skin moves within
    `LAG_S`, in the median; None where no face is seen.
    """

    person: str
    plain: Watched
    acted: Watched | None = None
    own_s: float = 0.0
    motion_px: float | None = None
    why_not: str = ""

    @property
    def motion(self) -> ClipMotion | None:
        if self.motion_px is None:
            return None
        return "calm" if self.motion_px < CALM_PX else "moving"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            **self.plain.as_dict(),
            "people": [self.person],
            "motion_px": None if self.motion_px is None else round(self.motion_px, 3),
            "motion": self.motion,
            "own_s": round(self.own_s, 3),
            "acted": self.acted and self.acted.as_dict(),
            "why_not": self.why_not,
        }


def watch_clip(
    watcher: Watcher, contract: ClipContract, clip: RealClip, seed: int, settings: ScriptSettings | None
) -> WatchedClip:
    """Watches a clip as it is and, with `settings`, once more with expressions in it, at the clip's own frame rate.

    Raises TrainError for a file that cannot be read.
    """
    watched = WatchedClip(clip.person, watcher.clip(clip.path))
    if settings is None:
        return watched
    watched = replace(watched, motion_px=skin_motion_px(clip.path, contract))
    try:
        with closing(FaceMeshDetector()) as detector:
            video = make_clip_video(clip.path, seed, clip.number, settings, detector)
    except TrainError as error:
        return replace(watched, why_not=str(error))
    assert isinstance(video.scene, ClipScene)
    acted = watcher.made(video, Sampling(video.scene.fps))
    return replace(watched, acted=acted, own_s=min(video.scene.seconds, video.duration_s))


def skin_motion_px(path: Path, contract: ClipContract) -> float | None:
    """How far the region of the skin that moves most has come within `LAG_S`, in the median over a clip's frames, in pixels
    of a crop with 44 between the eyes; head motion does not count. None where no face is seen for that long.

    Raises TrainError for a file that cannot be read.
    """
    moved: list[float] = []
    try:
        with open_source(str(path), "fast") as source:
            for motions in _stretches(source, contract):
                moved += _within_lag_px(motions)
    except SourceError as error:
        raise TrainError(str(error)) from error
    return float(np.median(moved)) if moved else None


def _stretches(source: FrameSource, contract: ClipContract) -> Iterator[list[Motion]]:
    """The motion of the largest face, as the live program measures it; a stretch ends where it is lost."""
    follower, preprocessor, meter = FaceFollower(contract), Preprocessor(contract), MotionMeter(contract)
    motions: list[Motion] = []
    with closing(FaceMeshDetector()) as detector:
        for frame in source:
            grey = cv2.cvtColor(frame.image, cv2.COLOR_BGR2GRAY)
            if not motions or not follower.step(frame.image, grey, frame.time_s):
                if motions:
                    yield motions
                    motions = []
                found = detector.detect_with_depth(frame.image)
                if not found:
                    continue
                follower.place(frame.image, grey, FoundFace.of(found[0]), frame.time_s)
                preprocessor.reset()
                meter.reset()
            face = replace(follower.crop, crop=follower.steady_crop)
            motions.append(meter.step(face, preprocessor.step(face.crop, frame.time_s), frame.time_s))
    if motions:
        yield motions


def _within_lag_px(motions: Sequence[Motion]) -> list[float]:
    times_s = np.array([motion.time_s for motion in motions])
    skin_px: NDArray[np.float32] = np.stack([motion.regions_px[list(SKIN)] for motion in motions])
    late = times_s >= times_s[0] + LAG_S - 1e-6
    columns = skin_px.reshape(len(motions), -1).T
    before_px = np.stack([np.interp(times_s[late] - LAG_S, times_s, column) for column in columns], axis=1)
    moved_px = skin_px[late] - before_px.reshape(-1, *skin_px.shape[1:])
    return np.hypot(moved_px[..., 0], moved_px[..., 1]).max(axis=1).tolist()
