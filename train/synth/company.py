"""What moves with an expression beside its units: lids, eyes, the skin around them, a small turn, rough motion.

In recordings of real micro-expressions more moves from onset to apex than the coded units: lids and gaze go along, the skin
around the eyes and on the whole face does not move as smoothly as a model has it, and heads turn a little. All of it rises
and falls with the expression, whatever its class, so that it gives none away. It is one field more of the face.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import cv2
import numpy as np
from numpy.typing import NDArray

from train.synth.fields import (
    COMPANY,
    GAZE_X,
    GAZE_Y,
    NODES,
    PITCH,
    STEP_IOD,
    YAW,
    FaceFields,
    Field,
    channel,
    grid_points,
)

# Values of noise closer than this have much in common, IOD.
_CELL_IOD = 0.067
# Sizes are in shares of this percentile of what the units move.
_PERCENTILE = 98


@dataclass(frozen=True)
class CompanySettings:
    """How strong each part is; 0 leaves it out. The greatest strength of a part, and it is drawn from there down.

    The defaults are what carried over best to real motion (`train transfer`; the model card has the table): turns and rough
    motion everywhere did not help beside the rest.

    `share`: of expressions that have company at all. `eyes`: noise in the skin around them, `rough`: everywhere in the face,
    `turn`: parallax of the head (σ); shares of what the units move. `lids`: they widen or narrow, in shares of the units'
    intensity, `gaze`: the eyes turn (σ), a tenth of the distance between them at full intensity.
    """

    share: float = 1.0
    eyes: float = 1.0
    lids: float = 0.6
    gaze: float = 0.25
    turn: float = 0.0
    rough: float = 0.0

    def __post_init__(self) -> None:
        for part in fields(self):
            most = 1 if part.name == "share" else 10
            if not 0 <= getattr(self, part.name) <= most:
                raise ValueError(f"company: {part.name}: expected 0 to {most}, found {getattr(self, part.name)}")

    @classmethod
    def from_text(cls, text: str) -> "CompanySettings":
        """Some parts by name, "eyes=1,lids=0.5"; the others are as they are. Raises ValueError naming what is wrong."""
        names, given = {part.name for part in fields(cls)}, dict[str, float]()
        for piece in filter(None, text.split(",")):
            name, _, value = piece.partition("=")
            if name.strip() not in names:
                raise ValueError(f"company: expected {', '.join(sorted(names))} with a number, found {piece!r}")
            try:
                given[name.strip()] = float(value)
            except ValueError:
                raise ValueError(f"company: {name.strip()}: expected a number, found {value!r}") from None
        return cls(**given)


@dataclass(frozen=True)
class Company:
    """What was drawn for one expression; see `CompanySettings` for the units. `lids` are AU 5 and 7, left and right."""

    eyes: float
    lids: Mapping[str, float]
    gaze: tuple[float, float]
    turn: tuple[float, float]
    rough: float
    noise_seed: int

    def field(self, face: FaceFields, gains: Mapping[str, float]) -> Field:
        """Displacement (NODES, NODES, 2) in IOD at the apex of an expression with these gains of its units."""
        intensity = max(gains.values())
        moved = face.displacement(face.weights(gains))
        size = float(np.percentile(np.hypot(moved[..., 0], moved[..., 1]), _PERCENTILE))
        along = {name: gain * intensity for name, gain in self.lids.items()}
        along |= {GAZE_X: self.gaze[0] * intensity, GAZE_Y: self.gaze[1] * intensity}
        for name, share in zip((YAW, PITCH), self.turn, strict=True):
            along[name] = share * size / max(face.peak_iod({name: 1.0}), 1e-9)
        total = face.displacement(face.weights(along))
        noise = np.random.default_rng(self.noise_seed)
        total += np.float32(self.eyes * size) * _noise(noise) * _EYES
        total += np.float32(self.rough * size) * _noise(noise) * face.skin
        return total


def draw_company(rng: np.random.Generator, settings: CompanySettings) -> Company | None:
    """What goes with an expression; None for one that moves alone. Takes as many numbers from the generator either way."""
    unit = 5 if rng.random() < 0.5 else 7
    lid = rng.uniform(0.1, 1.0) * (1 if rng.random() < 0.5 else -1)
    lids = {channel(unit, side): float(settings.lids * lid * np.exp(rng.normal(0, 0.3))) for side in "LR"}
    gaze, turn = settings.gaze * rng.normal(0, 1, 2), settings.turn * rng.normal(0, 1, 2)
    company = Company(
        eyes=float(settings.eyes * rng.uniform(0.2, 1.0)),
        lids=lids,
        gaze=(float(gaze[0]), float(gaze[1])),
        turn=(float(turn[0]), float(turn[1])),
        rough=float(settings.rough * rng.uniform(0, 1)),
        noise_seed=int(rng.integers(2**63)),
    )
    return company if rng.random() < settings.share else None


def accompanied(
    face: FaceFields, gains: Mapping[str, float], company: Company | None
) -> tuple[FaceFields, dict[str, float]]:
    """The face's fields with the company's added as `COMPANY`, and the gains at the apex of all that moves."""
    if company is None:
        return face, dict(gains)
    return face.with_channel(COMPANY, company.field(face, gains)), {**gains, COMPANY: 1.0}


def _noise(rng: np.random.Generator) -> Field:
    """Noise (NODES, NODES, 2) of unit standard deviation, as smooth as a cell."""
    smooth = cv2.GaussianBlur(rng.standard_normal((NODES, NODES, 2), dtype=np.float32), (0, 0), _CELL_IOD / STEP_IOD)
    return smooth / smooth.std()


def _bump(at: tuple[float, float], sigma: tuple[float, float]) -> NDArray[np.float32]:
    off = (grid_points() - at) / sigma
    return np.exp(-0.5 * (off**2).sum(axis=-1)).astype(np.float32)


_EYES = (_bump((-0.5, 0.0), (0.28, 0.16)) + _bump((0.5, 0.0), (0.28, 0.16)))[..., np.newaxis]
