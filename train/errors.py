"""Errors that are shown as one line."""


class TrainError(Exception):
    """Something went wrong while running (exit 1)."""


class UsageError(TrainError):
    """A flag, a value or a path given does not fit (exit 2): the line says what is wrong and what to do."""
