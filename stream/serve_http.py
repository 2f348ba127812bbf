"""The web view's page over HTTP: few files, few connections, nothing from anywhere else."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from aiohttp import web

from stream.serve_access import Access, Refusal
from stream.serve_viewers import Viewers

_FOLDER = Path(__file__).parent / "web"
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_MAX_CONNECTIONS = 128
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

Hello = Callable[[], Mapping[str, Any]]


class PageServer:
    """Serves the page and its WebSocket to those whom `access` lets in. For one asyncio loop."""

    def __init__(self, access: Access, port: int, viewers: Viewers, hello: Hello) -> None:
        self._access = access
        # Cookies know no ports: two runs on one machine need two names.
        self._cookie = f"microlive-{port}"
        self._viewers = viewers
        self._hello = hello
        self._silent: set[asyncio.BaseProtocol] = set()
        self._pages = {f"/{path.name}": path for path in _FOLDER.iterdir() if path.suffix in _TYPES}
        self._pages["/"] = self._pages.pop("/index.html")

        @web.middleware
        async def guard(request: web.Request, handler: Any) -> web.StreamResponse:
            refusal = self._refusal(request)
            if refusal is not None:
                return web.Response(status=refusal.status, text=refusal.words + "\n")
            return await handler(request)

        app = web.Application(middlewares=[guard], client_max_size=1024)
        app.on_response_prepare.append(_add_headers)
        app.router.add_get("/live", self._live)
        for name in self._pages:
            app.router.add_get(name, self._page)
        self._runner = web.AppRunner(
            app,
            handle_signals=False,
            access_log=None,
            keepalive_timeout=_KEEP_ALIVE_S,
            shutdown_timeout=_CLEAN_UP_S,
        )

    async def start(self, listening: Any) -> asyncio.Server:
        """Serves on an open listening socket, which it then owns."""
        await self._runner.setup()
        return await asyncio.get_running_loop().create_server(self._connect, sock=listening)

    async def stop(self) -> None:
        await self._runner.cleanup()

    def _connect(self) -> asyncio.BaseProtocol:
        """A new connection; one too many is closed at once."""
        server = self._runner.server
        assert server is not None
        if len(server.connections) >= _MAX_CONNECTIONS:
            return _Closed()
        protocol = server()
        self._silent.add(protocol)
        asyncio.get_running_loop().call_later(_FIRST_REQUEST_S, self._close_silent, protocol)
        return protocol

    def _close_silent(self, protocol: web.RequestHandler) -> None:
        if protocol in self._silent:
            self._silent.discard(protocol)
            if isinstance(protocol.transport, asyncio.WriteTransport):
                protocol.transport.abort()

    def _refusal(self, request: web.Request) -> Refusal | None:
        self._silent.discard(request.protocol)
        return self._access.refusal(
            request.headers.get("Host"),
            request.headers.get("Origin"),
            request.cookies.get(self._cookie),
            request.query.get("token"),
            request.headers.get("Authorization"),
        )

    async def _page(self, request: web.Request) -> web.Response:
        path = self._pages[request.path]
        response = web.Response(body=path.read_bytes(), content_type=_TYPES[path.suffix], charset="utf-8")
        if request.path == "/" and self._access.is_token(given := request.query.get("token")):
            # No redirect: a browser that comes from elsewhere would not send a strict cookie along with it. The page
            # takes the token out of its address itself.
            assert given is not None
            response.set_cookie(self._cookie, given, httponly=True, samesite="Strict")
        return response

    async def _live(self, request: web.Request) -> web.StreamResponse:
        if self._viewers.full:
            return web.Response(status=503, text="Too many viewers: close another page first.\n")
        return await self._viewers.attend(request, self._hello())


class _Closed(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_HEADERS)
