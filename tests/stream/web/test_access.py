"""Who may see the web view, and where it listens."""

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.network_address import NetworkAddress, open_socket, parse_address
from stream.sinks.base import SinkError
from stream.web.access import Access, ServeSettings, check_token, open_listener

TOKEN = "a-token-for-tests-only"
HERE = Access(loopback=True, hosts=frozenset({"127.0.0.1"}), machine="lab")
ABROAD = Access(loopback=False, token=TOKEN, hosts=frozenset({"0.0.0.0"}), machine="lab")


def status(access: Access, host: str | None = "localhost:8080", origin: str | None = None, **given: str) -> int:
    """Of the refusal; 200 for a welcome."""
    refusal = access.refusal(host, origin, given.get("cookie"), given.get("query"), given.get("authorization"))
    return 200 if refusal is None else refusal.status


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("8080", "127.0.0.1", 8080),
        ("0", "127.0.0.1", 0),
        ("localhost:80", "localhost", 80),
        ("0.0.0.0:8080", "0.0.0.0", 8080),
        ("[::1]:8080", "::1", 8080),
        ("lab-pc.example.org:65535", "lab-pc.example.org", 65535),
    ],
)
def test_addresses(text: str, host: str, port: int) -> None:
    assert parse_address(text) == NetworkAddress(host, port)


@pytest.mark.parametrize("text", ["", ":", ":80", "80:", "-1", "65536", "8 0", "::1:80", "[::1]", "[::1:80", "a b:80", "http://x:80",
                                  "x:8O", "١", "x/y:1", "[x]:1:2", "99999999999999999999"])  # fmt: skip
def test_no_addresses(text: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_address(text)
    assert len(str(caught.value).splitlines()) == 1


@given(st.text(max_size=40))
def test_an_address_is_one_or_refused(text: str) -> None:
    try:
        address = parse_address(text)
    except ValueError:
        return
    assert parse_address(str(address)) == address


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:9", "LOCALHOST:9", "127.0.0.1:8080", "127.9.9.9", "[::1]:8080"]
)
def test_the_loopback_by_its_names(host: str) -> None:
    assert status(HERE, host) == 200


@pytest.mark.parametrize("host", [None, "", "evil.example:8080", "lab:8080", "192.168.0.9:8080", "localhost.evil.example", "[::1",
                                  "127.0.0.1.evil.example", "localhost@evil.example"])  # fmt: skip
def test_no_other_name_leads_to_the_loopback(host: str | None) -> None:
    """Such a name has been made to point here by somebody else."""
    assert status(HERE, host) == 421


def test_names_of_this_machine_lead_to_it_from_abroad() -> None:
    for host in ("192.168.0.9:8080", "lab:8080", "lab.example.org", "LAB.local:80", "localhost:8080"):
        assert status(ABROAD, host, query=TOKEN) == 200
    for host in ("evil.example", "labs:8080", "notlab.example.org"):
        assert status(ABROAD, host, query=TOKEN) == 421


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://localhost:8081", "file://localhost:8080", "http://[", ""]
)
def test_other_sites_pages_are_refused(origin: str) -> None:
    assert status(HERE, origin=origin) == 403
    assert status(ABROAD, origin=origin, cookie=TOKEN) == 403


def test_the_own_page_is_welcome() -> None:
    assert status(HERE, origin="http://localhost:8080") == 200
    assert status(HERE, "LocalHost:8080", "http://localhost:8080") == 200


def test_the_token_in_any_of_three_places() -> None:
    for headers in (
        {"cookie": TOKEN},
        {"query": TOKEN},
        {"authorization": f"Bearer {TOKEN}"},
        {"authorization": f"bearer {TOKEN}"},
    ):
        assert status(ABROAD, **headers) == 200
    wrong = ({}, {"cookie": ""}, {"query": TOKEN[:-1]}, {"query": TOKEN + "x"}, {"authorization": TOKEN},
             {"authorization": f"Basic {TOKEN}"}, {"query": "ü" * len(TOKEN)}, {"query": "\ud800"})  # fmt: skip
    for headers in wrong:
        assert status(ABROAD, **headers) == 401


def test_tokens_that_can_be_guessed_are_refused() -> None:
    assert check_token(TOKEN) == TOKEN
    for text in ("", "short", "fifteen-letters", "with spaces in it all", "a&b=c" * 5, "ünïcödé" * 4):
        with pytest.raises(ValueError, match="16 or more"):
            check_token(text)


def test_a_token_is_needed_only_beyond_this_machine() -> None:
    with open_listener(ServeSettings(NetworkAddress("127.0.0.1", 0))) as here:
        assert here.access.token is None and here.url == f"http://127.0.0.1:{here.address.port}/"
    with open_listener(ServeSettings(NetworkAddress("127.0.0.1", 0), TOKEN)) as here:
        assert here.url.endswith(f"/?token={TOKEN}") and status(here.access, "localhost") == 401
    with (
        open_listener(ServeSettings(NetworkAddress("0.0.0.0", 0))) as first,
        open_listener(ServeSettings(NetworkAddress("0.0.0.0", 0))) as second,
    ):
        tokens = {first.access.token, second.access.token}
        assert None not in tokens and len(tokens) == 2 and all(len(token) >= 32 for token in tokens if token)
        assert "0.0.0.0" not in first.url and str(first.access.token) in first.url
        assert str(first.access.token) not in repr(first)


def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SinkError, match=f"127.0.0.1:{port}: another program has the port"):
            open_listener(ServeSettings(NetworkAddress("127.0.0.1", port)))


def test_addresses_of_other_machines() -> None:
    with pytest.raises(SinkError, match="no such address"):
        open_listener(ServeSettings(NetworkAddress("192.0.2.1", 0)))


def test_a_port_is_free_again_at_once() -> None:
    with open_listener(ServeSettings(NetworkAddress("127.0.0.1", 0))) as first:
        address = first.address
        with socket.create_connection(("127.0.0.1", address.port)):
            pass
    with open_listener(ServeSettings(address)):
        pass
    with open_socket(address, socket.SOCK_DGRAM, "a port"):
        pass
