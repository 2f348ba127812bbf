"""What an experiment may send: marks and subscriptions, and how much of them."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.sinks.marks import (
    MAX_DATAGRAM_BYTES,
    MAX_LINES,
    MAX_MARK_LETTERS,
    Mark,
    MessageError,
    RateLimit,
    Subscribers,
    Subscription,
    lines_of,
    parse_message,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["mark", "sent_s", "subscribe", "x"]), inner),
    max_leaves=6,
)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"mark": "stimulus 3"}', Mark("stimulus 3")),
        (b' {"sent_s": 12, "mark": "a"}\r', Mark("a", 12.0)),
        (b'{"mark": "fr\xc3\xbch", "sent_s": null}', Mark("früh")),
        (b'{"mark": "\\ud83d\\ude00", "sent_s": -1.5e3}', Mark("😀", -1500.0)),
        (b'{"subscribe": true}', Subscription(True)),
        (b'{"subscribe": false}', Subscription(False)),
    ],
)
def test_messages(line: bytes, message: Mark | Subscription) -> None:
    assert parse_message(line) == message


@pytest.mark.parametrize(
    "line",
    [b"", b"stimulus", b"\xff\xfe", b"[]", b"{}", b"null", b'"mark"', b'{"mark": ""}', b'{"mark": "  "}', b'{"mark": 3}',
     b'{"mark": null}', b'{"mark": "a", "x": 1}', b'{"mark": "a", "sent_s": "1"}', b'{"mark": "a", "sent_s": true}',
     b'{"mark": "a", "sent_s": NaN}', b'{"mark": "a", "sent_s": 1e999}', b'{"mark": "a", "sent_s": 1' + b"0" * 400 + b"}",
     b'{"mark": "\\ud800"}', b'{"mark": "' + b"a" * (MAX_MARK_LETTERS + 1) + b'"}', b'{"subscribe": 1}', b'{"subscribe": null}',
     b'{"subscribe": true, "mark": "a"}', b"[" * 1900, b'{"mark":' * 200, b'{"mark": "a"} x'],
)  # fmt: skip
def test_what_is_no_message(line: bytes) -> None:
    with pytest.raises(MessageError) as caught:
        parse_message(line)
    assert len(str(caught.value).splitlines()) == 1 and len(str(caught.value)) < 100


@given(st.binary(max_size=MAX_DATAGRAM_BYTES + 10) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_datagram_is_read_or_refused(datagram: bytes) -> None:
    try:
        lines = lines_of(datagram)
    except MessageError:
        return
    assert 1 <= len(lines) <= MAX_LINES
    for line in lines:
        try:
            message = parse_message(line)
        except MessageError:
            continue
        if isinstance(message, Mark):
            assert 1 <= len(message.text) <= MAX_MARK_LETTERS
            assert message.sent_s is None or math.isfinite(message.sent_s)
            json.dumps({"mark": message.text}).encode()
        else:
            assert message.wanted in (True, False)


@given(
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=MAX_MARK_LETTERS),
    st.none() | st.floats(allow_nan=False, allow_infinity=False),
)
def test_marks_there_and_back(text: str, sent_s: float | None) -> None:
    line = json.dumps({"mark": text, "sent_s": sent_s}).encode()
    if not text.strip():
        with pytest.raises(MessageError):
            parse_message(line)
    else:
        assert parse_message(line) == Mark(text, sent_s)


def test_several_lines_in_a_datagram() -> None:
    assert lines_of(b'{"mark": "a"}\n\n{"mark": "b"}\n') == [b'{"mark": "a"}', b'{"mark": "b"}']
    for datagram in (b"", b"\n \n", b"x\n" * (MAX_LINES + 1), b" " * (MAX_DATAGRAM_BYTES + 1)):
        with pytest.raises(MessageError):
            lines_of(datagram)


def test_the_rate_is_bounded() -> None:
    limit = RateLimit(rate_hz=10.0, burst=3)
    assert [limit.allows(0.0) for _ in range(5)] == [True, True, True, False, False]
    assert [limit.allows(0.1), limit.allows(0.1)] == [True, False]
    assert [limit.allows(100.0) for _ in range(4)] == [True, True, True, False]
    # A clock that stands still or runs backwards gives nothing away.
    assert not limit.allows(50.0)


@given(st.lists(st.floats(0, 0.05), min_size=1, max_size=200))
def test_no_more_than_the_rate_in_the_long_run(steps_s: list[float]) -> None:
    limit, now_s, allowed = RateLimit(rate_hz=50.0, burst=5), 0.0, 0
    for step_s in steps_s:
        now_s += step_s
        allowed += limit.allows(now_s)
    assert allowed <= 5 + 50.0 * now_s + 1e-6


def test_subscribers_are_few_and_forgotten() -> None:
    subscribers: Subscribers[str] = Subscribers(most=2, lasts_s=60.0)
    assert subscribers.add("a", 0.0) and subscribers.add("b", 10.0) and not subscribers.add("c", 20.0)
    assert subscribers.add("a", 30.0)
    assert set(subscribers.present(69.9)) == {"a", "b"}
    assert subscribers.present(70.0) == ("a",) and subscribers.add("c", 70.0)
    subscribers.remove("a")
    subscribers.remove("nobody")
    assert subscribers.present(71.0) == ("c",) and subscribers.present(130.0) == ()
