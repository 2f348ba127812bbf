"""The benchmarks' network camera and what is reckoned from it."""

import itertools

import cv2
import numpy as np
import pytest

from stream.benchmark import faults, latency
from stream.benchmark.camera import FaultServer, camera_pictures, read_number
from stream.recognizer import Recognizer
from stream.sources.base import SourceError
from tests.helpers.mjpeg_server import endless_server
from tests.helpers.models import save_tiny_model


def test_every_picture_tells_its_number() -> None:
    pictures = camera_pictures(30)
    for number, jpeg in enumerate(pictures):
        image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
        assert image.shape == (480, 640, 3) and read_number(image) == number
    with pytest.raises(ValueError, match="expected 2 to 4096"):
        camera_pictures(5000)


def test_latency_is_reckoned_from_the_last_time_a_picture_was_sent() -> None:
    """1,500 pictures, so that numbers come again; every third is overtaken; each is late by its own time."""
    rng = np.random.default_rng(0)
    sent_s = 100 + np.arange(1500) / 30
    late_s = rng.uniform(0.004, 0.1, 1500)
    kept = [n for n in range(1500) if n % 3]
    rows = np.array([(n % 600, sent_s[n] + 0.4 * late_s[n], sent_s[n] + late_s[n]) for n in kept])
    found = latency._latency(rows, sent_s, 30.0, {"source": 500})
    assert found.labels == 1000
    assert found.sent_to_label.p50_ms == pytest.approx(1000 * np.percentile(late_s[kept], 50))
    assert found.sent_to_label.p99_ms == pytest.approx(1000 * np.percentile(late_s[kept], 99))
    assert found.sent_to_captured.max_ms == pytest.approx(400 * late_s[kept].max())
    assert found.captured_to_label.max_ms == pytest.approx(600 * late_s[kept].max())


def test_rows_are_followed_as_they_come(tmp_path) -> None:
    path = tmp_path / "run.csv"
    rows = faults._Rows(path)
    assert rows.new() == []
    path.write_text("frame,time_s,face,status,label\n0,0.1,1,ok,x\n1,0.")
    assert [row["frame"] for row in rows.new()] == ["frame", "0"]
    with path.open("a") as file:
        file.write("2,1,filling,\n")
    assert rows.new() == [{"frame": "1", "time_s": "0.2", "face": "1", "status": "filling"}]


def test_times_to_recover_in_numbers() -> None:
    assert faults._spread([]) == {}
    assert faults._spread([0.1, 0.2, 0.3]) == pytest.approx({"p50": 0.2, "p95": 0.29, "max": 0.3, "count": 3})
    assert len(set(itertools.chain(faults.RUN_FAULTS))) == 12


@pytest.mark.slow
def test_a_short_run_with_faults_loses_nothing(tmp_path) -> None:
    """The real program, a fault a few seconds apart."""
    save_tiny_model(tmp_path / "tiny.onnx")
    told: list[str] = []
    found = faults.run_with_faults(
        tmp_path / "tiny.onnx",
        "cpu",
        1.0,
        told.append,
        every_s=10.0,
        faults=("gone", "truncate", "grow", "unread", "jump"),
    )
    assert found.exit_code == 0 and found.errors == ()
    assert found.rows > 0 and found.rows_lost == 0 and found.rows_torn == 0
    names = ["gone", "truncate", "grow", "unread", "jump"]
    assert [one.fault for one in found.faults] == names == list(found.recover_by_fault_s)
    assert max(one.row_s for one in found.faults) < 20.0
    assert found.reconnects >= 1 and found.dropped["bad_frame"] >= 1 and len(told) == 5


@pytest.mark.slow
def test_latency_is_measured_with_the_real_loop(tmp_path) -> None:
    save_tiny_model(tmp_path / "tiny.onnx")
    try:
        found = latency.measure_latency(Recognizer(tmp_path / "tiny.onnx"), 4.0, viewers=2)
    except SourceError as error:
        # On a machine too slow for 12 frames a second there are no labels.
        pytest.skip(str(error))
    assert found.labels > 0
    assert 0 < found.sent_to_captured.p50_ms < found.sent_to_label.p50_ms <= found.sent_to_label.p99_ms
    assert len(found.viewer_fps) == 2 and min(found.viewer_fps) > 0


def test_a_server_serves_again_on_its_port_after_it_was_gone() -> None:
    with endless_server([np.zeros((16, 16, 3), np.uint8)]) as server:
        assert isinstance(server, FaultServer)
        url = server.url
        for fault in ("gone", None, "gone", None, "close", None):
            server.fault = fault
        assert server.url == url and server.fault is None
