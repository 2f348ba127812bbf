"""Files that a run writes: can they be made, and one JSON file whole or not at all."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class SinkError(RuntimeError):
    """An output cannot be written; the message is one line that says which and why."""


def check_target(path: Path, what: str) -> None:
    """Raises `SinkError` when a file cannot be made at `path` because of where it is."""
    if path.is_dir():
        raise SinkError(f"cannot write the {what} {path}: it is a folder; give a file name")
    if not path.parent.is_dir():
        raise SinkError(f"cannot write the {what} {path}: the folder {path.parent} does not exist; create it first")


def reason(error: OSError) -> str:
    return error.strerror or type(error).__name__


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Writes beside `path` and renames, so that a file of that name is always complete; SinkError when it cannot."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        partial.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise SinkError(f"cannot write the JSON file {path}: {reason(error)}") from error
