"""Mixed traffic for scripts/reconcile, and what each client was told of its money.

Every policy, every stream mode, every endpoint, faults of upstreams, refusals, caps, joins and feedback, in an order
that depends on the client's number alone.
"""

from __future__ import annotations

import json
import random
import re
import time
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import httpx

from cascade.simulated.problems import problems

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

POLICIES = ("auto", "llm-at", "two-tier", "skills", "bottom-up", "agreement", "random:0.3", "always:medium")
MODES = ("hold", "optimistic", "adaptive", "direct")
TIERS = ("small", "medium", "large")
FAULTS = ("server_error", "rate_limit", "no_usage", "truncated", "empty_answer", "malformed_json", "bad_request")
_NANO = Decimal(10) ** 9
_QUESTIONS = [problem.question for problem in problems(7, 200)]
_OK = 200


@dataclass
class Told:
    """What one client was told: request id -> nano-dollars, and how many requests there were of each kind."""

    nanousd: dict[str, int] = field(default_factory=dict)
    kinds: dict[str, int] = field(default_factory=dict)
    silent: list[str] = field(default_factory=list)

    def note(self, kind: str, request_id: str, cost: int | None, *, joined: bool = False) -> None:
        """Keep it. A joined request was told what another one's run cost: that money is there once."""
        self.kinds[kind] = self.kinds.get(kind, 0) + 1
        if cost is None:
            self.silent.append(request_id)
        elif not joined:
            self.nanousd[request_id] = self.nanousd.get(request_id, 0) + cost


class Client:
    """One client with a connection of its own; asks until told to stop."""

    def __init__(self, url: str, number: int) -> None:
        self.told = Told()
        self._random = random.Random(number)  # noqa: S311 - which request comes next, nothing secret
        self._http = httpx.Client(base_url=url, timeout=60)
        self._kinds: list[Callable[[], None]] = [
            *[self._chat] * 4,
            *[self._streamed] * 4,
            self._completions,
            self._responses,
            self._streamed_responses,
            self._embeddings,
            self._refused,
            self._repeated,
        ]

    def ask_until(self, end: float) -> None:
        """Ask; `end` is on the monotonic clock."""
        with self._http:
            while time.monotonic() < end:
                self._random.choice(self._kinds)()

    def _wish(self) -> tuple[dict[str, Any], dict[str, str]]:
        """(body, headers) of a chat."""
        pick = self._random
        body: dict[str, Any] = {"messages": [{"role": "user", "content": pick.choice(_QUESTIONS)}]}
        body["model"] = pick.choice([*POLICIES[:4], "gpt-4o", *TIERS])
        headers = {"x-gearbox-stream": pick.choice(MODES), "x-gearbox-tags": f"app={pick.choice(['search', 'chat'])}"}
        if body["model"] == "auto" and pick.random() < 0.5:  # noqa: PLR2004 - as often as not
            headers["x-gearbox-policy"] = pick.choice(POLICIES)
        match pick.randrange(8):
            case 0:
                body["simulate"] = {pick.choice(TIERS[:2]): pick.choice(FAULTS)}
            case 1:
                body["simulate"] = dict.fromkeys(TIERS, "server_error")
            case 2:
                headers["x-gearbox-budget-usd"] = pick.choice(["0.0002", "0.001", "1e-8"])
            case 3:
                body |= {"n": 2, "max_tokens": 40}
        return body, headers

    def _chat(self) -> None:
        body, headers = self._wish()
        reply = self._post("chat", "/v1/chat/completions", body, headers)
        if reply.status_code == _OK and self._random.random() < 0.3:  # noqa: PLR2004 - some say how it was
            valid = self._random.random() < 0.8  # noqa: PLR2004 - mostly well
            self._http.post("/v1/feedback", json={"id": reply.headers["x-request-id"], "valid": valid})

    def _streamed(self) -> None:
        body, headers = self._wish()
        self._stream("chat, streamed", "/v1/chat/completions", {**body, "stream": True}, headers)

    def _completions(self) -> None:
        prompts = self._random.sample(_QUESTIONS, 2)
        self._post("completions", "/v1/completions", {"model": "auto", "prompt": prompts}, {})

    def _responses(self) -> None:
        self._post("responses", "/v1/responses", {"model": "auto", "input": self._random.choice(_QUESTIONS)}, {})

    def _streamed_responses(self) -> None:
        body = {"model": "auto", "input": self._random.choice(_QUESTIONS), "stream": True}
        self._stream("responses, streamed", "/v1/responses", body, {})

    def _embeddings(self) -> None:
        body = {"model": "all-MiniLM-L6-v2", "input": self._random.choice(_QUESTIONS)}
        self._post("embeddings", "/v1/embeddings", body, {})

    def _refused(self) -> None:
        body: dict[str, Any] = {"model": self._random.choice(["auto", "no-such-model"]), "messages": []}
        self._post("refused", "/v1/chat/completions", body, {"x-gearbox-quality": "2"})

    def _repeated(self) -> None:
        body, headers = self._wish()
        headers["idempotency-key"] = f"{self._random.random()}"
        for _ in range(2):
            self._post("repeated", "/v1/chat/completions", body, headers)

    def _post(self, kind: str, path: str, body: dict[str, Any], headers: dict[str, str]) -> httpx.Response:
        reply = self._http.post(path, json=body, headers=headers)
        # Several prompts are several requests, told together under the first one's id.
        name = reply.headers["x-request-id"] + ("+" if kind == "completions" else "")
        self.told.note(kind, name, _header(reply), joined=_joined(reply))
        return reply

    def _stream(self, kind: str, path: str, body: dict[str, Any], headers: dict[str, str]) -> None:
        with self._http.stream("POST", path, json=body, headers=headers) as reply:
            text = reply.read().decode()
        cost = _last(text) if reply.status_code == _OK else _header(reply)
        self.told.note(kind, reply.headers["x-request-id"], cost, joined=_joined(reply))


def _joined(reply: httpx.Response) -> bool:
    return reply.headers.get("x-gearbox-cache") == "joined"


def _header(reply: httpx.Response) -> int:
    """Nano-dollars; a refusal names none and cost nothing."""
    return int(Decimal(reply.headers.get("x-gearbox-cost-usd", "0")) * _NANO)


def _last(text: str) -> int | None:
    """The cost in a stream's last object `gearbox`; None where none came."""
    found = [_of(json.loads(data)) for data in _events(text)]
    return next((cost for cost in reversed(found) if cost is not None), None)


def _events(text: str) -> Iterator[str]:
    return (data for data in re.findall(r"^data: (.+)$", text, re.MULTILINE) if data != "[DONE]")


def _of(event: dict[str, Any]) -> int | None:
    told = event.get("gearbox") or event.get("response", {}).get("gearbox")
    return None if told is None else round(told["cost"] * 1e9)
