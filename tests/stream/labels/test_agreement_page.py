"""The page of disagreements: what is on it, stepped through by keyboard in a real browser."""

import asyncio
import json
import re
from pathlib import Path

import cv2
import pytest

from stream.labels.agreement import CodedRecording
from stream.labels.agreement_page import disagreements, write_agreement_page
from stream.labels.agreement_report import AgreementReport, report_agreement
from stream.labels.label_log import LabelledEvent
from stream.sinks.base import SinkError
from tests.helpers.browser import CHROMIUM, Tab, browser_tab
from tests.helpers.clips import face_frames
from tests.helpers.report_page import Page
from tests.helpers.report_sessions import made


def _event(
    number: int, onset_s: float, label: str = "negative", units: tuple[str, ...] = ("4",), **more
) -> LabelledEvent:
    told = {"apex_s": onset_s + 0.1, "offset_s": onset_s + 0.3, "verdict": "accepted"} | more
    return LabelledEvent(f"e{number}", 1, label, onset_s, action_units=units, **told)


def _report() -> AgreementReport:
    """One of each kind: Ben has not the first, calls the second otherwise, sees other units in the third and the fourth's
    end 150 ms later; the fifth is as Anna's, and the sixth is his alone."""
    anna = [_event(n, 2.0 * n) for n in range(1, 6)]
    ben = [
        _event(2, 4.0, "positive"),
        _event(3, 6.0, units=("4", "L12")),
        _event(4, 8.0, offset_s=8.45),
        _event(5, 10.01),
        _event(6, 12.0, note="<script>alert(1)</script>"),
    ]
    return report_agreement([CodedRecording("talk", 0.0, 60.0, {"anna": anna, "ben": ben})])


def test_every_kind_of_disagreement_is_found() -> None:
    found = [(seen.first or seen.second, kinds) for seen, kinds in disagreements(_report().pairs[0])]
    assert [(event and event.event, kinds) for event, kinds in found] == [
        ("e1", ("missing",)),
        ("e2", ("class",)),
        ("e3", ("units",)),
        ("e4", ("times",)),
        ("e6", ("missing",)),
    ]


def test_the_page_is_one_file_and_escapes_what_coders_write(tmp_path: Path) -> None:
    path = tmp_path / "agreement.html"
    write_agreement_page(_report(), path)
    text = path.read_text(encoding="utf-8")
    assert "<script>alert" not in text and "&lt;script&gt;alert" in text
    assert not re.search(r'(src|href)="(?!data:)', text) and "default-src 'none'" in text
    assert len(re.findall(r'<article class="card"', text)) == 5


def test_a_page_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match="cannot write the page"):
        write_agreement_page(_report(), tmp_path / "missing" / "agreement.html")


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_the_page_is_stepped_through_by_keys(tmp_path: Path) -> None:
    path = tmp_path / "agreement.html"
    write_agreement_page(_report(), path)

    async def step(tab: Tab) -> None:
        place = "document.getElementById('place').textContent"
        shown = (
            "[...document.querySelectorAll('.card')].filter(card => card.offsetParent).map(card => card.dataset.kinds)"
        )
        await tab.open(path.as_uri())
        await tab.until(f"document.readyState === 'complete' && {place} === '1 of 5'")
        assert await tab.run(shown) == ["missing"]
        for key, code, number, text, where, kinds in (
            ("ArrowRight", "ArrowRight", 39, "", "2 of 5", ["class"]),
            ("n", "KeyN", 78, "n", "3 of 5", ["units"]),
            ("ArrowLeft", "ArrowLeft", 37, "", "2 of 5", ["class"]),
            ("End", "End", 35, "", "5 of 5", ["missing"]),
            ("Home", "Home", 36, "", "1 of 5", ["missing"]),
            ("4", "Digit4", 52, "4", "1 of 1", ["times"]),
            ("1", "Digit1", 49, "1", "1 of 2", ["missing"]),
            ("0", "Digit0", 48, "0", "1 of 5", ["missing"]),
        ):
            await tab.press(key, code, number, text)
            assert await tab.until(place, lambda said, where=where: said == where) and await tab.run(shown) == kinds
        for width in (1280, 400):
            await tab.size(width, 720)
            assert await tab.run("document.documentElement.scrollWidth <= window.innerWidth")
        assert tab.complaints == [] and all(url.startswith(("file:", "data:")) for url in tab.requests)

    async def drive() -> None:
        async with browser_tab() as tab:
            await step(tab)

    asyncio.run(drive())


def test_a_sessions_pictures_are_in_the_page_and_damaged_ones_are_not(tmp_path: Path) -> None:
    session = made(tmp_path / "s", [])
    session.pictures.mkdir()
    assert cv2.imwrite(str(session.picture(1)), face_frames(1)[0])
    session.picture(2).write_bytes(b"no picture")
    anna = [_event(1, 2.0), _event(2, 4.0)]
    recording = CodedRecording("s", 0.0, 10.0, {"anna": anna, "program": []}, session)
    write_agreement_page(report_agreement([recording]), tmp_path / "agreement.html")
    page = Page(tmp_path / "agreement.html")
    assert len(page.images) == 1 and str(page.images[0]["src"]).startswith("data:image/jpeg;base64,")
    assert page.tables["pairs"].rows[1][:5] == ["anna – program", "0", "2", "0", "0.00"]


def test_numbers_of_the_report_are_json(tmp_path: Path) -> None:
    told = json.loads(json.dumps(_report().to_dict(), allow_nan=False))
    (pair,) = told["pairs"]
    assert pair["events"] == {"matched": 4, "only_first": 1, "only_second": 1, "f1": 0.8}
    assert pair["differences"]["offset"]["mean_ms"] == pytest.approx((150 + 10) / 4)
    assert pair["action_units"]["facs_index"] == pytest.approx(2 * 4 / (4 + 5))
    assert told["fleiss_kappa"] is None and told["undecided"] == {"anna": 0, "ben": 0}
