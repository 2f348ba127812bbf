"""One JSON file, whole or not at all."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stream.sinks.base import SinkError, reason


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Writes beside `path` and renames, so that a file of that name is always complete; SinkError when it cannot."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        partial.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise SinkError(f"cannot write the JSON file {path}: {reason(error)}") from error
