"""What a frame costs by stage: all stages one after the other in one thread, so that no stage waits for another and none is
counted twice; of this version, and in turns of another one beside it.

In the live program the stages overlap, and a stage's wall time there holds what it waits for the processor.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

_TURNS = 3
STAGES = ("decode", "align", "preprocess", "motion", "classify")


@dataclass(frozen=True)
class StageCost:
    """Processor time a frame, in ms, of all threads together, from the frame after the first on: by stage, and the sum.
    `classify` is the network and the judging of events."""

    frames: int
    stages_ms: dict[str, float]
    total_ms: float


def measure_stages(checkouts: Sequence[Path], source: str, model: Path | None) -> list[StageCost]:
    """Of the program in each of these folders, in turns: medians of three runs. `model` None: each takes its bundled one.

    Raises MicroliveError, with the last line of what it said, for one that cannot be run.
    """
    runs: list[list[StageCost]] = [[] for _ in checkouts]
    for _ in range(_TURNS):
        for folder, found in zip(checkouts, runs, strict=True):
            found.append(_run(folder, source, model))
    return [_middle(found) for found in runs]


def _run(folder: Path, source: str, model: Path | None) -> StageCost:
    done = subprocess.run(
        [sys.executable, "-P", __file__, source, *([] if model is None else [str(model.resolve())])],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(folder.resolve())},
    )
    if done.returncode != 0:
        from model.errors import (
            MicroliveError,
        )  # this file is run beside other versions, too, and begins without theirs

        lines = done.stderr.strip().splitlines() or ["no word"]
        raise MicroliveError(f"the stages of {folder} cannot be measured: {lines[-1]}")
    return StageCost(**json.loads(done.stdout.strip().splitlines()[-1]))


def _middle(runs: Sequence[StageCost]) -> StageCost:
    stages_ms = {stage: median(run.stages_ms[stage] for run in runs) for stage in STAGES}
    return StageCost(runs[0].frames, stages_ms, median(run.total_ms for run in runs))


def _measure(source: str, model: str | None) -> dict[str, Any]:
    """Of the program that is found first; so it asks of it only what versions have in common."""
    from stream.clock import SourceClock
    from stream.face.tracker import FaceTracker
    from stream.machine import share_processor
    from stream.pipeline import PipelineSettings
    from stream.recognizer import Recognizer
    from stream.sources.open import open_source
    from stream.stages import ClassifyStage, FaceStage

    share_processor()
    recognizer = Recognizer(model, threads=1)
    contract, settings = recognizer.contract, PipelineSettings()
    tracker = FaceTracker(contract, settings.validity, settings.tracker)
    faces = FaceStage(contract, tracker, SourceClock(contract.max_gap_s, contract.window_s), settings.validity)
    classify = ClassifyStage(contract, recognizer.engine, True, settings.sensitivity)
    spent_s = dict.fromkeys(STAGES, 0.0)
    frames, before_s = -1, 0.0
    with open_source(source) as opened:
        began_s = time.process_time()
        for frame in opened:
            read_s = time.process_time()
            item = faces.step(frame)
            seen_s = time.process_time()
            classify.step(item)
            now_s = time.process_time()
            if frames >= 0:
                # Faces are followed and read in one call, which tells wall times: its processor time goes by their shares.
                wall_ms = {stage: item.stages_ms.get(stage, 0.0) for stage in ("align", "preprocess", "motion")}
                per_ms = (seen_s - read_s) / max(sum(wall_ms.values()), 1e-9)
                own_s = {stage: ms * per_ms for stage, ms in wall_ms.items()}
                own_s |= {"decode": read_s - before_s, "classify": now_s - seen_s}
                spent_s = {stage: spent + own_s[stage] for stage, spent in spent_s.items()}
            else:
                began_s = now_s  # the first frame loads what is loaded late
            frames, before_s = frames + 1, now_s
    tracker.close()
    if frames < 1:
        raise SystemExit(f"{source}: expected a video of two frames or more")
    stages_ms = {stage: 1000 * spent / frames for stage, spent in spent_s.items()}
    return {"frames": frames, "stages_ms": stages_ms, "total_ms": 1000 * (before_s - began_s) / frames}


if __name__ == "__main__":
    print(json.dumps(_measure(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None)))
