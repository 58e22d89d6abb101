"""What is known before anyone answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from router.margins_state import MarginState
    from router.skills import SkillEvidence


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A similar past question: its cosine similarity in [-1, 1] and its labels, model -> correctness in [0, 1]."""

    id: str
    similarity: float
    labels: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Conversation:
    """Where the conversation that a request goes on with stands.

    `tier` and `model` answered its last turn, `age_s` seconds ago; `tokens` is what a prompt cache there would hold
    (that turn's prompt and answer), `answer_tokens` the answer's part of it; `warm` whether such a cache still lives.
    `rejected`: the last answer was found to be wrong. `tool_result`: the request brings the results of tools that
    `tier` called.
    """

    tier: str
    model: str
    tokens: int = 0
    answer_tokens: int = 0
    age_s: float = 0.0
    warm: bool = False
    rejected: bool = False
    tool_result: bool = False


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything known before the first decision.

    `neighbours` come nearest first; `history_size` is the number of past questions they were taken from (cold start).
    `margins` and `skills` are there only for a policy that wants them (`policy.WantsMargins`, `policy.WantsSkills`);
    with the margins comes `prompt_tokens`, about how long the whole prompt is (0 = unknown). `conversation` None = a
    first turn, or one that nothing is known of.
    """

    neighbours: tuple[Neighbour, ...] = ()
    history_size: int = 0
    note: str = ""
    margins: MarginState | None = None
    skills: SkillEvidence | None = None
    conversation: Conversation | None = None
    prompt_tokens: int = 0
