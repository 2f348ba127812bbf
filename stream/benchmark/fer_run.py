"""What somebody would take who wants expressions from a video and knows of nothing else: the package fer, on the same file.

It is never part of the program: it is installed into a folder of its own (requirements-bench.txt), and run as a process of its
own that imports nothing of the program's. It says something else, too: an emotion for every frame, by one still picture.
"""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

HOW_TO_INSTALL = "pip install --no-deps --target runs/fer -r requirements-bench.txt, then --fer runs/fer"
_MOST_FRAMES = 150
"""Of a file; it takes about a tenth of a second for each."""


@dataclass(frozen=True)
class FerRun:
    """`fps` and `processor_ms`, a frame, of all threads, from the first frame on, without start-up; decoding is OpenCV's.
    `frames`: at the most the first 150; `faces`: those of them in which it found one."""

    version: str
    fps: float
    processor_ms: float
    frames: int
    faces: int


def run_fer(folder: Path, source: str) -> FerRun | str:
    """fer, as it comes (Haar cascade, TensorFlow Lite), on a video file; or in one line why not."""
    if not (folder / "fer").is_dir():
        return f"{folder}: fer is not installed there ({HOW_TO_INSTALL})"
    paths = [str(folder.resolve()), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, "-P", __file__, source],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "CUDA_VISIBLE_DEVICES": "-1"},
    )
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["no word"]
        return f"fer ended with {done.returncode}: {lines[-1]}"
    return FerRun(**json.loads(done.stdout.strip().splitlines()[-1]))


def _measure(source: str) -> FerRun:
    import importlib.metadata

    import cv2
    from fer.fer import FER  # type: ignore[import-not-found]

    detector = FER()
    capture = cv2.VideoCapture(source)
    frames = faces = 0
    started_s = processor_s = 0.0
    while frames < _MOST_FRAMES and (read := capture.read())[0]:
        faces += bool(detector.detect_emotions(read[1]))
        if not frames:  # the first one loads what is loaded late
            started_s, processor_s = time.perf_counter(), time.process_time()
        frames += 1
    if frames < 2:
        raise SystemExit(f"{source}: expected a video of two frames or more, found {frames}")
    spent_s, processor_s = time.perf_counter() - started_s, time.process_time() - processor_s
    later = frames - 1
    return FerRun(importlib.metadata.version("fer"), later / spent_s, 1000 * processor_s / later, frames, faces)


if __name__ == "__main__":
    print(json.dumps(vars(_measure(sys.argv[1]))))
