"""Kinds of values on the command line; what does not fit is refused in one line."""

import math
from argparse import ArgumentTypeError

from stream.network_address import NetworkAddress, parse_address


def whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ArgumentTypeError(f"expected a whole number, found {text!r}") from None


def not_negative(text: str) -> int:
    value = whole(text)
    if value < 0:
        raise ArgumentTypeError(f"expected 0 or more, found {value}")
    return value


def not_negative_number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ArgumentTypeError(f"expected a number, found {text!r}") from None
    if not 0 <= value < math.inf:
        raise ArgumentTypeError(f"expected a finite number, 0 or more, found {text}")
    return value


def positive(text: str) -> int:
    value = whole(text)
    if value < 1:
        raise ArgumentTypeError(f"expected 1 or more, found {value}")
    return value


def several_positive(text: str) -> tuple[int, ...]:
    """Numbers with commas between them."""
    return tuple(positive(part) for part in text.split(","))


def address(text: str) -> NetworkAddress:
    """`PORT`, for this machine only, or `HOST:PORT`."""
    try:
        return parse_address(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None
