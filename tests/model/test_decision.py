"""The learned decision: trees against a plain reference, what is written and read, the curve, and what counts."""

import json
import math
from contextlib import suppress
from dataclasses import asdict
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.contract import ClipContract, NetworkInput, Reference
from model.decision import UNJUDGED, CurvePoint, DecisionTree, SpottingDecision, counts, least_probability
from model.errors import ContractError

NAMES = ("size", "lids", "light")
CURVE = (CurvePoint(0.1, 8.0, 0.9), CurvePoint(0.4, 2.0, 0.7), CurvePoint(0.9, 0.0, 0.2))


def random_tree(rng: np.random.Generator, depth: int) -> DecisionTree:
    """Nodes in the order of a walk that goes left first, as scikit-learn numbers them."""
    rows: list[list[float]] = []

    def grow(left_s: int) -> int:
        place = len(rows)
        rows.append([-1, 0.0, 0, 0, rng.normal()])
        if left_s and rng.random() < 0.85:
            rows[place][:2] = [int(rng.integers(len(NAMES))), rng.normal()]
            rows[place][2] = grow(left_s - 1)
            rows[place][3] = grow(left_s - 1)
        return place

    grow(depth)
    feature, threshold, left, right, value = zip(*rows, strict=True)
    whole = (tuple(map(int, part)) for part in (feature, left, right))
    features, lefts, rights = whole
    return DecisionTree(features, tuple(map(float, threshold)), lefts, rights, tuple(map(float, value)))


def random_decision(seed: int, trees: int = 6) -> SpottingDecision:
    rng = np.random.default_rng(seed)
    grown = tuple(random_tree(rng, 4) for _ in range(trees))
    return SpottingDecision(NAMES, 0.3, grown, (0.5, 2.0, -1.0, -0.5, 0.0), CURVE, "made up")


def leaf(tree: DecisionTree, row: list[float], node: int = 0) -> float:
    if tree.feature[node] < 0:
        return tree.value[node]
    onwards = tree.left if row[tree.feature[node]] <= tree.threshold[node] else tree.right
    return leaf(tree, row, onwards[node])


@given(st.integers(0, 2**32 - 1))
def test_the_logit_is_the_sum_of_the_leaves_that_are_reached(seed: int) -> None:
    decision, rng = random_decision(seed), np.random.default_rng(seed)
    for row in rng.normal(0, 1.5, (5, len(NAMES))).tolist():
        values = dict(zip(NAMES, row, strict=True))
        plain = decision.bias + sum(leaf(tree, row) for tree in decision.trees)
        assert decision.logit(values) == pytest.approx(plain, abs=1e-9)
        assert decision.probability(values) == pytest.approx(1 / (1 + math.exp(-plain)))
        roots = sum(tree.value[0] for tree in decision.trees)
        assert sum(decision.shares(values).values()) == pytest.approx(plain - decision.bias - roots, abs=1e-9)


def test_a_stump_adds_the_first_up_to_its_threshold() -> None:
    decision = SpottingDecision(NAMES, 0.0, (DecisionTree.stump(1, 0.5, -2.0, 3.0),))
    for lids, share in ((0.5, -2.0), (0.5001, 3.0)):
        values = {"size": 9.0, "lids": lids, "light": 0.0}
        assert decision.shares(values) == {"size": 0.0, "lids": share, "light": 0.0}
        assert decision.logit(values) == share


def test_far_values_stay_probabilities_and_missing_ones_are_told() -> None:
    for way in (-1, 1):
        far = SpottingDecision(NAMES, way * 1e300, ())
        assert 0 <= far.probability(dict.fromkeys(NAMES, 0.0)) <= 1
    with pytest.raises(KeyError):
        random_decision(0).logit({"size": 0.0, "lids": 0.0})


@given(st.integers(0, 2**32 - 1), st.integers(0, 8))
def test_what_is_written_is_read(seed: int, trees: int) -> None:
    decision = random_decision(seed, trees)
    assert SpottingDecision.from_json(json.loads(json.dumps(asdict(decision)))) == decision


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
FIELDS = ("features", "bias", "trees", "noticed", "curve", "training_data")


@given(ANY | st.fixed_dictionaries(dict.fromkeys(FIELDS, ANY)))
def test_garbage_is_refused_as_such(raw: object) -> None:
    """Or it is one by chance."""
    with suppress(ContractError):
        assert isinstance(SpottingDecision.from_json(raw), SpottingDecision)


@given(st.sampled_from(FIELDS), ANY)
def test_one_wrong_field_is_refused(name: str, value: object) -> None:
    raw = json.loads(json.dumps(asdict(random_decision(1)))) | {name: value}
    try:
        decision = SpottingDecision.from_json(raw)
    except ContractError:
        return
    assert math.isfinite(decision.logit(dict.fromkeys(decision.features, 0.0)))


@pytest.mark.parametrize(
    "tree",
    [
        ((0, -1), (0.0, 0.0), (1, 0), (1, 0), (0.0,)),
        ((0, -1, -1), (math.nan, 0.0, 0.0), (1, 0, 0), (2, 0, 0), (0.0, 1.0, 2.0)),
        ((0, -1, -1), (0.0, 0.0, 0.0), (0, 0, 0), (2, 0, 0), (0.0, 1.0, 2.0)),
        ((0, -1, -1), (0.0, 0.0, 0.0), (1, 0, 0), (3, 0, 0), (0.0, 1.0, 2.0)),
        ((0, -1, -1), (0.0, 0.0, 0.0), (1.0, 0, 0), (2, 0, 0), (0.0, 1.0, 2.0)),
        ((-2,), (0.0,), (0,), (0,), (0.0,)),
        ((), (), (), (), ()),
    ],
    ids=["ragged", "no number", "back to itself", "beyond the end", "no whole number", "no feature", "empty"],
)
def test_trees_that_cannot_be_walked_are_refused(tree: tuple) -> None:
    with pytest.raises(ContractError, match=r"decision\.trees"):
        DecisionTree(*tree)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"features": ("size", "size", "light")}, "features"),
        ({"noticed": (0.0, 0.0)}, "noticed"),
        ({"noticed": (0.0, 0.0, 1.0, 1.0, 1.0)}, "noticed"),
        ({"bias": math.inf}, "bias"),
        ({"trees": (DecisionTree.stump(3, 0.0, 0.0, 1.0),)}, "trees"),
        ({"curve": CURVE[::-1]}, "curve"),
        ({"training_data": None}, "training_data"),
    ],
)
def test_decisions_that_cannot_be_are_refused(change: dict, what: str) -> None:
    values = {"features": NAMES, "bias": 0.0, "trees": ()}
    with pytest.raises(ContractError, match=rf"decision\.{what}"):
        SpottingDecision(**(values | change))


@pytest.mark.parametrize("point", [(-0.1, 1.0, 0.5), (0.5, -1.0, 0.5), (0.5, 1.0, 1.5), (math.nan, 1.0, 0.5)])
def test_points_that_cannot_be_are_refused(point: tuple[float, float, float]) -> None:
    with pytest.raises(ContractError, match=r"decision\.curve"):
        CurvePoint(*point)


# The curve


@pytest.mark.parametrize(
    ("false_per_min", "least"),
    [(8.0, 0.1), (100.0, 0.1), (5.0, 0.25), (2.0, 0.4), (1.0, 0.65), (0.0, 0.9)],
    ids=["the first point", "more than measured", "between", "a point", "between others", "none"],
)
def test_the_least_that_counts_is_read_from_the_curve(false_per_min: float, least: float) -> None:
    assert least_probability(CURVE, false_per_min) == pytest.approx(least)
    assert random_decision(0).least_probability(false_per_min) == pytest.approx(least)


def test_without_a_curve_half_counts() -> None:
    assert least_probability((), 3.0) == 0.5


def test_no_less_than_the_curves_end_counts_where_it_does_not_reach_that_far() -> None:
    assert least_probability((CurvePoint(0.3, 4.0, 0.8), CurvePoint(0.6, 1.0, 0.5)), 0.1) == 0.6


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 20)), min_size=1, max_size=8),
    st.lists(st.floats(0, 30), min_size=2, max_size=6).map(sorted),
)
def test_whoever_looks_at_more_is_shown_more(points: list[tuple[float, float]], rates: list[float]) -> None:
    steps, false = sorted(p for p, _ in points), sorted((f for _, f in points), reverse=True)
    curve = [CurvePoint(step, rate, 0.5) for step, rate in zip(steps, false, strict=True)]
    least = [least_probability(curve, rate) for rate in rates]
    assert all(before >= after - 1e-9 for before, after in pairwise(least))
    assert all(steps[0] - 1e-9 <= value <= steps[-1] + 1e-9 for value in least)


@pytest.mark.parametrize(
    ("kind", "probability", "rejected", "counted"),
    [
        ("micro", 0.5, None, True),
        ("micro", 0.5, "speech", True),
        ("micro", 0.49, None, False),
        ("macro", None, None, True),
        ("macro", None, "speech", False),
        ("micro", None, None, True),
        ("micro", None, "blink", False),
    ],
)
def test_what_counts(kind: str, probability: float | None, rejected: str | None, counted: bool) -> None:
    assert counts(kind, probability, rejected, 0.5) is counted


@pytest.mark.parametrize("reason", sorted(UNJUDGED))
def test_what_was_not_seen_whole_counts_at_no_sensitivity(reason: str) -> None:
    assert not counts("micro", 1.0, reason, 0.0)


# In a contract


def contract(decision: SpottingDecision | None) -> ClipContract:
    return ClipContract(
        ("negative", "neutral"),
        input=NetworkInput("flow", 64),
        reference=Reference("ema", time_constant_s=2.0),
        decision=decision,
    )


@pytest.mark.parametrize("decision", [None, random_decision(3)])
def test_a_contract_carries_it(decision: SpottingDecision | None) -> None:
    assert ClipContract.from_metadata(contract(decision).to_metadata()).decision == decision


def test_a_contract_from_before_there_were_decisions_is_read() -> None:
    raw = json.loads(contract(random_decision(3)).to_json())
    del raw["decision"]
    assert ClipContract.from_json(json.dumps(raw)) == contract(None)


def test_a_contract_with_a_broken_decision_is_refused() -> None:
    raw = json.loads(contract(random_decision(3)).to_json())
    raw["decision"]["bias"] = "much"
    with pytest.raises(ContractError, match=r"decision\.bias"):
        ClipContract.from_json(json.dumps(raw))
