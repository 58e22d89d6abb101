"""`/v1/completions`, the legacy endpoint: translated to chats and back.

The law of this file: pure. Each prompt becomes a chat of its own; the shapes are OpenAI's
(https://platform.openai.com/docs/api-reference/completions). Fields of an answer that OpenAI does not know are carried
along.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from app.edge import reports
from app.edge.bodies import check_chat
from app.edge.errors import body_of
from app.edge.events import EventWriter
from cascade.upstreams.sse import DONE, event
from router.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from app.edge.reports import Extras
    from router.domain import Outcome, Request
    from router.errors import GearboxError

#: More prompts than this are a batch, not a request.
MAX_PROMPTS = 128
_MAX_LOGPROBS = 5
_WHOLE = ("object", "choices", "id")


def chats(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One chat body for each prompt.

    Raises:
        RequestError: naming what a chat model cannot do, or what is wrong.
    """
    _refuse_unsupported(body)
    shared = {key: value for key, value in body.items() if key not in {"prompt", "logprobs", *_HARMLESS}}
    shared |= _logprobs_wanted(body.get("logprobs"))
    found = [{**shared, "messages": [{"role": "user", "content": prompt}]} for prompt in _prompts(body.get("prompt"))]
    check_chat(found[0])
    return found


#: What must have this value (or be missing): a chat model has no other.
_HARMLESS: Mapping[str, tuple[Any, ...]] = {"echo": (False,), "suffix": ("",), "best_of": (1,)}


def _refuse_unsupported(body: Mapping[str, Any]) -> None:
    for name, harmless in _HARMLESS.items():
        value = body.get(name)
        allowed = (*harmless, body.get("n")) if name == "best_of" else harmless
        if value is not None and value not in allowed:
            raise RequestError(
                f"{name} is not supported: completions are answered by chat models; leave it out", param=name
            )


def _prompts(prompt: Any) -> list[str]:
    prompts = [prompt] if isinstance(prompt, str) else prompt
    if not isinstance(prompts, list) or not prompts:
        raise RequestError("you must provide a prompt: a string, or an array of strings", param="prompt")
    if any(not isinstance(each, str) for each in prompts):
        raise RequestError(
            "prompt must be a string or an array of strings; arrays of tokens belong to one model's tokenizer and "
            "cannot be routed",
            param="prompt",
        )
    if len(prompts) > MAX_PROMPTS:
        raise RequestError(f"prompt may hold at most {MAX_PROMPTS} strings, got {len(prompts)}", param="prompt")
    return prompts


def _logprobs_wanted(count: Any) -> dict[str, Any]:
    if count is None:
        return {}
    if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= _MAX_LOGPROBS:
        raise RequestError(f"logprobs must be an integer from 0 to {_MAX_LOGPROBS}", param="logprobs")
    return {"logprobs": True, "top_logprobs": count}


# and back


def whole(outcome: Outcome, extras: Extras) -> dict[str, Any]:
    """The `text_completion` of one run."""
    chat = reports.body(outcome, extras)
    choices = [_Text().choice(choice, choice.get("message") or {}) for choice in chat["choices"]]
    rest = {key: value for key, value in chat.items() if key not in _WHOLE}
    return {"id": _id(outcome.request), "object": "text_completion", **rest, "choices": choices}


def joined(outcomes: Sequence[Outcome], extras: Extras) -> dict[str, Any]:
    """Several prompts' runs as one `text_completion`: choices in the prompts' order, tokens and money summed."""
    told = [whole(outcome, extras) for outcome in outcomes]
    choices = [choice for each in told for choice in each["choices"]]
    together = {**told[0], "choices": [{**choice, "index": index} for index, choice in enumerate(choices)]}
    together["usage"] = _summed([each.get("usage") or {} for each in told])
    if extras.gearbox_object:
        together["gearbox"] = {
            "id": outcomes[0].request.id,
            **reports.total(outcomes),
            "runs": [reports.gearbox_object(outcome) for outcome in outcomes],
        }
    return together


class TextWriter(EventWriter):
    """A run told as `text_completion` events."""

    def __init__(self, request: Request, extras: Extras, end: bytes = DONE) -> None:
        super().__init__(request, extras, self.text, end)
        self._texts: dict[int, _Text] = {}
        self._request_id = _id(request)

    def text(self, chunk: Mapping[str, Any]) -> bytes:
        """One event; b"" where it says nothing in this dialect (a role)."""
        choices = [self._choice(choice) for choice in chunk.get("choices") or ()]
        said = [choice for choice in choices if choice["text"] or choice["finish_reason"] or choice["logprobs"]]
        if choices and not said and "gearbox" not in chunk:
            return b""
        rest = {key: value for key, value in chunk.items() if key not in _WHOLE}
        return event({"id": self._request_id, "object": "text_completion", **rest, "choices": said})

    def _choice(self, choice: Mapping[str, Any]) -> dict[str, Any]:
        text = self._texts.setdefault(choice.get("index") or 0, _Text())
        return text.choice(choice, choice.get("delta") or {})


class _Part(TextWriter):
    """One prompt's run among several: under the first one's id, its choices counted on from those before it."""

    def __init__(self, all_of_them: TextsWriter, request: Request, first_id: str, place: int, extras: Extras) -> None:
        super().__init__(request, extras, end=b"")
        self._all_of_them = all_of_them
        self._request_id = first_id
        self._first = place * (request.body.get("n") or 1)

    def _choice(self, choice: Mapping[str, Any]) -> dict[str, Any]:
        told = super()._choice(choice)
        return {**told, "index": self._first + told["index"]}

    def _about(self, outcome: Outcome) -> dict[str, Any] | None:  # noqa: ARG002 - it tells of all of them
        return self._all_of_them.about()

    def _last(self, outcome: Outcome) -> list[dict[str, Any]]:  # noqa: ARG002 - likewise
        return []


class TextsWriter:
    """Several prompts' runs told as one stream of `text_completion` events: their choices come as they come.

    What all of them took and cost is told once, by the last event: the usage event where one is wanted.
    """

    def __init__(self, requests: Sequence[Request], extras: Extras) -> None:
        first_id = _id(requests[0])
        self._parts = [_Part(self, request, first_id, place, extras) for place, request in enumerate(requests)]
        self._outcomes: dict[int, Outcome] = {}
        self._extras = extras
        self._wants_usage = bool((requests[0].body.get("stream_options") or {}).get("include_usage"))

    def live(self, place: int, chunk: Mapping[str, Any]) -> bytes:
        """One event of the prompt at this place."""
        return self._parts[place].live(chunk)

    def ended(self, place: int, outcome: Outcome) -> bytes:
        """The rest of that prompt's answer."""
        self._outcomes[place] = outcome
        return b"".join(self._parts[place].finish(outcome))

    def about(self) -> dict[str, Any] | None:
        """The `gearbox` object of the last event of all; None on every other."""
        last = len(self._outcomes) == len(self._parts) and not self._wants_usage
        return self._joined().get("gearbox") if last else None

    def begin(self) -> bytes:
        """A stream begins with its first event."""
        return b""

    def fail(self, error: GearboxError, outcome: Outcome | None = None) -> bytes:
        """An error after the first streamed byte, with what those that have ended cost; the stream ends after it."""
        ended = [*self._outcomes.values(), *([] if outcome is None else [outcome])]
        told = {"id": ended[0].request.id, **reports.total(ended)} if ended and self._extras.gearbox_object else None
        return event({**body_of(error), **({} if told is None else {"gearbox": told})})

    def finish(self) -> bytes:
        """What stands after the last answer."""
        usage = event({**self._joined(), "choices": []}) if self._wants_usage else b""
        return usage + DONE

    def _joined(self) -> dict[str, Any]:
        return joined([self._outcomes[place] for place in range(len(self._parts))], self._extras)


@dataclass(slots=True)
class _Text:
    """One choice so far; `length` counts its characters, for the offsets of its tokens."""

    length: int = field(default=0)

    def choice(self, choice: Mapping[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
        """A chat's choice, or a part of one, in the legacy shape."""
        return {
            "text": said.get("content") or said.get("refusal") or "",
            "index": choice.get("index") or 0,
            "logprobs": self._logprobs(choice.get("logprobs")),
            "finish_reason": choice.get("finish_reason"),
        }

    def _logprobs(self, logprobs: Any) -> dict[str, Any] | None:
        entries = logprobs.get("content") if isinstance(logprobs, dict) else None
        if not entries:
            return None
        offsets = []
        for entry in entries:
            offsets.append(self.length)
            self.length += len(entry.get("token") or "")
        return {
            "tokens": [entry.get("token") for entry in entries],
            "token_logprobs": [entry.get("logprob") for entry in entries],
            "top_logprobs": [
                {top.get("token"): top.get("logprob") for top in entry.get("top_logprobs") or ()} for entry in entries
            ],
            "text_offset": offsets,
        }


def _id(request: Request) -> str:
    return f"cmpl-{request.id}"


def _summed(usages: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The sum of numbers by name; None where one of them is unknown."""
    names = dict.fromkeys(name for usage in usages for name, value in usage.items() if not isinstance(value, dict))
    summed: dict[str, Any] = {}
    for name in names:
        values = [usage.get(name) for usage in usages]
        known = [value for value in values if isinstance(value, int | float)]
        summed[name] = sum(known) if len(known) == len(values) else None
    return summed
