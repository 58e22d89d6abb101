"""The recorded upstream: a recording's models behind OpenAI's API, so that live traffic can be measured without keys.

Knows HTTP requests and recordings; knows nothing of tiers, policies or prices. Which query a request asks: the id in
`x-gearbox-recording-id` or `metadata.recording_id`; else its whole messages; else the text of its last user message.
Where a text occurs more than once, the n-th time a model is asked it gets the n-th occurrence's answer (the last one,
once all were asked). A judge call (`x-gearbox-call: judge; of=MODEL`) is about MODEL's last answer to the question
in the prompt; the model that is asked does not matter, the recorded judge's usage is what is billed.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cascade.recordings import replies
from cascade.recordings.lookup import Lookup, Occurrences, judged_question
from cascade.recordings.requests import Asked, Refused, read_request
from cascade.recordings.verdicts import verdict
from cascade.upstreams.http_reply import HttpReply, json_reply, sse_reply

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping

    from cascade.recordings.records import Query, Recording

_CHAT = "/chat/completions"
_MODELS = "/models"


class RecordedUpstream:
    """Answers chat requests with what was recorded.

    Args:
        recording: only its loaded models answer.
        pace: how much of the recorded latency is waited for: 0 = none, 1 = all.
        clock: seconds since 1970, for `created`.
    """

    def __init__(self, recording: Recording, pace: float = 0, clock: Callable[[], float] = time.time) -> None:
        self._recording = recording
        self._pace = pace
        self._clock = clock
        self._lookup = Lookup(recording.queries)
        self._occurrences = Occurrences()
        self._replies = 0

    async def handle(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> HttpReply:
        """Answer one request: `POST /v1/chat/completions` or `GET /v1/models`."""
        try:
            return await self._routed(method, path, headers, body)
        except Refused as refused:
            return refused.reply

    async def _routed(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> HttpReply:
        if path.endswith(_CHAT):
            _allow(method, "POST", path)
            return await self._chat(read_request(headers, body, self._recording.answers))
        if path.endswith(_MODELS):
            _allow(method, "GET", path)
            return json_reply(200, self._models())
        raise Refused(404, f"unknown route {path}; there are /v1{_CHAT} and /v1{_MODELS}")

    def _models(self) -> dict[str, Any]:
        shared = {"object": "model", "created": 0, "owned_by": self._recording.name}
        return {"object": "list", "data": [{"id": name, **shared} for name in self._recording.answers]}

    async def _chat(self, asked: Asked) -> HttpReply:
        said, latency_s = self._verdict(asked) if asked.judged else self._answer(asked)
        await asyncio.sleep((latency_s or 0) * self._pace)
        self._replies += 1
        shared = {"id": f"chatcmpl-recorded-{self._replies}", "created": int(self._clock()), "model": asked.model}
        if asked.stream:
            return sse_reply(_told(replies.chunks(said, shared, asked.n, include_usage=asked.include_usage)))
        return json_reply(200, replies.completion(said, shared, asked.n))

    def _answer(self, asked: Asked) -> tuple[replies.Said, float | None]:
        found = self._lookup.of_id(asked.query_id) if asked.query_id else self._lookup.of_messages(asked.messages)
        query = self._occurrences.ask(asked.model, self._some(found, asked))
        answer = self._recording.answers[asked.model].get(query.id)
        if answer is None:
            raise Refused(404, f"{asked.model} has no recorded answer to the query {query.id!r}", "messages")
        return _as_asked(replies.answered(answer, asked.limit_tokens), asked), answer.latency_s

    def _verdict(self, asked: Asked) -> tuple[replies.Said, float | None]:
        text = judged_question(asked.messages)
        if text is None and asked.query_id is None:
            raise Refused(400, "a judge call needs a prompt with <question id=…> … </question id=…>", "messages")
        found = self._lookup.of_id(asked.query_id) if asked.query_id else self._lookup.of_question(text or "")
        query = self._occurrences.judged(asked.judged, self._some(found, asked))
        told = verdict(self._recording, query.id, asked.judged)
        if told is None:
            raise Refused(400, f"no recorded verdict for {asked.judged}'s answer to the query {query.id!r}", "messages")
        return replies.judged(told), told.latency_s

    def _some(self, found: list[Query], asked: Asked) -> list[Query]:
        if found:
            return found
        named = f"the id {asked.query_id!r}" if asked.query_id else "this question"
        what = f"the recording {self._recording.name} has no query with {named}; it answers only what was recorded"
        raise Refused(404, what, "messages", "question_not_recorded")


async def _told(chunks: Iterable[dict[str, Any]]) -> AsyncIterator[dict[str, Any]]:
    for chunk in chunks:
        yield chunk


def _as_asked(said: replies.Said, asked: Asked) -> replies.Said:
    """The final answer goes to who sends hints, log-probabilities to who asks for them."""
    said = said if asked.hinted else replace(said, final=None)
    return said if asked.logprobs else replace(said, confidence=None)


def _allow(method: str, allowed: str, path: str) -> None:
    if method != allowed:
        raise Refused(405, f"{method} is not allowed on {path}; use {allowed}")
