"""`python -m train report`: one page that holds everything, true to the scores, whatever the run is like."""

import json
import shutil
import webbrowser
from pathlib import Path

import cv2
import pytest

from model.variants import VARIANTS
from tests.helpers.ablations import spec_rows
from tests.helpers.loso_runs import write_loso
from tests.helpers.report_page import Page
from tests.helpers.stores import write_store
from train.__main__ import main
from train.clips.store import ClipStore
from train.experiments.left_out import write_table
from train.loso.pooled_scores import loso_scores
from train.loso.predictions import read_run
from train.report.page import PAGE
from train.report.runs import finished_part


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> list[ClipStore]:
    """Two datasets whose people have the same names."""
    folder = tmp_path_factory.mktemp("stores")
    return [
        write_store(folder / "one", ("s01", "s02", "s03"), dataset="smic"),
        write_store(folder / "two", ("s01", "s02"), clips_each=1, dataset="samm", seed=1),
    ]


def report(run: Path, *flags: str) -> Page:
    out = run.parent / "page"
    assert main(["report", str(run), "--out", str(out), "--open", "no", *flags]) == 0
    page = Page(out / PAGE)
    for picture in out.glob("*.png"):
        assert cv2.imread(str(picture)) is not None
    assert (out / PAGE).stat().st_size < 3_000_000
    return page


def shown(entry: dict) -> str:
    return f"{entry['mean']:.3f}" + (f" ± {entry['sd']:.3f}" if entry["sd"] is not None else "")


def cells(part: dict, found: dict) -> list[str]:
    """A row's texts behind its title."""
    scores = [text for key in ("uf1", "uar", "accuracy") for text in (shown(found[key]), f"{found['chance'][key]:.3f}")]
    return [str(part["n"]), str(part["people"]), *scores]


def test_a_run_on_two_datasets_with_both_protocols(stores, tmp_path):
    run = write_loso(tmp_path / "run", stores, seeds=(0, 1, 2), skill=0.6, protocol="published")
    page = report(run)
    parts = json.loads((run / "scores.json").read_text())["parts"]
    assert list(parts) == ["composite", "smic", "samm"]
    for name, part in parts.items():
        assert page.tables["score-table"].row(name)[1:] == cells(part, part)
        assert page.tables["published-table"].row(name)[1:] == cells(part, part["published"])
    classes = page.tables["class-table"].rows
    assert classes[1] == ["composite", "negative", "8"] + [
        f"{parts['composite']['per_class']['negative'][key]:.3f}" for key in ("precision", "recall", "f1")
    ]
    assert len(classes) == 1 + 9
    ours = page.tables["others-table"].rows[2]
    assert ours[0] == "this run"
    assert "0.588" in next(row for row in page.tables["others-table"].rows if row[0].startswith("LBP-TOP"))
    assert "optimistic" in page.text and "complete run" in page.text
    assert "Not the clips of MEGC2019 (SMIC 18 for 164, SAMM 6 for 133)" in page.text
    names = {path.stem for path in (tmp_path / "page").glob("*.png")}
    confusions = {f"confusion-{name}" for name in parts}
    assert names == {"scores", "losses", "mistakes", "people-smic", "people-samm", *confusions}


def test_the_page_needs_nothing_from_elsewhere_and_can_be_read_aloud(stores, tmp_path):
    run = write_loso(tmp_path / "run", stores, seeds=(0, 1), skill=0.5)
    page = report(run)
    assert all(url.startswith("data:image/") or url.removeprefix("#") in page.anchors for url in page.addresses)
    assert not {"script", "link", "iframe", "object", "form"} & set(page.tags)
    assert "http:" not in page.source and "https:" not in page.source and "@import" not in page.source
    assert page.headings[0] == "h1" and page.headings.count("h1") == 1
    assert page.loose_headers == []
    drawn = [image for image in page.images if str(image["src"]).startswith("data:image/png")]
    photos = [image for image in page.images if str(image["src"]).startswith("data:image/jpeg")]
    assert len(drawn) == 7 and all(image["alt"] and image["width"] for image in drawn)
    assert len(photos) > 0 and all(image["alt"] == "" for image in photos)  # the words stand below each
    assert page.tags.count("source") == len(drawn)


def test_the_same_run_gives_the_same_page(stores, tmp_path):
    run = write_loso(tmp_path / "run", stores[:1], skill=0.5)
    assert report(run).source == report(run).source


def test_one_seed_has_no_spread_and_one_dataset_no_composite(stores, tmp_path):
    page = report(write_loso(tmp_path / "run", stores[:1], skill=1.0))
    table = page.tables["score-table"]
    assert table.parts == [None, None, "smic"]
    assert "±" not in " ".join(table.row("smic"))
    assert "One seed" in page.text and "published-table" not in page.tables
    assert "composite" not in page.tables["class-table"].rows[1]


def test_an_unfinished_run_is_reported_as_far_as_it_is(stores, tmp_path):
    """Two seeds of five people, stopped after eight folds: the three people done with both."""
    run = write_loso(tmp_path / "run", stores, seeds=(0, 1), finished=8)
    assert not (run / "scores.json").exists()
    page = report(run)
    assert "partial run" in page.text
    assert "2 of 10 folds are missing, of 2 people. The scores are those of the 3 people" in page.text
    assert "seed 1: 2 of 5 samm/s01, samm/s02" in page.text
    folds = {(line["seed"], line["fold"]) for line in lines(run / "folds.jsonl")}
    right = {
        seed: [p["answer"] == p["label"] for p in lines(run / "predictions.jsonl") if p["seed"] == seed and (1, p["fold"]) in folds]
        for seed in (0, 1)
    }  # fmt: skip
    accuracy = [sum(answers) / len(answers) for answers in right.values()]
    row = page.tables["score-table"].row("smic")
    assert row[1:3] == ["18", "3"] and row[7].startswith(f"{sum(accuracy) / 2:.3f} ± ")


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize(
    ("finished", "seeds", "people"), [(1, (0,), 1), (5, (0,), 5), (6, (0,), 5), (8, (0, 1), 3), (10, (0, 1), 5)]
)
def test_what_is_scored_of_an_unfinished_run(stores, tmp_path, finished, seeds, people):
    """As many predictions as possible of people who are done with all of the seeds."""
    run = read_run(write_loso(tmp_path / "run", stores, seeds=(0, 1), finished=finished), allow_partial=True)
    part = finished_part(run)
    assert part.seeds == seeds and len(part.people) == people
    scores = loso_scores(part)
    assert scores["parts"]["composite"]["n"] == len(part.samples)
    assert all(len(part.predictions[seed]) == len(part.samples) for seed in seeds)


def test_a_store_that_is_gone_or_changed_is_said_on_the_page(tmp_path, capsys):
    kept = write_store(tmp_path / "kept", ("ann", "bob"), dataset="kept")
    gone = write_store(tmp_path / "gone", ("ann", "cid"), dataset="gone")
    other = write_store(tmp_path / "other", ("dot", "eve"), dataset="other")
    run = write_loso(tmp_path / "run", [kept, gone, other], skill=-3.0)
    shutil.rmtree(gone.path)
    shutil.rmtree(other.path)
    write_store(other.path, ("dot", "eve"), class_names=("surprise", "positive", "negative"), dataset="other")
    page = report(run, "--mistakes", "99")
    assert f"no pictures of its clips: {gone.path}: expected a clip store" in page.text
    assert f"{other.path}: holds other clips than when the run was made" in page.text
    wrong = sum(p["answer"] != p["label"] for p in lines(run / "predictions.jsonl"))
    assert f"{wrong} of 36 clips were answered wrong" in page.text
    told = page.text.split("Misclassified clips", 2)[2]
    assert told.count("kept/clip-") > told.count("gone/clip-") > 0
    photos = [image for image in page.images if str(image["src"]).startswith("data:image/jpeg")]
    assert 0 < len(photos) < wrong


def test_nobody_wrong_and_no_pictures_wanted(stores, tmp_path):
    assert "all 6 clips were answered right" in report(write_loso(tmp_path / "right", stores[1:], skill=99.0)).text
    page = report(write_loso(tmp_path / "wrong", stores[1:], skill=-99.0), "--mistakes", "0")
    assert "6 of 6 clips were answered wrong" in page.text
    assert not any("jpeg" in str(image["src"]) for image in page.images)


def test_names_from_files_are_text_not_markup(tmp_path):
    odd = "<script>alert(1)</script>"
    people = (odd, "$\\frac{$ & {{ 7 * 7 }}", "../../a\n\"b'")
    store = write_store(tmp_path / "store", people, dataset="<img src=x>")
    store = renamed(store, {"clip-001": "</p><script src=//x.example></script>", "negative": "<b>low"})
    run = write_loso(tmp_path / "run", [store], skill=-3.0)
    page = report(run, "--mistakes", "99")
    assert "script" not in page.tags
    assert (
        odd in page.text
        and "<b>low" in page.text
        and "{{ 7 * 7 }}" in page.text
        and "</p><script src=//x.example></script>" in page.text
    )
    assert sorted(path.name for path in (tmp_path / "page").iterdir()) == [
        "confusion-img-src-x.png", "losses.png", "mistakes.png", "people-img-src-x.png", PAGE, "scores.png",
    ]  # fmt: skip


def renamed(store: ClipStore, names: dict[str, str]) -> ClipStore:
    """The store with other names in its files."""
    for file in ("clips.jsonl", "manifest.json"):
        text = (store.path / file).read_text()
        for old, new in names.items():
            text = text.replace(old, new)
        (store.path / file).write_text(text)
    return ClipStore.open(store.path)


def test_two_runs_beside_each_other(stores, tmp_path):
    weighted = write_loso(tmp_path / "weighted", stores, seeds=(0, 1), skill=1.0)
    plain = write_loso(tmp_path / "plain", stores, skill=0.5, settings={"class_weights": "none"})
    page = report(weighted, "--against", str(plain))
    titles = [row[0] for rows in page.tables.values() for row in rows.rows if row]
    assert {"composite, weighted", "composite, plain", "samm, plain"} <= {t.replace("SAMM", "samm") for t in titles}
    for text in ("class_weights: auto / none", "seeds: 0, 1 / 0", "Class weights scale a loss"):
        assert text in page.text
    alt = next(str(image["alt"]) for image in page.images if "Loss by epoch" in str(image["alt"]))
    assert "weighted: weighted cross-entropy (0.3/0.35/0.35)" in alt and "plain: plain cross-entropy" in alt


def write_rows(folder: Path, stores: list[ClipStore], finished: dict[str, int | None]) -> Path:
    """The rows of `finished` with so many finished folds (None: all), as they lie there before they are compared."""
    for name, folds in finished.items():
        settings = {"variant": name, "class_weights": "auto" if VARIANTS[name].weighted_loss else "none"}
        skill = 0.2 + 0.3 * list(VARIANTS).index(name)
        write_loso(folder / name, stores, seeds=(0, 1), finished=folds, skill=skill, settings=settings)
    return folder


def test_an_ablation_has_its_rows_compared_and_two_losses(stores, tmp_path):
    run = write_rows(tmp_path / "ablation", stores[:1], dict.fromkeys(VARIANTS))
    facts = write_table(run, "Ablation", spec_rows(), "python -m train ablate --out here")
    page = report(run)
    for name, told in zip(VARIANTS, facts["rows"], strict=True):
        part = told["scores"]["composite"]
        published = [f"{value:.3f}" for value in (VARIANTS[name].published_uf1, VARIANTS[name].published_uar)]
        row, scores = page.tables["ablation-table"].row(name), cells(part, part)
        assert row[1:] == [f"{told['parameters']:,}", scores[0], *scores[2:], *published]
        assert row[0] == f"{name}{told['title']}"
    assert all(sentence in page.text for sentence in facts["text"])
    compared = page.tables["comparison-table"].rows[1:]
    assert [row[0] for row in compared] == [f"{c['row']} − {c['against']}" for c in facts["comparisons"]]
    assert compared[-1][1].replace("−", "-") == f"{facts['comparisons'][-1]['mean']:+.3f}"
    assert "6 of 6 rows complete" in page.text and "Row “paper”" in page.text
    assert "python -m train ablate --out here" in page.text
    alt = next(str(image["alt"]) for image in page.images if "Loss by epoch" in str(image["alt"]))
    assert "weighted: weighted cross-entropy" in alt and "plain: plain cross-entropy" in alt
    assert len(list((tmp_path / "page").glob("confusion-row-*.png"))) == 6


def test_an_ablation_that_is_not_finished_or_was_gone_on_with(stores, tmp_path, capsys):
    run = write_rows(tmp_path / "ablation", stores[:1], {"plain": None, "weighted": 2, "cbam": 0})
    page = report(run)
    assert "1 of 6 rows complete" in page.text and "Row “paper” has no result yet: not begun." in page.text
    assert "Row “cbam” has no result yet: no fold is finished." in page.text
    assert "The rows are not scored on the same clips" in page.text and "comparison-table" not in page.tables
    assert page.tables["ablation-table"].row("weighted")[0].startswith("weighted (2 of 6 folds)")
    assert set(page.tables["ablation-table"].row("paper")[1:-2]) == {"–"}
    capsys.readouterr()
    assert "leave it out" in fails(["report", str(run), "--against", str(run / "plain")], capsys)
    shutil.rmtree(run / "weighted")
    write_rows(run, stores[:1], {"weighted": None})
    write_table(run, "Ablation", spec_rows("plain", "weighted"), "")
    assert "comparison-table" in report(run).tables
    shutil.rmtree(run / "weighted")
    write_loso(run / "weighted", stores[:1], seeds=(0, 1), skill=3.0, settings={"variant": "weighted"})
    page = report(run)
    assert "not compared yet" in page.text and "comparison-table" not in page.tables
    capsys.readouterr()
    (run / "ablation.json").write_text("{}")
    assert "expected what `python -m train ablate` writes" in fails(["report", str(run)], capsys)
    nothing = write_rows(tmp_path / "nothing", stores[:1], {"plain": 0})
    assert "found none yet" in fails(["report", str(nothing)], capsys)


def test_the_page_opens_in_a_browser_only_when_asked_or_on_a_desktop(stores, tmp_path, monkeypatch):
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    run = write_loso(tmp_path / "run", stores[1:])
    assert main(["report", str(run)]) == 0  # standard output is no terminal here
    assert opened == []
    assert main(["report", str(run), "--open", "yes"]) == 0
    assert opened == [(run / "report" / PAGE).resolve().as_uri()]


def fails(argv: list[str], capsys: pytest.CaptureFixture[str], code: int = 2) -> str:
    """The one line on standard error of a command that must end with `code`."""
    assert main(argv) == code
    error = capsys.readouterr().err
    assert len(error.strip().splitlines()) == 1, error
    return error


def test_what_cannot_be_reported_is_said_in_one_line(stores, tmp_path, capsys):
    assert "loso.json" in fails(["report", str(tmp_path / "nothing")], capsys)
    assert not (tmp_path / "nothing").exists()
    begun = write_loso(tmp_path / "begun", stores[:1], finished=0)
    assert "no" in fails(["report", str(begun)], capsys) and not (begun / "report").exists()
    run = write_loso(tmp_path / "run", stores[:1])
    assert "--mistakes" in fails(["report", str(run), "--mistakes", "-1"], capsys)
    assert "loso.json" in fails(["report", str(run), "--against", str(tmp_path)], capsys)
    (tmp_path / "file").write_text("")
    assert "found a file" in fails(["report", str(run), "--out", str(tmp_path / "file")], capsys)
    scores = json.loads((run / "scores.json").read_text())
    (run / "scores.json").write_text(json.dumps(scores | {"seeds": [7]}))
    assert "expected scores of" in fails(["report", str(run)], capsys)
    (run / "scores.json").write_text("{")
    assert "expected the run's scores" in fails(["report", str(run)], capsys)
    for change in (
        lambda part: part.pop("n"),
        lambda part: part.update(people="x"),
        lambda part: part["uf1"].update(mean=[1, "a"]),
        lambda part: part["confusion"][0].__setitem__(0, False),
        lambda part: part["per_class"].pop("negative"),
        lambda part: part["chance"].update(uar=1e300),
    ):
        damaged = json.loads(json.dumps(scores))
        change(damaged["parts"]["fake" if "fake" in damaged["parts"] else "smic"])
        (run / "scores.json").write_text(json.dumps(damaged))
        assert "expected the run's scores" in fails(["report", str(run)], capsys)
    (run / "scores.json").write_text("[" * 10_000)
    assert "expected the run's scores" in fails(["report", str(run)], capsys)
    (run / "samples.jsonl").write_text("[" * 10_000 + "\n")
    assert "samples.jsonl" in fails(["report", str(run)], capsys)
    (run / "samples.jsonl").write_text("[]\n")
    assert "samples.jsonl" in fails(["report", str(run)], capsys)
