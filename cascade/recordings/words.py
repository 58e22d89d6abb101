"""What a recording holds, in general: text, final answers, confidences. Some hold none of them.

The law of this file: pure; it looks at a recording and never at a grade.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cascade.recordings.records import Query, Recording


def has_text(queries: Sequence[Query]) -> bool:
    """Whether the queries are questions: where no text exists, a message is the query's id."""
    return any(message.get("content") != query.id for query in queries for message in query.messages[-1:])


def has_answers(recording: Recording, models: Sequence[str]) -> bool:
    """Whether any of these models gave a final answer that can be compared."""
    return any(answer.final for model in models for answer in recording.answers[model].values())


def has_confidence(recording: Recording, models: Sequence[str]) -> bool:
    """Whether the confidence of any of these models' answers was recorded."""
    return any(answer.confidence is not None for model in models for answer in recording.answers[model].values())
