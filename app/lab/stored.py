"""Stored traffic -> a partial recording in memory: what `whatif` and `tune` replay, and what `export` writes.

The law of this file: pure; rows -> records. Money is never guessed: an answer whose tokens are unknown is no answer. A
free check's no counts as a judge's no at price 0, so that a replay, which runs no checks, sees it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade.lab.memory import Seen
from cascade.policies.always import ALWAYS
from cascade.recordings import Query, RecordedAnswer, RecordedModel, RecordedVerdict, Recording
from router.domain import Evidence, LabelSource, Neighbour, Purpose, Verdict
from router.pricing import Price, Rates, Usage
from storage.history.labels import resolved
from storage.history.rows import unpacked

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from router.domain import Tier
    from storage.history.traffic import Stored

#: Policies whose rows are no traffic: they were read in.
IMPORTED = "import"
#: Labels that somebody gave, as opposed to those that were inferred.
_GRADES = frozenset({LabelSource.FEEDBACK, LabelSource.AUDIT})
#: A label from here on counts as right.
_RIGHT = 0.5
ALL = "all"
_TOKENS = ("prompt_tokens", "completion_tokens", "cached_tokens", "cache_write_tokens", "reasoning_tokens")
_RATES = ("input", "output", "cached_input", "cache_write", "reasoning")


@dataclass(frozen=True, slots=True)
class History:
    """A partial recording of what was served, what each request saw, and what really happened.

    `seen` holds what each request saw, with the vectors that were read, `spent_nanousd` what each really cost (None =
    an unpriced model took part), `texts` the questions whose text is kept. `textless` counts the requests left out
    because no text of them is kept, `direct` those left out because their client named a tier.
    """

    recording: Recording
    seen: Seen
    spent_nanousd: Mapping[str, int | None]
    texts: Mapping[str, str]
    textless: int
    direct: int


def history_of(
    stored: Iterable[Stored],
    tiers: Sequence[Tier],
    *,
    texts: bool = False,
    direct: bool = True,
    embedding_model: str | None = None,
) -> History:
    """All of it but what was imported.

    Args:
        stored: oldest first.
        tiers: the ladder, for the models' priors and present prices.
        texts: leave out requests whose text is not kept: a recording needs questions.
        direct: keep requests whose client named a tier.
        embedding_model: whose vectors are wanted, where they were read.
    """
    rows = [each for each in stored if each.row["policy"] != IMPORTED]
    routed = [each for each in rows if direct or not each.row["policy"].startswith(ALWAYS)]
    kept = [each for each in routed if each.row["question"] or not texts]
    answers: dict[str, dict[str, RecordedAnswer]] = {}
    for each in kept:
        for model, answer in _answers(each):
            answers.setdefault(model, {})[answer.id] = answer
    models = _models(tiers, _prices(kept))
    recording = Recording(
        folder=Path(),
        name="stored traffic",
        about="",
        models=models,
        ladders={"default": tuple(tier.deployments[0].model for tier in tiers)},
        judge=None,
        splits=(ALL,),
        partial=True,
        queries=tuple(_query(each, line) for line, each in enumerate(kept, 1)),
        answers={model: answers.get(model, {}) for model in models},
    )
    spent = {each.row["id"]: each.row["cost_nanousd"] for each in kept}
    compared = {each.row["id"]: _evidence(each.row) for each in kept if each.row["embedding_model"] is not None}
    seen = Seen(compared, _vectors(kept, embedding_model), embedding_model)
    told = {each.row["id"]: each.row["question"] for each in kept if each.row["question"]}
    return History(recording, seen, spent, told, len(routed) - len(kept), len(rows) - len(routed))


def _vectors(stored: Iterable[Stored], embedding_model: str | None) -> dict[str, NDArray[np.float32]]:
    rows = [each.row for each in stored if embedding_model is not None]
    return {
        row["id"]: unpacked(row["embedding"])
        for row in rows
        if row["embedding_model"] == embedding_model and row.get("embedding") is not None
    }


def _prices(stored: Iterable[Stored]) -> dict[str, Price]:
    """Model -> the price its latest call was billed at; 0 where it had none."""
    found: dict[str, Price] = {}
    for each in stored:
        for call in each.attempts:
            if call["model"]:
                found[call["model"]] = _price(call["prices"]) or found.get(call["model"]) or Price(Rates(0, 0))
    return found


def _models(tiers: Sequence[Tier], prices: Mapping[str, Price]) -> dict[str, RecordedModel]:
    """The ladder's models first, then others that answered; a model's present price wins over its stored one."""
    found = {}
    for tier in tiers:
        for deployment in tier.deployments:
            price = deployment.price or prices.get(deployment.model)
            if price is not None:
                found[deployment.model] = RecordedModel(deployment.model, price, tier.prior_accuracy)
    others = {model: RecordedModel(model, price, _RIGHT) for model, price in prices.items() if model not in found}
    return found | others


def _query(stored: Stored, line: int) -> Query:
    row = stored.row
    text = row["question"] or row["id"]
    task = str((row["tags"] or {}).get("task") or "")
    return Query(row["id"], task, ALL, ({"role": "user", "content": text},), "", line)


def _evidence(row: Mapping[str, Any]) -> Evidence:
    told = row["evidence"]
    near = tuple(Neighbour(each["id"], each["similarity"], each["labels"]) for each in told["neighbours"])
    return Evidence(near, told["history_size"], told["note"])


def _answers(stored: Stored) -> Iterator[tuple[str, RecordedAnswer]]:
    """(model, its answer) of each rung that answered."""
    grades = {label.model: int(label.correct >= _RIGHT) for label in resolved(stored.labels) if label.source in _GRADES}
    rungs: dict[int, list[Mapping[str, Any]]] = {}
    for call in stored.attempts:
        if call["rung"] is not None:
            rungs.setdefault(call["rung"], []).append(call)
    for calls in rungs.values():
        said = [call for call in calls if call["purpose"] == Purpose.GENERATE.value][-1:]
        for call in said:
            if call["verdict"] != Verdict.ERROR.value and call["prompt_tokens"] is not None:
                yield call["model"], _answer(stored.row["id"], call, calls, grades)


def _answer(
    request_id: str, call: Mapping[str, Any], calls: Sequence[Mapping[str, Any]], grades: Mapping[str, int]
) -> RecordedAnswer:
    return RecordedAnswer(
        id=request_id,
        content=call["answer"] or "",
        final=call["final_answer"] or "",
        correct=grades.get(call["model"]),
        usage=_usage(call),
        latency_s=call["latency_s"],
        abstained=call["verdict"] == Verdict.ABSTAINED.value,
        confidence=call["confidence"],
        verdict=_verdict(call, calls),
    )


def _verdict(call: Mapping[str, Any], calls: Sequence[Mapping[str, Any]]) -> RecordedVerdict | None:
    for each in calls:
        if each["purpose"] == Purpose.JUDGE.value and each["verdict"] in {Verdict.VALID.value, Verdict.INVALID.value}:
            return RecordedVerdict(
                each["verdict"] == Verdict.VALID.value, each["model"], _usage(each), each["latency_s"]
            )
    if (call["verdict_by"] or "").startswith("verifier:"):
        return RecordedVerdict(valid=False, model=call["model"], usage=Usage(0, 0))
    return None


def _usage(call: Mapping[str, Any]) -> Usage:
    return Usage(**{name: call[name] or 0 for name in _TOKENS})


def _price(prices: Mapping[str, Any] | None) -> Price | None:
    if prices is None:
        return None
    dearer = tuple((each["above_prompt_tokens"], _rates(each)) for each in prices.get("long_context", ()))
    return Price(_rates(prices), dearer)


def _rates(told: Mapping[str, Any]) -> Rates:
    named: dict[str, Any] = {name: told.get(f"{name}_nanousd_per_mtok") for name in _RATES}
    return Rates(**named)
