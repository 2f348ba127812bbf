"""Action units as annotators write them, parsed into FACS codes.

A code is an optional side, a number and an optional intensity: "4", "L10", "R12B", "A1C" (asymmetric), "U14"
(unilateral), "T"/"B" (top, bottom half of the face). An intensity between two steps stays "4A/B". Units of which the
annotator saw one or the other are one code, "R6|R12".
"""

import re
from dataclasses import dataclass

_UNIT = r"(?:AU\s*)?[LRUATB]?\s*[0-9]{1,2}\s*(?:[A-E](?:\s*/\s*[A-E])?)?"
_FULL_UNIT = re.compile(rf"\s*{_UNIT}\s*", re.IGNORECASE)
_QUALIFIED = re.compile(r"\s*([a-z]{2,})\s*\((.*)\)\s*", re.IGNORECASE)
_OR = re.compile(r"\s+or\s+|\s*\|\s*", re.IGNORECASE)
_AND = frozenset("+,;&\uff0b\uff0c\uff1b\u3001")
"""Full-width ones as well: + , ; and the comma of lists as they are typed among Chinese characters."""
_MOST_BRACKETS = 20


@dataclass(frozen=True)
class ParsedUnits:
    """`units`: different codes, in the order of the text. `left_out`: what is no action unit, as it was written."""

    units: tuple[str, ...]
    left_out: tuple[str, ...] = ()


def parse_units(text: str) -> ParsedUnits:
    """Parses an annotation such as "4+L10", "(R6 or R12)+R15" or "ref(7B)+43C"; never raises.

    A qualifier in front of brackets is left out, the units in them stay.
    """
    units: list[str] = []
    left_out: list[str] = []
    if text.count("(") > _MOST_BRACKETS:
        return ParsedUnits((), (text.strip(),))
    _collect(text, units, left_out)
    return ParsedUnits(tuple(dict.fromkeys(units)), tuple(left_out))


def _collect(text: str, units: list[str], left_out: list[str]) -> None:
    for part in _split(text):
        inner = _unwrapped(part)
        qualified = _QUALIFIED.fullmatch(part)
        options = [_code(option) for option in _OR.split(inner)]
        if all(options):
            units.append("|".join(dict.fromkeys(option for option in options if option)))
        elif inner != part:
            _collect(inner, units, left_out)
        elif qualified and _balanced(qualified[2]):
            left_out.append(qualified[1])
            _collect(qualified[2], units, left_out)
        else:
            left_out.append(part)


def _split(text: str) -> list[str]:
    """The parts between signs that join units, those inside brackets left whole; empty parts dropped."""
    parts, depth = [""], 0
    for letter in text:
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if letter in _AND and depth <= 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts if part.strip()]


def _unwrapped(part: str) -> str:
    """The part without one pair of brackets around all of it."""
    inner = part[1:-1]
    return inner.strip() if part.startswith("(") and part.endswith(")") and _balanced(inner) else part


def _balanced(text: str) -> bool:
    depth = 0
    for letter in text:
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if depth < 0:
            return False
    return depth == 0


def _code(text: str) -> str | None:
    if not _FULL_UNIT.fullmatch(text):
        return None
    code = re.sub(r"^AU|\s", "", text.strip().upper())
    return re.sub(r"[0-9]+", lambda number: str(int(number[0])), code, count=1)
