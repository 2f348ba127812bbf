"""What goes with an expression: where each part moves, how far, and that it gives no class away."""

import numpy as np
import pytest

from train.synth.clip import ClipSettings, draw_clip
from train.synth.company import CompanySettings, accompanied, draw_company
from train.synth.drawn import drawn_face
from train.synth.faces import mirror_map
from train.synth.fields import COMPANY, FaceFields, build_fields, grid_points

NOTHING = {"eyes": 0.0, "lids": 0.0, "gaze": 0.0, "turn": 0.0, "rough": 0.0}
SMILE = {"12L": 0.4, "12R": 0.3}


@pytest.fixture(scope="module")
def face() -> FaceFields:
    return build_fields(drawn_face(3).canonical_landmarks(), mirror_map())


def length(face: FaceFields, seed: int = 1, **parts: float) -> np.ndarray:
    """How far each node moves (NODES, NODES), IOD, with a smile."""
    company = draw_company(np.random.default_rng(seed), CompanySettings(**{**NOTHING, **parts}))
    assert company is not None
    field = company.field(face, SMILE)
    return np.hypot(field[..., 0], field[..., 1])


def near(x: float, y: float, reach: float = 0.25) -> np.ndarray:
    return np.hypot(*np.moveaxis(grid_points() - (x, y), -1, 0)) < reach


def smile_size(face: FaceFields) -> float:
    moved = face.displacement(face.weights(SMILE))
    return float(np.percentile(np.hypot(moved[..., 0], moved[..., 1]), 98))


def test_nothing_asked_for_is_nothing(face: FaceFields) -> None:
    assert not length(face).any()


@pytest.mark.parametrize("part", ["eyes", "lids", "gaze"])
def test_eyes_lids_and_gaze_move_the_eyes_and_leave_the_chin(face: FaceFields, part: str) -> None:
    moved = length(face, **{part: 1.0})
    eyes = near(-0.5, 0) | near(0.5, 0)
    assert moved[eyes].max() > 5 * moved[near(0, 1.6, 0.4)].max()
    assert moved[eyes].max() > 0.004


def test_a_turn_is_as_large_as_was_drawn(face: FaceFields) -> None:
    company = draw_company(np.random.default_rng(4), CompanySettings(**{**NOTHING, "turn": 0.5}))
    assert company is not None
    field = company.field(face, SMILE)
    for axis, share in enumerate(company.turn):
        assert np.abs(field[..., axis]).max() == pytest.approx(abs(share) * smile_size(face), rel=1e-4)


def test_rough_motion_is_in_the_face_and_as_strong_as_was_drawn(face: FaceFields) -> None:
    company = draw_company(np.random.default_rng(5), CompanySettings(**{**NOTHING, "rough": 0.4}))
    assert company is not None
    field = company.field(face, SMILE)
    inside = face.skin[..., 0] > 0.99
    assert field[inside].std() == pytest.approx(company.rough * smile_size(face), rel=0.15)
    assert not field[face.skin[..., 0] == 0].any()


def test_it_is_one_channel_more_at_full_gain(face: FaceFields) -> None:
    company = draw_company(np.random.default_rng(6), CompanySettings())
    fields, gains = accompanied(face, SMILE, company)
    assert fields.channels == (*face.channels, COMPANY)
    assert gains == {**SMILE, COMPANY: 1.0}
    assert accompanied(face, SMILE, None) == (face, SMILE)


def test_the_same_numbers_are_drawn_with_and_without_it() -> None:
    left = []
    for share in (0.0, 1.0):
        rng = np.random.default_rng(7)
        draw_company(rng, CompanySettings(share=share))
        left.append(rng.random())
    assert left[0] == left[1]


@pytest.mark.parametrize("label", ["negative", "positive", "surprise"])
def test_every_class_with_an_event_has_company(label: str) -> None:
    spec = draw_clip(np.random.default_rng(8), label, ClipSettings())
    assert spec.expression is not None and spec.expression.company is not None
    alone = draw_clip(np.random.default_rng(8), label, ClipSettings(company=CompanySettings(share=0.0)))
    assert alone.expression is not None and alone.expression.company is None
    assert alone.expression.units == spec.expression.units and alone.expression.envelope == spec.expression.envelope


def test_a_part_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match="lids"):
        CompanySettings(lids=-1.0)
    with pytest.raises(ValueError, match="share"):
        CompanySettings(share=1.5)


def test_parts_are_read_from_text() -> None:
    assert CompanySettings.from_text("") == CompanySettings()
    assert CompanySettings.from_text("eyes=0.5, rough=.2") == CompanySettings(eyes=0.5, rough=0.2)
    for wrong in ("nose=1", "eyes=much", "eyes", "eyes=nan"):
        with pytest.raises(ValueError, match="company"):
            CompanySettings.from_text(wrong)
