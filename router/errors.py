"""The error tree. Each error says what is wrong, where, and what to do; the edge has one table from here to HTTP.

GearboxError
├── RequestError ............ the caller can mend it
│   ├── ModelNotFound · Unauthorized · Forbidden · NotFound · TooLarge
│   ├── BudgetTooSmall · BudgetExhausted
│   └── RateLimited ......... later; QuotaSpent: not before the budget resets
├── UpstreamError ........... a vendor failed; `retry` says what helps
│   ├── UpstreamRejected .... 400/413/422 about the request: body and status pass through
│   │   └── ContextOverflow . a tier with a larger context may still do
│   ├── UpstreamMisconfigured 401/402/403/404: the operator's fault, details for the log only
│   ├── UpstreamRateLimited . 429, keeps `retry_after_s`
│   └── UpstreamTimeout · UpstreamUnavailable · UpstreamBadReply
├── Refused ................. a budget does not hold what a worker wants to reserve; the ledger says what it means
├── Forfeited ............... what a bank had lent counts as spent; whoever held it must borrow anew
├── StoreUnavailable ........ the database is away where it is needed
├── InternalFault ........... a bug of ours; the log has it under the request's id
└── ConfigError ............. the operator can mend it, before serving
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from router.budgets import Standing


class Retry(StrEnum):
    """What a failed call leaves to try: the same request again, another tier only, or nothing."""

    AGAIN = "again"
    NEXT_TIER = "next_tier"
    NEVER = "never"


class GearboxError(Exception):
    """Root of the tree.

    Args:
        message: for the person who reads it: what is wrong, where, what to do. Never holds a secret.
        param: the parameter or header at fault, if one is.
        code: OpenAI's or our machine-readable code, where it differs from the class's own.
        retry_after_s: seconds after which trying again makes sense.
    """

    code: str | None = None

    def __init__(
        self, message: str, *, param: str | None = None, code: str | None = None, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code if code is not None else type(self).code
        self.retry_after_s = retry_after_s


class RequestError(GearboxError):
    """The request itself is wrong; the message names the parameter and what would be right."""


class ModelNotFound(RequestError):
    """`model` is no policy, tier or alias; the message gives the alias line that would make it work."""

    code = "model_not_found"


class Unauthorized(RequestError):
    """No key, or one we do not know."""

    code = "invalid_api_key"


class Forbidden(RequestError):
    """A key we know, which may not do this."""

    code = "not_allowed"


class NotFound(RequestError):
    """No such decision for this caller."""

    code = "not_found"


class TooLarge(RequestError):
    """The request body is larger than the configured limit."""

    code = "request_too_large"


class BudgetTooSmall(RequestError):
    """The request's own cap pays for no tier; the message says the least that would do."""

    code = "budget_too_small"


class BudgetExhausted(RequestError):
    """The cap was reached and the caller asked to be refused rather than served the best so far."""

    code = "budget_exhausted"


class RateLimited(RequestError):
    """Too much at once; `retry_after_s` says when to come back. `scope`: of the budget, where one is the cause."""

    code = "rate_limit_exceeded"
    scope: str | None = None


class QuotaSpent(RequestError):
    """A key's, team's or the global budget (`scope`) is spent; retrying before it resets is pointless."""

    code = "insufficient_quota"
    scope: str | None = None


class UpstreamError(GearboxError):
    """An upstream failed to answer.

    `billed` says whether the vendor may bill for the failed call: a stream that was cut or timed out may well be.
    """

    retry: Retry = Retry.AGAIN
    billed: bool = False

    def __init__(self, message: str, *, billed: bool | None = None, **details: Any) -> None:
        super().__init__(message, **details)
        if billed is not None:
            self.billed = billed


class UpstreamRejected(UpstreamError):
    """The upstream says the request is wrong (400, 413, 422): status and body go to the client as they are."""

    retry = Retry.NEVER

    def __init__(self, message: str, *, status: int, body: Mapping[str, Any], **details: Any) -> None:
        super().__init__(message, **details)
        self.status = status
        self.body = body


class ContextOverflow(UpstreamRejected):
    """The prompt is too long for this model; a tier that can hold it is tried before giving up."""

    retry = Retry.NEXT_TIER
    code = "context_length_exceeded"


class UpstreamMisconfigured(UpstreamError):
    """The upstream refuses our key, our account or the model's name: nothing the caller can mend."""

    retry = Retry.NEXT_TIER
    code = "upstream_misconfigured"


class UpstreamRateLimited(UpstreamError):
    """The upstream's own rate limit."""

    code = "rate_limit_exceeded"


class UpstreamTimeout(UpstreamError):
    """No connection, no first token or no end in time."""

    code = "upstream_timeout"
    billed = True


class UpstreamUnavailable(UpstreamError):
    """The upstream is down: refused connections, 5xx."""

    code = "upstream_unavailable"


class UpstreamBadReply(UpstreamError):
    """The upstream answered something that is no chat completion: wrong type, broken JSON, a cut stream, no choices."""

    code = "upstream_bad_reply"
    billed = True


class InternalFault(GearboxError):
    """A bug of ours. Its own words stay in the log."""

    def __init__(self, request_id: str) -> None:
        super().__init__(f"internal error; the operator finds it in the log as {request_id}")


class Refused(GearboxError):
    """A budget does not hold the amount; `standing` says how it stands."""

    def __init__(self, standing: Standing) -> None:
        super().__init__(f"{standing.terms.words} does not hold it")
        self.standing = standing


class Forfeited(GearboxError):
    """The bank has lost what it lent, and counts all of it as spent: nothing of it may be spent or settled any more."""


class StoreUnavailable(GearboxError):
    """The database is away and the operation cannot go on without it."""

    code = "store_unavailable"


class ConfigError(GearboxError):
    """The configuration is wrong: the message names file, line, key and the cure."""
