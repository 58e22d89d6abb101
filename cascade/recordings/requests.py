"""A chat request to the recorded upstream, checked; what is wrong with it becomes OpenAI's error body.

The law of this file: it knows HTTP bodies and headers, and the recorded models' names; it finds no answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from cascade.upstreams.http_reply import HttpReply, error_object, json_reply

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_LIMITS = ("max_completion_tokens", "max_tokens")
_MAX_N = 128


class Refused(Exception):
    """The request cannot be answered; `reply` says why."""

    def __init__(self, status: int, message: str, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self._status = status
        self._body = error_object(message, "invalid_request_error", param, code)

    @property
    def reply(self) -> HttpReply:
        """The error as an HTTP reply."""
        return json_reply(self._status, self._body)


@dataclass(frozen=True, slots=True)
class Asked:
    """One chat request; `judged` is the model whose answer is to be judged, "" = none; `hinted`: hints are wanted."""

    body: Mapping[str, Any]
    model: str
    messages: Sequence[Any]
    query_id: str | None
    hinted: bool
    judged: str
    n: int

    @property
    def limit_tokens(self) -> int | None:
        """The most output tokens the request allows; None = no limit."""
        limits = [self.body[key] for key in _LIMITS if isinstance(self.body.get(key), int)]
        return max(min(limits), 0) if limits else None

    @property
    def stream(self) -> bool:
        """Whether server-sent events are wanted."""
        return bool(self.body.get("stream"))

    @property
    def include_usage(self) -> bool:
        """Whether a stream ends with its usage."""
        options = self.body.get("stream_options")
        return isinstance(options, dict) and bool(options.get("include_usage"))

    @property
    def logprobs(self) -> bool:
        """Whether log-probabilities are wanted."""
        return self.body.get("logprobs") is True


def read_request(headers: Mapping[str, str], data: bytes, models: Iterable[str]) -> Asked:
    """Check a request.

    Args:
        headers: names in lower case.
        data: the body as it came.
        models: the recorded models.

    Raises:
        Refused: it is no chat request, or asks for a model that is not recorded.
    """
    body = _json(data)
    hint = headers.get("x-gearbox-call", "")
    of = _judged(hint)
    known = tuple(models)
    return Asked(
        body=body,
        model=_known(body.get("model"), known),
        messages=_messages(body),
        query_id=_query_id(headers, body),
        hinted=bool(hint),
        judged=_known(of, known) if of else "",
        n=_n(body),
    )


def _json(data: bytes) -> Mapping[str, Any]:
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise Refused(400, f"the body is not JSON: {error.msg}") from None
    if not isinstance(body, dict):
        raise Refused(400, "the body must be a JSON object")
    return body


def _messages(body: Mapping[str, Any]) -> Sequence[Any]:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise Refused(400, "'messages' must be a list with at least one message", "messages")
    return messages


def _n(body: Mapping[str, Any]) -> int:
    n = body.get("n")
    if n is None:
        return 1
    if not isinstance(n, int) or isinstance(n, bool) or not 1 <= n <= _MAX_N:
        raise Refused(400, f"'n' must be a whole number from 1 to {_MAX_N}", "n")
    return n


def _known(name: Any, models: tuple[str, ...]) -> str:
    """The recorded model of that name; a provider before either name (`openai/gpt-4o`) does not matter."""
    if name in models:
        return str(name)
    short = name.rpartition("/")[2] if isinstance(name, str) else None
    same = [model for model in models if model.rpartition("/")[2] == short]
    if len(same) == 1:
        return same[0]
    what = f"the model {name!r} is not recorded here; recorded: {', '.join(models)}"
    raise Refused(404, what, "model", "model_not_found")


def _judged(hint: str) -> str:
    """MODEL of `judge; of=MODEL`; "" for any other call."""
    kind, _, rest = hint.partition(";")
    if kind.strip() != "judge":
        return ""
    key, _, model = rest.strip().partition("=")
    if key.strip() != "of" or not model.strip():
        raise Refused(400, "x-gearbox-call: a judge call must say whose answer it judges: judge; of=MODEL")
    return model.strip()


def _query_id(headers: Mapping[str, str], body: Mapping[str, Any]) -> str | None:
    """The query's id where the request names it: header `x-gearbox-recording-id`, or `metadata.recording_id`."""
    metadata = body.get("metadata")
    named = metadata.get("recording_id") if isinstance(metadata, dict) else None
    return headers.get("x-gearbox-recording-id") or (named if isinstance(named, str) and named else None)
