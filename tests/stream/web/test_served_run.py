"""The web view as part of the program: its address, its end, what is refused."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest

import run_live
from stream.cli.options import parse_options
from stream.cli.outputs import run_facts
from tests.helpers.models import save_tiny_model
from tests.helpers.paths import ROOT
from tests.helpers.processes import DEADLINE_S

TOKEN = "a-token-for-tests-only"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("serve")
    save_tiny_model(folder / "tiny.onnx")
    return folder


def started(folder: Path, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "run_live.py", "--source", "demo", "--model", str(folder / "tiny.onnx"),
               "--headless", *more]  # fmt: skip
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )


def line_with(process: subprocess.Popen[str], word: str) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if word in line:
            return line
    raise AssertionError(process.stderr.read() if process.stderr else "")


def test_ctrl_c_with_viewers_that_do_not_listen(folder: Path) -> None:
    with started(folder, "--serve", "0") as process:
        url = line_with(process, "Web view").split()[-1]
        port = int(url.rstrip("/").rpartition(":")[2])

        async def watch() -> None:
            async with aiohttp.ClientSession() as session, session.ws_connect(f"{url}live") as line:
                state: dict = {}
                while state.get("frame", -1) < 3:
                    data = (await asyncio.wait_for(line.receive(), DEADLINE_S)).data
                    state = json.loads(data[4 : 4 + int.from_bytes(data[:4], "big")])
                    await line.send_str("")
                process.send_signal(signal.SIGINT)
                while (last := await asyncio.wait_for(line.receive(), DEADLINE_S)).type is aiohttp.WSMsgType.BINARY:
                    pass
                # What was said, not `line.close_code`: the server does not wait long for an answer to its goodbye.
                assert (last.type, last.data) == (aiohttp.WSMsgType.CLOSE, 1001)

        with socket.create_connection(("127.0.0.1", port)) as deaf:
            deaf.sendall(
                b"GET /live HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
            )
            asyncio.run(watch())
            shown, errors = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0 and "Stopped." in shown and errors == ""


def test_the_end_of_a_file_ends_the_view(folder: Path) -> None:
    with started(folder, "--serve", "0.0.0.0:0", "--pace", "fast", "--max-frames", "40") as process:
        url = line_with(process, "Web view").split()[-1]
        shown, errors = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0 and errors == ""
    assert re.fullmatch(r"http://[\d.]+:\d+/\?token=[\w-]{32}", url)
    assert url not in shown


def test_a_port_that_is_taken_is_one_line(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        argv = ["--source", "demo", "--model", str(folder / "tiny.onnx"), "--headless"]
        assert run_live.main([*argv, "--serve", str(port), "--csv", str(folder / "rows.csv")]) == 1
    error = capfd.readouterr().err.strip()
    assert error.startswith("error: cannot open the web view on 127.0.0.1:") and "another program has the port" in error
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize(
    "argv",
    [["--serve", "x"], ["--serve", "70000"], ["--serve", "::1:80"], ["--serve"], ["--serve-token", TOKEN],
     ["--serve", "0", "--serve-token", "short"], ["--serve", "0", "--serve-token", "with spaces in it all"]],
)  # fmt: skip
def test_bad_values_exit_with_2(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run_live.main(argv)
    assert caught.value.code == 2 and "error:" in capsys.readouterr().err


def test_the_token_is_in_no_settings_that_are_written() -> None:
    options = parse_options(["--serve", "8080", "--serve-token", TOKEN])
    assert options.serve is not None and options.serve.token == TOKEN
    assert TOKEN not in repr(options) and TOKEN not in json.dumps(run_facts(options).settings)
