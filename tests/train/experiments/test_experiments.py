"""Tables of experiments: specs, runs that are kept and gone on with, scores, live cost, and the command."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from rich.console import Console

from model.contract import ClipContract, CropGeometry, NetworkInput, Reference
from tests.helpers.stores import CLASSES, write_store
from train.__main__ import main
from train.clips.samples import open_stores, samples_of
from train.errors import TrainError, UsageError
from train.experiments.comparison import VALIDATION, experiments_facts, markdown
from train.experiments.kinds import KINDS
from train.experiments.live_cost import CAMERA_FPS, measure_live
from train.experiments.rows import Answers, LiveLine, RowAnswers, RowKind, RowTask
from train.experiments.schedule import SchedulePlan, read_finished, run_rows
from train.experiments.spec import SpecRow, read_spec
from train.scores.metrics import summary

BASE = {"variant": "plain", "size_px": 32, "epochs": 2, "batch": 4, "class_weights": "none"}
HELD = {"validation_people": ["dot"]}


def write_spec(path: Path, **parts: Any) -> Path:
    path.write_text(yaml.safe_dump({"base": BASE | HELD, "rows": {"flow": {"input": "flow"}}} | parts, sort_keys=False))
    return path


# Specs


def test_a_spec_is_read_with_its_presets_and_own_seeds(tmp_path: Path) -> None:
    rows = {
        "flow": {"input": "flow", "about": "to rest"},
        "paper": {"preset": "paper", "colour": "grey", "size_px": 32, "seeds": [7]},
        "bare": None,
    }
    spec = read_spec(write_spec(tmp_path / "s.yaml", title="Inputs", seeds=[0, 1], rows=rows))
    assert (spec.title, [row.name for row in spec.rows]) == ("Inputs", ["flow", "paper", "bare"])
    flow, paper, bare = spec.rows
    assert (flow.about, flow.kind, flow.seeds, dict(flow.overrides)) == (
        "to rest",
        "network",
        (0, 1),
        {"input": "flow"},
    )
    assert paper.seeds == (7,)
    config = paper.config({**spec.base, "data": ["x"]}, tmp_path, 7)
    assert (config.input, config.colour, config.size_px, config.epochs, config.variant) == (
        "pixels",
        "grey",
        32,
        200,
        "paper",
    )
    assert bare.config({**spec.base, "data": ["x"]}, tmp_path, 0).epochs == 2


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ({"rows": {}}, "rows: expected 1 or more, found {}"),
        ({"rows": ["flow"]}, "rows: expected an object, found ['flow']"),
        ({"rows": {"a/b": {}}}, "row a/b: expected a name of letters"),
        ({"rows": {"a": {"inputs": "flow"}}}, "row a: inputs: expected one of about, preset"),
        ({"rows": {"a": {"seed": 3}}}, "row a: seed: expected one of"),
        ({"rows": {"a": {"kind": "magic"}}}, "row a: kind: expected network"),
        ({"rows": {"a": {"preset": "papers"}}}, "preset: expected paper, found 'papers'"),
        ({"rows": {"a": {"seeds": []}}}, "row a: seeds: expected 1 or more, found []"),
        ({"rows": {"a": {"about": 3}}}, "row a: about: expected text"),
        ({"seeds": [1, 1]}, "seeds: expected different integers of 0 or more"),
        ({"seeds": [True]}, "seeds.0: expected an integer, found True"),
        ({"base": {"out": "x"}}, "base: out: expected one of"),
        ({"title": 5}, "title: expected text"),
        ({"colour": "grey"}, "colour: expected one of title, seeds, base, rows"),
    ],
)
def test_a_spec_that_does_not_fit_is_refused(tmp_path: Path, parts: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError) as error:
        read_spec(write_spec(tmp_path / "s.yaml", **parts))
    assert told in str(error.value)


def test_settings_that_do_not_fit_name_their_row(tmp_path: Path) -> None:
    row = SpecRow("odd", "", "network", (0,), {"input": "flow", "reference": "none"})
    with pytest.raises(UsageError, match="row odd: reference with input flow: expected ema or lag"):
        row.config({"data": ["x"]}, tmp_path, 0)


# Runs of a kind that trains nothing


class Guess:
    """Answers the class that each clip's last figure says, and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []

    def answers(self, task: RowTask) -> RowAnswers:
        from train.clips.samples import split_by_people

        self.asked.append((Path(task.config.out).parent.name, task.config.seed))
        samples = samples_of(open_stores(task.config.data))
        rows = split_by_people(samples, task.config).validation
        offset = task.settings.get("offset", 0)
        found = self._of(tuple(samples.ids[row] for row in rows), samples.labels[rows], offset)
        tests = {path: samples_of(open_stores((path,))) for path in task.test}
        return RowAnswers(5, found, {path: self._of(s.ids, s.labels, offset) for path, s in tests.items()})

    def _of(self, ids: tuple[str, ...], labels: Any, offset: int) -> Answers:
        return Answers(ids, np.eye(3, dtype=np.float32)[(np.asarray(labels) + offset) % 3])


@pytest.fixture
def guess(monkeypatch: pytest.MonkeyPatch) -> Guess:
    kind = Guess()
    monkeypatch.setitem(KINDS, "guess", RowKind(kind.answers, lambda task: None))  # type: ignore[arg-type]
    return kind


def plan_of(tmp_path: Path, spec_rows: dict[str, Any], test: tuple[str, ...] = (), **more: Any) -> SchedulePlan:
    data = tmp_path / "data"
    if not data.exists():
        write_store(data)
    spec = read_spec(write_spec(tmp_path / "s.yaml", seeds=[0, 1], rows=spec_rows))
    return SchedulePlan(spec, {"data": [str(data)], "workers": 1}, tmp_path / "out", test, **more)


GUESSES = {"right": {"kind": "guess"}, "wrong": {"kind": "guess", "settings": {"offset": 1}}}


def facts_of(plan: SchedulePlan) -> dict[str, Any]:
    found = [read_finished(plan, row, seed) for row in plan.spec.rows for seed in row.seeds]
    return experiments_facts(plan, [one for one in found if one], {}, {}, "the command")


def test_finished_rows_are_not_asked_again_and_rows_and_seeds_can_be_chosen(tmp_path: Path, guess: Guess) -> None:
    console = Console(quiet=True)
    run_rows(plan_of(tmp_path, GUESSES, rows=("wrong",), seeds=(1,)), console)
    assert guess.asked == [("wrong", 1)]
    assert facts_of(plan_of(tmp_path, GUESSES))["unfinished"] == ["right"]
    run_rows(plan_of(tmp_path, GUESSES), console)
    assert guess.asked == [("wrong", 1), ("right", 0), ("right", 1), ("wrong", 0)]
    run_rows(plan_of(tmp_path, GUESSES), console)
    assert len(guess.asked) == 4
    run_rows(plan_of(tmp_path, GUESSES, rows=("right",)), console, overwrite=True)
    assert guess.asked[4:] == [("right", 0), ("right", 1)]
    with pytest.raises(UsageError, match="--rows: expected some of right, wrong, found 'left'"):
        plan_of(tmp_path, GUESSES, rows=("left",))
    with pytest.raises(UsageError, match="--seeds: expected some of the spec's, found 9"):
        plan_of(tmp_path, GUESSES, seeds=(9,))


def test_answers_of_other_settings_or_clips_are_refused(tmp_path: Path, guess: Guess) -> None:
    console = Console(quiet=True)
    run_rows(plan_of(tmp_path, GUESSES), console)
    changed = GUESSES | {"wrong": {"kind": "guess", "settings": {"offset": 2}}}
    with pytest.raises(
        UsageError, match=r"wrong/seed-0.json: was made with other settings \(settings\); choose another"
    ):
        run_rows(plan_of(tmp_path, changed), console)
    longer = GUESSES | {"right": {"kind": "guess", "epochs": 3}}
    with pytest.raises(UsageError, match=r"other settings \(epochs\)"):
        run_rows(plan_of(tmp_path, longer), console)
    plan = plan_of(tmp_path, GUESSES)
    lines = (
        (tmp_path / "data" / "clips.jsonl")
        .read_text()
        .replace("positive", "POSITIVE")
        .replace("POSITIVE", "surprise", 1)
    )
    (tmp_path / "data" / "clips.jsonl").write_text(lines.replace("POSITIVE", "positive"))
    with pytest.raises(UsageError, match=r"other settings \(clips of .*data\)"):
        run_rows(plan, console)
    plan.kept(plan.spec.rows[0], 0).write_text("{}")
    with pytest.raises(UsageError, match="expected a row's answers, found something else"):
        run_rows(plan, console)


def test_test_people_must_not_be_seen_and_test_stores_are_answered_later_too(tmp_path: Path, guess: Guess) -> None:
    console, seen, other = Console(quiet=True), str(tmp_path / "seen"), str(tmp_path / "other")
    write_store(Path(seen), people=("dot", "eve"))
    write_store(Path(other), people=("eve",))
    run_rows(plan_of(tmp_path, GUESSES), console)
    with pytest.raises(
        UsageError, match=r"--test .*seen: expected people that no row trains or chooses on, found fake/dot"
    ):
        run_rows(plan_of(tmp_path, GUESSES, (seen,)), console)
    plan = plan_of(tmp_path, GUESSES, (other,))
    run_rows(plan, console)
    assert len(guess.asked) == 8
    facts = facts_of(plan)
    assert facts["parts"][other]["people"] == ["fake/eve"]
    assert facts["rows"][0]["parts"][other]["uf1"]["mean"] == 1.0
    run_rows(plan_of(tmp_path, GUESSES), console)  # without the test store, what is kept still does
    assert len(guess.asked) == 8


def test_validation_people_are_needed_and_settings_are_checked_before_anything_runs(
    tmp_path: Path, guess: Guess
) -> None:
    nobody = {"right": {"kind": "guess"}, "alone": {"kind": "guess", "validation_people": [], "validation_share": 0.0}}
    with pytest.raises(UsageError, match="row alone: expected validation people"):
        run_rows(plan_of(tmp_path, nobody), Console(quiet=True))
    coloured = {"right": {"kind": "guess"}, "rgb": {"kind": "guess", "input": "difference", "colour": "rgb"}}
    with pytest.raises(UsageError, match="row rgb: colour: rgb asked for"):
        run_rows(plan_of(tmp_path, coloured), Console(quiet=True))
    assert guess.asked == []


def test_a_kind_that_answers_other_clips_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = RowAnswers(0, Answers(("clip-001",), np.array([[1, 0, 0]], np.float32)), {})
    monkeypatch.setitem(KINDS, "guess", RowKind(lambda task: answers, lambda task: None))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="row right: answers on validation: expected 6 clips, found 1"):
        run_rows(plan_of(tmp_path, {"right": {"kind": "guess"}}), Console(quiet=True))


def test_answers_are_one_finite_row_a_clip() -> None:
    with pytest.raises(TrainError, match="one row for each of 2 different clips"):
        Answers(("a", "a"), np.ones((2, 3), np.float32))
    with pytest.raises(TrainError, match="finite probabilities"):
        Answers(("a",), np.array([[np.nan, 1.0]], np.float32))


# The table


def test_the_table_scores_all_rows_alike(tmp_path: Path, guess: Guess) -> None:
    plan = plan_of(tmp_path, GUESSES | {"late": {"kind": "guess"}}, rows=("right", "wrong"))
    run_rows(plan, Console(quiet=True))
    facts = facts_of(plan)
    right, wrong = facts["rows"]
    assert (right["parts"][VALIDATION]["uf1"], right["parameters"]) == (
        {"mean": 1.0, "sd": 0.0, "by_seed": [1.0, 1.0]},
        5,
    )
    assert wrong["parts"][VALIDATION]["uf1"]["mean"] == 0.0
    part = facts["parts"][VALIDATION]
    assert (part["n"], part["people"], part["class_counts"]) == (6, ["fake/dot"], dict.fromkeys(CLASSES, 2))
    assert part["chance"]["uf1"] == summary([0, 0, 1, 1, 2, 2], [0] * 6, CLASSES)["chance_uf1"]
    assert sum(one["n"] for one in right["parts"][VALIDATION]["by_peak"].values()) == 6
    assert facts["train"] == {"n": 18, "people": ["fake/ann", "fake/bob", "fake/cid"]}
    assert facts["unfinished"] == ["late"]
    text = markdown(facts)
    assert "| right | 2 | 5 | 1.000 ± 0.000 | 1.000 ± 0.000 |" in text
    assert "Not finished: late." in text
    assert "| chance | | | " in text.replace("|  |", "| |").replace("|  |", "| |")
    assert json.loads(json.dumps(facts)) == facts


# Live cost


def test_live_lines_get_every_frame_in_turn_in_their_colour(tmp_path: Path) -> None:
    store = write_store(tmp_path / "rgb", colour="rgb")
    told: list[tuple[str, tuple[int, ...], float]] = []
    crop = CropGeometry(32, 11.0, 10.0)

    def line(name: str, colour: str, fps: float) -> LiveLine:
        recipe = NetworkInput("difference", 32, colour)  # type: ignore[arg-type]
        contract = ClipContract(CLASSES, 9, fps, crop, recipe, Reference("ema", 1.0))

        def preprocess(crop: Any, time_s: float) -> float:
            told.append((name, crop.shape, time_s))
            return time_s

        return LiveLine(preprocess, lambda time_s: None, contract, 3)

    done: list[int] = []
    costs = measure_live({"a": line("a", "grey", 15.0), "b": line("b", "rgb", 30.0)}, store, 5, done.append)
    assert [name for name, _, _ in told] == ["a", "b"] * (len(told) // 2)
    assert {(name, shape) for name, shape, _ in told} == {("a", (32, 32)), ("b", (32, 32, 3))}
    assert np.diff([time_s for name, _, time_s in told if name == "a"]) == pytest.approx(1 / CAMERA_FPS)
    assert (costs["a"].preprocess.count, costs["a"].parameters, len(done)) == (5, 3, len(told) // 2)
    one = costs["a"]
    assert one.sum_ms == one.preprocess.p50_ms + one.model.p50_ms
    assert one.load == pytest.approx((30 * one.preprocess.p50_ms + 15 * one.model.p50_ms) / 1000)
    assert json.dumps(one.to_dict())


# The whole command, with real runs


@pytest.mark.slow
def test_the_command_trains_scores_times_and_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, held, out = tmp_path / "data", tmp_path / "held", tmp_path / "out"
    write_store(data)
    write_store(held, people=("eve",))
    rows = {
        "flow": {"input": "flow", "about": "to | rest"},
        "both": {"input": "both", "fps": 36},  # ten frames: enough to be streamed
        "paper": {"preset": "paper", "variant": "plain", "colour": "grey", "size_px": 32, "epochs": 1},
    }
    spec = write_spec(tmp_path / "s.yaml", title="Inputs", rows=rows)
    flags = ["experiments", str(spec), "--data", str(data), "--out", str(out), "--test", str(held), "--jobs", "1"]
    assert main([*flags, "--rows", "flow", "--live-frames", "0", "--json", "-"]) == 0
    first = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in first["rows"]] == ["flow"]
    assert first["rows"][0]["live"] is None
    model = out / "flow" / "seed-0" / "model.keras"
    (out / "flow" / "seed-0.json").unlink()  # killed between the run's end and its answers
    made = model.stat().st_mtime_ns
    assert main([*flags, "--live-frames", "3", "--markdown", str(tmp_path / "table.md")]) == 0
    shown = capsys.readouterr()
    assert "both, seed 0 (2 of 3)" in shown.err
    assert model.stat().st_mtime_ns == made
    facts = json.loads((out / "experiments.json").read_text())
    assert [(row["name"], row["live"]["fps"]) for row in facts["rows"]] == [
        ("flow", 30.0),
        ("both", 36.0),
        ("paper", 30.0),
    ]
    for row in facts["rows"]:
        run = out / row["name"] / "seed-0"
        metrics = json.loads((run / "metrics.json").read_text())
        assert row["parts"][VALIDATION]["uf1"]["mean"] == pytest.approx(metrics["uf1"])
        assert row["parameters"] == metrics["parameters"] == row["live"]["parameters"]
        assert row["parts"][str(held)]["by_peak"]
        assert main(["eval", "--data", str(held), "--model", str(run), "--json", str(tmp_path / "eval.json")]) == 0
        report = json.loads((tmp_path / "eval.json").read_text())
        assert row["parts"][str(held)]["uf1"]["mean"] == pytest.approx(report["uf1"])
    assert "flow: to \\| rest" in (tmp_path / "table.md").read_text() == (out / "experiments.md").read_text()
    assert (out / "experiments.png").read_bytes().startswith(b"\x89PNG")
    assert all(name in shown.out for name in rows)


def test_the_command_says_what_does_not_fit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_store(tmp_path / "data")
    spec = write_spec(tmp_path / "s.yaml")
    flags = ["experiments", str(spec), "--data", str(tmp_path / "data"), "--out", str(tmp_path / "out")]
    for more, told in (
        (["--live-frames", "-1"], "--live-frames: expected 0 or more, found -1"),
        (["--rows", "flows"], "--rows: expected some of flow, found 'flows'"),
        (["--json", str(tmp_path / "no" / "t.json")], "expected an existing folder to write into"),
        (["--validation-people", "zed"], "--validation-people: expected people of the data"),
    ):
        assert main([*flags, *more]) == 2
        assert told in " ".join(capsys.readouterr().err.split())
    with pytest.raises(SystemExit):
        main([*flags, "--seeds", "a"])
    assert "expected integers separated by commas" in capsys.readouterr().err
