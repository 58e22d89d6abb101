"""Which query of a recording a chat request asks: by id, by its whole messages, by its question.

The law of this file: pure but for `Occurrences`, which counts. A question's text can occur twice in a stream, and a
request does not say which occurrence it is; the counting below is right for a client that sends the stream in order,
one request at a time, to a fixed tier. Whoever needs certainty sends the id.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import orjson

from router.questions import flat_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cascade.recordings.records import Query

_JUDGED = re.compile(r"<question id=([^>\s]+)>(.*?)</question id=\1>", re.DOTALL)


def question(messages: Sequence[Any]) -> str:
    """The text of the last user message; "" where there is none."""
    asked = (flat_text(message.get("content")) for message in reversed(messages) if _is_user(message))
    return next(asked, "")


def judged_question(messages: Sequence[Any]) -> str | None:
    """The question inside a judge's prompt, between `<question id=NONCE>` and its end; None where there is none."""
    for message in messages:
        found = _JUDGED.search(flat_text(message.get("content"))) if isinstance(message, dict) else None
        if found:
            return found[2].strip()
    return None


class Lookup:
    """Finds queries; each search gives every query that fits, in stream order."""

    def __init__(self, queries: Sequence[Query]) -> None:
        self._by_id = {query.id: query for query in queries}
        self._by_messages: dict[bytes, list[Query]] = defaultdict(list)
        self._by_question: dict[str, list[Query]] = defaultdict(list)
        for query in queries:
            self._by_messages[_key(query.messages)].append(query)
            self._by_question[question(query.messages)].append(query)

    def of_id(self, query_id: str) -> list[Query]:
        """The query of that id."""
        return [self._by_id[query_id]] if query_id in self._by_id else []

    def of_messages(self, messages: Sequence[Any]) -> list[Query]:
        """The queries with exactly these messages, else those that ask the same question."""
        return self._by_messages.get(_key(messages)) or self._by_question.get(question(messages), [])

    def of_question(self, text: str) -> list[Query]:
        """The queries with this question, else those whose question ends the text (Gearbox puts context before it)."""
        exact = self._by_question.get(text)
        if exact or not text:
            return exact or []
        fitting = [known for known in self._by_question if known and text.endswith(known)]
        return self._by_question[max(fitting, key=len)] if fitting else []


class Occurrences:
    """Counts how often each model was asked the same thing, so that the n-th time gets the n-th occurrence."""

    def __init__(self) -> None:
        self._asked: dict[tuple[str, str], int] = defaultdict(int)
        self._served: dict[tuple[str, str], Query] = {}

    def ask(self, model: str, candidates: Sequence[Query]) -> Query:
        """The occurrence that this model has not been asked yet; the last one, once all were."""
        key = (model, candidates[0].id)
        query = candidates[min(self._asked[key], len(candidates) - 1)]
        self._asked[key] += 1
        self._served[model, question(query.messages)] = query
        return query

    def judged(self, model: str, candidates: Sequence[Query]) -> Query:
        """The occurrence that this model answered last: it is that answer which is being judged."""
        return self._served.get((model, question(candidates[0].messages)), candidates[0])


def _is_user(message: Any) -> bool:
    return isinstance(message, dict) and message.get("role") == "user"


def _key(messages: Sequence[Any]) -> bytes:
    told = [(message.get("role"), flat_text(message.get("content"))) for message in messages if _is_told(message)]
    return orjson.dumps(told)


def _is_told(message: Any) -> bool:
    """Whether it is a message object whose role is text; anything else is the caller's mistake."""
    return isinstance(message, dict) and isinstance(message.get("role"), str)
