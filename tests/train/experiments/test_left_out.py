"""`python -m train ablate`: rows trained alike, gone on with, and shown."""

import argparse
import io
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

import train.commands.experiments
import train.experiments.left_out
from tests.helpers.ablations import NAMES, PEOPLE, SKILL, facts_of
from tests.helpers.loso_runs import EPOCHS, write_loso
from tests.helpers.stores import write_store
from train.clips.features import features_key
from train.clips.samples import open_stores, run_contract
from train.clips.store import ClipStore
from train.commands.ablate import SPEC, add_parser
from train.config_file import config_from
from train.errors import UsageError
from train.experiments.left_out import LeftOutPlan, run_left_out
from train.experiments.spec import read_spec
from train.loso.loso import LosoSettings
from train.loso.predictions import read_run


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    return write_store(tmp_path_factory.mktemp("data") / "clips", PEOPLE, clips_each=4, dataset="synthetic")


def quiet() -> Console:
    return Console(file=io.StringIO())


# Running


class FakeLoso:
    """In place of `train.loso.loso.loso`: writes the run that is asked for, and remembers what was asked."""

    def __init__(self, store: ClipStore) -> None:
        self.store, self.asked = store, list[LosoSettings]()
        self.killed_at: str | None = None

    def __call__(self, settings: LosoSettings, console: Console, workers: int, ray, overwrite: bool, command: str):
        self.asked.append(settings)
        out = Path(settings.config.out)
        if out.name == self.killed_at:
            raise KeyboardInterrupt
        if overwrite and out.is_dir():
            shutil.rmtree(out)
        write_loso(out, [self.store], settings.all_seeds, skill=SKILL.get(out.name, 1.2), select=settings.select)
        head = json.loads((out / "loso.json").read_text())
        keys = [features_key(store, run_contract(settings.config, [store])) for store in [self.store]]
        (out / "loso.json").write_text(json.dumps(head | settings.to_dict() | {"features": keys, "command": command}))
        return json.loads((out / "scores.json").read_text())


@pytest.fixture
def fake(store: ClipStore, monkeypatch: pytest.MonkeyPatch) -> FakeLoso:
    found = FakeLoso(store)
    monkeypatch.setattr(train.experiments.left_out, "loso", found)
    return found


def plan_for(store: ClipStore, out: Path, rows: tuple[str, ...] = NAMES, **changes: object) -> LeftOutPlan:
    values = {"data": [str(store.path)], "out": str(out), "epochs": EPOCHS, "size_px": 32} | changes
    return LeftOutPlan(read_spec(SPEC), LosoSettings(config_from(values), seeds=2), rows)


def test_rows_are_trained_alike_but_for_variant_and_loss(store, fake, tmp_path):
    facts = run_left_out(plan_for(store, tmp_path / "run", rotate=3), quiet(), 2, command="the command")
    assert [asked.config.variant for asked in fake.asked] == list(NAMES)
    first = fake.asked[0]
    for asked in fake.asked:
        differences = set(asked.config.differences(first.config))
        assert differences <= {"variant", "class_weights"}
        assert (asked.config.class_weights == "none") is (asked.config.variant == "plain")
        assert asked.config.rotate == 3 and asked.all_seeds == (0, 1)
        assert asked.config.out == str(tmp_path / "run" / asked.config.variant)
        assert replace(asked, config=first.config) == first
    assert facts == facts_of(tmp_path / "run") and facts["command"] == "the command"
    assert {path.name for path in (tmp_path / "run").iterdir()} == {*NAMES, *(f"ablation.{e}" for e in ("json", "md", "png"))}  # fmt: skip


def test_a_killed_ablation_goes_on_and_rows_can_be_added(store, fake, tmp_path):
    out = tmp_path / "run"
    fake.killed_at = "enhanced"
    with pytest.raises(KeyboardInterrupt):
        run_left_out(plan_for(store, out), quiet())
    assert not (out / "ablation.json").exists()
    fake.killed_at = None
    fake.asked.clear()
    run_left_out(plan_for(store, out, ("plain", "cbam")), quiet())
    assert fake.asked == [] and [row["name"] for row in facts_of(out)["rows"]] == ["plain", "cbam"]
    run_left_out(plan_for(store, out), quiet())
    assert [asked.config.variant for asked in fake.asked] == ["enhanced", "mh", "paper"]
    assert [row["name"] for row in facts_of(out)["rows"]] == list(NAMES)
    run_left_out(plan_for(store, out, ("plain",)), quiet(), overwrite=True)
    assert fake.asked[-1].config.variant == "plain"


def test_other_settings_or_clips_are_refused_before_anything_is_trained(store, fake, tmp_path):
    out = tmp_path / "run"
    run_left_out(plan_for(store, out, ("weighted",)), quiet())
    fake.asked.clear()
    with pytest.raises(
        UsageError, match=r"weighted: holds a row made with other settings \(dropout was 0\.3, is now 0\.5"
    ):
        run_left_out(plan_for(store, out, dropout=0.5), quiet())
    changed = write_store(tmp_path / "changed", PEOPLE, clips_each=4, dataset="synthetic", seed=9)
    moved = json.loads((out / "weighted" / "loso.json").read_text())
    moved["config"]["data"] = [str(changed.path)]
    (out / "weighted" / "loso.json").write_text(json.dumps(moved))
    with pytest.raises(UsageError, match="the clips, or how they are prepared, changed"):
        run_left_out(plan_for(changed, out), quiet())
    (out / "weighted" / "loso.json").write_text("{")
    with pytest.raises(UsageError, match="expected a run's settings, found something else"):
        run_left_out(plan_for(store, out), quiet())
    assert fake.asked == []


def test_a_store_that_cannot_be_written_has_its_features_kept_once(store, fake, tmp_path, monkeypatch):
    monkeypatch.setattr(train.experiments.left_out.os, "access", lambda path, mode: False)
    run_left_out(plan_for(store, tmp_path / "run", ("plain", "cbam")), quiet())
    assert {asked.config.cache_dir for asked in fake.asked} == {str(tmp_path / "run" / "features")}


def test_settings_that_make_no_ablation(store, tmp_path, capsys):
    plan = plan_for(store, tmp_path)
    with pytest.raises(UsageError, match=r"--rows: expected some of plain, .*found plain, papr"):
        LeftOutPlan(plan.spec, plan.base, ("plain", "papr"))
    with pytest.raises(UsageError, match="each once, found plain, plain"):
        LeftOutPlan(plan.spec, plan.base, ("plain", "plain"))
    with pytest.raises(UsageError, match="--pretrain: expected none"):
        LeftOutPlan(plan.spec, replace(plan.base, pretrain="runs/x"))
    for flags in (("--rows", ""), ("--rows", "papr"), ("--class-weights", "none")):
        with pytest.raises(
            (UsageError, SystemExit), match=r"--class-weights: expected weights|--rows: expected some of|2"
        ):
            run_command("--data", str(store.path), "--out", str(tmp_path / "run"), *flags)


def test_any_spec_may_leave_people_out(store, fake, tmp_path, capsys):
    spec = tmp_path / "spec.yaml"
    spec.write_text(
        "title: How wide\nseeds: [3, 4]\nloso: {select: validation}\nbase: {epochs: 5, variant: paper, size_px: 32}\n"
        "rows:\n  wide: {rotate: 8, about: the usual}\n  narrow: {rotate: 2}\n"
    )
    out = tmp_path / "run"
    flags = [str(spec), "--data", str(store.path), "--out", str(out), "--markdown", str(tmp_path / "copy.md")]
    assert run_command(*flags, command="experiments") == 0
    assert [(asked.config.rotate, asked.all_seeds, asked.select) for asked in fake.asked] == [
        (8, (3, 4), "validation"),
        (2, (3, 4), "validation"),
    ]
    facts = facts_of(out)
    assert [row["name"] for row in facts["rows"]] == ["wide", "narrow"] and facts["rows"][0]["title"] == "the usual"
    assert facts["title"] == "How wide" and [one["against"] for one in facts["comparisons"]] == ["wide"]
    assert (tmp_path / "copy.md").read_text().startswith("# How wide: n = 60 clips")
    assert "row 2 of 2: narrow" in capsys.readouterr().err
    for wrong, told in (
        ("--seeds=3", "--seeds"),
        ("--test=x", "--test"),
        ("--validation-people=ann", "--validation-people"),
    ):
        with pytest.raises(UsageError, match=f"{told}: expected none with a spec of leave-one-subject-out"):
            run_command(*flags, wrong, command="experiments")
    for old, new, told in (
        ("[3, 4]", "[3, 5]", "with loso: expected one after the other"),
        ("{select: validation}", "{epochs: 3}", "loso: epochs: expected one of scheme"),
        ("{rotate: 2}", "{kind: majority}", "row narrow: with loso: expected no kind, settings or seeds of its own"),
    ):
        wrong = tmp_path / "wrong.yaml"
        wrong.write_text(spec.read_text().replace(old, new))
        with pytest.raises(UsageError, match=told):
            run_command(str(wrong), *flags[1:], command="experiments")


def test_a_folder_with_something_else_is_left_alone(store, fake, tmp_path):
    (tmp_path / ".123.ablation.png").write_text("")  # as a kill leaves it while the picture is written
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match=r"found other files \(thesis\.txt\); choose another --out"):
        run_left_out(plan_for(store, tmp_path), quiet())
    with pytest.raises(UsageError, match="expected a folder for the ablation, found a file"):
        run_left_out(plan_for(store, tmp_path / "thesis.txt"), quiet())
    assert fake.asked == []


# Command


def run_command(*flags: str, command: str = "ablate") -> int:
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers()
    add_parser(commands)
    train.commands.experiments.add_parser(commands)
    args = parser.parse_args([command, *flags], argparse.Namespace(argv=[command, *flags]))
    return args.run(args)


def test_the_command_prints_the_table_and_what_it_says(store, fake, tmp_path, capsys):
    out = tmp_path / "run"
    flags = ["--data", str(store.path), "--out", str(out), "--size-px", "32", "--seeds", "2", "--epochs", str(EPOCHS)]
    assert run_command(*flags, "--rows", "plain,paper", "--json", str(tmp_path / "copy.json")) == 0
    printed = capsys.readouterr()
    assert "row 2 of 2: paper" in printed.err and "chance" in printed.out and "Another seed alone" in printed.out
    assert json.loads((tmp_path / "copy.json").read_text()) == facts_of(out)
    assert facts_of(out)["command"].startswith(f"python -m train ablate --data {store.path}")
    assert run_command(*flags, "--rows", "plain,paper", "--json", "-") == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out) == facts_of(out) and "paper (weighted loss" in printed.err
    assert "finished before" in printed.err
    fake.killed_at = "mh"
    assert run_command(*flags, "--rows", "mh") == 130
    assert "give the same command again" in capsys.readouterr().err


def test_flags_that_make_no_sense_here_say_what_does(capsys):
    for flag, instead in (("--variant", "choose rows with --rows"), ("--pretrain", "use `python -m train loso`")):
        with pytest.raises(SystemExit) as caught:
            run_command(flag, "x")
        assert caught.value.code == 2 and instead in capsys.readouterr().err
    with pytest.raises(SystemExit) as caught:
        run_command("--help")
    assert caught.value.code == 0
    told = capsys.readouterr().out
    assert "--variant" not in told and "--pretrain" not in told and "--rows" in told and "--rotate" in told


@pytest.mark.slow
def test_two_rows_for_real(tmp_path):
    store = write_store(tmp_path / "clips", ("ann", "bob"), clips_each=1)
    out = tmp_path / "run"
    flags = ["--data", str(store.path), "--out", str(out), "--rows", "plain,cbam", "--seeds", "1", "--epochs", "1"]
    flags += ["--size-px", "32", "--input", "difference", "--jobs", "1", "--workers", "1"]
    assert run_command(*flags) == 0
    facts = facts_of(out)
    assert [row["n"] for row in facts["rows"]] == [6, 6]
    runs = [read_run(out / name) for name in ("plain", "cbam")]
    assert runs[0].samples == runs[1].samples
    assert [run.config["class_weights"] for run in runs] == ["none", "auto"]
    losses = [run.folds[0]["fake/ann"].epochs[0]["loss"] for run in runs]
    assert losses[0] != losses[1]
    assert [len(open_stores(run.stores)[0]) for run in runs] == [6, 6]
