"""A stream whose pictures change their size, or which was away for a while, in the live loop."""

from pathlib import Path

import cv2

from stream.recognizer import Recognizer
from stream.sources.base import SourceInfo
from stream.sources.pictures import PictureSource
from tests.helpers.clips import face_frames
from tests.helpers.models import save_tiny_model

LIVE = SourceInfo("pictures", 512, 512, 30.0, live=True)


def test_in_a_picture_of_another_size_everything_starts_anew(tmp_path: Path) -> None:
    save_tiny_model(tmp_path / "tiny.onnx")
    images = face_frames(70)
    sized = [*images[:35], *(cv2.resize(image, (400, 400)) for image in images[35:])]
    source = PictureSource(LIVE, ((n / 30, image) for n, image in enumerate(sized)))
    results = list(Recognizer(tmp_path / "tiny.onnx").run(source))
    assert [result.status for result in results] == (["filling"] * 29 + ["ok"] * 6) * 2
    assert [result.faces[0].track for result in results] == [1] * 35 + [2] * 35


def test_a_face_that_comes_back_after_an_outage_has_an_empty_window(tmp_path: Path) -> None:
    """Events that were open are rejected, for the face was not seen to the end of them."""
    save_tiny_model(tmp_path / "tiny.onnx")
    pictures = ((n / 30 + (20.0 if n >= 35 else 0.0), image) for n, image in enumerate(face_frames(70)))
    pipeline = Recognizer(tmp_path / "tiny.onnx").pipeline(PictureSource(LIVE, pictures))
    results = list(pipeline.results())
    assert [result.status for result in results] == (["filling"] * 29 + ["ok"] * 6) * 2
    assert results[35].faces[0].track != results[34].faces[0].track
    decided = [event for result in results[35:] for event in result.events] + list(pipeline.finish())
    assert all(event.rejected is not None for event in decided if event.track == 1)
    assert not [event for event in decided if event.onset_s < 35 / 30 and event.offset_s > 20.0]
