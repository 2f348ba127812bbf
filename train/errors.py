"""Errors that are shown as one line."""

import errno
from typing import Any

from pydantic import TypeAdapter

from model.checked import MisfitError, checked
from model.errors import MicroliveError

NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class TrainError(MicroliveError):
    """Something went wrong while running (exit 1)."""


class UsageError(TrainError):
    """A flag, a value or a path given does not fit (exit 2): the line says what is wrong and what to do."""


def os_error_text(error: OSError) -> str:
    """What is wrong with which file, without the system's number; of a full disk also what to do."""
    text = error.strerror.lower() if error.strerror else str(error)
    if error.errno in NO_SPACE:
        text += "; make room and give the same command again"
    return f"{error.filename}: {text}" if error.filename else text


def check_type(name: str, value: object, kind: Any) -> Any:
    """The value as the annotation `kind` has it; raises UsageError when it does not fit."""
    try:
        return checked(TypeAdapter(kind), value)
    except MisfitError as error:
        raise UsageError(f"{name}: {error}") from None
