"""Errors that are shown as one line.

Does a value have the type that a dataclass field declares? For settings that come from files and flags.
"""

import errno
import reprlib
import types
import typing
from typing import Any, Literal, get_args

from model.contract import MicroliveError

NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_LARGEST = 1e300
"""Whole numbers of any length can stand in a file."""


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


def check_type(name: str, value: object, kind: Any) -> None:
    """Raises UsageError unless `value` fits `kind`: int, float, bool, str, None, Literal, a union, or tuple[T, ...]."""
    if not _fits(value, kind):
        raise UsageError(f"{name}: expected {_in_words(kind)}, found {shown(value)}")


def shown(value: object) -> str:
    """A value in an error: whole if it is of a usual size, since YAML's aliases make endless ones of a few lines."""
    short = reprlib.Repr()
    short.maxlevel = 3
    short.maxlist = short.maxtuple = short.maxdict = short.maxset = short.maxfrozenset = 20
    short.maxstring = short.maxother = short.maxlong = 120
    return short.repr(value)


def _fits(value: object, kind: Any) -> bool:
    origin = typing.get_origin(kind)
    if origin is Literal:
        return value in get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, option) for option in get_args(kind))
    if origin is tuple:
        return isinstance(value, tuple) and all(_fits(item, get_args(kind)[0]) for item in value)
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and -_LARGEST <= value <= _LARGEST
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, kind)


def _in_words(kind: Any) -> str:
    if typing.get_origin(kind) is Literal:
        return " or ".join(get_args(kind))
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return " or ".join(_in_words(option) for option in get_args(kind))
    if typing.get_origin(kind) is tuple:
        return f"a list, each {_in_words(get_args(kind)[0])}"
    return {int: "an integer", float: "a finite number", bool: "true or false", str: "text", type(None): "nothing"}[
        kind
    ]
