"""Kinds of values on the command line; what does not fit is refused in one line."""

import math
import re
from argparse import ArgumentTypeError

from stream.network_address import NetworkAddress, parse_address
from stream.web.access import check_token

_MAX_CAMERA = 999
_MAX_FACES = 16
_MAX_SIZE_PX = 16384
_MOST_FPS = 100_000
_FALSE_A_MINUTE = (0.01, 60.0)
_LONGEST_LABEL = 80
_LSL_NAME = re.compile(r"[\w][\w .-]{0,63}")


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


def positive(text: str) -> int:
    value = whole(text)
    if value < 1:
        raise ArgumentTypeError(f"expected 1 or more, found {value}")
    return value


def several_positive(text: str) -> tuple[int, ...]:
    """Numbers with commas between them."""
    return tuple(positive(part) for part in text.split(","))


def not_negative_number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ArgumentTypeError(f"expected a number, found {text!r}") from None
    if not 0 <= value < math.inf:
        raise ArgumentTypeError(f"expected a finite number, 0 or more, found {text}")
    return value


def positive_number(text: str) -> float:
    value = not_negative_number(text)
    if not value:
        raise ArgumentTypeError(f"expected more than 0, found {text}")
    return value


def camera_number(text: str) -> int:
    value = not_negative(text)
    if value > _MAX_CAMERA:
        raise ArgumentTypeError(f"expected a camera's number, see --list-cameras, found {value}")
    return value


def number_of_faces(text: str) -> int:
    value = positive(text)
    if value > _MAX_FACES:
        raise ArgumentTypeError(f"expected up to {_MAX_FACES} faces, found {value}")
    return value


def false_a_minute(text: str) -> float:
    """Events that turn out to be none, in a minute."""
    value, (least, most) = not_negative_number(text), _FALSE_A_MINUTE
    if not least <= value <= most:
        raise ArgumentTypeError(f"expected {least:g} to {most:g} false events a minute, found {text}")
    return value


def place_in_picture(text: str) -> tuple[float, float]:
    """`X,Y`: pixels, or shares of the picture when neither is above 1."""
    found = re.fullmatch(r"(\d{1,5}(?:\.\d+)?),(\d{1,5}(?:\.\d+)?)", text)
    if not found:
        raise ArgumentTypeError(
            f"expected X,Y in pixels or as shares of the picture, such as 320,180 or 0.5,0.4, found {text!r}"
        )
    return float(found[1]), float(found[2])


def picture_size_px(text: str) -> tuple[int, int]:
    """`WxH`: (width, height)."""
    found = re.fullmatch(r"(\d{1,5})[xX×](\d{1,5})", text)
    size_px = (int(found[1]), int(found[2])) if found else (0, 0)
    if not all(1 <= side <= _MAX_SIZE_PX for side in size_px):
        raise ArgumentTypeError(f"expected a width and a height such as 640x480, found {text!r}")
    return size_px


def frame_rate_hz(text: str) -> float:
    value = not_negative_number(text)
    if not 0 < value <= _MOST_FPS:
        raise ArgumentTypeError(f"expected more than 0 and up to {_MOST_FPS} frames a second, found {text}")
    return value


def timeout_s(text: str) -> float:
    value = not_negative_number(text)
    if not 0.05 <= value <= 3600:
        raise ArgumentTypeError(f"expected 0.05 to 3600 seconds, found {text}")
    return value


def address(text: str) -> NetworkAddress:
    """`PORT`, for this machine only, or `HOST:PORT`."""
    try:
        return parse_address(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None


def token(text: str) -> str:
    try:
        return check_token(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None


def label(text: str) -> str:
    if not (text.strip() and text.isprintable() and len(text) <= _LONGEST_LABEL):
        raise ArgumentTypeError(f"expected up to {_LONGEST_LABEL} letters on one line")
    return text.strip()


def coder_name(text: str) -> str:
    from stream.labels.label_log import LabelError, check_coder  # brings pydantic, which a live run does without

    try:
        return check_coder(text)
    except LabelError as error:
        raise ArgumentTypeError(str(error)) from None


def lsl_name(text: str) -> str:
    if not _LSL_NAME.fullmatch(text):
        raise ArgumentTypeError(f"expected a name of up to 64 letters, digits, spaces and .-, found {text!r}")
    return text


def words(text: str) -> tuple[str, ...]:
    """Several, with commas between them."""
    found = tuple(part.strip() for part in text.split(","))
    if not all(found):
        raise ArgumentTypeError(f"expected names with commas between them, found {text!r}")
    return found


def overlap(text: str) -> float:
    """An intersection over union that a match needs."""
    value = not_negative_number(text)
    if not 0 < value <= 1:
        raise ArgumentTypeError(f"expected more than 0 and up to 1, found {text}")
    return value
