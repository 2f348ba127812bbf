"""Sound inputs of every kind, small, made by the project itself: what is mutated."""

import contextlib
import io
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import yaml

from model.contract import CropGeometry, NetworkInput, Reference

WIDTH_PX, HEIGHT_PX = 320, 240
FRAMES = 24
_LONG_FRAMES = 40
_FRAMES_OF_A_WINDOW = 9
_CODECS = {
    "h264.mp4": ("libx264", "yuv420p", {}),
    "h264-fast-start.mp4": ("libx264", "yuv420p", {"movflags": "faststart"}),
    "mpeg4.mp4": ("mpeg4", "yuv420p", {}),
    "h264.mkv": ("libx264", "yuv420p", {}),
    "vp8.webm": ("libvpx", "yuv420p", {}),
    "mjpeg.avi": ("mjpeg", "yuvj420p", {}),
    "mjpeg.mov": ("mjpeg", "yuvj420p", {}),
    "h264.ts": ("libx264", "yuv420p", {}),
    "ffv1.mkv": ("ffv1", "yuv420p", {}),
    "small.gif": ("gif", "rgb8", {}),
}
"""Name of the file → codec, pixel format and options of its container."""


@dataclass(frozen=True)
class Corpus:
    """Where the parts lie."""

    path: Path

    @property
    def videos(self) -> Path:
        return self.path / "videos"

    @property
    def long_clip(self) -> Path:
        """Longer than the window of the model that comes with the program."""
        return self.path / "long.mp4"

    @property
    def photos(self) -> Path:
        return self.path / "photos"

    @property
    def window_model(self) -> Path:
        return self.path / "models" / "window" / "model.onnx"

    @property
    def streaming_model(self) -> Path:
        """Lies beside the window model that stands for the same network."""
        return self.path / "models" / "streaming" / "model.stream.onnx"

    @property
    def session(self) -> Path:
        """With the pictures of its source: can be replayed."""
        return self.path / "session"

    @property
    def eventful(self) -> Path:
        """A session with events, marks, outages and pictures of events: has everything that a report shows."""
        return self.path / "eventful"

    @property
    def frames(self) -> Path:
        """Clips as folders of pictures, in the layout <class>/<subject>_<clip>."""
        return self.path / "frames"

    @property
    def store(self) -> Path:
        return self.path / "store"

    @property
    def plain_store(self) -> Path:
        """In the tests' own small format: the clips of `loso`, and for the network in `trained`."""
        return self.path / "loso-store"

    @property
    def loso(self) -> Path:
        return self.path / "loso"

    @property
    def datasets(self) -> Path:
        """A folder for each dataset."""
        return self.path / "datasets"

    @property
    def newer(self) -> Path:
        """A folder for each of the newer datasets of clips, with its quirks."""
        return self.path / "newer"

    @property
    def long_videos(self) -> Path:
        """A folder for each dataset of long videos, with its quirks."""
        return self.path / "long-videos"

    @property
    def settings(self) -> Path:
        return self.path / "settings"

    @property
    def trained(self) -> Path:
        return self.path / "trained"

    @property
    def ready(self) -> Path:
        return self.path / "ready"


def build(path: Path, parts: Sequence[str]) -> Corpus:
    """Makes what is missing of the named parts. Makes threads: for processes that end afterwards."""
    corpus = Corpus(path)
    corpus.ready.mkdir(parents=True, exist_ok=True)
    for name in dict.fromkeys(("models", *parts)):
        if not (corpus.ready / name).exists():
            with contextlib.redirect_stdout(io.StringIO()):
                PARTS[name](corpus)
            (corpus.ready / name).touch()
    return corpus


def _models(corpus: Corpus) -> None:
    from tests.helpers.models import save_tiny_model, save_tiny_streaming_model, tiny_contract

    contract = tiny_contract(
        frames=_FRAMES_OF_A_WINDOW, input=NetworkInput("flow", 32), reference=Reference("ema", time_constant_s=0.5)
    )
    for folder in (corpus.window_model.parent, corpus.streaming_model.parent):
        folder.mkdir(parents=True, exist_ok=True)
        save_tiny_model(folder / "model.onnx", contract)
    save_tiny_streaming_model(corpus.streaming_model, contract)


def frames(count: int = FRAMES) -> list[Any]:
    """A face that moves a little, BGR (240, 320, 3)."""
    from tests.helpers.clips import face_frames

    return [
        cv2.resize(frame[:384], (WIDTH_PX, HEIGHT_PX), interpolation=cv2.INTER_AREA) for frame in face_frames(count)
    ]


def _videos(corpus: Corpus) -> None:
    import av

    from tests.helpers.clips import write_video

    corpus.videos.mkdir(exist_ok=True)
    pictures = frames()
    for name, (codec, pixels, options) in _CODECS.items():
        with av.open(str(corpus.videos / name), "w", options=options) as container:
            stream: Any = container.add_stream(codec, rate=30)
            stream.width, stream.height, stream.pix_fmt = WIDTH_PX, HEIGHT_PX, pixels
            for picture in pictures if name != "small.gif" else pictures[::3]:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
            container.mux(stream.encode())
    write_video(corpus.long_clip, frames(_LONG_FRAMES))
    for suffix in (".png", ".jpg"):
        cv2.imwrite(str(corpus.videos / f"picture{suffix}"), pictures[0])


def _photos(corpus: Corpus) -> None:
    from tests.helpers.clips import face_frames

    corpus.photos.mkdir(exist_ok=True)
    for number, frame in enumerate(face_frames(3), start=1):
        for suffix in (".jpg", ".png", ".bmp", ".webp"):
            cv2.imwrite(str(corpus.photos / f"anna_{number}{suffix}"), frame)


def _session(corpus: Corpus) -> None:
    from tests.helpers.clips import write_video
    from tests.helpers.sessions import run

    shutil.rmtree(corpus.session, ignore_errors=True)
    clip = write_video(corpus.path / "clip.mp4", frames())
    argv = ("--source", clip, "--model", corpus.window_model, "--headless", "--pace", "fast", "--record-source")
    assert run(*argv, "--session", corpus.session, "--consent", "signed") == 0


def _eventful(corpus: Corpus) -> None:
    import json

    from stream.sinks.tables import event_line
    from tests.helpers.results import event

    if not (corpus.ready / "session").exists():
        _session(corpus)
    shutil.rmtree(corpus.eventful, ignore_errors=True)
    shutil.copytree(corpus.session, corpus.eventful, ignore=shutil.ignore_patterns("source", "report.html"))
    events = [event(at_s=0.1 * n, rejected="head_motion" if n % 3 == 2 else None) for n in range(1, 7)]
    (corpus.eventful / "events.jsonl").write_text("".join(map(event_line, events)))
    marks = [{"mark": f"stimulus {n}", "time_s": 0.2 * n, "unix_s": 1e9, "sender": "127.0.0.1:9"} for n in range(3)]
    (corpus.eventful / "markers.jsonl").write_text("".join(json.dumps(mark) + "\n" for mark in marks))
    (corpus.eventful / "events").mkdir(exist_ok=True)
    for number in range(1, 5):
        cv2.imwrite(str(corpus.eventful / "events" / f"{number:04d}.png"), frames(1)[0])
    facts = json.loads((corpus.eventful / "session.json").read_text())
    facts["run"]["health"]["outages"] = [{"began_s": 0.1, "ended_s": 0.3, "reason": "the stream has ended"}]
    (corpus.eventful / "session.json").write_text(json.dumps(facts, indent=2))


def _frames(corpus: Corpus) -> None:
    from tests.helpers.face_folders import write_frames

    shutil.rmtree(corpus.frames, ignore_errors=True)
    for seed, (label, person) in enumerate((("negative", "ann"), ("positive", "bob"))):
        write_frames(corpus.frames / label / f"{person}_1", range(1, 13), seed)


def _store(corpus: Corpus) -> None:
    from tests.helpers.models import CLASSES
    from tests.helpers.stores import write_store

    shutil.rmtree(corpus.store, ignore_errors=True)
    write_store(corpus.store, ("ann", "bob"), CLASSES, clips_each=1, geometry=CropGeometry())


def _loso(corpus: Corpus) -> None:
    from tests.helpers.loso_runs import write_loso
    from tests.helpers.stores import write_store

    for folder in (corpus.loso, corpus.plain_store):
        shutil.rmtree(folder, ignore_errors=True)
    write_loso(corpus.loso, [write_store(corpus.plain_store)], seeds=(0, 1), skill=0.6, protocol="published")


def _datasets(corpus: Corpus) -> None:
    from tests.helpers.dataset_trees import casme2_tree, samm_tree, smic_tree

    shutil.rmtree(corpus.datasets, ignore_errors=True)
    casme2_tree(corpus.datasets / "casme2")
    samm_tree(corpus.datasets / "samm")
    smic_tree(corpus.datasets / "smic")


def _newer(corpus: Corpus) -> None:
    from tests.helpers.clip_dataset_trees import TREES

    shutil.rmtree(corpus.newer, ignore_errors=True)
    for name, tree in TREES.items():
        tree(corpus.newer / name)


def _long_videos(corpus: Corpus) -> None:
    from tests.helpers import long_video_quirks as quirks

    shutil.rmtree(corpus.long_videos, ignore_errors=True)
    quirks.casme2_long_quirks(corpus.long_videos / "casme2-long")
    quirks.samm_long_quirks(corpus.long_videos / "samm-long")
    quirks.casme3_quirks(corpus.long_videos / "casme3")
    quirks.casme3_c_quirks(corpus.long_videos / "casme3-c")


def _settings(corpus: Corpus) -> None:
    from train.fit_config import TrainConfig

    corpus.settings.mkdir(exist_ok=True)
    config = TrainConfig(("no-such-store",), "out", epochs=2, size_px=32, exclude_people=("ann",), magnify=(0.8, 1.2))
    (corpus.settings / "config.yaml").write_text(yaml.safe_dump(config.to_dict(), sort_keys=False))
    spec = {
        "title": "What the network sees",
        "seeds": [0, 1],
        "base": {"epochs": 2, "size_px": 32, "validation_people": ["dot"]},
        "rows": {"flow": {"input": "flow", "about": "to rest"}, "paper": {"preset": "paper", "seeds": [3]}},
    }
    (corpus.settings / "spec.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))


def _trained(corpus: Corpus) -> None:
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
    from tests.helpers.runs import write_run

    shutil.rmtree(corpus.trained, ignore_errors=True)
    write_run(corpus.trained)


PARTS: dict[str, Callable[[Corpus], None]] = {
    "models": _models,
    "videos": _videos,
    "photos": _photos,
    "session": _session,
    "eventful": _eventful,
    "frames": _frames,
    "store": _store,
    "loso": _loso,
    "datasets": _datasets,
    "newer": _newer,
    "long-videos": _long_videos,
    "settings": _settings,
    "trained": _trained,
}
