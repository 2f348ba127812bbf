"""Rows of an ablation: what each adds, that they were made alike, and whether they differ."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from model.variants import VARIANTS
from tests.helpers.ablations import NAMES, PEOPLE, spec_rows, write_rows
from tests.helpers.loso_runs import write_loso
from tests.helpers.stores import write_store
from train.clips.store import ClipStore
from train.errors import UsageError
from train.experiments.left_out_rows import base_of, read_rows, ticks_of, title_of
from train.experiments.paired import Bootstrap, Comparison, people_confusions, tail_share, uf1_of
from train.scores.metrics import confusion_matrix, scores


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    return write_store(tmp_path_factory.mktemp("data") / "clips", PEOPLE, clips_each=4, dataset="synthetic")


@pytest.fixture(scope="module")
def finished(store: ClipStore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All six rows with answers of our choosing."""
    folder = tmp_path_factory.mktemp("runs") / "ablation"
    write_rows(folder, store)
    return folder


# Rows


def test_the_rows_are_those_of_the_paper():
    columns = ("weighted", "cbam", "new_channel", "mh", "msmh")
    table = [[tick in ticks_of(VARIANTS[name], VARIANTS[name].weighted_loss) for tick in columns] for name in NAMES]
    assert table == [
        [False, False, False, False, False],
        [True, False, False, False, False],
        [True, True, False, False, False],
        [True, False, True, False, False],
        [True, False, True, True, False],
        [True, False, True, False, True],
    ]
    assert title_of(ticks_of(VARIANTS["paper"], True)) == "weighted loss + CBAM with the new channel attention + MSMH"


def test_what_each_row_adds_to(finished):
    rows = read_rows(finished, spec_rows())
    bases = {row.name: base and base.name for row in rows for base in [base_of(row, rows)]}
    assert bases == {
        "plain": None,
        "weighted": "plain",
        "cbam": "weighted",
        "enhanced": "weighted",
        "mh": "enhanced",
        "paper": "enhanced",
    }


def test_rows_made_otherwise_do_not_make_a_table(store, tmp_path):
    write_rows(tmp_path, store, seeds=(0,))
    shutil.rmtree(tmp_path / "cbam")
    other = {"variant": "cbam", "size_px": 48, "learning_rate": 0.01}
    write_loso(tmp_path / "cbam", [store], (0,), select="fixed", settings=other)
    with pytest.raises(UsageError, match=r"cbam: expected a run made like .*learning_rate: 0\.001 and 0\.01"):
        read_rows(tmp_path, spec_rows())
    shutil.rmtree(tmp_path / "cbam")
    weighted = {"variant": "cbam", "size_px": 48, "class_weights": "balanced"}
    write_loso(tmp_path / "cbam", [store], (0,), select="fixed", settings=weighted)
    with pytest.raises(UsageError, match="class_weights: 'auto' and 'balanced'"):
        read_rows(tmp_path, spec_rows())
    with pytest.raises(UsageError, match=r"expected the folder of a leave-one-subject-out run"):
        read_rows(tmp_path, [*spec_rows("plain"), replace(spec_rows("cbam")[0], name="nobody")])
    shutil.rmtree(tmp_path / "cbam")
    write_loso(tmp_path / "cbam", [store], (0,), settings={"variant": "paper", "size_px": 48})
    with pytest.raises(UsageError, match="expected a run with variant 'cbam', found 'paper'"):
        read_rows(tmp_path, spec_rows())


# Comparisons


def test_confusions_of_people_add_up_to_the_scores(finished):
    (row,) = read_rows(finished, spec_rows("mh"))
    confusions = people_confusions(row.run)
    assert confusions.shape == (3, len(PEOPLE), 3, 3)
    part = row.scores["parts"]["composite"]
    assert confusions.sum(axis=1).tolist() == part["confusion"]
    assert uf1_of(confusions.sum(axis=1)) == pytest.approx(part["uf1"]["by_seed"])


def test_uf1_of_field_vectors_and_of_an_absent_class():
    casme2 = [[83, 5, 0], [12, 19, 1], [2, 0, 23]]
    assert uf1_of(np.array([casme2, [[2, 0, 0], [0, 2, 0], [0, 0, 0]]])) == pytest.approx([0.8382, 2 / 3], abs=1e-4)


def test_the_bootstrap_is_that_of_a_plain_loop(finished):
    """The same draws of people and seeds, taken one by one, with the scores of `train.scores.metrics`."""
    rows = read_rows(finished, spec_rows("plain", "paper"))
    draws, people, seeds = 40, len(PEOPLE), 3
    found = Bootstrap(rows, draws=draws, seed=5)
    rng = np.random.default_rng(5)
    drawn_people = rng.multinomial(people, np.full(people, 1 / people), size=draws)
    drawn_seeds = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=draws)

    def pooled(run, seed, counts):
        truth, answers = [], []
        for person, times in zip(run.people, counts, strict=True):
            for sample in (s for s in run.samples.values() if s.person == person):
                truth += [sample.label] * times
                answers += [run.predictions[seed][sample.id].answer] * times
        return scores(confusion_matrix(truth, answers, 3), run.class_names).uf1

    differences, tail = [], tail_share(people)
    for counts, times in zip(drawn_people, drawn_seeds, strict=True):
        both = [
            sum(n * pooled(row.run, seed, counts) for seed, n in zip(row.run.seeds, times, strict=True)) / seeds
            for row in rows
        ]
        differences.append(both[1] - both[0])
    one = found.compare("paper", "plain")
    assert (one.low, one.high) == pytest.approx(tuple(np.quantile(differences, [tail, 1 - tail])))


def test_few_people_have_wider_intervals():
    assert tail_share(100_000) == pytest.approx(0.025, abs=1e-4)
    # Student's quantile 2.365 for 7 degrees of freedom, times the root of 8/7, is the normal quantile of .0057.
    assert tail_share(8) == pytest.approx(0.0057, abs=1e-4)
    assert tail_share(3) < tail_share(8) < tail_share(20) < 0.025


def test_a_comparison_counts_seeds_and_people(finished):
    rows = read_rows(finished, spec_rows())
    plain, paper = (row.scores["parts"]["composite"]["uf1"]["by_seed"] for row in (rows[0], rows[-1]))
    one = Bootstrap(rows).compare("paper", "plain")
    assert one.by_seed == pytest.approx([b - a for a, b in zip(plain, paper, strict=True)])
    assert one.mean == pytest.approx(np.mean(one.by_seed)) and one.sd == pytest.approx(np.std(one.by_seed, ddof=1))
    assert one.low < one.mean < one.high and one.tells
    assert (one.better, one.worse) == (5, 0)
    same = Bootstrap(rows).compare("weighted", "plain")
    assert (same.mean, same.low, same.high, same.better, same.worse, same.tells) == (0, 0, 0, 0, 0, False)


def test_every_row_is_compared_with_the_first_and_with_what_it_adds_to(finished):
    found = [(c.row, c.against) for c in Bootstrap(read_rows(finished, spec_rows())).comparisons()]
    assert found == [
        *((name, "plain") for name in NAMES[1:]),
        ("cbam", "weighted"),
        ("enhanced", "weighted"),
        ("mh", "enhanced"),
        ("paper", "enhanced"),
    ]


@pytest.mark.parametrize(
    ("low", "high", "sd", "tells"),
    [
        (0.01, 0.09, 0.02, True),
        (-0.09, -0.01, 0.02, True),
        (0.01, 0.09, None, False),
        (-0.01, 0.09, 0.02, False),
        (0.01, 0.09, 0.06, False),
    ],
)
def test_what_a_difference_must_be_to_tell_something(low, high, sd, tells):
    mean = (low + high) / 2
    assert Comparison("b", "a", (mean, mean), mean, sd, low, high, 1, 0).tells is tells
