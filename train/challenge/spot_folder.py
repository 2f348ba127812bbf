"""The folder of a run over long videos: its files, when it may be gone on with, and what a kill left in it.

`videos.jsonl` gets a line for each video as it is done, in whatever order that is; in the end they are put in the order of the
dataset. A kill costs the videos in hand and nothing more.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from train.challenge.scored_video import FrameEvent, ScoredVideo
from train.challenge.watch_recorded import WatchedVideo, frame_span
from train.datasets.source import FrameFolder, SourceVideo
from train.errors import TrainError, UsageError
from train.files import append_text, json_line, other_files, read_object, require_regular, whole_lines, write_text

VideoKey = tuple[str, str]
"""Subject and video."""

KIND = "spot-score"
_SCORING = frozenset({"choose", "min_probability", "refit", "rules", "command", "model", "predictions"})
"""Settings that change nothing in what is found: a run may be scored anew with others. Of a file its content counts."""


class SpotDir:
    """Paths of a run's files. `scores.json` is written last: a run that has it is finished."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.settings = self.path / "settings.json"
        self.videos = self.path / "videos.jsonl"
        self.scores = self.path / "scores.json"
        self.predictions_2021 = self.path / "predictions-megc2021.csv"
        self.predictions_2023 = self.path / "predictions-megc2023.csv"

    @property
    def _files(self) -> list[Path]:
        return [path for path in vars(self).values() if path != self.path]

    def begin(self, settings: Mapping[str, Any], overwrite: bool = False) -> bool:
        """Makes the folder ready for these settings; True when it holds a run of the same, finished or not. What is there of its
        scores is removed: they are made anew.

        Raises:
            UsageError: it holds another run, or something else; `overwrite` clears the first.
        """
        if not self.settings.is_file() and other_files(self.path, ()):
            raise UsageError(f"{self.path}: expected an empty folder or a run, found other files; choose another --out")
        require_regular(self._files)
        if overwrite and self.settings.is_file():
            self._require_spot_run()
            for path in self._files:
                path.unlink(missing_ok=True)
        resumes = self.settings.is_file()
        if resumes:
            self._require_same(settings)
        self.path.mkdir(parents=True, exist_ok=True)
        for path in (self.scores, self.predictions_2021, self.predictions_2023):
            path.unlink(missing_ok=True)
        write_text(self.settings, json.dumps(settings, indent=2, ensure_ascii=False) + "\n")
        return resumes

    def recover(self, expected: Iterable[VideoKey]) -> set[VideoKey]:
        """The videos that are done, of the expected ones; whatever else is in the file is dropped from it."""
        lines = whole_lines(self.videos)
        named = Counter(map(_key, lines))
        done = {key for key in expected if named[key] == 1}
        text = "".join(json_line(line) for line in lines if _key(line) in done)
        if self.videos.is_file() and self.videos.read_bytes() != text.encode():
            write_text(self.videos, text)
        return done

    def append(self, line: Mapping[str, Any]) -> None:
        """Adds a video that is done; once this returns it survives a kill of the machine."""
        append_text(self.videos, json_line(line), "the videos")

    def in_order(self, keys: Sequence[VideoKey]) -> list[dict[str, Any]]:
        """All lines as they were watched, in the order of the keys, as the file has them from now on. Raises TrainError when one is missing."""
        lines = {_key(line): line for line in whole_lines(self.videos)}
        missing = [f"{subject}/{video}" for subject, video in keys if (subject, video) not in lines]
        if missing:
            raise TrainError(f"{self.videos}: expected a line for every video, found none for {missing[0]}")
        ordered = [as_watched(lines[key]) for key in keys]
        self.write(ordered)
        return ordered

    def write(self, lines: Sequence[Mapping[str, Any]]) -> None:
        """All lines anew."""
        text = "".join(map(json_line, lines))
        if self.videos.read_bytes() != text.encode():
            write_text(self.videos, text)

    def _require_spot_run(self) -> dict[str, Any]:
        before = read_object(self.settings, "a run's settings")
        if before.get("kind") != KIND:
            raise UsageError(f"{self.path}: holds no run of `python -m train {KIND}`; choose another --out")
        return before

    def _require_same(self, settings: Mapping[str, Any]) -> None:
        before = self._require_spot_run()
        told = [
            f"{name} was {before.get(name)!r}, is now {settings[name]!r}"
            for name in settings
            if name not in _SCORING and name != "data_sha256" and before.get(name) != settings[name]
        ]
        if not told and before.get("data_sha256") != settings["data_sha256"]:
            told.append("the videos or their events changed")
        if told:
            raise UsageError(
                f"{self.path}: holds a run with other settings ({'; '.join(told)}); choose another --out, or add --overwrite"
            )


def data_sha256(videos: Sequence[SourceVideo]) -> str:
    """Of what the videos are: keys, rates, numbers of their pictures, events; not of the pictures themselves."""
    digest = hashlib.sha256()
    for video in videos:
        numbers = [number for number, _ in video.pictures.files] if isinstance(video.pictures, FrameFolder) else None
        facts = [video.id, video.fps, numbers, *(asdict(event) for event in video.events)]
        digest.update(json.dumps(facts).encode())
    return digest.hexdigest()


def video_line(source: SourceVideo, watched: WatchedVideo) -> dict[str, Any]:
    """A line of `videos.jsonl`."""
    video = watched.scored
    return {
        "subject": video.subject,
        "video": video.video,
        "fps": video.fps,
        "first": video.first,
        "last": video.last,
        "truth": [asdict(event) for event in video.truth],
        "found": [asdict(event) for event in video.found],
        "watchable_s": video.watchable_s,
        "seconds": video.seconds,
        "statuses": watched.statuses,
        "remarks": list(watched.remarks),
        "pictures": _pictures(source),
        "candidates": [{**asdict(one.event), "evidence": one.evidence} for one in watched.candidates],
    }


def learned_anew(line: Mapping[str, Any], found: Sequence[FrameEvent]) -> dict[str, Any]:
    """The line with what another decision found; what the model's own found stays beside it."""
    return {**line, "found": [asdict(event) for event in found], "found_live": line["found"]}


def as_watched(line: Mapping[str, Any]) -> dict[str, Any]:
    """The line as it was before `learned_anew`."""
    told = {name: value for name, value in line.items() if name != "found_live"}
    return {**told, "found": line.get("found_live", line["found"])}


def scored_video(line: Mapping[str, Any]) -> ScoredVideo:
    """The video of such a line."""
    try:
        return ScoredVideo(
            **{name: line[name] for name in ("subject", "video", "fps", "first", "last", "watchable_s")},
            truth=tuple(FrameEvent(**event) for event in line["truth"]),
            found=tuple(FrameEvent(**event) for event in line["found"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(
            f"videos.jsonl: expected what `python -m train {KIND}` writes, found another line ({error})"
        ) from error


def _pictures(source: SourceVideo) -> dict[str, Any] | None:
    """Enough to find a frame again: `path` of the folder or file, `first` the number of its first picture. A folder's picture has
    its number in its name."""
    if source.pictures is None:
        return None
    kind = "folder" if isinstance(source.pictures, FrameFolder) else "video"
    return {"kind": kind, "path": str(source.pictures.path), "first": frame_span(source)[0]}


def _key(line: Mapping[str, Any]) -> VideoKey:
    return str(line.get("subject", "")), str(line.get("video", ""))
