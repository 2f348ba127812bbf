"""The desk's server over real sockets: what is told, what is kept, what a blind coder is not told, who is kept out."""

import errno
import json
import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

import run_live
from stream.labels.label_log import LabelError, LabelLog, check_fields, read_label_file
from stream.labels.reviewable import find_reviewables
from stream.review.desk import Desk
from tests.helpers.paths import ROOT
from tests.helpers.review_desk import desk, get, made_session, post

DEMO = ROOT / "stream" / "review" / "demo"


def refused(status: int, url: str, path: str, **body: object) -> str:
    with pytest.raises(HTTPError) as caught:
        post(url, path, **body)
    assert caught.value.code == status
    return json.load(caught.value)["error"]


def opened(folder: Path, coder: str = "anna", blind: bool = False) -> Desk:
    return Desk(find_reviewables([folder]), coder, blind)


def test_a_review_over_http(tmp_path: Path) -> None:
    session = made_session(tmp_path / "one", 5)
    before = (session / "events.jsonl").read_bytes()
    with desk(session, "--coder", "anna") as (process, url):
        told = get(url, "material?material=0")
        assert [event["name"] for event in told["events"]] == ["e1", "e2", "e3", "e4", "e5"]
        assert told["events"][1]["program"]["probability"] == 0.37 and told["events"][1]["verdict"] is None
        assert [one["name"] for one in told["classes"]] == ["negative", "positive", "surprise"]
        assert len(told["steps"]) > 2 and told["events"][2]["program"]["first"] is not None
        assert post(url, "act", event="e1", set={"verdict": "accepted"})["event"]["verdict"] == "accepted"
        answer = post(url, "act", event="e1", set={"onset_s": 0.9, "action_units": ["R12"]})
        assert answer["n"] == 2 and answer["event"]["onset_s"] == 0.9 and answer["event"]["action_units"] == ["R12"]
        new = {"label": "surprise", "onset_s": 6.1, "apex_s": 6.2, "offset_s": 6.3, "verdict": "accepted"}
        assert post(url, "act", event=None, set=new)["name"] == "a1"
        assert post(url, "undo") | {"event": None} == {"n": 4, "name": "a1", "event": None}
        assert post(url, "undo")["event"]["onset_s"] == 1.0
        assert post(url, "act", event=None, set=new)["name"] == "a2"
        told = get(url, "stretch?material=0&from_s=0&to_s=2&onset_s=1&track=1")
        assert told["times_s"] == [] and "no pictures" in told["missing"]
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    labels = read_label_file(session / "labels-anna.jsonl")
    assert len(labels.actions) == 6 and labels.coder == "anna"
    assert (session / "events.jsonl").read_bytes() == before


def test_what_is_no_action_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    session = made_session(tmp_path / "one", 3)
    with desk(session, "--coder", "anna") as (_, url):
        assert "onset <= apex" in refused(422, url, "act", event="e1", set={"onset_s": 99.0})
        assert "no event e9" in refused(422, url, "act", event="e9", set={"verdict": "accepted"})
        assert "missing" in refused(422, url, "act", event=None, set={"label": "negative"})
        assert "nothing is set" in refused(422, url, "act", event="e1", set={})
        assert "action_units" in refused(422, url, "act", event="e1", set={"action_units": ["smile"]})
        assert "nothing to take back" in refused(422, url, "undo")
        assert "no material 7" in refused(422, url, "act", material=7, event="e1", set={"verdict": "accepted"})
        for path in (
            "stretch?material=0&from_s=2&to_s=1",
            "material?material=9",
            "stretch?material=0&from_s=nan&to_s=1",
        ):
            with pytest.raises(HTTPError) as caught:
                get(url, path)
            assert caught.value.code == 422
        # Too much, not JSON, from another site, and without saying where from.
        for headers, data, status in (
            ({"Content-Type": "application/json", "Origin": url.rstrip("/")}, b"x" * 20_000, 413),
            ({"Content-Type": "text/plain", "Origin": url.rstrip("/")}, b"{}", 415),
            ({"Content-Type": "application/json", "Origin": "http://elsewhere.example"}, b"{}", 403),
            ({"Content-Type": "application/json"}, b"{}", 403),
            ({"Content-Type": "application/json", "Origin": url.rstrip("/"), "Host": "elsewhere.example"}, b"{}", 421),
        ):
            with pytest.raises(HTTPError) as caught:
                urlopen(Request(url + "act", data, headers), timeout=20)
            assert caught.value.code == status
    assert read_label_file(session / "labels-anna.jsonl").actions == ()


def test_a_blind_coder_is_told_nothing_of_what_others_make_of_it(tmp_path: Path) -> None:
    session = made_session(tmp_path / "one", 4)
    with LabelLog(session / "labels-ben.jsonl", "ben") as log:
        log.add("e1", {"verdict": "accepted", "label": "positive"})
    with desk(session, "--coder", "eva", "--blind") as (_, url):
        told = get(url, "material?material=0")
        assert told["others"] == [] and told["steps"] == []
        for event in told["events"]:
            assert (event["label"], event["action_units"], event["program"], event["verdict"]) == ("", [], None, None)
        assert "ben" not in json.dumps(told) and "no_expression" not in json.dumps(told)
        assert "choose the class first" in refused(422, url, "act", event="e1", set={"verdict": "accepted"})
        post(url, "act", event="e1", set={"label": "surprise"})
        event = post(url, "act", event="e1", set={"verdict": "accepted"})["event"]
        assert event["label"] == "surprise" and event["action_units"] == [] and event["program"] is None
    recorded = find_reviewables([session])[0].recorded()
    kept = read_label_file(session / "labels-eva.jsonl").events(recorded)[0]
    # The program said L12 and 4: nothing of that is taken for the coder's own.
    assert kept.action_units == () and kept.verdict == "accepted"
    with opened(session) as seeing:
        assert [(one["coder"], one["name"], one["label"]) for one in seeing.materials[0].told()["others"]] == [
            ("ben", "e1", "positive"),
            ("eva", "e1", "surprise"),
        ]


def test_two_coders_at_once_and_one_coder_twice(tmp_path: Path) -> None:
    session = made_session(tmp_path / "one", 3)
    with desk(session, "--coder", "anna") as (_, first), desk(session, "--coder", "ben") as (_, second):
        for number in range(1, 4):
            post(first, "act", event=f"e{number}", set={"verdict": "accepted"})
            post(second, "act", event=f"e{number}", set={"verdict": "rejected"})
        command = [sys.executable, str(ROOT / "run_live.py"), "--review", str(session), "--coder", "anna"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 1 and done.stderr.count("\n") == 1
        assert "labels-anna.jsonl: another run is writing it" in done.stderr
    for coder, verdict in (("anna", "accepted"), ("ben", "rejected")):
        actions = read_label_file(session / f"labels-{coder}.jsonl").actions
        assert [action.fields for action in actions] == [{"verdict": verdict}] * 3


def test_a_folder_of_sessions_is_one_desk(tmp_path: Path) -> None:
    for name in ("one", "two"):
        made_session(tmp_path / name, 2)
    # One of them is named twice.
    with desk(tmp_path, tmp_path / "two", "--coder", "anna") as (process, url):
        assert get(url, "desk")["materials"] == ["one", "two"]
        post(url, "act", material=1, event="e2", set={"verdict": "rejected"})
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert not (tmp_path / "one" / "labels-anna.jsonl").exists()
    assert read_label_file(tmp_path / "two" / "labels-anna.jsonl").actions[0].event == "e2"


def test_who_says_nothing_leaves_no_file(tmp_path: Path) -> None:
    session = made_session(tmp_path / "one", 2)
    with opened(session):
        assert (session / "labels-anna.jsonl").exists()
    assert not (session / "labels-anna.jsonl").exists()


def test_labels_of_another_version_are_told_in_one_line_and_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    session = made_session(tmp_path / "one", 2)
    text = '{"schema_version": 0, "coder": "anna"}\n{"event": 1, "accept": true}\n'
    (session / "labels-anna.jsonl").write_text(text)
    assert run_live.main(["--review", str(session), "--coder", "anna"]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "schema version 0" in said and "nothing was changed" in said
    assert (session / "labels-anna.jsonl").read_text() == text


def test_a_full_disk_is_told_and_work_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = made_session(tmp_path / "one", 3)
    with opened(session) as open_desk:
        material = open_desk.materials[0]
        material.act("e1", check_fields({"verdict": "accepted"}))
        with monkeypatch.context() as patched:

            def full(_: int) -> None:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

            patched.setattr("stream.labels.label_log.os.fsync", full)
            with pytest.raises(Exception, match=r"No space left on device; nothing before is lost"):
                material.act("e2", check_fields({"verdict": "rejected"}))
        assert [event["verdict"] for event in material.told()["events"]] == ["accepted", None, None]
        material.act("e3", check_fields({"verdict": "rejected"}))
    labels = read_label_file(session / "labels-anna.jsonl")
    assert [(action.n, action.event) for action in labels.actions] == [(1, "e1"), (2, "e3")]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_over_http(tmp_path: Path) -> None:
    session = made_session(tmp_path / "one", 2)
    (session / "labels-anna.jsonl").symlink_to("/dev/full")
    command = [sys.executable, str(ROOT / "run_live.py"), "--review", str(session), "--coder", "anna"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "No space left on device" in done.stderr


def test_a_server_killed_at_any_moment_has_all_that_it_acknowledged(tmp_path: Path) -> None:
    """Random actions over HTTP, one after the other; the process is killed while one is under way."""
    session = made_session(tmp_path / "one", 20)
    rng = random.Random(16)
    acknowledged: list[tuple[int, dict[str, Any]]] = []
    done = 0
    while done < 200:
        count = min(rng.randrange(30, 60), 200 - done)
        done += count
        with desk(session, "--coder", "anna") as (process, url):
            for left in reversed(range(count)):
                path, body = random_action(rng)
                if left == 0:
                    # While this one is under way: whether it was kept is open, unless it is acknowledged.
                    killer = threading.Timer(rng.uniform(0, 0.004), process.kill)
                    killer.start()
                try:
                    acknowledged.append((post(url, path, **body)["n"], body))
                except HTTPError:
                    pass  # an undo where nothing stands any more
                except OSError:
                    assert left == 0
            killer.join()
            process.wait(20)
        kept = {action.n: action for action in read_label_file(session / "labels-anna.jsonl").actions}
        for n, body in acknowledged:
            assert kept[n].fields == body.get("set") and kept[n].event == body.get("event")
    assert len(acknowledged) > 150


def random_action(rng: random.Random) -> tuple[str, dict[str, Any]]:
    event = f"e{rng.randrange(1, 21)}"
    sets: list[dict[str, Any]] = [
        {"verdict": rng.choice(["accepted", "rejected", None])},
        {"label": rng.choice(["negative", "positive", "surprise"])},
        {"action_units": rng.sample(["4", "L12", "R14", "1", "2"], rng.randrange(4))},
        {"note": "x" * rng.randrange(50)},
    ]
    return ("undo", {}) if rng.random() < 0.2 else ("act", {"event": event, "set": rng.choice(sets)})


def test_the_example_has_two_coders_and_its_pictures(tmp_path: Path) -> None:
    with desk("demo", "--coder", "eva", folder=tmp_path) as (_, url):
        told = get(url, "material?material=0")
        assert {other["coder"] for other in told["others"]} == {"anna", "ben"}
        accepted = [event for event in told["events"] if event["program"]["rejected"] is None]
        assert len(accepted) >= 4
        event = accepted[0]
        span = f"from_s={event['onset_s'] - 0.7}&to_s={event['offset_s'] + 0.7}&onset_s={event['onset_s']}"
        stretch = get(url, f"stretch?material=0&{span}&track=1")
        peak = max(max(row) for row in stretch["motion"] if row)
        assert len(stretch["times_s"]) > 40 and stretch["missing"] == "" and peak > 0.8
        assert len(stretch["shares"]["rows"]) == len(stretch["shares"]["times_s"]) > 40
        for kind in ("picture", "face", "arrows", "magnified&gain=8"):
            with urlopen(f"{url}pictures?material=0&{span}&kind={kind}", timeout=60) as answer:
                data = answer.read()
            parts = unpacked(data)
            assert len(parts) == len(stretch["times_s"]) + 1 and all(one[:2] == b"\xff\xd8" for one in parts[1:])
        post(url, "act", event=event["name"], set={"verdict": "accepted"})
    assert len(read_label_file(tmp_path / "microlive-demo" / "labels-eva.jsonl").actions) == 1
    assert not (DEMO / "labels-eva.jsonl").exists()


def unpacked(data: bytes) -> list[bytes]:
    parts: list[bytes] = []
    while data:
        length = int.from_bytes(data[:4], "big")
        parts.append(data[4 : 4 + length])
        data = data[4 + length :]
    return parts


@pytest.mark.slow
def test_the_example_replays_row_by_row() -> None:
    assert run_live.main(["--replay", str(DEMO), "--check", "--headless"]) == 0


def test_bad_usage_is_told_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for argv, words in (
        (["--coder", "anna"], "--coder needs --review"),
        (["--review", "x", "--coder", "../anna"], "expected up to 40 letters"),
        (["--review", "x", "--csv", "y.csv"], "--csv does not go with --review"),
    ):
        with pytest.raises(SystemExit) as caught:
            run_live.main(argv)
        assert caught.value.code == 2 and words in capsys.readouterr().err
    assert run_live.main(["--review", str(tmp_path), "--coder", "anna"]) == 1
    assert "holds no session" in capsys.readouterr().err


def test_another_coders_file_that_cannot_be_read_is_told_and_work_goes_on(tmp_path: Path) -> None:
    session = made_session(tmp_path / "one", 3)
    damaged = session / "labels-ben.jsonl"
    damaged.write_text('{"schema_version": 2, "coder": "ben"}\n{}\n')
    with opened(session) as at_work:
        (material,) = at_work.materials
        told = material.told()
        assert told["others"] == [] and "schema version 2" in told["unreadable"][0]
        assert material.act("e1", {"verdict": "accepted"})["n"] == 1
    assert damaged.read_text().startswith('{"schema_version": 2')


def test_a_damaged_label_file_stays_closed(tmp_path: Path) -> None:
    session = made_session(tmp_path / "one", 2)
    with LabelLog(session / "labels-anna.jsonl", "anna") as log:
        log.add("e7", {"verdict": "accepted"})
    with pytest.raises(LabelError, match="no event e7 in the run"), opened(session):
        pass
    with LabelLog(session / "labels-anna.jsonl", "anna") as log:
        assert len(log.labels.actions) == 1
