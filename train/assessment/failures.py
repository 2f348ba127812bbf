"""The surest mistakes of a model, as a picture: the neutral face, the apex, and the motion between them."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from model.contract import ClipContract, NetworkInput, Reference
from model.preprocess import Features, NeutralReference, Preprocessor
from train.assessment.answers import grey_or_rgb
from train.clips.store import ClipRecord, ClipStore
from train.files import write_with

ROWS = 8
_A_KIND = 2  # of a truth taken for another class, so that one confusion does not fill the picture
_ARROW_STEP_PX = 8
_ARROW_GAIN = 3.0
_LEAST_ARROW_PX = 0.15
_FULL_COLOUR_PX = 2.0


@dataclass(frozen=True)
class WrongAnswer:
    """A clip that was answered wrongly: its row in the store, the answer's class and its confidence."""

    row: int
    answer: int
    confidence: float


def surest_mistakes(
    probabilities: NDArray[np.float32], labels: NDArray[np.int64], count: int = ROWS, a_kind: int = _A_KIND
) -> list[WrongAnswer]:
    """The `count` mistakes of highest confidence, at most `a_kind` of one truth and answer, the surest first."""
    answers, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    taken: dict[tuple[int, int], int] = {}
    found: list[WrongAnswer] = []
    for row in np.argsort(-confidence, kind="stable"):
        kind = (int(labels[row]), int(answers[row]))
        if kind[0] == kind[1] or taken.get(kind, 0) >= a_kind or len(found) == count:
            continue
        taken[kind] = taken.get(kind, 0) + 1
        found.append(WrongAnswer(int(row), kind[1], float(confidence[row])))
    return found


def draw_failures(
    store: ClipStore, probabilities: NDArray[np.float32], contract: ClipContract, model: str, path: Path
) -> int:
    """Draws the model's surest mistakes, a row each, as PNG; returns how many (0: no mistake, and no picture)."""
    mistakes = surest_mistakes(probabilities, store.labels)
    if not mistakes:
        return 0
    figure = Figure(figsize=(11, 2.55 * len(mistakes) + 0.9), layout="constrained")
    axes = figure.subplots(len(mistakes), 4, squeeze=False, width_ratios=(1, 1, 1, 1.25))
    for cells, mistake in zip(axes, mistakes, strict=True):
        reference, apex, flow = _moment(store, mistake.row, contract)
        cells[0].imshow(reference, cmap="gray", vmin=0, vmax=255)
        cells[1].imshow(apex, cmap="gray", vmin=0, vmax=255)
        _arrows(cells[1], flow)
        cells[2].imshow(_flow_colours(flow))
        cells[3].text(
            0.0, 0.5, _words(store, mistake, probabilities[mistake.row]), va="center", fontsize=11, linespacing=1.5
        )
        for ax in cells:
            ax.set_axis_off()
    titles = ("neutral reference", f"apex, motion ×{_ARROW_GAIN:g}", "motion: hue direction, full at 2 px", "")
    for ax, title in zip(axes[0], titles, strict=True):
        ax.set_title(title, fontsize=11)
    wrong = int((probabilities.argmax(axis=1) != store.labels).sum())
    figure.suptitle(f"The surest of {wrong} mistakes on {len(store):,} clips, at most {_A_KIND} of a kind: {model}")
    FigureCanvasAgg(figure)
    write_with(path, lambda temporary: figure.savefig(temporary, dpi=90, format="png"))
    return len(mistakes)


def _moment(store: ClipStore, row: int, contract: ClipContract) -> tuple[NDArray, NDArray, Features]:
    """Reference and crop (size, size) grey, and flow (size, size, 2) in crop pixels between them, at the clip's apex.

    Clips without an event are shown where the window moves most.
    """
    reference_recipe = Reference("ema", 2.0) if contract.reference.kind == "none" else contract.reference
    size = contract.crop.size_px
    seen = replace(contract, input=NetworkInput("flow", size), reference=reference_recipe)
    preprocessor, neutral = Preprocessor(seen), NeutralReference(seen)
    record, fps = store.records[row], store.manifest.fps
    frames: list[tuple[NDArray, NDArray, Features]] = []
    for index, crop in enumerate(grey_or_rgb(np.asarray(store.clips[row]), seen)):
        reference = np.array(neutral.current(crop, index / fps), np.float32)
        frames.append((reference, crop, preprocessor.step(crop, index / fps)[..., :2]))
        neutral.update(crop, index / fps)
    if record.apex_frame is not None:
        return frames[record.apex_frame]
    window = frames[record.window_start :]
    return max(window, key=lambda frame: float(np.percentile(np.hypot(*np.moveaxis(frame[2], -1, 0)), 95)))


def _arrows(ax: Axes, flow: Features) -> None:
    places = np.arange(_ARROW_STEP_PX // 2, flow.shape[0], _ARROW_STEP_PX)
    x, y = np.meshgrid(places, places)
    u, v = flow[y, x, 0], flow[y, x, 1]
    moves = np.hypot(u, v) > _LEAST_ARROW_PX
    ax.quiver(
        x[moves],
        y[moves],
        _ARROW_GAIN * u[moves],
        _ARROW_GAIN * v[moves],
        color="#ffb703",
        angles="xy",
        scale_units="xy",
        scale=1,
        width=0.008,
    )


def _flow_colours(flow: Features) -> NDArray[np.uint8]:
    """RGB (size, size, 3): the direction's hue, the more saturated the longer; still is white."""
    length = np.hypot(flow[..., 0], flow[..., 1])
    hue = (np.degrees(np.arctan2(flow[..., 1], flow[..., 0])) % 360) / 2
    saturation = 255 * np.clip(length / _FULL_COLOUR_PX, 0, 1)
    hsv = np.dstack([hue, saturation, np.full_like(hue, 255)]).astype(np.uint8)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB).astype(np.uint8)


def _words(store: ClipStore, mistake: WrongAnswer, probabilities: NDArray[np.float32]) -> str:
    record, names = store.records[mistake.row], store.manifest.class_names
    truth = store.labels[mistake.row]
    lines = [
        f"{record.label} → {names[mistake.answer]} ({100 * mistake.confidence:.0f} %)",
        f"the truth was given {100 * probabilities[truth]:.0f} %",
        *_what_happens(record),
        f"person {record.subject}",
    ]
    confounders: Sequence[str] = record.notes.get("confounders", ())
    if confounders:
        lines.append("with " + ", ".join(name.replace("_", " ") for name in confounders))
    return "\n".join(_wrapped(lines))


def _what_happens(record: ClipRecord) -> list[str]:
    if record.apex_frame is not None:
        return [f"AU {'+'.join(record.action_units)}, peak {record.peak_px:.1f} px"]
    for kind in ("macro", "past", "drift"):
        if kind in record.notes:
            said = record.notes[kind]
            return [f"{kind} expression, AU {'+'.join(said['action_units'])}, {said['peak_px']:.1f} px"]
    return ["no expression"]


def _wrapped(lines: Sequence[str], width: int = 34) -> list[str]:
    return [part for line in lines for part in textwrap.wrap(line, width)]
