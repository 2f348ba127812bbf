"""The board of tiles: newest picture of every source, over real sockets, and in headless Chromium."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import cv2
import numpy as np
import pytest

from stream.fleet.board_server import BoardServer
from stream.fleet.fleet_folder import FleetFolder
from stream.fleet.orders import FleetSource, RecordSettings, WatchedPicture
from stream.fleet.tiles import WATCHED_S, TileBoard
from stream.network_address import NetworkAddress
from stream.web.access import ServeSettings, open_listener
from tests.helpers.browser import CHROMIUM, Tab, browser_tab
from tests.helpers.fleet_folders import asked, made_session, tell
from tests.helpers.report_sessions import line

TOKEN = "a-token-for-tests-only"


def jpeg(grey: int, side: int = 48) -> bytes:
    return cv2.imencode(".jpg", np.full((side * 3 // 4, side, 3), grey, np.uint8))[1].tobytes()


def picture(name: str, grey: int = 100, **facts: Any) -> WatchedPicture:
    return WatchedPicture(
        name, jpeg(grey), {"faces": 1, "status": "ok", "label": "surprise", "confidence": 0.5} | facts
    )


HALL = FleetSource("hall", "stream", "rtsp://user:secret@10.0.0.7/a")
WARD = FleetSource("ward", "stream", "rtsp://10.0.0.8/b", RecordSettings(label="Ward 7"))


@contextmanager
def served(out: Path, token: str | None = None) -> Iterator[tuple[TileBoard, str]]:
    board = TileBoard(FleetFolder(out))
    with open_listener(ServeSettings(NetworkAddress("127.0.0.1", 0), token)) as listener, BoardServer(board, listener):
        yield board, listener.url
    assert "board" not in {thread.name for thread in threading.enumerate()}


def look(
    url: str, since: int = 0, visible: dict[str, int] | None = None, opened: str | None = None, **headers: str
) -> tuple[dict[str, Any], list[bytes]]:
    """What the page does."""
    body = json.dumps({"since": since, "visible": visible or {}, "opened": opened}).encode()
    with urlopen(Request(url.split("?")[0] + "look", body, headers), timeout=60) as answer:
        data = answer.read()
    length = int.from_bytes(data[:4], "big")
    told, rest, pictures = json.loads(data[4 : 4 + length]), data[4 + length :], []
    for tile in told["tiles"]:
        pictures.append(rest[: tile.get("bytes", 0)])
        rest = rest[tile.get("bytes", 0) :]
    assert rest == b""
    return told, pictures


def state(source: str, name: str, reason: str = "") -> dict[str, Any]:
    return {"source": source, "state": name, "reason": reason}


def test_the_newest_picture_wins_and_only_what_is_lacking_is_sent(tmp_path: Path) -> None:
    with served(tmp_path) as (board, url):
        for grey in (10, 60, 110):
            board.post(picture("cam-1", grey))
        board.post(picture("cam-2", 200))
        told, pictures = look(url, 0, {"cam-1": 0})
        assert [tile["id"] for tile in told["tiles"]] == ["cam-1", "cam-2"]
        assert pictures == [jpeg(110), b""]  # one of them cannot be seen
        number = told["tiles"][0]["picture"]
        told, pictures = look(url, told["number"], {"cam-1": number, "cam-2": 0})
        assert [tile["id"] for tile in told["tiles"]] == ["cam-2"] and pictures == [jpeg(200)]
        seen = {"cam-1": number, "cam-2": told["tiles"][0]["picture"]}
        # Nothing is new: the answer waits for what comes.
        threading.Timer(0.1, board.post, [picture("cam-1", 250)]).start()
        told, pictures = look(url, told["number"], seen)
        assert pictures == [jpeg(250)]


def test_it_knows_whether_anybody_looks(tmp_path: Path) -> None:
    now_s = [100.0]
    board = TileBoard(FleetFolder(tmp_path), lambda: now_s[0])
    assert not board.watched
    board.asked()
    now_s[0] += WATCHED_S - 0.1
    assert board.watched
    now_s[0] += 0.2
    assert not board.watched
    with served(tmp_path) as (board, url):
        assert not board.watched
        look(url)
        assert board.watched


def test_memory_stays_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.fleet.tiles.MOST_TILES", 3)
    board = TileBoard(FleetFolder(tmp_path))
    for number in range(6):
        board.post(picture(f"cam-{number}"))
    board.post(WatchedPicture("cam-0", b"x" * (1 << 21), {}))
    _, tiles, pictures = board.newer(0, {f"cam-{number}": 0 for number in range(6)})
    assert [tile["id"] for tile in tiles] == ["cam-0", "cam-1", "cam-2"] and pictures == 3 * [jpeg(100)]


def test_states_and_events_come_from_the_folder(tmp_path: Path) -> None:
    made_session(tmp_path, "cam-1/0001", 5, [line(1, 0.5, label="negative")])
    newest = made_session(tmp_path, "cam-1/0002", 5, [line(1, 0.5), line(2, 0.9, rejected="blink")])
    tell(tmp_path, state("cam-1", "running"), state("cam-2", "failed", "no\x1b light"))
    with served(tmp_path) as (board, url):
        told, _ = look(url)
        assert {tile["id"]: (tile["state"], tile["reason"]) for tile in told["tiles"]} == {
            "cam-1": ("running", ""),
            "cam-2": ("failed", "no? light"),
        }
        told, _ = look(url, told["number"], {"cam-1": 0}, "cam-1")
        assert [event["rejected"] for event in told["events"]] == ["blink", None]
        assert told["tiles"][0]["event"]["label"] == "surprise"
        with newest.events.open("a") as file:
            file.write('{"kind": "micro", "label": "x", "apex_s": NaN}\n{"kind": "mi')
        assert board.events("cam-1")[0]["label"] == "x" and board.events("cam-1")[0]["apex_s"] is None
        # A name that is no source's never becomes a path.
        assert board.events("../sessions/cam-1") == [] == board.events("..")


def test_a_source_is_called_as_it_was_named_and_not_by_its_address(tmp_path: Path) -> None:
    (tmp_path / "sessions").mkdir()
    asked(tmp_path, HALL, WARD)
    tell(tmp_path, state("hall", "waiting", "rtsp://10.0.0.7/…: no connection"), state("ward", "running"))
    with served(tmp_path) as (_, url):
        tiles = look(url)[0]["tiles"]
    assert {(tile["id"], tile["name"], tile["reason"]) for tile in tiles} == {
        ("hall", "hall", "no connection"),
        ("ward", "Ward 7", ""),
    }
    # The label stands in for the address, too.
    assert {tile["address"] for tile in tiles} == {"rtsp://10.0.0.7/…", "Ward 7"}


def test_only_those_who_are_let_in_look(tmp_path: Path) -> None:
    with served(tmp_path, TOKEN) as (board, url):
        board.post(picture("cam-1"))
        for headers, code in (
            (dict[str, str](), 401),
            ({"Authorization": "Bearer wrong"}, 401),
            ({"Authorization": f"Bearer {TOKEN}", "Host": "evil.example"}, 421),
            ({"Authorization": f"Bearer {TOKEN}", "Origin": "http://evil.example"}, 403),
        ):
            with pytest.raises(HTTPError) as caught:
                look(url, 0, None, None, **headers)
            assert caught.value.code == code
        assert not board.watched
        assert look(url, Authorization=f"Bearer {TOKEN}")[0]["tiles"][0]["id"] == "cam-1"
        for body in (b"", b"{}", b'{"since": -1, "visible": {}, "opened": null}', b"[" * 5000):
            with pytest.raises(HTTPError) as caught:
                urlopen(Request(url.split("?")[0] + "look", body, {"Authorization": f"Bearer {TOKEN}"}), timeout=60)
            assert caught.value.code == 400


async def fifty_tiles(tab: Tab, board: TileBoard) -> None:
    names = [f"cam-{number}" for number in range(50)]
    shown = "[...document.querySelectorAll('#tiles canvas')].filter((one) => one.width === 48).length"
    stop = threading.Event()

    def post() -> None:
        round_n = 0
        while not stop.wait(0.05):
            round_n += 1
            if board.watched:
                for name in names:
                    board.post(picture(name, round_n % 256))

    poster = threading.Thread(target=post)
    poster.start()
    try:
        await tab.until(shown, lambda count: count >= 12)
        # Those that cannot be seen are sent nothing: every one has to come into sight.
        for name in names:
            await tab.run(f"document.querySelector('[data-id={name}]').scrollIntoView()")
            await tab.until(f"document.querySelector('[data-id={name}] canvas').width === 48")
        assert await tab.run(shown) == 50
        grey = "document.querySelector('[data-id=cam-49] canvas').getContext('2d').getImageData(9, 9, 1, 1).data[0]"
        first = await tab.run(grey)
        await tab.until(grey, lambda value: value != first)
    finally:
        stop.set()
        poster.join()


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_fifty_tiles_in_a_browser(tmp_path: Path) -> None:
    made_session(tmp_path, "cam-7/0001", 5, [line(1, 65.5), line(2, 70.0, rejected="blink")])
    tell(tmp_path, *(state(f"cam-{number}", "running") for number in range(50)), state("cam-3", "failed", "no light"))

    async def watch() -> None:
        async with browser_tab() as tab:
            await tab.size(1280, 800)
            with served(tmp_path, TOKEN) as (board, url):
                await tab.open(url)
                await tab.until("document.querySelectorAll('.tile').length", lambda count: count == 50)
                assert TOKEN not in await tab.run("location.href")
                order = await tab.run("[...document.querySelectorAll('#tiles li')].map((one) => one.dataset.id)")
                assert order == [f"cam-{number}" for number in range(50)]
                await fifty_tiles(tab, board)
                await tab.run("document.querySelector('[data-id=cam-7] button').click()")
                events = await tab.until("document.querySelector('#events').innerText", lambda text: "1:05.5" in text)
                assert "surprise, micro" in events and "rejected" not in events
                await tab.run("document.querySelector('#rejected').click()")
                await tab.until("document.querySelector('#events').innerText", lambda text: "blink" in text)
                await tab.press("Escape", "Escape", 27)
                await tab.until("!document.querySelector('#one').open")
                assert "no light" in await tab.run("document.querySelector('[data-id=cam-3]').textContent")
                for width in (390, 1280):
                    await tab.size(width, 800)
                    assert await tab.run("document.documentElement.scrollWidth <= innerWidth")
                assert {request.split("/")[2] for request in tab.requests if request.startswith("http")} == {
                    url.split("/")[2]
                }
            await tab.until("document.querySelector('#link').dataset.state", lambda state: state == "waiting")

    asyncio.run(watch())
