"""Folders as `python -m train spot-score` writes them, of made events, with pictures of drawn faces where they are wanted."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from train.challenge.challenge_scores import score
from train.challenge.rules import Rules
from train.challenge.scored_video import FrameEvent, ScoredVideo
from train.challenge.spot_folder import KIND, SpotDir, scored_video
from train.files import json_line

CLASSES = ("negative", "positive", "surprise")


def made_videos(people: int = 4, each: int = 3, seed: int = 0, skill: float = 0.5) -> list[ScoredVideo]:
    """Videos of half a minute: hits of every quality, misses, false events; each person's last has nothing in it."""
    chance = np.random.default_rng(seed)
    videos = []
    for person in range(people):
        for take in range(each):
            last = int(chance.integers(600, 1800))
            starts = np.sort(chance.choice(np.arange(20, last - 150, 60), 6, replace=False))
            truth, found = [], []
            for number, start in enumerate(starts.tolist() if take < each - 1 else ()):
                kind = "macro" if number % 3 == 2 else "micro"
                frames = int(chance.integers(40, 90) if kind == "macro" else chance.integers(9, 17))
                label = CLASSES[int(chance.integers(3))]
                truth.append(FrameEvent(kind, start, start + frames - 1, start + frames // 3, label))
                if chance.random() < skill:
                    late, answer = (
                        int(chance.integers(-2, 4)),
                        label if chance.random() < 0.7 else CLASSES[int(chance.integers(3))],
                    )
                    p = float(chance.uniform(0.3, 1)) if kind == "micro" else None
                    found.append(
                        FrameEvent(kind, start + late, start + frames + late, start + frames // 2 + late, answer, p)
                    )
            for start in chance.integers(1, last - 40, int(chance.integers(0, 4))).tolist():
                found.append(
                    FrameEvent("micro", start, start + 11, start + 4, CLASSES[0], float(chance.uniform(0, 0.9)))
                )
            found.sort(key=lambda event: event.onset)
            videos.append(
                ScoredVideo(
                    f"s{15 + person}", f"{15 + person}_0{take + 1}01", 30.0, 1, last, tuple(truth), tuple(found), 20.0
                )
            )
    return videos


def write_spot_run(
    folder: Path,
    videos: Sequence[ScoredVideo],
    pictures: Path | None = None,
    finished: bool = True,
    rules: Rules = "pooled",
    dataset: str = "casme2-long",
    **settings: Any,
) -> Path:
    """The run in a folder; `pictures` is where each video has a folder of numbered pictures, if anywhere."""
    folder.mkdir(parents=True, exist_ok=True)
    run = SpotDir(folder)
    head = {
        "schema": 1, "kind": KIND, "dataset": dataset, "roots": ["DATA"], "class_map": "disgust is negative", "classes": list(CLASSES),
        "model": "bundled", "model_sha256": "0", "by": "live", "notes": [], "choose": "fixed", "min_probability": 0.5, "rules": rules,
        "command": f"python -m train spot-score --dataset {dataset} --root DATA", "microlive": "0.0", **settings,
    }  # fmt: skip
    run.settings.write_text(json.dumps(head))
    lines = [_line(video, pictures) for video in videos]
    run.videos.write_text("".join(map(json_line, lines)))
    if finished:
        told = {"choose": "fixed", "in_words": "fixed in advance: 0.5, the model's own", "by_subject": {}}
        scores = score([scored_video(line) for line in lines], head["min_probability"], rules, draws=20)
        run.scores.write_text(json.dumps({"sensitivity": told, **scores}))
    return folder


def _line(video: ScoredVideo, pictures: Path | None) -> dict[str, Any]:
    values = json.loads(json.dumps(video, default=lambda one: vars(one)))
    where = pictures and {"kind": "folder", "path": str(pictures / video.video), "first": video.first}
    return {**values, "seconds": video.seconds, "statuses": {"ok": 100}, "remarks": [], "pictures": where}


def write_pictures(folder: Path, videos: Sequence[ScoredVideo], picture: np.ndarray) -> Path:
    """Every tenth frame of each video as a picture that shows its number."""
    for video in videos:
        (folder / video.video).mkdir(parents=True)
        for number in range(video.first, video.last + 1, 10):
            shown = cv2.putText(picture.copy(), str(number), (4, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (0, 0, 255), 2)
            cv2.imwrite(str(folder / video.video / f"img{number:03d}.jpg"), shown)
    return folder
