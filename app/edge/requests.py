"""An HTTP request -> a domain `Request`: who asks, what, and under which policy."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Any

from app.edge.bodies import check_chat, parse_object
from app.edge.headers import wishes
from cascade.policies.always import ALWAYS
from router.domain import Request
from router.errors import Forbidden, RequestError, TooLarge
from router.questions import question_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request as HttpRequest

    from app.services import Services
    from router.domain import Caller


_UNPACKED = "identity"
#: Before our id in the bodies of chats, completions and responses.
_ID_PREFIXES = ("chatcmpl-", "cmpl-", "resp_")


def new_id() -> str:
    """A request's id: time-ordered enough to sort, random enough never to meet another."""
    return f"{time.time_ns() // 1_000_000:011x}{uuid.uuid4().hex[:21]}"


async def read_body(http: HttpRequest, limit: int) -> bytes:
    """The raw body.

    Raises:
        TooLarge: more than `limit` bytes, or it says so; no more than that is ever read.
        RequestError: it is packed.
    """
    too_large = TooLarge(f"the request body is larger than this server's limit of {limit} bytes")
    if int(http.headers.get("content-length", 0)) > limit:
        raise too_large
    encoding = http.headers.get("content-encoding", _UNPACKED).strip().lower()
    if encoding != _UNPACKED:
        raise RequestError(f"send the body as it is, without content-encoding: {encoding[:40]}")
    body = bytearray()
    async for part in http.stream():
        body += part
        if len(body) > limit:
            raise too_large
    return bytes(body)


async def chat_request(http: HttpRequest, services: Services, request_id: str) -> Request:
    """Read a chat request in full.

    Raises:
        RequestError: anything wrong with key, body, headers or model, each named.
    """
    caller, body = await identified(http, services)
    check_chat(body)
    return routed(http, services, caller, body, request_id)


async def identified(http: HttpRequest, services: Services) -> tuple[Caller, dict[str, Any]]:
    """Who asks, and the JSON that they sent.

    Raises:
        RequestError: the key is missing or unknown, or the body no JSON object.
    """
    caller = await services.keys.identify(http.headers)
    return caller, parse_object(await read_body(http, services.max_body_bytes))


def routed(http: HttpRequest, services: Services, caller: Caller, chat: dict[str, Any], request_id: str) -> Request:
    """A checked chat body as a request of this caller.

    Raises:
        RequestError: a header or the model is unknown or wrong, or not for this key.
    """
    headers = {**caller.headers, **http.headers}
    return Request(
        id=request_id,
        received_at=time.time(),
        body=chat,
        policy=_policy(headers, chat, services, caller),
        question=question_text(chat["messages"]),
        caller=caller,
        wishes=wishes(headers),
        asked_model=chat["model"],
    )


def own_id(text: str) -> str:
    """A request's id, however the client writes it: `chatcmpl-<id>` and its like are accepted wherever an id is."""
    prefix = next((prefix for prefix in _ID_PREFIXES if text.startswith(prefix)), "")
    return text.removeprefix(prefix)


def feedback(body: Mapping[str, Any]) -> tuple[str, float, str, str]:
    """(id, score 0..1, by, note) of a feedback body.

    Raises:
        RequestError: naming the key that is missing or wrong.
    """
    request_id = body.get("id")
    if not isinstance(request_id, str) or not request_id:
        raise RequestError("id is missing: the request's id, as x-request-id gave it", param="id")
    valid, score = body.get("valid"), body.get("score")
    if (valid is None) == (score is None):
        raise RequestError("give either valid (true or false) or score (0 to 1)", param="valid")
    if valid is not None and not isinstance(valid, bool):
        raise RequestError("valid must be true or false", param="valid")
    if score is not None and (isinstance(score, bool) or not isinstance(score, int | float) or not 0 <= score <= 1):
        raise RequestError("score must be a number from 0 to 1", param="score")
    for key in ("by", "note"):
        if body.get(key) is not None and not isinstance(body[key], str):
            raise RequestError(f"{key} must be a string", param=key)
    value = float(bool(valid) if score is None else score)
    return own_id(request_id), value, body.get("by") or "", body.get("note") or ""


def _policy(headers: Mapping[str, str], body: Mapping[str, Any], services: Services, caller: Caller) -> str:
    """`model` chooses, `x-gearbox-policy` overrides; the model must be known all the same, and the key allow it."""
    chosen = services.names.resolve(body["model"])
    wanted = headers.get("x-gearbox-policy")
    if wanted is not None:
        chosen = services.names.policy(wanted.strip())
    check_allowed(chosen, caller)
    return chosen


def check_allowed(policy: str, caller: Caller) -> None:
    """Refuse a policy or tier that the caller's key may not use.

    Raises:
        Forbidden: the message says which it may.
    """
    if policy.startswith(ALWAYS):
        kind, name, allowed = "tier", policy.removeprefix(ALWAYS), caller.tiers
    else:
        kind, name, allowed = "policy", policy, caller.policies
    if allowed is not None and name not in allowed:
        may = ", ".join(sorted(allowed))
        raise Forbidden(f"this key may not use the {kind} {name}; it may use: {may}", param="model")
