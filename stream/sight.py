"""How small a movement could be seen, and for how long: summed up in memory that does not grow, and in words."""

_MOVEMENT_STEP_PX, _MOVEMENT_STEPS = 0.01, 2000


class SmallestMovements:
    """The median of any number of smallest visible movements, each for so long, to a hundredth of a pixel up to 20 px."""

    def __init__(self) -> None:
        self._seconds = [0.0] * (_MOVEMENT_STEPS + 1)

    def add(self, px: float, lasted_s: float) -> None:
        self._seconds[min(max(int(px / _MOVEMENT_STEP_PX + 1e-9), 0), _MOVEMENT_STEPS)] += lasted_s

    def median_px(self) -> float | None:
        """None without any."""
        half_s, so_far_s = sum(self._seconds) / 2, 0.0
        for place, seconds in enumerate(self._seconds):
            so_far_s += seconds
            if seconds and so_far_s >= half_s:
                return place * _MOVEMENT_STEP_PX
        return None


def span_words(span_s: float) -> str:
    """2.4 s, 54 s, 9 min, 7 min 12 s, 1 h 5 min."""
    tenths_s = round(span_s, 1)
    if tenths_s < 10:
        return f"{tenths_s:g} s"
    minutes, seconds = divmod(round(span_s), 60)
    hours, left = divmod(minutes, 60)
    parts = ((hours, "h"), (left, "min"), (0 if hours else seconds, "s"))
    return " ".join(f"{number} {unit}" for number, unit in parts if number)
