"""Agreement: numbers that were reckoned by hand, and what must hold of any."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.labels.agreement import (
    CodedRecording,
    EventAgreement,
    agree_on_events,
    cohens_kappa_of,
    counted,
    fleiss_kappa_of,
    iou,
    match_events,
)
from stream.labels.label_log import LabelledEvent
from stream.labels.unit_agreement import TOLERANCES_S, acting_table, agree_on_units, facs_index

_PAIR = ("anna", "ben")


def _event(
    name: str, onset_s: float, offset_s: float, label: str = "negative", units: Sequence[str] = (), **more
) -> LabelledEvent:
    told = {"apex_s": (onset_s + offset_s) / 2, "verdict": "accepted", "track": 1} | more
    return LabelledEvent(name, label=label, onset_s=onset_s, offset_s=offset_s, action_units=tuple(units), **told)


def _recording(**codings: Sequence[LabelledEvent]) -> CodedRecording:
    return CodedRecording("talk", 0.0, 100.0, codings)


def _agreement(anna: Sequence[LabelledEvent], ben: Sequence[LabelledEvent]) -> EventAgreement:
    return agree_on_events(_PAIR, [_recording(anna=anna, ben=ben)])


def test_half_an_overlap_is_enough_and_less_is_not() -> None:
    """[0, 3] and [1, 4] share 2 of 4 seconds."""
    first, second = _event("e1", 0, 3), _event("e1", 1, 4)
    assert iou(first, second) == 0.5
    assert match_events([first], [second]) == [(first, second)]
    assert match_events([first], [replace(second, offset_s=4.01)]) == []
    # 0.1 and 0.3 are no whole numbers of halves: rounding does not take away what is exactly half.
    assert match_events([_event("e1", 0.1, 0.4)], [_event("e1", 0.2, 0.5)])


def test_f1_and_times_as_by_hand() -> None:
    """Anna has 4 events, Ben 3; two match: 2·2 / (4 + 3). Ben's onsets are 30 ms late and 10 ms early."""
    anna = [_event("e1", 1.0, 1.4), _event("e2", 5.0, 5.4), _event("e3", 9.0, 9.3), _event("a1", 20.0, 20.3)]
    ben = [_event("e1", 1.03, 1.4), _event("e2", 4.99, 5.45), _event("e4", 30.0, 30.2)]
    found = _agreement(anna, ben)
    assert len(found.pairs) == 2 and (found.only_first, found.only_second) == (2, 1)
    assert found.f1 == pytest.approx(4 / 7)
    onset, offset = found.differences("onset"), found.differences("offset")
    assert (onset.mean_ms, onset.median_ms) == (pytest.approx(10), pytest.approx(10))
    assert (onset.mean_apart_ms, onset.median_apart_ms) == (pytest.approx(20), pytest.approx(20))
    assert (offset.mean_ms, offset.mean_apart_ms) == (pytest.approx(25), pytest.approx(25))
    assert found.differences("apex").mean_ms == pytest.approx((15 + 20) / 2)


def test_only_what_is_accepted_counts() -> None:
    anna = [_event("e1", 1, 2), _event("e2", 5, 6, verdict="rejected"), _event("e3", 8, 9, verdict=None)]
    ben = [_event("e1", 1, 2), _event("e2", 5, 6), _event("e3", 8, 9)]
    found = _agreement(anna, ben)
    assert (len(found.pairs), found.only_first, found.only_second) == (1, 0, 2)
    assert found.f1 == pytest.approx(2 / 4)


def test_events_of_two_faces_do_not_match_but_those_of_an_unknown_one_do() -> None:
    first, second = _event("e1", 1, 2, track=1), _event("e1", 1, 2, track=2)
    assert match_events([first], [second]) == []
    assert match_events([first], [replace(second, track=0)]) != []


def test_as_many_pairs_as_there_can_be() -> None:
    """The best overlap first would leave one of each side alone: a-y is the best, but a-x and b-y are two."""
    a, b = _event("e1", 0.0, 1.0), _event("e2", 0.3, 1.6)
    x, y = _event("e1", -0.2, 0.8), _event("e2", 0.1, 1.1)
    assert iou(a, y) > max(iou(a, x), iou(b, y)) and iou(b, x) < 0.5
    assert {(one.event, two.event) for one, two in match_events([a, b], [x, y])} == {("e1", "e1"), ("e2", "e2")}


def test_cohens_kappa_as_by_hand() -> None:
    """Ten events: both say negative 4 times and positive 3 times; negative/positive 1, positive/negative 2. They agree on
    7/10; by chance on .5·.6 + .5·.4 = .5, so kappa is (.7 - .5) / (1 - .5) = .4."""
    labels = [("n", "n")] * 4 + [("p", "p")] * 3 + [("n", "p")] + [("p", "n")] * 2
    anna = [_event(f"e{n}", 2 * n, 2 * n + 1, one) for n, (one, _) in enumerate(labels, start=1)]
    ben = [_event(f"e{n}", 2 * n, 2 * n + 1, two) for n, (_, two) in enumerate(labels, start=1)]
    found = _agreement(anna, ben).class_kappa()
    assert (found.value, found.n) == (pytest.approx(0.4), 10)


def test_kappa_says_nothing_where_there_is_one_class() -> None:
    same = [_event("e1", 1, 2), _event("e2", 3, 4)]
    assert _agreement(same, same).class_kappa().value is None
    assert cohens_kappa_of(np.zeros((0, 0))) is None
    assert _agreement([], []).f1 is None and _agreement([], []).differences("apex").mean_ms is None


def test_events_without_a_class_are_left_out_of_the_classes() -> None:
    anna = [_event("e1", 1, 2), _event("e2", 3, 4, "positive"), _event("e3", 5, 6)]
    ben = [_event("e1", 1, 2), _event("e2", 3, 4, "positive"), _event("e3", 5, 6, "unlabelled")]
    assert _agreement(anna, ben).class_kappa().n == 2


def test_fleiss_kappa_as_by_hand() -> None:
    """Four events, three coders: nnn, nnp, npp, ppp. Shares that agree: 1, 1/3, 1/3, 1, mean 2/3; n and p have 6 of 12 votes
    each, so chance is 1/2 and kappa (2/3 - 1/2) / (1/2) = 1/3."""
    votes = ["nnn", "nnp", "npp", "ppp"]
    codings = {
        coder: [_event(f"e{n}", 2 * n, 2 * n + 1, vote[place]) for n, vote in enumerate(votes, start=1)]
        for place, coder in enumerate(("anna", "ben", "cleo"))
    }
    # What one of them has not is nobody's agreement.
    codings["anna"].append(_event("a1", 50, 51, "p"))
    found = fleiss_kappa_of(("anna", "ben", "cleo"), [_recording(**codings)])
    assert (found.value, found.n) == (pytest.approx(1 / 3), 4)


def test_facs_index_as_by_hand() -> None:
    """1+2+4 and 1+L4: two in common, 2·2 / (3 + 2) = .8; with 12 and L12 added to both: 2·3 / (4 + 3)."""
    first = (_event("e1", 1, 2, units=["1", "2", "4"]), _event("e1", 1, 2, units=["1", "L4"]))
    second = (_event("e2", 3, 4, units=["12"]), _event("e2", 3, 4, units=["L12", "R12"]))
    assert facs_index([first]) == pytest.approx(0.8)
    assert facs_index([first, second]) == pytest.approx(6 / 7)
    assert facs_index([(_event("e1", 1, 2), _event("e1", 1, 2))]) is None


def test_units_in_time_as_by_hand() -> None:
    """Of 100 s AU 4 acts from 10 to 20 to Anna, from 10.25 to 20 to Ben: 9.75 s both, 0.25 s Anna alone, 90 s none.

    Agreement .9975; chance .1·.0975 + .9·.9025 = .822; kappa .8245/.8270 …; at 1/3 s all is agreed on."""
    recording = _recording(anna=[_event("e1", 10, 20, units=["4"])], ben=[_event("e1", 10.25, 20, units=["L4"])])
    (found,) = agree_on_units(_PAIR, [recording])
    chance = 0.1 * 0.0975 + 0.9 * 0.9025
    # 1/6 s: of the quarter second before Ben's onset the last sixth is near enough.
    near = 0.25 - 1 / 6
    both = 9.75 + 1 / 6
    near_chance = 0.1 * both / 100 + 0.9 * (1 - both / 100)
    assert (found.unit, found.events) == ("4", (1, 1))
    assert found.kappas[0] == pytest.approx((0.9975 - chance) / (1 - chance))
    assert found.kappas[1] == pytest.approx((1 - near / 100 - near_chance) / (1 - near_chance))
    assert found.kappas[2:] == (pytest.approx(1.0), pytest.approx(1.0))


def test_a_unit_of_one_coder_alone_agrees_on_nothing() -> None:
    recording = _recording(anna=[_event("e1", 10, 20, units=["4"])], ben=[])
    (found,) = agree_on_units(_PAIR, [recording])
    assert found.events == (1, 0) and found.kappas == (pytest.approx(0),) * 4


def test_recordings_that_one_has_not_looked_at_are_left_out() -> None:
    both = _recording(anna=[_event("e1", 1, 2)], ben=[_event("e1", 1, 2)])
    alone = _recording(anna=[_event("e1", 1, 2), _event("e2", 5, 6, units=["4"])])
    found = agree_on_events(_PAIR, [both, alone])
    assert found.f1 == 1.0 and agree_on_units(_PAIR, [both, alone]) == ()


_TIMES = st.one_of(st.floats(0, 6), st.integers(0, 12).map(lambda n: n / 2))
_LIST = st.lists(
    st.builds(
        lambda number, onset_s, length_s, label, units, track, verdict: _event(
            f"e{number}", onset_s, onset_s + length_s, label, units, track=track, verdict=verdict
        ),
        st.integers(1, 99),
        _TIMES,
        st.one_of(st.floats(0.05, 3), st.sampled_from([0.5, 1.0])),
        st.sampled_from(["n", "p", "s"]),
        st.lists(st.sampled_from(["1", "4", "L12", "R12"]), max_size=2, unique=True),
        st.integers(0, 2),
        st.sampled_from(["accepted", "accepted", "rejected", None]),
    ),
    max_size=7,
)


@settings(deadline=None, max_examples=200)
@given(first=_LIST, second=_LIST, seed=st.randoms(use_true_random=False))
def test_matches_are_one_to_one_and_the_same_from_both_sides_in_any_order(first, second, seed) -> None:
    pairs = match_events(first, second)
    for side, events in ((0, first), (1, second)):
        used = [id(pair[side]) for pair in pairs]
        assert len(set(used)) == len(used) and set(used) <= {id(event) for event in counted(events)}
    assert all(iou(*pair) >= 0.5 - 1e-9 for pair in pairs)
    assert sorted(map(str, pairs)) == sorted(str((one, two)) for two, one in match_events(second, first))
    seed.shuffle(first)
    seed.shuffle(second)
    assert sorted(map(str, match_events(first, second))) == sorted(map(str, pairs))


@settings(deadline=None, max_examples=100)
@given(
    first=st.lists(st.tuples(_TIMES, st.floats(0.1, 2)), max_size=4),
    second=st.lists(st.tuples(_TIMES, st.floats(0.1, 2)), max_size=4),
)
def test_there_is_no_larger_matching(first, second) -> None:
    """Against every way there is."""
    one, two = (
        [_event("e1", onset_s, onset_s + length_s) for onset_s, length_s in events] for events in (first, second)
    )
    short, long = sorted((one, two), key=len)
    most = max(sum(iou(a, b) >= 0.5 for a, b in zip(short, way, strict=False)) for way in permutations(long))
    assert len(match_events(one, two)) >= most


@settings(deadline=None, max_examples=100)
@given(first=_LIST, second=_LIST)
def test_agreement_is_the_same_from_both_sides(first, second) -> None:
    recording = _recording(anna=first, ben=second)
    here, there = (agree_on_events(names, [recording]) for names in (_PAIR, _PAIR[::-1]))
    assert here.f1 == there.f1
    assert here.class_kappa().value == pytest.approx(there.class_kappa().value)
    assert _kappas(_PAIR, recording) == _kappas(_PAIR[::-1], recording)
    assert facs_index(here.pairs) == facs_index(there.pairs)
    for moment in ("onset", "apex", "offset"):
        one, two = here.differences(moment), there.differences(moment)
        if one.mean_ms is None or two.mean_ms is None:
            assert one == two
            continue
        assert one.mean_ms == pytest.approx(-two.mean_ms, abs=1e-6)
        assert one.median_apart_ms == pytest.approx(two.median_apart_ms, abs=1e-6)


def _kappas(coders, recording) -> list[tuple[float | None, ...]]:
    return [
        tuple(None if one is None else round(one, 9) for one in unit.kappas)
        for unit in agree_on_units(coders, [recording])
    ]


@settings(deadline=None, max_examples=100)
@given(
    first=st.lists(st.tuples(st.integers(0, 90), st.integers(1, 20)), max_size=4),
    second=st.lists(st.tuples(st.integers(0, 90), st.integers(1, 20)), max_size=4),
    tolerance=st.integers(0, 5),
)
def test_seconds_are_frames_without_end(first, second, tolerance) -> None:
    """On a grid of whole seconds the middle of every one says what counting frames would."""
    one, two = (np.array([(a, a + n) for a, n in events], float).reshape(-1, 2) for events in (first, second))
    table = acting_table(one, two, (0.0, 120.0), float(tolerance))
    counts = np.zeros((2, 2))
    for frame in range(120):
        middle = frame + 0.5

        def acts(events, reach, at=middle) -> bool:
            return any(a - reach <= at < a + n + reach for a, n in events)

        mine, theirs = acts(first, 0), acts(second, 0)
        both = (mine and acts(second, tolerance)) or (theirs and acts(first, tolerance))
        counts[(0, 0) if both else (int(not mine), int(not theirs))] += 1
    assert table == pytest.approx(counts) and TOLERANCES_S[0] == 0
