"""The errors that Microlive raises itself, and the checks of values that stand in files. Standard library only."""

LARGEST = 1e300


class MicroliveError(Exception):
    """The base of every error that Microlive raises itself: one line that says what is wrong and what to do.

    Example:
        ```python
        try:
            results = list(Recognizer().run("talk.mp4"))
        except MicroliveError as error:
            print(error)  # talk.mp4 does not exist: …
        ```
    """


class ContractError(MicroliveError, ValueError):
    """A model or a setting does not fit: says what was expected and what was found.

    Attributes:
        what: What does not fit.
        expected: What it would have to be.
        found: What it is.

    Example:
        ```python
        try:
            Recognizer("other.onnx")
        except ContractError as error:
            print(error.what, error.expected, error.found)
        ```
    """

    def __init__(self, what: str, expected: object, found: object) -> None:
        super().__init__(f"{what}: expected {expected}, found {found}")
        self.what = what
        self.expected = expected
        self.found = found


def require(condition: bool, what: str, expected: object, found: object) -> None:
    if not condition:
        raise ContractError(what, expected, found)


def is_number(value: object) -> bool:
    # Whole numbers of any length can stand in JSON.
    return isinstance(value, int | float) and not isinstance(value, bool) and -LARGEST <= value <= LARGEST


def positive(what: str, value: object, most: float = LARGEST) -> None:
    limit = "a finite number above 0" if most == LARGEST else f"a number above 0, up to {most:g}"
    require(is_number(value) and 0 < value <= most, what, limit, value)  # type: ignore[operator]


def whole(what: str, value: object, least: int, most: int) -> None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    require(whole and value >= least, what, f"an integer of {least} or more", value)  # type: ignore[operator]
    require(value <= most, what, f"an integer up to {most}", value)  # type: ignore[operator]
