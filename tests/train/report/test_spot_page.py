"""`python -m train report` of a run over long videos: true to its scores, whole or not, with pictures or without."""

import asyncio
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.helpers.browser import CHROMIUM, browser_tab
from tests.helpers.report_page import Page
from tests.helpers.spot_runs import made_videos, write_pictures, write_spot_run
from train.__main__ import main
from train.challenge.scored_video import FrameEvent, ScoredVideo
from train.report.html import PAGE
from train.report.spot_moments import Moment, show_moments
from train.report.spot_run import events_of, open_spot_run

PICTURE = np.full((60, 80, 3), 90, np.uint8)


def report(run: Path, *flags: str) -> Page:
    out = run.parent / "page"
    assert main(["report", str(run), "--out", str(out), "--open", "no", *flags]) == 0
    for picture in out.glob("*.png"):
        assert cv2.imread(str(picture)) is not None
    return Page(out / PAGE)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run whose pictures are there, and in its folder's name a strange one."""
    folder, videos = tmp_path_factory.mktemp("spot"), made_videos()
    return write_spot_run(folder / "run<b>", videos, write_pictures(folder / "data", videos, PICTURE))


@pytest.fixture(scope="module")
def page(run: Path) -> Page:
    return report(run, "--mistakes", "6")


def test_the_page_says_what_the_scores_say(run: Path, page: Page) -> None:
    scores = json.loads((run / "scores.json").read_text())
    for part in ("micro", "macro", "overall"):
        one = scores[part]
        assert page.tables["score-table"].row(part) == [
            part, *(str(one[key]) for key in ("n", "tp", "fp", "fn")), f"{one['precision']:.3f}", f"{one['recall']:.3f}", f"{one['f1']:.3f}",
            f"{one['interval']['low']:.3f} to {one['interval']['high']:.3f}", f"{one['chance']['f1']:.3f}",
            f"{one['chance']['low']:.3f} to {one['chance']['high']:.3f}", f"{scores['false'][part]['per_min']:.2f}",
            f"{scores['false'][part]['per_watchable_min']:.2f}",
        ]  # fmt: skip
    for name, one in scores["by_subject"].items():
        row = page.tables["people-table"].row(name)
        assert row[4:8] == [*(str(one["micro"][key]) for key in ("tp", "fp", "fn")), f"{one['micro']['f1']:.3f}"]
    for name, one in scores["under_rules"].items():
        assert page.tables["rules-table"].row(name)[4] == f"{one['micro']['f1']:.3f}"
        assert one["words"] in page.text
    assert f"STRS {scores['strs']:.3f}" in page.text and f"{scores['strs_of_means']:.3f} as published" in page.text
    assert len(page.tables["video-table"].rows) == 2 + scores["videos_n"]
    assert page.tables["timing-table"].rows[1][3] == f"{scores['timing']['micro']['onset']['median_ms']:.0f}"
    others = [row[0] for row in page.tables["others-table"].rows]
    assert others == [
        "method",
        "this run",
        "chance",
        "this run, by the rules of the next line",
        "MDMD1",
        "optical flow by hand2",
    ]
    assert "fixed in advance: 0.5, the model's own" in page.text and "complete run: run<b>" in page.text
    names = {path.stem for path in (run.parent / "page").glob("*.png")}
    assert names == {"scores", "sensitivity", "confusion", "mistakes"}


def test_every_event_is_drawn_once_and_false_and_missed_ones_are_shown(run: Path, page: Page) -> None:
    opened = open_spot_run(run)
    scores = opened.scores["overall"]
    for name, count in (("hit", 2 * scores["tp"]), ("miss", scores["fn"]), ("false", scores["fp"])):
        # The legend has one of each.
        assert sum(page.source.count(f'class="{name} {kind}" x=') for kind in ("micro", "macro")) == count + (
            name == "miss"
        )
    photos = [image for image in page.images if str(image["src"]).startswith("data:image/jpeg")]
    assert len(photos) == 6 and page.text.count("They show people") == 1
    rows = page.tables["mistakes-table"].rows[1:]
    assert len(rows) == opened.scores["micro"]["fp"] + opened.scores["micro"]["fn"]
    probabilities = [float(row[6]) for row in rows if row[2] == "false"]
    assert probabilities == sorted(probabilities, reverse=True)


def test_the_page_needs_nothing_from_elsewhere_and_can_be_read_aloud(page: Page) -> None:
    assert all(url.startswith("data:image/") or url.removeprefix("#") in page.anchors for url in page.addresses)
    assert not {"script", "link", "iframe", "object", "form"} & set(page.tags)
    assert "http:" not in page.source and "https:" not in page.source and "@import" not in page.source
    assert page.headings[0] == "h1" and page.headings.count("h1") == 1 and page.loose_headers == []
    drawn = [image for image in page.images if str(image["src"]).startswith("data:image/png")]
    assert len(drawn) == 3 and all(image["alt"] and image["width"] for image in drawn)


def test_the_same_run_gives_the_same_page_and_one_without_pictures_of_people(
    run: Path, page: Page, tmp_path: Path
) -> None:
    assert main(["report", str(run), "--out", str(tmp_path), "--open", "no", "--mistakes", "6"]) == 0
    assert (tmp_path / PAGE).read_text(encoding="utf-8") == page.source
    assert main(["report", str(run), "--out", str(tmp_path), "--open", "no", "--mistakes", "0"]) == 0
    assert not (tmp_path / "mistakes.png").exists(), "what shows people stayed beside a page without"
    page = Page(tmp_path / PAGE)
    assert not any(str(image["src"]).startswith("data:image/jpeg") for image in page.images)
    assert "They show people" not in page.text
    assert len(page.tables["mistakes-table"].rows) > 1


def test_an_unfinished_run_is_reported_as_far_as_it_is(tmp_path: Path) -> None:
    run = write_spot_run(tmp_path / "run", made_videos(2, 2), finished=False)
    with (run / "videos.jsonl").open("a") as file:
        file.write('{"subject": "s99", "vid')  # a kill in the middle of a line
    page = report(run)
    assert "partial run: run" in page.text
    assert "These are the scores of the 4 videos that are done." in page.text.replace(
        "not finished: these", "not finished: These"
    )
    assert page.tables["score-table"].row("micro")[1] == str(open_spot_run(run).scores["micro"]["n"])
    chosen = write_spot_run(tmp_path / "loso", made_videos(3, 2), finished=False, choose="loso", min_probability=None)
    least = {one["min_probability"] for one in open_spot_run(chosen).scores["by_subject"].values()}
    assert len(least) > 1 and "leave one subject out" in report(chosen).text


def test_looser_rules_and_a_score_of_chance_are_said_first(tmp_path: Path) -> None:
    videos = made_videos(3, 2, skill=0.0)
    page = report(
        write_spot_run(tmp_path / "run", videos, rules="softnet", dataset="own", notes=["2 of 8 videos: --subjects a"])
    )
    assert "Scored by the looser rules “softnet”. What they hide: Whatever is found in a video" in page.text
    assert "The micro F1 is no better than that of intervals at random places" in page.text
    assert "2 of 8 videos: --subjects a" in page.text and "No figures are published of this dataset" in page.text
    opened = open_spot_run(tmp_path / "run")
    counted = [events_of(opened, video) for video in opened.videos]
    assert sum(len(one.false) for one in counted) == opened.scores["overall"]["fp"]


def test_predictions_without_classes_and_videos_without_events(tmp_path: Path) -> None:
    video = ScoredVideo("s1", "v<script>", 25.0, 0, 999, (), (FrameEvent("micro", 10, 20), FrameEvent("macro", 40, 90)))
    page = report(write_spot_run(tmp_path / "run", [video], by="predictions", predictions="theirs.csv"))
    assert "predictions: theirs.csv" in page.text and "there is no STRS" in page.text
    assert "These videos have no true micro-expression" in page.text and "No hit has both" in page.text
    assert page.tables["rules-table"].row("softnet")[4:] == ["–", "–", "–"]
    assert page.tables["rules-table"].row("pooled")[4:] == ["0.000", "0.000", "0.000"]
    assert "v<script>" in page.text and "Watchable" in page.text
    assert "the run says of no pictures; no pictures of it" in page.text


def test_pictures_that_are_gone_are_said_once_a_video(run: Path, tmp_path: Path) -> None:
    videos = made_videos(1, 2)
    data = write_pictures(tmp_path / "data", videos, PICTURE)
    made = write_spot_run(tmp_path / "run", videos, data)
    shutil.rmtree(data)
    page = report(made)
    assert page.text.count("is not there any more; no pictures of it") <= 2
    assert not (tmp_path / "page" / "mistakes.png").exists()


def test_frames_of_a_video_file_are_the_very_ones(tmp_path: Path) -> None:
    writer = cv2.VideoWriter(str(tmp_path / "v.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 25.0, (80, 60))
    for shade in range(40):
        writer.write(np.full((60, 80, 3), 6 * shade, np.uint8))
    writer.release()
    video = ScoredVideo("s", "v", 25.0, 101, 140, (), ())
    where = {"kind": "video", "path": str(tmp_path / "v.avi"), "first": 101}
    moment = Moment("false", video, FrameEvent("micro", 106, 116, 110), where)
    shown, problems = show_moments([moment], tmp_path / "sheet.png")
    assert problems == () and len(shown) == 1
    sheet = cv2.imread(str(tmp_path / "sheet.png"))
    assert sheet is not None
    assert [round(float(sheet[120, x].mean()) / 6) for x in (100, 400, 700)] == [5, 9, 15]
    beyond = Moment("false", video, FrameEvent("micro", 138, 150), where)
    assert show_moments([beyond], tmp_path / "none.png")[1] == (
        f"s/v: frame 144 of {tmp_path / 'v.avi'} cannot be read; no pictures of it",
    )


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("settings.json", "{", "settings.json"),
        ("settings.json", '{"kind": "else"}', "expected the settings of `python -m train spot-score`"),
        ("videos.jsonl", "", "expected a video that is done, found none yet"),
        ("videos.jsonl", '{"subject": "s", "video": "v"}\n', "videos.jsonl: expected what"),
        ("scores.json", "[]", "scores.json"),
        ("scores.json", "{}", "expected the scores of this run, found something else (KeyError('videos_n'))"),
        ("scores.json", None, "those of 11 videos, not of 12"),
    ],
)
def test_a_damaged_run_is_one_line(run: Path, tmp_path: Path, capsys, file: str, text: str | None, said: str) -> None:
    made = tmp_path / "run"
    shutil.copytree(run, made)
    if text is None:
        scores = json.loads((made / file).read_text())
        text = json.dumps({**scores, "videos_n": 11})
    (made / file).write_text(text)
    assert main(["report", str(made), "--open", "no"]) == 2
    error = capsys.readouterr().err
    assert said in " ".join(error.split()) and "Traceback" not in error


def test_against_another_run_is_refused(run: Path, capsys) -> None:
    assert main(["report", str(run), "--against", str(run), "--open", "no"]) == 2
    assert "which has nothing beside it" in " ".join(capsys.readouterr().err.split())


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")
@pytest.mark.usefixtures("page")
def test_in_a_browser_nothing_is_wider_than_a_phone_and_dark_is_dark(run: Path) -> None:
    asyncio.run(_looked_at(run.parent / "page" / PAGE))


async def _looked_at(path: Path) -> None:
    async with browser_tab() as tab:
        await tab.size(390, 800, mobile=True)
        await tab.scheme("dark")
        await tab.open(path.as_uri())
        await tab.until("document.readyState === 'complete'")
        assert await tab.run("document.documentElement.scrollWidth") <= 390
        fill = "getComputedStyle(document.querySelector('rect.lane')).fill"
        dark = await tab.run(fill)
        await tab.scheme("light")
        assert await tab.run(fill) != dark
        assert await tab.run("document.querySelectorAll('.timeline svg rect.hit').length") > 4
        assert tab.complaints == [] and all(not url.startswith("http") for url in tab.requests)
