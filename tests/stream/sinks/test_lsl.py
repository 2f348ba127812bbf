"""Lab Streaming Layer, with its own library, on this machine alone."""

import json
import sys
import time
from dataclasses import replace
from typing import Any

import pytest

import run_live
from stream.sinks.lsl import LslError, LslSink, load_pylsl
from tests.helpers.happenings import event, moment, seen
from tests.helpers.models import CLASSES, tiny_contract
from tests.helpers.results import prediction

DEADLINE_S = 30.0
_ON_THIS_MACHINE = (
    "[ports]\nIPv6=disable\n[multicast]\nResolveScope=machine\nListenAddress=127.0.0.1\n[log]\nlevel=-2\n"
)
ANSWER = prediction(0.5, 0.25, 0.125, 0.125, names=CLASSES)


@pytest.fixture(scope="module")
def lsl() -> Any:
    try:
        found = load_pylsl()
    except LslError as error:
        pytest.skip(str(error))
    found.set_config_content(_ON_THIS_MACHINE)
    return found


def inlet(lsl: Any, name: str) -> Any:
    found = lsl.resolve_byprop("name", name, 1, DEADLINE_S)
    assert len(found) == 1
    opened = lsl.StreamInlet(found[0])
    opened.open_stream(DEADLINE_S)
    return opened


def frame_at(time_s: float, captured_s: float, **given: Any) -> Any:
    result = moment(time_s, seen(answer=ANSWER), **given)
    return replace(result, frame=replace(result.frame, captured_s=captured_s))


def test_probabilities_and_events_arrive_with_their_times(lsl: Any) -> None:
    with LslSink(lsl, "test-times", tiny_contract(), "camera 0") as sink:
        shares, events = inlet(lsl, "test-times-probabilities"), inlet(lsl, "test-times-events")
        captured_s = time.monotonic() - 0.25
        ahead_s = lsl.local_clock() - time.monotonic()
        found = event(9.0, label="surprise")
        sink.write(
            frame_at(10.0, captured_s, events=(found, event(9.5, rejected="blink"), event(9.6, label="positive")))
        )
        sample, stamp_s = shares.pull_sample(DEADLINE_S)
        assert sample == [0.5, 0.25, 0.125, 0.125]
        assert stamp_s == pytest.approx(captured_s + ahead_s, abs=0.02)
        told, stamp_s = events.pull_sample(DEADLINE_S)
        assert json.loads(told[0])["label"] == "surprise"
        # 10 s of the source are `captured_s`, so the onset is as long before that as before 10 s.
        assert stamp_s == pytest.approx(captured_s + ahead_s - (10.0 - found.onset_s), abs=0.02)
        # The rejected one between them is not sent.
        assert json.loads(events.pull_sample(DEADLINE_S)[0][0])["label"] == "positive"


def test_frames_without_an_answer_are_no_samples(lsl: Any) -> None:
    with LslSink(lsl, "test-gaps", tiny_contract(), "camera 0") as sink:
        shares = inlet(lsl, "test-gaps-probabilities")
        sink.write(frame_at(1.0, 100.0))
        sink.write(moment(2.0))
        sink.write(frame_at(4.0, 103.0))
        stamps_s = [shares.pull_sample(DEADLINE_S)[1] for _ in range(2)]
        assert stamps_s[1] - stamps_s[0] == pytest.approx(3.0, abs=0.02)


def test_the_end_sends_events_and_no_sample(lsl: Any) -> None:
    with LslSink(lsl, "test-last", tiny_contract(), "camera 0") as sink:
        shares, events = inlet(lsl, "test-last-probabilities"), inlet(lsl, "test-last-events")
        sink.finish((event(0.5),))  # without a frame there is no clock to place it on
        captured_s = time.monotonic() - 0.25
        ahead_s = lsl.local_clock() - time.monotonic()
        sink.write(frame_at(10.0, captured_s))
        found = event(9.8)
        sink.finish((found, event(9.9, rejected="blink")))
        told, stamp_s = events.pull_sample(DEADLINE_S)
        assert json.loads(told[0])["onset_s"] == pytest.approx(found.onset_s)
        assert stamp_s == pytest.approx(captured_s + ahead_s - (10.0 - found.onset_s), abs=0.02)
        assert shares.pull_sample(DEADLINE_S)[0] is not None
        assert shares.pull_sample(0.2)[0] is None and events.pull_sample(0.2)[0] is None


def test_the_streams_say_what_they_are(lsl: Any) -> None:
    contract = tiny_contract()
    with LslSink(lsl, "test-words", contract, "talk.mp4"):
        info = inlet(lsl, "test-words-probabilities").info(DEADLINE_S)
        assert info.get_channel_labels() == list(CLASSES) and info.nominal_srate() == 0.0
        assert info.channel_format() == lsl.cf_float32 and info.get_channel_units() == ["1"] * 4
        about = info.desc()
        assert about.child_value("disclaimer") == contract.disclaimer
        assert "nothing, a model for tests" in about.child_value("model") and about.child_value("source") == "talk.mp4"
        info = inlet(lsl, "test-words-events").info(DEADLINE_S)
        assert (info.type(), info.channel_count(), info.channel_format()) == ("Markers", 1, lsl.cf_string)


def test_the_end_takes_the_streams_away(lsl: Any) -> None:
    with LslSink(lsl, "test-end", tiny_contract(), "camera 0"):
        assert lsl.resolve_byprop("name", "test-end-events", 1, DEADLINE_S)
    deadline = time.monotonic() + DEADLINE_S
    while lsl.resolve_byprop("name", "test-end-events", 1, 0.2):
        assert time.monotonic() < deadline


@pytest.mark.parametrize("argv", [["--lsl", "a/b"], ["--lsl", ""], ["--lsl", "x" * 65], ["--lsl", "--source", "x.mp4", "--pace", "fast"],
                                  ["--marker-port", "0", "--pace", "fast"], ["--markers", "m.jsonl"], ["--marker-port", "x"]])  # fmt: skip
def test_bad_usage_exits_with_2(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run_live.main(argv)
    assert caught.value.code == 2 and "error:" in capsys.readouterr().err


def test_without_pylsl_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "pylsl", None)
    with pytest.raises(SystemExit) as caught:
        run_live.main(["--lsl"])
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert caught.value.code == 2 and "pip install -r requirements-lsl.txt" in said


def test_without_its_library_it_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pylsl.py").write_text("raise RuntimeError('LSL binary library file was not found.\\nPlease …')")
    monkeypatch.delitem(sys.modules, "pylsl", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SystemExit) as caught:
        run_live.main(["--lsl"])
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert caught.value.code == 2 and "liblsl" in said and "PYLSL_LIB" in said
    monkeypatch.delitem(sys.modules, "pylsl", raising=False)
