"""Models on made clips: the same events under every condition, windows by timestamps, and the command from end to end."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from model.contract import Calibration, NetworkInput, Reference
from model.preprocess import preprocess_clip
from tests.helpers.assessed_models import NAMES
from tests.helpers.models import save_tiny_model, tiny_contract
from tests.helpers.stores import CLASSES, FRAMES, GEOMETRY, LEAD_FRAMES, write_store
from train.__main__ import main
from train.assessment.answers import answers, open_candidates, window
from train.assessment.condition_clips import ConditionPlan, clip_workers, condition_store
from train.assessment.conditions import CONDITIONS, HEAD_HZ, PLAIN, Condition
from train.assessment.failures import draw_failures, surest_mistakes
from train.clips.store import ClipStore
from train.errors import UsageError
from train.scores.evaluate import evaluate, open_model
from train.synth.clip import ClipSettings, draw_clip
from train.synth.drawn import drawn_face
from train.synth.motion_curves import pose_at
from train.synth.sensor import SensorModel

SETTINGS = ClipSettings()
BY_KEY = {condition.key: condition for condition in CONDITIONS}


def nobody(clips: int) -> None:
    """Told of progress."""


def spec(seed: int = 3, label: str = "positive"):
    return draw_clip(np.random.default_rng(seed), label, SETTINGS)


@pytest.mark.parametrize("fps", [15, 20, 25, 60, 120])
def test_another_rate_shows_the_same_motion_at_the_same_times(fps: int) -> None:
    condition, before = BY_KEY[f"fps-{fps}"], spec()
    after, filmed = condition.applied(before, SETTINGS), condition.filmed(SETTINGS)
    assert after.expression == before.expression and after.camera == before.camera
    assert after.confounders.motions == before.confounders.motions and not after.repeats
    last_s = (SETTINGS.frames - 1) / SETTINGS.fps
    times = [after.time_s(index) for index in range(filmed.frames)]
    assert times[-2] < last_s <= times[-1] + 1e-9
    np.testing.assert_allclose(np.diff(times), 1 / fps)


def test_noise_and_compression_are_what_the_condition_says() -> None:
    assert BY_KEY["noise-8"].applied(spec(), SETTINGS).confounders.sensor.noise == 8
    assert BY_KEY["jpeg-30"].applied(spec(), SETTINGS).confounders.sensor.jpeg_quality == 30
    assert BY_KEY["blur-2"].applied(spec(), SETTINGS).confounders.sensor.defocus_px >= 2


@pytest.mark.parametrize(
    ("key", "expected"), [("brighter", 120), ("darker", 80), ("gamma-1.5", 62.6), ("gamma-0.7", 132)]
)
def test_tones_change_every_frame_from_the_first_on(key: str, expected: float) -> None:
    sensor = replace(BY_KEY[key].applied(spec(), SETTINGS).confounders.sensor, noise=0.0, jpeg_quality=None, smears=())
    sensor = replace(sensor, defocus_px=0.0, focus_hunt=None, tones=sensor.tones[-1:])
    camera = SensorModel(sensor, (16, 16), 1)
    for index in (0, 1, 30):
        assert camera.photograph(np.full((16, 16), 100, np.uint8), index).mean() == pytest.approx(expected, abs=1)


@pytest.mark.parametrize("px", [3.0, 6.0])
def test_head_motion_swings_by_its_amplitude(px: float) -> None:
    before = spec()
    after = BY_KEY[f"head-{px:g}"].applied(before, SETTINGS)
    times = np.arange(0, 2 / HEAD_HZ, 0.01)
    added = np.array([_head(after, t) - _head(before, t) for t in times]) * SETTINGS.geometry.iod_px
    across = np.linalg.norm(added.max(axis=0) - added.min(axis=0))
    assert across == pytest.approx(2 * px, rel=0.01)
    assert np.linalg.norm(added[0]) == pytest.approx(0, abs=1e-9)


def _head(clip, time_s: float) -> np.ndarray:
    head = pose_at(clip.confounders.motions, time_s).head
    return np.array([head.x_iod, head.y_iod])


def test_clips_are_kept_the_same_whatever_their_number_and_differ_by_condition(tmp_path: Path) -> None:
    plan = ConditionPlan(NAMES, 8, 4, SETTINGS)
    shorter = ConditionPlan(NAMES, 5, 4, SETTINGS)
    faces = [drawn_face(0), drawn_face(1)]
    with clip_workers(faces, 1) as workers:
        store = condition_store(tmp_path, PLAIN, plan, faces, workers, nobody)
        part = condition_store(tmp_path, PLAIN, shorter, faces, workers, nobody)
        noisy = condition_store(tmp_path, BY_KEY["noise-8"], shorter, faces, workers, nobody)
        np.testing.assert_array_equal(part.clips, store.clips[:5])
        assert [r.label for r in store.records] == [*NAMES, *NAMES]
        assert store.subjects[0] != store.subjects[4] and len(set(store.subjects)) == 2
        assert [r.peak_px for r in noisy.records] == [r.peak_px for r in part.records]
        assert (
            np.abs(np.diff(noisy.clips.astype(int), axis=1)).mean()
            > np.abs(np.diff(part.clips.astype(int), axis=1)).mean()
        )
        # From the cache: whoever is asked again need not make anything.
        counted: list[int] = []
        again = condition_store(tmp_path, PLAIN, plan, faces, workers, counted.append)
        assert again.path == store.path and counted == [8]
    assert (store.path / "clips.npy").stat().st_mtime_ns == (again.path / "clips.npy").stat().st_mtime_ns


@pytest.fixture(scope="module")
def ramp() -> np.ndarray:
    """A second and a half of a picture that grows brighter by 60 levels a second, at 30 a second."""
    return _ramp(30.0, 46)


def _ramp(fps: float, frames: int) -> np.ndarray:
    pattern = np.random.default_rng(0).uniform(0, 60, (32, 32))
    return np.stack([np.rint(pattern + 60 * index / fps).astype(np.uint8) for index in range(frames)])


CONTRACT = tiny_contract(
    class_names=CLASSES, crop=GEOMETRY, input=NetworkInput("pixels", 32), reference=Reference(), frames=30
)


@pytest.mark.parametrize(
    ("recipe", "reference"),
    [
        (NetworkInput("pixels", 32), Reference()),
        (NetworkInput("difference", 32), Reference("ema", time_constant_s=0.5)),
        (NetworkInput("flow", 32), Reference("lag", lag_s=0.3)),
    ],
)
@pytest.mark.parametrize("fps", [30.0, 60.0])
def test_a_window_is_that_of_training(recipe: NetworkInput, reference: Reference, fps: float) -> None:
    """Though frames before the window are not asked for their features."""
    contract = replace(CONTRACT, input=recipe, reference=reference)
    crops = _ramp(fps, round(1.6 * fps))
    expected = preprocess_clip(crops[: round((0.5 + 29 / 30) * fps) + 1], contract, fps)
    np.testing.assert_array_equal(window(crops, fps, contract, 0.5), expected)


@pytest.mark.parametrize(("fps", "frames"), [(15.0, 24), (25.0, 38), (60.0, 91), (120.0, 181)])
def test_windows_of_other_rates_start_and_end_at_the_same_times(ramp: np.ndarray, fps: float, frames: int) -> None:
    expected = window(ramp, 30.0, CONTRACT, 0.5).astype(float)
    found = window(_ramp(fps, frames), fps, CONTRACT, 0.5).astype(float)
    assert np.abs(found - expected).max() <= 1.01  # rounding of the levels; a frame off would be 2


def test_a_clip_that_ends_before_the_window_is_refused(ramp: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"expected a window of 30 frames at 30 fps from 0.60 s on, found 46 frames"):
        window(ramp, 30.0, CONTRACT, 0.6)


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> tuple[ClipStore, list[Path]]:
    """A store of moving spots, and two models of which the second wants other input."""
    folder = tmp_path_factory.mktemp("assess")
    base = {"class_names": CLASSES, "frames": FRAMES - LEAD_FRAMES, "crop": GEOMETRY}
    save_tiny_model(folder / "flow.onnx", tiny_contract(**base, input=NetworkInput("flow", 32)))
    save_tiny_model(folder / "difference.onnx", tiny_contract(**base, input=NetworkInput("difference", 32)))
    return write_store(folder / "store"), [folder / "flow.onnx", folder / "difference.onnx"]


def test_answers_are_those_of_eval_and_are_kept(fake, monkeypatch) -> None:
    store, paths = fake
    candidates = open_candidates(paths)
    found = answers(candidates, store, LEAD_FRAMES / 30, 2, nobody)
    for path, probabilities in zip(paths, found, strict=True):
        np.testing.assert_allclose(probabilities, evaluate(open_model(path), store).probabilities, atol=1e-6)
    monkeypatch.setattr(type(candidates[0].predictor), "predict", None)  # must not be asked again
    for kept, probabilities in zip(answers(candidates, store, LEAD_FRAMES / 30, 2, nobody), found, strict=True):
        np.testing.assert_array_equal(kept, probabilities)


def test_still_frames_are_answered_apart(fake) -> None:
    store, paths = fake
    frozen = ("still", lambda row, crops: np.repeat(crops[-1:], len(crops), axis=0))
    candidates = open_candidates(paths[:1])
    (still,) = answers(candidates, store, LEAD_FRAMES / 30, 1, nobody, frozen)
    (moving,) = answers(candidates, store, LEAD_FRAMES / 30, 1, nobody)
    assert np.ptp(still, axis=0).max() < 1e-6 < np.ptp(moving, axis=0).max()


def test_models_of_other_classes_or_crops_are_refused(fake, tmp_path: Path) -> None:
    _, paths = fake
    save_tiny_model(tmp_path / "four.onnx", tiny_contract(frames=9, crop=GEOMETRY))
    with pytest.raises(UsageError, match=r"four.onnx: class_names: expected .* as in .*flow.onnx"):
        open_candidates([paths[0], tmp_path / "four.onnx"])


def test_people_a_model_was_made_with_are_known(fake, tmp_path: Path) -> None:
    fitted = Calibration(1.1, 0.1, 0.05, 60, ("synthetic/cid",))
    save_tiny_model(
        tmp_path / "model.onnx", tiny_contract(scores={"validation_people": ["synthetic/bob"]}, calibration=fitted)
    )
    (tmp_path / "data.json").write_text(json.dumps({"train": {"people": ["synthetic/ann"]}, "validation": {}}))
    (candidate,) = open_candidates([tmp_path])
    assert candidate.known == {"ann", "bob", "cid"}
    (unknown,) = open_candidates(fake[1][:1])
    assert unknown.known == frozenset()


def test_the_surest_mistakes_come_first_and_few_of_a_kind() -> None:
    sure = [0.9, 0.8, 0.7, 0.6, 0.95]
    probabilities = np.array([[1 - p, p] for p in sure[:4]] + [[0.95, 0.05]], np.float32)
    found = surest_mistakes(probabilities, np.array([0, 0, 0, 1, 1]), count=3, a_kind=2)
    assert [(m.row, m.answer) for m in found] == [(4, 0), (0, 1), (1, 1)]
    assert found[0].confidence == pytest.approx(0.95)
    assert surest_mistakes(probabilities, probabilities.argmax(axis=1)) == []


def test_no_mistake_gives_no_picture(fake, tmp_path: Path) -> None:
    store, _ = fake
    right = np.eye(3, dtype=np.float32)[store.labels]
    assert draw_failures(store, right, CONTRACT, "a model", tmp_path / "wrong.png") == 0
    assert not (tmp_path / "wrong.png").exists()


@pytest.fixture(scope="module")
def assessed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """The command on drawn faces, with two models that know nothing."""
    folder = tmp_path_factory.mktemp("command")
    for name in ("one", "two"):
        save_tiny_model(folder / f"{name}.onnx", tiny_contract(reference=Reference("ema", time_constant_s=len(name))))
    models = [str(folder / "one.onnx"), str(folder / "two.onnx")]
    command = ["assess", "--model", *models, "--drawn", "2", "--clips", "12", "--condition-clips", "4", "--jobs", "1"]
    command += ["--only", "rate", "--seed", "2", "--cache", str(folder / "cache")]
    outputs = ["--json", str(folder / "a.json"), "--chart", str(folder / "a.png"), "--failures", str(folder / "f.png")]
    assert main([*command, *outputs]) == 0
    return folder, command


def test_the_command_reports_everything(assessed) -> None:
    folder, _ = assessed
    report = json.loads((folder / "a.json").read_text())
    assert report["known_people"] == []
    assert report["plain"]["n"] == 12 and len(report["people"]) == 3
    assert len(report["plain"]["uf1"]["values"]) == 2
    assert sum(map(sum, report["plain"]["confusions"][0])) == 12
    assert [row["key"] for row in report["conditions"]] == ["plain", *(c.key for c in CONDITIONS if c.group == "rate")]
    assert all(row["n"] == 4 for row in report["conditions"])
    assert report["still"]["model"]["n"] == 4
    assert report["command"].startswith("python -m train assess --model")
    for name in ("a.png", "f.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG")


def test_a_second_time_is_the_same_from_the_cache_as_markdown(assessed, capsys) -> None:
    folder, command = assessed
    before = {path: path.stat().st_mtime_ns for path in (folder / "cache").rglob("*.npy")}
    assert main([*command, "--markdown", "--json", str(folder / "b.json")]) == 0
    assert {path: path.stat().st_mtime_ns for path in (folder / "cache").rglob("*.npy")} == before
    first, second = (json.loads((folder / name).read_text()) for name in ("a.json", "b.json"))
    assert {k: v for k, v in first.items() if k != "command"} == {k: v for k, v in second.items() if k != "command"}
    printed = capsys.readouterr().out
    assert "### By peak motion" in printed and "| < 1.2 px |" in printed


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--clips", "2"], "4 or more"),
        (["--model", "nothing.onnx"], "found nothing"),
        (["--people", "nobody"], "--people: expected some of"),
        (["--peak", "3", "1"], "expected 0 < smallest <= largest"),
        (["--json", "no/such/folder/a.json"], "expected an existing folder"),
        (["--condition-clips", "-1"], "expected 0 to all"),
    ],
)
def test_what_does_not_fit_is_one_line(flags: list[str], message: str, capsys, tmp_path: Path) -> None:
    save_tiny_model(tmp_path / "model.onnx", tiny_contract())
    assert main(["assess", "--model", str(tmp_path / "model.onnx"), "--cache", str(tmp_path), *flags]) == 2
    assert message in capsys.readouterr().err.replace("\n", " ")


def test_conditions_have_keys_and_names_of_their_own() -> None:
    every: tuple[Condition, ...] = (PLAIN, *CONDITIONS)
    assert len({c.key for c in every}) == len({c.name for c in every}) == len(every)
