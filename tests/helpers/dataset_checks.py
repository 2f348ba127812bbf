"""A reading beside what a tree of our own making holds."""

from collections.abc import Sequence

from tests.helpers.dataset_trees import Expected, Told
from train.datasets.source import Defect, FrameFolder, Reading


def check(reading: Reading, expected: Expected) -> None:
    """All clips with all their fields in the order expected, and no warning or error but the expected ones."""
    found = [
        (
            clip.id,
            clip.label,
            clip.onset,
            clip.apex,
            clip.offset,
            tuple(number for number, _ in clip.pictures.files) if isinstance(clip.pictures, FrameFolder) else None,
            clip.action_units,
        )
        for clip in reading.clips
    ]
    assert found == [
        (clip.id, clip.label, clip.onset, clip.apex, clip.offset, clip.numbers, clip.action_units)
        for clip in expected.clips
    ]
    assert reading.sheets == expected.sheets
    check_defects(reading.defects, "warning", expected.warnings)
    check_defects(reading.defects, "error", expected.errors)


def check_defects(defects: Sequence[Defect], severity: str, expected: Sequence[Told]) -> None:
    left = [defect for defect in defects if defect.severity == severity]
    for clip, reason in expected:
        match = next((defect for defect in left if reason in defect.reason and (defect.clip or "") == clip), None)
        assert match, f"no {severity} {reason!r} of {clip!r} among\n" + "\n".join(map(str, left))
        left.remove(match)
    assert left == []
