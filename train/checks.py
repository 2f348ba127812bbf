"""Does a value have the type that a dataclass field declares? For settings that come from files and flags."""

import math
import types
import typing
from typing import Any, Literal, get_args

from train.errors import UsageError


def check_type(name: str, value: object, kind: Any) -> None:
    """Raises UsageError unless `value` fits `kind`: int, float, bool, str, None, Literal, a union, or tuple[T, ...]."""
    if not _fits(value, kind):
        raise UsageError(f"{name}: expected {_in_words(kind)}, found {value!r}")


def _fits(value: object, kind: Any) -> bool:
    origin = typing.get_origin(kind)
    if origin is Literal:
        return value in get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, option) for option in get_args(kind))
    if origin is tuple:
        return isinstance(value, tuple) and all(_fits(item, get_args(kind)[0]) for item in value)
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
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
