"""Threads that work ahead: order, bounds, errors, endings."""

import threading
from collections.abc import Iterator

import pytest

from stream.pipeline import RunAhead


def test_order_and_end() -> None:
    with RunAhead(range(500), 3, "numbers") as ahead:
        assert list(ahead) == list(range(500))


def test_never_more_than_its_bound_ahead() -> None:
    made: list[int] = []
    taken: list[int] = []
    most = 0

    def items() -> Iterator[int]:
        for i in range(200):
            made.append(i)
            yield i

    with RunAhead(items(), 4, "bounded") as ahead:
        for item in ahead:
            taken.append(item)
            # One item may be in the thread's hand beside those that wait.
            most = max(most, len(made) - len(taken))
    assert most <= 5


def test_an_error_comes_after_the_items_before_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise RuntimeError("broken")

    seen = []
    with RunAhead(items(), 2, "broken") as ahead, pytest.raises(RuntimeError, match="broken"):
        for item in ahead:
            seen.append(item)
    assert seen == [1, 2]


def test_closing_early_ends_the_thread() -> None:
    before = threading.active_count()
    with RunAhead(iter(int, 1), 2, "endless") as ahead:
        next(iter(ahead))
        assert threading.active_count() == before + 1
    assert threading.active_count() == before


def test_closed_before_it_began() -> None:
    ahead = RunAhead(range(3), 1, "never")
    ahead.close()
    assert list(ahead) == []


def test_bounds_are_checked() -> None:
    with pytest.raises(ValueError, match="expected 1 or more"):
        RunAhead([], 0, "none")
