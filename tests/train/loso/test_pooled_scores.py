"""Runs' folders read and scored: against the definitions by hand, in any order, unfinished, and damaged."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from tests.helpers.composite_counts import CASME2, SAMM, SMIC
from tests.helpers.loso_folders import NAMES, counted, read_lines, write_lines, write_loso_run
from train.errors import UsageError
from train.loso.pooled_scores import loso_scores, scores_table, spread, write_scores
from train.loso.predictions import read_run
from train.scores.metrics import chance
from train.scores.metrics import scores as scores_of
from train.scores.published import published_chance

PEOPLE = {
    "casme2/sub01": [0, 0, 1, 2],
    "samm/sub01": [0, 1, 1],
    "casme2/sub02": [0, 0],
    "samm/007": [0, 2],
    "samm/009": [1],
}


def right(seed: int, sample: str, label: int) -> int:
    return label


def noisy(seed: int, sample: str, label: int) -> int:
    """Right most of the time; wrong in other places for every seed."""
    draw = np.random.default_rng([seed, *sample.encode()])
    return label if draw.random() < 0.6 else int(draw.integers(0, 3))


def negative(seed: int, sample: str, label: int) -> int:
    return 0


@pytest.fixture
def run(tmp_path) -> Path:
    write_loso_run(tmp_path / "run", PEOPLE, noisy, seeds=(0, 1, 4))
    return tmp_path / "run"


def edit(path: Path, number: int, **changes) -> None:
    """Other values in one line, counted from 0."""
    lines = read_lines(path)
    lines[number] = lines[number] | changes
    write_lines(path, lines)


def test_a_run_is_read_as_it_was_written(run):
    found = read_run(run)
    assert (found.scheme, found.protocol, found.select, found.seeds) == ("cde", "honest", "fixed", (0, 1, 4))
    assert (found.class_names, found.epochs, found.pretrain, found.stores) == (NAMES, 4, None, ("store",))
    assert found.people == tuple(PEOPLE)
    assert found.datasets == ("casme2", "samm")
    assert [sample.label for sample in found.part("composite")] == [label for one in PEOPLE.values() for label in one]
    assert [sample.label for sample in found.part("samm")] == [0, 1, 1, 0, 2, 1]
    assert (found.missing, found.set_aside) == ((), 0)
    sample = found.samples["samm/007/c1"]
    assert (sample.person, sample.dataset, sample.label, sample.store, sample.row) == (
        "samm/007",
        "samm",
        2,
        "store",
        10,
    )
    one = found.predictions[4]["samm/007/c1"]
    assert (one.seed, one.fold, one.label, one.answer) == (4, "samm/007", 2, noisy(4, "samm/007/c1", 2))
    assert one.probabilities[one.answer] == 0.5
    fold = found.folds[1]["casme2/sub02"]
    assert (fold.train_n, fold.test_n, fold.epoch, len(fold.epochs), fold.test_epochs) == (10, 2, 4, 4, None)
    assert fold.epochs[0] == {"epoch": 1, "loss": 1.0, "val_loss": None, "val_uf1": None}


def test_scores_are_pooled_over_folds_by_seed_and_part(run):
    found = loso_scores(read_run(run))
    assert list(found["parts"]) == ["composite", "casme2", "samm"]
    labels = {f"{person}/c{k}": label for person, all_ in PEOPLE.items() for k, label in enumerate(all_)}
    for name, part in found["parts"].items():
        inside = {i: label for i, label in labels.items() if name in ("composite", i.split("/")[0])}
        assert part["n"] == len(inside)
        assert part["people"] == sum(name in ("composite", person.split("/")[0]) for person in PEOPLE)
        by_seed = []
        for k, seed in enumerate((0, 1, 4)):
            matrix = np.zeros((3, 3), int)
            for i, label in inside.items():
                matrix[label, noisy(seed, i, label)] += 1
            assert part["confusion"][k] == matrix.tolist()
            by_seed.append(scores_of(matrix, NAMES))
        for key in ("uf1", "uar", "accuracy"):
            values = [getattr(one, key) for one in by_seed]
            assert part[key]["by_seed"] == values
            assert part[key]["mean"] == pytest.approx(sum(values) / 3)
            assert part[key]["sd"] == pytest.approx(np.std(values) * np.sqrt(3 / 2))
        for label, one in part["per_class"].items():
            assert one["n"] == list(inside.values()).count(NAMES.index(label))
            assert one["f1"] == pytest.approx(np.mean([s.per_class[label].f1 for s in by_seed]))
            assert one["recall"] == pytest.approx(np.mean([s.per_class[label].recall for s in by_seed]))
        guess = chance(np.bincount(list(inside.values()), minlength=3))
        assert part["chance"] == {"uf1": guess.uf1, "uar": guess.uar, "accuracy": guess.accuracy}
        assert part["published"] is None


def test_the_shape_of_scores_json(run):
    returned = write_scores(run)
    written = json.loads((run / "scores.json").read_text())
    assert written == returned
    assert list(written) == ["class_names", "class_map", "scheme", "select", "protocol", "epochs", "seeds", "parts"]
    assert list(written["parts"]["samm"]) == [
        *("n", "people", "uf1", "uar", "accuracy", "per_class", "confusion", "chance", "published")
    ]
    assert [path.name for path in run.iterdir() if path.name.startswith(".")] == []


def test_lines_may_come_in_any_order(run):
    before = loso_scores(read_run(run))
    for name in ("predictions.jsonl", "folds.jsonl", "samples.jsonl"):
        lines = read_lines(run / name)
        np.random.default_rng(2).shuffle(lines)
        write_lines(run / name, lines)
    after = loso_scores(read_run(run))
    assert set(after["parts"]) == set(before["parts"])
    for name, part in before["parts"].items():
        assert after["parts"][name] == part


def test_spread_of_one_seed_has_no_sd():
    assert spread([0.25]) == {"mean": 0.25, "sd": None, "by_seed": [0.25]}
    assert spread([0.2, 0.4])["sd"] == pytest.approx(0.1 * np.sqrt(2))


def test_published_scoring_stands_beside_the_honest_one_and_is_labelled(tmp_path):
    def late(epoch: int, seed: int, sample: str, label: int) -> int:
        """Right in one epoch alone, another one in every seed and for every person."""
        return label if epoch == (seed + len(sample.split("/")[1])) % 4 else 0

    write_loso_run(tmp_path / "run", PEOPLE, negative, (0, 3), "published", late)
    found = loso_scores(read_run(tmp_path / "run"))["parts"]
    for name, supports in (
        ("casme2", [(2, 1, 1), (2, 0, 0)]),
        ("samm", [(1, 2, 0), (1, 0, 1), (0, 1, 0)]),
        ("composite", [(2, 1, 1), (1, 2, 0), (2, 0, 0), (1, 0, 1), (0, 1, 0)]),
    ):
        published = found[name]["published"]
        assert published["label"].startswith("optimistic: ")
        assert published["uf1"] == published["uar"] == published["accuracy"]
        assert published["uf1"] == {"mean": 1.0, "sd": 0.0, "by_seed": [1.0, 1.0]}
        guess = published_chance(supports, 4)
        assert published["chance"] == {"uf1": guess.uf1, "uar": guess.uar, "accuracy": guess.accuracy}
        assert published["chance_draws"] == 4
        assert found[name]["uf1"]["mean"] < 0.5 < published["chance"]["uf1"]


def test_always_negative_on_megc_folds(tmp_path):
    """Pooled, .241 and .333 on the composite; by the published scoring .574 and .631 on SAMM with nothing learnt."""
    people = counted("smic", SMIC) | counted("casme2", CASME2) | counted("samm", SAMM)
    write_loso_run(
        tmp_path / "run", people, negative, (0,), "published", lambda epoch, seed, sample, label: 0, epochs=2
    )
    parts = write_scores(tmp_path / "run")["parts"]
    composite, samm = parts["composite"], parts["samm"]
    assert (composite["n"], composite["people"], samm["n"], samm["people"]) == (442, 68, 133, 28)
    honest = [composite[key]["mean"] for key in ("accuracy", "uf1", "uar")]
    assert honest == pytest.approx([0.5656, 0.2408, 0.3333], abs=1e-4)
    assert [samm["published"][key]["mean"] for key in ("uf1", "uar")] == pytest.approx([0.574, 0.631], abs=5e-4)


def test_folds_of_equal_subject_names_stay_apart(tmp_path):
    write_loso_run(tmp_path / "run", {"casme2/s01": [0, 1], "smic/s01": [2, 2]}, right)
    found = loso_scores(read_run(tmp_path / "run"))["parts"]
    assert (found["composite"]["people"], found["casme2"]["people"], found["smic"]["n"]) == (2, 1, 2)


def test_an_unfinished_run_says_what_is_missing(run):
    folds = read_lines(run / "folds.jsonl")
    write_lines(run / "folds.jsonl", folds[:12])
    with pytest.raises(
        UsageError,
        match=r"expected 15 finished folds, 3 are missing, e\.g\. casme2/sub02 of seed 4; .*loso --data store",
    ):
        read_run(run)
    partial = read_run(run, allow_partial=True)
    assert partial.missing == ((4, "casme2/sub02"), (4, "samm/007"), (4, "samm/009"))
    assert partial.set_aside == 5
    assert set(partial.folds[4]) == {"casme2/sub01", "samm/sub01"}
    assert len(partial.predictions[4]) == 7
    with pytest.raises(UsageError, match="3 are missing"):
        loso_scores(partial)
    with pytest.raises(UsageError, match="3 are missing"):
        write_scores(run)
    assert not (run / "scores.json").exists()


def test_a_run_killed_within_a_line_is_read_up_to_it(run):
    folds, predictions = run / "folds.jsonl", run / "predictions.jsonl"
    folds.write_bytes(folds.read_bytes()[:-20])
    with pytest.raises(UsageError, match=r"folds\.jsonl, line 15: expected a whole line, found one cut off"):
        read_run(run)
    assert read_run(run, allow_partial=True).missing == ((4, "samm/009"),)
    predictions.write_bytes(predictions.read_bytes()[:-20])
    partial = read_run(run, allow_partial=True)
    assert (partial.missing, partial.set_aside) == (((4, "samm/009"),), 0)
    folds.unlink()
    predictions.unlink()
    assert len(read_run(run, allow_partial=True).missing) == 15


@pytest.mark.parametrize(
    ("name", "number", "changes", "message"),
    [
        ("samples.jsonl", 1, {"id": "casme2/sub01/c0"}, "line 2: sample casme2/sub01/c0: expected each sample once"),
        ("samples.jsonl", 0, {"label": "fear"}, "line 1: label: expected one of negative, positive, surprise, found 'fear'"),
        ("samples.jsonl", 0, {"person": "sub01"}, "person: expected casme2/SUBJECT, found sub01"),
        ("samples.jsonl", 0, {"dataset": "composite", "person": "composite/s"}, "dataset: expected another name"),
        ("samples.jsonl", 0, {"row": "3"}, "row: expected an integer, found '3'"),
        ("predictions.jsonl", 0, {"label": "surprise"}, "label of casme2/sub01/c0: expected negative, found surprise"),
        ("predictions.jsonl", 1, {"id": "casme2/sub01/c0"}, "it once in seed 0, found it twice"),
        ("predictions.jsonl", 0, {"id": "casme2/sub09/c0"}, "expected a sample of samples.jsonl"),
        ("predictions.jsonl", 0, {"fold": "samm/007"}, "expected casme2/sub01, found samm/007"),
        ("predictions.jsonl", 0, {"seed": 7}, r"seed: expected one of \[0, 1, 4\], found 7"),
        ("predictions.jsonl", 0, {"answer": None}, "answer: expected one of negative"),
        ("predictions.jsonl", 0, {"probabilities": {"negative": 1.0}}, "expected one for each of negative, positive"),
        (
            "predictions.jsonl", 0, {"probabilities": dict.fromkeys(NAMES, float("nan"))},
            "probabilities.negative: expected a finite number, found nan",
        ),
        ("predictions.jsonl", 0, {"probabilities": dict.fromkeys(NAMES, 0.5)}, "sum to 1"),
        (
            "predictions.jsonl", 0,
            {"answer": "surprise", "probabilities": {"negative": 0.8, "positive": 0.1, "surprise": 0.1}},
            "probabilities: expected the most for surprise, the answer, found negative",
        ),
        ("folds.jsonl", 0, {"fold": "samm/sub01", "test_n": 3}, "line 2: fold samm/sub01: expected it once in seed 0"),
        ("folds.jsonl", 0, {"fold": "nobody"}, "fold: expected a person of samples.jsonl"),
        ("folds.jsonl", 0, {"test_n": 5}, "test_n: expected 4, found 5"),
        ("folds.jsonl", 0, {"validation_people": ["casme2/sub01"]}, "validation_people: expected others"),
        ("folds.jsonl", 0, {"epochs": [{"loss": 1.0}]}, "epochs.0: expected an object with epoch and loss, found"),
        ("folds.jsonl", 0, {"test_epochs": {"ids": ["casme2/sub01/c0"], "answers": [[0]]}}, "the fold's 4 samples"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_with_its_place(run, name, number, changes, message):
    edit(run / name, number, **changes)
    with pytest.raises(UsageError, match=message):
        read_run(run)
    with pytest.raises(UsageError, match=name.replace(".", r"\.")):
        read_run(run, allow_partial=True)


def test_a_finished_fold_needs_all_its_predictions(run):
    lines = read_lines(run / "predictions.jsonl")
    write_lines(run / "predictions.jsonl", [line for line in lines if line["id"] != "samm/007/c1"])
    with pytest.raises(
        UsageError, match=r"seed 0, fold samm/007: expected predictions of all its 2 .* none of samm/007/c1"
    ):
        read_run(run)


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ([[0, 1, 2, 3]], "test_epochs.answers.0.3: expected a class index of 0 to 2, found 3"),
        ([[0, 1, 2, 2], [0, 1]], "epoch 2: expected 4 class indices"),
        ([], "test_epochs.answers: expected 1 or more, found .."),
        ([[0, 1, 2, 0.5]], "test_epochs.answers.0.3: expected an integer, found 0.5"),
    ],
)
def test_answers_of_epochs_are_complete(run, answers, message):
    edit(run / "folds.jsonl", 0, test_epochs={"ids": [f"casme2/sub01/c{k}" for k in range(4)], "answers": answers})
    with pytest.raises(UsageError, match=message):
        read_run(run)


def test_answers_of_epochs_are_there_for_all_folds_or_none(tmp_path, run):
    tested = {"ids": [f"casme2/sub01/c{k}" for k in range(4)], "answers": [[0, 0, 1, 2]] * 4}
    edit(run / "folds.jsonl", 0, test_epochs=tested)
    with pytest.raises(UsageError, match=r"equally many epochs in every fold, found \[0, 4\]"):
        loso_scores(read_run(run))
    write_loso_run(tmp_path / "bare", PEOPLE, right, protocol="published")
    with pytest.raises(UsageError, match="expected test_epochs in every fold under the published protocol"):
        loso_scores(read_run(tmp_path / "bare"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema_version": 2}, "schema_version: expected 1, found 2"),
        ({"seeds": [1, 1]}, "seeds: expected none twice, found"),
        ({"seeds": []}, "seeds: expected 1 or more"),
        ({"class_names": "negative"}, "class_names: expected a list, found 'negative'"),
        ({"scheme": "loso"}, "scheme: expected cde or sde, found 'loso'"),
        ({"config": {}}, "config: epochs: expected an integer of 1 or more, found None"),
        ({"config": None}, "config: expected an object"),
        ({"command": None}, "command: expected text"),
    ],
)
def test_a_head_that_does_not_fit_is_refused(run, changes, message):
    head = json.loads((run / "loso.json").read_text())
    (run / "loso.json").write_text(json.dumps(head | changes))
    with pytest.raises(UsageError, match=message):
        read_run(run)


def test_missing_and_broken_files_are_told_in_one_line(run, tmp_path):
    with pytest.raises(
        UsageError, match=r"expected the folder of a leave-one-subject-out run with loso\.json, found none"
    ):
        read_run(tmp_path / "nothing")
    (run / "predictions.jsonl").write_bytes(b'{"seed": 0\n\xff\n')
    with pytest.raises(UsageError, match=r"predictions\.jsonl, line 1: expected JSON, found something else"):
        read_run(run)
    (run / "samples.jsonl").write_text("[1]\n")
    with pytest.raises(UsageError, match=r"samples\.jsonl, line 1: expected an object, found \[1\]"):
        read_run(run)
    (run / "samples.jsonl").write_text("")
    with pytest.raises(UsageError, match=r"samples\.jsonl: expected one sample or more, found none"):
        read_run(run)
    (run / "samples.jsonl").unlink()
    with pytest.raises(UsageError, match=r"samples\.jsonl: expected a file of the run, found none"):
        read_run(run, allow_partial=True)
    (run / "loso.json").write_text("{")
    with pytest.raises(UsageError, match=r"loso\.json: expected JSON, found something else"):
        read_run(run)


def printed(scores) -> str:
    text = io.StringIO()
    for table in scores_table(scores):
        Console(width=80, file=text).print(table)
    return text.getvalue()


def test_tables_show_n_and_chance_beside_scores_and_mark_the_published_ones(tmp_path, run):
    scores = write_scores(run)
    text, part = printed(scores), scores["parts"]["composite"]
    rows = [[cell.strip() for cell in line.strip("│┃ ").split("│")] for line in text.splitlines()]
    uf1 = f"{part['uf1']['mean']:.3f} ± {part['uf1']['sd']:.3f}"
    assert ["composite", "12", "5", "UF1", uf1, f"{part['chance']['uf1']:.3f}"] in rows
    assert "4 epochs, the last kept, 3 seeds" in text
    assert "optimistic" not in text
    write_loso_run(tmp_path / "published", {"[b]d/a": [0, 0], "[b]d/b": [1]}, right, (0,), "published", lambda *_: 0)
    text = printed(write_scores(tmp_path / "published"))
    assert "Published scoring, optimistic: the best epoch" in " ".join(text.split())
    assert "the best of 4 guesses in every fold" in text
    assert "±" not in text
    assert "[b]d has no clips of surprise: left out of UAR, 0 in UF1" in " ".join(text.split())
    assert "composite" not in text  # of one dataset it would be the same again
