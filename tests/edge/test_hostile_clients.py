"""What clients send to break in: paths, ids, headers, encodings. Each gets an error in OpenAI's shape, nothing else."""

from __future__ import annotations

import gzip
import json
import socket

import httpx
import pytest
from edge_server import EASY
from test_request_errors import error_of

CHAT = json.dumps({"model": "llm-at", "messages": [{"role": "user", "content": EASY}]}).encode()


def raw(gearbox, request: bytes) -> tuple[int, bytes, bytes]:
    """(status, headers, body) of what a raw request is answered with, on a connection of its own."""
    with socket.create_connection(gearbox.address, timeout=20) as connection:
        connection.sendall(request)
        answer = b""
        while part := connection.recv(65_536):
            answer += part
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ", 2)[1]), head, body


def get(gearbox, path: bytes):
    return raw(gearbox, b"GET " + path + b" HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")


PATHS = [
    b"/v1/../metrics",
    b"/v1/%2e%2e/metrics",
    b"/v1/models/../../admin/keys",
    b"/v1//models",
    b"//v1/models",
    b"/v1\\models",
    b"/v1/models%00",
    b"/v1/decisions/..%2f..%2fadmin%2fkeys",
    b"/v1/decisions/%00",
    b"/v1/decisions/a%00b",
    b"/v1/decisions/%ff%fe",
    b"/v1/decisions/%0d%0aset-cookie:%20a=b",
    b"/v1/models/..%2f..%2fetc%2fpasswd",
    b"/v1/models/%0d%0aset-cookie:%20a=b",
    b"/v1/models/a%00b",
    b"/dashboard/../../etc/passwd",
    b"/dashboard/..%2f..%2f..%2fapp%2fcli.py",
    b"/dashboard/%2e%2e/%2e%2e/cli.py",
    b"/dashboard/....//....//cli.py",
    b"/v1/decisions/" + b"a" * 20_000,
]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path[:40].decode())
def test_a_path_that_means_something_else_is_a_404(gearbox, path):
    status, head, body = get(gearbox, path)
    assert status == 404
    assert set(json.loads(body)["error"]) == {"message", "type", "param", "code"}
    assert b"set-cookie" not in head.lower()


IDS = ["a\x00b", "\x00", "../../x", "' OR 1=1 --", "%", "ü" * 300, "x" * 100_000, "chatcmpl-", "\r\nset-cookie: a=b"]


@pytest.mark.parametrize("identity", IDS, ids=lambda identity: repr(identity[:12]))
def test_feedback_on_an_id_that_cannot_be_is_a_404(http, identity):
    reply = http.post("/v1/feedback", json={"id": identity, "valid": True})
    assert reply.status_code == 404
    assert error_of(reply)["param"] == "id"


def test_a_note_may_hold_anything(http):
    asked = http.post("/v1/chat/completions", content=CHAT).headers["x-request-id"]
    given = {"id": asked, "score": 0.5, "by": "a\x00\ud7ff", "note": "\x00\r\n' OR 1=1 --"}
    assert http.post("/v1/feedback", json=given).status_code == 200


HEADERS = [
    b"x-gearbox-session: a\rset-cookie: a=b",
    b"x-gearbox-session: a\nset-cookie: a=b",
    b"x-gearbox-session: a\x00b",
    b"x-gearbox-tags: app=a\x0bb\x00",
    b"x-gearbox-tags: a\xff=b",
    b"idempotency-key: \xe2\x80\xa8",
    b"x-gearbox-policy: auto\rx: y",
    b"x-gearbox-min-tier: \x7f",
]


@pytest.mark.parametrize("header", HEADERS, ids=lambda header: repr(header)[2:40])
def test_a_header_with_what_no_header_holds_is_refused_and_never_told_back(gearbox, header):
    lines = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
    length = f"content-length: {len(CHAT)}\r\n".encode()
    status, head, _ = raw(gearbox, lines + length + header + b"\r\n\r\n" + CHAT)
    assert status == 400
    assert b"set-cookie" not in head.lower()
    assert b"\r\nx: y" not in head


def test_what_a_tag_holds_stands_in_no_header(http):
    reply = http.post("/v1/chat/completions", content=CHAT, headers={"x-gearbox-tags": "app=canary-7"})
    assert reply.status_code == 200
    assert "canary-7" not in str(reply.headers)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "gzip, gzip"])
def test_a_packed_body_is_refused_and_not_unpacked(http, encoding):
    bomb = gzip.compress(b" " * 50_000_000 + CHAT)
    reply = http.post("/v1/chat/completions", content=bomb, headers={"content-encoding": encoding})
    assert reply.status_code == 400
    assert "content-encoding" in error_of(reply)["message"]


def test_an_unpacked_body_may_say_so(http):
    assert http.post("/v1/chat/completions", content=CHAT, headers={"content-encoding": "identity"}).status_code == 200


def test_a_body_that_lies_about_its_length_is_not_waited_for_beyond_the_limit(serve):
    gearbox = serve(server={"max_body_mb": 0.01})
    lines = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 99999999999\r\n\r\n"
    status, _, body = raw(gearbox, lines)
    assert status == 413
    assert json.loads(body)["error"]["code"] == "request_too_large"


GET = b"GET /v1/models HTTP/1.1\r\nhost: x\r\n"
CHUNKED = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n"
HEADS = {
    "a header": (GET + b"x-a: ", b"a" * 65_536),
    "headers": (GET, b"x-a: b\r\n" * 8_192),
    "a header's name": (GET, b"a" * 65_536),
    "a path": (b"GET /", b"a" * 65_536),
    "trailers": (CHUNKED, b"x-a: b\r\n" * 8_192),
    "a chunk's extension": (CHUNKED[:-3] + b"1;", b"a" * 65_536),
}


def flood(connection, piece):
    for _ in range(1_000):
        connection.sendall(piece)


@pytest.mark.parametrize("what", HEADS)
def test_a_head_without_end_is_cut(gearbox, what):
    begin, more = HEADS[what]
    with socket.create_connection(gearbox.address, timeout=20) as connection:
        connection.sendall(begin)
        with pytest.raises(OSError, match=r"reset|Broken pipe"):
            flood(connection, more)


def test_a_large_body_in_small_chunks_is_no_large_head(http):
    def small():
        yield CHAT
        for _ in range(20_000):
            yield b" " * 10

    assert http.post("/v1/chat/completions", content=small()).status_code == 200


def test_what_is_no_http_gets_an_error_in_openais_shape(gearbox):
    status, _, body = raw(gearbox, b"HELLO\r\n\r\n")
    assert (status, json.loads(body)["error"]["code"]) == (400, "invalid_http")


def test_an_offer_to_speak_something_else_is_passed_over(gearbox):
    offer = b"connection: upgrade, close\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\r\n"
    assert raw(gearbox, GET + offer)[0] == 200


def test_a_smuggled_second_request_is_not_answered(gearbox):
    lines = (
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 6\r\ntransfer-encoding: chunked\r\n\r\n"
        b"0\r\n\r\nGET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    )
    with socket.create_connection(gearbox.address, timeout=20) as connection:
        connection.sendall(lines)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while part := connection.recv(65_536):
            answer += part
    assert b"gearbox_requests_total" not in answer


@pytest.mark.parametrize("host", ["evil.invalid", "127.0.0.1:1", "x\ty"])
def test_whom_a_client_calls_the_host_changes_nothing(gearbox, host):
    reply = httpx.post(f"{gearbox.url}/v1/chat/completions", content=CHAT, headers={"host": host})
    assert reply.status_code in {200, 400}
    assert "evil.invalid" not in f"{reply.headers}{reply.text}"
