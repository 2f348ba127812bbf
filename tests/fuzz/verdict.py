"""Whether a command ended as it should, whatever it was given."""

import csv
import json
import re
from collections.abc import Sequence
from pathlib import Path

from tests.fuzz.case import Case
from tests.fuzz.forked import ERR, OUT, Ended

CODES = (0, 1, 2)
_TRACEBACK = ("Traceback (most recent call last)", "Exception in thread", "Exception ignored in", "terminate called")
_UNCLEAR = re.compile(r"\(run again with --debug for the details\)|\(--debug shows where\)")
"""What a program says of an error that nobody expected."""


def problems(case: Case, folder: Path, ended: Ended, sound: bool = False) -> list[tuple[str, str]]:
    """(kind of problem, details) for everything that is not as it should be; `sound`: the input was not mutated."""
    if ended.hung:
        return [("hang", f"not ended after {ended.seconds:.0f} s")]
    if ended.code is None:
        return [("crash", f"signal {ended.signal}")]
    said = {name: (folder / name).read_text(encoding="utf-8", errors="replace") for name in (OUT, ERR)}
    found: list[tuple[str, str]] = []
    for name, text in said.items():
        found += [("traceback", f"{name}: {_line_with(text, mark)}") for mark in _TRACEBACK if mark in text][:1]
    if ended.code not in CODES:
        found.append(("code", f"exit code {ended.code}, expected {', '.join(map(str, CODES))}"))
    if ended.code and not said[ERR].strip():
        found.append(("silent", f"exit code {ended.code} and nothing on the error stream"))
    unclear = _UNCLEAR.search(said[ERR])
    if unclear:
        found.append(("unclear", said[ERR].strip()[-300:]))
    found += [("torn", f"{name}: {why}") for name in case.rows if (why := _torn(folder / name))]
    partial = [str(path.relative_to(folder)) for path in folder.rglob(".*.part.*")]
    if partial:
        found.append(("torn", f"left behind: {', '.join(partial)}"))
    if ended.threads:
        found.append(("threads", ", ".join(ended.threads)))
    if ended.orphans:
        found.append(("orphan", f"{ended.orphans} processes outlived it"))
    if sound and ended.code != case.sound_code:
        found.append(("code", f"exit code {ended.code} for a sound input: {said[ERR].strip()[-300:]}"))
    return found


def _torn(path: Path) -> str | None:
    """Why a file is not whole rows; None where it is, or is not there."""
    if not path.is_file():
        return None
    text = path.read_text(encoding="utf-8", errors="replace")
    if path.suffix == ".json":
        return _torn_json([text])
    if text and not text.endswith("\n"):
        return "the last line has no end"
    if path.suffix == ".jsonl":
        return _torn_json(text.splitlines())
    lengths = {len(row) for row in csv.reader(text.splitlines())}
    return f"rows of {sorted(lengths)} columns" if len(lengths) > 1 else None


def _torn_json(parts: Sequence[str]) -> str | None:
    for place, part in enumerate(parts, start=1):
        try:
            json.loads(part)
        except ValueError as error:
            return f"line {place}: {error}"
    return None


def _line_with(text: str, mark: str) -> str:
    lines = text.splitlines()
    place = next(n for n, line in enumerate(lines) if mark in line)
    return " … ".join((lines[place].strip(), lines[-1].strip()))[:300]
