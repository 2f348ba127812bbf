"""`agree` and `labels` as a user runs them: tables, JSON, a page, files out and in, errors in one line."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import run_live
from stream.labels.exchange import labelled
from stream.labels.label_log import Fields, LabelLog
from stream.labels.reviewable import find_reviewables
from stream.review.open_desk import DEMO_FOLDER
from tests.helpers.eaf_rules import eaf_faults
from tests.helpers.paths import ROOT
from tests.helpers.report_sessions import REST, line, made, row


def _run(*argv: object) -> int:
    return run_live.main([str(word) for word in argv])


def _label(path: Path, coder: str, *actions: tuple[str, Fields]) -> None:
    with LabelLog(find_reviewables([path])[0].labels_of(coder), coder) as log:
        for name, fields in actions:
            log.add(name, fields)


@pytest.fixture
def sessions(tmp_path: Path) -> Path:
    """Two sessions of 20 s with four events of the program; Anna has both, Ben the first one alone.

    First: Anna accepts e1, e2, e3; Ben e1, e2 as positive, and one of his own. Second: Anna accepts e1."""
    runs = tmp_path / "runs"
    runs.mkdir()
    for name in ("one", "two"):
        events = [line(n, 4.0 * n, label="negative", action_units=["4"]) for n in range(1, 5)]
        made(runs / name, [row(n, n / 10, REST) for n in range(201)], events)
    yes: Fields = {"verdict": "accepted"}
    _label(runs / "one", "anna", ("e1", yes), ("e2", yes), ("e3", yes), ("e4", {"verdict": "rejected"}))
    own: Fields = {"label": "negative", "onset_s": 18.0, "apex_s": 18.1, "offset_s": 18.3}
    _label(runs / "one", "ben", ("e1", {**yes, "onset_s": 3.92}), ("e2", {**yes, "label": "positive"}), ("a1", own))
    _label(runs / "two", "anna", ("e1", yes))
    return runs


def test_agreement_of_a_session_as_by_hand(sessions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Anna 3 events, Ben 3, both e1 and e2: F1 2·2/6. Ben's onset of e1 is 20 ms late, of e2 equal."""
    told, page = tmp_path / "told.json", tmp_path / "told.html"
    assert _run("agree", sessions / "one", "--coders", "anna,ben", "--json", told, "--page", page) == 0
    (pair,) = json.loads(told.read_text())["pairs"]
    assert pair["events"] == {"matched": 2, "only_first": 1, "only_second": 1, "f1": pytest.approx(2 / 3)}
    assert pair["differences"]["onset"]["mean_ms"] == pytest.approx(10)
    assert pair["classes"]["cohens_kappa"] == {"value": 0.0, "n": 2}
    assert pair["action_units"]["facs_index"] == 1.0
    # AU 4 acts for 3 · .25 s of 20 s to Anna, .23 + .25 s to Ben; both in the latter.
    (unit,) = pair["action_units"]["units"]
    mine, theirs = 0.75 / 20, 0.48 / 20
    chance = mine * theirs + (1 - mine) * (1 - theirs)
    assert unit["kappas"][0] == pytest.approx((1 - 0.27 / 20 - chance) / (1 - chance))
    said = capsys.readouterr().out
    assert "anna – ben" in said and "0.67" in said and "ben 2" in said and str(page) in "".join(said.split("\n"))
    assert page.read_text(encoding="utf-8").count('class="card"') == 3


def test_agreement_of_the_made_coders_as_by_hand(tmp_path: Path) -> None:
    """Anna accepts seven events, Ben six of them, each 67 ms later and with the same units, one as negative that is surprise to
    her, and one of his own.

    Classes: they agree on 5 of 6; Anna says negative, positive, surprise twice each, Ben 3, 2, 1 times: chance is
    (2·3 + 2·2 + 2·1) / 36 = 1/3. AU 1 acts in two events of 0.4 s of the 23.966667 s."""
    told = tmp_path / "told.json"
    assert _run("agree", DEMO_FOLDER, "--coders", "anna,ben", "--json", told) == 0
    (pair,) = json.loads(told.read_text())["pairs"]
    assert pair["events"] == {"matched": 6, "only_first": 1, "only_second": 1, "f1": pytest.approx(12 / 14)}
    for moment in ("onset", "apex", "offset"):
        assert pair["differences"][moment]["mean_ms"] == pytest.approx(67)
    assert pair["classes"]["cohens_kappa"] == {"value": pytest.approx((5 / 6 - 1 / 3) / (2 / 3)), "n": 6}
    assert pair["action_units"]["facs_index"] == pytest.approx(2 * 11 / (11 + 11))
    share = 2 * 0.4 / 23.966667
    chance = share**2 + (1 - share) ** 2
    agreed = 1 - 4 * 0.067 / 23.966667
    first = pair["action_units"]["units"][0]
    assert (first["unit"], first["events"]) == ("1", [2, 2])
    assert first["kappas"] == [pytest.approx((agreed - chance) / (1 - chance)), *[pytest.approx(1)] * 3]
    assert {unit["unit"]: unit["kappas"][0] for unit in pair["action_units"]["units"] if unit["events"][1] == 0} == {
        "15": pytest.approx(0),
        "17": pytest.approx(0),
    }


@pytest.mark.parametrize("ending", [".eaf", ".tsv", ".csv"])
def test_the_made_coders_labels_come_back(tmp_path: Path, ending: str) -> None:
    shutil.copytree(DEMO_FOLDER, tmp_path / "demo")
    for coder in ("anna", "ben"):
        out = tmp_path / f"{coder}{ending}"
        assert _run("labels", "export", tmp_path / "demo", "--coder", coder, "--to", out) == 0
        assert _run("labels", "import", out, tmp_path / "demo", "--coder", f"{coder}2") == 0
        (reviewable,) = find_reviewables([tmp_path / "demo"])
        mine, theirs = (labelled(reviewable, name) for name in (coder, f"{coder}2"))
        assert len(mine) == len(theirs) >= 51
        for one, two in zip(mine, theirs, strict=True):
            assert replace(one, onset_s=0, apex_s=0, offset_s=1) == replace(two, onset_s=0, apex_s=0, offset_s=1)
            times = [(event.onset_s, event.apex_s, event.offset_s) for event in (one, two)]
            assert times[0] == (pytest.approx(times[1], abs=1e-6) if ending == ".tsv" else times[1])


def test_sessions_of_a_folder_are_added_up(sessions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = tmp_path / "told.json"
    assert _run("agree", sessions, "--json", told) == 0
    report = json.loads(told.read_text())
    by_pair = {tuple(pair["coders"]): pair for pair in report["pairs"]}
    assert set(by_pair) == {("anna", "ben"), ("anna", "program"), ("ben", "program")}
    # Anna's 4 of the program's 8; Ben has looked at one recording.
    assert by_pair["anna", "program"]["events"]["f1"] == pytest.approx(2 * 4 / (4 + 8))
    assert [by_pair[pair]["recordings"] for pair in by_pair] == [1, 2, 1]
    assert "anna and ben: both have looked at 1 of 2 recordings" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("ending", [".eaf", ".tsv", ".csv"])
def test_a_video_that_was_coded_elsewhere(sessions: Path, tmp_path: Path, ending: str) -> None:
    coded, video, told = tmp_path / f"coded{ending}", tmp_path / "talk.mp4", tmp_path / "told.json"
    assert _run("labels", "export", sessions / "one", "--coder", "anna", "--to", coded) == 0
    shutil.copy(ROOT / "stream" / "sources" / "demo.mp4", video)
    shutil.copy(sessions / "one" / "events.jsonl", tmp_path / "talk.events.jsonl")
    assert _run("agree", "--against", coded, video, "--json", told) == 0
    (pair,) = json.loads(told.read_text())["pairs"]
    assert pair["coders"] == ["anna", "program"] and pair["events"]["f1"] == pytest.approx(2 * 3 / (3 + 4))


def test_labels_of_a_video_link_it(sessions: Path, tmp_path: Path) -> None:
    video, out = tmp_path / "talk.mp4", tmp_path / "talk.eaf"
    shutil.copy(ROOT / "stream" / "sources" / "demo.mp4", video)
    shutil.copy(sessions / "one" / "events.jsonl", tmp_path / "some.jsonl")
    assert _run("labels", "export", video, "--events", tmp_path / "some.jsonl", "--coder", "program", "--to", out) == 0
    data = out.read_bytes()
    assert eaf_faults(data) == [] and f'MEDIA_URL="{video.as_uri()}"'.encode() in data and b'"./talk.mp4"' in data


def test_labels_come_in_once(sessions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "anna.eaf"
    assert _run("labels", "export", sessions / "one", "--coder", "anna", "--to", out) == 0
    assert _run("labels", "import", out, sessions / "one", "--coder", "cleo") == 0
    assert "4 events of" in " ".join(capsys.readouterr().out.split())
    assert _run("labels", "import", out, sessions / "one", "--coder", "cleo") == 1
    assert "cleo has labels there already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "code", "why"),
    [
        ("agree", 2, "required: SESSION"),
        ("agree RUNS/one --iou 2", 2, "up to 1"),
        ("agree RUNS/one --coders a,,b", 2, "expected names"),
        ("agree RUNS/one --json RUNS/one/events.jsonl", 2, "would write over"),
        ("agree nowhere", 1, "nowhere is not there"),
        ("agree RUNS/one --coders anna,dora", 1, "there are no labels of dora: anna, ben, program have some"),
        ("agree RUNS/two --coders anna", 1, "nothing to compare: anna alone"),
        ("agree RUNS --against x.eaf", 1, "goes with one session or video"),
        ("agree RUNS/one --against x.eaf", 1, "x.eaf cannot be read"),
        ("agree VIDEO", 1, "demo.mp4 has no events: make them with"),
        ("labels", 2, "required: export|import"),
        ("labels export RUNS/one --coder anna", 2, "required: --to"),
        ("labels export RUNS/one --coder anna --to x.doc", 1, "the ending says the format"),
        ("labels export RUNS/one --coder anna --to RUNS/one/events.jsonl", 2, "would write over"),
        ("labels export RUNS --coder anna --to x.eaf", 1, "holds 2 sessions"),
        ("labels import x.eaf RUNS/one --coder program", 1, "x.eaf cannot be read"),
    ],
)
def test_what_does_not_go_is_told_in_a_line(
    argv: str, code: int, why: str, sessions: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(sessions.parent)
    words = [
        word.replace("RUNS", str(sessions)).replace("VIDEO", str(ROOT / "stream" / "sources" / "demo.mp4"))
        for word in argv.split()
    ]
    try:
        found = run_live.main(words)
    except SystemExit as ended:
        found = ended.code
    said = capsys.readouterr().err
    assert found == code and why in said and "Traceback" not in said
    assert sum(line.startswith("error:") or ": error:" in line for line in said.splitlines()) == 1


@pytest.mark.parametrize("argv", [("agree", "--help"), ("labels", "--help"), ("labels", "export", "-h")])
def test_help_teaches(argv: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run_live.main(argv)
    said = capsys.readouterr().out
    assert ended.value.code == 0 and "examples:" in said and f"run_live.py {argv[0]} " in said
    assert max(map(len, said.splitlines())) <= 100
