"""One process that carries several live sources: their faces may be stepped together, and nobody's answers change."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from stream.engine.batch_stepper import BatchStepper
from stream.fleet.carrier import Carrier
from stream.fleet.orders import Ended, FleetSource, HaltOrder, PrepareOrder, RecordOrder, RecordSettings
from stream.recognizer import Recognizer
from tests.helpers.clips import face_frames
from tests.helpers.mjpeg_server import endless_server, mjpeg_server
from tests.helpers.models import save_tiny_streaming_model, tiny_contract
from tests.helpers.sessions import cells_of, facts_of, run

WINDOW = 9


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("carrier")
    save_tiny_streaming_model(folder / "m.stream.onnx", tiny_contract(frames=WINDOW))
    return folder / "m.stream.onnx"


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


class Carried:
    """A carrier in this process and the news that it gave."""

    def __init__(self, folder: Path, model: Path) -> None:
        self._folder, self._model = folder, model
        self.carrier = Carrier()
        self.ended: dict[str, Ended] = {}

    def settings(self, **more: object) -> RecordSettings:
        # The end of a stream is the end of its recording, and pictures are kept to be looked at again alone.
        return RecordSettings(model=self._model, retry_for_s=0.0, record_source=True, **more)  # type: ignore[arg-type]

    def begin(self, name: str, url: str, **more: object) -> Path:
        source = FleetSource(name, "stream", url, self.settings(**more))
        self.carrier.take(RecordOrder(source, self._folder / name, 1))
        return self._folder / name

    def until(self, holds: Callable[[], bool]) -> None:
        for _ in range(300):
            self.ended |= {one.source_id: one for one in self.carrier.news(0.1).ended}
            if holds():
                return
        raise AssertionError(
            {path.parent.name: path.read_text().splitlines()[-1] for path in self._folder.glob("*/frames.csv")}
        )


@pytest.fixture
def carried(tmp_path: Path, model: Path) -> Iterator[Carried]:
    carried = Carried(tmp_path, model)
    yield carried
    carried.carrier.take(HaltOrder())


def answered(session: Path) -> int:
    """Rows with an answer."""
    if not (session / "frames.csv").exists():
        return 0
    header, *rows = cells_of(session / "frames.csv")
    return sum(row[header.index("label")] != "" for row in rows if len(row) == len(header))


def near(count: int, seed: int = 0) -> list[np.ndarray]:
    """The part with the face, 256 x 256."""
    return [frame[:256, 96:352] for frame in face_frames(count, seed)]


def test_sources_that_come_and_go_are_stepped_together_and_answer_as_alone(
    carried: Carried,
    model: Path,
    tmp_path: Path,
    steppers: dict[BatchStepper, set[int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # As on a GPU: on the CPU each source keeps its own.
    monkeypatch.setattr(Recognizer, "provider", "CUDA")
    faces = near(40)
    two = [np.hstack([frame, other]) for frame, other in zip(faces, near(40, seed=1), strict=True)]
    with (
        endless_server(faces, 0.04) as stays,
        endless_server(two, 0.04) as pair,
        mjpeg_server(faces[::-1], 0.04) as short,
    ):
        sessions = [carried.begin("stays", stays.url), carried.begin("goes", short)]
        sessions.append(carried.begin("pair", pair.url, max_faces=2))
        carried.until(lambda: "goes" in carried.ended)
        sessions.append(carried.begin("comes", pair.url))
        carried.until(lambda: min(answered(sessions[0]), answered(sessions[2]), answered(sessions[3])) > 3 * WINDOW)
        carried.carrier.take(HaltOrder())
        carried.until(lambda: len(carried.ended) == 4)
    assert {one.outcome for one in carried.ended.values()} == {"done", "stopped"}
    # One for those with the same settings, one for the source with two faces.
    assert len(steppers) == 2 and all(len(rows) >= 2 for rows in steppers.values())

    monkeypatch.undo()
    for session in sessions:
        alone = tmp_path / f"{session.name}.csv"
        assert run("--replay", session, "--headless", "--pace", "fast", "--model", model, "--csv", alone) == 0
        header, *rows = cells_of(session / "frames.csv")
        assert [row[: header.index("label")] for row in rows] == [
            row[: header.index("label")] for row in cells_of(alone)[1:]
        ]
        first = header.index("confidence")
        shares = slice(first, header.index("p_neutral") + 1)
        for row, other in zip(rows, cells_of(alone)[1:], strict=True):
            assert [cell == "" for cell in row[shares]] == [cell == "" for cell in other[shares]]
            for cell, expected in zip(row[shares], other[shares], strict=True):
                assert cell == "" or abs(float(cell) - float(expected)) <= 1e-5 + 1e-9
        assert answered(session) > 2 * WINDOW


def test_on_the_cpu_every_source_has_its_own_and_says_nothing_of_the_others_processor_time(
    carried: Carried, steppers: dict[BatchStepper, set[int]]
) -> None:
    """With what was prepared before they came."""
    carried.carrier.take(PrepareOrder(carried.settings(), 2))
    with endless_server(near(20), 0.04) as server:
        sessions = [carried.begin(name, server.url) for name in ("one", "two")]
        carried.until(lambda: min(map(answered, sessions)) > WINDOW)
        carried.carrier.take(HaltOrder())
        carried.until(lambda: len(carried.ended) == 2)
    assert len(steppers) == 2 and all(rows == {0} for rows in steppers.values())
    assert all(facts_of(session)["run"]["processor_ms"] is None for session in sessions)
