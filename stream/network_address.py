"""Where a run listens: `PORT` or `HOST:PORT` from the command line, and the socket behind it."""

import errno
import ipaddress
import re
import socket
from dataclasses import dataclass

from stream.sinks.base import SinkError, reason

LOOPBACK = "127.0.0.1"
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?", re.ASCII)


@dataclass(frozen=True)
class NetworkAddress:
    """`host` is a name or an IP address without brackets; `port` 0 stands for any free one."""

    host: str
    port: int

    def __post_init__(self) -> None:
        if not (_NAME.fullmatch(self.host) or _is_ip(self.host)):
            raise ValueError(f"host: expected a name or an IP address, found {self.host!r}")
        if not 0 <= self.port <= 65535:
            raise ValueError(f"port: expected 0 to 65535, found {self.port}")

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> NetworkAddress:
    """`PORT` (this machine only), `HOST:PORT` or `[IPv6]:PORT`; ValueError says in one line what does not fit."""
    host, colon, port = text.rpartition(":")
    if not colon:
        host = LOOPBACK
    elif host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError(f"an IPv6 address needs brackets, as in [::1]:8080, found {text!r}")
    if not (port.isascii() and port.isdigit() and len(port) <= 5):
        raise ValueError(f"expected PORT or HOST:PORT with a port from 0 to 65535, found {text!r}")
    return NetworkAddress(host, int(port))


def open_socket(address: NetworkAddress, kind: socket.SocketKind, what: str) -> socket.socket:
    """A bound socket, listening where `kind` is a stream's. Raises `SinkError`; `what` names its use in the message."""
    try:
        found = socket.getaddrinfo(address.host, address.port, type=kind, flags=socket.AI_PASSIVE)
        family, _, _, _, where = found[0]
        opened = socket.socket(family, kind)
    except (OSError, UnicodeError) as error:
        raise SinkError(f"cannot open {what} on {address}: this machine knows no {address.host}") from error
    try:
        if kind == socket.SOCK_STREAM:
            # A port is free again as soon as the run before has ended.
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(where)
        if kind == socket.SOCK_STREAM:
            opened.listen(64)
    except OSError as error:
        opened.close()
        raise SinkError(f"cannot open {what} on {address}: {_why(error)}") from error
    return opened


def bound_to(opened: socket.socket) -> NetworkAddress:
    """Where a socket listens, its true port included."""
    name = opened.getsockname()
    return NetworkAddress(name[0], name[1])


def is_loopback(host: str) -> bool:
    """Whether an IP address can be reached from this machine alone."""
    return _is_ip(host) and ipaddress.ip_address(host).is_loopback


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _why(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "another program has the port; give another one, or 0 for any that is free"
    if error.errno == errno.EADDRNOTAVAIL:
        return "this machine has no such address"
    if error.errno in (errno.EACCES, errno.EPERM):
        return "not allowed; ports from 1024 on are open to everybody"
    return reason(error)
