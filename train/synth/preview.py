"""Pictures of a clip store, to look at before training on it: a contact sheet and a looping GIF per class."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from model.atomic import whole_file
from model.types import Image
from train.clips.store import ClipRecord, ClipStore

_TILE_PX = 192
_SHEET_EXAMPLES = 2
_GIF_EXAMPLES = 3
_GIF_COLOURS = 64
_DIFFERENCE_GAIN = 6
_ARROW_GAIN = 6
_WHITE, _GREEN, _DARK = (255, 255, 255), (80, 255, 80), (40, 40, 40)


def write_previews(path: Path) -> list[Path]:
    """Writes `preview.png` and `preview_<class>.gif` into a store's folder and returns their paths."""
    store = ClipStore.open(path)
    written = [_write_image(path / "preview.png", [PillowImage.fromarray(contact_sheet(store))], store.manifest.fps)]
    for name in store.manifest.class_names:
        frames = _animation(store, name)
        if frames:
            written.append(_write_image(path / f"preview_{name}.gif", frames, store.manifest.fps))
    return written


def contact_sheet(store: ClipStore) -> Image:
    """RGB uint8: a row per class with the examples of largest motion, each as onset, apex, offset, difference and arrows."""
    rows = []
    for name in store.manifest.class_names:
        tiles: list[Image] = []
        for index in _examples(store, name, _SHEET_EXAMPLES):
            tiles += _example_tiles(store, index)
        missing = 5 * _SHEET_EXAMPLES - len(tiles)
        tiles += [np.full((_TILE_PX, _TILE_PX, 3), _DARK, np.uint8)] * missing
        rows.append(np.hstack(tiles))
    return np.vstack(rows)


def _examples(store: ClipStore, label: str, count: int) -> list[int]:
    """Clips of a class, each of another person as far as there are, those of large motion first."""
    mine = [i for i, record in enumerate(store.records) if record.label == label]
    mine.sort(key=lambda i: -(store.records[i].peak_px or 0.0))
    first_of: dict[str, int] = {}
    for index in mine:
        first_of.setdefault(store.records[index].subject, index)
    chosen = list(first_of.values())
    return (chosen + [index for index in mine if index not in chosen])[:count]


def _example_tiles(store: ClipStore, index: int) -> list[Image]:
    record, clip = store.records[index], store.clips[index]
    onset, apex, offset = _moments(record, len(clip))
    neutral, peak = _grey(clip[onset]), _grey(clip[apex])
    title = f"{record.label} {'+'.join(record.action_units)}"
    if record.peak_px:
        title += f" {record.peak_px:.1f} px"
    return [
        _titled(_rgb(clip[onset]), title),
        _titled(_rgb(clip[apex]), f"{record.subject}, frame {apex}"),
        _titled(_rgb(clip[offset]), f"frame {offset}"),
        _titled(_difference(neutral, peak), f"difference x {_DIFFERENCE_GAIN}"),
        _arrows(neutral, peak),
    ]


def _moments(record: ClipRecord, frames: int) -> tuple[int, int, int]:
    """Onset, apex and offset; where the clip has none, the window's first, middle and last frame."""
    if record.onset_frame is None or record.apex_frame is None:
        return record.window_start, (record.window_start + frames) // 2, frames - 1
    return record.onset_frame, record.apex_frame, frames - 1 if record.offset_frame is None else record.offset_frame


def _animation(store: ClipStore, label: str) -> list[PillowImage.Image]:
    """The windows of a few clips side by side, over them as they are and below the difference from their first frame."""
    chosen = _examples(store, label, _GIF_EXAMPLES)
    frames = []
    for step in range(store.manifest.frames - store.manifest.lead_frames) if chosen else ():
        columns = []
        for index in chosen:
            record, clip = store.records[index], store.clips[index]
            now, still = clip[record.window_start + step], clip[record.window_start]
            view = _titled(_rgb(now), "+".join(record.action_units))
            columns.append(np.vstack([view, _scaled(_difference(_grey(still), _grey(now)))]))
        frames.append(PillowImage.fromarray(np.hstack(columns)).quantize(_GIF_COLOURS, PillowImage.Quantize.FASTOCTREE))
    return frames


def _difference(neutral: Image, peak: Image) -> Image:
    change = cv2.addWeighted(peak, _DIFFERENCE_GAIN, neutral, -_DIFFERENCE_GAIN, 128)
    return cv2.cvtColor(change, cv2.COLOR_GRAY2RGB)


def _arrows(neutral: Image, peak: Image) -> Image:
    """Dense optical flow from one frame to the other, as amplified arrows on the first."""
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(neutral, peak, None)  # type: ignore[call-overload]
    flow = cv2.GaussianBlur(flow, (0, 0), 1.5)
    flow -= np.median(flow.reshape(-1, 2), axis=0)
    view = _scaled(cv2.cvtColor(neutral // 2, cv2.COLOR_GRAY2RGB))
    scale = _TILE_PX / len(neutral)
    for y in range(4, len(neutral), 6):
        for x in range(4, len(neutral), 6):
            start = np.array([x, y]) * scale
            end = start + flow[y, x] * scale * _ARROW_GAIN
            if np.hypot(*flow[y, x]) > 0.15:
                cv2.arrowedLine(view, _point(start), _point(end), _GREEN, 1, cv2.LINE_AA, tipLength=0.3)
    return _titled(view, f"motion x {_ARROW_GAIN}")


def _point(position: NDArray[np.floating]) -> tuple[int, int]:
    return round(float(position[0])), round(float(position[1]))


def _grey(frame: Image) -> Image:
    return frame[..., 0] if frame.shape[-1] == 1 else cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)


def _rgb(frame: Image) -> Image:
    return cv2.cvtColor(frame, cv2.COLOR_GRAY2RGB) if frame.shape[-1] == 1 else np.ascontiguousarray(frame)


def _scaled(picture: Image) -> Image:
    return cv2.resize(picture, (_TILE_PX, _TILE_PX), interpolation=cv2.INTER_CUBIC)


def _titled(picture: Image, title: str) -> Image:
    tile = _scaled(picture)
    for colour, thickness in ((_DARK, 3), (_WHITE, 1)):
        cv2.putText(tile, title, (4, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.38, colour, thickness, cv2.LINE_AA)
    return tile


def _write_image(path: Path, frames: list[PillowImage.Image], fps: float) -> Path:
    """Writes a PNG of one frame or a looping GIF of several, complete or not at all."""
    more = {"save_all": True, "append_images": frames[1:], "duration": 2000 / fps, "loop": 0} if len(frames) > 1 else {}
    with whole_file(path) as temporary:
        frames[0].save(temporary, **more)
    return path
