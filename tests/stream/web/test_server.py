"""The web view with real sockets: viewers, slow viewers, strangers, the end."""

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import numpy as np
import pytest

from model.types import FrameResult
from stream.health import Health
from stream.history import LiveHistory
from stream.network_address import NetworkAddress
from stream.sinks.base import SinkError
from stream.web import guarded_server, server, viewers
from stream.web.access import Listener, ServeSettings, open_listener
from stream.web.server import WebView
from tests.helpers.happenings import event, moment, seen
from tests.helpers.models import tiny_contract
from tests.helpers.results import CLASSES, prediction

DEADLINE_S = 30.0
TOKEN = "a-token-for-tests-only"
HANDSHAKE = (
    b"GET /live HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
IMAGE = np.full((48, 64, 3), 90, np.uint8)


class Run:
    """A web view and what a run does with it: records results, then writes them."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.history = LiveHistory(CLASSES)
        self.frames = 0
        self.encoded = 0
        self.view = WebView(listener, tiny_contract(class_names=CLASSES), self.history, self.health)
        pictures: Any = self.view._pictures
        encode = pictures.jpeg

        def counted(*given: Any) -> bytes:
            self.encoded += 1
            return encode(*given)

        pictures.jpeg = counted

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listener.address.port}"

    def health(self) -> Health:
        return Health("camera 0", "CPU", "streaming", frames=self.frames)

    def write(self, *events: Any) -> FrameResult:
        result = moment(self.frames / 30, seen(answer=prediction(0.7, 0.1, 0.1, 0.1)), events=events, image=IMAGE)
        self.frames += 1
        self.history.record(result)
        self.view.write(result)
        return result


@contextlib.contextmanager
def running(token: str | None = None) -> Iterator[Run]:
    with open_listener(ServeSettings(NetworkAddress("127.0.0.1", 0), token)) as listener:
        run = Run(listener)
        with run.view:
            yield run


class Watcher:
    """A viewer that acknowledges what it is told to."""

    def __init__(self, line: aiohttp.ClientWebSocketResponse) -> None:
        self.line = line

    async def next(self, acknowledge: bool = True) -> tuple[dict[str, Any], bytes]:
        message = await asyncio.wait_for(self.line.receive(), DEADLINE_S)
        assert message.type == aiohttp.WSMsgType.BINARY, message
        if acknowledge:
            await self.line.send_str("")
        length = int.from_bytes(message.data[:4], "big")
        return json.loads(message.data[4 : 4 + length]), message.data[4 + length :]

    async def until_frame(self, frame: int) -> dict[str, Any]:
        while True:
            state, _ = await self.next()
            if state.get("frame", -1) >= frame:
                return state


@contextlib.asynccontextmanager
async def watching(url: str, **given: Any) -> AsyncIterator[Watcher]:
    async with aiohttp.ClientSession() as session, session.ws_connect(f"{url}/live", **given) as line:
        watcher = Watcher(line)
        hello, picture = await watcher.next(acknowledge=False)
        assert hello["kind"] == "hello" and picture == b""
        yield watcher


async def refused(url: str, path: str = "/live", **given: Any) -> int:
    async with aiohttp.ClientSession() as session, session.get(url + path, **given) as answer:
        await answer.text()
        return answer.status


def test_nobody_watches_and_nothing_is_drawn() -> None:
    with running() as run:
        for _ in range(50):
            run.write()
        asyncio.run(refused(run.url, "/"))
        assert run.encoded == 0


def test_viewers_see_the_same_picture_which_is_encoded_once() -> None:
    async def watch(run: Run) -> None:
        async with watching(run.url) as first, watching(run.url) as second, watching(run.url) as third:
            run.write(event(0.0), event(0.0, rejected="blink"))
            seen_by = [await watcher.next(acknowledge=False) for watcher in (first, second, third)]
            while any("frame" not in state for state, _ in seen_by):
                seen_by = [await watcher.next(acknowledge=False) for watcher in (first, second, third)]
            assert len({picture for _, picture in seen_by}) == 1 and seen_by[0][1].startswith(b"\xff\xd8")
            assert run.encoded == 1
            for state, _ in seen_by:
                assert state["frame"] == 0 and state["shares"] == [0.7, 0.1, 0.1, 0.1]
                assert [one["accepted"] for one in state["events"]] == [True, False]

    with running() as run:
        asyncio.run(watch(run))


def test_a_slow_viewer_gets_the_newest_picture_and_all_samples() -> None:
    """It acknowledges nothing, so that only two messages are sent ahead; then it has what it missed in one."""

    async def watch(run: Run) -> None:
        async with watching(run.url) as slow:
            run.write()
            for _ in range(2):
                await slow.next(acknowledge=False)
            async with watching(run.url) as quick:
                for _ in range(200):
                    run.write(event(1.0))
                await quick.until_frame(200)
            await slow.line.send_str("")
            state, picture = await slow.next()
            assert state["frame"] == 200 and picture.startswith(b"\xff\xd8")
            assert len(state["samples"]) == 200 and len(state["events"]) == 200

    with running() as run:
        asyncio.run(watch(run))


def test_nothing_is_drawn_for_a_viewer_that_is_not_ready() -> None:
    async def watch(run: Run) -> None:
        async with watching(run.url) as slow:
            run.write()
            for _ in range(2):
                await slow.next(acknowledge=False)
            before = run.encoded
            for _ in range(200):
                run.write()
            assert await refused(run.url, "/") == 200
            assert run.encoded == before
            await slow.line.send_str("")
            await slow.until_frame(200)
            assert run.encoded == before + 1

    with running() as run:
        asyncio.run(watch(run))


def test_what_a_slow_viewer_has_missed_is_made_good() -> None:
    async def watch(run: Run) -> None:
        async with watching(run.url) as slow:
            times_s: list[float] = []
            events: list[int] = []
            for burst in range(5):
                for _ in range(40):
                    run.write(event(1.0))
                while not times_s or times_s[-1] < round((40 * burst + 39) / 30, 4):
                    state, _ = await slow.next()
                    times_s += [row[0] for row in state.get("samples", [])]
                    events += [one["number"] for one in state.get("events", [])]
            assert times_s == [round(n / 30, 4) for n in range(200)]
            assert events == list(range(1, 201))

    with running() as run:
        asyncio.run(watch(run))


def test_one_that_reads_nothing_holds_nobody_up() -> None:
    async def watch(run: Run) -> None:
        with socket.create_connection(("127.0.0.1", run.listener.address.port)) as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.sendall(HANDSHAKE)
            async with watching(run.url) as quick:
                for last in range(0, 30, 3):
                    run.write()
                    run.write()
                    run.write()
                    assert (await quick.until_frame(last + 2))["frame"] == last + 2

    with running() as run:
        asyncio.run(watch(run))


def test_one_that_is_gone_without_a_word_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """It answers no ping."""
    monkeypatch.setattr(viewers, "HEARTBEAT_S", 0.2)
    with running() as run:
        with socket.create_connection(("127.0.0.1", run.listener.address.port), DEADLINE_S) as deaf:
            deaf.sendall(HANDSHAKE)
            while deaf.recv(65536):
                pass
        deadline = time.monotonic() + DEADLINE_S
        while len(run.view._viewers):
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_the_health_comes_without_frames_too() -> None:
    async def watch(run: Run) -> None:
        async with watching(run.url) as watcher:
            state, picture = await watcher.next()
            assert set(state) == {"kind", "lost", "health", "samples"} and picture == b""
            run.write()
            await watcher.until_frame(0)
            state, picture = await watcher.next()
            assert state["frame"] == 0 and picture == b"" and state["samples"] == []

    with running() as run:
        asyncio.run(watch(run))


def test_who_comes_late_sees_the_last_picture() -> None:
    async def watch(run: Run) -> None:
        async with watching(run.url) as first:
            run.write()
            await first.until_frame(0)
            async with watching(run.url) as second:
                state, picture = await second.next()
                assert state["frame"] == 0 and picture.startswith(b"\xff\xd8") and len(state["samples"]) == 1

    with running() as run:
        asyncio.run(watch(run))


def test_the_events_of_the_end_come_without_a_frame_and_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_WITHOUT_FRAMES_S", DEADLINE_S)

    async def watch(run: Run) -> None:
        async with watching(run.url) as watcher:
            run.write(event(0.0))
            first = await watcher.until_frame(0)
            last = (event(0.1), event(0.2, rejected="blink"))
            run.history.finish(last)
            run.view.finish(last)
            state, picture = await watcher.next()
            assert [one["number"] for one in first["events"]] == [1]
            assert [(one["number"], one["accepted"]) for one in state["events"]] == [(2, True), (3, False)]
            assert state["counts"] == {"micro": 2, "macro": 0, "rejected": 1}
            # It is the same picture: nobody is sent it again.
            assert picture == b"" and run.encoded == 1

    with running() as run:
        asyncio.run(watch(run))


def test_a_bounded_number_of_viewers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(viewers.Viewers.__init__, "__defaults__", (2,))

    async def watch(run: Run) -> None:
        async with watching(run.url):
            async with watching(run.url):
                assert await refused(run.url) == 503
            while True:
                with contextlib.suppress(aiohttp.WSServerHandshakeError):
                    async with watching(run.url):
                        return

    with running() as run:
        asyncio.run(watch(run))


def test_a_bounded_number_of_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guarded_server, "_MAX_CONNECTIONS", 2)
    monkeypatch.setattr(guarded_server, "_FIRST_REQUEST_S", 0.2)
    with running() as run:
        where = ("127.0.0.1", run.listener.address.port)
        with contextlib.ExitStack() as stack:
            silent = [stack.enter_context(socket.create_connection(where, DEADLINE_S)) for _ in range(3)]
            # The third is closed at once, those that ask for nothing a little later.
            assert all(one.recv(1) == b"" for one in reversed(silent))
        assert asyncio.run(refused(run.url, "/")) == 200


def test_strangers_are_refused() -> None:
    async def ask(run: Run) -> None:
        for path in ("/", "/app.js", "/live"):
            assert await refused(run.url, path) == 401
            assert await refused(run.url, path, params={"token": TOKEN + "x"}) == 401
            assert await refused(run.url, path, headers={"Host": "evil.example"}) == 421
            assert (
                await refused(run.url, path, headers={"Origin": "http://evil.example"}, params={"token": TOKEN}) == 403
            )
        assert await refused(run.url, "/app.js", headers={"Authorization": f"Bearer {TOKEN}"}) == 200
        with pytest.raises(aiohttp.WSServerHandshakeError):
            async with watching(run.url):
                pass
        async with watching(run.url, headers={"Authorization": f"Bearer {TOKEN}", "Origin": run.url}):
            pass

    with running(TOKEN) as run:
        asyncio.run(ask(run))


def test_the_token_becomes_a_strict_cookie() -> None:
    async def ask(run: Run) -> None:
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
            async with session.get(run.url + "/app.js", params={"token": TOKEN}) as answer:
                assert answer.status == 200 and "Set-Cookie" not in answer.headers
            async with session.get(run.url + "/", params={"token": TOKEN}) as answer:
                cookie = answer.headers["Set-Cookie"]
                assert "HttpOnly" in cookie and "SameSite=Strict" in cookie
                assert f"microlive-{run.listener.address.port}=" in cookie
            async with session.get(run.url + "/app.js") as answer:
                assert answer.status == 200
            async with session.ws_connect(run.url + "/live") as line:
                assert (await Watcher(line).next())[0]["kind"] == "hello"

    with running(TOKEN) as run:
        asyncio.run(ask(run))


def test_headers_and_files() -> None:
    async def ask(run: Run) -> None:
        async with aiohttp.ClientSession() as session:
            for path, kind in (
                ("/", "html"),
                ("/app.js", "javascript"),
                ("/style.css", "css"),
                ("/icon.svg", "svg"),
                ("/x", ""),
            ):
                async with session.get(run.url + path) as answer:
                    assert answer.status == (200 if kind else 404) and kind in answer.headers["Content-Type"]
                    policy = answer.headers["Content-Security-Policy"]
                    assert "default-src 'none'" in policy and "http" not in policy and "unsafe" not in policy
                    assert answer.headers["X-Content-Type-Options"] == "nosniff"
                    assert answer.headers["Referrer-Policy"] == "no-referrer"
        for path in ("/../serve.py", "/%2e%2e/serve.py", "/index.html/../../serve.py", "/serve.py", "//etc/passwd"):
            with socket.create_connection(("127.0.0.1", run.listener.address.port), DEADLINE_S) as line:
                line.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
                assert b" 404 " in line.recv(100)
        assert await refused(run.url, "/live") in (400, 426)

    with running() as run:
        asyncio.run(ask(run))


@pytest.mark.parametrize("sent", [b"\x00\xff" * 500, b"GET / HTTP/9.9\r\n\r\n", b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\n\r\n",
                                  b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 3000 + b"\r\n", b"GET / HTTP/1.1\r\n\r\n"])  # fmt: skip
def test_nonsense_is_refused_and_the_run_goes_on(sent: bytes) -> None:
    async def watch(run: Run) -> None:
        line = socket.create_connection(("127.0.0.1", run.listener.address.port), DEADLINE_S)
        with line, contextlib.suppress(ConnectionError):
            line.sendall(sent)
            assert b" 200 " not in line.recv(200)
        async with watching(run.url) as watcher:
            run.write()
            await watcher.until_frame(0)

    with running() as run:
        asyncio.run(watch(run))


def test_a_viewer_that_says_too_much_is_let_go() -> None:
    async def watch(run: Run) -> None:
        async with watching(run.url) as watcher:
            await watcher.line.send_str("x" * 100000)
            while (await asyncio.wait_for(watcher.line.receive(), DEADLINE_S)).type is aiohttp.WSMsgType.BINARY:
                pass
            assert watcher.line.closed
        async with watching(run.url):
            pass

    with running() as run:
        asyncio.run(watch(run))


def test_the_end_is_told_and_leaves_nothing_behind() -> None:
    before = threading.active_count()
    ended: list[int | None] = []
    there = threading.Event()

    async def watch(url: str) -> None:
        async with watching(url) as watcher:
            there.set()
            while (await asyncio.wait_for(watcher.line.receive(), DEADLINE_S)).type is aiohttp.WSMsgType.BINARY:
                await watcher.line.send_str("")
            ended.append(watcher.line.close_code)

    with running() as run:
        address = run.listener.address
        thread = threading.Thread(target=lambda: asyncio.run(watch(run.url)))
        thread.start()
        assert there.wait(DEADLINE_S)
        deaf = socket.create_connection(("127.0.0.1", address.port))
    thread.join(DEADLINE_S)
    deaf.close()
    assert ended == [1001] and threading.active_count() == before
    with open_listener(ServeSettings(address)):
        pass


def test_an_error_of_the_page_ends_the_run_with_one_line() -> None:
    with running() as run:

        def broken(*_: Any) -> bytes:
            raise RuntimeError("no encoder")

        run.view._pictures.jpeg = broken  # type: ignore[method-assign]

        async def watch() -> None:
            async with aiohttp.ClientSession() as session, session.ws_connect(f"{run.url}/live") as line:
                run.write()
                while not line.closed:
                    await asyncio.wait_for(line.receive(), DEADLINE_S)

        asyncio.run(watch())
        deadline = time.monotonic() + DEADLINE_S
        with pytest.raises(SinkError, match="the web view has failed: no encoder"):
            while time.monotonic() < deadline:
                run.write()


def ask_raw(run: Run, request: bytes) -> bytes:
    """What comes until the server closes."""
    with socket.create_connection(("127.0.0.1", run.listener.address.port), DEADLINE_S) as line:
        line.sendall(request)
        return b"".join(iter(lambda: line.recv(65536), b""))


@pytest.mark.parametrize(
    "request_line",
    [
        b"GET / HTTP/1.1\r\nHost: [\r\n\r\n",
        b"GET /%ff?token=%ff HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET http://[/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nCookie: \xff=\xff;;=\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: bearer \xff\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n",
        b"G\x00T / HTTP/1.1\r\nHost: x\r\nBad Header: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: nonsense\r\n\r\n",
    ],
)
def test_nonsense_is_closed_and_counted_and_writes_no_log(
    request_line: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    with running(TOKEN) as run:
        for _ in range(3):
            ask_raw(run, request_line)
        assert asyncio.run(refused(run.url, f"/?token={TOKEN}")) == 200
        assert run.view.refused == 3
    assert capfd.readouterr().err == ""


def test_strangers_connections_keep_nobody_out() -> None:
    """Kept open, with requests that are refused or with none: the owner comes in, and they are few."""
    with contextlib.ExitStack() as stack:
        run = stack.enter_context(running(TOKEN))
        where = ("127.0.0.1", run.listener.address.port)
        for number in range(160):
            line = stack.enter_context(socket.create_connection(where, DEADLINE_S))
            if number % 2:
                line.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert asyncio.run(refused(run.url, f"/?token={TOKEN}")) == 200
        server: Any = run.view._pages
        assert len(server._runner.server.connections) <= 17


def test_a_refused_request_closes_its_connection() -> None:
    with running(TOKEN) as run:
        answer = ask_raw(run, b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 401")


def test_where_all_are_welcome_those_who_view_nothing_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guarded_server, "_MAX_CONNECTIONS", 6)

    async def watch(run: Run) -> None:
        async with watching(run.url) as viewer:
            with contextlib.ExitStack() as stack:
                for _ in range(12):
                    line = stack.enter_context(socket.create_connection(("127.0.0.1", run.listener.address.port)))
                    line.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                    await asyncio.to_thread(line.recv, 100)
                assert await refused(run.url, "/") == 200
                run.write()
                await viewer.until_frame(0)

    with running() as run:
        asyncio.run(watch(run))
