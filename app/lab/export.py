"""`gearbox export`: stored traffic as a recording, so that whatever works on recordings works on your own history."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from app.lab.progress import note
from app.lab.store import read_plan, stored
from app.lab.stored import history_of
from app.money import span
from app.observe.logs import configure
from cascade.recordings import load
from cascade.recordings.writer import write
from router.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from app.lab.stored import History
    from cascade.recordings import Recording

_ABOUT = """\
Traffic of a Gearbox, exported {day}: {queries} requests, {first} to {last}. Only answers that were really asked for are
here, so a policy that would have asked others cannot be followed everywhere; correct is known for {graded} answers (by
feedback and audits) and null for the rest. Messages are the questions as they were compared, not whole conversations.
"""


def run(folder: Path, *, since: str | None, team: str | None, config: Path | None) -> None:
    """Write the recording and read it again.

    Raises:
        ConfigError: nothing to export, or the folder cannot be written.
    """
    configure("warning", "console")
    plan = read_plan(config)
    now = datetime.now(UTC)
    rows = asyncio.run(stored(plan, span.since(since, now), team))
    history = history_of(rows, plan.ladder.tiers, texts=True)
    if not any(history.recording.answers.values()):
        raise ConfigError("the store holds no answered requests with text in that time: there is nothing to export")
    write(recording_of(history, folder, now), folder)
    made = load(folder)
    answers = sum(len(told) for told in made.answers.values())
    note(f"{folder}: {len(made.queries):,} queries, {answers:,} answers of {', '.join(made.models)}")
    if history.textless:
        note(f"{history.textless:,} requests were left out: no text of them is kept")


def recording_of(history: History, folder: Path, now: datetime) -> Recording:
    """What is written: the history under the folder's name, with what must be known about it."""
    kept = history.recording
    graded = sum(answer.correct is not None for told in kept.answers.values() for answer in told.values())
    about = _ABOUT.format(
        day=now.date().isoformat(),
        queries=len(kept.queries),
        first=kept.queries[0].id,
        last=kept.queries[-1].id,
        graded=graded,
    )
    return replace(kept, folder=folder, name=folder.resolve().name, about=about)
