"""Work spread over processes: the same whatever their number; a process that dies is told of."""

import os
from functools import partial

import pytest

from train.errors import TrainError
from train.worker_pool import WorkerPool


class Multiplier:
    """What a worker keeps."""

    def __init__(self, factor: int) -> None:
        self.factor, self.closed = factor, False

    def close(self) -> None:
        self.closed = True

    def times(self, number: int) -> int:
        return self.factor * number

    def dies(self, number: int) -> int:
        os._exit(number)


@pytest.mark.parametrize("jobs", [1, 2])
def test_results_are_the_same_whatever_the_number_of_processes(jobs: int) -> None:
    with WorkerPool(jobs, partial(Multiplier, 3)) as pool:
        assert list(pool.in_order(Multiplier.times, range(20))) == [3 * number for number in range(20)]
        assert sorted(pool.as_done(Multiplier.times, range(5))) == [(number, 3 * number) for number in range(5)]


def test_what_this_process_keeps_is_made_once_when_needed_and_closed() -> None:
    made: list[Multiplier] = []

    def make() -> Multiplier:
        made.append(Multiplier(1))
        return made[0]

    with WorkerPool(1, make) as pool:
        assert made == []
        assert [*pool.in_order(Multiplier.times, (1, 2)), *pool.in_order(Multiplier.times, (3,))] == [1, 2, 3]
        assert not made[0].closed
    assert len(made) == 1 and made[0].closed


def test_a_process_that_dies_is_told_of() -> None:
    told = r"a worker process died .*fewer processes"
    with pytest.raises(TrainError, match=told), WorkerPool(2, partial(Multiplier, 1)) as pool:
        list(pool.as_done(Multiplier.dies, (3, 4)))
