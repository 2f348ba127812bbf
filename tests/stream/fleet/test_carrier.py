"""One process that carries several live sources: their faces may be stepped together, and nobody's answers change."""

import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest

from model.types import Frame
from stream.engine.batch_stepper import BatchStepper
from stream.fleet import recording
from stream.fleet.carrier import Carrier
from stream.fleet.orders import Ended, FleetSource, HaltOrder, PrepareOrder, RecordOrder, RecordSettings
from stream.recognizer import Recognizer
from stream.sources.base import FrameSource, SourceInfo
from tests.helpers.clips import face_frames
from tests.helpers.mjpeg_server import endless_server
from tests.helpers.models import save_tiny_streaming_model, tiny_contract
from tests.helpers.sessions import cells_of, facts_of

WINDOW = 9


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("carrier")
    save_tiny_streaming_model(folder / "m.stream.onnx", tiny_contract(frames=WINDOW))
    return folder / "m.stream.onnx"


class Given(FrameSource):
    """A live source of the test: pictures at 15 a second by their times, as fast as they are wanted; those from
    `held` on only when `go_on` is set."""

    def __init__(self, pictures: list[np.ndarray], held: int | None = None) -> None:
        super().__init__()
        self.info = SourceInfo("given", 256, 256, 15.0, live=True)
        self.go_on = threading.Event()
        self._pictures, self._held = pictures, held

    def __enter__(self) -> "Given":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __iter__(self) -> Iterator[Frame]:
        for index, picture in enumerate(self._pictures):
            if index == self._held:
                assert self.go_on.wait(120)
            yield Frame(index, index / 15, picture, 0.0)


def near(count: int, seed: int) -> list[np.ndarray]:
    """The part with the face, 256 x 256."""
    return [frame[:256, 96:352] for frame in face_frames(count, seed)]


def pairs(count: int) -> list[np.ndarray]:
    return [np.hstack([one, other]) for one, other in zip(near(count, 2), near(count, 3), strict=True)]


class Carried:
    """A carrier in this process, the news that it gave, and the sources that its recordings get for their targets."""

    def __init__(self, folder: Path, model: Path) -> None:
        self._folder, self._model = folder, model
        self.carrier = Carrier()
        self.ended: dict[str, Ended] = {}

    def begin(self, name: str, url: str = "", max_faces: int = 1) -> Path:
        settings = RecordSettings(model=self._model, max_faces=max_faces, detect_events=False)
        session = self._folder / name
        self.carrier.take(RecordOrder(FleetSource(name, "stream", url or f"given://{name}", settings), session, 1))
        return session

    def until(self, holds: Callable[[], bool]) -> None:
        for _ in range(1200):
            if holds():
                return
            self.ended |= {one.source_id: one for one in self.carrier.news(0.1).ended}
        raise AssertionError(f"it does not come: {self.ended}")


@pytest.fixture
def steppers(monkeypatch: pytest.MonkeyPatch) -> dict[BatchStepper, set[int]]:
    """The rows of every stepper that was asked."""
    asked: dict[BatchStepper, set[int]] = {}
    step = BatchStepper.step

    def noted(self: BatchStepper, slots, frames):
        asked.setdefault(self, set()).update(slot.row for slot in slots)
        return step(self, slots, frames)

    monkeypatch.setattr(BatchStepper, "step", noted)
    return asked


def give(sources: Mapping[str, Given], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "LiveSource", lambda target, *_, **__: sources[str(target).partition("://")[2]])


def lines(session: Path) -> int:
    return (session / "frames.csv").read_bytes().count(b"\n") if (session / "frames.csv").exists() else 0


def test_sources_that_come_and_go_are_stepped_together_and_answer_as_alone(
    model: Path, tmp_path: Path, steppers: dict[BatchStepper, set[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def sources() -> dict[str, Given]:
        return {
            "stays": Given(near(50, 0), held=20),
            "goes": Given(near(25, 1)),
            "pair": Given(pairs(40), held=20),
            "comes": Given(near(30, 4)),
        }

    faces = {"pair": 2}
    # As on a GPU: on the CPU each source keeps its own.
    with monkeypatch.context() as together:
        together.setattr(Recognizer, "provider", "CUDA")
        given = sources()
        give(given, together)
        carried = Carried(tmp_path / "together", model)
        for name in ("stays", "goes", "pair"):
            carried.begin(name, max_faces=faces.get(name, 1))
        carried.until(lambda: "goes" in carried.ended and lines(tmp_path / "together" / "stays") > 15)
        carried.begin("comes")
        given["stays"].go_on.set()
        given["pair"].go_on.set()
        carried.until(lambda: len(carried.ended) == 4)
    assert {one.outcome for one in carried.ended.values()} == {"done"}
    # One for those with the same settings, the other for the source with two faces.
    assert sorted(len(rows) for rows in steppers.values()) == [2, 2]

    give(sources(), monkeypatch)
    for name, given_alone in sources().items():
        given_alone.go_on.set()
        give({name: given_alone}, monkeypatch)
        alone = Carried(tmp_path / "alone", model)
        alone.begin(name, max_faces=faces.get(name, 1))
        alone.until(lambda alone=alone: bool(alone.ended))
        header, *rows = cells_of(tmp_path / "together" / name / "frames.csv")
        _, *expected = cells_of(tmp_path / "alone" / name / "frames.csv")
        shares = slice(header.index("confidence"), header.index("p_neutral") + 1)
        answers = 0
        assert len(rows) == len(expected)
        for row, other in zip(rows, expected, strict=True):
            assert row[: shares.start - 1] + row[shares.stop :] == other[: shares.start - 1] + other[shares.stop :]
            for cell, wanted in zip(row[shares], other[shares], strict=True):
                assert (cell == wanted == "") or abs(float(cell) - float(wanted)) < 1.1e-5
            answers += row[shares] != [""] * (shares.stop - shares.start)
        assert answers > 2 * WINDOW - 5


def test_on_the_cpu_every_source_has_its_own(
    model: Path, tmp_path: Path, steppers: dict[BatchStepper, set[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    give({name: Given(near(5, 0)) for name in ("one", "two")}, monkeypatch)
    carried = Carried(tmp_path, model)
    sessions = [carried.begin(name) for name in ("one", "two")]
    carried.until(lambda: len(carried.ended) == 2)
    assert len(steppers) == 2 and all(rows == {0} for rows in steppers.values())
    # The process's processor time is not that of either.
    assert all(facts_of(session)["run"]["processor_ms"] is None for session in sessions)


def test_what_was_prepared_is_used(model: Path, tmp_path: Path) -> None:
    carried = Carried(tmp_path, model)
    settings = RecordSettings(model=model, detect_events=False)
    carried.carrier.take(PrepareOrder(settings, 1))
    carried.carrier.take(PrepareOrder(RecordSettings(model=tmp_path / "none.onnx"), 1))  # for its recordings to tell
    (waiting,) = carried.carrier._captures._waiting
    with endless_server(near(5, 0), 0.04) as server:
        session = carried.begin("cam", server.url)
        carried.until(lambda: lines(session) > 3)
        assert waiting.running and not carried.carrier._captures._waiting
        carried.carrier.take(HaltOrder())
        carried.until(lambda: "cam" in carried.ended)
    assert carried.ended["cam"].outcome == "stopped" and not waiting.running
