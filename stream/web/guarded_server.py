"""Pages of the program's own, served over HTTP to those whom an `Access` lets in: few files, few connections, nothing from
anywhere else."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from stream.web.access import Access, Refusal

_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_MAX_CONNECTIONS = 128
_MAX_UNKNOWN_EACH = 16
"""Connections of one address that have not shown yet that they are welcome."""
_FIRST_REQUEST_S = 10.0
"""A connection that asks for nothing is closed after so long."""
_KEEP_ALIVE_S = 15.0
_CLEAN_UP_S = 0.5
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_NO_REQUEST = Refusal(400, "That is no request.")


@dataclass
class _Visitor:
    """A connection: from where, whether it was let in, and whether it is a viewer's."""

    address: str
    transport: asyncio.Transport
    welcome: bool = False
    views: bool = False


class _Unlogged(logging.Handler):
    """In place of a log: whoever can connect could write it full. What it was told is counted."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += 1


class GuardedServer:
    """Serves the files of a folder, index.html as /, and `routes` to those whom `access` lets in. For one asyncio loop.

    `lasting`: the path of what goes on for as long as its viewer looks on. A request's body has at most `most_bytes`.

    Nobody can keep others out: what is refused is closed, an address has few connections that were not let in, and when
    there are too many in all, the oldest of those makes room, or else the oldest that views nothing.
    """

    def __init__(
        self,
        access: Access,
        port: int,
        folder: Path,
        routes: Sequence[web.RouteDef],
        lasting: str | None = None,
        most_bytes: int = 1024,
    ) -> None:
        self._access = access
        # Cookies know no ports: two runs on one machine need two names.
        self._cookie = f"microlive-{port}"
        self._lasting = lasting
        self._visitors: dict[asyncio.BaseProtocol, _Visitor] = {}
        self._refused = 0
        self._unlogged = _Unlogged()
        self._pages = {f"/{path.name}": path for path in folder.iterdir() if path.suffix in _TYPES}
        self._pages["/"] = self._pages.pop("/index.html")

        @web.middleware
        async def guard(request: web.Request, handler: Any) -> web.StreamResponse:
            refusal = self._refusal(request)
            if refusal is None:
                return await handler(request)
            self._refused += 1
            answer = web.Response(status=refusal.status, text=refusal.words + "\n")
            answer.force_close()
            return answer

        app = web.Application(middlewares=[guard], client_max_size=most_bytes)
        app.on_response_prepare.append(_add_headers)
        app.add_routes(routes)
        for name in self._pages:
            app.router.add_get(name, self._page)
        self._runner = web.AppRunner(
            app,
            handle_signals=False,
            access_log=None,
            logger=self._logger(),
            keepalive_timeout=_KEEP_ALIVE_S,
            shutdown_timeout=_CLEAN_UP_S,
        )

    async def start(self, listening: Any) -> asyncio.Server:
        """Serves on an open listening socket, which it then owns."""
        await self._runner.setup()
        return await asyncio.get_running_loop().create_server(self._connect, sock=listening)

    async def stop(self) -> None:
        await self._runner.cleanup()

    @property
    def refused(self) -> int:
        """Requests that were not let in or were none."""
        return self._refused + self._unlogged.count

    def _logger(self) -> logging.Logger:
        """Of this server alone: not known to `logging`, so that nobody else hears of it."""
        logger = logging.Logger("guarded server", logging.DEBUG)
        logger.addHandler(self._unlogged)
        return logger

    def _connect(self) -> asyncio.BaseProtocol:
        return _Door(self._admit)

    def _admit(self, transport: asyncio.Transport) -> None:
        """Hands a new connection to the server, and takes away another one where there are too many."""
        server = self._runner.server
        assert server is not None
        address = (transport.get_extra_info("peername") or ("",))[0]
        still = set(server.connections)
        here = {protocol: visitor for protocol, visitor in self._visitors.items() if protocol in still}
        own = [p for p, visitor in here.items() if visitor.address == address and not visitor.welcome]
        dropped = own[:1] if len(own) >= _MAX_UNKNOWN_EACH else []
        if not dropped and len(here) >= _MAX_CONNECTIONS:
            unknown = [p for p, visitor in here.items() if not visitor.welcome]
            dropped = (unknown or [p for p, visitor in here.items() if not visitor.views])[:1]
            if not dropped:
                transport.abort()
                return
        for protocol in dropped:
            here.pop(protocol).transport.abort()
        protocol = server()
        self._visitors = here | {protocol: _Visitor(address, transport)}
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        asyncio.get_running_loop().call_later(_FIRST_REQUEST_S, self._close_unknown, protocol)

    def _close_unknown(self, protocol: asyncio.BaseProtocol) -> None:
        visitor = self._visitors.get(protocol)
        if visitor is not None and not visitor.welcome:
            visitor.transport.abort()

    def _refusal(self, request: web.Request) -> Refusal | None:
        try:
            refusal = self._access.refusal(
                request.headers.get("Host"),
                request.headers.get("Origin"),
                request.cookies.get(self._cookie),
                request.query.get("token"),
                request.headers.get("Authorization"),
            )
        except ValueError:
            return _NO_REQUEST
        if refusal is None and (visitor := self._visitors.get(request.protocol)) is not None:
            visitor.welcome, visitor.views = True, request.path == self._lasting
        return refusal

    async def _page(self, request: web.Request) -> web.Response:
        path = self._pages[request.path]
        response = web.Response(body=path.read_bytes(), content_type=_TYPES[path.suffix], charset="utf-8")
        if request.path == "/" and self._access.is_token(given := request.query.get("token")):
            # No redirect: a browser that comes from elsewhere would not send a strict cookie along with it. The page
            # takes the token out of its address itself.
            assert given is not None
            response.set_cookie(self._cookie, given, httponly=True, samesite="Strict")
        return response


class _Door(asyncio.Protocol):
    """Only here is it known where a connection comes from."""

    def __init__(self, admit: Callable[[asyncio.Transport], None]) -> None:
        self._admit = admit

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._admit(transport)


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_HEADERS)
