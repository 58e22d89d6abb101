"""Outcome -> rows: the only place that says what of a request is kept.

The law of this file: pure; it knows the columns of `schema` by name and no database. Where the caller wants nothing
stored, no text (question, answers, judges' reasons, vendors' error messages), no hash of it (a short text can be
guessed from its hash), no embedding and no label leave this file; tiers, verdicts and money always do.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from router.conversations import made_calls
from router.domain import LabelSource, Verdict
from router.labels import RIGHT
from router.ports import StoredTurn
from storage.history import clean
from storage.history.call_rows import attempt_rows, late_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from router.domain import Afterwards, Attempt, Evidence, Label, Outcome
    from router.errors import GearboxError
    from storage.history.call_rows import Row

HTTP_OK = 200
#: An index entry has a size limit, and a sum by a longer tag is nobody's wish.
TAG_CHARS = 200
NAME_CHARS = 300
VECTOR_DTYPE = np.dtype("<f4")


@dataclass(frozen=True, slots=True)
class Rows:
    """One outcome as rows: column name -> value, one mapping per table row."""

    inference: Row
    attempts: tuple[Row, ...]
    labels: tuple[Row, ...]
    calls: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The request's id."""
        return str(self.inference["id"])

    @property
    def turns(self) -> tuple[Row, ...]:
        """The names by which its conversation's next turn finds it, one row each: its session, its tools' calls."""
        if self.inference["served_tier"] is None:
            return ()
        head = {"inference_id": self.id, **{name: self.inference[name] for name in ("key_id", "created_at")}}
        names = turn_names(self.inference["session"], self.calls)
        return tuple({**head, "name": name} for name in dict.fromkeys(names))

    @property
    def tags(self) -> tuple[Row, ...]:
        """The tags once more, one row each, for the sums."""
        head = {"inference_id": self.id, "created_at": self.inference["created_at"]}
        return tuple({**head, "name": name, "value": value[:TAG_CHARS]} for name, value in self._pairs().items())

    def _pairs(self) -> dict[str, str]:
        return {str(name)[:TAG_CHARS]: str(value) for name, value in self.inference["tags"].items()}


def rows_of(outcome: Outcome) -> Rows:
    """Everything that is kept of one request."""
    row = {**_asked(outcome), **_question(outcome), **_decided(outcome), **_spent(outcome), **_ended(outcome)}
    labels = outcome.labels if outcome.request.wishes.store else ()
    return Rows(
        inference=row,
        attempts=tuple(attempt_rows(outcome, row["id"])),
        labels=tuple(_label(each, row["id"], row["created_at"]) for each in labels),
        calls=tuple(made_calls(outcome.served)) if outcome.served is not None else (),
    )


def turn_names(session: str | None, calls: Iterable[str]) -> list[str]:
    """The names of a turn, cut where an index would not hold them."""
    sessions = [] if session is None else [f"session:{session}"]
    return [clean.text(name)[:NAME_CHARS] for name in (*sessions, *(f"call:{call}" for call in calls))]


@dataclass(frozen=True, slots=True)
class LateRows:
    """What is added to a stored request: its judge's calls, its labels, and the verdict, which joins the evidence.

    The calls are numbered from 0; among the request's own they come last (`shifted`).
    """

    id: str
    cost_nanousd: int
    attempts: tuple[Row, ...]
    labels: tuple[Row, ...]
    verdict: Row


def late_rows_of(late: Afterwards, now: datetime) -> LateRows:
    """What is kept of a verdict that came after the answer.

    Args:
        late: the verdict.
        now: aware.
    """
    id_ = bare_id(late.request.id)
    attempt, keep_text = late.attempt, late.request.wishes.store
    return LateRows(
        id_,
        late.cost_nanousd,
        tuple(late_rows(late, id_)),
        tuple(_label(each, id_, now) for each in late.labels) if keep_text else (),
        {
            "tier": attempt.tier,
            "verdict": attempt.verdict.value,
            "by": attempt.verdict_by,
            "reason": clean.text(attempt.reason) if keep_text else None,
            "checks": _checks(attempt, keep_text),
        },
    )


def shifted(attempts: Sequence[Row], first_position: int) -> list[Row]:
    """Late calls behind the request's own."""
    return [row | {"position": first_position + row["position"]} for row in attempts]


def feedback_row(served: Mapping[str, Any], correct: float, by: str, note: str, now: datetime) -> Row:
    """A caller's label for the model that answered.

    Args:
        served: the inference row; its id, served_tier and served_model are used.
        correct: 0..1.
        by: who says so, "" = unknown.
        note: in their words.
        now: aware.
    """
    return {
        "inference_id": served["id"],
        "tier": served["served_tier"],
        "model": served["served_model"],
        "correct": float(correct),
        "source": LabelSource.FEEDBACK.value,
        "weight": 1.0,
        "given_by": clean.text(by),
        "note": clean.text(note),
        "created_at": now,
    }


def turn_of(row: Mapping[str, Any]) -> StoredTurn:
    """An answered inference row with `verdict`, its served rung's, and `feedback` (0..1, None) -> its turn."""
    return StoredTurn(
        id=row["id"],
        key_id=row["key_id"],
        session=row["session"],
        tier=row["served_tier"],
        model=row["served_model"],
        prompt_tokens=row["prompt_tokens"] or 0,
        completion_tokens=row["completion_tokens"] or 0,
        answered_at=row["created_at"].timestamp() + row["latency_s"],
        rejected=_told_wrong(row),
    )


def _told_wrong(row: Mapping[str, Any]) -> bool:
    """Whether the served answer was found to be wrong, before or after it was served."""
    late = row["evidence"].get("late") or {}
    disliked = row["feedback"] is not None and row["feedback"] < RIGHT
    return disliked or Verdict.INVALID.value in {row["verdict"], late.get("verdict")}


def bare_id(id: str) -> str:  # noqa: A002 - the row's id
    """The row's id, whether or not OpenAI's prefix stands before it (`chatcmpl-<id>`)."""
    return clean.text(id).removeprefix("chatcmpl-")


def packed(vector: NDArray[np.float32] | None) -> bytes | None:
    """A vector as float32 bytes, little-endian."""
    return None if vector is None else np.asarray(vector, dtype=VECTOR_DTYPE).tobytes()


def unpacked(data: bytes) -> NDArray[np.float32]:
    """Float32 bytes -> a vector, shape (dimensions,), read-only."""
    return np.frombuffer(data, dtype=VECTOR_DTYPE)


def _asked(outcome: Outcome) -> Row:
    request = outcome.request
    return {
        "id": bare_id(request.id),
        "created_at": datetime.fromtimestamp(outcome.started_at, UTC),
        "key_id": clean.text(request.caller.key_id),
        "team": clean.text(request.caller.team),
        "session": clean.text_or_none(request.wishes.session),
        "tags": clean.json_ready(request.wishes.tags),
        "policy": clean.text(request.policy),
        "settings": clean.json_ready(outcome.settings),
        "asked_model": clean.text(request.asked_model),
        "stream_mode": request.wishes.stream_mode.value if request.stream else None,
    }


def _question(outcome: Outcome) -> Row:
    request = outcome.request
    if not request.wishes.store:
        nothing = dict.fromkeys(("question_hash", "question", "embedding", "embedding_model"))
        return {"stored": False, **nothing}
    question = clean.text(request.question)
    return {
        "stored": True,
        "question_hash": hashlib.sha256(question.encode()).hexdigest(),
        "question": question,
        "embedding": packed(outcome.vector),
        "embedding_model": None if outcome.vector is None else clean.text(outcome.embedding_model),
    }


def _decided(outcome: Outcome) -> Row:
    served, stopped = outcome.served, outcome.delivered.stopped
    return {
        "evidence": {
            **_evidence(outcome.run.evidence, outcome.estimates),
            **_examined(outcome),
            "nearby": [asdict(each) for each in outcome.nearby],
        },
        "start_tier": outcome.start_tier,
        "served_tier": None if served is None else served.tier,
        "served_model": None if served is None else served.model,
        "p_valid": None if served is None else clean.number(served.p_valid),
        "why": clean.text(outcome.delivered.why),
        "stopped": None if stopped is None else stopped.value,
    }


def _evidence(evidence: Evidence, estimates: Mapping[str, float]) -> Row:
    near = [{"id": each.id, "similarity": each.similarity, "labels": each.labels} for each in evidence.neighbours]
    return {
        "neighbours": clean.json_ready(near),
        "history_size": evidence.history_size,
        "note": clean.text(evidence.note),
        "estimates": clean.json_ready(estimates),
        **({} if evidence.margins is None else {"margins": clean.json_ready(evidence.margins.summary())}),
        **({} if evidence.skills is None else {"skills": clean.json_ready(evidence.skills.summary())}),
        "conversation": None if evidence.conversation is None else clean.json_ready(asdict(evidence.conversation)),
    }


def _examined(outcome: Outcome) -> Row:
    """When judging was wanted, and what the operator's verifiers said."""
    keep_text = outcome.request.wishes.store
    said = [check for attempt in outcome.run.attempts for check in _checks(attempt, keep_text)]
    return {"judging": outcome.run.judging.value, "checks": said}


def _checks(attempt: Attempt, keep_text: bool) -> list[Row]:
    return [
        {
            "tier": attempt.tier,
            "verifier": check.verifier,
            "outcome": check.outcome.value,
            "reason": clean.text(check.reason) if keep_text else None,
            "latency_s": check.latency_s,
        }
        for check in attempt.checks
    ]


def _spent(outcome: Outcome) -> Row:
    served = outcome.served
    usage = served.calls[-1].usage if served is not None and served.calls else None
    return {
        "prompt_tokens": None if usage is None else usage.prompt_tokens,
        "completion_tokens": None if usage is None else usage.completion_tokens,
        "cost_nanousd": outcome.cost_nanousd,
        "late_cost_nanousd": outcome.late_cost_nanousd,
        "baseline_nanousd": outcome.baseline_nanousd,
        "latency_s": outcome.latency_s,
        "overhead_s": outcome.overhead_s,
    }


def _ended(outcome: Outcome) -> Row:
    error = outcome.error
    return {
        "client": clean.text(outcome.client),
        "http_status": _status(error),
        "error_type": None if error is None else type(error).__name__,
        "error_code": None if error is None else clean.text_or_none(error.code),
        "error": None if error is None or not outcome.request.wishes.store else clean.text(error.message),
    }


def _status(error: GearboxError | None) -> int | None:
    """The status as far as storage can know it: a vendor's own passes through, the rest is the edge's table."""
    return HTTP_OK if error is None else getattr(error, "status", None)


def _label(label: Label, inference_id: str, created_at: datetime) -> Row:
    return {
        "inference_id": inference_id,
        "tier": label.tier,
        "model": label.model,
        "correct": label.correct,
        "source": label.source.value,
        "weight": label.weight,
        "given_by": "",
        "note": "",
        "created_at": created_at,
    }
