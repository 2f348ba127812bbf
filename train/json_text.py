"""JSON out of files that may be damaged: one kind of error, whatever is wrong with them."""

import json
from pathlib import Path
from typing import Any

from train.errors import UsageError


def parsed_json(text: str) -> Any:
    """As `json.loads`, with a ValueError for lists that lie too deep in lists, too."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("lists too deep in lists") from None


def read_object(path: Path, what: str) -> dict[str, Any]:
    """The JSON object in a file; UsageError where there is none. `what` it should be, for the message."""
    try:
        found = parsed_json(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UsageError(f"{path}: expected {what}, found no JSON ({error})") from error
    if not isinstance(found, dict):
        raise UsageError(f"{path}: expected {what}, found {type(found).__name__}")
    return found
