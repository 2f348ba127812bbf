"""One colour for each class, the same in the picture and in the terminal, and one for each of several faces."""

from collections.abc import Sequence

from model.contract import NEUTRAL

Colour = tuple[int, int, int]
"""Blue, green, red, each 0 to 255."""

CALM: Colour = (205, 200, 196)
TEXT: Colour = (240, 240, 240)
DIM: Colour = (172, 168, 165)
TROUGH: Colour = (70, 66, 64)
"""What a bar is filled into."""
WARNING: Colour = (60, 180, 255)
# Okabe and Ito's colours for all kinds of colour vision (Color Universal Design, 2008), the dark ones lightened for
# a dark ground.
LIVELY: tuple[Colour, ...] = (
    (58, 120, 240),
    (238, 184, 90),
    (80, 226, 242),
    (190, 140, 222),
    (140, 196, 40),
    (30, 166, 240),
    (235, 150, 70),
)

# Light tints, so that a face is not taken for a class. Paul Tol's "light" scheme, half white: the number beside it tells
# for certain.
TRACKS: tuple[Colour, ...] = (
    (255, 238, 204),
    (195, 238, 246),
    (213, 221, 255),
    (204, 221, 162),
    (196, 196, 246),
    (153, 230, 222),
)


def track_colour(track: int) -> Colour:
    """By the number of the face, again from the start where there are more than colours."""
    return TRACKS[(track - 1) % len(TRACKS)]


def class_colours(class_names: Sequence[str]) -> dict[str, Colour]:
    """By the order of the classes, again from the start where there are more than colours; `neutral` is grey."""
    lively = [name for name in class_names if name != NEUTRAL]
    by_name = {name: LIVELY[place % len(LIVELY)] for place, name in enumerate(lively)}
    return {name: by_name.get(name, CALM) for name in class_names}
