"""A face that never moves at all is a picture of one; people at rest sway, breathe and blink."""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.face.life import LifeWatch
from tests.helpers.faces import noisy, portrait

FACE = cv2.cvtColor(portrait(), cv2.COLOR_BGR2GRAY)[40:168, 160:288]
EYES_PX = np.array([[200.0, 150.0], [244.0, 150.0]])


def blinking(time_s: float) -> NDArray[np.uint8]:
    """The lids are skin for 0.2 s every 4 s."""
    face = FACE.copy()
    if time_s % 4 < 0.2:
        face[48:60, 36:92] = 150
    return face


def alive(
    watch: LifeWatch,
    seconds: float,
    sway_px: Callable[[float], float] = lambda _: 0.0,
    crop: Callable[[float], NDArray[np.uint8]] = lambda _: FACE,
    start_s: float = 0.0,
) -> list[bool]:
    """At every frame; the alignment shakes a little, and there is noise."""
    rng, found = np.random.default_rng(0), list[bool]()
    for time_s in start_s + np.arange(round(30 * seconds)) / 30:
        eyes = EYES_PX + rng.normal(0, 0.1, (2, 2)) + (sway_px(time_s), 0.0)
        watch.step(eyes, noisy(crop(time_s), rng, 4.0), time_s)
        found.append(watch.alive)
    return found


def test_what_never_moves_is_told_after_some_seconds():
    found = alive(LifeWatch(), 10.0)
    assert all(found[:230]) and not any(found[270:])


def test_light_is_no_life():
    assert not alive(LifeWatch(), 12.0, crop=lambda t: np.clip(FACE + 9.0 * np.sin(t), 0, 255).astype(np.uint8))[-1]


def test_a_person_who_sways_or_blinks_is_one():
    assert all(alive(LifeWatch(), 30.0, sway_px=lambda t: 0.4 * np.sin(0.8 * t)))
    assert all(alive(LifeWatch(), 30.0, crop=blinking))


def test_a_knocked_camera_wakes_no_picture_but_moving_does():
    watch = LifeWatch()
    alive(watch, 10.0)
    assert not any(alive(watch, 8.0, sway_px=lambda t: 5.0 * (12 < t < 12.4) + 1.0 * (t > 12), start_s=10.0))
    assert alive(watch, 4.0, sway_px=lambda t: 2.0 * np.sin(2.0 * t), start_s=18.0)[-1]


def test_aligned_anew_it_stays_what_it_was():
    watch = LifeWatch()
    alive(watch, 10.0)
    watch.reset()
    assert not watch.alive
