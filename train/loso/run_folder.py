"""The folder of a leave-one-subject-out run: its files, when it may be gone on with, and what a kill left in it.

`predictions.jsonl` gets a fold's lines, then `folds.jsonl` its one line: a fold is done when it is in both. Whatever
else lies in them is dropped when the run goes on, so that a kill costs the folds in hand and nothing more.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from train.clips.samples import Samples
from train.config_file import config_from
from train.errors import UsageError
from train.files import append_text, json_line, other_files, parsed_json, require_regular, whole_lines, write_text
from train.loso.fold_job import FoldResult

FoldKey = tuple[int, str]
"""Seed and left-out person."""


class LosoDir:
    """Paths of a run's files. `scores.json` is written last: a run that has it is finished."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.settings = self.path / "loso.json"
        self.samples = self.path / "samples.jsonl"
        self.predictions = self.path / "predictions.jsonl"
        self.folds = self.path / "folds.jsonl"
        self.scores = self.path / "scores.json"

    def begin(self, settings: Mapping[str, Any], samples: Sequence[Mapping[str, Any]], overwrite: bool) -> bool:
        """Makes the folder ready for these settings and samples; True when it holds an unfinished run of the same.

        Raises:
            UsageError: it holds a finished run, another run, or something else; `overwrite` clears the first two.
        """
        if not self.settings.is_file() and other_files(self.path, {"features"}):
            raise UsageError(f"{self.path}: expected an empty folder or a run, found other files; choose another --out")
        if overwrite:
            self._clear()
        if self.scores.is_file():
            raise UsageError(
                f"{self.path}: holds a finished run; choose another --out, or add --overwrite to replace it"
            )
        require_regular(vars(self).values())
        resumes = self.settings.is_file()
        if resumes:
            self._require_same(settings, samples)
        self.path.mkdir(parents=True, exist_ok=True)
        write_text(self.settings, json.dumps(settings, indent=2, ensure_ascii=False) + "\n")
        write_text(self.samples, "".join(json_line(sample) for sample in samples))
        return resumes

    def recover(self, expected: Mapping[FoldKey, Iterable[str]]) -> set[FoldKey]:
        """The folds that are done, of the expected ones and their sample ids; everything else is dropped from the files."""
        folds, predictions = whole_lines(self.folds), whole_lines(self.predictions)
        found: dict[FoldKey, list[str]] = defaultdict(list)
        for line in predictions:
            found[_key(line)].append(str(line.get("id")))
        named = Counter(_key(line) for line in folds)
        done = {key for key, ids in expected.items() if named[key] == 1 and sorted(found[key]) == sorted(ids)}
        for path, lines in ((self.predictions, predictions), (self.folds, folds)):
            text = "".join(json_line(line) for line in lines if _key(line) in done)
            if path.is_file() and path.read_bytes() != text.encode():
                write_text(path, text)
        return done

    def append(self, result: FoldResult, samples: Samples) -> None:
        """Adds a finished fold; once this returns it survives a kill of the machine."""
        key = {"seed": result.seed, "fold": result.person}
        names = samples.class_names
        predictions = "".join(
            json_line(
                key
                | {
                    "id": samples.ids[row],
                    "label": names[samples.labels[row]],
                    "answer": names[int(answer.argmax())],
                    "probabilities": dict(zip(names, map(_digits, answer), strict=True)),
                }
            )
            for row, answer in zip(result.rows, result.probabilities, strict=True)
        )
        answers = result.test_answers
        fold = key | {
            "train_n": result.train_n,
            "test_n": len(result.rows),
            "validation_people": list(result.validation_people),
            "epoch": result.epoch,
            "epochs": [
                {"epoch": e.epoch, "loss": e.loss, "val_loss": e.val_loss, "val_uf1": e.val_uf1} for e in result.epochs
            ],
            "test_epochs": None
            if answers is None
            else {"ids": [samples.ids[row] for row in result.rows], "answers": answers.tolist()},
            "seconds": round(result.seconds, 3),
            "clips_per_s": round(result.clips_per_s, 2),
        }
        append_text(self.predictions, predictions, "the folds")
        append_text(self.folds, json_line(fold), "the folds")

    def _require_same(self, settings: Mapping[str, Any], samples: Sequence[Mapping[str, Any]]) -> None:
        try:
            before = parsed_json(self.settings.read_text(encoding="utf-8"))
            changed = run_differences(before, settings)
        except (ValueError, AttributeError, TypeError) as error:
            raise UsageError(
                f"{self.settings}: expected a run's settings, found something else ({error}); choose another --out"
            ) from error
        if changed:
            raise UsageError(
                f"{self.path}: holds an unfinished run with other settings ({'; '.join(changed)}); choose another --out, or add --overwrite"
            )
        if self.samples.is_file() and whole_lines(self.samples) != list(samples):
            raise UsageError(
                f"{self.path}: the clips changed since this run began; choose another --out, or add --overwrite"
            )

    def _clear(self) -> None:
        """Removes what a run wrote, computed features excepted."""
        for path in (self.scores, self.folds, self.predictions, self.samples, self.settings):
            path.unlink(missing_ok=True)


def run_differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """In words, what makes `now` another run than `before`. Where files of the run lie and the command do not count."""
    changed = config_from(now["config"]).differences(config_from(before["config"]))
    told = [f"{name} was {old!r}, is now {new!r}" for name, (new, old) in changed.items()]
    for name in now:
        if name not in ("config", "command", "features") and before.get(name) != now[name]:
            told.append(f"{name} was {before.get(name)!r}, is now {now[name]!r}")
    if not told and before.get("features") != now.get("features"):
        told.append("the clips, or how they are prepared, changed")
    return told


def _key(line: Mapping[str, Any]) -> FoldKey:
    seed, fold = line.get("seed"), line.get("fold")
    return (seed, fold) if isinstance(seed, int) and isinstance(fold, str) else (-1, "")


def _digits(value: float) -> float:
    """Nine digits: as many as tell any two float32 apart."""
    return float(f"{float(value):.9g}")
