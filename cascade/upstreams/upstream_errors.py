"""HTTP failures of an upstream -> our error tree.

The law of this file: pure but for reading an error's body; what a client may see never holds an address, a key or the
text of a 401. The full text of the operator's faults goes to the log only.
"""

from __future__ import annotations

import email.utils
import math
import time
from typing import TYPE_CHECKING, Any

import aiohttp
import httpx
import orjson
import structlog

from cascade.upstreams.secrets import masked
from router.errors import (
    ContextOverflow,
    UpstreamBadReply,
    UpstreamError,
    UpstreamMisconfigured,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnavailable,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_log = structlog.get_logger("gearbox.upstream")

#: An error's body beyond this is not worth reading.
_MAX_ERROR_BYTES = 256 * 1024
#: No upstream is waited for longer, whatever it says.
LONGEST_WAIT_S = 86_400.0
_REQUEST_FAULTS = frozenset({400, 413, 422})
_OPERATOR_FAULTS = frozenset({401, 402, 403, 404})
_REDIRECTS = range(300, 400)
_TIMEOUTS = frozenset({408, 504})
_RATE_LIMITED = 429
_OVERFLOW_CODES = frozenset({"context_length_exceeded", "string_above_max_length"})
_OVERFLOW_WORDS = (
    "context length",
    "context window",
    "maximum context",
    "too many tokens",
    "prompt is too long",
    "input is too long",  # Bedrock
    "maximum number of tokens allowed",  # Gemini and Vertex
)


async def error_from_response(response: httpx.Response) -> UpstreamError:
    """Status and body of a failed call -> the error that says what helps; our key, if it is repeated there, cut out."""
    _, _, key = response.request.headers.get("authorization", "").partition(" ")
    content = masked(await _read(response), (key,) if key else ())
    return error_of_status(response.status_code, content, response.headers, response.request.url.host)


def error_of_status(status: int, content: bytes, headers: Mapping[str, str], where: str) -> UpstreamError:
    """As `error_from_response`, from its parts; `where` names the upstream in the log."""
    body = _error_body(content)
    if status in _REQUEST_FAULTS:
        return _rejected(status, body)
    if status in _OPERATOR_FAULTS:
        _log.error("upstream refuses us", status=status, host=where, detail=_words(body)[:300])
        return UpstreamMisconfigured(
            f"the upstream answered {status}; the operator must mend its key, account or model"
        )
    if status in _REDIRECTS:
        _log.error("upstream redirects us", status=status, host=where)
        return UpstreamMisconfigured(
            f"the upstream answered {status}, a redirect, which is not followed; the operator must mend its api_base"
        )
    if status == _RATE_LIMITED:
        return UpstreamRateLimited("the upstream's rate limit is reached", retry_after_s=retry_after_s(headers))
    if status in _TIMEOUTS:
        return UpstreamTimeout(f"the upstream answered {status}", billed=False)
    return UpstreamUnavailable(f"the upstream answered {status}", retry_after_s=retry_after_s(headers))


def error_from_transport(error: httpx.HTTPError) -> UpstreamError:
    """A failure of the connection itself. A request that never left is never billed."""
    cause = error.__cause__
    never_sent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout) or isinstance(
        cause, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError
    )
    if never_sent:
        return UpstreamUnavailable("no connection to the upstream", billed=False)
    if isinstance(error, httpx.TimeoutException) and not isinstance(cause, aiohttp.ClientConnectionError):
        return UpstreamTimeout("the upstream did not answer in time")
    return bad_reply("an incomplete answer: the connection broke")


def error_event(error: Any) -> UpstreamError:
    """An `error` object inside a 200: what a stream says when it fails in the middle."""
    details = error if isinstance(error, dict) else {"message": str(error)}
    code = str(details.get("code") or details.get("type") or "")
    if code in {"429", "rate_limit_exceeded", "rate_limit_error"}:
        return UpstreamRateLimited("the upstream's rate limit is reached", billed=True)
    return UpstreamUnavailable("the upstream reported an error in the middle of its answer", billed=True)


def bad_reply(what: str) -> UpstreamBadReply:
    """The upstream sent something that is no answer; `what` completes "the upstream sent ..."."""
    return UpstreamBadReply(f"the upstream sent {what}")


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """`retry-after-ms`, or `retry-after` in seconds or as a date (RFC 9110, 10.2.3) -> seconds from now, or None."""
    millis = _number(headers.get("retry-after-ms"))
    told = _wait_s(headers.get("retry-after")) if millis is None else millis / 1000
    return None if told is None else min(max(told, 0.0), LONGEST_WAIT_S)


def _wait_s(text: str | None) -> float | None:
    seconds = _number(text)
    if seconds is not None or text is None:
        return seconds
    try:
        return email.utils.parsedate_to_datetime(text).timestamp() - time.time()
    except (ValueError, OverflowError):
        return None


def _rejected(status: int, body: dict[str, Any]) -> UpstreamRejected:
    error = body["error"]
    message = str(error.get("message") or "the upstream rejected the request")
    param = error.get("param") if isinstance(error.get("param"), str) else None
    code = error.get("code") if isinstance(error.get("code"), str) else None
    overflow = code in _OVERFLOW_CODES or any(words in message.lower() for words in _OVERFLOW_WORDS)
    kind = ContextOverflow if overflow else UpstreamRejected
    return kind(message, status=status, body=body, param=param, code=code)


async def _read(response: httpx.Response) -> bytes:
    content = bytearray()
    try:
        async for part in response.aiter_bytes():
            content += part
            if len(content) > _MAX_ERROR_BYTES:
                break
    except httpx.HTTPError:
        _log.warning("an upstream's error body could not be read", status=response.status_code)
    return bytes(content)


def _error_body(content: bytes) -> dict[str, Any]:
    """OpenAI's error shape, whatever the upstream sent: all four keys, and more where it gave more."""
    try:
        parsed = orjson.loads(content)
    except orjson.JSONDecodeError:
        parsed = None
    error = parsed.get("error") if isinstance(parsed, dict) else None
    if not isinstance(error, dict):
        words = error if isinstance(error, str) else _plain(parsed) or content[:500].decode(errors="replace")
        error = {"message": words or "the upstream gave no reason"}
    named = {
        key: None if (value := error.get(key)) is None else str(value) for key in ("message", "type", "param", "code")
    }
    kind = named["type"] or "invalid_request_error"
    return {"error": {**error, **named, "message": named["message"] or "", "type": kind}}


def _plain(parsed: Any) -> str | None:
    if not isinstance(parsed, dict):
        return None
    return next((str(parsed[key]) for key in ("message", "detail") if parsed.get(key)), None)


def _words(body: Mapping[str, Any]) -> str:
    return str(body["error"].get("message") or "")


def _number(text: str | None) -> float | None:
    try:
        number = math.nan if text is None else float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
