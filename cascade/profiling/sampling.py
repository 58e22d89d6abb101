"""Which answers a critic is shown.

The law of this file: deterministic; a critic costs money, so it sees a sample, spread evenly over the tasks.
"""

from __future__ import annotations

import random
from collections import defaultdict
from itertools import chain, zip_longest
from typing import TYPE_CHECKING

from cascade.profiling.findings import Sample
from router.questions import question_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cascade.recordings import Query, Recording


def spread(queries: Sequence[Query], count: int, seed: int = 0) -> list[Query]:
    """At most `count` queries, as many of each task as there can be, shuffled within each by the seed."""
    by_task: dict[str, list[Query]] = defaultdict(list)
    for query in queries:
        by_task[query.task].append(query)
    dice = random.Random(seed)  # noqa: S311 - an order to repeat, not a secret
    for task in sorted(by_task):
        dice.shuffle(by_task[task])
    rounds = zip_longest(*(by_task[task] for task in sorted(by_task)))
    return [query for query in chain.from_iterable(rounds) if query is not None][:count]


def samples_of(recording: Recording, queries: Sequence[Query]) -> list[Sample]:
    """Every loaded model's answer to these queries, where there is a text on both sides."""
    return [
        Sample(query.id, text, query.reference, model, answers[query.id].content, answers[query.id].usage)
        for query in queries
        if (text := question_text(query.messages)).strip()
        for model, answers in recording.answers.items()
        if query.id in answers and answers[query.id].content.strip()
    ]
