"""An OpenAI-compatible critic that is seldom as it should be: each answer it is shown meets a manner of its own."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field

from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

GOOD = json.dumps({"demonstrated": [{"skill": "careful work", "criticality": 0.6}], "missing": []})
#: What it says first, and what it says when it is told that this cannot be used.
MANNERS = {
    "plain": (GOOD, GOOD),
    "fenced": (f"```json\n{GOOD}\n```", GOOD),
    "talkative": (f"Here you are:\n{GOOD}\nI hope that helps.", GOOD),
    "broken, then mended": (GOOD[:-5], GOOD),
    "wrong fields, then mended": ('{"skills": ["x"]}', GOOD),
    "cut for ever": (GOOD[:40], GOOD[:30]),
    "refusing": (None, None),
}
UNUSABLE = ("cut for ever", "refusing")
PROMPT_TOKENS, COMPLETION_TOKENS = 500, 80
#: USD per million tokens in and out: a call costs 0.00066 USD.
PRICE_IN, PRICE_OUT = 1.0, 2.0
CALL_USD = (PROMPT_TOKENS * PRICE_IN + COMPLETION_TOKENS * PRICE_OUT) / 1e6


@dataclass
class CriticUpstream:
    """What it was asked, by the nonce of the answer shown; from request `holds_at` on it answers nobody."""

    holds_at: int | None = None
    asked: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)
    _manners: dict[str, str] = field(default_factory=dict)

    @property
    def app(self) -> Starlette:
        return Starlette(routes=[Route("/v1/chat/completions", self._reply, methods=["POST"])])

    @property
    def paid_usd(self) -> float:
        """What it would bill: every request it was sent, answered or not."""
        return self.asked.total() * CALL_USD

    def manner(self, nonce: str) -> str:
        """The next manner for an answer it has not seen before."""
        return self._manners.setdefault(nonce, list(MANNERS)[len(self._manners) % len(MANNERS)])

    async def _reply(self, request) -> JSONResponse:
        body = await request.json()
        nonce = re.search(r"<answer-([0-9a-f]+)>", body["messages"][1]["content"])[1]
        self.asked[nonce] += 1
        if self.holds_at is not None and self.asked.total() > self.holds_at:
            await request.receive()  # the next that comes is its leaving
            return JSONResponse({}, 503)
        self.answered[nonce] += 1
        return JSONResponse(self._completion(self.manner(nonce), corrected=len(body["messages"]) > 2))

    def _completion(self, manner: str, *, corrected: bool) -> dict:
        content = MANNERS[manner][corrected]
        message = {"role": "assistant", "content": content, "refusal": None if content else "I would rather not."}
        reason = "length" if manner == "cut for ever" else "stop"
        return {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": "critic",
            "choices": [{"index": 0, "message": message, "finish_reason": reason}],
            "usage": {
                "prompt_tokens": PROMPT_TOKENS,
                "completion_tokens": COMPLETION_TOKENS,
                "total_tokens": PROMPT_TOKENS + COMPLETION_TOKENS,
            },
        }


def config_for(url: str, folder) -> str:
    """A gearbox.yaml whose only tier is that critic."""
    return (
        "tiers:\n"
        f"  - {{name: critic, deployments: [{{model: openai/critic, api_base: '{url}/v1', api_key: sk-none}}], "
        f"prior_accuracy: 0.8, price: {{input_usd_per_mtok: {PRICE_IN}, output_usd_per_mtok: {PRICE_OUT}}}}}\n"
        f"store: {{url: 'sqlite+aiosqlite:///{folder}/gearbox.db'}}\n"
        "retries: {attempts: 1, cooldown_s: 0}\n"
    )
