"""What the web view's page is told."""

import json
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest

from model.contract import ActionUnits
from model.types import Prediction
from stream.health import Connection, Health
from stream.history import LiveHistory
from stream.screen.statement import Waits
from stream.sinks.marks import PlacedMark
from stream.web.state import NumberedEvent, ViewMoment, greeting, health_facts, pack, state_of
from stream.web.viewers import LONGEST_SIDE_PX, PictureMaker
from tests.helpers.happenings import event, moment, seen
from tests.helpers.models import CLASSES, tiny_contract
from tests.helpers.results import CLASSES as RESULT_CLASSES
from tests.helpers.results import HEALTH, face, picture, prediction


def unpacked(message: bytes) -> tuple[dict[str, Any], bytes]:
    length = int.from_bytes(message[:4], "big")
    return json.loads(message[4 : 4 + length]), message[4 + length :]


def history_until(seconds: float, fps: float = 10.0) -> LiveHistory:
    history = LiveHistory(RESULT_CLASSES)
    for number in range(round(seconds * fps) + 1):
        history.record(moment(number / fps, seen()))
    return history


def at(
    history: LiveHistory, number: int = 1, events: int = 0, jpeg: bytes = b"jpeg", picture_number: int = 1
) -> ViewMoment:
    numbered = tuple(NumberedEvent(n, event(n / 2)) for n in range(1, events + 1))
    return ViewMoment(number, {"kind": "moment"}, history.probabilities.window(), numbered, jpeg, picture_number)


def test_a_new_viewer_is_sent_everything() -> None:
    state, jpeg = unpacked(at(history_until(5.0), events=3).message(-np.inf, 0, 0))
    assert jpeg == b"jpeg" and state["from_s"] == 0.0
    assert [row[0] for row in state["samples"]] == pytest.approx([n / 10 for n in range(51)])
    assert [one["number"] for one in state["events"]] == [1, 2, 3]


def test_a_viewer_is_sent_what_it_lacks() -> None:
    state, jpeg = unpacked(at(history_until(5.0), events=3).message(4.75, 2, 1))
    assert jpeg == b""
    assert [row[0] for row in state["samples"]] == pytest.approx([4.8, 4.9, 5.0])
    assert [one["number"] for one in state["events"]] == [3]
    state, _ = unpacked(at(history_until(5.0), events=3).message(5.0, 3, 1))
    assert state["samples"] == [] and "events" not in state


def test_time_that_runs_backwards_starts_anew() -> None:
    state, _ = unpacked(at(history_until(1.0)).message(60.0, 0, 0))
    assert len(state["samples"]) == 11 and state["from_s"] == 0.0


def test_samples_hold_probabilities_or_nothing() -> None:
    history = LiveHistory(RESULT_CLASSES)
    history.record(moment(0.0, seen(answer=prediction(0.1, 0.2, 0.3, 0.4))))
    history.record(moment(0.1))
    state, _ = unpacked(at(history).message(-np.inf, 0, 0))
    assert state["samples"] == [[0.0, 0.1, 0.2, 0.3, 0.4], [0.1, None, None, None, None]]


def test_numbers_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError):
        pack({"x": float("nan")})


def test_events_with_the_words_of_the_picture() -> None:
    events = (event(4.0, confidence=0.4), event(5.0, rejected="exposure"))
    numbered = tuple(NumberedEvent(place, one) for place, one in enumerate(events, 1))
    one = ViewMoment(1, {}, history_until(6.0).probabilities.window(), numbered, b"", 0)
    first, second = unpacked(one.message(-np.inf, 0, 0))[0]["events"]
    assert (first["accepted"], first["name"], first["text"]) == (
        True,
        "surprise?",
        "0.20 s at 4.0 s · class 40 % · 1.3 px",
    )
    assert first["onset_s"] == pytest.approx(3.9) and first["apex_s"] == pytest.approx(4.0)
    assert (second["accepted"], second["text"]) == (False, "0.20 s at 5.0 s · class 87 % · 1.3 px")
    assert (second["first"], second["against"], second["likely"]) == (None, "change of light at 5.0 s", "")
    assert first["first"] == 0 and "probability" not in first


def test_marks_of_the_time_that_is_shown() -> None:
    marks = tuple(PlacedMark(text, time_s) for text, time_s in (("gone", 1.9), ("fixation", 3.0), ("stimulus", 11.5)))
    one = replace(at(history_until(12.0)), marks=marks)
    state, _ = unpacked(one.message(11.0, 0, 0))
    assert state["from_s"] == 2.0 and state["marks"] == [[3.0, "fixation"], [11.5, "stimulus"]]


def test_the_state_of_a_frame() -> None:
    result = moment(2.0, seen(answer=prediction(0.7, 0.1, 0.1, 0.1)))
    state = state_of(result, history_until(2.0).recent(), HEALTH, Waits(30, 3.0), RESULT_CLASSES, 0.0)
    assert (state["headline"], state["tone"], state["shares"]) == ("watching", "calm", [0.7, 0.1, 0.1, 0.1])
    assert state["lines"] == ["smallest visible 0.6 px", "no event yet", "window: negative 70 %"]
    assert state["counts"] == {"micro": 0, "macro": 0, "rejected": 0}
    gone = state_of(moment(2.0), history_until(2.0).recent(), HEALTH, Waits(30, 3.0), RESULT_CLASSES, 0.0)
    assert (gone["headline"], gone["tone"], gone["shares"]) == ("no face", "warning", None)


def test_before_the_first_frame_there_is_health() -> None:
    state = state_of(None, LiveHistory(CLASSES).recent(), Health("camera 0", "CPU", "window"), Waits(), CLASSES, 0.0)
    assert set(state) == {"kind", "lost", "health"} and unpacked(pack(state))[0] == state


def test_while_nothing_arrives_the_last_answer_is_not_shown() -> None:
    lost = replace(HEALTH, connection=Connection("reconnecting", 10.0, 3, "connection refused"))
    result = moment(2.0, seen(answer=prediction(0.7, 0.1, 0.1, 0.1)))
    for shown in (result, None):
        state = state_of(shown, history_until(2.0).recent(), lost, Waits(30, 3.0), RESULT_CLASSES, 14.0)
        assert (state["headline"], state["beside"], state["tone"]) == ("reconnecting", "since 4.0 s", "warning")
        assert state["lost"] and "connection refused" in state["lines"] and state.get("shares") is None


def test_health_in_words() -> None:
    facts = {fact["name"]: fact["value"] for fact in health_facts(HEALTH)}
    assert facts["classified"] == "29.8 fps" and facts["frames"] == "327 of 900" and facts["frame to answer"] == "12 ms"
    assert facts["runs on"] == "CUDA · streaming · 2 threads" and facts["source rate"] == "not known yet"
    assert not {"connection", "captured", "newest frame", "crop jitter"} & set(facts)
    assert [fact["name"] for fact in health_facts(HEALTH) if fact["warns"]] == ["dropped"]


def test_the_health_of_a_live_source() -> None:
    health = replace(
        HEALTH,
        dropped={},
        fps_captured=30.04,
        rate_hz=29.97,
        newest_age_ms=1500.0,
        crop_jitter_px=0.123,
        connection=Connection("connected", 0.0),
        reconnects=2,
    )
    facts = {fact["name"]: fact["value"] for fact in health_facts(health)}
    assert facts["captured"] == "30.0 fps" and facts["source rate"] == "30.0 fps"
    assert facts["newest frame"] == "1500 ms old" and facts["crop jitter"] == "0.12 px" and facts["dropped"] == "none"
    assert facts["connection"] == "connected" and facts["reconnects"] == "2"
    assert [fact["name"] for fact in health_facts(health) if fact["warns"]] == ["reconnects", "newest frame"]


def test_what_the_model_is_and_is_not() -> None:
    contract = tiny_contract(scores={"uf1": 0.9, "chance_uf1": 0.2, "n": 100}, training_data="<b>clips</b>.")
    hello = greeting(contract, "camera 0", 10.0, True)
    assert hello["model"] == "Model trained on <b>clips</b>; UF1 0.900 (chance 0.200, n 100)."
    assert hello["disclaimer"] == contract.disclaimer
    assert [one["name"] for one in hello["classes"]] == list(CLASSES)
    assert all(len(one["colour"]) == 7 for one in hello["classes"])


@pytest.mark.parametrize(("width", "height"), [(64, 48), (640, 480), (1920, 1080), (500, 2400)])
def test_pictures_of_moderate_size(width: int, height: int) -> None:
    made = PictureMaker(RESULT_CLASSES, Waits(30, 3.0))
    image = picture(width, height)
    before = image.copy()
    at_face = face(width * 0.3, height * 0.2, width * 0.3, height * 0.5)
    result = moment(2.0, seen(at=at_face), image=image)
    jpeg = made.jpeg(result, history_until(2.0).recent())
    shown = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert shown is not None and np.array_equal(image, before)
    scale = min(1.0, LONGEST_SIDE_PX / max(width, height))
    assert shown.shape == (round(height * scale), round(width * scale), 3)
    bare = made.jpeg(moment(2.0, image=image), LiveHistory(RESULT_CLASSES).recent())
    assert bare != jpeg


def test_a_picture_in_place_of_the_frames_own() -> None:
    made = PictureMaker(RESULT_CLASSES, Waits(30, 3.0), np.zeros_like)
    jpeg = made.jpeg(moment(0.0, image=picture(64, 48)), LiveHistory(RESULT_CLASSES).recent())
    shown = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert shown is not None and shown.max() == 0


def test_the_page_is_told_action_units_where_the_model_tells_them() -> None:
    units = ActionUnits((4, 12))
    answer = Prediction(prediction(0.1, 0.7, 0.1, 0.1).probabilities, {"L4": 0.9, "R4": 0.6, "L12": 0.5, "R12": 0.1})
    told = (history_until(2.0).recent(), HEALTH, Waits(30, 3.0), RESULT_CLASSES, 0.0)
    assert state_of(moment(2.0, seen(answer=answer)), *told, units)["units"] == "AU 4 · L12"
    assert state_of(moment(2.0), *told, units)["units"] == ""
    assert state_of(moment(2.0, seen()), *told)["units"] is None
