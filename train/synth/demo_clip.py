"""Draws the demo: a portrait that lives for a quarter of a minute and shows three known micro-expressions.

The first comes after the rest that the event detector needs to learn a face's noise. The clip that ships with the program
was written by `python -c "from train.synth.demo_clip import write_demo; write_demo()"`.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from model.contract import CropGeometry
from model.types import Image
from stream.sources.demo import DEMO_CLIP, DEMO_TRUTH, DemoEvent
from train.synth.confounders import blink, gaze_shift
from train.synth.faces import astronaut
from train.synth.fields import channel
from train.synth.motion_curves import (
    HEAD_GROWTH,
    HEAD_ROLL,
    HEAD_X,
    HEAD_Y,
    Envelope,
    Motion,
    Oscillation,
    expression_pulses,
    pose_at,
)
from train.synth.render import Camera, FaceModel, FaceRenderer
from train.synth.sensor import Sensor, SensorModel

_IOD_PX = 62.0
# Where the eyes' middle lies in the frame.
_EYES_PX = (256.0, 152.0)
_EXPRESSIONS: tuple[tuple[str, dict[int, float], float], ...] = (
    ("negative", {4: 1.0, 7: 0.8, 9: 0.4}, 4.4),
    ("positive", {12: 1.0, 6: 0.8}, 7.6),
    ("surprise", {1: 1.0, 2: 1.0, 5: 0.4}, 10.8),
)
_QUALITY = "16"
_BLINKS_S = (1.4, 5.9, 9.2, 12.6)


class DemoClip:
    """Frames of the demo, BGR uint8 (size_px, size_px, 3), `fps` a second, drawn when asked for; `events` is the truth.

    The same seed gives the same frames. `frame(i)` may be asked for in any order, iterating goes through all of them.
    """

    fps = 30.0
    size_px = 512
    frames = 420

    def __init__(self, seed: int = 0) -> None:
        rng = np.random.default_rng([0xDE40, seed])
        model = FaceModel(astronaut())
        camera = Camera(iod_px=_IOD_PX, blur_px=0.3)
        self._renderer = FaceRenderer(model, camera)
        # Drawn eye centres to where they belong in the frame.
        corner = np.rint(np.array(_EYES_PX) - camera.from_canonical()[:, 2]).astype(int)
        self._view = (slice(corner[1], corner[1] + camera.side_px), slice(corner[0], corner[0] + camera.side_px))
        self._scene = _scene(model, camera, corner, self.size_px)
        self._blend = _feather(camera.side_px, 12)
        self._sensor = SensorModel(Sensor(noise=1.5, jpeg_quality=None), (self.size_px, self.size_px, 3), seed)
        motions: list[Motion] = list(_sway(rng))
        events: list[DemoEvent] = []
        for label, units, apex_s in _EXPRESSIONS:
            event, pulses = _event(rng, model, label, units, apex_s)
            events.append(event)
            motions += pulses
        for start_s in _BLINKS_S:
            motions += blink(rng, start_s + rng.uniform(-0.15, 0.15))
        motions += gaze_shift(rng, 2.4)
        self._motions = tuple(motions)
        self.events = tuple(events)

    def __len__(self) -> int:
        return self.frames

    def __iter__(self) -> Iterator[Image]:
        return (self.frame(index) for index in range(self.frames))

    def frame(self, index: int) -> Image:
        """Frame `index`, at `index / fps` seconds; raises IndexError outside the clip."""
        if not 0 <= index < self.frames:
            raise IndexError(f"demo frame: expected 0 to {self.frames - 1}, found {index}")
        face = self._renderer.render(pose_at(self._motions, index / self.fps))
        image = self._scene.copy()
        view = image[self._view]
        view[:] = cv2.blendLinear(face, view, self._blend, 1 - self._blend)
        return self._sensor.photograph(image, index)


def write_demo(clip: Path = DEMO_CLIP, truth: Path = DEMO_TRUTH) -> None:
    """Encodes the clip as H.264, fine enough for its smallest motion to survive (0.8 MB), and its events as JSON."""
    import av  # nothing else here needs an encoder

    demo = DemoClip()
    with av.open(str(clip), "w") as file:
        stream = file.add_stream("libx264", rate=round(demo.fps), options={"crf": _QUALITY, "preset": "slow"})
        stream.width, stream.height, stream.pix_fmt = demo.size_px, demo.size_px, "yuv420p"
        for image in demo:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        file.mux(stream.encode())
    truth.write_text(json.dumps([asdict(event) for event in demo.events], indent=2) + "\n", encoding="utf-8")


def _event(
    rng: np.random.Generator, model: FaceModel, label: str, units: dict[int, float], apex_s: float
) -> tuple[DemoEvent, tuple[Motion, ...]]:
    rise_s, fall_s = rng.uniform(0.14, 0.2), rng.uniform(0.18, 0.25)
    apex_s += rng.uniform(-0.2, 0.2)
    envelope = Envelope(apex_s - rise_s, apex_s, apex_s, apex_s + fall_s)
    shares = {channel(number, side): share for number, share in units.items() for side in "LR"}
    crop_iod_px = CropGeometry().iod_px
    peak_px = float(rng.uniform(2.2, 2.8))
    intensity = peak_px / (model.fields.peak_iod(shares) * crop_iod_px)
    gains = {name: share * intensity for name, share in shares.items()}
    return DemoEvent(label, envelope.onset_s, apex_s, envelope.offset_s, peak_px), expression_pulses(gains, envelope)


def _sway(rng: np.random.Generator) -> Iterator[Oscillation]:
    """Small, slow head motion."""
    for name, amplitude, frequency_hz in (
        (HEAD_X, 0.03, 0.13), (HEAD_X, 0.006, 0.6), (HEAD_Y, 0.02, 0.17), (HEAD_Y, 0.005, 0.5),
        (HEAD_ROLL, 0.8, 0.11), (HEAD_GROWTH, 0.008, 0.09),
    ):  # fmt: skip
        yield Oscillation(name, amplitude, frequency_hz * rng.uniform(0.8, 1.25), rng.uniform(0, 2 * np.pi))


def _scene(model: FaceModel, camera: Camera, corner: NDArray[np.int_], size_px: int) -> Image:
    """The whole photo at rest, as large as the camera sees it."""
    to_camera = camera.from_canonical() @ np.vstack([model.face.canonical_transform(), [0, 0, 1]])
    to_camera[:, 2] += corner
    return cv2.warpAffine(
        model.face.image, to_camera, (size_px, size_px), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
    )


def _feather(side_px: int, width_px: int) -> NDArray[np.float32]:
    """1 inside a square (side, side), falling to 0 over `width_px` at its edges."""
    ramp = np.minimum(np.arange(side_px) + 1, np.arange(side_px)[::-1] + 1) / width_px
    edge = np.clip(ramp, 0, 1).astype(np.float32)
    return np.minimum(edge[:, np.newaxis], edge)
