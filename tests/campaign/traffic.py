"""The campaign's clients: what they ask, what they were told, and whether that was an answer or a proper error.

The law of this file: it believes nothing but bytes. What a client has in its hands is written down as `Told`; whether
the store agrees is somebody else's question (`audit`). All chance comes from the seed.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import aiohttp

sys.path.insert(0, str(Path(__file__).parents[2]))
from cascade.simulated.problems import problems

QUESTIONS = [problem.question for problem in problems(7, 300)]
TIERS = ("small", "medium", "large")
#: What goes wrong upstream: half of the requests meet nothing, the rest errors, hangs, cut and broken streams.
UPSTREAM_FAULTS = (
    *[{}] * 14,
    {"small": "server_error"},
    {"small": "rate_limit"},
    {"small": "cut_stream"},
    {"medium": "cut_stream"},
    {"small": "error_in_stream"},
    {"medium": "malformed_json"},
    {"small": "timeout"},
    {"small": "endless_stream"},
    {"medium": {"fault": "slow_first_token", "seconds": 0.4}},
    {"small": {"fault": "slow_tokens", "seconds": 0.02}},
    {"small": "no_usage"},
    {"small": "empty_answer"},
    dict.fromkeys(TIERS, "unavailable"),
    dict.fromkeys(TIERS, "bad_request"),
)
MODES = ("hold", "hold", "optimistic", "direct", "adaptive")
CAPS_USD = (None, None, None, "0.02", "0.004", "0.0005")
#: What a client may be told; a 500 is a fault of ours, whatever its shape.
PROPER = frozenset({200, 400, 429, 502, 503, 504})
#: A client that waits longer than this has been forgotten.
PATIENCE_S = 90
DONE = b"data: [DONE]\n\n"


@dataclass
class Told:
    """One request as its client saw it. `end`: answer, error, cut (its connection broke), or left (it went away)."""

    number: int
    stage: str
    key: str
    replica: str
    cap_nanousd: int | None
    began: float
    ended: float = 0.0
    end: str = ""
    status: int = 0
    id: str | None = None
    cost_nanousd: int | None = None
    code: str | None = None
    wrong: str | None = None

    @property
    def kind(self) -> str:
        """One word or two for the table."""
        return f"{self.status} {self.code}" if self.end == "error" else self.end


@dataclass
class Book:
    """Everything that clients were told."""

    told: list[Told] = field(default_factory=list)

    def of(self, stage: str) -> list[Told]:
        return [each for each in self.told if each.stage == stage]

    def counts(self, stage: str) -> Counter[str]:
        return Counter(each.kind for each in self.of(stage))


class Clients:
    """Asks over HTTP, a new connection for each request, so that each meets whichever worker accepts it."""

    def __init__(self, world, book: Book, seed: int) -> None:
        self._world = world
        self._book = book
        self._seed = seed

    async def crowd(self, stage: str, count: int, keys: list[str], going, **fixed) -> None:
        """So many clients, each asking again and again while `going(its last Told)`; `fixed`: see `_wish`."""
        connector = aiohttp.TCPConnector(force_close=True, limit=0)
        async with aiohttp.ClientSession(
            connector=connector, timeout=aiohttp.ClientTimeout(total=PATIENCE_S)
        ) as session:
            await asyncio.gather(*(self._client(session, stage, number, keys, going, fixed) for number in range(count)))

    async def _client(self, session, stage, number, keys, going, fixed) -> None:
        chance, last = random.Random(f"{self._seed} {stage} {number}"), None
        while going(last):
            replica = chance.choice(self._world.replicas)
            body, headers = _wish(chance, fixed)
            last = Told(len(self._book.told), stage, chance.choice(keys), replica.name, _cap(headers), time.monotonic())
            self._book.told.append(last)
            headers |= {"authorization": f"Bearer {last.key}", "x-gearbox-tags": f"campaign={last.number}"}
            leaves = chance.random() < fixed.get("leaving", 0.03)
            await _ask(session, f"{replica.url}/v1/chat/completions", body, headers, last, leaves)
            await asyncio.sleep(chance.uniform(0, fixed.get("pause_s", 0.2)))


def _wish(chance: random.Random, fixed) -> tuple[dict, dict]:
    """A body and headers; `fixed` may hold `body`, then nothing is left to chance."""
    if "body" in fixed:
        return fixed["body"], {}
    body = {
        "model": chance.choice(("auto", "auto", "llm-at", "small", "medium")),
        "messages": [{"role": "user", "content": chance.choice(QUESTIONS)}],
        "stream": chance.random() < 0.5,
        "max_tokens": chance.choice((100, 200, 400)),
    }
    if fixed.get("faults", True):
        body["simulate"] = chance.choice(UPSTREAM_FAULTS)
    headers = {"x-gearbox-session": f"s{chance.randrange(40)}"}
    if body["stream"]:
        headers["x-gearbox-stream"] = chance.choice(MODES)
    cap = chance.choice(CAPS_USD)
    return body, headers if cap is None else headers | {"x-gearbox-budget-usd": cap}


def _cap(headers: dict) -> int | None:
    return nanousd(headers["x-gearbox-budget-usd"]) if "x-gearbox-budget-usd" in headers else None


def nanousd(usd: object) -> int:
    """A decimal string or float in USD -> whole nano-dollars."""
    return round(Decimal(str(usd)) * 10**9)


async def _ask(session, url: str, body: dict, headers: dict, told: Told, leaves: bool) -> None:
    seen = bytearray()
    try:
        async with session.post(url, json=body, headers=headers) as reply:
            told.status, told.id = reply.status, reply.headers.get("x-request-id")
            if leaves:
                told.end = "left"
                return
            async for part in reply.content.iter_any():
                seen += part
            _understood(told, reply, bytes(seen))
    except TimeoutError:
        told.end, told.wrong = "cut", f"no end after {PATIENCE_S} s"
    except (aiohttp.ClientError, OSError) as error:
        told.end, told.code = "cut", type(error).__name__
        if bytes(seen).endswith(DONE):  # all of it had come
            _read_stream(told, bytes(seen))
    finally:
        told.ended = time.monotonic()


def _understood(told: Told, reply: aiohttp.ClientResponse, text: bytes) -> None:
    if told.id is None:
        told.wrong = "no x-request-id"
    if told.status not in PROPER:
        told.wrong = f"status {told.status}: {text[:300]!r}"
    if "text/event-stream" in reply.headers.get("content-type", ""):
        _read_stream(told, text)
        return
    if "x-gearbox-cost-usd" in reply.headers:
        told.cost_nanousd = nanousd(reply.headers["x-gearbox-cost-usd"])
    try:
        body = json.loads(text)
    except ValueError:
        told.end, told.wrong = "error", f"no JSON: {text[:300]!r}"
        return
    if told.status == 200:
        told.end = "answer"
        if not body.get("choices") or nanousd(body["gearbox"]["cost"]) != told.cost_nanousd:
            told.wrong = f"an answer without choices, or of another price than its header: {text[:300]!r}"
        return
    _read_error(told, body)


def _read_stream(told: Told, text: bytes) -> None:
    events = [json.loads(line[6:]) for line in text.decode().splitlines() if line.startswith("data: {")]
    if any("error" in event for event in events):
        _read_error(told, events[-1])
        if text.endswith(DONE):
            told.wrong = "an error, and [DONE] after it"
        return
    told.end = "answer"
    if not text.endswith(DONE) or not events or "gearbox" not in events[-1]:
        told.wrong = f"a stream that ended without [DONE], an error or a price: {text[-300:]!r}"
        return
    told.cost_nanousd = nanousd(events[-1]["gearbox"]["cost"])


def _read_error(told: Told, body: object) -> None:
    """OpenAI's shape, all four keys."""
    told.end = "error"
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict) or set(error) != {"message", "type", "param", "code"} or not error["message"]:
        told.wrong = f"no proper error: {body!r}"
        return
    told.code = error["code"] or error["type"]
    if "internal error" in error["message"]:
        told.wrong = error["message"]
