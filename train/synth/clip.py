"""One synthetic clip: what happens in it (drawn from a seed), and the aligned crops that the live program would see of it."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from model.contract import Colour, CropGeometry
from model.preprocess import crop_face, eye_transform
from model.types import unit_label
from stream.face.align import MotionAligner
from stream.face.landmarks import eye_centres
from train.synth.action_units import RECIPES, OneSided, RecipeBook, UnitShare, draw_expression
from train.synth.company import Company, CompanySettings, accompanied, draw_company
from train.synth.confounders import Confounders, Spared, draw_camera, draw_confounders, draw_repeats, draw_texture
from train.synth.faces import mean_depth
from train.synth.fields import FaceFields, channel
from train.synth.motion_curves import (
    Envelope,
    Motion,
    drift_envelope,
    expression_pulses,
    macro_envelope,
    micro_envelope,
    pose_at,
)
from train.synth.render import Camera, FaceModel, FaceRenderer
from train.synth.sensor import SensorModel

NEUTRAL = "neutral"
MAX_INTENSITY = 0.7
_MAX_ATTEMPTS = 4
_MAX_LOST_FRAMES = 3


@dataclass(frozen=True)
class ClipSettings:
    """What every clip of a dataset shares.

    A clip is `lead_frames`, in which a causal neutral reference settles, and the window of `window_frames` that a
    network sees. The apex of an event lies `apex_from` frames or more into the window. Peaks are pixels of the crop.
    Clips have `fps`, or each one of `frame_rates`, all as often (name one twice to have it twice as often). Of the
    neutral ones `macro_share`, `past_share` and `drift_share` hold an expression that is no event of their window.
    `company` says what goes with expressions beside their units, `one_sided` which class a smile or a dimple on one side
    means. In `hard_share` of all clips people talk, turn and move more, and cameras are worse, see `confounders`.
    """

    geometry: CropGeometry = field(default_factory=CropGeometry)
    colour: Colour = "grey"
    fps: float = 30.0
    frame_rates: tuple[float, ...] = ()
    window_frames: int = 30
    lead_frames: int = 20
    apex_from: int = 3
    peak_min_px: float = 0.6
    peak_max_px: float = 3.0
    landmark_jitter_px: float = 0.4
    macro_share: float = 0.16
    past_share: float = 0.12
    drift_share: float = 0.06
    hard_share: float = 0.3
    company: CompanySettings = field(default_factory=CompanySettings)
    one_sided: RecipeBook = field(default_factory=OneSided)

    def __post_init__(self) -> None:
        if not 0 < self.peak_min_px <= self.peak_max_px:
            raise ValueError(
                f"peak: expected 0 < smallest <= largest, found {self.peak_min_px} to {self.peak_max_px} px"
            )
        if not (self.lead_frames >= 15 and self.window_frames >= 9 and 0 <= self.apex_from < self.window_frames - 1):
            raise ValueError(
                "frames: expected a lead of 15 or more, a window of 9 or more and an apex inside it, "
                f"found {self.lead_frames}, {self.window_frames} and {self.apex_from}"
            )
        if min((self.fps, *self.frame_rates)) <= 0:
            raise ValueError(f"frame rates: expected more than 0, found {self.fps}, {self.frame_rates}")
        shares = (self.macro_share, self.past_share, self.drift_share)
        if min(shares) < 0 or sum(shares) > 1:
            raise ValueError(f"shares of neutral clips: expected 0 to 1 in all, found {shares}")
        if not 0 <= self.hard_share <= 1:
            raise ValueError(f"share of hard clips: expected 0 to 1, found {self.hard_share}")

    @property
    def frames(self) -> int:
        return self.lead_frames + self.window_frames


@dataclass(frozen=True)
class Expression:
    """`kind`: `micro` (the event of its clip), `macro` (long and large), `past` (a micro-expression over before the window)
    or `drift` (one that comes over seconds and stays).

    `units` say what moves, `peak_px` how far at the most (crop pixels, kept under `max_intensity` of the full units), and
    `company` what goes along.
    """

    kind: str
    class_name: str
    units: tuple[UnitShare, ...]
    envelope: Envelope
    peak_px: float
    max_intensity: float = MAX_INTENSITY
    company: Company | None = None

    def labels(self, mirrored: bool) -> tuple[str, ...]:
        """Units as FACS writes them ("4", "L12"), as they show in a picture that may be mirrored."""
        return tuple(
            unit_label(unit.number, *((unit.right, unit.left) if mirrored else (unit.left, unit.right)))
            for unit in self.units
        )

    def gains(self, fields: FaceFields, iod_px: float) -> dict[str, float]:
        """The units' gains at the apex on a face of so many crop pixels between the eyes."""
        shares = {
            channel(u.number, side): share
            for u in self.units
            for side, share in (("L", u.left), ("R", u.right))
            if share
        }
        full_px = fields.peak_iod(shares) * iod_px
        intensity = min(self.peak_px / full_px, self.max_intensity / max(shares.values()))
        return {name: share * intensity for name, share in shares.items()}

    def performed(self, fields: FaceFields, iod_px: float) -> tuple[FaceFields, dict[str, float]]:
        """The face's fields with that of the company, and the gains at the apex of all that moves."""
        return accompanied(fields, self.gains(fields, iod_px), self.company)


@dataclass(frozen=True, eq=False)
class ClipSpec:
    """Everything that happens in a clip. The same spec and face give the same frames, bit for bit.

    Frames come `fps` a second; those numbered in `repeats` show once more what the one before them showed, as webcams
    do that cannot keep up.
    """

    label: str
    expression: Expression | None
    confounders: Confounders
    camera: Camera
    texture: NDArray[np.float32]
    shading: float
    noise_seed: int
    eye_jitter_px: tuple[tuple[float, float], tuple[float, float]]
    fps: float = 30.0
    repeats: tuple[int, ...] = ()

    def time_s(self, index: int) -> float:
        """When what frame `index` shows took place."""
        while index in self.repeats:
            index -= 1
        return index / self.fps


@dataclass(frozen=True)
class ClipTruth:
    """What is true of a rendered clip. Frames are clip indices; all None where the clip has no event of its own.

    `offset_frame` is None too when the clip ends before it. `lost_frames` counts frames the alignment could not follow.
    """

    label: str
    action_units: tuple[str, ...]
    onset_frame: int | None
    apex_frame: int | None
    offset_frame: int | None
    peak_px: float
    lost_frames: int
    notes: dict[str, object]


def draw_clip(rng: np.random.Generator, label: str, settings: ClipSettings) -> ClipSpec:
    """Draws a clip of a class.

    What is not its expression comes from a generator of its own: with the same seed every class has the same camera,
    texture and sensor, and the same confounders, but for those that would hide the expression.
    """
    expressions, rest = rng.spawn(2)
    fps = float(rest.choice(settings.frame_rates or (settings.fps,)))
    draw = _draw_neutral if label == NEUTRAL else _draw_event
    expression = draw(expressions, label, settings, fps)
    company = draw_company(expressions, settings.company)
    expression = replace(expression, company=company) if expression else None
    jitter = rest.normal(0, settings.landmark_jitter_px, (2, 2))
    return ClipSpec(
        label=label,
        expression=expression,
        camera=draw_camera(rest),
        texture=draw_texture(rest, min(1.0, 3.0 / expression.peak_px) if expression else 1.0),
        shading=float(rest.uniform(0, 0.12)),
        noise_seed=int(rest.integers(2**63)),
        eye_jitter_px=((float(jitter[0, 0]), float(jitter[0, 1])), (float(jitter[1, 0]), float(jitter[1, 1]))),
        fps=fps,
        repeats=draw_repeats(rest, settings.frames),
        confounders=draw_confounders(
            rest, settings.frames, fps, _spared(expression), hard=bool(rest.random() < settings.hard_share)
        ),
    )


def _draw_event(rng: np.random.Generator, label: str, settings: ClipSettings, fps: float) -> Expression:
    apex_frame = settings.lead_frames + int(rng.integers(settings.apex_from, settings.window_frames - 1))
    envelope = micro_envelope(rng, (apex_frame + rng.uniform(-0.5, 0.5)) / fps)
    envelope = _after_first_frame(envelope, fps)
    return Expression(
        "micro", label, draw_expression(rng, label, settings.one_sided), envelope, _draw_peak(rng, settings)
    )


def _draw_neutral(rng: np.random.Generator, label: str, settings: ClipSettings, fps: float) -> Expression | None:
    kind = rng.random()
    class_name = str(rng.choice(list(RECIPES)))
    units = draw_expression(rng, class_name, settings.one_sided)
    if kind < settings.macro_share:
        apex_s = rng.uniform(settings.lead_frames, settings.frames + 10) / fps
        peak_px = float(np.exp(rng.uniform(np.log(1.0), np.log(6.0))))
        envelope = _after_first_frame(macro_envelope(rng, apex_s), fps)
        return Expression("macro", class_name, units, envelope, peak_px, max_intensity=1.0)
    kind -= settings.macro_share
    if kind < settings.past_share:
        envelope = micro_envelope(rng, 0.0)
        # The clip's first frame is at rest, and the event is over one frame before the window at the latest.
        room_s = (settings.lead_frames - 1) / fps
        envelope = envelope.scaled(min(1.0, room_s / envelope.duration_s))
        # Of one that fills the room, rounding may put the latest start before the first.
        latest_s = max(-envelope.onset_s, room_s - envelope.offset_s)
        envelope = envelope.shifted(rng.uniform(-envelope.onset_s, latest_s))
        return Expression("past", class_name, units, envelope, _draw_peak(rng, settings))
    kind -= settings.past_share
    if kind < settings.drift_share:
        envelope = drift_envelope(rng, settings.frames / fps)
        return Expression("drift", class_name, units, envelope, _draw_peak(rng, settings))
    return None


def _after_first_frame(envelope: Envelope, fps: float) -> Envelope:
    """The first frame is at rest, even if the lead is short at a high rate."""
    return envelope.shifted(max(0.0, 1 / fps - envelope.onset_s))


def _spared(expression: Expression | None) -> Spared | None:
    """When and where no confounder may move with a micro-expression; None if there is none in the window."""
    if expression is None or expression.kind != "micro":
        return None
    envelope = expression.envelope
    return Spared(frozenset(unit.number for unit in expression.units), envelope.onset_s - 0.1, envelope.offset_s + 0.1)


def _draw_peak(rng: np.random.Generator, settings: ClipSettings) -> float:
    return float(np.exp(rng.uniform(np.log(settings.peak_min_px), np.log(settings.peak_max_px))))


def camera_frames(
    model: FaceModel, spec: ClipSpec, count: int, iod_px: float, grey: bool = False
) -> Iterator[NDArray[np.uint8]]:
    """Camera frames of a clip, BGR (side, side, 3) or grey (side, side). `iod_px`: of the crop in which peaks are counted."""
    fields, gains = model.fields, dict[str, float]()
    if spec.expression:
        fields, gains = spec.expression.performed(fields, iod_px)
    renderer = FaceRenderer(model, spec.camera, spec.texture, spec.shading, grey, fields)
    side = spec.camera.side_px
    shape = (side, side) if grey else (side, side, 3)
    sensor = SensorModel(spec.confounders.sensor, shape, spec.noise_seed, spec.camera.iod_px)
    motions: tuple[Motion, ...] = spec.confounders.motions
    if spec.expression:
        motions += expression_pulses(gains, spec.expression.envelope)
    for index in range(count):
        yield sensor.photograph(renderer.render(pose_at(motions, spec.time_s(index))), index)


def make_clip(model: FaceModel, spec: ClipSpec, settings: ClipSettings) -> tuple[NDArray[np.uint8], ClipTruth]:
    """Crops uint8 (frames, size, size, channels) of a clip, aligned as the live program does, and what is true of it."""
    geometry = settings.geometry
    grey = settings.colour == "grey"
    shape = (settings.frames, geometry.size_px, geometry.size_px, 1 if grey else 3)
    crops = np.empty(shape, np.uint8)
    aligner = MotionAligner(geometry)
    transform, shift_px, lost = np.eye(2, 3), None, 0
    for index, frame in enumerate(camera_frames(model, spec, settings.frames, geometry.iod_px, grey)):
        view = frame if grey else cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
        if index == 0:
            landmarks, transform = _first_alignment(model, spec, geometry)
            # Of a photo nobody knows the depth; people differ little in it.
            distances = -mean_depth() * spec.camera.iod_px
            aligner.rekey(view, np.column_stack([landmarks, distances]), transform)
        else:
            alignment = aligner.step(view)
            transform, shift_px = alignment.transform, alignment.shift_px
            lost += not alignment.tracked
        crops[index] = crop_face(frame, transform, geometry, settings.colour, shift_px).reshape(shape[1:])
    return crops, _truth(model, spec, settings, lost)


def make_clip_from_seed(
    model: FaceModel, label: str, settings: ClipSettings, seed: np.random.SeedSequence
) -> tuple[NDArray[np.uint8], ClipTruth]:
    """A clip from a seed. One that the alignment cannot follow is drawn anew from the seed's next child."""
    for child in seed.spawn(_MAX_ATTEMPTS):
        crops, truth = make_clip(model, draw_clip(np.random.default_rng(child), label, settings), settings)
        if truth.lost_frames <= _MAX_LOST_FRAMES:
            break
    return crops, truth


def _first_alignment(
    model: FaceModel, spec: ClipSpec, geometry: CropGeometry
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Landmarks of the first frame, and the crop's transform from eyes that were found a little off."""
    landmarks = model.camera_landmarks(spec.camera)
    camera_px = spec.camera.iod_px / geometry.iod_px
    left, right = (
        eye + np.array(off) * camera_px for eye, off in zip(eye_centres(landmarks), spec.eye_jitter_px, strict=True)
    )
    return landmarks, eye_transform(left, right, geometry)


def _truth(model: FaceModel, spec: ClipSpec, settings: ClipSettings, lost: int) -> ClipTruth:
    notes: dict[str, object] = {
        "confounders": list(spec.confounders.notes),
        "camera_iod_px": round(spec.camera.iod_px, 1),
        "fps": spec.fps,
    }
    nothing = ClipTruth(spec.label, (), None, None, None, 0.0, lost, notes)
    expression = spec.expression
    if expression is None:
        return nothing
    gains = expression.gains(model.fields, settings.geometry.iod_px)
    peak_px = model.fields.peak_iod(gains) * settings.geometry.iod_px
    labels = expression.labels(spec.camera.mirrored)
    if expression.kind != "micro":
        said = {"class": expression.class_name, "action_units": list(labels), "peak_px": round(peak_px, 2)}
        return replace(nothing, notes=notes | {expression.kind: said})
    envelope = expression.envelope
    onset, apex, offset = (round(s * spec.fps) for s in (envelope.onset_s, envelope.apex_s, envelope.offset_s))
    return ClipTruth(
        label=spec.label,
        action_units=labels,
        onset_frame=onset,
        apex_frame=apex,
        offset_frame=offset if offset < settings.frames else None,
        peak_px=peak_px,
        lost_frames=lost,
        notes=notes | {"residual": round(envelope.residual, 3), "duration_ms": round(envelope.duration_s * 1000)},
    )
