"""Long videos of drawn faces with known micro- and macro-expressions, written in the layouts of real datasets with their sheets."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from model.types import Image
from tests.helpers.long_video_trees import MadeVideo, write_long_dataset
from train.datasets.source import AnnotatedEvent
from train.synth.drawn import drawn_face
from train.synth.long_video import LongVideo, Sampling, make_long_video
from train.synth.long_video_script import ScriptSettings, TruthEvent

EMOTIONS = {"negative": "disgust", "positive": "happiness", "surprise": "surprise"}
"""What the sheets call the classes' expressions."""
SHORT = ScriptSettings(
    duration_s=7.0, lead_s=2.0, gap_min_s=1.4, gap_max_s=1.8, peak_min_px=1.8, rest_share=0.0, busy=0.3, blinks_per_min=4.0,
    talk_share=0.0, macro_share=0.0,
)  # fmt: skip
_GAP = range(30, 36)
"""Places of pictures that the camera lost, counted from a video's first."""
_EDGE_PX = 60


@dataclass(frozen=True)
class LongLayout:
    """`fps` of the frame numbers, every `step`th of which has a picture; `first`: of a video's first picture. `gaps`: the camera
    lost some."""

    fps: float
    first: int
    step: int = 1
    gaps: bool = False

    @property
    def sampling(self) -> Sampling:
        return Sampling(self.fps / self.step)

    def number_at(self, time_s: float) -> int:
        return self.first + round(time_s * self.fps)


LAYOUTS = {
    "casme2-long": LongLayout(30.0, 1),
    # Two hundred pictures a second would take minutes to draw and to watch.
    "samm-long": LongLayout(200.0, 1, step=6),
    "casme3": LongLayout(30.0, 1294, gaps=True),
}


class DrawnPictures:
    """Draws the pictures that `write_long_dataset` asks for: of each video, numbers that grow."""

    def __init__(self, layout: LongLayout, drawn: dict[str, LongVideo]) -> None:
        self._layout = layout
        self._frames = {name: self._numbered(video) for name, video in drawn.items()}

    def __call__(self, video: MadeVideo, number: int) -> Image:
        return next(picture for at, picture in self._frames[video_name(video)] if at == number)

    def _numbered(self, video: LongVideo) -> Iterator[tuple[int, Image]]:
        for place, (_, picture) in enumerate(video.frames(self._layout.sampling)):
            # Beside the face nothing is to be seen.
            yield self._layout.first + place * self._layout.step, picture[:, _EDGE_PX:-_EDGE_PX]


def video_name(video: MadeVideo) -> str:
    return f"{video.subject}/{video.video}"


def make_long_dataset(
    name: str, root: Path, people: int = 2, each: int = 1, seed: int = 3, script: ScriptSettings = SHORT
) -> list[MadeVideo]:
    """Writes a dataset of `people` with `each` so many videos, in the layout `name` below `root`; the same seed, the same one."""
    layout = LAYOUTS[name]
    drawn: dict[str, LongVideo] = {}
    videos: list[MadeVideo] = []
    for person in range(people):
        for take in range(each):
            subject, video = _names(name, person, take)
            made = make_long_video([drawn_face(person)], seed + person, take, script)
            count = len(layout.sampling.times_s(made.duration_s, 0))
            places = [place for place in range(count) if not (layout.gaps and place in _GAP)]
            numbers = [layout.first + place * layout.step for place in places]
            videos.append(MadeVideo(subject, video, numbers, tuple(_annotated(layout, event) for event in made.events)))
            drawn[video_name(videos[-1])] = made
    write_long_dataset(name, root, videos, DrawnPictures(layout, drawn))
    return videos


def _names(name: str, person: int, take: int) -> tuple[str, str]:
    if name == "casme2-long":
        return f"s{19 + person}", f"{19 + person}_{('0101', '0502', '0401', '0503', '0102')[take]}"
    if name == "samm-long":
        return f"{6 + person:03d}", f"{6 + person:03d}_{take + 1}"
    return f"spNO.{person + 1}", "abcdefghijklm"[take]


def _annotated(layout: LongLayout, event: TruthEvent) -> AnnotatedEvent:
    onset, apex, offset = (layout.number_at(time_s) for time_s in (event.onset_s, event.apex_s, event.offset_s))
    return AnnotatedEvent(event.kind, onset, offset, apex, EMOTIONS[event.label], event.label, ("4",))
