"""Who finds the events in long videos: the live program, or anybody whose predictions lie in a file."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from model.ray_cluster import imported_ray
from stream.events.judgement import Judge
from stream.session.facts import file_hash
from train.challenge.prediction_files import read_predictions
from train.challenge.watch_many import Watching, default_jobs, watch_here, watch_on_ray
from train.challenge.watch_recorded import RecordedWatcher, WatchedVideo, unwatched
from train.datasets.source import SourceVideo, VideoReading
from train.errors import UsageError

BUNDLED = "bundled"
_MOST_TOLD = 20


@dataclass(frozen=True)
class Finder:
    """`find` gives videos with what was found in them, as they are done; `facts` tell of it in a run's settings.

    `least`: the probability of a micro-expression that counts, where it is fixed and nobody says another.
    """

    find: Callable[[Sequence[SourceVideo]], Watching]
    facts: Mapping[str, Any]
    least: float


def live(
    model: Path | None,
    classes: Sequence[str],
    jobs: int,
    ray: str | None,
    told: Callable[[str], object],
) -> Finder:
    """The live program with a model (None: the bundled one), in `jobs` processes (0: one a core) or, with an address, on Ray.

    `classes` are those of the annotations. `told` gets what is to be known on the way.

    Raises:
        UsageError: the model cannot be used, or does not tell these classes. ClusterError: Ray is not installed.
    """
    if ray:
        imported_ray()
    watcher = RecordedWatcher(model)
    contract, path = watcher.recognizer.contract, watcher.recognizer.model_path
    watcher.close()
    strange = [name for name in classes if name not in contract.class_names]
    if strange:
        raise UsageError(
            f"--label-map: expected classes that the model tells ({', '.join(contract.class_names)}), found {', '.join(strange)}; "
            "choose a smaller one, or another --model"
        )
    if ray:
        find = partial(watch_on_ray, ray, model, workers=jobs, told=told)
    else:
        find = partial(watch_here, model, jobs=jobs or default_jobs())
    facts = {"model": str(model or BUNDLED), "model_sha256": file_hash(path)}
    return Finder(find, facts, Judge(contract.decision).least_probability)


def predicted(path: Path, reading: VideoReading, told: Callable[[str], object]) -> Finder:
    """What a file says was found in videos of this dataset. All of it counts unless somebody says another least probability. `told`
    gets what is odd.

    Raises:
        DatasetError: it is no table of predictions. UsageError: a row cannot be used.
    """
    found = read_predictions(path, [unwatched(video) for video in reading.videos])
    for defect in found.defects[:_MOST_TOLD]:
        told(f"{defect.severity}: {defect}")
    if found.errors:
        raise UsageError(f"{path}: {len(found.errors)} rows cannot be scored, the first: {found.errors[0]}")
    by_key = {(video.subject, video.video): video for video in found.videos}

    def find(videos: Sequence[SourceVideo]) -> Watching:
        for video in videos:
            yield video, WatchedVideo(by_key[video.subject, video.video], {})

    facts = {"predictions": str(path), "predictions_sha256": file_hash(path)}
    return Finder(find, facts, 0.0)
