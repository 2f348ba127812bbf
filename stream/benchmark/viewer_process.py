"""Viewers of the web view as a process of their own, so that they cost the program nothing but the processor.

`python -m stream.benchmark.viewer_process URL COUNT` opens COUNT viewers that answer every message, as the page does, and
one more that never reads; says `ready` when all are connected; when its input ends, prints the messages a second that
each of the COUNT got, as JSON.
"""

import asyncio
import contextlib
import json
import socket
import sys
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import aiohttp

_HANDSHAKE = (
    "GET /live HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


async def _view(url: str, connected: asyncio.Barrier, times_s: list[float]) -> None:
    async with contextlib.AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        try:
            line = await stack.enter_async_context(session.ws_connect(f"{url}live"))
        except aiohttp.ClientError:
            await connected.abort()
            raise
        await connected.wait()
        async for message in line:
            if message.type != aiohttp.WSMsgType.BINARY:
                break
            times_s.append(time.monotonic())
            await line.send_str("")


@contextlib.contextmanager
def _stalled(url: str) -> Iterator[None]:
    """A viewer whose line takes nothing after its first few kilobytes."""
    host = urlsplit(url).netloc
    name, _, port = host.rpartition(":")
    with socket.socket() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.connect((name, int(port)))
        line.sendall(_HANDSHAKE.format(host=host).encode())
        yield


async def _run(url: str, count: int) -> list[float]:
    times_s: list[list[float]] = [[] for _ in range(count)]
    connected = asyncio.Barrier(count + 1)
    viewers = [asyncio.create_task(_view(url, connected, each)) for each in times_s]
    await connected.wait()
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    for viewer in viewers:
        viewer.cancel()
    await asyncio.gather(*viewers, return_exceptions=True)
    return [(len(each) - 1) / (each[-1] - each[0]) if len(each) > 1 else 0.0 for each in times_s]


def main() -> None:
    url, count = sys.argv[1], int(sys.argv[2])
    with _stalled(url):
        print(json.dumps(asyncio.run(_run(url, count))))


if __name__ == "__main__":
    main()
