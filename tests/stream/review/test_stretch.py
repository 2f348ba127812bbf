"""What is shown around an event: the faces of a run, their motion, and that motion magnified."""

import cv2
import numpy as np
import pytest

from stream.events.motion import REGIONS
from stream.labels.reviewable import Reviewable
from stream.review.footage import Footage
from stream.review.stretch import MOST_FRAMES, Stretch, StretchMaker, StretchMotion, magnify
from stream.sources.demo import DEMO_CLIP, DemoSource

SURPRISE = DemoSource().events[2]


@pytest.fixture(scope="module")
def surprise() -> Stretch:
    """The demo's third micro-expression, brows raised."""
    footage = Footage.of(Reviewable("demo", DEMO_CLIP, video=DEMO_CLIP))
    assert footage is not None
    maker = StretchMaker(footage)
    try:
        found = maker.between(SURPRISE.onset_s - 0.7, SURPRISE.offset_s + 0.7)
        assert maker.between(SURPRISE.onset_s - 0.7, SURPRISE.offset_s + 0.7) is found
    finally:
        maker.close()
    return found


def test_faces_are_found_and_enlarged(surprise: Stretch) -> None:
    assert surprise.every == 1 and all(crop is not None for crop in surprise.crops)
    for crop, face in zip(surprise.crops, surprise.faces, strict=True):
        assert crop is not None and face is not None and crop.shape == (128, 128) and face.shape == (256, 256, 3)
        small = cv2.resize(cv2.cvtColor(face, cv2.COLOR_BGR2GRAY), (128, 128), interpolation=cv2.INTER_AREA)
        # The same face at the same place: a shift by a pixel would be seen.
        assert np.corrcoef(small[20:108, 20:108].ravel(), crop[20:108, 20:108].ravel())[0, 1] > 0.98
    assert all(picture[:2] == b"\xff\xd8" for picture in surprise.pictures)


def test_regions_move_as_the_expression_does(surprise: Stretch) -> None:
    motion = StretchMotion(surprise, SURPRISE.onset_s)
    rows = motion.regions_px()
    assert motion.reference == surprise.reference(SURPRISE.onset_s)
    at = [
        min(range(len(rows)), key=lambda n, s=s: abs(surprise.times_s[n] - s))
        for s in (SURPRISE.onset_s, SURPRISE.apex_s)
    ]
    brows = [place for place, name in enumerate(REGIONS) if "brow" in name]
    onset, apex = (rows[place] for place in at)
    assert onset is not None and apex is not None
    assert max(onset[place] for place in brows) < 0.2 < 0.8 < max(apex[place] for place in brows)


def test_arrows_grow_with_the_motion(surprise: Stretch) -> None:
    motion = StretchMotion(surprise, SURPRISE.onset_s)
    drawn, times = motion.arrows()
    assert times >= 1 and len(drawn) == len(surprise.times_s) and all(drawn)
    assert motion.reference is not None
    dark = [cv2.convertScaleAbs(face, alpha=0.6) for face in surprise.faces if face is not None]
    changed = [
        int((cv2.absdiff(cv2.imdecode(np.frombuffer(one, np.uint8), 1), face).max(axis=2) > 60).sum())
        for one, face in zip(drawn, dark, strict=True)
    ]
    apex = min(range(len(drawn)), key=lambda n: abs(surprise.times_s[n] - SURPRISE.apex_s))
    assert changed[motion.reference] == 0 < 100 < changed[apex]


def test_magnified_once_is_the_face_itself_and_more_moves_it_further(surprise: Stretch) -> None:
    motion = StretchMotion(surprise, SURPRISE.onset_s)
    apex = min(range(len(surprise.times_s)), key=lambda n: abs(surprise.times_s[n] - SURPRISE.apex_s))
    face, flow = surprise.faces[apex], motion.flow_px(apex)
    assert face is not None and flow is not None
    assert magnify(face, flow, 1) is face
    assert not np.array_equal(magnify(face, flow, 8), face)


def test_magnified_motion_is_gain_times_the_motion() -> None:
    """A spot that has moved by a pixel of the crop stands where it would be, had it moved eight."""
    rows, columns = np.mgrid[0:256, 0:256].astype(np.float32)
    spot = 255 * np.exp(-((columns - 128) ** 2 + (rows - 130) ** 2) / 50)
    face = np.repeat(spot.astype(np.uint8)[..., np.newaxis], 3, axis=2)
    flow = np.zeros((128, 128, 2), np.float32)
    flow[..., 1] = 1.0
    moved = magnify(face, flow, 8)[..., 0].astype(float)
    # Seven more crop pixels down, each two of the face's.
    assert (moved * rows).sum() / moved.sum() == pytest.approx(130 + 14, abs=0.2)
    assert (moved * columns).sum() / moved.sum() == pytest.approx(128, abs=0.2)


def test_long_stretches_are_thinned_and_empty_ones_are_empty() -> None:
    footage = Footage.of(Reviewable("demo", DEMO_CLIP, video=DEMO_CLIP))
    assert footage is not None
    maker = StretchMaker(footage)
    try:
        long = maker.between(0.0, 12.0)
        assert long.every == 2 and 0.5 * MOST_FRAMES < len(long.times_s) <= MOST_FRAMES
        empty = maker.between(100.0, 101.0)
        assert empty.times_s == () and StretchMotion(empty, 100.5).reference is None
        assert StretchMotion(empty, 100.5).arrows() == ([], 0)
    finally:
        maker.close()
