"""The oracle: the cheapest rung that is right, else the cheapest. It reads the grades, so no policy can beat it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cascade.lab.actions import NotRecorded, ask
from cascade.lab.story import Story
from router.domain import Ask, Deliver

if TYPE_CHECKING:
    from cascade.recordings import Query, Recording
    from router.domain import Run

NAME = "oracle"


def foresee(recording: Recording, query: Query, run: Run) -> Story:
    """What the oracle does with one query: it asks one rung and pays for its answer alone.

    Raises:
        NotRecorded: no rung has an answer to it.
    """
    answers = {tier.name: recording.answers[tier.deployments[0].model].get(query.id) for tier in run.ladder}
    known = {name: answer for name, answer in answers.items() if answer is not None}
    if not known:
        raise NotRecorded("nobody was asked")
    right = (name for name, answer in known.items() if answer.correct)
    chosen = next(right, next(iter(known)))
    return Story(query, ask(recording, query, run, Ask(chosen, "it is known to be right")), Deliver(0, "foreseen"))
