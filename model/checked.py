"""Values out of files against the types that declare them: pydantic's findings as one line of ours.

Not for a live run, which only writes: pydantic takes a fifth of a second to import.
"""

import functools
import reprlib
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from model.errors import MicroliveError

STRICT = ConfigDict(strict=True, extra="forbid")
"""Of records: no text for a number, no field that is not declared."""

Number = Annotated[float, Field(allow_inf_nan=False, ge=-1e300, le=1e300)]
"""Finite, and small enough to be shown and reckoned with: whole numbers of any length can stand in a file."""

LISTED = BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value)
"""On a tuple: a list will do, since YAML has no tuples."""

_LONGEST_NAME = 60
_Kind = TypeVar("_Kind")
_EXPECTED = {
    "string_type": "text", "bool_type": "true or false", "none_required": "nothing", "missing": "a value",
    "int_type": "an integer", "int_from_float": "an integer", "float_type": "a finite number",
    "finite_number": "a finite number", "list_type": "a list", "tuple_type": "a list", "dict_type": "an object",
    "mapping_type": "an object", "dataclass_type": "an object", "extra_forbidden": "no field of that name",
    "unexpected_keyword_argument": "no field of that name", "greater_than": "a number above {gt}",
    "greater_than_equal": "{ge} or more", "less_than": "a number below {lt}",
    "less_than_equal": "{le} or less", "too_short": "{min_length} or more", "literal_error": "{expected}",
}  # fmt: skip
"""In our words, by pydantic's type of error; of others in pydantic's."""


class MisfitError(MicroliveError, ValueError):
    """One line: where something else stands than belongs there, what was expected and what was found."""


def checked(kind: TypeAdapter[_Kind], value: object) -> _Kind:
    """The value as `kind` declares it; raises MisfitError."""
    try:
        return kind.validate_python(value, strict=True)
    except ValidationError as error:
        raise MisfitError(misfit(error)) from None  # shown whole, a value of a few lines of YAML can take all memory


def checked_json(kind: TypeAdapter[_Kind], text: str | bytes, context: object = None) -> _Kind:
    """As `checked`, of JSON; bytes need not be UTF-8. `context` is for the declared validators."""
    try:
        return kind.validate_json(text, strict=True, context=context)
    except ValidationError as error:
        raise MisfitError(misfit(error)) from None


def raising(kind: type[Exception]) -> Callable[[type[_Kind]], type[_Kind]]:
    """Over a pydantic dataclass: what does not fit when one is made is raised as this error, in one line."""

    def decorate(record: type[_Kind]) -> type[_Kind]:
        made = record.__init__

        @functools.wraps(made)
        def init(self: _Kind, *args: Any, **kwargs: Any) -> None:
            try:
                made(self, *args, **kwargs)
            except ValidationError as error:
                raise kind(misfit(error, [field.name for field in fields(record)])) from None  # type: ignore[arg-type]

        record.__init__ = init  # type: ignore[method-assign]
        return record

    return decorate


def misfit(error: ValidationError, names: Sequence[str] = ()) -> str:
    """The first finding in one line. `names` of the fields, where they may be told by their place."""
    found = error.errors(include_url=False)[0]
    place, kind, value, context = list(found["loc"]), found["type"], found["input"], found.get("ctx", {})
    if place and isinstance(place[0], int) and names:
        place[0] = names[place[0]]
    if kind == "value_error":
        finding = str(context["error"])
    elif kind == "json_invalid":
        finding = f"expected JSON, found something else ({context['error']})"
    else:
        words = {name: f"{v:g}" if isinstance(v, float) else str(v).replace("'", "") for name, v in context.items()}
        # Pydantic's own words are no template: a pattern in them may have braces.
        told = found["msg"].removeprefix("Input should be ")
        expected = _EXPECTED[kind].format(**words) if kind in _EXPECTED else told
        if kind == "tuple_type" and isinstance(value, list):
            expected = "a tuple"
        finding = f"expected {expected}, found {'nothing' if kind == 'missing' else shown(value)}"
    where = ".".join(str(part)[:_LONGEST_NAME] for part in place)
    return " ".join(f"{where}: {finding}".removeprefix(": ").split())


def shown(value: object) -> str:
    """A value in an error: whole if it is of a usual size, since YAML's aliases make endless ones of a few lines."""
    short = reprlib.Repr()
    short.maxlevel = 3
    short.maxlist = short.maxtuple = short.maxdict = short.maxset = short.maxfrozenset = 20
    short.maxstring = short.maxother = short.maxlong = 120
    return short.repr(value)
