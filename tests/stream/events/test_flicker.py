"""Micro-expressions in light that flickers: the whole way from pictures to events, on a made video."""

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from stream.recognizer import Recognizer
from stream.sources.pictures import PictureSource
from train.synth.faces import astronaut
from train.synth.long_video import LongVideo, Sampling, make_long_video
from train.synth.long_video_script import ScriptSettings

SCRIPT = ScriptSettings(
    duration_s=22.0, gap_max_s=5.0, peak_min_px=1.6, talk_share=0.0, macro_share=0.0, rest_share=0.0, busy=0.3
)


@pytest.fixture(scope="module")
def video() -> LongVideo:
    made = make_long_video([astronaut()], 2, 0, SCRIPT)
    assert [event.kind for event in made.events] == ["micro"] * 3
    return made


def flickering(
    video: LongVideo, sampling: Sampling, levels: float, hz: float, one_side: bool
) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    rng = np.random.default_rng(3)
    across = 2 * np.linspace(0.0, 1.0, video.view.width_px)[:, np.newaxis] if one_side else 1.0
    for time_s, picture in video.frames(sampling):
        light = levels / 128 * np.sin(2 * np.pi * hz * time_s + 0.7) * across
        yield (
            time_s,
            np.clip(np.rint(picture * (1 + light) + rng.normal(0, 0.6, picture.shape)), 0, 255).astype(np.uint8),
        )


@pytest.mark.parametrize(("levels", "hz", "fps", "one_side"), [(4.0, 5.0, 25.0, False), (3.0, 10.0, 30.0, True)])
def test_micro_expressions_are_found_all_the_same(video, levels, hz, fps, one_side):
    sampling = Sampling(fps)
    source = PictureSource(video.info(sampling), flickering(video, sampling, levels, hz, one_side))
    with Recognizer() as recognizer:
        found = [
            e for result in recognizer.run(source) for e in result.events if e.rejected is None and e.kind == "micro"
        ]
    hits = [any(e.onset_s < true.offset_s and e.offset_s > true.onset_s for e in found) for true in video.events]
    assert sum(hits) >= 2 and len(found) <= sum(hits) + 1


@pytest.mark.parametrize(("share", "noise", "status"), [(0.14, 10.0, "too_dark")])
def test_where_nothing_can_be_found_it_is_said(video, share, noise, status):
    rng, sampling = np.random.default_rng(4), Sampling(30.0)
    pictures = (
        (time_s, np.clip(np.rint(share * picture + rng.normal(0, noise, picture.shape)), 0, 255).astype(np.uint8))
        for time_s, picture in video.frames(sampling)
        if time_s < 6
    )
    with Recognizer() as recognizer:
        statuses = [result.status for result in recognizer.run(PictureSource(video.info(sampling), pictures))]
    assert statuses[90:].count(status) >= 0.8 * len(statuses[90:])
