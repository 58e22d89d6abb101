"""What an upstream's failure means, and what of it a client may see."""

from __future__ import annotations

import time
from email.utils import formatdate

import httpx
import pytest

from cascade.upstreams.upstream_errors import error_event, error_from_response, error_from_transport, retry_after_s
from router import errors

ROWS = {
    400: errors.UpstreamRejected,
    413: errors.UpstreamRejected,
    422: errors.UpstreamRejected,
    401: errors.UpstreamMisconfigured,
    402: errors.UpstreamMisconfigured,
    403: errors.UpstreamMisconfigured,
    404: errors.UpstreamMisconfigured,
    408: errors.UpstreamTimeout,
    504: errors.UpstreamTimeout,
    429: errors.UpstreamRateLimited,
    409: errors.UpstreamUnavailable,
    500: errors.UpstreamUnavailable,
    502: errors.UpstreamUnavailable,
    503: errors.UpstreamUnavailable,
    529: errors.UpstreamUnavailable,
}


async def error_of(status, content=b"", headers=()):
    sent = httpx.Request("POST", "http://upstream.example/v1/chat/completions")
    return await error_from_response(httpx.Response(status, content=content, headers=dict(headers), request=sent))


@pytest.mark.parametrize(("status", "kind"), ROWS.items())
async def test_a_status_has_its_error_and_costs_nothing(status, kind):
    error = await error_of(status, b'{"error": {"message": "sk-secret"}}')
    assert type(error) is kind
    assert not error.billed


@pytest.mark.parametrize("status", [status for status, kind in ROWS.items() if kind is not errors.UpstreamRejected])
async def test_the_upstreams_words_stay_inside_unless_the_request_is_at_fault(status):
    assert "sk-secret" not in str(await error_of(status, b'{"error": {"message": "bad key sk-secret"}}'))


BODIES = [
    (b'{"error": {"message": "m", "type": "t", "param": "p", "code": "c"}}', ("m", "t", "p", "c")),
    (b'{"error": {"message": "m"}}', ("m", "invalid_request_error", None, None)),
    (b'{"error": {"message": "m", "code": 400, "type": null}}', ("m", "invalid_request_error", None, "400")),
    (b'{"error": "m"}', ("m", "invalid_request_error", None, None)),
    (b'{"message": "m"}', ("m", "invalid_request_error", None, None)),
    (b'{"detail": "m"}', ("m", "invalid_request_error", None, None)),
    (b"plain words", ("plain words", "invalid_request_error", None, None)),
    (b"[1]", ("[1]", "invalid_request_error", None, None)),
    (b"", ("the upstream gave no reason", "invalid_request_error", None, None)),
]


@pytest.mark.parametrize(("content", "keys"), BODIES)
async def test_a_rejection_passes_through_with_all_four_keys(content, keys):
    error = await error_of(400, content)
    told = error.body["error"]
    assert tuple(told[key] for key in ("message", "type", "param", "code")) == keys
    assert error.status == 400


async def test_a_rejections_further_keys_pass_too():
    error = await error_of(422, b'{"error": {"message": "m", "details": [1]}}')
    assert error.body["error"]["details"] == [1]


@pytest.mark.parametrize(
    "content",
    [
        b'{"error": {"message": "x", "code": "context_length_exceeded"}}',
        b'{"error": {"message": "This model\'s maximum context length is 8192 tokens"}}',
        b'{"error": {"message": "prompt is too long: 300000 tokens"}}',
    ],
)
async def test_a_context_overflow_is_known_by_code_or_words(content):
    assert isinstance(await error_of(400, content), errors.ContextOverflow)


RETRY_AFTER = [
    ({}, None),
    ({"retry-after": "2"}, 2),
    ({"retry-after": "0.5"}, 0.5),
    ({"retry-after": "-3"}, 0),
    ({"retry-after-ms": "1500"}, 1.5),
    ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
    ({"retry-after-ms": "soon", "retry-after": "9"}, 9),
    ({"retry-after": "soon"}, None),
    ({"retry-after": ""}, None),
    ({"retry-after": "inf"}, None),
    ({"retry-after": "nan"}, None),
    ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
    ({"retry-after": "Wed, 99 Oct 2015 07:28:00 GMT"}, None),
]


@pytest.mark.parametrize(("headers", "seconds"), RETRY_AFTER)
def test_retry_after_in_all_its_forms(headers, seconds):
    assert retry_after_s(headers) == seconds


def test_retry_after_as_a_date_is_seconds_from_now():
    assert retry_after_s({"retry-after": formatdate(time.time() + 60, usegmt=True)}) == pytest.approx(60, abs=2)


@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_is_kept(status):
    assert (await error_of(status, headers={"retry-after": "7"})).retry_after_s == 7


@pytest.mark.parametrize(
    ("failure", "kind", "billed"),
    [
        (httpx.ConnectError("x"), errors.UpstreamUnavailable, False),
        (httpx.ConnectTimeout("x"), errors.UpstreamUnavailable, False),
        (httpx.ReadTimeout("x"), errors.UpstreamTimeout, True),
        (httpx.RemoteProtocolError("x"), errors.UpstreamBadReply, True),
        (httpx.ReadError("x"), errors.UpstreamBadReply, True),
    ],
)
def test_a_broken_connection_is_billed_once_the_request_may_have_left(failure, kind, billed):
    error = error_from_transport(failure)
    assert (type(error), error.billed) == (kind, billed)


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ({"code": "rate_limit_exceeded"}, errors.UpstreamRateLimited),
        ({"code": 429}, errors.UpstreamRateLimited),
        ({"type": "server_error"}, errors.UpstreamUnavailable),
        ("words", errors.UpstreamUnavailable),
    ],
)
def test_an_error_inside_a_200_may_be_billed(event, kind):
    error = error_event(event)
    assert (type(error), error.billed) == (kind, True)
