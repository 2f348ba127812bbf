"""Light: what flickers is taken out of the crops of a face, and only there; what cannot be made good is said."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from stream.face.light import LightKeeper, in_light_of
from tests.helpers.faces import moved, noisy, portrait

FACE = cv2.cvtColor(portrait(), cv2.COLOR_BGR2GRAY)[40:168, 160:288]
ACROSS = np.linspace(0.0, 1.0, 128)[np.newaxis]


def lit(time_s: float, levels: float, hz: float, lamp: str = "even") -> NDArray[np.float64]:
    """What light changes of a crop: everywhere alike, to one side more, or from row to row later."""
    phase = 2 * np.pi * hz * time_s + 0.7
    share = {"even": 1.0, "side": 2 * ACROSS, "rows": 1.0}[lamp]
    late = np.pi / 3 * ACROSS.T if lamp == "rows" else 0.0
    return FACE / FACE.mean() * levels * share * np.sin(phase + late)


def with_light(change: NDArray[np.float64], seed: int, noise: float = 1.0, share: float = 1.0) -> NDArray[np.uint8]:
    return noisy(share * FACE + change, np.random.default_rng(seed), noise)


@pytest.mark.parametrize("lamp", ["even", "side", "rows"])
@pytest.mark.parametrize(
    ("levels", "hz", "fps"), [(1.5, 4.0, 30.0), (3.0, 5.0, 25.0), (4.0, 10.0, 30.0), (3.0, 20.0, 60.0)]
)
def test_a_flicker_is_taken_out(levels: float, hz: float, fps: float, lamp: str):
    keeper, left, there = LightKeeper(), [], []
    for index in range(round(4 * fps)):
        change = lit(index / fps, levels, hz, lamp)
        steady = keeper.step(with_light(change, index), index / fps)
        if index > 3 * fps:
            left.append(steady[30:100, 30:100].astype(float).reshape(2, 35, 2, 35).mean(axis=(1, 3)))
            there.append(change[30:100, 30:100].reshape(2, 35, 2, 35).mean(axis=(1, 3)))
    assert keeper.steadies and keeper.fault is None
    assert np.std(left, axis=0).max() < 0.25 * np.std(there, axis=0).max()


def test_colours_are_steadied_alike():
    keeper = LightKeeper()
    for index in range(100):
        grey = with_light(lit(index / 30, 4.0, 5.0), index)
        steady = keeper.step(np.dstack([grey, grey, grey // 2]), index / 30)
    assert steady.shape == (128, 128, 3) and steady.dtype == np.uint8
    assert np.abs(steady[..., 0].astype(float) - FACE)[30:100, 30:100].mean() < 2.0


def quiet_changes(index: int) -> NDArray[np.uint8]:
    """A lamp is switched on, the head nods at 3 Hz, the light drifts, and a flicker is too weak to matter."""
    time_s = index / 30
    nodding = moved(FACE, 0.0, 1.5 * np.sin(2 * np.pi * 3 * time_s) if 4 < time_s < 7 else 0.0)[0]
    light = 12.0 * (time_s > 8) + 6.0 * np.sin(time_s) + 0.3 * np.sin(2 * np.pi * 5 * time_s)
    return noisy(nodding + light, np.random.default_rng(index), 2.0)


def test_what_does_not_flicker_stays_as_it_is():
    keeper = LightKeeper()
    for index in range(360):
        crop = quiet_changes(index)
        assert keeper.step(crop, index / 30) is crop and keeper.fault is None
    assert not keeper.steadies


def test_what_moves_keeps_its_difference():
    brows = FACE.copy()
    brows[30:44] = moved(FACE, 0.0, -2.0)[0][30:44]
    darker = np.clip(brows * 0.9 - 4.0, 0, 255).astype(np.uint8)
    difference = in_light_of(FACE, darker).astype(float) - FACE
    assert np.abs(difference[50:100, 30:100]).mean() < 1.0
    there = np.abs(brows[32:42, 30:100].astype(float) - FACE[32:42, 30:100]).mean()
    assert np.abs(difference[32:42, 30:100]).mean() == pytest.approx(there, rel=0.15)


def faults(crops: list[NDArray[np.uint8]]) -> list[str | None]:
    keeper, found = LightKeeper(), list[str | None]()
    for index, crop in enumerate(crops):
        keeper.step(crop, index / 30)
        found.append(keeper.fault)
    return found


def test_too_little_light_is_said_until_there_is_more():
    dark = [with_light(np.zeros((128, 128)), index, 10.0, share=0.14) for index in range(60)]
    light = [with_light(np.zeros((128, 128)), index, 2.0) for index in range(60, 180)]
    found = faults(dark + light)
    assert set(found[30:60]) == {"too_dark"} and set(found[-30:]) == {None}


def test_so_dark_that_there_are_hardly_grey_levels_left_is_too_dark():
    assert faults([with_light(np.zeros((128, 128)), index, 0.5, share=0.03) for index in range(60)])[-1] == "too_dark"


def test_noise_that_can_be_measured_through_is_no_fault():
    assert set(faults([with_light(np.zeros((128, 128)), index, 4.0) for index in range(90)])) == {None}


def test_a_strobe_is_more_than_can_be_taken_out():
    """Lit from half the pictures only: what is cut off at white and black does not come back."""
    crops = [with_light(np.full((128, 128), 150.0 * np.sin(2 * np.pi * 5 * n / 30)), n) for n in range(200)]
    assert faults(crops)[-1] == "flicker"


def test_of_the_same_face_aligned_anew_the_flicker_is_known():
    keeper = LightKeeper()
    for index in range(90):
        keeper.step(with_light(lit(index / 30, 3.0, 5.0), index), index / 30)
    keeper.reset()
    assert keeper.steadies and keeper.fault is None
