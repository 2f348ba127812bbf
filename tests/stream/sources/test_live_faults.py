"""A camera on the network that fails in every way it can, with real sockets and the real capture process."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import pytest

from stream.benchmark.camera import FAULTS, Fault, FaultServer
from stream.health import Connection
from stream.sources.base import Backoff, BackoffSettings, LiveSettings, SourceError
from stream.sources.live import LiveSource
from tests.helpers.clips import write_track, write_video
from tests.helpers.mjpeg_server import endless_server, jpegs
from tests.helpers.processes import DEADLINE_S
from tests.helpers.watched import Watched

QUICK = LiveSettings(open_timeout_s=3.0, read_timeout_s=1.0)
PATIENT = LiveSettings(open_timeout_s=30.0, read_timeout_s=30.0)
"""Where no connection may be lost, however busy the machine is."""


def picture(size: tuple[int, int] = (160, 120)) -> np.ndarray:
    """A picture with detail in every block, so that damage shows."""
    noise = np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    return cv2.GaussianBlur(noise, (5, 5), 0)


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with endless_server([picture()], resized=[picture((320, 240))]) as server:
        yield server


@pytest.mark.parametrize("fault", ["close", "gone", "silent", "stall", "truncate"])
def test_a_stream_that_gives_no_pictures_is_opened_again_when_it_does(server: FaultServer, fault: Fault) -> None:
    with Watched(LiveSource(server.url, QUICK)) as watched:
        watched.more(5)
        server.fault = fault
        watched.until(lambda: watched.state == "reconnecting" and watched.source.status().connection.tries >= 2)
        assert watched.source.status().connection.reason
        server.fault = None
        watched.more(5)
        status = watched.source.status()
        assert status.reconnects >= 1 and len(status.outages) >= 1
        outage = status.outages[0]
        assert outage.ended_s is not None and outage.began_s < outage.ended_s
    indices = [index for index, _, _ in watched.frames]
    times_s = [time_s for _, time_s, _ in watched.frames]
    assert indices == sorted(set(indices)) and times_s == sorted(set(times_s))
    # No frame is made up: the outage is a hole in the times.
    assert not [time_s for time_s in times_s if outage.began_s + 1e-6 < time_s < outage.ended_s - 1e-6]
    assert watched.error is None


@pytest.mark.parametrize("fault", ["truncate", "garbage_inside"])
def test_damaged_pictures_are_left_out_and_counted(fault: Fault) -> None:
    """Every third picture is damaged in a stream that goes on."""
    whole = jpegs([picture()])[0]
    half = len(whole) // 2
    damaged = whole[:half] if fault == "truncate" else whole[:half] + bytes(range(60)) + whole[half:]
    expected = cv2.imdecode(np.frombuffer(whole, np.uint8), cv2.IMREAD_COLOR)
    with (
        FaultServer(lambda n: damaged if n % 3 == 2 else whole, 0.02) as server,
        LiveSource(server.url, PATIENT) as source,
    ):
        for frame in source:
            assert np.array_equal(frame.image, expected)
            if source.status().dropped["bad_frame"] >= 5:
                break
        assert source.status().reconnects == 0


def test_garbage_between_the_pictures_does_no_harm(server: FaultServer) -> None:
    with Watched(LiveSource(server.url, PATIENT)) as watched:
        server.fault = "garbage_between"
        watched.more(20)
        assert watched.state == "connected" and watched.source.status().reconnects == 0


def test_a_stream_that_changes_its_size_goes_on(server: FaultServer) -> None:
    with Watched(LiveSource(server.url, PATIENT)) as watched:
        watched.more(5)
        server.fault = "resize"
        watched.until(lambda: watched.frames[-1][2] == (240, 320, 3))
        server.fault = None
        watched.until(lambda: watched.frames[-1][2] == (120, 160, 3))
        assert watched.source.status().reconnects == 0


def test_an_uneven_stream_keeps_its_times(server: FaultServer) -> None:
    server.fault = "uneven"
    with Watched(LiveSource(server.url, PATIENT)) as watched:
        watched.more(30)
    times_s = np.array([time_s for _, time_s, _ in watched.frames])
    assert (np.diff(times_s) > 0).all() and np.diff(times_s).std() > 0


def test_a_slow_reader_gets_the_newest_picture(server: FaultServer) -> None:
    sent = [0]
    again = threading.Condition()

    def note(number: int) -> None:
        with again:
            sent[0] = number
            again.notify_all()

    pictures = jpegs([np.full((64, 64, 3), value, np.uint8) for value in range(0, 250, 2)])
    with (
        FaultServer(lambda n: pictures[n % 125], 0.01, on_send=note) as numbered,
        LiveSource(numbered.url) as source,
    ):
        frames = iter(source)
        next(frames)
        with again:
            assert again.wait_for(lambda: sent[0] >= 100, DEADLINE_S)
        # What was sent last may still be on its way, what was sent long before is gone.
        assert next(frames).index >= 80
        assert source.dropped >= 70


def test_giving_up_is_one_line(server: FaultServer) -> None:
    settings = LiveSettings(1.0, 0.5, retry_for_s=0.5)
    with Watched(LiveSource(server.url, settings)) as watched:
        watched.more(3)
        server.fault = "gone"
        watched.ended()
        assert "is gone: " in str(watched.error) and "given up after 0.5 s" in str(watched.error)
        assert "\n" not in str(watched.error)


def test_the_end_of_a_stream_can_be_the_end_of_the_run(server: FaultServer) -> None:
    with Watched(LiveSource(server.url, LiveSettings(retry_for_s=0.0))) as watched:
        watched.more(3)
        server.fault = "close"
        watched.ended()
        assert watched.error is None


def test_a_server_that_is_not_there_yet_is_waited_for_when_asked(server: FaultServer) -> None:
    server.fault = "gone"
    with pytest.raises(SourceError, match="cannot be opened: connection refused; check the address"):
        LiveSource(server.url).__enter__()
    told: list[Connection] = []

    def back_after_three(connection: Connection) -> None:
        told.append(connection)
        if connection.tries == 3:
            server.fault = None

    with Watched(LiveSource(server.url, LiveSettings(wait=True), on_change=back_after_three)) as watched:
        watched.more(3)
        assert watched.source.status().reconnects == 0
    assert told[0].state == "opening" and told[-1].state == "ended"


@pytest.mark.parametrize("fault", [None, *FAULTS])
def test_leaving_ends_everything_at_once_whatever_goes_on(server: FaultServer, fault: Fault | None) -> None:
    """No process, no zombie, no thread, no open file is left."""
    before, open_files = threading.active_count(), len(os.listdir("/proc/self/fd"))
    with LiveSource(server.url, LiveSettings(read_timeout_s=60.0)) as source:
        next(iter(source))
        server.fault = fault
        child = source._watch._process
        assert child is not None
    assert not os.path.exists(f"/proc/{child.pid}")
    server.fault = None
    del source, child
    assert not [thread for thread in threading.enumerate() if thread.name == "capture"]
    assert threading.active_count() <= before + 1  # a client's thread of the server may be ending
    assert len(os.listdir("/proc/self/fd")) <= open_files + 2


def test_a_process_that_is_killed_is_replaced(server: FaultServer) -> None:
    with Watched(LiveSource(server.url, QUICK)) as watched:
        watched.more(3)
        child = watched.source._watch._process
        assert child is not None
        os.kill(child.pid, 9)
        watched.until(lambda: watched.source.status().reconnects >= 1)
        watched.more(3)
        assert watched.source.status().outages[0].reason == "the capture process was ended by signal 9"


def test_a_process_that_hangs_is_ended_and_replaced(server: FaultServer) -> None:
    """Stopped by a signal it does nothing any more, as in a native call that does not come back."""
    with Watched(LiveSource(server.url, QUICK)) as watched:
        watched.more(3)
        child = watched.source._watch._process
        assert child is not None
        os.kill(child.pid, 19)
        watched.until(lambda: watched.source.status().reconnects >= 1)
        watched.more(3)
        assert watched.source.status().outages[0].reason == f"no picture within {QUICK.read_timeout_s:g} s"
        assert not os.path.exists(f"/proc/{child.pid}")


def test_the_process_ends_with_a_program_that_is_killed(server: FaultServer) -> None:
    code = (
        "import sys; from stream.sources.live import LiveSource\n"
        f"source = LiveSource({server.url!r}).__enter__()\n"
        "print(source._watch._process.pid, flush=True)\n"
        "for _ in source: pass\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        child = int(program.stdout.readline())
        program.kill()
    pause = threading.Event()
    for _ in range(500):
        if not os.path.exists(f"/proc/{child}"):
            return
        pause.wait(0.02)
    raise AssertionError("the capture process lives on")


def test_credentials_reach_the_server_and_nobody_else(server: FaultServer) -> None:
    seen: list[bytes] = []
    looked = threading.Event()
    whole = jpegs([picture()])[0]
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for answer in (
                b'HTTP/1.0 401 Unauthorized\r\nWWW-Authenticate: Basic realm="camera"\r\nContent-Length: 0\r\n\r\n',
                b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=x\r\n\r\n" + whole,
            ):
                client, _ = listener.accept()
                with client:
                    seen.append(client.recv(65536))
                    client.sendall(answer)
                    if len(seen) == 2:  # the stream goes on until its process has been looked at
                        looked.wait(DEADLINE_S)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        url = f"http://me:hush%21@127.0.0.1:{listener.getsockname()[1]}/x?password=hush2"
        told: list[Connection] = []
        with LiveSource(url, LiveSettings(retry_for_s=0.0), on_change=told.append) as source:
            child = source._watch._process
            assert child is not None
            command = Path(f"/proc/{child.pid}/cmdline").read_bytes()
            looked.set()
            frames = list(source)
            shown = repr((source.info, source.status(), told, source))
        thread.join(DEADLINE_S)
    assert len(frames) == 1
    assert b"Authorization: Basic bWU6aHVzaCE=" in seen[1]
    assert "hush" not in shown and b"capture_child" in command and b"hush" not in command


@contextmanager
def web_server(folder: Path) -> Iterator[str]:
    """Serves the files of a folder."""

    class Handler(SimpleHTTPRequestHandler):
        def copyfile(self, source, outputfile) -> None:
            with suppress(OSError):
                outputfile.write(source.read())

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def test_a_file_over_http_gives_every_frame_at_its_time(tmp_path: Path) -> None:
    frames = [np.full((120, 160, 3), 10 + 4 * i, np.uint8) for i in range(40)]
    write_video(tmp_path / "clip.avi", frames, fps=25.0)
    with web_server(tmp_path) as address, LiveSource(f"{address}/clip.avi", pace="fast") as source:
        assert not source.info.live and source.info.fps == pytest.approx(25.0)
        found = list(source)
        assert source.dropped == 0
    assert [frame.index for frame in found] == list(range(40))
    np.testing.assert_allclose([frame.time_s for frame in found], np.arange(40) / 25, atol=1e-3)
    assert (np.diff([frame.image.mean() for frame in found]) > 0).all()


def test_a_file_over_http_has_its_own_time_and_says_that_it_is_cut_off(tmp_path: Path) -> None:
    """The pictures begin 2.5 s after the file does."""
    frames = [picture()] * 90
    whole = write_track(tmp_path / "whole.mkv", frames, [2.5 + i / 30 for i in range(90)], sound_s=5.6)
    (tmp_path / "cut.mkv").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with web_server(tmp_path) as address:
        with LiveSource(f"{address}/whole.mkv", pace="fast") as source:
            np.testing.assert_allclose([frame.time_s for frame in source], 2.5 + np.arange(90) / 30, atol=0.002)
            assert source.remarks() == ()
        with LiveSource(f"{address}/cut.mkv", pace="fast") as source:
            last_s = list(source)[-1].time_s
            assert last_s < 5
            assert f"its pictures end at {last_s:.1f} s, though it says that it lasts until 5." in source.remarks()[0]
        with LiveSource(f"{address}/whole.mkv", pace="fast") as source:
            next(iter(source))
        assert source.remarks() == ()  # it was stopped


def test_a_file_over_http_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video\n" * 300)
    with web_server(tmp_path) as address:
        with pytest.raises(SourceError, match="cannot be opened: the server answers 404 Not Found; check"):
            LiveSource(f"{address}/none.mp4").__enter__()
        with pytest.raises(SourceError, match="cannot be opened: no answer, or no video in it; check"):
            LiveSource(f"{address}/text.mp4").__enter__()


def test_waits_grow_and_start_anew() -> None:
    backoff = Backoff(BackoffSettings(first_s=0.1, factor=2.0, max_s=1.0, jitter=0.0))
    assert [backoff.next_s() for _ in range(6)] == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.0, 1.0])
    backoff.reset()
    assert backoff.next_s() == pytest.approx(0.1)
    jittered = Backoff(BackoffSettings(0.1, 2.0, 1.0, 0.5))
    for longest in (0.1, 0.2, 0.4, 0.8, 1.0, 1.0):
        assert 0.5 * longest <= jittered.next_s() <= longest


def test_a_connection_in_words() -> None:
    assert Connection("connected", 10.0).words(99.0) == "connected"
    lost = Connection("reconnecting", 10.0, 3, "connection refused")
    assert lost.words(14.2) == "reconnecting, 3rd try, since 4.2 s: connection refused"
    assert [Connection("opening", 0.0, n).words(0.0).split(",")[1] for n in (1, 2, 4, 11, 21, 112)] == [
        " 1st try", " 2nd try", " 4th try", " 11th try", " 21st try", " 112th try",
    ]  # fmt: skip


@pytest.mark.parametrize("setting", ["open_timeout_s", "read_timeout_s", "retry_for_s"])
def test_settings_are_checked(setting: str) -> None:
    with pytest.raises(ValueError, match=setting):
        LiveSettings(**{setting: -1.0})
