"""Server-sent events, however the bytes are cut."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade.upstreams.sse import EventReader, comment, event


def read(data: bytes, cuts=()) -> list[bytes]:
    reader, found, start = EventReader(), [], 0
    for cut in (*sorted(cuts), len(data)):
        found.extend(reader.feed(data[start:cut]))
        start = max(cut, start)
    return [*found, *reader.close()]


STREAMS = {
    "one event": (b"data: a\n\n", [b"a"]),
    "CRLF": (b"data: a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"]),
    "CR alone": (b"data: a\r\rdata: b\r\r", [b"a", b"b"]),
    "mixed line ends": (b"data: a\r\n\ndata: b\r\r\n", [b"a", b"b"]),
    "comments": (b": hello\n\n:\n\ndata: a\n: between\ndata: b\n\n", [b"a\nb"]),
    "other fields": (b"event: x\nid: 1\nretry: 5\ndata: a\n\n", [b"a"]),
    "several lines of data": (b"data: a\ndata:\ndata: b\n\n", [b"a\n\nb"]),
    "no blank after the colon": (b"data:a\n\n", [b"a"]),
    "only one blank is taken": (b"data:  a\n\n", [b" a"]),
    "no closing blank line": (b"data: a\n\ndata: b", [b"a", b"b"]),
    "blank lines alone": (b"\n\n\r\n\r\n", []),
    "data of another name": (b"database: a\n\n", []),
    "UTF-8": ("data: grün 🚗\n\n".encode(), ["grün 🚗".encode()]),
    "a line separator inside the text is no line end": ("data: a\u2028b\x85c\n\n".encode(), ["a\u2028b\x85c".encode()]),
}


@pytest.mark.parametrize(("data", "events"), STREAMS.values(), ids=STREAMS.keys())
def test_a_stream_is_read(data, events):
    assert read(data) == events


@pytest.mark.parametrize(("data", "events"), STREAMS.values(), ids=STREAMS.keys())
def test_the_same_stream_is_read_byte_by_byte(data, events):
    assert read(data, range(1, len(data))) == events


LINE_ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])
TEXTS = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), min_size=1)


@given(st.lists(st.tuples(TEXTS, LINE_ENDS), max_size=8), st.data())
def test_no_cut_changes_what_is_read(events, data):
    stream = b"".join(b"data: " + text.encode() + end + end for text, end in events)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=10))
    assert read(stream, cuts) == [text.encode() for text, _ in events]


MANY = {
    "one long line": b"data: " + b"x" * 10_000_000 + b"\n\n",
    "many lines": (b"data: " + b"x" * 500 + b"\n\n") * 20_000,
    "many lines ended by CR": (b"data: " + b"x" * 500 + b"\r\r") * 20_000,
}


@pytest.mark.parametrize("size", [4096, 10_000_000], ids="{}-byte pieces".format)
@pytest.mark.parametrize("data", MANY.values(), ids=MANY.keys())
def test_ten_megabytes_take_linear_time(data, size):
    started = time.process_time()
    events = read(data, range(size, len(data), size))
    assert len(events) == data.count(b"data: ")
    assert time.process_time() - started < 4


def test_what_is_written_is_read_back():
    assert read(event({"text": "a\nb\r"}) + comment("judging\nsmall") + b"data: [DONE]\n\n") == [
        b'{"text":"a\\nb\\r"}',
        b"[DONE]",
    ]
