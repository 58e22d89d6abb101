"""`queries.jsonl.gz`: the stream of questions.

The law of this file: one line, one query; every fault names file and line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cascade.recordings.lines import read_objects
from cascade.recordings.records import Query

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cascade.recordings.fields import Fields

FILE_NAME = "queries.jsonl.gz"


def read_queries(folder: Path, splits: tuple[str, ...]) -> tuple[Query, ...]:
    """All queries in stream order.

    Args:
        folder: the recording's folder.
        splits: the splits that recording.yaml names; with none named, any split is taken.

    Raises:
        ConfigError: whatever is wrong, with its line.
    """
    seen: dict[str, int] = {}
    queries = []
    for fields in read_objects(folder / FILE_NAME):
        query = _query(fields)
        first = seen.setdefault(query.id, query.line)
        if first != query.line:
            raise fields.place.fault(f"the query id {query.id!r} stands on line {first} already")
        if splits and query.split not in splits:
            raise fields.fault("split", f"one of those that recording.yaml names: {', '.join(splits)}")
        queries.append(query)
    return tuple(queries)


def _query(fields: Fields) -> Query:
    return Query(
        id=fields.name("id"),
        task=fields.text("task"),
        split=fields.name("split"),
        messages=_messages(fields),
        reference=fields.text("reference"),
        line=fields.place.line,
    )


def _messages(fields: Fields) -> tuple[Mapping[str, Any], ...]:
    messages = fields.items("messages")
    for number, message in enumerate(messages, 1):
        if not _is_message(message):
            raise fields.place.fault(f"message {number} is no object with a 'role' and a 'content'")
    if not any(message["role"] == "user" for message in messages):
        raise fields.place.fault("'messages' holds no user message, so there is no question")
    return tuple(messages)


def _is_message(message: Any) -> bool:
    """Content is text, a list of parts, or null (an assistant's pure tool call)."""
    if not isinstance(message, dict) or not isinstance(message.get("role"), str) or "content" not in message:
        return False
    content = message["content"]
    if isinstance(content, list):
        return all(isinstance(part, dict) for part in content)
    return isinstance(content, str) or (content is None and message["role"] != "user")
