"""`--critic recorded`: no critic at all. A query's task is the skill, demonstrated where the answer was correct.

The law of this file: pure. It reads labels, so it is for the part of a recording that things are fitted on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cascade.profiling.findings import Finding
from router.questions import question_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cascade.recordings import Query, RecordedAnswer, Recording

CRITIC = "recorded"


def recorded_findings(recording: Recording, queries: Sequence[Query]) -> list[Finding]:
    """One finding for each graded answer to a query that has a text."""
    told = [query for query in queries if question_text(query.messages).strip()]
    return [
        _finding(query, model, answers[query.id])
        for query in told
        for model, answers in recording.answers.items()
        if query.id in answers and answers[query.id].correct is not None
    ]


def texts_of(queries: Sequence[Query]) -> dict[str, str]:
    """Query id -> what the live server would embed."""
    return {query.id: question_text(query.messages) for query in queries}


def _finding(query: Query, model: str, answer: RecordedAnswer) -> Finding:
    skill = {query.task: 1.0}
    return Finding(query.id, model, skill if answer.correct else {}, {} if answer.correct else skill, answer.usage)
