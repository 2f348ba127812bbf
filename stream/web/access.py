"""Who may see the web view: the token, and requests that another site makes a browser send.

On the loopback the page is open to whoever uses this machine; on any other address it needs a token. A page elsewhere can
make a browser ask for this one: under a name that it lets point here (DNS rebinding), which the Host header gives away, or
by a WebSocket, whose Origin header tells where it comes from.
"""

import hmac
import ipaddress
import re
import secrets
import socket
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

from stream.network_address import NetworkAddress, bound_to, is_loopback, open_socket

MIN_TOKEN_LENGTH = 16
_TOKEN = re.compile(r"[A-Za-z0-9._~-]+", re.ASCII)


@dataclass(frozen=True)
class ServeSettings:
    """Where the web view is served; `token` None: one is made where the address is not the loopback's. A token is never
    shown with the rest."""

    address: NetworkAddress
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Refusal:
    """An HTTP status and one line that says what to do."""

    status: int
    words: str


_NO_TOKEN = Refusal(401, "A token is needed: open the whole address that the program printed at its start.")
_WRONG_HOST = Refusal(421, "Not under this name: open the address that the program printed at its start.")
_WRONG_ORIGIN = Refusal(403, "Not from another site's page.")


@dataclass(frozen=True)
class Access:
    """`token` None: none is needed. `hosts`: the names, in small letters, that lead here besides localhost and, where
    not `loopback` only, IP addresses and names that begin with `machine`."""

    loopback: bool
    token: str | None = field(default=None, repr=False)
    hosts: frozenset[str] = frozenset()
    machine: str = ""

    def refusal(
        self, host: str | None, origin: str | None, cookie: str | None, query: str | None, authorization: str | None
    ) -> Refusal | None:
        """Of a request with these headers (None: absent) and query's token; None where it is welcome."""
        if host is None or not self._is_here(host):
            return _WRONG_HOST
        if origin is not None and not _same_site(origin, host):
            return _WRONG_ORIGIN
        bearer = authorization[7:].strip() if authorization and authorization[:7].lower() == "bearer " else None
        if self.token is not None and not any(self.is_token(given) for given in (cookie, query, bearer)):
            return _NO_TOKEN
        return None

    def is_token(self, given: str | None) -> bool:
        """Compared in a time that does not tell how much of it is right."""
        if self.token is None or given is None:
            return False
        return hmac.compare_digest(self.token.encode(), given.encode("utf-8", "surrogatepass"))

    def _is_here(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name == "localhost" or name in self.hosts:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return not self.loopback and bool(self.machine) and name.split(".")[0] == self.machine
        return not self.loopback or address.is_loopback


@dataclass(frozen=True)
class Listener:
    """An open door: the listening socket, who may come in, and the address to tell. A context manager."""

    listening: socket.socket = field(repr=False)
    address: NetworkAddress
    access: Access
    url: str = field(repr=False)

    def __enter__(self) -> "Listener":
        return self

    def __exit__(self, *_: object) -> None:
        self.listening.close()


def open_listener(settings: ServeSettings) -> Listener:
    """Listens from now on. Raises `SinkError`."""
    address, token = settings.address, settings.token
    opened = open_socket(address, socket.SOCK_STREAM, "the web view")
    bound = bound_to(opened)
    loopback = is_loopback(bound.host)
    if token is None and not loopback:
        token = secrets.token_urlsafe(24)
    machine = socket.gethostname().split(".")[0].lower()
    access = Access(loopback, token, frozenset({address.host.lower(), bound.host.lower()}), machine)
    shown = NetworkAddress(_reachable(bound.host), bound.port)
    query = "" if token is None else "?" + urlencode({"token": token})
    return Listener(opened, bound, access, f"http://{shown}/{query}")


def check_token(text: str) -> str:
    """A token of one's own choice; ValueError when it could be guessed or does not fit into an address."""
    if len(text) < MIN_TOKEN_LENGTH or not _TOKEN.fullmatch(text):
        raise ValueError(f"expected {MIN_TOKEN_LENGTH} or more letters, digits and -._~")
    return text


def _same_site(origin: str, host: str) -> bool:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and parts.netloc.lower() == host.lower()


def _reachable(host: str) -> str:
    """An address for others to open where `host` stands for all of them."""
    if not ipaddress.ip_address(host).is_unspecified:
        return host
    # Nothing is sent: the system only says from which of its addresses it would send to that test network.
    family, far = (socket.AF_INET6, "2001:db8::1") if ":" in host else (socket.AF_INET, "192.0.2.1")
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((far, 9))
            return str(probe.getsockname()[0])
        except OSError:
            return "::1" if ":" in host else "127.0.0.1"
