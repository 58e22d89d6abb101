"""litellm's exceptions -> our error tree.

The law of this file: pure, and no import of litellm: an exception is known by the names of its classes, by the status
that the vendor gave, and by what caused it. What a client may see is the vendor's own body of a 400, 413 or 422.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import structlog

from cascade.upstreams.secrets import masked
from cascade.upstreams.upstream_errors import bad_reply, error_of_status
from router.errors import (
    ContextOverflow,
    UpstreamError,
    UpstreamMisconfigured,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnavailable,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_log = structlog.get_logger("gearbox.upstream")

_PREFIX = re.compile(r"^(?:litellm\.\w+: )*(?:\w+(?:Exception|Error)(?: \w+)? - )?")
#: Failures before anything was sent, as httpx and aiohttp name them.
_NEVER_SENT = frozenset(
    {"ConnectError", "ConnectTimeout", "ClientConnectorError", "ConnectionTimeoutError", "ConnectionRefusedError"}
)
#: Code that makes credentials, before anything is sent.
_CREDENTIALS = (
    "google.auth",
    "google.oauth2",
    "botocore.auth",
    "botocore.credentials",
    "botocore.session",
    "litellm.llms.vertex_ai.credentials_source",
)
_TOO_LONG = "ContextWindowExceededError"
_OVER_CONTENT = "ContentPolicyViolationError"
_LOWEST, _HIGHEST = 300, 599
#: Statuses that litellm gives to whatever it does not understand itself.
_GUESSED = 500


def error_of(error: BaseException, *, streaming: bool, where: str, secrets: Sequence[str] = ()) -> UpstreamError:
    """What went wrong, in our words.

    Args:
        error: what litellm raised.
        streaming: whether a part of the answer had come already: then it is billed, and no status helps.
        where: the model, for the log.
        secrets: cut out of whatever the client or the log may see.
    """
    names = {kind.__name__ for kind in type(error).__mro__}
    chain = list(_chain(error))
    known = _raised_below(chain) or _never_sent(chain, secrets, where)
    if known is not None:
        return known
    if streaming:
        return UpstreamUnavailable("the upstream reported an error in the middle of its answer", billed=True)
    status = _status(chain)
    if "Timeout" in names and status is None:
        return UpstreamTimeout("the upstream did not answer in time")
    if status is None:
        return bad_reply(f"something that is no answer ({type(error).__name__})")
    content = masked(_content(chain), secrets)
    found = error_of_status(_as_ours(status, names), content, _headers(chain), where)
    if _TOO_LONG in names and isinstance(found, UpstreamRejected) and not isinstance(found, ContextOverflow):
        return ContextOverflow(found.message, status=found.status, body=found.body, param=found.param)
    return found


def _raised_below(chain: list[BaseException]) -> UpstreamError | None:
    """Our own error, raised in litellm's client (`litellm_guard`) and wrapped by litellm."""
    return next((each for each in chain if isinstance(each, UpstreamError)), None)


def _never_sent(chain: list[BaseException], secrets: Sequence[str], where: str) -> UpstreamError | None:
    """What failed before anything was sent, and so is never billed."""
    if any(type(each).__name__ in _NEVER_SENT for each in chain):
        return UpstreamUnavailable("no connection to the upstream", billed=False)
    refused = next((each for each in chain if _made_credentials(each)), None)
    return None if refused is None else _without_credentials(refused, secrets, where)


def _made_credentials(error: BaseException) -> bool:
    """Whether it was raised where credentials are made: a file that is none, a profile or an account nobody knows."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and str(trace.tb_frame.f_globals.get("__name__")).startswith(_CREDENTIALS)


def _without_credentials(error: BaseException, secrets: Sequence[str], where: str) -> UpstreamError:
    if getattr(error, "retryable", False):
        return UpstreamUnavailable("the vendor's token endpoint did not answer", billed=False)
    words = masked(str(error).partition("\n")[0].encode(), secrets).decode(errors="replace")
    _log.error("no credentials for the upstream", host=where, kind=type(error).__name__, detail=words[:300])
    return UpstreamMisconfigured("no credentials for the upstream; the operator must mend its account", billed=False)


def _as_ours(status: int, names: set[str]) -> int:
    """The status that counts: what is wrong with the request is a 400, whichever status litellm chose for it."""
    return 400 if names & {_TOO_LONG, _OVER_CONTENT} else status


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and all that it came from, the outermost first."""
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        yield found
        found = found.__cause__ or found.__context__


def _status(chain: list[BaseException]) -> int | None:
    """The vendor's status, which stands deepest; None where nobody answered with one.

    litellm wraps every fault of its own (a reply it cannot read) as a connection error with status 500.
    """
    said = [status for each in chain if (status := _int(getattr(each, "status_code", None))) is not None]
    known = [status for status in said if _LOWEST <= status <= _HIGHEST]
    if not known or "APIConnectionError" in {type(each).__name__ for each in chain[:1]}:
        return next((status for status in reversed(known) if status != _GUESSED), None)
    return known[-1]


def _content(chain: list[BaseException]) -> bytes:
    """The vendor's body, as far as the exceptions kept it: the innermost JSON, else the words without prefixes."""
    for each in reversed(chain):
        body = getattr(each, "body", None)  # as OpenAI's own client keeps it: what stood below "error"
        if isinstance(body, dict) and "message" in body:
            return json.dumps({"error": body}).encode()
    texts = [str(getattr(each, "message", None) or each) for each in reversed(chain)]
    for text in texts:
        found = _json(text)
        if found is not None:
            return json.dumps(found).encode()
    return json.dumps({"message": _PREFIX.sub("", texts[-1])}).encode()


def _json(text: str) -> Any:
    start = text.find("{")
    if start < 0:
        return None
    try:
        found, _ = json.JSONDecoder().raw_decode(text[start:])
    except ValueError:
        return None
    return found if isinstance(found, dict) and ("error" in found or "message" in found) else None


def _headers(chain: list[BaseException]) -> Mapping[str, str]:
    for each in chain:
        headers = getattr(each, "litellm_response_headers", None) or getattr(each, "headers", None)
        response = getattr(each, "response", None)
        for found in (headers, getattr(response, "headers", None)):
            if found:
                return {str(name).lower(): str(value) for name, value in dict(found).items()}
    return {}


def _int(value: Any) -> int | None:
    try:
        return int(value)
    except (TypeError, ValueError):
        return None
