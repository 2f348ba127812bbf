"""Makes the desk's example anew, stream/review/demo: `python -m docs.demo_session`.

A drawn person (no photo) shows seven expressions; the program records them as a session, and two made coders say what they
saw: anna what is true, to a frame; ben with a class, a side and a few frames of his own, one event missed and one too many.
The recording holds the very H.264 pictures that the run was given, so it is small, and a replay gives the same rows.
"""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from stream.labels.label_log import Fields, LabelledEvent, LabelLog
from stream.labels.reviewable import Reviewable
from stream.review.open_desk import DEMO_FOLDER
from stream.session.session_folder import SessionFolder
from train.synth.confounders import blink, gaze_shift
from train.synth.drawn import drawn_face
from train.synth.fields import channel
from train.synth.long_video import LongVideo, SoloScene, View
from train.synth.long_video_script import Script
from train.synth.motion_curves import HEAD_ROLL, HEAD_X, HEAD_Y, Envelope, Motion, Oscillation, expression_pulses
from train.synth.render import Camera, FaceModel

ROOT = Path(__file__).resolve().parents[1]
FPS = 30
LENGTH_S = 24.0
SIDE_PX = 384
IOD_PX = 62.0


@dataclass(frozen=True)
class Shown:
    """An expression that the person shows: `units` as FACS writes them, `peak_px` in pixels of the aligned crop."""

    label: str
    units: tuple[str, ...]
    onset_s: float
    apex_s: float
    offset_s: float
    peak_px: float


SHOWN = (
    Shown("negative", ("4", "7"), 5.2, 5.37, 5.6, 2.6),
    Shown("positive", ("6", "12"), 8.0, 8.17, 8.4, 2.6),
    Shown("surprise", ("1", "2"), 10.8, 10.97, 11.2, 2.6),
    Shown("positive", ("L12",), 13.6, 13.8, 14.0, 2.4),
    Shown("negative", ("4",), 16.2, 16.36, 16.6, 0.6),
    Shown("negative", ("15", "17"), 18.6, 18.77, 19.0, 2.2),
    Shown("surprise", ("1", "2", "5"), 21.0, 21.17, 21.4, 2.0),
)
_MISSED, _OTHER_CLASS = 5, 6
"""Which of them ben misses, and which he calls otherwise."""
BLINKS_S = (2.2, 6.9, 9.6, 12.5, 15.2, 20.0)


def make() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        video, session = folder / "made.mp4", folder / "session"
        _film(video)
        # By names without a folder: a session says what it was asked for.
        command = [sys.executable, str(ROOT / "run_live.py"), "--source", video.name, "--label", "a drawn person", "--headless",
                   "--pace", "fast", "--record-source", "--session", session.name]  # fmt: skip
        subprocess.run([*command, "--consent", "nobody: the person is drawn"], cwd=folder, check=True)
        _with_the_video_itself(SessionFolder(session), video)
        recorded = Reviewable("demo", SessionFolder(session).events, session=SessionFolder(session)).recorded()
        _label(session, "anna", recorded, late_s=0.0, careful=True)
        _label(session, "ben", recorded, late_s=2 / FPS, careful=False)
        subprocess.run(
            [sys.executable, "run_live.py", "--replay", str(session), "--check", "--headless"], cwd=ROOT, check=True
        )
        for path in (SessionFolder(session).report, session / "events"):
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
        shutil.rmtree(DEMO_FOLDER, ignore_errors=True)
        shutil.copytree(session, DEMO_FOLDER)
    print(sum(path.stat().st_size for path in DEMO_FOLDER.rglob("*") if path.is_file()), "bytes in", DEMO_FOLDER)


def _film(path: Path) -> None:
    rng = np.random.default_rng([0xDE5C, 0])
    model, view = FaceModel(drawn_face(3)), View(SIDE_PX, SIDE_PX)
    motions: list[Motion] = []
    for name, size, hz in ((HEAD_X, 0.02, 0.11), (HEAD_Y, 0.015, 0.16), (HEAD_ROLL, 0.6, 0.09)):
        motions.append(Oscillation(name, size, hz, float(rng.uniform(0, 2 * np.pi))))
    for shown in SHOWN:
        motions += _expression(model, shown)
    for start_s in BLINKS_S:
        motions += blink(rng, start_s)
    motions += gaze_shift(rng, 3.6)
    script = Script(LENGTH_S, tuple(motions), (), ())
    scene = SoloScene(model, Camera(iod_px=IOD_PX, blur_px=0.4), view, (SIDE_PX / 2, 0.42 * SIDE_PX), None, 0.0)
    film = LongVideo("drawn", ("drawn",), (script,), scene, view, noise=0.8, noise_seed=1)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=FPS, options={"crf": "24", "preset": "veryslow", "g": "60"})
        stream.width, stream.height, stream.pix_fmt = SIDE_PX, SIDE_PX, "yuv420p"
        for _, picture in film.frames():
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        file.mux(stream.encode())


def _expression(model: FaceModel, shown: Shown) -> Iterator[Motion]:
    shares: dict[str, float] = {}
    for unit in shown.units:
        sides = unit[0] if unit[0] in "LR" else "LR"
        shares |= {channel(int(unit.lstrip("LR")), side): 1.0 for side in sides}
    gain = shown.peak_px / (model.fields.peak_iod(shares) * 44.0)
    gains = {name: share * gain for name, share in shares.items()}
    yield from expression_pulses(gains, Envelope(shown.onset_s, shown.apex_s, shown.apex_s, shown.offset_s))


def _with_the_video_itself(session: SessionFolder, video: Path) -> None:
    """In the place of the lossless recording: its pictures are the same, decoded, and a hundredth of the bytes."""
    path = session.part(1)
    path.unlink()
    with av.open(str(video)) as source, av.open(str(path), "w", format="matroska") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)


def _label(session: Path, coder: str, recorded: tuple[LabelledEvent, ...], late_s: float, careful: bool) -> None:
    seen = {_closest(shown, recorded): place for place, shown in enumerate(SHOWN) if careful or place != _MISSED}
    with LabelLog(session / f"labels-{coder}.jsonl", coder) as log:
        for event in recorded:
            place = seen.pop(event.event, None)
            said: Fields = {} if place is None else _said(place, late_s, careful)
            log.add(event.event, {"verdict": "rejected" if place is None else "accepted", **said})
        if not careful:
            log.add("a1", {"verdict": "accepted", "track": 1, "label": "surprise", "onset_s": 15.1, "apex_s": 15.2,
                           "offset_s": 15.4, "action_units": ["5"], "note": "or a blink?"})  # fmt: skip


def _closest(shown: Shown, recorded: tuple[LabelledEvent, ...]) -> str:
    """The candidate that overlaps with an expression most, as a share of both."""

    def share(event: LabelledEvent) -> float:
        both = min(event.offset_s, shown.offset_s) - max(event.onset_s, shown.onset_s)
        return both / (max(event.offset_s, shown.offset_s) - min(event.onset_s, shown.onset_s))

    best = max(recorded, key=share)
    if share(best) <= 0:
        sys.exit(f"nothing was found at {shown.apex_s:g} s: make the expression stronger")
    return best.event


def _said(place: int, late_s: float, careful: bool) -> Fields:
    shown = SHOWN[place]
    return {
        "label": "negative" if not careful and place == _OTHER_CLASS else shown.label,
        "action_units": [unit if careful else unit.lstrip("LR") for unit in shown.units],
        "onset_s": round(shown.onset_s + late_s, 3),
        "apex_s": round(shown.apex_s + late_s, 3),
        "offset_s": round(shown.offset_s + late_s, 3),
    }


if __name__ == "__main__":
    make()
