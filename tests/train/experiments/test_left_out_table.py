"""An ablation as JSON, Markdown, picture and sentences: true to the numbers."""

import io
import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from rich.console import Console

from model.complexity import count_parameters
from model.variants import VARIANTS
from tests.helpers.ablations import NAMES, PEOPLE, facts_of, spec_rows, write_rows
from tests.helpers.loso_runs import write_loso
from tests.helpers.stores import FRAMES, LEAD_FRAMES, write_store
from train.clips.store import ClipStore
from train.config_file import config_from
from train.experiments.conclusion import conclusion, difference_text
from train.experiments.left_out import write_table
from train.experiments.left_out_rows import read_rows
from train.experiments.left_out_table import clips_text, markdown, terminal_table
from train.experiments.paired import Bootstrap, Comparison
from train.text_table import signed


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    return write_store(tmp_path_factory.mktemp("data") / "clips", PEOPLE, clips_each=4, dataset="synthetic")


@pytest.fixture(scope="module")
def finished(store: ClipStore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All six rows with answers of our choosing, and the table made of them."""
    folder = tmp_path_factory.mktemp("runs") / "ablation"
    write_rows(folder, store)
    write_table(folder, "Ablation", spec_rows(), "python -m train ablate --out here")
    return folder


# Table


def test_the_json_has_scores_parameters_and_the_papers_numbers(finished):
    facts = facts_of(finished)
    assert [row["name"] for row in facts["rows"]] == list(NAMES)
    assert (facts["n"], facts["people"], facts["seeds"], facts["class_counts"]) == (60, 5, [0, 1, 2], [20, 20, 20])
    assert facts["chance"]["uf1"] == pytest.approx(1 / 3, abs=0.02)
    for row in facts["rows"]:
        written = json.loads((finished / row["name"] / "scores.json").read_text())
        assert row["scores"] == written["parts"]
        config = config_from(json.loads((finished / row["name"] / "loso.json").read_text())["config"])
        assert row["parameters"] == count_parameters(config.network_config(FRAMES - LEAD_FRAMES, 3, (0.0, 1.0)))
        low, high = row["uf1_interval"]
        assert 0 <= low < row["scores"]["composite"]["uf1"]["mean"] < high <= 1
    parameters = [row["parameters"] for row in facts["rows"]]
    assert parameters[0] == parameters[1] < parameters[2] < parameters[3] < parameters[5] < parameters[4]
    paper = facts["rows"][-1]["paper"]
    assert paper == {"uf1": 0.732, "uar": 0.751, "accuracy": 0.79, "parameters": 2_836_759}


def test_the_built_network_has_as_many_parameters(finished):
    from model.network import build_network

    for row in read_rows(finished, spec_rows("plain", "paper")):
        assert row.parameters == build_network(row.network).count_params()


def test_the_markdown_is_the_papers_table(finished):
    text, facts = (finished / "ablation.md").read_text(), facts_of(finished)
    lines = [[cell.strip() for cell in line[1:-1].split("|")] for line in text.splitlines() if line.startswith("|")]
    heads, rows = lines[0], lines[2:]
    assert heads[:10] == [
        "row", "weighted CCE", "CBAM", "CBAM, new channel", "MH", "MSMH", "parameters", "UF1", "UAR", "ACC",
    ]  # fmt: skip
    assert {len(line) for line in lines} == {len(heads)}
    assert [row[1:6] for row in rows[:6]] == [
        ["", "", "", "", ""],
        ["✓", "", "", "", ""],
        ["✓", "✓", "", "", ""],
        ["✓", "", "✓", "", ""],
        ["✓", "", "✓", "✓", ""],
        ["✓", "", "✓", "", "✓"],
    ]
    for line, row in zip(rows, facts["rows"], strict=False):
        part = row["scores"]["composite"]
        assert line[6] == f"{row['parameters']:,}"
        assert line[7:10] == [f"{part[key]['mean']:.3f} ± {part[key]['sd']:.3f}" for key in ("uf1", "uar", "accuracy")]
        assert line[11] == f"*{row['paper']['uf1']:.3f}*"
    assert rows[6][0] == "chance" and rows[6][7] == f"{facts['chance']['uf1']:.3f}"
    assert "n = 60 clips of 5 people (synthetic), 3 seeds" in text
    assert "of other data and optimistic" in text
    assert all(sentence in text for sentence in facts["text"])
    assert "Made by `python -m train ablate --out here`" in text


def test_two_datasets_and_the_published_scoring(store, tmp_path):
    other = write_store(tmp_path / "other", ("ann", "zed"), clips_each=2, dataset="casme2", seed=1)
    run = tmp_path / "run"
    write_rows(run, store, other, seeds=(0,), protocol="published")
    facts = write_table(run, "Ablation", spec_rows(), "here")
    text = (run / "ablation.md").read_text()
    assert "## synthetic: 60 clips of 5 people" in text and "## casme2: 12 clips of 2 people" in text
    published = facts["rows"][0]["scores"]["composite"]["published"]
    (chance,) = (line for line in text.splitlines() if line.startswith("| chance |  |"))
    assert "UF1, published scoring (optimistic)" in text and f"{published['chance']['uf1']:.3f}" in chance
    assert any(sentence.startswith("Some of the people are synthetic") for sentence in facts["text"])
    assert any("one seed only" in sentence for sentence in facts["text"])
    assert markdown(facts) == text


def test_the_terminal_table_fits_80_columns(finished):
    console = Console(file=io.StringIO(), width=80)
    console.print(terminal_table(facts_of(finished)).shown())
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    assert "…" not in printed
    for name in NAMES:
        assert name in printed


# Picture


def test_the_picture_shows_the_scores_on_their_whole_scale(finished):
    from train.experiments.drawing import left_out_figure

    facts = facts_of(finished)
    figure = left_out_figure(facts)
    ticks, uf1, gains = figure.axes
    assert uf1.get_xlim() == (0, 1)
    assert clips_text(facts) in figure.get_suptitle()
    means = [row["scores"]["composite"]["uf1"]["mean"] for row in facts["rows"]]
    drawn = [line.get_xdata()[0] for line in uf1.lines if line.get_marker() == "o" and len(line.get_xdata()) == 1]
    assert drawn == pytest.approx(means)
    seeds = [list(line.get_xdata()) for line in uf1.lines if len(line.get_xdata()) == 3]
    assert seeds == [row["scores"]["composite"]["uf1"]["by_seed"] for row in facts["rows"]]
    chance = next(line for line in uf1.lines if str(line.get_label()).startswith("chance"))
    assert chance.get_xdata()[0] == facts["chance"]["uf1"]
    assert gains.get_xlim()[0] == -gains.get_xlim()[1]
    shown = {text.get_text() for text in ticks.texts}
    assert {f"{row['parameters'] / 1e6:.2f} M" for row in facts["rows"]} == shown
    image = cv2.imread(str(finished / "ablation.png"))
    assert image is not None and image.std() > 5


def test_one_row_with_one_seed_has_its_table_and_picture(store, tmp_path):
    write_rows(tmp_path, store, seeds=(0,))
    facts = write_table(tmp_path, "Ablation", spec_rows("cbam"), "here")
    assert [row["name"] for row in facts["rows"]] == ["cbam"] and facts["comparisons"] == []
    assert cv2.imread(str(tmp_path / "ablation.png")) is not None


def test_rows_that_answer_alike_have_a_picture(store, tmp_path):
    write_rows(tmp_path, store, seeds=(0,))
    write_table(tmp_path, "Ablation", spec_rows("plain", "weighted"), "here")
    assert cv2.imread(str(tmp_path / "ablation.png")) is not None


# Words


def test_the_sentences_follow_the_numbers(finished):
    facts, rows = facts_of(finished), read_rows(finished, spec_rows())
    text = " ".join(facts["text"])
    by_name = {row["name"]: row["scores"]["composite"]["uf1"] for row in facts["rows"]}
    low, high = (pick(by_name, key=lambda name: by_name[name]["mean"]) for pick in (min, max))
    assert f"between {by_name[low]['mean']:.3f} ({low}) and {by_name[high]['mean']:.3f} ({high})" in text
    pooled = np.sqrt(np.mean([row["sd"] ** 2 for row in by_name.values()]))
    assert f"Another seed alone moves a row's UF1 by {pooled:.3f}" in text
    told, untold = text.split("None is shown", 1)
    for one in (c for c in facts["comparisons"] if c["against"] == "plain"):
        found = f"{one['row']} {signed(one['mean'])} ({signed(one['low'])} to {signed(one['high'])})"
        assert found in (told if one["tells"] else untold)
    assert "With 5 people the intervals are rough" in text
    assert "Of 9 such intervals 0.5 would miss 0 by luck alone" in text
    assert "0.30 for the 20 negative, 0.35 for the 20 positive, 0.35 for the 20 surprise clips" in text
    assert "1.17 times as much as the one that counts least, without weights 1.00 times" in text
    assert "All people and expressions are synthetic" in text and "another dataset (SMIC)" in text
    # The same rows, had the bootstrap told otherwise.
    alike = [replace(c, mean=0.0, low=-0.01, high=0.01) for c in Bootstrap(rows).comparisons()]
    other = " ".join(conclusion(rows, Bootstrap(rows), alike))
    assert "no difference is shown" in other and "a difference is shown" not in other


def test_scores_at_chance_and_at_the_ceiling_are_called_so(store, tmp_path):
    for name, skill in (("plain", 0.0), ("paper", 9.0)):
        weights = {} if VARIANTS[name].weighted_loss else {"class_weights": "none"}
        write_loso(tmp_path / name, [store], (0, 1), skill=skill, select="fixed", settings={"variant": name} | weights)
    text = " ".join(write_table(tmp_path, "Ablation", spec_rows("plain", "paper"), "here")["text"])
    assert "Not shown to be above guessing (95 % interval): plain." in text
    assert "near the ceiling" in text


def test_the_papers_own_dataset_is_named_as_such(tmp_path):
    smic = write_store(tmp_path / "smic", ("s01", "s02"), dataset="smic")
    write_rows(tmp_path / "run", smic, seeds=(0,))
    text = write_table(tmp_path / "run", "Ablation", spec_rows("plain", "paper"), "here")["text"][-1]
    assert text.startswith("The clips are of smic.") and "another dataset (SMIC)" in text  # 12 clips, not its 164


def test_signs():
    assert [signed(v) for v in (0.0123, -0.0123, 0.0004, -0.0004)] == ["+0.012", "−0.012", "0.000", "0.000"]
    one = Comparison("b", "a", (0.01,), 0.01, None, -0.002, 0.03, 1, 0)
    assert difference_text(one) == "+0.010 (−0.002 to +0.030)"
