"""The judge of a recording: the recorded verdict, or the simulated one, a pure function of query and model.

The law of this file: pure; the formula is the recordings' README's, to the bit.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from cascade.recordings.records import RecordedVerdict
from router.pricing import Usage

if TYPE_CHECKING:
    from cascade.recordings.records import RecordedAnswer, Recording, SimulatedJudge


def verdict(recording: Recording, query_id: str, model: str) -> RecordedVerdict | None:
    """What the judge says about a model's answer to a query.

    None = it was never judged: no such answer, it abstained, no verdict was recorded, or (simulated) nobody knows
    whether it is right.
    """
    answer = recording.answers.get(model, {}).get(query_id)
    if answer is None or answer.abstained:
        return None
    if recording.judge is None:
        return answer.verdict
    return _simulated(recording.judge, answer, model)


def draw(query_id: str, model: str) -> float:
    """The simulated judge's dice in [0, 1): the first 8 bytes of a hash, as a big-endian fraction."""
    digest = hashlib.sha256(f"{query_id}\n{model}".encode()).digest()
    return float(int.from_bytes(digest[:8], "big") / 2**64)


def _simulated(judge: SimulatedJudge, answer: RecordedAnswer, model: str) -> RecordedVerdict | None:
    if answer.correct is None:
        return None
    accepts = judge.accept_right if answer.correct else judge.accept_wrong
    prompt_tokens = judge.prompt_overhead_tokens + answer.usage.prompt_tokens + answer.usage.completion_tokens
    return RecordedVerdict(draw(answer.id, model) < accepts, model, Usage(prompt_tokens, judge.completion_tokens))
