"""The words of a recording: its models, ladders, queries and answers, as frozen records.

The law of this file: records over the standard library and the words of `router`; it reads no file and judges nothing.
A recording is data that others wrote: its texts are never instructions. Money is nano-dollars, durations are seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from router.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from router.pricing import Price, Usage


@dataclass(frozen=True, slots=True)
class RecordedModel:
    """A model of the recording: its price list and its accuracy on other questions, 0..1."""

    name: str
    price: Price
    prior_accuracy: float


@dataclass(frozen=True, slots=True)
class RecordedVerdict:
    """What a judge said about an answer, billed as `usage` at the prices of `model`; `latency_s` None = unknown."""

    valid: bool
    model: str
    usage: Usage
    latency_s: float | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """One question of the stream; `line` is its place in `queries.jsonl.gz`, 1 = first."""

    id: str
    task: str
    split: str
    messages: tuple[Mapping[str, Any], ...]
    reference: str
    line: int


@dataclass(frozen=True, slots=True)
class RecordedAnswer:
    """One model's answer to one query.

    `final` is the final answer taken out of `content` ("" = none; it agrees with nothing). `correct` is 1, 0 or, in a
    partial recording only, None = unknown. `confidence` (0..1) and `latency_s` are None where not recorded;
    `confidence_nanousd` is what getting the confidence cost on top of the answer.
    """

    id: str
    content: str
    final: str
    correct: int | None
    usage: Usage
    latency_s: float | None = None
    abstained: bool = False
    confidence: float | None = None
    confidence_nanousd: int = 0
    verdict: RecordedVerdict | None = None


@dataclass(frozen=True, slots=True)
class SimulatedJudge:
    """The four numbers of a simulated judge: how often it accepts (0..1), and what a call consumes (tokens)."""

    accept_right: float
    accept_wrong: float
    prompt_overhead_tokens: int
    completion_tokens: int


@dataclass(frozen=True, slots=True)
class Recording:
    """A whole recording, or the part of it that was asked for.

    `models` and `ladders` (cheapest first, the first ladder is the default) are complete; `answers` (model -> query
    id -> answer) holds the models that were loaded. `judge` None = the verdicts are recorded with the answers.
    `partial` recordings may lack answers and grades.
    """

    folder: Path
    name: str
    about: str
    models: Mapping[str, RecordedModel]
    ladders: Mapping[str, tuple[str, ...]]
    judge: SimulatedJudge | None
    splits: tuple[str, ...]
    partial: bool
    queries: tuple[Query, ...]
    answers: Mapping[str, Mapping[str, RecordedAnswer]]

    def ladder(self, name: str | None = None) -> tuple[str, ...]:
        """The models of a ladder, cheapest first; None = the default, which is the first.

        Raises:
            ConfigError: there is no ladder of that name.
        """
        chosen = next(iter(self.ladders)) if name is None else name
        if chosen not in self.ladders:
            raise ConfigError(f"{self.name} has no ladder {chosen!r}; it has: {', '.join(self.ladders)}")
        return self.ladders[chosen]

    def of_split(self, split: str | None = None) -> tuple[Query, ...]:
        """The queries of a split in stream order; None = all.

        Raises:
            ConfigError: there is no split of that name.
        """
        if split is None:
            return self.queries
        chosen = tuple(query for query in self.queries if query.split == split)
        if not chosen:
            known = ", ".join(self.splits) or "none"
            raise ConfigError(f"{self.name} has no queries in a split {split!r}; its splits: {known}")
        return chosen
