"""One colour for each class, the same in the picture and in the terminal."""

from collections.abc import Sequence

from model.contract import NEUTRAL

Colour = tuple[int, int, int]
"""Blue, green, red, each 0 to 255."""

CALM: Colour = (205, 200, 196)
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


def class_colours(class_names: Sequence[str]) -> dict[str, Colour]:
    """By the order of the classes, again from the start where there are more than colours; `neutral` is grey."""
    lively = [name for name in class_names if name != NEUTRAL]
    by_name = {name: LIVELY[place % len(LIVELY)] for place, name in enumerate(lively)}
    return {name: by_name.get(name, CALM) for name in class_names}
