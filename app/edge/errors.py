"""Errors at the edge: one table from our tree to status and OpenAI's body, all four keys, always.

The law of this file: pure. Whatever is not in the tree is a fault of ours: 500, its text in the log alone.
"""

from __future__ import annotations

import math
from typing import Any

from router import errors
from router.errors import GearboxError, UpstreamRejected

#: error -> (status, OpenAI's `type`); the first entry that matches counts, so the special stands before the general.
_TABLE: tuple[tuple[type[GearboxError], int, str], ...] = (
    (errors.Unauthorized, 401, "invalid_request_error"),
    (errors.Forbidden, 403, "invalid_request_error"),
    (errors.ModelNotFound, 404, "invalid_request_error"),
    (errors.NotFound, 404, "invalid_request_error"),
    (errors.TooLarge, 413, "invalid_request_error"),
    (errors.QuotaSpent, 429, "insufficient_quota"),
    (errors.RateLimited, 429, "rate_limit_error"),
    (errors.RequestError, 400, "invalid_request_error"),
    (errors.UpstreamRateLimited, 429, "rate_limit_error"),
    (errors.UpstreamTimeout, 504, "upstream_error"),
    (errors.UpstreamUnavailable, 503, "upstream_error"),
    (errors.UpstreamError, 502, "upstream_error"),
    (errors.StoreUnavailable, 503, "server_error"),
    (errors.GearboxError, 500, "server_error"),
)
#: OpenAI's SDKs retry 429 and 5xx unless told not to; where only time or the caller can help, they are told.
_NO_RETRY = (errors.QuotaSpent,)


def status_of(error: GearboxError) -> int:
    """The HTTP status of an error."""
    if isinstance(error, UpstreamRejected):
        return error.status
    return next(status for kind, status, _ in _TABLE if isinstance(error, kind))


def body_of(error: GearboxError) -> dict[str, Any]:
    """OpenAI's error body; an upstream's own passes through."""
    if isinstance(error, UpstreamRejected):
        return dict(error.body)
    kind = next(kind for matching, _, kind in _TABLE if isinstance(error, matching))
    return error_body(error.message, kind, error.param, error.code)


def error_body(message: str, kind: str, param: str | None = None, code: str | None = None) -> dict[str, Any]:
    """The four keys."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def headers_of(error: GearboxError) -> dict[str, str]:
    """`retry-after` (whole seconds, rounded up, and in milliseconds) and `x-should-retry`, where they help."""
    headers: dict[str, str] = {}
    if error.retry_after_s is not None:
        headers["retry-after"] = str(math.ceil(error.retry_after_s))
        headers["retry-after-ms"] = str(math.ceil(error.retry_after_s * 1000))
    if isinstance(error, _NO_RETRY):
        headers["x-should-retry"] = "false"
    return headers
