"""Published figures of spotting: where they are from, and by which rules they were counted."""

import json

from train.challenge.published_spotting import PUBLISHED_SPOTTERS, published_beside
from train.challenge.rules import RULES


def test_every_figure_has_a_source_and_a_range() -> None:
    for rows in PUBLISHED_SPOTTERS.values():
        assert [row.year for row in rows] == sorted(row.year for row in rows)
        for row in rows:
            figures = [row.micro, row.macro, row.overall, row.strs]
            assert row.micro is not None and all(0 < figure < 1 for figure in figures if figure is not None)
            assert len(row.source) > 20 and (row.rules is None or row.rules in RULES)
            assert row.strs is None or row.strs < row.micro


def test_what_stands_beside_a_run() -> None:
    told = published_beside("samm-long")
    assert [row["method"] for row in told["rows"]] == ["MDMD", "BoostingVRME"]
    assert told["rows"][1]["caution"] == RULES["softnet"].hides != ""
    assert published_beside("casme2-long")["rows"][1]["caution"] == "How its events are counted is not known."
    assert published_beside("own")["rows"] == []
    json.dumps(told)
