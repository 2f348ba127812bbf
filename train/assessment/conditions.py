"""The conditions of an assessment: the same clips, filmed at other frame rates or in a worse way."""

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from train.synth.clip import ClipSettings, ClipSpec
from train.synth.motion_curves import HEAD_X, HEAD_Y, Oscillation
from train.synth.sensor import Sensor, Tone

Group = Literal["plain", "rate", "robustness"]

HEAD_HZ = 1.0
"""Of the head motion that conditions add: one swing a second."""


@dataclass(frozen=True)
class Condition:
    """One way to film a clip; what is None stays as it was drawn.

    `fps`: frames a second. `noise`: σ of the sensor's noise, grey levels. `jpeg_quality`: 1..100. `gain`, `gamma`: of
    the brightness, on all frames (levels 0..1 → (gain · level)^gamma). `head_px`: amplitude of a sinusoidal head motion
    at `HEAD_HZ`, in crop pixels, in a direction of the clip's own. `blur_px`: σ of a defocus, in crop pixels.
    """

    key: str
    group: Group
    name: str
    fps: float | None = None
    noise: float | None = None
    jpeg_quality: int | None = None
    gain: float = 1.0
    gamma: float = 1.0
    head_px: float = 0.0
    blur_px: float = 0.0

    def applied(self, spec: ClipSpec, settings: ClipSettings) -> ClipSpec:
        """The clip under this condition: what happens in it stays the same."""
        if self.fps is not None:
            spec = at_rate(spec, self.fps, settings)
        sensor, motions = spec.confounders.sensor, spec.confounders.motions
        if self.noise is not None:
            sensor = replace(sensor, noise=self.noise)
        if self.jpeg_quality is not None:
            sensor = replace(sensor, jpeg_quality=self.jpeg_quality)
        if (self.gain, self.gamma) != (1.0, 1.0):
            tone = Tone(
                start=-1, ramp=1, gains=(self.gain, self.gain, self.gain), gamma=self.gamma
            )  # there from the first frame on
            sensor = replace(sensor, tones=(*sensor.tones, tone))
        if self.blur_px:
            sensor = replace(sensor, defocus_px=math.hypot(sensor.defocus_px, self.blur_px))
        if self.head_px:
            motions += _swing(spec.noise_seed, self.head_px / settings.geometry.iod_px)
        return replace(spec, confounders=replace(spec.confounders, sensor=sensor, motions=motions))

    def filmed(self, settings: ClipSettings) -> ClipSettings:
        """The settings with as many frames as the clip has at this condition's rate."""
        if self.fps is None:
            return settings
        # One more frame than the last that is needed, where that lies between two.
        frames = math.ceil((settings.frames - 1) / settings.fps * self.fps - 1e-6) + 1
        lead = max(15, int(settings.lead_frames / settings.fps * self.fps))  # no shorter, say the settings
        return replace(settings, fps=self.fps, lead_frames=lead, window_frames=frames - lead)


PLAIN = Condition("plain", "plain", "as made, 30 a second")

CONDITIONS: tuple[Condition, ...] = (
    *(Condition(f"fps-{fps}", "rate", f"{fps} frames a second", fps=float(fps)) for fps in (15, 20, 25, 60, 120)),
    *(Condition(f"noise-{s}", "robustness", f"noise, σ {s} grey levels", noise=float(s)) for s in (2, 4, 8)),
    Condition("jpeg-30", "robustness", "JPEG, quality 30", jpeg_quality=30),
    Condition("darker", "robustness", "brightness −20 %", gain=0.8),
    Condition("brighter", "robustness", "brightness +20 %", gain=1.2),
    Condition("gamma-0.7", "robustness", "gamma 0.7", gamma=0.7),
    Condition("gamma-1.5", "robustness", "gamma 1.5", gamma=1.5),
    Condition("head-3", "robustness", "head motion ±3 px at 1 Hz", head_px=3.0),
    Condition("head-6", "robustness", "head motion ±6 px at 1 Hz", head_px=6.0),
    Condition("blur-1", "robustness", "blur, σ 1 px", blur_px=1.0),
    Condition("blur-2", "robustness", "blur, σ 2 px", blur_px=2.0),
)


def at_rate(spec: ClipSpec, fps: float, settings: ClipSettings) -> ClipSpec:
    """The same clip filmed at another rate. What is counted in frames keeps its time; no frame is shown twice."""
    pace = fps / spec.fps
    sensor = spec.confounders.sensor
    tones = tuple(replace(t, start=round(t.start * pace), ramp=max(1, round(t.ramp * pace))) for t in sensor.tones)
    hunt = sensor.focus_hunt
    if hunt is not None:
        hunt = replace(hunt, start=round(hunt.start * pace), pictures=max(2, round(hunt.pictures * pace)))
    frames = math.ceil(settings.frames * pace)
    nearest = np.minimum(np.rint(np.arange(frames) / pace).astype(int), max(len(sensor.smears) - 1, 0))
    smears = tuple(sensor.smears[index] for index in nearest) if sensor.smears else ()
    every = 1 if sensor.keyframe_every == 1 else max(2, round(sensor.keyframe_every * pace))
    filmed: Sensor = replace(sensor, tones=tones, focus_hunt=hunt, smears=smears, keyframe_every=every)
    return replace(spec, fps=fps, repeats=(), confounders=replace(spec.confounders, sensor=filmed))


def _swing(seed: int, amplitude_iod: float) -> tuple[Oscillation, ...]:
    """A swing of the head about where it was, in a direction and phase that follow from the seed."""
    direction, phase = np.random.default_rng(seed).uniform(0, 2 * math.pi, 2)
    shares = {HEAD_X: math.cos(direction), HEAD_Y: math.sin(direction)}
    return tuple(Oscillation(name, amplitude_iod * share, HEAD_HZ, phase) for name, share in shares.items())
