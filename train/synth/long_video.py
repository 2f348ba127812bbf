"""Long videos of faces with known expressions: full pictures at any frame rate, the same performance at all of them."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from model.types import Image
from stream.sources.base import SourceInfo
from train.spotting import TruthEvent
from train.synth.confounders import draw_texture
from train.synth.faces import FaceSource
from train.synth.long_video_scene import Scene, SoloScene, View
from train.synth.long_video_script import Distraction, Script, ScriptSettings, draw_script
from train.synth.picture_effects import IntegerNoise, Light
from train.synth.render import Camera, FaceModel


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
