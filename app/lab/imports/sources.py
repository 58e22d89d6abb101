"""A path -> entries, whatever it is."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from app.lab.imports import jsonl, spend_log
from app.lab.imports.entry import Entry
from app.lab.imports.lines import read_file
from cascade.recordings import load
from router.questions import question_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from cascade.recordings import Query, Recording
    from router.domain import Tier


@dataclass(frozen=True, slots=True)
class Source:
    """What was read: its kind in words, its entries, and how many rows had nothing to teach, by the reason."""

    kind: str
    entries: tuple[Entry, ...]
    passed_over: Mapping[str, int] = field(default_factory=dict)


def read(path: Path, tiers: Sequence[Tier], *, split: str | None = None, assume_correct: bool = False) -> Source:
    """A folder is a recording; a file is a spend log if its first object looks like one, else our JSON lines.

    Raises:
        ConfigError: whatever is wrong, with file and line.
    """
    if path.is_dir():
        return _recorded(load(path), split)
    rows = read_file(path, spend_log.COLUMNS)
    if not spend_log.is_spend_log(rows[0].values):
        return Source("JSON lines", tuple(jsonl.entry_of(fields) for fields in rows))
    found = [spend_log.entry_of(fields, tiers, assume_correct=assume_correct) for fields in rows]
    kept = tuple(entry for entry in found if isinstance(entry, Entry))
    return Source("a LiteLLM spend log", kept, Counter(why for why in found if isinstance(why, str)))


def _recorded(recording: Recording, split: str | None) -> Source:
    queries = recording.of_split(split)
    found = [_entry(recording, query) for query in queries]
    kept = tuple(entry for entry in found if entry.question.strip() and entry.correct)
    without = len(found) - len(kept)
    return Source(f"the recording {recording.name}", kept, {"have no text or no grade": without} if without else {})


def _entry(recording: Recording, query: Query) -> Entry:
    answers = ((model, told.get(query.id)) for model, told in recording.answers.items())
    correct = {model: float(answer.correct) for model, answer in answers if answer and answer.correct is not None}
    return Entry(question_text(query.messages), correct, key=f"{recording.name}/{query.id}")
